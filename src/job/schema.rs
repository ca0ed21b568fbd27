//! How the payloads of a dialect are written: the names of their members, what a failure and a death add to them, the form
//! of a job id, the unit of time.
//!
//! A [`Schema`] is chosen where the keys are ([`crate::wire::Dialect`]) and passed to everything that reads or writes a
//! payload. Not here: what follows from a failure (`job::retry`), nor how members are found (`job::parse`, `job::members`)
//! or changed (`job::amend`).
//!
//! Names are constants of a dialect, so that reading a payload compares each key with literals: the choice costs one branch
//! for each key, and none while there is one dialect.

use crate::ids::{self, Jid};
use crate::job::amend::FieldValue;
use crate::job::failure::ErrorInfo;
use crate::job::members::member;
use crate::wire::Dialect;

mod jiggler;

/// The member of a dead entry that holds the exact bytes, in base64, of what was no job (`job::bad`). In every dialect.
pub const RAW_BASE64: &str = "raw_base64";

/// The members that hold what is kept of a job's failures (`job::history`). In every dialect, and of no meaning to Ruby.
pub const FAILURE_HISTORY: &str = "failure_history";
/// See [`FAILURE_HISTORY`].
pub const FAILURE_BACKTRACE: &str = "failure_backtrace";

/// The members that say which part of the bytes a dead entry holds, where one cannot hold them all, and of how many.
pub(super) const PART: [&str; 2] = ["part", "parts"];

/// How payloads are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schema {
    /// As the gem `jiggler` 0.1.0 does.
    #[default]
    Jiggler,
}

/// The names of a payload's members.
#[derive(Debug, PartialEq, Eq)]
pub struct MemberNames {
    /// Class name: the name under which a handler is registered.
    pub name: &'static str,
    /// Positional arguments, an array.
    pub args: &'static str,
    /// How many retries follow the first failure.
    pub retries: &'static str,
    /// Job id (`Schema::new_jid`), or whatever the caller passed.
    pub jid: &'static str,
    /// Time of the first failure.
    pub first_failed_at: &'static str,
    /// Text of the last failure.
    pub error_message: &'static str,
    /// Class of the last failure.
    pub error_class: &'static str,
    /// Time of the next attempt: the score in the retry set.
    pub retry_at: &'static str,
    /// Number of the next attempt: 1 for the first retry.
    pub attempt: &'static str,
    /// The queue to which the poller moves the job once it is due.
    pub queue: &'static str,
    /// Time of the last failure that was itself a retry.
    pub retried_at: &'static str,
    /// The trace a job belongs to, as in the W3C header of that name (`00-<trace>-<span>-<flags>`). Ours; a Ruby server
    /// passes it on unchanged, as it does the next two.
    pub traceparent: &'static str,
    /// The queue for retries of this one job. Only our workers read it; a Ruby server uses the queue of the job's class.
    pub retry_queue: &'static str,
    /// Time since when a job is left to workers that know its name (`job::left`). Ours, as is the next.
    pub left_since: &'static str,
    /// Time until which it is left to them this time: as long as nobody else plans anything for the job, that of `retry_at`.
    pub left_until: &'static str,
    /// Time of the push, if the producer records it. Neither the gem's client nor ours does.
    pub enqueued_at: &'static str,
}

/// What stands before the value of each member that a push writes, in their order.
#[derive(Debug)]
pub(crate) struct PushText {
    pub(crate) name: &'static str,
    pub(crate) args: &'static str,
    pub(crate) retries: &'static str,
    pub(crate) jid: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) traceparent: &'static str,
    pub(crate) retry_queue: &'static str,
}

/// The members that are read each time a job runs, as they were found: a later one with the same key replaces an earlier
/// one.
pub(super) struct Envelope<V> {
    pub(super) name: Option<V>,
    pub(super) jid: Option<V>,
    pub(super) retries: Option<V>,
    pub(super) attempt: Option<V>,
    pub(super) first_failed_at: Option<V>,
    pub(super) args: Option<V>,
}

impl<V> Envelope<V> {
    pub(super) const EMPTY: Self =
        Self { name: None, jid: None, retries: None, attempt: None, first_failed_at: None, args: None };

    /// The place for the member with this key; `None`: another member.
    pub(super) fn slot(&mut self, schema: Schema, key: &str) -> Option<&mut Option<V>> {
        match schema {
            Schema::Jiggler => jiggler::slot(self, key),
        }
    }
}

/// A member and its new value.
pub(super) type MemberChange<'v> = (&'static str, FieldValue<'v>);

/// A retry that is planned.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedRetry<'q> {
    /// When it is due, Unix seconds.
    pub(super) at: f64,
    /// Its number, from 1.
    pub(super) attempt: u32,
    /// The queue it runs from.
    pub(super) queue: &'q str,
    /// When what failed was itself a retry: Unix seconds.
    pub(super) retried_at: Option<f64>,
}

impl Schema {
    /// That of a dialect.
    #[must_use]
    pub const fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Jiggler => Self::Jiggler,
        }
    }

    /// The names of members.
    #[must_use]
    pub const fn names(self) -> &'static MemberNames {
        match self {
            Self::Jiggler => &jiggler::NAMES,
        }
    }

    /// What stands before the values of a payload that is pushed.
    #[must_use]
    pub(crate) const fn written(self) -> &'static PushText {
        match self {
            Self::Jiggler => &jiggler::WRITTEN,
        }
    }

    /// A new job id: 16 hex digits.
    #[must_use]
    pub(crate) fn new_jid(self) -> Jid {
        match self {
            Self::Jiggler => ids::jid(),
        }
    }

    /// A time, given in Unix seconds, as it is stored: a float in seconds.
    pub(super) const fn time(self, seconds: f64) -> FieldValue<'static> {
        match self {
            Self::Jiggler => FieldValue::Float(seconds),
        }
    }

    /// Reads a time that is stored under this name: Unix seconds.
    pub(crate) fn time_of(self, payload: &[u8], name: &str) -> Option<f64> {
        match self {
            Self::Jiggler => member(payload, name),
        }
    }

    /// What a failure writes, whatever follows from it. The first failure has its time.
    pub(super) fn failure<'e>(
        self,
        first_at: Option<f64>,
        error: &'e ErrorInfo<'_>,
    ) -> Vec<MemberChange<'e>> {
        let names = self.names();
        let mut changes = Vec::with_capacity(7);
        if let Some(at) = first_at {
            changes.push((names.first_failed_at, self.time(at)));
        }
        changes.push((names.error_message, FieldValue::Text(error.stored_message())));
        changes.push((names.error_class, FieldValue::Text(&error.class)));
        changes
    }

    /// What a death writes, after [`Self::failure`]: the queue it came from.
    pub(super) fn death<'q>(self, queue: &'q str, changes: &mut Vec<MemberChange<'q>>) {
        changes.push((self.names().queue, FieldValue::Text(queue)));
    }

    /// What a retry that is planned writes, after [`Self::failure`].
    pub(super) fn retry<'q>(self, retry: PlannedRetry<'q>, changes: &mut Vec<MemberChange<'q>>) {
        let names = self.names();
        changes.push((names.retry_at, self.time(retry.at)));
        changes.push((names.attempt, FieldValue::Count(retry.attempt.into())));
        changes.push((names.queue, FieldValue::Text(retry.queue)));
        if let Some(at) = retry.retried_at {
            changes.push((names.retried_at, self.time(at)));
        }
    }

    /// What a later run writes that is no retry.
    pub(super) const fn snooze(self, at: f64, queue: &str) -> [MemberChange<'_>; 2] {
        let names = self.names();
        [(names.retry_at, self.time(at)), (names.queue, FieldValue::Text(queue))]
    }
}

/// Whether a producer cannot choose the value of this member: it has a meaning, in some dialect.
#[must_use]
pub(crate) fn is_reserved(name: &str) -> bool {
    jiggler::RESERVED.contains(&name) || [FAILURE_HISTORY, FAILURE_BACKTRACE].contains(&name)
}
