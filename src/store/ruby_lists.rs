//! The lists of jobs that Ruby servers have in progress: finding them, and putting back those of dead servers.
//!
//! The gem has no registry of servers or lists, so both are found by walking over the keys. Its own requeuer stops at the
//! first empty page and so, beside other keys, takes living servers for dead; this one goes to the end. Not responsible
//! for who is dead (`control`).
//!
//! The two scripts are called by their text rather than by hash: some calls a minute in a whole fleet are not worth
//! loading them into each connection of each shard.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use thiserror::Error;

use crate::limits::{BATCH_BYTES_MAX, RUBY_KEYS_MAX, RUBY_RESCUE_JOBS_MAX, SCAN_PAGE_KEYS};
use crate::resp::{self, Reply, Requests};
use crate::wire::keys::{self, ListKey};

/// Length of a server's uuid: lower-case hex digits.
const UUID_BYTES: usize = 12;

/// A look came to no end. [`resp::Error::may_heal`] of a source says whether to try again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LookError {
    /// Redis, or the connection.
    #[error(transparent)]
    Redis(#[from] resp::Error),
    /// More heartbeats and lists than any fleet has: without all of them none can be called dead.
    #[error(
        "more than {RUBY_KEYS_MAX} heartbeats and lists in progress of ruby servers; \
         stale ones are found with SCAN 0 MATCH {}",
        keys::GEM_PATTERN
    )]
    TooManyKeys,
}

/// A list of jobs that a Ruby server has taken and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InProgress {
    /// The queue they came from.
    pub queue: String,
    /// The server, as its heartbeat key names it.
    pub uuid: String,
}

/// What a look has found.
#[derive(Debug, Default)]
pub struct Seen {
    /// The servers (and processes of ours) with a heartbeat, and how long a stop of theirs may take, where their key says
    /// it: a stopping server takes its heartbeat away first and goes on with its jobs.
    pub living: HashMap<String, Option<Duration>>,
    /// The lists of all servers, living or dead.
    pub lists: BTreeSet<InProgress>,
}

/// Walks over all keys, page by page: send what [`Self::write`] appends, hand the reply to [`Self::accept`], until `write`
/// has nothing more.
///
/// One round trip for each [`SCAN_PAGE_KEYS`] keys of the whole database. Nothing is atomic between them; a key that is
/// there all the time is found.
#[derive(Debug)]
pub struct Look {
    /// Where to go on; `None` when it has come round.
    cursor: Option<Vec<u8>>,
    seen: Seen,
}

impl Default for Look {
    fn default() -> Self {
        Self { cursor: Some(b"0".to_vec()), seen: Seen::default() }
    }
}

impl Look {
    /// Appends the next page's command; `false` if there is none and [`Self::finish`] may be called.
    pub fn write(&self, requests: &mut Requests) -> bool {
        let Some(cursor) = &self.cursor else { return false };
        let mut command = requests.begin(6);
        command.arg(b"SCAN").arg(cursor).arg(b"MATCH").arg(keys::GEM_PATTERN.as_bytes());
        command.arg(b"COUNT").arg_u64(SCAN_PAGE_KEYS);
        true
    }

    /// Takes the page that answers what [`Self::write`] appended last.
    ///
    /// # Errors
    /// [`LookError`]; the look must be begun anew.
    pub fn accept(&mut self, reply: &Reply) -> Result<(), LookError> {
        let mut parts = reply.as_array()?;
        let (Some(cursor), Some(page)) = (parts.next(), parts.next()) else {
            return Err(reply.value().instead_of("a cursor and a page of keys").into());
        };
        let cursor = cursor.as_bulk()?;
        self.cursor = (cursor != b"0").then(|| cursor.to_vec());
        for key in page.as_array()? {
            // Neither the gem nor we write keys that are no text.
            if let Ok(key) = std::str::from_utf8(key.as_bulk()?) {
                self.seen.take_in(key);
            }
        }
        let held = self.seen.living.len() + self.seen.lists.len();
        if held > RUBY_KEYS_MAX { Err(LookError::TooManyKeys) } else { Ok(()) }
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Seen {
        self.seen
    }
}

impl Seen {
    fn take_in(&mut self, key: &str) {
        if let Some(uuid) = keys::server_uuid(key) {
            let stop = keys::parse_heartbeat(key).map(|parts| Duration::from_secs(parts.timeout_s));
            self.living.insert(uuid.to_owned(), stop);
        } else if let Some(ListKey::InProgress { queue, uuid }) = keys::parse_list(key)
            && is_gems(queue, uuid)
        {
            self.lists.insert(InProgress { queue: queue.to_owned(), uuid: uuid.to_owned() });
        }
    }
}

/// Whether a Ruby server can have written a list: the gem takes no queue with a colon in its name.
fn is_gems(queue: &str, uuid: &str) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    !queue.is_empty() && !queue.contains(':') && uuid.len() == UUID_BYTES && uuid.bytes().all(hex)
}

/// Appends the request to lead for `length`, or to go on leading. [`read_lead`] reads the reply. Atomic.
pub fn lead(uuid: &str, length: Duration, requests: &mut Requests) {
    let mut command = requests.begin(6);
    command.arg(b"EVAL").arg(include_bytes!("scripts/ruby_lead.lua")).arg_u64(1);
    command.arg(keys::RUBY_LISTS_LEADER.as_bytes()).arg(uuid.as_bytes());
    command.arg_u64(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
}

/// Whether the process that asked leads.
///
/// # Errors
/// If the reply to [`lead`] is an error, or no integer.
pub fn read_lead(reply: &Reply) -> Result<bool, resp::Error> {
    Ok(reply.as_integer()? == 1)
}

/// What one call of [`rescue`] has done.
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
/// there is no moment in which a job is nowhere.
pub fn rescue(list: &InProgress, requests: &mut Requests) {
    let mut command = requests.begin(7);
    command.arg(b"EVAL").arg(include_bytes!("scripts/ruby_rescue.lua")).arg_u64(2);
    command.arg(keys::gem_in_progress(&list.queue, &list.uuid).as_bytes());
    command.arg(keys::queue(&list.queue).as_bytes());
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

#[cfg(test)]
mod tests;
