//! The lists of jobs that Ruby servers have in progress: finding them, and putting back those of dead servers. The same
//! walk finds in-flight jobs of our own processes that no lease names, because a fail-over lost it.
//!
//! The gem has no registry of servers or lists, so both are found by walking over the keys. Its own requeuer stops at the
//! first empty page and so, next to other keys, takes living servers for dead; this one goes to the end. Not responsible
//! for deciding who is dead (`control`).
//!
//! The scripts are called by their text rather than by hash: a few calls a minute in a whole fleet do not justify loading
//! them into each connection of each shard.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use thiserror::Error;

use super::register;
use crate::limits::{
    BATCH_BYTES_MAX, LEASE_SHARDS_MAX, QUEUES_MAX, RUBY_KEYS_MAX, RUBY_RESCUE_JOBS_MAX, SCAN_PAGE_KEYS,
};
use crate::net;
use crate::resp::{self, Reply, Requests};
use crate::wire::heartbeat_key::Poller;
use crate::wire::keys::{InFlightKey, ListKey, Register};
use crate::wire::{Keyspace, heartbeat_key, in_flight, lease};

/// Length of a server's uuid: lower-case hex digits.
const UUID_BYTES: usize = 12;

/// A look failed. [`net::Error::may_heal`] of a source says whether to try again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LookError {
    /// Redis, or the connection.
    #[error(transparent)]
    Redis(#[from] net::Error),
    /// More heartbeats, leases and lists than any fleet has: without seeing all of them, none can be called dead.
    #[error(
        "more than {RUBY_KEYS_MAX} heartbeats, leases and lists of jobs in progress or in flight; \
         stale ones are found with SCAN 0 MATCH {pattern}"
    )]
    TooManyKeys {
        /// The pattern that was searched for.
        pattern: &'static str,
    },
}

impl From<resp::Error> for LookError {
    fn from(error: resp::Error) -> Self {
        Self::Redis(error.into())
    }
}

/// A list of jobs that a Ruby server has taken and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InProgress {
    /// The queue they came from.
    pub queue: String,
    /// The server, as its heartbeat key names it.
    pub uuid: String,
}

/// The jobs in flight of one process of ours, as far as their keys reveal them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Queues that it served.
    pub queues: BTreeSet<String>,
    /// One more than the highest number of a shard.
    pub shards: usize,
    /// One of its lists, if there is any. A wait list may be a fence.
    pub list: Option<String>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub struct Seen {
    /// The servers (and processes of ours) with a heartbeat, and how long their stop may take, if their key says so: a
    /// stopping server removes its heartbeat first and keeps working on its jobs. Also processes with a lease, ended or
    /// not: those belong to the reaper.
    pub living: HashMap<String, Option<Duration>>,
    /// The lists of all servers, living or dead.
    pub lists: BTreeSet<InProgress>,
    /// Jobs in flight of all processes of ours, by their uuid.
    pub in_flight: BTreeMap<String, InFlight>,
    /// The heartbeat keys of servers with a poller and without a lease, by their uuid: Ruby's, or those of killed processes
    /// of ours.
    pub pollers: BTreeMap<String, String>,
}

/// Walks over all keys, page by page: send what [`Self::write`] appends, pass the reply to [`Self::accept`], until `write`
/// has nothing more.
///
/// One round trip for each [`SCAN_PAGE_KEYS`] keys of the whole database, and one for the leases. Nothing is atomic between
/// them; a key that is there all the time is found.
#[derive(Debug)]
pub struct Look {
    keys: Keyspace,
    step: Step,
    seen: Seen,
    /// What the last page had for the register: queues, processes.
    named: [Vec<Vec<u8>>; 2],
}

#[derive(Debug)]
enum Step {
    /// Over the keys; the cursor at which to continue.
    Scan {
        cursor: Vec<u8>,
    },
    /// Last, so that a process that has started meanwhile is not missed.
    Leases,
    Done,
}

impl Default for Step {
    fn default() -> Self {
        Self::Scan { cursor: b"0".to_vec() }
    }
}

impl Look {
    /// A walk over the keys of a database that are spelt this way.
    #[must_use]
    pub fn new(keys: Keyspace) -> Self {
        Self { keys, step: Step::default(), seen: Seen::default(), named: Default::default() }
    }

    /// Appends the next command; `false` if there is none and [`Self::finish`] may be called.
    pub fn write(&self, requests: &mut Requests) -> bool {
        match &self.step {
            Step::Scan { cursor } => {
                let mut command = requests.begin(6);
                command.arg(b"SCAN").arg(cursor).arg(b"MATCH");
                command.arg(self.keys.names().servers_pattern.as_bytes());
                command.arg(b"COUNT").arg_u64(SCAN_PAGE_KEYS);
            }
            Step::Leases => {
                let mut command = requests.begin(7);
                command
                    .arg(b"ZRANGEBYSCORE")
                    .arg(self.keys.names().leases.as_bytes())
                    .arg(b"-inf")
                    .arg(b"+inf");
                command.arg(b"LIMIT").arg_u64(0).arg_u64(RUBY_KEYS_MAX as u64 + 1);
            }
            Step::Done => return false,
        }
        true
    }

    /// Takes the reply to what [`Self::write`] appended last.
    ///
    /// # Errors
    /// [`LookError`]; the look must be started over.
    pub fn accept(&mut self, reply: &Reply) -> Result<(), LookError> {
        match &self.step {
            Step::Scan { .. } => self.accept_page(reply)?,
            Step::Leases => {
                for member in reply.as_array()? {
                    // Any other form is not ours.
                    let member = std::str::from_utf8(member.as_bulk()?).ok();
                    if let Some(lease) = member.and_then(lease::parse_lease_member) {
                        self.seen.living.entry(lease.uuid.to_owned()).or_default();
                        self.seen.pollers.remove(lease.uuid);
                    }
                }
                self.step = Step::Done;
            }
            Step::Done => {}
        }
        let Seen { living, lists, in_flight, .. } = &self.seen;
        let held = living.len() + lists.len() + in_flight.values().map(|of| of.queues.len()).sum::<usize>();
        if held > RUBY_KEYS_MAX {
            return Err(LookError::TooManyKeys { pattern: self.keys.names().servers_pattern });
        }
        Ok(())
    }

    fn accept_page(&mut self, reply: &Reply) -> Result<(), LookError> {
        self.named = Default::default();
        let mut parts = reply.as_array()?;
        let (Some(cursor), Some(page)) = (parts.next(), parts.next()) else {
            return Err(reply.value().instead_of("a cursor and a page of keys").into());
        };
        for key in page.as_array()? {
            // Neither the gem nor we write keys that are not text.
            if let Ok(key) = std::str::from_utf8(key.as_bulk()?) {
                self.seen.take_in(self.keys, key);
                if let Some((kind, name)) = register::Kind::of_key(self.keys, key) {
                    self.named[usize::from(kind == register::Kind::Processes)].push(name.as_bytes().to_vec());
                }
            }
        }
        let cursor = cursor.as_bulk()?;
        self.step = if cursor == b"0" { Step::Leases } else { Step::Scan { cursor: cursor.to_vec() } };
        Ok(())
    }

    /// Appends, after a page, the naming of its queues and processes at this Unix time. Each is answered by an integer.
    pub fn name(&mut self, register: &Register, at: f64, requests: &mut Requests) {
        for (kind, names) in register::Kind::ALL.into_iter().zip(&mut self.named) {
            register::name(register, kind, &std::mem::take(names), at, requests);
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Seen {
        self.seen
    }
}

impl Seen {
    fn take_in(&mut self, keys: Keyspace, key: &str) {
        if let Some(uuid) = heartbeat_key::server_uuid(key) {
            let parts = heartbeat_key::parse_heartbeat(key);
            if parts.is_some_and(|parts| parts.poller == Poller::Enabled) {
                self.pollers.insert(uuid.to_owned(), key.to_owned());
            }
            let stop = parts.map(|parts| Duration::from_secs(parts.timeout_s));
            self.living.insert(uuid.to_owned(), stop);
        } else if let Some(ListKey::InProgress { queue, uuid }) = keys.parse_list(key)
            && is_gems(queue, uuid)
        {
            self.lists.insert(InProgress { queue: queue.to_owned(), uuid: uuid.to_owned() });
        } else if let Some(found) = keys.parse_in_flight(key)
            && is_ours(&found)
        {
            let of_process = self.in_flight.entry(found.uuid.to_owned()).or_default();
            of_process.queues.insert(found.queue.to_owned());
            of_process.shards = of_process.shards.max(found.shard + 1);
            // A turn's list is certainly a list, and better evidence than a wait list.
            let witness = found.batch.is_some_and(|batch| batch != in_flight::WAIT_LIST_BATCH);
            if witness || (found.batch.is_some() && of_process.list.is_none()) {
                of_process.list = Some(key.to_owned());
            }
        }
    }
}

/// Whether a Ruby server can have written a list: the gem accepts no queue with a colon in its name.
fn is_gems(queue: &str, uuid: &str) -> bool {
    !queue.is_empty() && !queue.contains(':') && is_uuid(uuid)
}

/// Whether a process of ours can have written it.
fn is_ours(found: &InFlightKey<'_>) -> bool {
    is_uuid(found.uuid) && found.shard < LEASE_SHARDS_MAX && !found.queue.contains([':', ','])
}

fn is_uuid(uuid: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    uuid.len() == UUID_BYTES && uuid.bytes().all(hex)
}

/// What one call of [`rescue`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rescued {
    /// Jobs went back to their queue.
    Jobs {
        /// How many.
        moved: u64,
        /// How many the list still has.
        left: u64,
    },
    /// The list's key holds something else: it is not the gem's.
    NotAList,
    /// The queue's key holds something else: the jobs stay where they are.
    QueueNotAList,
}

/// Appends the move of some jobs of a dead server back to their queue, in their old order: at most
/// [`RUBY_RESCUE_JOBS_MAX`], and none after [`BATCH_BYTES_MAX`] bytes of payload. [`read_rescued`] reads the reply. Atomic:
/// at no moment is a job nowhere.
pub fn rescue(keys: Keyspace, list: &InProgress, requests: &mut Requests) {
    let mut command = requests.begin(7);
    command.arg(b"EVAL").arg(include_bytes!("scripts/ruby_rescue.lua")).arg_u64(2);
    command.arg(keys.gem_in_progress(&list.queue, &list.uuid).as_bytes());
    command.arg(keys.queue(&list.queue).as_bytes());
    command.arg_u64(RUBY_RESCUE_JOBS_MAX as u64).arg_u64(BATCH_BYTES_MAX as u64);
}

/// Reads the reply to [`rescue`].
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_rescued(reply: &Reply) -> Result<Rescued, resp::Error> {
    let mut parts = reply.as_array()?;
    let (Some(moved), Some(left)) = (parts.next(), parts.next()) else {
        return Err(reply.value().instead_of("two numbers"));
    };
    Ok(match (moved.as_integer()?, left.as_integer()?) {
        (-1, _) => Rescued::NotAList,
        (-2, _) => Rescued::QueueNotAList,
        (moved, left) => {
            Rescued::Jobs { moved: u64::try_from(moved).unwrap_or(0), left: u64::try_from(left).unwrap_or(0) }
        }
    })
}

/// Appends the order to give a process without a lease one that has already ended, so that a reaper takes its jobs: `None`
/// if its keys reveal no list, or more queues than a lease may name. [`read_adopted`] reads the reply. Atomic.
pub fn adopt(keys: Keyspace, uuid: &str, found: &InFlight, requests: &mut Requests) -> Option<()> {
    let list = found.list.as_ref()?;
    if found.queues.len() > QUEUES_MAX {
        return None;
    }
    let queues: Vec<&str> = found.queues.iter().map(String::as_str).collect();
    let member = lease::lease_member(uuid, found.shards, &queues);
    let mut command = requests.begin(6);
    command.arg(b"EVAL").arg(include_bytes!("scripts/adopt.lua")).arg_u64(2);
    command.arg(keys.names().leases.as_bytes()).arg(list.as_bytes()).arg(member.as_bytes());
    Some(())
}

/// Whether the process, because it had none, now has a lease that has ended.
///
/// # Errors
/// If the reply to [`adopt`] is an error, or not an integer.
pub fn read_adopted(reply: &Reply) -> Result<bool, resp::Error> {
    Ok(reply.as_integer()? == 1)
}

#[cfg(test)]
mod tests;
