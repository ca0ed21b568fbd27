//! What an operator asks from the command line: push jobs, show the state, end a job, steer processes.
//!
//! Functions over a blocking connection and a writer. Reading flags and choosing exit codes is the command line's
//! business, reading Redis is the store's.

pub mod cancel;
pub mod enqueue;
pub mod processes;
pub mod steer;
pub mod summary;
pub mod top;

mod fleet;
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
    /// Nobody is there to be steered.
    #[error("{}; `jiggler-uring processes` lists those that are", no_process(.wanted.as_deref()))]
    NoProcess {
        /// How the uuid was to begin; `None`: any would have done.
        wanted: Option<String>,
    },
    /// More than one process could be meant.
    #[error("process `{prefix}` could be any of {uuids}; write more of it")]
    ManyProcesses {
        /// How the uuid was to begin.
        prefix: String,
        /// Those that do.
        uuids: String,
    },
    /// Not every process did what was wanted of it; what each did has been written.
    #[error("{wish}: {failed} of {of} processes did not hear it or have not done it")]
    Unsteered {
        /// What was wanted.
        wish: &'static str,
        /// How many did not.
        failed: usize,
        /// Of how many.
        of: usize,
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
            Self::ManyProcesses { .. } => true,
            Self::Cancel { .. }
            | Self::NoProcess { .. }
            | Self::Unsteered { .. }
            | Self::NobodyListens { .. }
            | Self::Connect(_)
            | Self::Inspect(_)
            | Self::Output(_) => false,
        }
    }
}

fn no_process(wanted: Option<&str>) -> String {
    match wanted {
        Some(prefix) => format!("no process whose uuid begins with `{prefix}` has a heartbeat"),
        None => "no process has a heartbeat".to_owned(),
    }
}

// By hand, because `#[from]` would make the cause a `source()` as well, and so be told twice.
impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        Self::Output(cause)
    }
}
