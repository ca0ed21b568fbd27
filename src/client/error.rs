//! What can go wrong when a job is made or pushed.

use thiserror::Error;

use crate::{
    limits::{JID_BYTES_MAX, JOB_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX, RETRIES_MAX},
    resp::{self, url::UrlError},
    wire::QueueNameError,
};

/// A push failed. Nobody retries it: whether to push again, and so perhaps twice, is for the caller to decide.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The url makes no sense. Never heals.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The job makes no sense; nothing was sent. Never heals.
    #[error(transparent)]
    Job(#[from] InvalidJob),
    /// Redis is away or refused; [`resp::Error::may_heal`] says whether trying later may go better.
    #[error(transparent)]
    Redis(#[from] resp::Error),
    /// A time that is infinite or undefined; nothing was sent.
    #[error("a job cannot be due at {due_at}; give Unix time in seconds")]
    BadTime {
        /// The time given.
        due_at: f64,
    },
    /// A bulk ended early.
    #[error("after {enqueued} jobs: {cause}")]
    Bulk {
        /// Jobs that were certainly pushed. If `cause` is a failure of the connection, up to
        /// [`crate::limits::PUSH_JOBS_MAX`] more may have been.
        enqueued: u64,
        /// Why it ended.
        cause: Box<Error>,
    },
}

/// A job that no worker could run. Never heals.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InvalidJob {
    /// Without a name no worker knows what to run.
    #[error("a job needs a name")]
    NoName,
    /// The name is too long.
    #[error("a job name has {bytes} bytes, more than the {JOB_NAME_BYTES_MAX} allowed")]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The name holds a control character.
    #[error("the job name {name:?} holds a control character")]
    BadName {
        /// The name given.
        name: String,
    },
    /// The queue's name makes no sense.
    #[error(transparent)]
    Queue(#[from] QueueNameError),
    /// The arguments are no JSON.
    #[error("the arguments are no JSON: {0}; write an array such as [1, \"two\"]")]
    BadArgs(serde_json::Error),
    /// The arguments are JSON, but not an array.
    #[error(
        "the arguments are {got}; they must be an array such as [1, \"two\"], one element for each parameter"
    )]
    ArgsNotArray {
        /// What they are: "an object", "a string" …
        got: &'static str,
    },
    /// The arguments nest too deep.
    #[error("the arguments nest deeper than a payload may ({PAYLOAD_DEPTH_MAX} levels, itself included)")]
    TooDeep,
    /// Too many retries.
    #[error("{retries} retries are more than the {RETRIES_MAX} allowed")]
    TooManyRetries {
        /// The number given.
        retries: u32,
    },
    /// A jid that is empty, too long, or holds a control character.
    #[error("the jid {jid:?} must have 1 to {JID_BYTES_MAX} bytes and no control character")]
    BadJid {
        /// The jid given, cut at the bound.
        jid: String,
    },
    /// A member that cannot stand in a payload beside the usual ones.
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
        /// What the hook said.
        reason: String,
    },
    /// The payload is too large.
    #[error(
        "the payload has {bytes} bytes, more than the {PAYLOAD_BYTES_MAX} allowed; store the data and pass its key"
    )]
    PayloadTooLarge {
        /// Its size.
        bytes: usize,
    },
}

impl InvalidJob {
    /// What a hook answers that will not have a job pushed.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

// By hand, because `#[from]` would make the cause a `source()` as well, and so be told twice.
impl From<serde_json::Error> for InvalidJob {
    fn from(cause: serde_json::Error) -> Self {
        Self::BadArgs(cause)
    }
}
