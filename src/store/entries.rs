//! Looking at the entries of a queue or a set, page by page.
//!
//! One call reads a bounded number of entries and bytes, so that neither Redis nor the reader holds a whole key, however
//! large its payloads are. Positions count from the newest entry: the head of a list, the highest score of a set. At that
//! end the engine only adds (it takes from a queue's tail, and from a set what is due or trimmed first), so a walk from the
//! newest entry to the oldest may see an entry twice, but misses none.

use std::fmt;

use bytes::Bytes;

use super::scripts::{Script, Scripts};
use crate::limits::{ENTRIES_BYTES_PER_CALL, ENTRIES_READ_STEP, ENTRY_BYTES_MAX, ENTRY_HEAD_BYTES};
use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::{ListName, Realm};

/// A set of jobs that wait for a time, or for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Failed jobs that will run again.
    Retries,
    /// Jobs for later.
    Scheduled,
    /// Jobs that will not run again on their own.
    Dead,
}

impl Set {
    /// All of them, in the order in which they are searched for a job.
    pub const ALL: [Self; 3] = [Self::Retries, Self::Scheduled, Self::Dead];

    /// Its key in a realm.
    #[must_use]
    pub fn key_in(self, realm: &Realm) -> &str {
        match self {
            Self::Retries => &realm.retries,
            Self::Scheduled => &realm.scheduled,
            Self::Dead => &realm.dead,
        }
    }

    /// The word for it on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retries => "retries",
            Self::Scheduled => "scheduled",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retries => "the retry set",
            Self::Scheduled => "the scheduled set",
            Self::Dead => "the dead set",
        })
    }
}

/// A place for jobs that are not running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A queue, which a worker may be given or not.
    Queue(ListName),
    /// A set.
    Set(Set),
}

impl Place {
    /// Its key in a realm.
    #[must_use]
    pub fn key_in(&self, realm: &Realm) -> Vec<u8> {
        match self {
            Self::Queue(queue) => realm.keys().list(queue),
            Self::Set(set) => set.key_in(realm).as_bytes().to_vec(),
        }
    }

    /// The Redis type of its key.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "list",
            Self::Set(_) => "zset",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(queue) => write!(f, "queue {queue}"),
            Self::Set(set) => set.fmt(f),
        }
    }
}

/// Which entries come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// What was pushed last, or has the highest score: as in the gem's lists.
    Newest,
    /// What is taken, due or trimmed next.
    Oldest,
}

/// A part of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Entries before it.
    pub skip: u64,
    /// Most entries in it.
    pub count: usize,
    /// The order in which they are counted and returned.
    pub order: Order,
}

/// What one call has read.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// How many entries the place has.
    pub total: u64,
    /// Fewer than requested if the place ends or the entries reach [`ENTRIES_BYTES_PER_CALL`]; empty only if the place
    /// ends.
    pub entries: Vec<Entry>,
}

/// One entry as stored in Redis.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// How many newer entries there were.
    pub newer: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Its score, in a set.
    pub score: Option<f64>,
    /// All of it, or its first [`ENTRY_HEAD_BYTES`] if it is larger than [`ENTRY_BYTES_MAX`].
    pub bytes: Bytes,
}

impl Entry {
    /// Whether `bytes` is all of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.size
    }
}

/// Appends the reading of a part of a place; [`read_page`] reads the reply. Changes nothing.
pub fn page(scripts: &Scripts, place: &Place, window: Window, requests: &mut Requests) {
    let mut command = scripts.begin(Script::Page, 1, 8, requests);
    command.arg(&place.key_in(scripts.realm())).arg(place.kind().as_bytes());
    command.arg_u64(window.skip).arg_u64(window.count as u64);
    command.arg(match window.order {
        Order::Newest => b"newest",
        Order::Oldest => b"oldest",
    });
    command.arg_u64(ENTRIES_BYTES_PER_CALL as u64).arg_u64(ENTRIES_READ_STEP as u64);
    command.arg_u64(ENTRY_BYTES_MAX as u64).arg_u64(ENTRY_HEAD_BYTES as u64);
}

/// Reads the reply to [`page`] with the same window.
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_page(reply: &Reply, window: Window) -> Result<Page, Error> {
    let shape = || reply.value().instead_of("a count and entries of three values");
    let mut parts = reply.as_array()?;
    let total = natural(&parts.next().ok_or_else(shape)?)?;
    let mut entries = Vec::with_capacity(parts.len() / 3);
    let mut before = window.skip;
    while let Some(size) = parts.next() {
        let (score, bytes) = (parts.next().ok_or_else(shape)?, parts.next().ok_or_else(shape)?);
        let score = std::str::from_utf8(score.as_bulk()?).ok().and_then(|score| score.parse().ok());
        let newer = match window.order {
            Order::Newest => before,
            Order::Oldest => total.saturating_sub(before + 1),
        };
        entries.push(Entry { newer, size: natural(&size)?, score, bytes: reply.slice(bytes.as_bulk()?) });
        before += 1;
    }
    Ok(Page { total, entries })
}

pub(super) fn natural(value: &Value<'_>) -> Result<u64, Error> {
    u64::try_from(value.as_integer()?).map_err(|_| value.instead_of("a number that is not negative"))
}

#[cfg(test)]
mod tests;
