//! What happens to a shard's in-flight jobs outside turns: waiting for one, handing back, finding out where things stand
//! after a lost connection, and burying what is too large.

use bytes::Bytes;

use super::scripts::{Script, Scripts};
use super::turn::{BatchName, QueueKeys};
use crate::limits::{HAND_BACK_BYTES_MAX, LEFT_FENCE};
use crate::resp::{Error, Reply, Requests};
use crate::wire::in_flight;

/// Appends a question that only shows whether the connection is still alive.
pub fn prove(requests: &mut Requests) {
    requests.command(&[b"PING"]);
}

/// Appends a blocking move of one job from the queue's right end into the shard's wait list; it waits up to
/// `timeout_s` seconds. The reply is the payload, or nil.
///
/// Atomic: Redis moves the job before it answers, so a job whose reply is lost is in the wait list.
pub fn wait_for_one(queue: &QueueKeys, timeout_s: u64, requests: &mut Requests) {
    let mut command = requests.begin(6);
    command.arg(b"BLMOVE").arg(&queue.list).arg(&queue.wait_list).arg(b"RIGHT").arg(b"RIGHT");
    command.arg_u64(timeout_s);
}

/// Appends the question how many jobs are in the shard's wait list of this queue. The reply is an integer.
pub fn count_waiting(queue: &QueueKeys, requests: &mut Requests) {
    requests.command(&[b"LLEN", &queue.wait_list]);
}

/// Appends a blocking pop of one job from the first queue that has one, for at most once: nothing keeps the job. The reply
/// is an array of the list's key and the payload, or nil.
pub fn wait_for_any<'q>(
    queues: impl ExactSizeIterator<Item = &'q QueueKeys>,
    timeout_s: u64,
    requests: &mut Requests,
) {
    let mut command = requests.begin(2 + queues.len());
    command.arg(b"BRPOP");
    for queue in queues {
        command.arg(&queue.list);
    }
    command.arg_u64(timeout_s);
}

/// Appends the question for this connection's id, by which [`unblock`] names it. The reply is an integer.
pub fn ask_connection_id(requests: &mut Requests) {
    requests.command(&[b"CLIENT", b"ID"]);
}

/// Appends the order to end the wait of another connection: its blocking call answers nil. The reply is 1, or 0 if it was
/// not waiting.
pub fn unblock(connection_id: u64, requests: &mut Requests) {
    let mut command = requests.begin(3);
    command.arg(b"CLIENT").arg(b"UNBLOCK").arg_u64(connection_id);
}

/// What a shard knows about the jobs of one batch.
#[derive(Debug, Default)]
pub struct Known {
    /// They run, or will be started: they stay in flight.
    pub keep: Vec<Bytes>,
    /// They are settled, and their ack may not have arrived.
    pub settled: Vec<Bytes>,
}

/// Appends the call that makes a batch list agree with what its shard knows: `known.keep` stays, `known.settled` goes,
/// everything else returns to the queue. [`read_handed_back`] reads the reply. Atomic, and safe to repeat.
///
/// `number` is from the series that numbers turns; the call is refused once a later turn has run, or a new connection has
/// [`resume`]d: an outdated call would take jobs for unknown that have since come to a wait list, and run.
pub fn reconcile(
    scripts: &Scripts,
    number: u64,
    home: &QueueKeys,
    queue: &QueueKeys,
    batch: BatchName,
    known: &Known,
    requests: &mut Requests,
) {
    let args = 5 + known.keep.len() + known.settled.len();
    let mut command = scripts.begin(Script::Reconcile, 4, args, requests);
    command.arg(&queue.list).arg(&queue.index).arg(&queue.batch(batch)).arg(&home.index);
    match batch {
        BatchName::Turn(number) => command.arg_u64(number),
        BatchName::Wait => command.arg(in_flight::WAIT_LIST_BATCH.as_bytes()),
    };
    command.arg_u64(number).arg_u64(HAND_BACK_BYTES_MAX as u64);
    for payloads in [&known.keep, &known.settled] {
        command.arg_u64(payloads.len() as u64);
        for payload in payloads {
            command.arg(payload);
        }
    }
}

/// Appends the end of a shard that has nothing in flight: what is left unseen in its wait lists and oversize lists returns
/// to the queues, and its keys are removed; with `fence` a fence takes their place, against calls on connections that were
/// given up. [`read_handed_back`] reads the reply. Atomic; `number` as for [`reconcile`].
pub fn leave(scripts: &Scripts, number: u64, queues: &[QueueKeys], fence: bool, requests: &mut Requests) {
    let mut command = scripts.begin(Script::Leave, 1 + 4 * queues.len(), 3, requests);
    command.arg(&queues[0].index);
    for queue in queues {
        command.arg(&queue.list).arg(&queue.index).arg(&queue.wait_list).arg(&queue.oversize);
    }
    command.arg_u64(number).arg_u64(if fence { LEFT_FENCE.as_secs() } else { 0 });
    command.arg_u64(HAND_BACK_BYTES_MAX as u64);
}

/// Jobs that went back to their queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedBack {
    /// How many.
    pub jobs: u64,
    /// More are to go back, by another call: they would have taken more than [`HAND_BACK_BYTES_MAX`].
    pub more: bool,
}

/// Reads the reply to [`reconcile`] or [`leave`].
///
/// # Errors
/// If the reply is an error, or no integer.
pub fn read_handed_back(reply: &Reply) -> Result<HandedBack, Error> {
    let count = reply.as_integer()?;
    Ok(HandedBack { jobs: count.unsigned_abs(), more: count < 0 })
}

/// Appends the question which turn ran last. From then on no turn and no other call up to `number` will run, which is the
/// highest number the shard has given to one: what is still on connections it gave up is void. The reply is the number of
/// the last turn, 0 if none has run. Atomic.
pub fn resume(scripts: &Scripts, home: &QueueKeys, number: u64, requests: &mut Requests) {
    let mut command = scripts.begin(Script::Resume, 1, 1, requests);
    command.arg(&home.index).arg_u64(number);
}

/// Appends the question which batches Redis counts as in flight for this shard and queue; [`read_batches`] reads the reply.
pub fn list_batches(queue: &QueueKeys, requests: &mut Requests) {
    requests.command(&[b"HKEYS", &queue.index]);
}

/// The numbers of the batches in the reply to [`list_batches`].
///
/// # Errors
/// If the reply is not an array of names.
pub fn read_batches(reply: &Reply) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    for name in reply.as_array()? {
        let name = name.as_bulk()?;
        // The other fields are numbers of turns: the last one, and the last one refused.
        if let Some(number) = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// Appends the reading of a batch, at most so many of its jobs; [`read_jobs`] reads the reply.
pub fn list_jobs(queue: &QueueKeys, batch: BatchName, jobs_max: usize, requests: &mut Requests) {
    let mut command = requests.begin(4);
    command.arg(b"LRANGE").arg(&queue.batch(batch)).arg(b"0");
    command.arg_u64(jobs_max.saturating_sub(1) as u64);
}

/// The payloads in the reply to [`list_jobs`].
///
/// # Errors
/// If the reply is not an array of payloads.
pub fn read_jobs(reply: &Reply) -> Result<Vec<&[u8]>, Error> {
    reply.as_array()?.map(|payload| payload.as_bulk()).collect()
}

/// Appends a push of one payload to the right end of its queue, where it is taken next: this is how a job that nothing in
/// Redis holds (at most once) is handed back unstarted.
pub fn push_back(queue: &QueueKeys, payload: &[u8], requests: &mut Requests) {
    requests.command(&[b"RPUSH", &queue.list, payload]);
}

/// Appends the question for the oldest payload of an oversize list. The reply is its bytes as a bulk string, or nil.
pub fn read_oversize(queue: &QueueKeys, requests: &mut Requests) {
    requests.command(&[b"LINDEX", &queue.oversize, b"0"]);
}

/// A payload that will not be run, and the entry it gets in the dead set.
#[derive(Debug)]
pub struct Burial<'a> {
    /// Size of the payload as it was read.
    pub bytes: usize,
    /// The dead entries: one, or parts of one that would be too large.
    pub entries: &'a [Vec<u8>],
    /// Time of death, Unix seconds.
    pub now: f64,
    /// Score below which dead entries are trimmed.
    pub cutoff: f64,
    /// How many entries the dead set keeps.
    pub dead_jobs_max: u64,
}

/// How a burial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buried {
    /// The payload is in the dead set, and counted as failed.
    Counted,
    /// It is in the dead set, but the failures counter is spoilt.
    Uncounted,
    /// It was already buried.
    Before,
}

/// Reads the reply to [`bury`].
///
/// # Errors
/// If the reply is an error, or not an integer. Then nothing was changed.
pub fn read_burial(reply: &Reply) -> Result<Buried, Error> {
    Ok(match reply.as_integer()? {
        1 => Buried::Counted,
        2 => Buried::Uncounted,
        _ => Buried::Before,
    })
}

/// Appends the burial of the oldest payload of an oversize list. [`read_burial`] reads the reply.
pub fn bury(scripts: &Scripts, queue: &QueueKeys, burial: &Burial<'_>, requests: &mut Requests) {
    bury_from(scripts, &queue.oversize, burial, requests);
}

/// The same, from another list.
pub(super) fn bury_from(scripts: &Scripts, list: &[u8], burial: &Burial<'_>, requests: &mut Requests) {
    let mut command = scripts.begin(Script::Bury, 3, 4 + burial.entries.len(), requests);
    let realm = scripts.realm();
    command.arg(list).arg(realm.dead.as_bytes()).arg(realm.failures.as_bytes());
    command.arg_u64(burial.bytes as u64).arg_f64(burial.now);
    command.arg_f64(burial.cutoff).arg_u64(burial.dead_jobs_max);
    for entry in burial.entries {
        command.arg(entry);
    }
}
