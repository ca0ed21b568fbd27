//! What an operator asks from the command line: push jobs, show the state, end a job.
//!
//! Functions over a blocking connection and a writer. Reading flags and choosing exit codes is the command line's
//! business, reading Redis is the store's.

pub mod cancel;
pub mod enqueue;
pub mod summary;

mod table;

use std::io;

use thiserror::Error;

use crate::{client, resp, store::inspect::InspectError};

/// An order could not be carried out.
///
/// [`Error::is_usage`] tells what the user must mend from what may go better later.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A job makes no sense, or could not be pushed.
    #[error("enqueue {name}: {cause}")]
    Enqueue {
        /// The job's name.
        name: String,
        /// Why.
        cause: client::Error,
    },
    /// A job could not be cancelled.
    #[error("cancel {jid}: {cause}")]
    Cancel {
        /// The job's id.
        jid: String,
        /// Why.
        cause: client::Error,
    },
    /// Nobody listens for cancellations.
    #[error("cancel {jid}: no worker listens; is one running on this redis?")]
    NobodyListens {
        /// The job's id.
        jid: String,
    },
    /// No connection to Redis came about.
    #[error(transparent)]
    Connect(#[from] resp::Error),
    /// The state could not be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The text could not be written, to a closed pipe for example.
    #[error("write the output: {0}")]
    Output(io::Error),
}

impl Error {
    /// Whether the order itself was wrong, so that nothing was tried.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Enqueue { cause: client::Error::Bulk { enqueued: 0, cause }, .. } => {
                matches!(**cause, client::Error::Job(_))
            }
            Self::Enqueue { cause, .. } => {
                matches!(cause, client::Error::Job(_) | client::Error::Url(_) | client::Error::BadTime { .. })
            }
            Self::Cancel { .. }
            | Self::NobodyListens { .. }
            | Self::Connect(_)
            | Self::Inspect(_)
            | Self::Output(_) => false,
        }
    }
}

// By hand, because `#[from]` would make the cause a `source()` as well, and so be told twice.
impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        Self::Output(cause)
    }
}
