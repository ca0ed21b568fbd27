//! The members of a job payload, spelt as the gem `jiggler` 0.1.0 spells them.
//!
//! Responsible for names only; types and meaning are documented where the members are read and written.

/// Class name: the name under which a handler is registered.
pub const NAME: &str = "name";
/// Positional arguments, an array.
pub const ARGS: &str = "args";
/// How many retries follow the first failure.
pub const RETRIES: &str = "retries";
/// Job id, 16 hex digits or whatever the caller passed.
pub const JID: &str = "jid";
/// Unix time in seconds of the *first failure*, despite its name.
pub const STARTED_AT: &str = "started_at";
/// Text of the last failure.
pub const ERROR_MESSAGE: &str = "error_message";
/// Class of the last failure.
pub const ERROR_CLASS: &str = "error_class";
/// Unix time in seconds of the next attempt: the score in the retry set.
pub const RETRY_AT: &str = "retry_at";
/// Number of the next attempt: 1 for the first retry.
pub const ATTEMPT: &str = "attempt";
/// The queue to which the poller moves the job once it is due.
pub const QUEUE: &str = "queue";
/// Unix time in seconds of the last failure that was itself a retry.
pub const RETRIED_AT: &str = "retried_at";

// Not the gem's; a Ruby server passes them on unchanged.

/// The trace a job belongs to, as in the W3C header of that name (`00-<trace>-<span>-<flags>`).
pub const TRACEPARENT: &str = "traceparent";
/// The queue for retries of this one job. Only our workers read it; a Ruby server uses the queue of the job's class.
pub const RETRY_QUEUE: &str = "retry_queue";
/// Unix time in seconds since when a job is left to workers that know its name.
pub const LEFT_SINCE: &str = "left_since";
/// Unix time in seconds until which it is left to them this time: as long as nobody else plans anything for the job, the
/// same as [`RETRY_AT`].
pub const LEFT_UNTIL: &str = "left_until";
/// Unix time in seconds of the push, if the producer records it. Neither the gem's client nor ours does.
pub const ENQUEUED_AT: &str = "enqueued_at";

/// The members that a producer cannot choose freely: each has a meaning, and is written elsewhere.
pub const RESERVED: [&str; 15] = [
    NAME,
    ARGS,
    RETRIES,
    JID,
    STARTED_AT,
    ERROR_MESSAGE,
    ERROR_CLASS,
    RETRY_AT,
    ATTEMPT,
    QUEUE,
    RETRIED_AT,
    TRACEPARENT,
    RETRY_QUEUE,
    LEFT_SINCE,
    LEFT_UNTIL,
];
