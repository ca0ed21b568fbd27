//! What can be wrong with an outbox's journal.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The journal cannot be used. None of these errors heals: someone has to look at the file or at the disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The system call failed. What was to be appended is not in the file.
    #[error("{what} {}: {cause}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// Another process, or another outbox in this one, has it open.
    #[error("the outbox {} is in use by another process; give each process a journal of its own", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// A damaged line is followed by whole ones, which no crash leaves behind. Nothing was changed.
    #[error(
        "the outbox {} is damaged at byte {offset}, with whole jobs after it; move the file away, and push again what can be \
         read of it", path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where the damaged line begins.
        offset: u64,
    },
    /// An earlier write failed and could not be undone, so nothing more is written. Writing resumes once all waiting
    /// jobs have been pushed, or when the outbox is reopened.
    #[error("the outbox {} accepts no more jobs because a failed write could not be undone", path.display())]
    Broken {
        /// The journal.
        path: PathBuf,
    },
}

impl JournalError {
    pub(in crate::client) fn io(what: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), cause }
    }

    /// Copies the error for the next of the callers that shared a write.
    pub(in crate::client) fn again(&self) -> Self {
        match self {
            Self::Io { what, path, cause } => {
                Self::Io { what, path: path.clone(), cause: io::Error::new(cause.kind(), cause.to_string()) }
            }
            Self::InUse { path } => Self::InUse { path: path.clone() },
            Self::Damaged { path, offset } => Self::Damaged { path: path.clone(), offset: *offset },
            Self::Broken { path } => Self::Broken { path: path.clone() },
        }
    }
}
