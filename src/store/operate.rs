//! What an operator does to jobs in queues and sets: move them to their queues or to the dead set, or delete them.
//!
//! Each call names entries that [`super::entries`] has read, and acts on those that are still there. It is one script: a
//! job that moves is in at least one of the two places at every instant (P1), and a job that a poller or a worker took in
//! the meantime is left alone. Payloads stay unchanged, byte for byte, except for the reason that a killed one gets. Jobs
//! in flight are never touched from here.

use super::entries::{Entry, Place, Set, natural};
use super::scripts::{Script, Scripts};
use crate::limits::{ENTRY_HEAD_BYTES, ENTRY_NAMED_WHOLE_BYTES_MAX, HEARTBEAT_LIFE_LEFT_MIN};
use crate::resp::{Command, Error, Reply, Requests};
use crate::wire::DEFAULT_QUEUE;

/// What became of a job on its way to its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requeued {
    /// It is in the queue of this key.
    Moved(String),
    /// It was no longer in the set.
    Gone,
    /// It is still in the set: the key of its queue, this one, is not a list.
    Held(String),
    /// It is still in the set: no worker may be given the queue of this key.
    Unservable(String),
}

/// A job on its way to its queue.
#[derive(Debug, Clone)]
pub struct Revived<'e> {
    /// As it is in its set.
    pub entry: &'e Entry,
    /// The name of its queue; `None`: nobody here could read it.
    pub queue: Option<Vec<u8>>,
    /// What is pushed; `None`: its own bytes.
    pub exact: Option<Vec<u8>>,
}

/// Appends the move of jobs from a set to their queues, where the poller would put them. [`read_requeued`] reads the reply.
/// Atomic.
pub fn requeue(scripts: &Scripts, set: Set, jobs: &[Revived<'_>], requests: &mut Requests) {
    let mut command = scripts.begin(Script::Requeue, 1, 2 + (ENTRY_ARGS + 3) * jobs.len(), requests);
    let realm = scripts.realm();
    let default = realm.queue().unwrap_or(DEFAULT_QUEUE);
    command.arg(set.key_in(realm).as_bytes()).arg(default.as_bytes());
    command.arg(realm.keys().names().list_prefix.as_bytes());
    for job in jobs {
        name_entry(&mut command, job.entry);
        let queue = job.queue.as_deref();
        command.arg(
            queue.map_or(b"".as_slice(), |queue| if queue.is_empty() { default.as_bytes() } else { queue }),
        );
        command.arg_u64(u64::from(job.exact.is_some())).arg(job.exact.as_deref().unwrap_or_default());
    }
}

/// Reads the reply to [`requeue`], one for each job.
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_requeued(reply: &Reply) -> Result<Vec<Requeued>, Error> {
    let mut parts = reply.as_array()?;
    let mut requeued = Vec::with_capacity(parts.len() / 2);
    while let (Some(done), Some(key)) = (parts.next(), parts.next()) {
        let key = String::from_utf8_lossy(key.as_bulk()?).into_owned();
        requeued.push(match done.as_integer()? {
            1 => Requeued::Moved(key),
            0 => Requeued::Gone,
            -2 => Requeued::Unservable(key),
            _ => Requeued::Held(key),
        });
    }
    Ok(requeued)
}

/// What the dead set keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeadSetCaps {
    /// Entries.
    pub jobs_max: u64,
    /// Seconds after a death.
    pub timeout_s: u64,
}

/// What became of jobs on their way to the dead set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// For each, whether it was still in its set, and so was moved.
    pub moved: Vec<bool>,
    /// Dead entries that were trimmed, including these if they are too many.
    pub trimmed: u64,
}

/// A job on its way to the dead set.
#[derive(Debug, Clone)]
pub struct Condemned<'e> {
    /// As it is in its set.
    pub entry: &'e Entry,
    /// What it becomes in the dead set; `None`: it stays unchanged.
    pub dead: Option<Vec<u8>>,
}

/// Appends the move of jobs from the retry set or the scheduled set to the dead set, which is then trimmed
/// as after a death if there are `caps`. [`read_killed`] reads the reply. Atomic.
pub fn kill(
    scripts: &Scripts,
    set: Set,
    jobs: &[Condemned<'_>],
    caps: Option<DeadSetCaps>,
    requests: &mut Requests,
) {
    // More entries, and more seconds, than there can be.
    const ALL: DeadSetCaps = DeadSetCaps { jobs_max: 1 << 40, timeout_s: 1 << 40 };
    let caps = caps.unwrap_or(ALL);
    let mut command = scripts.begin(Script::Kill, 2, 2 + (ENTRY_ARGS + 1) * jobs.len(), requests);
    let realm = scripts.realm();
    command.arg(set.key_in(realm).as_bytes()).arg(realm.dead.as_bytes());
    command.arg_u64(caps.timeout_s).arg_u64(caps.jobs_max);
    for job in jobs {
        name_entry(&mut command, job.entry);
        command.arg(job.dead.as_deref().unwrap_or_default());
    }
}

/// Reads the reply to [`kill`].
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_killed(reply: &Reply) -> Result<Killed, Error> {
    let mut parts = reply.as_array()?;
    let trimmed = natural(&parts.next().ok_or_else(|| reply.value().instead_of("a count and flags"))?)?;
    let moved = parts.map(|done| Ok(done.as_integer()? == 1)).collect::<Result<_, Error>>()?;
    Ok(Killed { moved, trimmed })
}

/// Appends the deletion of jobs. [`read_deleted`] reads the reply. Atomic.
pub fn delete(scripts: &Scripts, place: &Place, jobs: &[&Entry], requests: &mut Requests) {
    let mut command = scripts.begin(Script::Delete, 1, 1 + ENTRY_ARGS * jobs.len(), requests);
    command.arg(&place.key_in(scripts.realm())).arg(place.kind().as_bytes());
    for job in jobs {
        name_entry(&mut command, job);
    }
}

/// Reads the reply to [`delete`]: for each job whether it was still there.
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_deleted(reply: &Reply) -> Result<Vec<bool>, Error> {
    reply.as_array()?.map(|done| Ok(done.as_integer()? == 1)).collect()
}

/// Arguments that name an entry to a script: see `scripts/seen.lua`.
const ENTRY_ARGS: usize = 5;

/// A large one of a set by its ends. In a list that would not find it again once others were pushed.
fn name_entry(command: &mut Command<'_>, entry: &Entry) {
    let (bytes, len) = (&entry.bytes, entry.bytes.len());
    command.arg_u64(entry.newer);
    match entry.score {
        Some(score) => command.arg_f64(score),
        None => command.arg(b""),
    };
    command.arg_u64(entry.size);
    if entry.score.is_some() && entry.is_whole() && len > ENTRY_NAMED_WHOLE_BYTES_MAX {
        command.arg(&bytes[..ENTRY_HEAD_BYTES]).arg(&bytes[len - ENTRY_HEAD_BYTES..]);
    } else {
        command.arg(bytes).arg(b"");
    }
}

/// A key that is deleted as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pruned {
    /// All jobs of a place.
    Jobs(Place),
    /// The counter of failed jobs.
    Failures,
    /// The counter of jobs that ran.
    Processed,
}

/// Appends the deletion of a whole key. [`read_pruned`] reads the reply. Atomic; the memory is freed in the background.
pub fn prune(scripts: &Scripts, what: &Pruned, requests: &mut Requests) {
    let realm = scripts.realm();
    let (key, kind) = match what {
        Pruned::Jobs(place) => (place.key_in(realm), place.kind()),
        Pruned::Failures => (realm.failures.as_bytes().to_vec(), "string"),
        Pruned::Processed => (realm.processed.as_bytes().to_vec(), "string"),
    };
    scripts.begin(Script::Prune, 1, 1, requests).arg(&key).arg(kind.as_bytes());
}

/// Reads the reply to [`prune`]: how many entries there were, or the value of the counter.
///
/// # Errors
/// If the reply is an error, also for a key of another type, or not an integer.
pub fn read_pruned(reply: &Reply) -> Result<u64, Error> {
    natural(&reply.value())
}

/// Appends the deletion of a heartbeat key, unless its process is alive: its key then has more than
/// [`HEARTBEAT_LIFE_LEFT_MIN`] left to live. The reply is 1 or 0. Atomic.
pub fn forget_process(scripts: &Scripts, heartbeat_key: &str, requests: &mut Requests) {
    let left_ms = HEARTBEAT_LIFE_LEFT_MIN.as_millis() as u64;
    scripts.begin(Script::Forget, 1, 1, requests).arg(heartbeat_key.as_bytes()).arg_u64(left_ms);
}

#[cfg(test)]
mod tests;
