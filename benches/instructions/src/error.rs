//! What can go wrong while counting instructions, each with the way out.

use std::io;
use std::path::PathBuf;

/// Everything that ends a count early, and the verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// It is not installed.
    #[error("cannot start valgrind ({0}): make deps installs it (Debian and Ubuntu: apt install valgrind)")]
    ValgrindMissing(io::Error),

    /// A case failed under valgrind.
    #[error("case {case} failed under valgrind; the end of its output:\n{log}")]
    CaseFailed {
        /// Its name.
        case: &'static str,
        /// Its last words.
        log: String,
    },

    /// Callgrind's file has an unexpected form.
    #[error("callgrind wrote no line `summary: NUMBER` into {0}")]
    NoSummary(PathBuf),

    /// A case did not take more instructions for more rounds.
    #[error(
        "case {case} took {few} instructions for {few_rounds} rounds and {many} for {many_rounds}: nothing was counted"
    )]
    NoDifference {
        /// Its name.
        case: &'static str,
        /// Of the shorter run.
        few: u64,
        /// Its rounds.
        few_rounds: u64,
        /// Of the longer run.
        many: u64,
        /// Its rounds.
        many_rounds: u64,
    },

    /// No such case.
    #[error("there is no case {0}")]
    UnknownCase(String),

    /// A file or a program.
    #[error("{what}: {error}")]
    System {
        /// What was done, or to what.
        what: String,
        /// Why it failed.
        error: io::Error,
    },

    /// The stored counts cannot be read.
    #[error("{path}: {error}; fix it or have it rewritten: git checkout the file, or make instructions")]
    Stored {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        error: serde_json::Error,
    },

    /// More instructions than allowed.
    #[error(
        "a hot path takes more instructions than stored in benches/instructions/counts.json:\n{0}\n\
         make it cheaper again; or, if the cost is intended, accept the new counts with `make instructions`, commit the \
         file and give the reason there"
    )]
    Regressions(String),
}

impl Error {
    /// An error of the system while `what`.
    pub(crate) fn system(what: impl Into<String>, error: io::Error) -> Self {
        Self::System { what: what.into(), error }
    }
}
