//! Why an entry is refused.

use thiserror::Error;

use crate::client::InvalidJob;
use crate::foreign::Foreign;
use crate::limits::{
    CRON_ENTRY_BYTES_MAX, CRON_EVERY_MAX, CRON_EVERY_MIN, CRON_JITTER_MAX, CRON_NAME_BYTES_MAX,
    CRON_SCHEDULE_BYTES_MAX, CRON_TICKS_MAX, CRON_YEARS_SEARCHED,
};

/// Why an entry, or its schedule, is refused. All are mistakes in what was given; none heals by itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CronError {
    /// The schedule is too long to mean anything.
    #[error("a schedule of {bytes} bytes is too long: at most {CRON_SCHEDULE_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It has a wrong number of fields.
    #[error(
        "the schedule `{schedule}` has {fields} fields: give five (minute hour day month weekday), or six with the \
         second first"
    )]
    Fields {
        /// What was given.
        schedule: String,
        /// How many there are.
        fields: usize,
    },
    /// It is a word that is not known.
    #[error(
        "`{schedule}` is not known: @yearly, @monthly, @weekly, @daily, @hourly, @minutely, or @every with a span such \
         as 90s"
    )]
    Word {
        /// What was given.
        schedule: String,
    },
    /// A field is wrong.
    #[error("the {field} `{text}` of a schedule is wrong: {reason}")]
    Field {
        /// Which field.
        field: &'static str,
        /// The part of it that is wrong.
        text: String,
        /// Why.
        reason: String,
    },
    /// The period of `@every` is wrong.
    #[error(
        "`@every {text}` is wrong: give a span such as 90s, 5m or 1h30m, from {} s to {} days",
        CRON_EVERY_MIN.as_secs(),
        CRON_EVERY_MAX.as_secs() / 86_400
    )]
    Every {
        /// What was given.
        text: String,
    },
    /// It never comes.
    #[error(
        "the schedule `{schedule}` never comes: no day of the next {CRON_YEARS_SEARCHED} years fits all its fields"
    )]
    Never {
        /// What was given.
        schedule: String,
    },
    /// There is no such time zone.
    #[error("there is no time zone `{zone}`: give a name such as UTC or Europe/Berlin")]
    Zone {
        /// What was given.
        zone: String,
    },
    /// The name of the entry is no name.
    #[error(
        "the name `{name}` of a periodic job is wrong: 1 to {CRON_NAME_BYTES_MAX} bytes, without control characters and \
         without spaces at its ends"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// Its jitter is too long.
    #[error("a jitter of {seconds} s is too long: at most {} s", CRON_JITTER_MAX.as_secs())]
    Jitter {
        /// What was given.
        seconds: u64,
    },
    /// It ends before it begins.
    #[error("a periodic job cannot end (until) before it begins (from)")]
    Span,
    /// How to catch up is not known.
    #[error("`{text}` is no way to catch up: none, last, or all:N with N from 1 to {CRON_TICKS_MAX}")]
    CatchUp {
        /// What was given.
        text: String,
    },
    /// What becomes of overlapping runs is not known.
    #[error("`{text}` is no way to overlap: allow, or skip while the last run lives")]
    Overlap {
        /// What was given.
        text: String,
    },
    /// Its job has what cannot be stored, or should not be the same for each tick.
    #[error(
        "a periodic job has a name, arguments, a queue and retries, and no jid, trace, members or retry queue"
    )]
    NotPlain,
    /// Its job is invalid.
    #[error(transparent)]
    Job(#[from] InvalidJob),
    /// As it would be stored it is too large.
    #[error(
        "a periodic job of {bytes} bytes is too large: at most {CRON_ENTRY_BYTES_MAX}, with its arguments"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// What is stored is not an entry.
    #[error("what is stored is not a periodic job: {0}")]
    Json(#[from] serde_json::Error),
}

/// What was given, fit to be shown.
pub(super) fn shown(text: &str) -> String {
    Foreign::text(text).to_string()
}
