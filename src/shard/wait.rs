//! Waiting for a job without polling: one connection per queue, blocked in Redis.
//!
//! At least once, a waiter blocks in a move of one job from its queue into the shard's wait list: fetch and wake-up are
//! one step, exactly one waiter in the fleet wakes, and a job whose delivery is lost is in a list that the shard (or a
//! reaper) will look through. At most once, one waiter per shard blocks in a pop over all queues.
//!
//! [`super::drive`] arms the waiters when a fetch found nothing, and disarms them (`CLIENT UNBLOCK`) on quiet, on stop,
//! and while every slot is taken. A waiter only waits: anything else that must be done to its list is done by `drive`.
//!
//! A middle box may answer in place of Redis, whose block continues. So after any answer that is not a job the waiter
//! counts what is in its list, and an answer that Redis itself would not have given, at that time or at all, ends the
//! connection like a loss. What may still arrive over an abandoned connection is looked for every few seconds
//! ([`super::strays`]).
//!
//! Armed or parked, a waiter that lost its connection does not block again before `drive` has swept: has looked for what
//! the lost one may have moved. A backlog, in which no waiter is armed, must not keep such a job waiting.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::state::Shard;
use super::steps::accept_batch;
use super::strays::Strays;
use super::waiters::Waiter;
use crate::limits::{CALL_TIMEOUT, WAIT_CHUNK_BYTES, WAIT_EARLY, WAIT_EARLY_PART, WAIT_ERROR_PAUSE};
use crate::net::{Backoff, ConnOptions, Connection, Error};
use crate::resp::{self, RedisErrorKind, Reply, ReplyLimits, Requests, Value};
use crate::store::denied::is_denial;
use crate::store::flight;
use crate::store::turn::BatchName;
use crate::wire::client_name;

struct WaitConn {
    conn: Connection,
    id: u64,
}

/// How a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// With a job.
    Job,
    /// By Redis: without a job, or with one of its own errors.
    Empty,
    /// Before anything was asked: the connection was closed while idle, so nothing strays.
    Idle,
    /// By Redis, which is no longer a server to wait on.
    Refused,
    /// The connection is lost, or the answer did not come from Redis: it may still block.
    Lost,
}

/// Runs one waiter until it is ended.
pub(super) async fn wait(shard: Rc<Shard>, which: usize) {
    let waiter = shard.waiters().get(which);
    let mut backoff = Backoff::new(shard.options().shard as u64 * 1_000 + which as u64);
    let mut conn: Option<WaitConn> = None;
    let mut strays = Strays::default();
    while !waiter.is_ended() {
        if strays.are_due(Instant::now()) {
            strays.looked(Instant::now());
            waiter.distrust();
        }
        if waiter.is_unswept() {
            shard.work().raise();
            waiter.change().await;
            continue;
        }
        if !waiter.is_armed() {
            rest(waiter, &strays).await;
            continue;
        }
        let Some(open) = conn.as_mut() else {
            match open_conn(&shard, which).await {
                Ok(open) => {
                    backoff.reset();
                    waiter.wait_over(open.conn.stopper());
                    conn = Some(open);
                }
                Err(error) => {
                    tracing::debug!(shard = shard.options().shard, %error, "a waiting connection cannot be opened");
                    Timer::new(backoff.pause()).await;
                    shard.look_for_jobs();
                }
            }
            continue;
        };
        let time = block_time(&shard, &strays);
        let (ended, failed) = wait_once(&shard, waiter, open, time).await;
        match ended {
            Ended::Job => {}
            Ended::Empty => strays.looked(Instant::now()),
            Ended::Idle => {
                conn = None;
            }
            Ended::Refused | Ended::Lost => {
                conn = None;
                shard.numbers().lose_connection();
            }
        }
        if ended == Ended::Lost || failed {
            // A key that is not a list answers at once, each time: without a pause this would spin. And the server, if it
            // is there, has noticed meanwhile that the connection is gone.
            Timer::new(WAIT_ERROR_PAUSE.max(backoff.pause())).await;
            if ended == Ended::Lost && shard.options().at_least_once {
                waiter.distrust();
                strays.expect(Instant::now(), time + CALL_TIMEOUT);
            }
            shard.look_for_jobs();
        } else if ended == Ended::Job || !waiter.is_armed() {
            waiter.park();
            shard.work().raise();
        }
    }
}

/// Blocks once and, if no job came, checks whether the list has one all the same. Returns how the block ended, and
/// whether with an error.
async fn wait_once(shard: &Shard, waiter: &Waiter, open: &mut WaitConn, time: Duration) -> (Ended, bool) {
    let began = Instant::now();
    let result = block(shard, waiter, open, time).await;
    if matches!(result, Err(Error::ClosedIdle { sent: false, .. })) {
        return (Ended::Idle, false);
    }
    if let Err(error) = &result {
        say(shard, waiter, error);
    }
    let took = began.elapsed() + WAIT_EARLY + time / WAIT_EARLY_PART;
    let ended = match &result {
        Ok(true) => Ended::Job,
        // Nobody asked Redis to end it: see `unblock`.
        Ok(false) if waiter.is_armed() && took < time => Ended::Lost,
        Ok(false) => Ended::Empty,
        Err(error) => ended_by(error),
    };
    if ended == Ended::Empty && !look_for_strays(shard, waiter, open).await {
        return (Ended::Lost, result.is_err());
    }
    (ended, result.is_err())
}

/// Logs that waiting failed.
fn say(shard: &Shard, waiter: &Waiter, error: &Error) {
    let queue = &*shard.queue(waiter.queue()).name;
    tracing::debug!(shard = shard.options().shard, queue, %error, "waiting failed");
    if is_denial(error) {
        // Turns still look for jobs, though by asking again and again: nobody would notice.
        shard.complain(waiter.queue(), &error.to_string());
    }
}

/// What an error says about the connection. A server that became a replica, for example, would keep refusing for ever,
/// and the address leads to another one by now. An error without its own code may come from anywhere.
fn ended_by(error: &Error) -> Ended {
    let Error::Redis(error) = error else { return Ended::Lost };
    match error.kind() {
        RedisErrorKind::Readonly
        | RedisErrorKind::Unblocked
        | RedisErrorKind::Loading
        | RedisErrorKind::MasterDown
        | RedisErrorKind::ClusterDown
        | RedisErrorKind::Moved
        | RedisErrorKind::NoAuth => Ended::Refused,
        RedisErrorKind::Other => Ended::Lost,
        _ => Ended::Empty,
    }
}

/// Waits for a change of state, or until it is time to look for what may have strayed.
async fn rest(waiter: &Waiter, strays: &Strays) {
    let Some(look_at) = strays.look_at() else { return waiter.change().await };
    let timer = async {
        Timer::new(look_at.saturating_duration_since(Instant::now())).await;
    };
    futures_lite::future::or(waiter.change(), timer).await;
}

/// How long to block: not beyond the moment when it is time to look for what may have strayed. In whole seconds, and
/// never 0, which Redis takes for "for ever".
fn block_time(shard: &Shard, strays: &Strays) -> Duration {
    let until = strays.look_at().map(|at| at.saturating_duration_since(Instant::now()).as_secs() + 1);
    shard.options().block_time.min(Duration::from_secs(until.unwrap_or(u64::MAX)))
}

async fn open_conn(shard: &Shard, which: usize) -> Result<WaitConn, Error> {
    let options = ConnOptions {
        name: client_name(&shard.options().uuid, Some(shard.options().shard), &format!("w{which}")),
        limits: ReplyLimits::default(),
        chunk_bytes: WAIT_CHUNK_BYTES,
    };
    let mut conn = Connection::open(&shard.options().url, &options).await?;
    let mut requests = Requests::new();
    flight::ask_connection_id(&mut requests);
    conn.send(&requests).await?;
    let reply = conn.reply().await?.into_result()?;
    let id = u64::try_from(reply.as_integer()?).unwrap_or(0);
    Ok(WaitConn { conn, id })
}

/// Blocks once. Returns whether a job came.
async fn block(shard: &Shard, waiter: &Waiter, open: &mut WaitConn, time: Duration) -> Result<bool, Error> {
    let mut requests = Requests::new();
    if shard.options().at_least_once {
        flight::wait_for_one(shard.queue(waiter.queue()), time.as_secs(), &mut requests);
    } else {
        let served = shard.rota().served().map(|queue| shard.queue(queue));
        flight::wait_for_any(served, time.as_secs(), &mut requests);
    }
    waiter.block(Some(open.id));
    let reply = exchange(&mut open.conn, &requests, time + CALL_TIMEOUT).await;
    waiter.block(None);
    // The task that disarms waits for this.
    shard.work().raise();
    let reply = reply?.into_result()?;
    shard.options().stats.answered_at.mark();
    let Some((queue, payload)) = delivered(shard, waiter, &reply)? else { return Ok(false) };
    shard.appetite().look();
    accept_batch(shard, queue, BatchName::Wait, vec![payload]);
    Ok(true)
}

/// After any answer that is not a job: checks whether the wait list has one all the same, because the answer did not come
/// from Redis. Then the list is swept. Returns whether the connection still stands.
///
/// What was acked while Redis counted looks like a stray: that costs one look at the list, no more.
async fn look_for_strays(shard: &Shard, waiter: &Waiter, open: &mut WaitConn) -> bool {
    if !shard.options().at_least_once {
        return true;
    }
    let mut requests = Requests::new();
    flight::count_waiting(shard.queue(waiter.queue()), &mut requests);
    let reply = exchange(&mut open.conn, &requests, CALL_TIMEOUT).await;
    let known = shard.known_in_wait_list(waiter.queue()) as i64;
    if reply.as_ref().map_or(true, |reply| reply.as_integer().is_ok_and(|count| count > known)) {
        waiter.distrust();
    }
    reply.is_ok()
}

async fn exchange(conn: &mut Connection, requests: &Requests, within: Duration) -> Result<Reply, Error> {
    conn.send(requests).await?;
    conn.reply_within(within).await
}

fn delivered(
    shard: &Shard,
    waiter: &Waiter,
    reply: &Reply,
) -> Result<Option<(usize, bytes::Bytes)>, resp::Error> {
    match reply.value() {
        Value::Nil => Ok(None),
        Value::Bulk(payload) if shard.options().at_least_once => {
            Ok(Some((waiter.queue(), reply.slice(payload))))
        }
        Value::Array(mut pair) => {
            let (Some(Value::Bulk(key)), Some(Value::Bulk(payload))) = (pair.next(), pair.next()) else {
                return Err(reply.value().instead_of("a key and a payload"));
            };
            let queue = shard.turn_context().queues.iter().position(|queue| *queue.list == *key);
            Ok(queue.map(|queue| (queue, reply.slice(payload))))
        }
        other => Err(other.instead_of("a payload or nil")),
    }
}
