//! What can go wrong when a job is created or pushed.

use std::{io, time::Duration};

use thiserror::Error;

use super::journal_error::JournalError;
use super::router::Failure;
use crate::{
    limits::{JID_BYTES_MAX, JOB_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX, RETRIES_MAX},
    net,
    resp::url::UrlError,
    wire::QueueNameError,
};

/// A call of a client failed. No client retries a push on its own. Two questions decide whether the caller should,
/// and each variant answers them:
///
/// | variant | [`may_heal`](Self::may_heal) | [`may_have_pushed`](Self::may_have_pushed) |
/// |---|---|---|
/// | `Url`, `Job`, `BadTime` | no | no |
/// | `Connect` | as its cause: yes while Redis is away, no for a wrong password | no |
/// | `Redis` | as its cause: yes for `LOADING`, `OOM`, `READONLY` …, no for `WRONGTYPE` | no |
/// | `Lost` | yes | **perhaps** |
/// | `PoolBusy`, `NotSent` | yes | no |
/// | `Stopped` | no: make a new client | as its field says |
/// | `OutboxFull` | yes, once Redis is back | as its field says |
/// | `Outbox` | no: someone has to look at the file or disk | as its field says |
/// | `Bulk` | as its cause | yes, if any was or may have been |
///
/// Pushing again after a `Lost` may run the job twice. If a job must neither be lost nor run twice, use an
/// [`Outbox`](super::Outbox), or a handler that does nothing the second time.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The url is invalid. Never heals.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The job is invalid; nothing was sent. Never heals.
    #[error(transparent)]
    Job(#[from] InvalidJob),
    /// No connection could be made; nothing was sent.
    #[error("nothing was sent: {0}")]
    Connect(net::Error),
    /// Redis refused it; nothing was pushed. [`net::Error::may_heal`] says whether a later attempt may succeed.
    #[error(transparent)]
    Redis(net::Error),
    /// The connection failed after the job was sent and before Redis answered: it is not known whether it was pushed.
    #[error("it is not known whether the job was pushed: {0}")]
    Lost(net::Error),
    /// A time that is infinite or undefined; nothing was sent.
    #[error("a job cannot be due at {due_at}; give Unix time in seconds")]
    BadTime {
        /// The given time.
        due_at: f64,
    },
    /// All connections of a pool stayed in use for the whole wait; nothing was sent.
    #[error(
        "nothing was sent: all {connections_max} connections of the pool were in use for {after:?}; raise connections_max or \
         wait_timeout, or give connections back sooner"
    )]
    PoolBusy {
        /// The most connections the pool may have.
        connections_max: usize,
        /// How long the caller waited.
        after: Duration,
    },
    /// A call waited for its turn for the maximum time and was withdrawn; nothing was sent.
    #[error(
        "nothing was sent: its turn did not come within {after:?}; redis is slow or away, or too much is being pushed at once"
    )]
    NotSent {
        /// How long the call waited.
        after: Duration,
    },
    /// The task that drives the client has ended, along with the runtime it was created on.
    #[error("the client's runtime has ended{}; make a new client on a running one", perhaps(*may_have_pushed))]
    Stopped {
        /// Whether the job may have been pushed, because it had already been sent.
        may_have_pushed: bool,
    },
    /// Redis is away and the outbox's journal is full; nothing was kept.
    #[error(
        "redis is away and the outbox is full{}: it holds {jobs} jobs in {bytes} bytes and may hold {jobs_max} in \
         {bytes_max}; push later, or raise jobs_max or bytes_max", perhaps(*may_have_pushed)
    )]
    OutboxFull {
        /// Whether the job may have been pushed anyway, because its first attempt was lost with a connection.
        may_have_pushed: bool,
        /// Waiting jobs.
        jobs: u64,
        /// Size of the journal in bytes.
        bytes: u64,
        /// The most jobs it may hold.
        jobs_max: u64,
        /// The most bytes it may hold.
        bytes_max: u64,
    },
    /// The outbox could not keep the job.
    #[error("the job was not kept in the outbox{}: {cause}", perhaps(*may_have_pushed))]
    Outbox {
        /// Whether the job may have been pushed anyway, because its first attempt was lost with a connection.
        may_have_pushed: bool,
        /// What is wrong with the journal.
        cause: JournalError,
    },
    /// A bulk ended early.
    #[error("after {enqueued} jobs{}: {cause}", beyond(*enqueued, *leading, *in_doubt))]
    #[non_exhaustive]
    Bulk {
        /// Jobs that were certainly pushed (for an outbox: pushed or kept).
        enqueued: u64,
        /// How many of them, counted from the first job, come before any that was not pushed, or may not have been.
        /// Fewer than `enqueued` if Redis refused some and accepted others sent after them: those of another queue,
        /// or after memory was freed.
        leading: u64,
        /// Jobs that may have been pushed: those in flight when the connection was lost. At most
        /// [`BULK_BATCHES_IN_FLIGHT_MAX`](crate::limits::BULK_BATCHES_IN_FLIGHT_MAX) batches of
        /// [`PUSH_JOBS_MAX`](crate::limits::PUSH_JOBS_MAX). No others were.
        in_doubt: u64,
        /// Why it ended.
        cause: Box<Error>,
    },
}

/// What a bulk's error adds to the number of jobs pushed.
fn beyond(enqueued: u64, leading: u64, in_doubt: u64) -> String {
    let mut text = String::new();
    if leading < enqueued {
        text.push_str(&format!(", of which the first {leading} precede one that was not pushed"));
    }
    if in_doubt > 0 {
        text.push_str(&format!(" and perhaps {in_doubt} more"));
    }
    text
}

fn perhaps(may_have_pushed: bool) -> &'static str {
    if may_have_pushed {
        ", and it is not known whether the job was pushed"
    } else {
        " before the job was pushed"
    }
}

impl Error {
    /// The error of a call to the nodes of a cluster.
    pub(super) fn of_router(failure: Failure) -> Self {
        match failure {
            Failure::NotSent(error) => Self::Connect(error),
            // With several nodes, one may have run its commands, whatever happened to another.
            Failure::Lost(error) => Self::Lost(error),
        }
    }

    /// The error of a call that was sent: Redis's error, or its missing answer.
    pub(super) fn of_call(error: impl Into<net::Error>) -> Self {
        let error = error.into();
        match error {
            net::Error::Redis(_) | net::Error::PipelineFull { .. } => Self::Redis(error),
            // Nothing was sent over a connection that had already failed.
            net::Error::Broken => Self::Connect(error),
            _ => Self::Lost(error),
        }
    }

    /// The error of a call that was already sent: a connection that has failed since, for any reason, loses the
    /// answer.
    pub(super) fn of_sent(error: Self) -> Self {
        match error {
            Self::Connect(cause) => Self::Lost(cause),
            other => other,
        }
    }

    /// Whether the same call may succeed later without anyone changing anything. It does not say whether repeating it
    /// is safe: see [`may_have_pushed`](Self::may_have_pushed).
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Connect(cause) | Self::Redis(cause) => cause.may_heal(),
            Self::Lost(_) | Self::PoolBusy { .. } | Self::NotSent { .. } | Self::OutboxFull { .. } => true,
            Self::Bulk { cause, .. } => cause.may_heal(),
            Self::Url(_)
            | Self::Job(_)
            | Self::BadTime { .. }
            | Self::Stopped { .. }
            | Self::Outbox { .. } => false,
        }
    }

    /// Whether a job may have been pushed although the call failed. If not, pushing it again cannot run it twice.
    #[must_use]
    pub fn may_have_pushed(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Stopped { may_have_pushed }
            | Self::OutboxFull { may_have_pushed, .. }
            | Self::Outbox { may_have_pushed, .. } => *may_have_pushed,
            Self::Bulk { enqueued, in_doubt, cause, .. } => {
                *enqueued > 0 || *in_doubt > 0 || cause.may_have_pushed()
            }
            Self::Url(_)
            | Self::Job(_)
            | Self::Connect(_)
            | Self::Redis(_)
            | Self::BadTime { .. }
            | Self::PoolBusy { .. }
            | Self::NotSent { .. } => false,
        }
    }
}

/// Copies a connection failure for the next of the callers that shared it.
pub(super) fn same(error: &net::Error) -> net::Error {
    match error {
        net::Error::Io { what, cause } => {
            net::Error::Io { what: what.clone(), cause: io::Error::new(cause.kind(), cause.to_string()) }
        }
        net::Error::Timeout { what, after } => net::Error::Timeout { what: what.clone(), after: *after },
        net::Error::Closed => net::Error::Closed,
        net::Error::Broken => net::Error::Broken,
        net::Error::Unrequested => net::Error::Unrequested,
        net::Error::Handshake(error) => net::Error::Handshake(error.clone()),
        net::Error::Tls(error) => net::Error::Tls(error.clone()),
        net::Error::NoPrimary(error) => net::Error::NoPrimary(error.clone()),
        net::Error::Redis(error) => net::Error::Redis(error.clone()),
        net::Error::NoNode(error) => net::Error::NoNode(error.clone()),
        other => net::Error::Io { what: other.to_string(), cause: io::ErrorKind::ConnectionAborted.into() },
    }
}

/// A job that no worker could run. Never heals.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InvalidJob {
    /// Without a name, no worker knows what to run.
    #[error("a job needs a name")]
    NoName,
    /// The name is too long.
    #[error("the job name is {bytes} bytes long; at most {JOB_NAME_BYTES_MAX} are allowed")]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The name contains a control character.
    #[error("the job name {name:?} contains a control character")]
    BadName {
        /// The given name.
        name: String,
    },
    /// The queue's name is invalid.
    #[error(transparent)]
    Queue(#[from] QueueNameError),
    /// The arguments are not JSON.
    #[error("the arguments are not valid JSON: {0}; write an array such as [1, \"two\"]")]
    BadArgs(serde_json::Error),
    /// The arguments are JSON, but not an array.
    #[error(
        "the arguments are {got}; they must be an array such as [1, \"two\"], one element for each parameter"
    )]
    ArgsNotArray {
        /// What they are: "an object", "a string" …
        got: &'static str,
    },
    /// The arguments are nested too deeply.
    #[error(
        "the arguments are nested deeper than a payload allows ({PAYLOAD_DEPTH_MAX} levels, including the payload itself)"
    )]
    TooDeep,
    /// Too many retries.
    #[error("{retries} retries are more than the {RETRIES_MAX} allowed")]
    TooManyRetries {
        /// The given number.
        retries: u32,
    },
    /// A jid that is empty, too long, or contains a control character.
    #[error("the jid {jid:?} must have 1 to {JID_BYTES_MAX} bytes and no control character")]
    BadJid {
        /// The given jid, truncated at the limit.
        jid: String,
    },
    /// A member that is not allowed in a payload in addition to the usual ones.
    #[error("a job cannot have the member {name:?}: {reason}; choose another name")]
    BadMember {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A hook refused it.
    #[error("the job was refused: {reason}")]
    Refused {
        /// The hook's reason.
        reason: String,
    },
    /// The payload is too large.
    #[error(
        "the payload is {bytes} bytes long; at most {PAYLOAD_BYTES_MAX} are allowed: store the data and pass its key"
    )]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
    },
}

impl InvalidJob {
    /// What a hook returns to refuse a job.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

// Written by hand, because `#[from]` would also make the cause a `source()`, and it would be printed twice.
impl From<serde_json::Error> for InvalidJob {
    fn from(cause: serde_json::Error) -> Self {
        Self::BadArgs(cause)
    }
}
