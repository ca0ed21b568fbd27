//! Due jobs: moving them to their queues, and which of the pollers wakes for each of them.
//!
//! The lead is one of [`super::lead`], which a look takes and keeps in passing. Any poller may move due jobs at any time:
//! each move is atomic, and the lead only spares Redis a herd at each due job.
//!
//! The leader learns what others add: on a connection that tracks keys, a change to a key that was read there brings one
//! push, until the key is read again. Reads inside a script count: they track all keys that were passed to the script.

use std::time::Duration;

use bytes::Bytes;

use super::cron;
use super::entries::{Entry, Set};
use super::lead;
use super::operate::{self, Condemned, DeadSetCaps};
use super::scripts::{Script, Scripts};
use crate::balance::Pace;
use crate::job::{Schema, text_of_head};
use crate::limits::{
    DUE_AGAIN, DUE_BYTES_MAX, DUE_JOBS_MAX, DUE_PAGE_JOBS, ENTRY_HEAD_BYTES, PAYLOAD_BYTES_MAX,
};
use crate::resp::{Error, Reply, Requests};
use crate::wire::DEFAULT_QUEUE;

/// The process that looks.
#[derive(Debug, Clone, Copy)]
pub struct DueLook<'a> {
    /// The process.
    pub uuid: &'a str,
    /// How long it leads from now on, if it does.
    pub lead: Duration,
    /// Whether it may already be leading. A process that surely does not lead takes the lead only if no one has it, and is
    /// spared a question.
    pub may_lead: bool,
    /// A job that the script could not read, if its first look was at one ([`Due::unread`]).
    pub told: Option<&'a FirstJob>,
    /// Queues whose due jobs have a pace.
    pub paces: &'a [Pace],
}

/// A due job that was read here: to find its queue in megabytes of numbers would hold Redis up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstJob {
    set: Set,
    size: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
    queue: Vec<u8>,
}

impl FirstJob {
    /// Reads the reply to [`read_first`]; `None`: the set is empty.
    ///
    /// # Errors
    /// If the reply is an error, or no array of bytes.
    pub fn read(schema: Schema, set: Set, reply: &Reply) -> Result<Option<Self>, Error> {
        let Some(first) = reply.as_array()?.next() else { return Ok(None) };
        let job = first.as_bulk()?;
        let end = job.len().min(ENTRY_HEAD_BYTES);
        let queue = text_of_head(job, schema.names().queue).filter(|queue| !queue.is_empty());
        Ok(Some(Self {
            set,
            size: job.len() as u64,
            head: job[..end].to_vec(),
            tail: job[job.len() - end..].to_vec(),
            queue: queue.unwrap_or_default(),
        }))
    }
}

/// What one look at the retry set and the scheduled set brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Jobs moved to their queues.
    pub moved: u64,
    /// More are already due.
    pub more: bool,
    /// Milliseconds until the next job is due; `None` if there is no next job.
    pub next_ms: Option<u64>,
    /// Jobs that were put off, because the key of their queue is not a list.
    pub held: u64,
    /// The key of such a queue; empty if there is none.
    pub broken: String,
    /// Whether the process leads the pollers.
    pub leads: bool,
    /// The first job of this set is to be read by the caller ([`read_first`]), and told at the next look.
    pub unread: Option<Set>,
    /// When the first periodic job is due.
    pub tick: Option<NextTick>,
    /// Jobs that were put off until they are buried: no worker may be given the queue that they name.
    pub unservable: Vec<Unservable>,
}

/// When the first periodic job is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextTick {
    /// Unix milliseconds by the clock of Redis.
    pub at: i64,
    /// How long until then, at the moment of the look.
    pub in_ms: u64,
}

/// A due job that names a queue which no worker may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unservable {
    /// The set in which it lies.
    pub set: Set,
    /// The name, of any bytes.
    pub name: Bytes,
    /// The job.
    pub job: Bytes,
}

/// Appends the move of due jobs, at most [`DUE_JOBS_MAX`] and about [`DUE_BYTES_MAX`] from each set, to their queues.
/// Atomic: at no moment is a job nowhere. [`read_due`] reads the reply.
pub fn move_due(scripts: &Scripts, look: DueLook<'_>, requests: &mut Requests) {
    let realm = scripts.realm();
    // In a cluster only that of its own queue.
    let paces = || look.paces.iter().filter(|pace| realm.queue().is_none_or(|queue| queue == pace.queue));
    let (has_pace, paced) = (paces().next().is_some(), 2 * paces().count());
    let mut command = scripts.begin(Script::Due, 4 + usize::from(has_pace), 15 + paced, requests);
    command.arg(realm.lead.as_bytes()).arg(realm.retries.as_bytes()).arg(realm.scheduled.as_bytes());
    command.arg(realm.cron.ticks.as_bytes());
    if has_pace {
        command.arg(realm.paces().as_bytes());
    }
    let default = realm.queue().unwrap_or(DEFAULT_QUEUE);
    let prefix = realm.keys().names().list_prefix;
    command.arg_u64(DUE_JOBS_MAX as u64).arg(default.as_bytes()).arg(prefix.as_bytes());
    command.arg_u64(DUE_BYTES_MAX as u64).arg_u64(DUE_AGAIN.as_secs()).arg_u64(DUE_PAGE_JOBS as u64);
    command.arg(look.uuid.as_bytes()).arg_u64(lead::millis(look.lead)).arg_u64(u64::from(look.may_lead));
    command.arg_u64(PAYLOAD_BYTES_MAX as u64);
    match look.told {
        None => command.arg_u64(0).arg_u64(0).arg(b"").arg(b"").arg(b""),
        Some(FirstJob { set, size, head, tail, queue }) => {
            let queue = if queue.is_empty() { default.as_bytes() } else { queue };
            command.arg_u64(if *set == Set::Retries { 2 } else { 3 });
            command.arg_u64(*size).arg(head).arg(tail).arg(queue)
        }
    };
    for Pace { queue, per_second } in paces() {
        command.arg(queue.as_bytes()).arg_f64(*per_second);
    }
}

/// Appends the reading of the first job of a set. [`FirstJob::read`] reads the reply.
pub fn read_first(scripts: &Scripts, set: Set, requests: &mut Requests) {
    requests.command(&[b"ZRANGE", set.key_in(scripts.realm()).as_bytes(), b"0", b"0"]);
}

/// Reads the reply to [`move_due`].
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_due(reply: &Reply) -> Result<Due, Error> {
    let mut parts = reply.as_array()?;
    let mut part =
        || parts.next().ok_or_else(|| reply.value().instead_of("nine values, and three for each job"));
    let (moved, more, next_ms) = (part()?, part()?, part()?);
    let (held, broken, leads, unread) = (part()?, part()?, part()?, part()?);
    let (tick, tick_ms) = (part()?, part()?);
    let mut unservable = Vec::new();
    while let Some(set) = parts.next() {
        let mut part = || parts.next().ok_or_else(|| reply.value().instead_of("three values for each job"));
        let set = if set.as_integer()? == 2 { Set::Retries } else { Set::Scheduled };
        let (name, job) = (part()?, part()?);
        unservable.push(Unservable {
            set,
            name: reply.slice(name.as_bulk()?),
            job: reply.slice(job.as_bulk()?),
        });
    }
    Ok(Due {
        moved: u64::try_from(moved.as_integer()?).unwrap_or(0),
        more: more.as_bulk()? == b"1",
        next_ms: u64::try_from(next_ms.as_integer()?).ok(),
        held: u64::try_from(held.as_integer()?).unwrap_or(0),
        broken: String::from_utf8_lossy(broken.as_bulk()?).into_owned(),
        leads: leads.as_integer()? == 1,
        unread: match unread.as_integer()? {
            2 => Some(Set::Retries),
            3 => Some(Set::Scheduled),
            _ => None,
        },
        tick: cron::score(tick.as_bulk()?)
            .map(|at| {
                Ok::<_, Error>(NextTick { at, in_ms: u64::try_from(tick_ms.as_integer()?).unwrap_or(0) })
            })
            .transpose()?,
        unservable,
    })
}

/// Appends the move of jobs of one set, each with its dead entry, to the dead set, and its trimming to these caps.
/// [`operate::read_killed`] reads the reply. Atomic; those that are gone meanwhile are left alone.
pub fn bury(
    scripts: &Scripts,
    set: Set,
    jobs: Vec<(&Unservable, Vec<u8>)>,
    caps: DeadSetCaps,
    requests: &mut Requests,
) {
    let entry = |job: &Bytes| Entry { newer: 0, size: job.len() as u64, score: None, bytes: job.clone() };
    let entries: Vec<(Entry, Vec<u8>)> =
        jobs.into_iter().map(|(job, dead)| (entry(&job.job), dead)).collect();
    let condemned: Vec<Condemned<'_>> =
        entries.iter().map(|(entry, dead)| Condemned { entry, dead: Some(dead.clone()) }).collect();
    operate::kill(scripts, set, &condemned, Some(caps), requests);
}

/// Appends the request to be told of changes to keys that are read on this connection: RESP3, and tracking, also of what
/// this connection changes itself. A map and `OK` answer, or an error each: the user may not, or the server cannot.
pub fn listen(requests: &mut Requests) {
    requests.command(&[b"HELLO", b"3"]);
    requests.command(&[b"CLIENT", b"TRACKING", b"ON"]);
}

/// Appends a look and a change to what it reads, the lead, which is thereby renewed: one that listens hears it, and from
/// then on not what this connection changes itself. Safe to repeat, as when the script has to be loaded first. Four replies.
pub fn ring(scripts: &Scripts, look: DueLook<'_>, requests: &mut Requests) {
    let lasts = look.lead;
    // Without it a repetition would not hear its own change.
    requests.command(&[b"CLIENT", b"TRACKING", b"ON"]);
    move_due(scripts, look, requests);
    lead::renew(&scripts.realm().lead, lasts, requests);
    requests.command(&[b"CLIENT", b"TRACKING", b"ON", b"NOLOOP"]);
}

/// Appends the request to report nothing further. The reply is `OK`.
pub fn stop_listening(requests: &mut Requests) {
    requests.command(&[b"CLIENT", b"TRACKING", b"OFF"]);
}

#[cfg(test)]
mod tests;
