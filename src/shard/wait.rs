//! Waiting for a job without polling: one connection per queue, blocked in Redis.
//!
//! At least once, a waiter blocks in a move of one job from its queue into the shard's wait list: fetch and wake-up are
//! one, exactly one waiter in the fleet wakes, and a job whose delivery is lost lies in a list that the shard (or a
//! reaper) will look through. At most once, one waiter per shard blocks in a pop over all queues.
//!
//! [`super::drive`] arms the waiters when a fetch found nothing, and disarms them (`CLIENT UNBLOCK`) on quiet, on stop,
//! and while every slot is taken. A waiter only waits: whatever else is to be done to its list is done by `drive`.
//!
//! ```text
//!            arm                      job, or disarmed
//! Parked ───────────► Armed (blocks) ───────────────────► Parked
//! ```
//! Armed or parked, a waiter that lost its connection does not block again before `drive` has swept: has looked for what
//! the lost one may have moved. A backlog, in which nobody is armed, must not keep such a job waiting.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::state::Shard;
use crate::event::Event;
use crate::limits::{CALL_TIMEOUT, WAIT_CHUNK_BYTES, WAIT_ERROR_PAUSE};
use crate::net::{Backoff, ConnOptions, Connection, Stopper};
use crate::resp::{Error, RedisErrorKind, Reply, ReplyLimits, Requests, Value};
use crate::store::denied::is_denial;
use crate::store::flight;
use crate::store::turn::BatchName;

/// One waiting connection, as the shard's other tasks see it.
pub(super) struct Waiter {
    /// Its queue at least once; 0 at most once.
    pub(super) at: usize,
    pub(super) state: Cell<WaitState>,
    /// Wakes the waiter after a change of state.
    pub(super) go: Event,
    /// The id of the connection that blocks now.
    pub(super) blocked_id: Cell<Option<u64>>,
    pub(super) stopper: RefCell<Option<Stopper>>,
    /// A connection was lost that may have moved jobs into the wait list unseen. While this is set the waiter does not
    /// block; who has looked through the list unsets it. Never at most once.
    pub(super) unswept: Cell<bool>,
}

/// See the module's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitState {
    Parked,
    Armed,
    Ended,
}

impl Waiter {
    pub(super) fn new(at: usize) -> Self {
        Self {
            at,
            state: Cell::new(WaitState::Parked),
            go: Event::default(),
            blocked_id: Cell::new(None),
            stopper: RefCell::new(None),
            unswept: Cell::new(false),
        }
    }

    pub(super) fn set(&self, state: WaitState) {
        self.state.set(state);
        self.go.raise();
    }

    fn is_armed(&self) -> bool {
        self.state.get() == WaitState::Armed
    }
}

struct WaitConn {
    conn: Connection,
    id: u64,
}

/// Runs one waiter until it is [`WaitState::Ended`].
pub(super) async fn wait(shard: Rc<Shard>, which: usize) {
    let waiter = &shard.waiters[which];
    let mut backoff = Backoff::new(shard.options.shard as u64 * 1_000 + which as u64);
    let mut conn: Option<WaitConn> = None;
    // What a lost connection was asked may still be carried out: until its block would have timed out.
    let mut stray_until: Option<Instant> = None;
    loop {
        if waiter.state.get() == WaitState::Ended {
            return;
        }
        if stray_until.is_some_and(|until| until <= Instant::now()) {
            stray_until = None;
            waiter.unswept.set(true);
        }
        if waiter.unswept.get() {
            shard.work.raise();
            waiter.go.wait().await;
            continue;
        }
        if !waiter.is_armed() {
            rest(waiter, stray_until).await;
            continue;
        }
        let Some(open) = conn.as_mut() else {
            match open_conn(&shard, which).await {
                Ok(open) => {
                    backoff.reset();
                    *waiter.stopper.borrow_mut() = Some(open.conn.stopper());
                    conn = Some(open);
                }
                Err(error) => {
                    tracing::debug!(shard = shard.options.shard, %error, "a waiting connection cannot be opened");
                    Timer::new(backoff.pause()).await;
                    look_instead(&shard);
                }
            }
            continue;
        };
        match block(&shard, waiter, open, block_time(&shard, stray_until)).await {
            Ok(delivered) => {
                if delivered || !waiter.is_armed() {
                    park(&shard, waiter);
                }
            }
            Err(error) => {
                tracing::debug!(shard = shard.options.shard, queue = %shard.queue(waiter.at).name, %error, "waiting failed");
                if is_denial(&error) {
                    // Turns still look for jobs, though by asking again and again: nobody would notice.
                    shard.complain(waiter.at, &error.to_string());
                }
                let lost = !matches!(error, Error::Redis(_));
                if lost || serves_no_more(&error) {
                    conn = None;
                    shard.lost_a_connection.set(true);
                }
                // A key that is no list answers at once, each time: without a pause this would spin. And the server, if it
                // is there, has noticed meanwhile that the connection is gone.
                Timer::new(WAIT_ERROR_PAUSE.max(backoff.pause())).await;
                if lost && shard.options.at_least_once {
                    waiter.unswept.set(true);
                    stray_until = Some(Instant::now() + shard.options.block_time + CALL_TIMEOUT);
                }
                look_instead(&shard);
            }
        }
    }
}

/// Whether Redis answers, and this server is none to wait at: it became a replica, for example, and the address leads to
/// another one by now. Over the old connection it would go on refusing for ever.
fn serves_no_more(error: &Error) -> bool {
    let Error::Redis(error) = error else { return false };
    matches!(
        error.kind(),
        RedisErrorKind::Readonly
            | RedisErrorKind::Unblocked
            | RedisErrorKind::Loading
            | RedisErrorKind::MasterDown
            | RedisErrorKind::ClusterDown
            | RedisErrorKind::Moved
            | RedisErrorKind::NoAuth
    )
}

/// Waits for a change of state, or until what may have strayed is to be looked for.
async fn rest(waiter: &Waiter, stray_until: Option<Instant>) {
    let Some(until) = stray_until else { return waiter.go.wait().await };
    let timer = async {
        Timer::new(until.saturating_duration_since(Instant::now())).await;
    };
    futures_lite::future::or(waiter.go.wait(), timer).await;
}

/// How long to block: not beyond the moment when what may have strayed is to be looked for. In whole seconds, and never
/// none, which Redis takes for ever.
fn block_time(shard: &Shard, stray_until: Option<Instant>) -> Duration {
    let until = stray_until.map(|until| until.saturating_duration_since(Instant::now()).as_secs() + 1);
    shard.options.block_time.min(Duration::from_secs(until.unwrap_or(u64::MAX)))
}

/// Nobody waits at this queue, so a turn must look whether there is a job: one for each failure to wait.
fn look_instead(shard: &Shard) {
    shard.idle.set(false);
    shard.work.raise();
}

fn park(shard: &Shard, waiter: &Waiter) {
    if waiter.state.get() != WaitState::Ended {
        waiter.state.set(WaitState::Parked);
    }
    shard.work.raise();
}

async fn open_conn(shard: &Shard, which: usize) -> Result<WaitConn, Error> {
    let options = ConnOptions {
        name: format!("jiggler-uring:{}:{}:w{which}", shard.options.uuid, shard.options.shard),
        limits: ReplyLimits::default(),
        chunk_bytes: WAIT_CHUNK_BYTES,
    };
    let mut conn = Connection::open(&shard.options.url, &options).await?;
    let mut requests = Requests::new();
    flight::ask_connection_id(&mut requests);
    conn.send(&requests).await?;
    let reply = conn.reply().await?.into_result()?;
    let id = u64::try_from(reply.as_integer()?).unwrap_or(0);
    Ok(WaitConn { conn, id })
}

/// Blocks once. Whether a job came.
async fn block(shard: &Shard, waiter: &Waiter, open: &mut WaitConn, time: Duration) -> Result<bool, Error> {
    let mut requests = Requests::new();
    if shard.options.at_least_once {
        flight::wait_for_one(shard.queue(waiter.at), time.as_secs(), &mut requests);
    } else {
        flight::wait_for_any(shard.turns.queues.iter(), time.as_secs(), &mut requests);
    }
    waiter.blocked_id.set(Some(open.id));
    let reply = exchange(&mut open.conn, &requests, time + CALL_TIMEOUT).await;
    waiter.blocked_id.set(None);
    // Whoever disarms waits for this.
    shard.work.raise();
    let reply = reply?.into_result()?;
    shard.options.stats.answered_at.mark();
    let Some((queue, payload)) = delivered(shard, waiter, &reply)? else { return Ok(false) };
    shard.idle.set(false);
    shard.accept_batch(queue, BatchName::Wait, vec![payload]);
    Ok(true)
}

async fn exchange(conn: &mut Connection, requests: &Requests, within: Duration) -> Result<Reply, Error> {
    conn.send(requests).await?;
    conn.reply_within(within).await
}

fn delivered(shard: &Shard, waiter: &Waiter, reply: &Reply) -> Result<Option<(usize, bytes::Bytes)>, Error> {
    match reply.value() {
        Value::Nil => Ok(None),
        Value::Bulk(payload) if shard.options.at_least_once => Ok(Some((waiter.at, reply.slice(payload)))),
        Value::Array(mut pair) => {
            let (Some(Value::Bulk(key)), Some(Value::Bulk(payload))) = (pair.next(), pair.next()) else {
                return Err(reply.value().instead_of("a key and a payload"));
            };
            let queue = shard.turns.queues.iter().position(|queue| *queue.list == *key);
            Ok(queue.map(|queue| (queue, reply.slice(payload))))
        }
        other => Err(other.instead_of("a payload or nil")),
    }
}

impl Shard {
    /// Lets every waiter wait for a job.
    pub(super) fn arm(&self) {
        for waiter in &self.waiters {
            if waiter.state.get() == WaitState::Parked {
                waiter.set(WaitState::Armed);
            }
        }
    }

    /// Tells every waiter to stop waiting; those that block must be unblocked besides.
    pub(super) fn disarm(&self) {
        for waiter in &self.waiters {
            if waiter.is_armed() {
                waiter.set(WaitState::Parked);
            }
        }
        self.idle.set(false);
    }

    /// Whether a wait list is to be looked through before anything else goes over the connection.
    pub(super) fn is_sweeping(&self) -> bool {
        self.waiters.iter().any(|waiter| waiter.unswept.get())
    }

    /// Whether any waiter is armed or blocks.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiters.iter().any(|waiter| waiter.blocked_id.get().is_some() || waiter.is_armed())
    }
}
