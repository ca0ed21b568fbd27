//! The shard's connection: opening it, and making sense of what was under way when the last one was lost.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use bytes::Bytes;

use super::batch::Batch;
use super::state::Shard;
use crate::limits::{READ_CHUNK_BYTES, RECONCILE_CALLS_MAX};
use crate::net::{ConnOptions, Connection};
use crate::resp::{Error, RedisError, RedisErrorKind, Reply, ReplyLimits, Requests, Value};
use crate::store::flight::{self, Known};
use crate::store::scripts::{self, Scripts};
use crate::store::turn::{BatchName, Settlement};
use crate::wire::Realm;

/// An open connection whose server knows our scripts.
pub(super) struct Link {
    pub(super) conn: Connection,
    pub(super) scripts: Scripts,
}

/// A turn that was sent, until its reply is read.
#[derive(Debug)]
pub(super) struct SentTurn {
    pub(super) number: u64,
    /// How many turns the shard sent before: decides which of equal queues comes first.
    pub(super) nth: u64,
    pub(super) wanted: usize,
    /// How many replies it has.
    pub(super) replies: usize,
    pub(super) settled: Settlement,
}

/// The turns whose replies are owed, oldest first; at most [`TURNS_IN_FLIGHT_MAX`](crate::limits::TURNS_IN_FLIGHT_MAX).
pub(super) type Sent = VecDeque<SentTurn>;

/// Why a shard cannot go on with its connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// A new connection may heal it.
    #[error(transparent)]
    Lost(#[from] Error),
    /// The server forgets its scripts as fast as they are loaded; a new connection may heal it.
    #[error(
        "redis forgets scripts as soon as they are loaded; does something run SCRIPT FLUSH again and again?"
    )]
    Forgetful,
    /// Redis denies this worker's user what a shard does. Heals when an administrator has run the line.
    #[error("{denial}; let an administrator run {line}")]
    Denied {
        /// What Redis said.
        denial: String,
        /// The line, for redis-cli.
        line: String,
    },
    /// Jobs are to go back to a queue whose key is no list, and stay in flight.
    #[error("{0}")]
    Held(String),
    /// This shard has ended itself in Redis.
    #[error("this shard has left already")]
    Left,
    /// Another process took this shard's in-flight jobs; nothing heals that.
    #[error("{0}")]
    Fenced(String),
}

impl Link {
    pub(super) async fn open(shard: &Shard) -> Result<Self, Error> {
        let options = ConnOptions {
            name: format!("jiggler-uring:{}:{}", shard.options.uuid, shard.options.shard),
            limits: ReplyLimits::default(),
            chunk_bytes: READ_CHUNK_BYTES,
        };
        let mut conn = Connection::open(&shard.options.url, &options).await?;
        let scripts = load_scripts(&mut conn, &shard.options.realm).await?;
        Ok(Self { conn, scripts })
    }

    /// Loads the scripts again, after a `SCRIPT FLUSH`.
    pub(super) async fn reload(&mut self) -> Result<(), Error> {
        self.scripts = load_scripts(&mut self.conn, self.scripts.realm()).await?;
        Ok(())
    }

    /// Awaits the replies to one turn: its own first, then those of the lists it reads, which say nothing if it was refused.
    pub(super) async fn turn_replies(&mut self, count: usize) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::with_capacity(count);
        for _ in 0..count {
            replies.push(self.conn.reply().await?);
        }
        Ok(replies)
    }

    /// Sends calls of scripts and awaits their replies; one call per reply, `write` appends them. If the server has
    /// forgotten the scripts they are loaded and the calls are sent once more: those refused so have not run.
    pub(super) async fn call(
        &mut self,
        write: impl Fn(&Scripts, &mut Requests),
    ) -> Result<Vec<Reply>, LinkError> {
        self.exchange(write).await?.into_iter().map(check).collect()
    }

    /// As [`Self::call`], but each reply may be an error.
    async fn exchange(&mut self, write: impl Fn(&Scripts, &mut Requests)) -> Result<Vec<Reply>, LinkError> {
        let mut requests = Requests::new();
        write(&self.scripts, &mut requests);
        let mut replies = self.conn.call(&requests).await?;
        if replies.iter().any(is_noscript) {
            self.reload().await?;
            requests.clear();
            write(&self.scripts, &mut requests);
            replies = self.conn.call(&requests).await?;
        }
        Ok(replies)
    }
}

async fn load_scripts(conn: &mut Connection, realm: &Realm) -> Result<Scripts, Error> {
    let mut requests = Requests::new();
    scripts::load_in(realm, &mut requests);
    let replies = conn.call(&requests).await?;
    for reply in &replies {
        if let Value::Error(error) = reply.value() {
            return Err(Error::Redis(error.to_owned()));
        }
    }
    Scripts::from_replies_in(realm.clone(), &replies)
        .map_err(|got| Error::Unexpected { expected: "the hashes of our scripts", got })
}

fn is_noscript(reply: &Reply) -> bool {
    matches!(reply.value(), Value::Error(error) if error.kind() == RedisErrorKind::Noscript)
}

/// Turns an error reply into the error it is.
pub(super) fn check(reply: Reply) -> Result<Reply, LinkError> {
    match reply.value() {
        Value::Error(error) => Err(error.to_owned().into()),
        _ => Ok(reply),
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        match error.code() {
            "LEFT" => Self::Left,
            "HELD" => Self::Held(error.to_string()),
            "FENCED" | "STALE" => Self::Fenced(error.to_string()),
            _ => Self::Lost(Error::Redis(error)),
        }
    }
}

/// Brings a shard and Redis back into agreement over a new connection.
///
/// A turn whose reply was lost has either run, and then its settlement is done, or never will, and then it is reported
/// again. Batches that Redis knows and the shard does not are handed back: the lost reply carried them. For the others
/// Redis is told what is settled. Round trips: three, and one for each [`RECONCILE_CALLS_MAX`] batches.
pub(super) async fn resume(shard: &Shard, link: &mut Link, lost: &mut Sent) -> Result<(), LinkError> {
    // Whatever still lies in connections that were given up, turns or other calls, is void from now on. And a fence is
    // noticed before anything else is asked.
    let newest = shard.last_id();
    let replies = link.call(|s, r| flight::resume(s, shard.home(), newest, r)).await?;
    let last_run = replies.first().map(Reply::as_integer).transpose()?.unwrap_or(0);
    let last_run = u64::try_from(last_run).unwrap_or(0);
    // Later ones first, so that the settlements end up in the order in which they were made.
    while let Some(turn) = lost.pop_back() {
        if turn.number > last_run {
            shard.report_again(turn.settled);
        } else {
            // Its reply is lost, and what it would have told.
            shard.tell_of_deaths(&turn.settled);
        }
    }
    if !shard.options.at_least_once {
        return Ok(());
    }
    hand_back_unknown(shard, link).await?;
    let live: Vec<Rc<Batch>> =
        shard.live.borrow().values().filter(|batch| batch.name != BatchName::Wait).map(Rc::clone).collect();
    sync(shard, link, &live).await?;
    Ok(())
}

/// Hands back the batches that Redis counts as ours and we know nothing of.
pub(super) async fn hand_back_unknown(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    let replies = link
        .call(|_, requests| {
            for queue in shard.turns.queues.iter() {
                flight::list_batches(queue, requests);
            }
        })
        .await?;
    let mut unknown = Vec::new();
    for (queue, reply) in replies.iter().enumerate() {
        let mut numbers = flight::read_batches(reply)?;
        numbers.sort_unstable_by_key(|number| Reverse(*number));
        for number in numbers {
            let name = BatchName::Turn(number);
            let live = shard.live.borrow().values().any(|batch| batch.queue == queue && batch.name == name);
            let closing = shard.settlement.borrow().wholes.contains(&(queue, number));
            if !live && !closing {
                unknown.push((queue, name));
            }
        }
    }
    let nothing = Known::default();
    for chunk in unknown.chunks(RECONCILE_CALLS_MAX) {
        let number = shard.fresh_id();
        let replies = link
            .exchange(|scripts, requests| {
                for &(queue, name) in chunk {
                    let keys = (shard.home(), shard.queue(queue));
                    flight::reconcile(scripts, number, keys.0, keys.1, name, &nothing, requests);
                }
            })
            .await?;
        for (&(queue, _), reply) in chunk.iter().zip(replies) {
            note_reconciled(shard, queue, reply)?;
        }
    }
    Ok(())
}

/// Makes Redis agree with what the shard knows of these batches, and closes those that are settled. All batches of a wait
/// list come together. What goes back goes back in its old order.
///
/// No turn may be on its way, and no blocking move into a wait list that is concerned.
pub(super) async fn sync(shard: &Shard, link: &mut Link, batches: &[Rc<Batch>]) -> Result<(), LinkError> {
    let mut known: HashMap<(usize, BatchName), (u64, Known)> = HashMap::new();
    for batch in batches {
        let (newest, known) = known.entry((batch.queue, batch.name)).or_default();
        *newest = batch.id.max(*newest);
        batch.known(known);
    }
    let mut singles = Vec::new();
    for ((queue, name), (_, known)) in &mut known {
        singles.extend(shard.known_to_settlement(*queue, *name, known));
    }
    let mut known: Vec<_> = known.into_iter().map(|(list, (newest, known))| (newest, list, known)).collect();
    // What comes back last is taken next, so the oldest batch is the last.
    known.sort_unstable_by_key(|(newest, _, _)| Reverse(*newest));
    let result = reconcile_all(shard, link, &known).await;
    let is_held = |queue: usize, name: BatchName| match &result {
        Ok(held) => held.contains(&(queue, name)),
        Err(_) => true,
    };
    singles.retain(|single| is_held(single.0, single.1));
    shard.settlement.borrow_mut().singles.append(&mut singles);
    for batch in batches {
        if is_held(batch.queue, batch.name) {
            batch.unheard();
            continue;
        }
        batch.heard();
        if batch.is_settled() {
            shard.close(batch);
        }
    }
    result.map(|_| ())
}

/// Makes the wait list of one queue agree with what the shard knows: what a lost connection moved there unseen goes
/// back to the queue. Only while no blocking move can add to it.
pub(super) async fn sync_wait_list(shard: &Shard, link: &mut Link, queue: usize) -> Result<(), LinkError> {
    let batches: Vec<Rc<Batch>> = {
        let live = shard.live.borrow();
        let of_list = live.values().filter(|batch| batch.queue == queue && batch.name == BatchName::Wait);
        of_list.map(Rc::clone).collect()
    };
    if !batches.is_empty() {
        return sync(shard, link, &batches).await;
    }
    let mut known = Known::default();
    let mut singles = shard.known_to_settlement(queue, BatchName::Wait, &mut known);
    let result = reconcile_all(shard, link, &[(0, (queue, BatchName::Wait), known)]).await;
    if !matches!(&result, Ok(held) if held.is_empty()) {
        shard.settlement.borrow_mut().singles.append(&mut singles);
    }
    result.map(|_| ())
}

/// Gives the lists that stay as they are, because jobs are to go back to a queue that is no list.
async fn reconcile_all(
    shard: &Shard,
    link: &mut Link,
    lists: &[(u64, (usize, BatchName), Known)],
) -> Result<HashSet<(usize, BatchName)>, LinkError> {
    let mut held = HashSet::new();
    for chunk in lists.chunks(RECONCILE_CALLS_MAX) {
        let number = shard.fresh_id();
        let replies = link
            .exchange(|scripts, requests| {
                for (_, (queue, name), known) in chunk {
                    let keys = (shard.home(), shard.queue(*queue));
                    flight::reconcile(scripts, number, keys.0, keys.1, *name, known, requests);
                }
            })
            .await?;
        for ((_, list, _), reply) in chunk.iter().zip(replies) {
            if !note_reconciled(shard, list.0, reply)? {
                held.insert(*list);
            }
        }
    }
    Ok(held)
}

/// Whether a list agrees with the shard now; if not, the key of its queue is spoilt.
fn note_reconciled(shard: &Shard, queue: usize, reply: Reply) -> Result<bool, LinkError> {
    match check(reply) {
        Ok(reply) => note_handed_back(shard, &[reply])?,
        Err(LinkError::Held(refusal)) => {
            shard.hold_back(queue, &refusal);
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}

pub(super) fn note_handed_back(shard: &Shard, replies: &[Reply]) -> Result<(), Error> {
    for reply in replies {
        let count = u64::try_from(reply.as_integer()?).unwrap_or(0);
        shard.options.stats.handed_back.add(count);
        if count > 0 {
            shard.idle.set(false);
        }
    }
    Ok(())
}

impl Shard {
    /// Adds what the settlement knows of a list: jobs that move in the next turn stay until then, and jobs that it would
    /// ack are dropped with this call, so they are taken out of it. It gives these back.
    fn known_to_settlement(
        &self,
        queue: usize,
        name: BatchName,
        known: &mut Known,
    ) -> Vec<(usize, BatchName, Bytes)> {
        let mut settlement = self.settlement.borrow_mut();
        let moves = settlement.moves.iter().filter(|job| job.from == (queue, name));
        known.keep.extend(moves.map(|job| job.raw.clone()));
        if name == BatchName::Wait {
            known.keep.extend(self.held.in_wait_list(queue));
        }
        let singles: Vec<_> =
            settlement.singles.extract_if(.., |single| (single.0, single.1) == (queue, name)).collect();
        known.settled.extend(singles.iter().map(|(_, _, payload)| payload.clone()));
        singles
    }

    /// Puts a settlement that did not arrive before the one that has gathered since.
    pub(super) fn report_again(&self, mut unsent: Settlement) {
        let mut settlement = self.settlement.borrow_mut();
        unsent.processed += settlement.processed;
        unsent.failed += settlement.failed;
        unsent.uncounted += settlement.uncounted;
        unsent.moves.append(&mut settlement.moves);
        unsent.singles.append(&mut settlement.singles);
        unsent.wholes.append(&mut settlement.wholes);
        unsent.deaths.append(&mut settlement.deaths);
        *settlement = unsent;
    }
}
