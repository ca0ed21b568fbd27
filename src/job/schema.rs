//! How the payloads of a dialect are written: the names of their members, what a failure and a death add to them, the form
//! of a job id, the unit of time.
//!
//! A [`Schema`] is chosen where the keys are ([`crate::wire::Dialect`]) and passed to everything that reads or writes a
//! payload. Not here: what follows from a failure (`job::retry`), nor how members are found (`job::parse`, `job::members`)
//! or changed (`job::amend`).
//!
//! Names are constants of a dialect, so that reading a payload compares each key with literals: the choice costs one branch
//! for each key.

use crate::job::amend::FieldValue;
use crate::job::failure::ErrorInfo;
use crate::job::members::member;
use crate::wire::{Dialect, QueueName};

mod jiggler;
mod push;
mod rules;
mod sidekiq;

pub(crate) use push::PushText;
pub use sidekiq::TimeUnit;

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
    /// As the gem `sidekiq` does. The unit is that of the times of a payload that does not show its own.
    Sidekiq(TimeUnit),
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

/// The members that are read each time a job runs, as they were found: a later one with the same key replaces an earlier
/// one.
pub(super) struct Envelope<V> {
    pub(super) name: Option<V>,
    pub(super) jid: Option<V>,
    pub(super) retries: Option<V>,
    pub(super) attempt: Option<V>,
    pub(super) first_failed_at: Option<V>,
    pub(super) args: Option<V>,
    /// What few payloads have: on the heap, so that the others do not pay for its places.
    pub(super) rare: Option<Box<Rare<V>>>,
}

/// The members that few payloads have.
pub(super) struct Rare<V> {
    /// The name of the job that is wrapped in this one.
    pub(super) wrapped: Option<V>,
    /// What only Ruby code can act on: a batch that the job is part of, locks that it holds, and that its arguments are
    /// encrypted.
    pub(super) for_ruby: [Option<V>; 5],
}

impl<V> Envelope<V> {
    pub(super) const EMPTY: Self = Self {
        name: None,
        jid: None,
        retries: None,
        attempt: None,
        first_failed_at: None,
        args: None,
        rare: None,
    };

    fn rare(&mut self) -> &mut Rare<V> {
        self.rare.get_or_insert_with(|| Box::new(Rare { wrapped: None, for_ruby: [const { None }; 5] }))
    }

    /// The place for the member with this key; `None`: another member.
    pub(super) fn slot(&mut self, schema: Schema, key: &str) -> Option<&mut Option<V>> {
        match schema {
            Schema::Jiggler => jiggler::slot(self, key),
            Schema::Sidekiq(_) => sidekiq::slot(self, key),
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

/// A failure, whatever follows from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'e> {
    /// What failed.
    pub(super) error: &'e ErrorInfo<'e>,
    /// When, if it is the first failure: Unix seconds.
    pub(super) first_at: Option<f64>,
    /// Where it comes from, as [`Schema::backtrace`] has written it.
    pub(super) backtrace: Option<&'e str>,
}

impl Schema {
    /// That of a dialect.
    #[must_use]
    pub const fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Jiggler => Self::Jiggler,
            // What readers of all versions take for what it is.
            Dialect::Sidekiq => Self::Sidekiq(TimeUnit::Seconds),
        }
    }

    /// The one in which this payload is written: its own times show their unit.
    #[must_use]
    pub(crate) fn of_payload(self, raw: &[u8]) -> Self {
        match self {
            Self::Jiggler => self,
            Self::Sidekiq(usual) => Self::Sidekiq(TimeUnit::of_payload(raw).unwrap_or(usual)),
        }
    }

    /// The names of members.
    #[must_use]
    pub const fn names(self) -> &'static MemberNames {
        match self {
            Self::Jiggler => &jiggler::NAMES,
            Self::Sidekiq(_) => &sidekiq::NAMES,
        }
    }

    /// A time, given in Unix seconds, as it is stored.
    pub(super) const fn time(self, seconds: f64) -> FieldValue<'static> {
        match self {
            Self::Jiggler => FieldValue::Float(seconds),
            Self::Sidekiq(unit) => unit.time(seconds),
        }
    }

    /// Reads a time that is stored under this name: Unix seconds.
    pub(crate) fn time_of(self, payload: &[u8], name: &str) -> Option<f64> {
        match self {
            Self::Jiggler => member(payload, name),
            Self::Sidekiq(_) => sidekiq::time_of(payload, name),
        }
    }

    /// The members that runs leave in a payload, and the times of its push where a push writes them.
    pub(super) fn left_by_runs(self) -> Vec<&'static str> {
        let names = self.names();
        let mut left = vec![
            names.error_message,
            names.error_class,
            names.first_failed_at,
            names.retried_at,
            names.retry_at,
            names.attempt,
            names.left_since,
            names.left_until,
            FAILURE_HISTORY,
            FAILURE_BACKTRACE,
        ];
        if let Self::Sidekiq(_) = self {
            left.extend([sidekiq::BACKTRACE_TEXT, sidekiq::CREATED_AT, names.enqueued_at]);
        }
        left
    }

    /// Whether the time of the failure that ends a job is in its payload, too.
    pub(crate) const fn notes_last_failure(self) -> bool {
        matches!(self, Self::Sidekiq(_))
    }

    /// The member of the only argument of a job that wraps another, which has the arguments of that one.
    pub(super) const fn wrapped_args(self) -> Option<&'static str> {
        match self {
            Self::Jiggler => None,
            Self::Sidekiq(_) => Some(sidekiq::WRAPPED_ARGS),
        }
    }

    /// Whether a payload may name a queue so: one that a worker may be given, or where programs of others share them, any.
    #[must_use]
    pub(crate) fn may_name_queue(self, name: &str) -> bool {
        match self {
            Self::Jiggler => QueueName::new(name).is_ok(),
            Self::Sidekiq(_) => !name.is_empty(),
        }
    }

    /// Whether what a process says of its running jobs has their payloads.
    #[must_use]
    pub(crate) const fn shows_payloads(self) -> bool {
        match self {
            Self::Jiggler => false,
            Self::Sidekiq(_) => true,
        }
    }

    /// A payload that stands for one which is too large to be shown, or not at hand: without arguments.
    #[must_use]
    pub(crate) fn stand_in(self, name: &str, jid: &str, queue: &str) -> String {
        let names = self.names();
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let (name, jid, queue) = (text(name), text(jid), text(queue));
        let [of_name, of_args, of_jid, of_queue] = [names.name, names.args, names.jid, names.queue].map(text);
        format!("{{{of_name}:{name},{of_args}:[],{of_jid}:{jid},{of_queue}:{queue}}}")
    }

    /// What a failure writes, whatever follows from it. The first failure has its time.
    pub(super) fn failure(self, failure: Failure<'_>) -> Vec<MemberChange<'_>> {
        let names = self.names();
        let Failure { error, first_at, backtrace } = failure;
        let mut changes = Vec::with_capacity(8);
        let first_at = first_at.map(|at| (names.first_failed_at, self.time(at)));
        let error = [
            (names.error_message, FieldValue::Text(error.stored_message())),
            (names.error_class, FieldValue::Text(&error.class)),
        ];
        match self {
            Self::Jiggler => {
                changes.extend(first_at);
                changes.extend(error);
            }
            Self::Sidekiq(_) => {
                changes.extend(error);
                changes.extend(first_at);
                changes.extend(backtrace.map(|text| (sidekiq::BACKTRACE_TEXT, FieldValue::Text(text))));
            }
        }
        changes
    }

    /// What a death writes, after [`Self::failure`]: the queue it came from, and where the gem counts attempts at a death
    /// too, that of the retry which is not planned.
    pub(super) fn death<'q>(
        self,
        queue: &'q str,
        retry: PlannedRetry<'_>,
        changes: &mut Vec<MemberChange<'q>>,
    ) {
        let names = self.names();
        match self {
            Self::Jiggler => changes.push((names.queue, FieldValue::Text(queue))),
            Self::Sidekiq(_) => self.retry(PlannedRetry { queue, ..retry }, changes),
        }
    }

    /// What a retry that is planned writes, after [`Self::failure`].
    pub(super) fn retry<'q>(self, retry: PlannedRetry<'q>, changes: &mut Vec<MemberChange<'q>>) {
        let names = self.names();
        match self {
            Self::Jiggler => {
                changes.push((names.retry_at, self.time(retry.at)));
                changes.push((names.attempt, FieldValue::Count(retry.attempt.into())));
                changes.push((names.queue, FieldValue::Text(retry.queue)));
            }
            Self::Sidekiq(_) => {
                changes.insert(0, (names.queue, FieldValue::Text(retry.queue)));
                let at = changes.iter().position(|(name, _)| *name == sidekiq::BACKTRACE_TEXT);
                let count = FieldValue::Count(u64::from(retry.attempt.saturating_sub(1)));
                changes.insert(at.unwrap_or(changes.len()), (names.attempt, count));
            }
        }
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
    jiggler::RESERVED.contains(&name)
        || sidekiq::RESERVED.contains(&name)
        || [FAILURE_HISTORY, FAILURE_BACKTRACE].contains(&name)
}
