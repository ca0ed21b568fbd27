//! Where the last runs of entries are: one look for many of them, which changes nothing.
//!
//! Nothing is recorded when a periodic job ends, so that it costs workers no more than any other. It is looked for where
//! jobs are, all places at one instant; one that is in none of them has ended.

use bytes::Bytes;

use super::look_limits;
use crate::limits::{CRON_ENTRY_BYTES_MAX, CRON_OUTCOME_SLACK};
use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::Realm;
use crate::wire::in_flight::{names_for_lua, places_for_lua};
use crate::wire::keys::no_registry_for_lua;

/// The last run of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed<'p> {
    /// Its jid.
    pub jid: &'p str,
    /// The name of its queue.
    pub queue: &'p str,
    /// Its bytes, as they were pushed; empty: not known.
    pub payload: &'p [u8],
    /// When it was pushed, Unix milliseconds.
    pub at: i64,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It waits in its queue.
    Queued,
    /// A worker has it.
    Running,
    /// It failed and waits in the retry set.
    Retrying,
    /// It snoozes in the scheduled set.
    Scheduled,
    /// It failed for good and is in the dead set.
    Dead,
    /// It is nowhere any more: it succeeded, or was discarded or deleted.
    Done,
    /// It was not found, but there is more than was looked at.
    Unknown,
}

impl Outcome {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Scheduled => "scheduled",
            Self::Dead => "dead",
            Self::Done => "done",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What became of it.
    pub outcome: Outcome,
    /// The job as it is in its set, with why it failed; empty: it is in none, or is large.
    pub job: Bytes,
}

const SOURCE: &str = concat!(
    no_registry_for_lua!(),
    names_for_lua!(),
    places_for_lua!(),
    include_str!("../scripts/undo.lua"),
    include_str!("../scripts/lives.lua"),
    include_str!("../scripts/outcomes.lua")
);

/// The script's source.
#[must_use]
pub const fn source() -> &'static str {
    SOURCE
}

/// Appends the question what became of some runs: one EVAL, one reply ([`read`]). One instant for all of them.
pub fn ask(realm: &Realm, runs: &[Pushed<'_>], requests: &mut Requests) {
    let limits = look_limits(realm);
    let mut command = requests.begin(3 + 4 + 3 + limits.len() + 4 * runs.len());
    command.arg(b"EVAL").arg(SOURCE.as_bytes()).arg_u64(4);
    for key in [&realm.leases, &realm.retries, &realm.scheduled, &realm.dead] {
        command.arg(key.as_bytes());
    }
    command.arg_u64(CRON_ENTRY_BYTES_MAX as u64).arg_u64(CRON_OUTCOME_SLACK.as_secs()).arg(b"");
    for most in limits {
        command.arg_u64(most as u64);
    }
    for Pushed { jid, queue, payload, at } in runs {
        command.arg(jid.as_bytes()).arg(realm.keys().queue(queue).as_bytes()).arg(payload);
        command.arg((at / 1000).to_string().as_bytes());
    }
}

/// Reads the reply to [`ask`]: for each run what became of it; `None`: it was not looked for, because the others took all
/// that one call may look at. To be asked again.
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read(reply: &Reply) -> Result<Vec<Option<Found>>, Error> {
    let mut parts = reply.as_array()?;
    let mut found = Vec::new();
    while let Some(place) = parts.next() {
        let job = parts.next().ok_or_else(|| reply.value().instead_of("two values for each run"))?;
        if matches!(place, Value::Nil) {
            found.push(None);
            continue;
        }
        let outcome = match place.as_bulk()? {
            b"queue" => Outcome::Queued,
            b"in flight" => Outcome::Running,
            b"retry" => Outcome::Retrying,
            b"scheduled" => Outcome::Scheduled,
            b"dead" => Outcome::Dead,
            b"" => Outcome::Done,
            _ => Outcome::Unknown,
        };
        found.push(Some(Found { outcome, job: reply.slice(job.as_bulk()?) }));
    }
    Ok(found)
}
