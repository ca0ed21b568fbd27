//! The turn: the one call of a busy shard, which settles what ran and fetches the next batch (`scripts/turn.lua`).
//!
//! Per turn: one round trip, one `EVALSHA`, and one `LRANGE` per queue that reads what it fetched. Inside Redis: two
//! commands for the guard; `LLEN`, `SORT … STORE`, `MEMORY USAGE`, `HSET` and `LTRIM` per fetched queue; `UNLINK` and
//! `HDEL` per finished batch; one `LREM` for each job that is settled alone.
//!
//! Payloads do not pass through Lua, which costs Redis as much as all the rest: `SORT queue BY nosort DESC LIMIT 0 n STORE
//! batch` sorts nothing and copies the oldest n from the end of one list to another, and the `LRANGE` after the script
//! reads them. `MEMORY USAGE`, which counts the few nodes of the batch list, reports how many bytes they are. A server that
//! compresses its lists reports too few; the first such batch reveals that, and from then on the script looks at each job
//! ([`TurnContext::looks_at_each`]), as it does for a batch that has too many bytes and for a user without the right to
//! `SORT`. With at most once all of it is one transaction, `MULTI` to `EXEC`, that ends by removing the lists.

mod held;
mod queue_keys;
mod settlement;

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;

use bytes::Bytes;

use super::scripts::{Script, Scripts};
use crate::limits::{BATCH_BYTES_MAX, PAYLOAD_BYTES_MAX, QUEUES_READ_FROM_LISTS_MAX};
use crate::resp::{Elements, Error, RedisError, Reply, Requests, Value};
use crate::wire::in_flight;

pub use held::Held;
pub use queue_keys::{BatchName, QueueKeys};
pub use settlement::{Destination, Effect, Move, Settlement};

/// The constant part of a shard's turns.
#[derive(Debug, Clone)]
pub struct TurnContext {
    /// The shard's queues; positions in [`Settlement`] and [`TurnReply`] refer to these.
    pub queues: Rc<[QueueKeys]>,
    /// Whether what is fetched stays in flight in Redis until it is settled.
    pub keep_in_flight: bool,
    /// How many entries the dead set keeps.
    pub dead_jobs_max: Cell<u64>,
    /// How long an entry stays in the dead set, in seconds.
    pub dead_timeout_s: Cell<f64>,
    /// Whether the size of a list does not reveal the bytes of its payloads here, so that Redis must look at each.
    pub looks_at_each: Cell<bool>,
}

/// The variable part of one turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Its number: larger than that of any previous turn.
    pub number: u64,
    /// The number of the previous turn if its reply is still outstanding; else 0. Should that turn fail, this one will not
    /// run.
    pub after: u64,
    /// How many jobs are wanted; 0 fetches nothing.
    pub wanted: usize,
    /// The order in which queues are served: positions.
    pub order: &'a [usize],
    /// How many jobs to fetch at most from each queue of that order. Queues behind the last number are not fetched from.
    /// Empty: from each as many as are wanted.
    pub limits: &'a [usize],
    /// What is settled.
    pub settled: &'a Settlement,
    /// The Unix time now, in seconds, for trimming the dead set.
    pub now: f64,
}

/// What one turn brought.
#[derive(Debug)]
pub struct TurnReply {
    /// What came, queue by queue.
    pub fetched: Vec<Fetched>,
    /// Redis reported fewer bytes than came: its lists are compressed.
    pub understated: bool,
    /// What part of the report is still to be done, because a set or a counter is spoilt.
    pub held: Option<Held>,
}

/// What came from one queue.
#[derive(Debug)]
pub struct Fetched {
    /// The queue's position.
    pub queue: usize,
    /// The payloads, oldest first.
    pub payloads: Vec<Bytes>,
    /// How many payloads were too large; they are in the oversize list.
    pub oversize: usize,
    /// Why nothing could be taken from this queue, for example because its key is not a list.
    pub error: Option<String>,
}

impl Turn<'_> {
    /// The queues from which jobs are fetched, in order.
    fn fetched_from(&self) -> &[usize] {
        if self.limits.is_empty() {
            self.order
        } else {
            &self.order[..self.limits.len().min(self.order.len())]
        }
    }
}

impl TurnContext {
    /// How the jobs of a turn arrive: this depends on how many it wants, and from how many queues.
    fn way(&self, turn: &Turn<'_>) -> Way {
        let measures = !self.looks_at_each.get() && turn.fetched_from().len() <= QUEUES_READ_FROM_LISTS_MAX;
        match (self.keep_in_flight, measures && turn.wanted > 0) {
            (true, true) => Way::List,
            (true, false) => Way::Here,
            (false, true) => Way::ListOnce,
            (false, false) => Way::Once,
        }
    }

    /// Appends the call of `turn`, and returns how many replies it has: at least one.
    pub fn write(&self, scripts: &Scripts, turn: &Turn<'_>, requests: &mut Requests) -> usize {
        let settled = turn.settled;
        let keys_count = 5 + 2 * turn.order.len();
        let args = 13
            + 6 * settled.moves.len()
            + 3 * settled.singles.len()
            + 2 * settled.wholes.len()
            + effects_args(settled);
        // Position of a queue -> its pair in KEYS, from 1.
        let pair = |queue: usize| 1 + turn.order.iter().position(|&at| at == queue).unwrap_or(0) as u64;
        let way = self.way(turn);
        let before = requests.len_commands();
        if way == Way::ListOnce {
            requests.command(&[b"MULTI"]);
        }
        let mut command = scripts.begin(Script::Turn, keys_count, args, requests);
        let realm = scripts.realm();
        for key in [&realm.processed, &realm.failures, &realm.retries, &realm.dead] {
            command.arg(key.as_bytes());
        }
        command.arg(&self.queues[0].index);
        for &queue in turn.order {
            command.arg(&self.queues[queue].list).arg(&self.queues[queue].index);
        }
        command.arg_u64(turn.number);
        arg_wanted(&mut command, turn);
        command.arg_u64(BATCH_BYTES_MAX as u64).arg_u64(PAYLOAD_BYTES_MAX as u64);
        command.arg_u64(settled.processed).arg_u64(settled.failed);
        command.arg_f64(turn.now - self.dead_timeout_s.get()).arg_u64(self.dead_jobs_max.get());
        command.arg(match way {
            Way::List => b"list".as_slice(),
            Way::Here => b"here",
            Way::ListOnce => b"list-once",
            Way::Once => b"once",
        });
        command.arg_u64(turn.after);
        command.arg_u64(settled.moves.len() as u64);
        for job in &settled.moves {
            command.arg_u64(pair(job.from.0));
            arg_batch(&mut command, job.from.1);
            command.arg(&job.raw).arg(match job.to {
                Destination::Retries => b"r",
                Destination::Dead => b"d",
                Destination::Later => b"l",
            });
            command.arg_f64(job.score).arg(&job.payload);
        }
        command.arg_u64(settled.singles.len() as u64);
        for (queue, batch, payload) in &settled.singles {
            command.arg_u64(pair(*queue));
            arg_batch(&mut command, *batch);
            command.arg(payload);
        }
        command.arg_u64(settled.wholes.len() as u64);
        for &(queue, number) in &settled.wholes {
            command.arg_u64(pair(queue)).arg_u64(number);
        }
        arg_effects(&mut command, settled);
        drop(command);
        if matches!(way, Way::List | Way::ListOnce) {
            for &queue in turn.fetched_from() {
                let batch = self.queues[queue].batch(BatchName::Turn(turn.number));
                requests.command(&[b"LRANGE", &batch, b"0", b"-1"]);
            }
        }
        if way == Way::ListOnce {
            for &queue in turn.fetched_from() {
                let batch = self.queues[queue].batch(BatchName::Turn(turn.number));
                requests.command(&[b"UNLINK", &batch]);
            }
            requests.command(&[b"EXEC"]);
        }
        requests.len_commands() - before
    }
}

/// What becomes of the jobs that a turn fetches, and how they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// At least once: they are read from their batch lists.
    List,
    /// At least once: they are in the reply of the script.
    Here,
    /// At most once: they are read from lists that are then removed, all in one transaction. Half of it would leave jobs
    /// that arrived where a search for forgotten ones finds them.
    ListOnce,
    /// At most once: they are in the reply of the script alone.
    Once,
}

/// What a turn's own reply and those of its lists say, each with the reply that it is part of: in a transaction all are
/// part of the last one. `None` if there is no reply.
fn answers(replies: &[Reply]) -> Option<Vec<(&Reply, Value<'_>)>> {
    let (first, last) = (replies.first()?, replies.last()?);
    Some(match (first.value(), last.value()) {
        (Value::Simple(b"OK"), Value::Array(elements)) => elements.map(|element| (last, element)).collect(),
        (Value::Simple(b"OK"), refused) => vec![(last, refused)],
        _ => replies.iter().map(|reply| (reply, reply.value())).collect(),
    })
}

/// The first error among the replies to a turn: it was refused, or a list of it could not be read.
#[must_use]
pub fn refusal(replies: &[Reply]) -> Option<RedisError> {
    answers(replies)?.into_iter().find_map(|(_, answer)| match answer {
        Value::Error(error) => Some(error.to_owned()),
        _ => None,
    })
}

/// Arguments of the list of effects: none if it is empty.
fn effects_args(settled: &Settlement) -> usize {
    if settled.effects.is_empty() { 0 } else { 1 + 3 * settled.effects.len() }
}

fn arg_effects(command: &mut crate::resp::Command<'_>, settled: &Settlement) {
    if settled.effects.is_empty() {
        return;
    }
    command.arg_u64(settled.effects.len() as u64);
    for effect in &settled.effects {
        command.arg(effect.op.as_bytes()).arg(&effect.key).arg(&effect.arg);
    }
}

/// How many jobs are wanted, and of which queues how many at most.
fn arg_wanted(command: &mut crate::resp::Command<'_>, turn: &Turn<'_>) {
    if turn.limits.is_empty() {
        command.arg_u64(turn.wanted as u64);
        return;
    }
    let mut words = turn.wanted.to_string();
    for limit in turn.limits {
        // A string takes whatever is written to it.
        let _written = write!(words, ",{limit}");
    }
    command.arg(words.as_bytes());
}

fn arg_batch(command: &mut crate::resp::Command<'_>, batch: BatchName) {
    match batch {
        BatchName::Turn(number) => command.arg_u64(number),
        BatchName::Wait => command.arg(in_flight::WAIT_LIST_BATCH.as_bytes()),
    };
}

impl TurnReply {
    /// Reads the replies to a turn that served queues in `order`: its own, and those of the lists if it reads any. A list
    /// that is gone by then was taken by a reaper: the next turn will find the fence.
    ///
    /// # Errors
    /// [`Error::Redis`], and [`Error::Unexpected`] if a reply has another shape: a bug, or not our script.
    pub fn read(replies: &[Reply], order: &[usize]) -> Result<Self, Error> {
        let answers = answers(replies).unwrap_or_default();
        let Some((&(reply, ref answer), lists)) = answers.split_first() else {
            return Err(unexpected("the reply to a turn", "none"));
        };
        let mut elements = answer.as_array()?;
        let mut turn =
            Self { fetched: Vec::with_capacity(elements.len() / 4), understated: false, held: None };
        while let Some(pair) = elements.next() {
            if matches!(pair, Value::Integer(0)) {
                turn.held = Some(Held::read(&mut elements)?);
                continue;
            }
            let at = match pair {
                Value::Integer(pair) => usize::try_from(pair).ok().and_then(|pair| pair.checked_sub(1)),
                _ => None,
            };
            let Some((at, &queue)) = at.and_then(|at| Some((at, order.get(at)?))) else {
                return Err(unexpected("the number of a pair in the reply to a turn", pair));
            };
            let mut from = Fetched { queue, payloads: Vec::new(), oversize: 0, error: None };
            match elements.next() {
                Some(Value::Array(jobs)) => from.read_payloads(reply, jobs)?,
                Some(Value::Integer(_)) => match lists.get(at).cloned() {
                    Some((list, Value::Array(jobs))) => from.read_payloads(list, jobs)?,
                    other => return Err(unexpected("the list of a batch after the reply to a turn", other)),
                },
                Some(Value::Bulk(text) | Value::Simple(text)) => {
                    from.error = Some(String::from_utf8_lossy(text).into_owned());
                }
                other => return Err(unexpected("the jobs of a queue in the reply to a turn", other)),
            }
            let (Some(Value::Integer(oversize)), Some(Value::Integer(told))) =
                (elements.next(), elements.next())
            else {
                return Err(unexpected("four elements for a queue in the reply to a turn", "fewer"));
            };
            from.oversize = usize::try_from(oversize).unwrap_or(0);
            let bytes: usize = from.payloads.iter().map(Bytes::len).sum();
            turn.understated |= usize::try_from(told).is_ok_and(|told| told < bytes);
            turn.fetched.push(from);
        }
        Ok(turn)
    }
}

impl Fetched {
    fn read_payloads(&mut self, reply: &Reply, jobs: Elements<'_>) -> Result<(), Error> {
        self.payloads.reserve(jobs.len());
        for job in jobs {
            self.payloads.push(reply.slice(job.as_bulk()?));
        }
        Ok(())
    }
}

fn unexpected(expected: &'static str, got: impl std::fmt::Debug) -> Error {
    Error::Unexpected { expected, got: format!("{got:?}") }
}
