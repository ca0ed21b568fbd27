//! The turn: the one call of a busy shard, which settles what ran and fetches the next batch (`scripts/turn.lua`).
//!
//! Per turn: one round trip, one `EVALSHA`. Inside Redis: two commands for the guard, one `RPOP`, one `RPUSH` and one
//! `HSET` a fetched queue, `UNLINK` and `HDEL` a finished batch, one `LREM` for each job that is settled alone.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;

use super::scripts::{Script, Scripts};
use crate::job::DeadJob;
use crate::limits::{BATCH_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::resp::{Reply, Requests, Value};
use crate::wire::keys;

/// The name of a batch within its in-flight index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchName {
    /// Fetched by the turn of that number.
    Turn(u64),
    /// The shard's wait list: what a blocking move brought in. It is never gone, only empty.
    Wait,
}

/// The keys of one queue as one shard uses them.
#[derive(Debug, Clone)]
pub struct QueueKeys {
    /// The queue's name.
    pub name: Box<str>,
    /// `jiggler:list:<name>`.
    pub list: Box<[u8]>,
    /// The shard's in-flight index of that queue.
    pub index: Box<[u8]>,
    /// The same, as text.
    index_name: Box<str>,
    /// The list into which a blocking move puts jobs.
    pub wait_list: Box<[u8]>,
    /// Where payloads too large to fetch go.
    pub oversize: Box<[u8]>,
    /// What a reaper holds back of a dead shard's jobs, because they were recovered before.
    pub suspects: Box<[u8]>,
    /// What a reaper is to bury of a dead shard's jobs.
    pub poison: Box<[u8]>,
}

impl QueueKeys {
    /// The keys of queue `name` for shard `shard` of process `uuid`.
    pub fn new(name: &str, uuid: &str, shard: usize) -> Self {
        let index = keys::in_flight_index(name, uuid, shard);
        Self {
            name: name.into(),
            list: keys::queue(name).into_bytes().into(),
            wait_list: keys::wait_list(&index).into_bytes().into(),
            oversize: keys::oversize_list(&index).into_bytes().into(),
            suspects: keys::suspects(&index).into_bytes().into(),
            poison: keys::poison(&index).into_bytes().into(),
            index: index.as_bytes().into(),
            index_name: index.into(),
        }
    }

    /// The key of the list that holds the batch.
    pub fn batch(&self, batch: BatchName) -> Vec<u8> {
        match batch {
            BatchName::Wait => self.wait_list.to_vec(),
            BatchName::Turn(turn) => keys::batch(&self.index_name, turn).into_bytes(),
        }
    }
}

/// Where a job goes that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The retry set.
    Retries,
    /// The dead set.
    Dead,
}

/// A job that leaves its batch for a set, in one step.
#[derive(Debug, Clone)]
pub struct Move {
    /// Which queue (position in the shard's list) and batch it is in.
    pub from: (usize, BatchName),
    /// The payload as it was fetched.
    pub raw: Bytes,
    /// Which set it goes to.
    pub to: Destination,
    /// Its score there: Unix seconds.
    pub score: f64,
    /// The payload to store.
    pub payload: Vec<u8>,
}

/// What a turn reports as settled.
#[derive(Debug, Default, Clone)]
pub struct Settlement {
    /// Jobs that ran to an end, failed ones included.
    pub processed: u64,
    /// Jobs that failed, and payloads that were no job.
    pub failed: u64,
    /// Jobs that go to a set.
    pub moves: Vec<Move>,
    /// Jobs that succeeded in a batch that goes on: queue, batch, payload.
    pub singles: Vec<(usize, BatchName, Bytes)>,
    /// Batches of which every job is settled: queue, turn.
    pub wholes: Vec<(usize, u64)>,
    /// Jobs among `moves` that `processed` does not count: snoozed ones, and payloads that were no job. Not sent.
    pub uncounted: u64,
    /// Jobs among `moves` that died, where somebody wants to hear of it once Redis has them. Not sent.
    pub deaths: Vec<DeadJob>,
}

impl Settlement {
    /// Jobs and payloads whose end it reports.
    pub fn ended(&self) -> u64 {
        self.processed + self.uncounted
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.processed == 0
            && self.failed == 0
            && self.moves.is_empty()
            && self.singles.is_empty()
            && self.wholes.is_empty()
    }
}

/// The constant part of a shard's turns.
#[derive(Debug, Clone)]
pub struct TurnContext {
    /// The shard's queues; positions in [`Settlement`] and [`TurnReply`] refer to these.
    pub queues: Rc<[QueueKeys]>,
    /// Whether what is fetched stays in flight in Redis until it is settled.
    pub keep_in_flight: bool,
    /// Entries the dead set keeps.
    pub dead_jobs_max: Cell<u64>,
    /// How long an entry stays in the dead set, in seconds.
    pub dead_timeout_s: Cell<f64>,
}

/// The variable part of one turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Its number: larger than that of any turn before.
    pub number: u64,
    /// The number of the turn before, if its reply is still owed; else 0. Should that one fail, this one will not run.
    pub after: u64,
    /// How many jobs are wanted; 0 fetches nothing.
    pub wanted: usize,
    /// The order in which queues are served: positions.
    pub order: &'a [usize],
    /// What is settled.
    pub settled: &'a Settlement,
    /// Unix seconds now, for trimming the dead set.
    pub now: f64,
}

/// What one turn brought.
#[derive(Debug)]
pub struct TurnReply {
    /// What came, queue by queue.
    pub fetched: Vec<Fetched>,
}

/// What came from one queue.
#[derive(Debug)]
pub struct Fetched {
    /// The queue's position.
    pub queue: usize,
    /// The payloads, oldest first.
    pub payloads: Vec<Bytes>,
    /// How many payloads were too large; they lie in the oversize list.
    pub oversize: usize,
    /// Why nothing could be taken from this queue, for example that its key is no list.
    pub error: Option<String>,
}

impl TurnContext {
    /// Appends the call of `turn`.
    pub fn write(&self, scripts: &Scripts, turn: &Turn<'_>, requests: &mut Requests) {
        let settled = turn.settled;
        let keys_count = 5 + 2 * turn.order.len();
        let args = 13 + 6 * settled.moves.len() + 3 * settled.singles.len() + 2 * settled.wholes.len();
        // Position of a queue -> its pair in KEYS, from 1.
        let pair = |queue: usize| 1 + turn.order.iter().position(|&at| at == queue).unwrap_or(0) as u64;
        let mut command = scripts.begin(Script::Turn, keys_count, args, requests);
        let realm = scripts.realm();
        for key in [&realm.processed, &realm.failures, &realm.retries, &realm.dead] {
            command.arg(key.as_bytes());
        }
        command.arg(&self.queues[0].index);
        for &queue in turn.order {
            command.arg(&self.queues[queue].list).arg(&self.queues[queue].index);
        }
        command.arg_u64(turn.number).arg_u64(turn.wanted as u64);
        command.arg_u64(BATCH_BYTES_MAX as u64).arg_u64(PAYLOAD_BYTES_MAX as u64);
        command.arg_u64(settled.processed).arg_u64(settled.failed);
        command.arg_f64(turn.now - self.dead_timeout_s.get()).arg_u64(self.dead_jobs_max.get());
        command.arg(if self.keep_in_flight { b"1" } else { b"0" });
        command.arg_u64(turn.after);
        command.arg_u64(settled.moves.len() as u64);
        for job in &settled.moves {
            command.arg_u64(pair(job.from.0));
            arg_batch(&mut command, job.from.1);
            command.arg(&job.raw).arg(if job.to == Destination::Dead { b"d" } else { b"r" });
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
    }
}

fn arg_batch(command: &mut crate::resp::Command<'_>, batch: BatchName) {
    match batch {
        BatchName::Turn(number) => command.arg_u64(number),
        BatchName::Wait => command.arg(keys::WAIT_LIST_BATCH.as_bytes()),
    };
}

impl TurnReply {
    /// Reads the reply to a turn that served queues in `order`.
    ///
    /// # Errors
    /// What is wrong with the reply's shape: a bug, or not our script.
    pub fn read(reply: &Reply, order: &[usize]) -> Result<Self, String> {
        let Value::Array(mut elements) = reply.value() else {
            return Err(format!("a turn answered {:?}", reply.value()));
        };
        let mut fetched = Vec::with_capacity(elements.len() / 2);
        while let Some(pair) = elements.next() {
            let queue = match pair {
                Value::Integer(pair) => {
                    usize::try_from(pair).ok().and_then(|pair| order.get(pair.checked_sub(1)?)).copied()
                }
                _ => None,
            };
            let Some(queue) = queue else { return Err(format!("a turn named pair {pair:?}")) };
            let mut from = Fetched { queue, payloads: Vec::new(), oversize: 0, error: None };
            match elements.next() {
                Some(Value::Array(jobs)) => {
                    from.payloads.reserve(jobs.len());
                    for job in jobs {
                        match job {
                            Value::Bulk(payload) => from.payloads.push(reply.slice(payload)),
                            Value::Integer(_) => from.oversize += 1,
                            other => return Err(format!("a turn answered {other:?} for a job")),
                        }
                    }
                }
                Some(Value::Bulk(text) | Value::Simple(text)) => {
                    from.error = Some(String::from_utf8_lossy(text).into_owned());
                }
                other => return Err(format!("a turn answered {other:?} for a queue's jobs")),
            }
            fetched.push(from);
        }
        Ok(Self { fetched })
    }
}
