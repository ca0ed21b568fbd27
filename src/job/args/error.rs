//! Why a job's arguments do not fit what its handler takes, in words that count from 1 and quote no text.

use std::fmt;

/// Why arguments do not fit a handler. Retrying does not help: the payload or the handler has to change.
///
/// Arguments are counted from 1, as people do; text in them is never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// An argument is of another type than the handler takes.
    #[error("argument {position}: {reason}")]
    Mismatch {
        /// Which argument, from 1.
        position: usize,
        /// What was expected and what was found.
        reason: String,
    },
    /// The job has fewer arguments than the handler requires.
    #[error("argument {position} is missing: {reason}, got {} in all", Arguments(*.got))]
    Missing {
        /// Which argument, from 1.
        position: usize,
        /// What was expected.
        reason: String,
        /// How many there are.
        got: usize,
    },
    /// The job has more arguments than the handler takes.
    #[error("too many arguments: expected at most {max}, got {got}")]
    TooMany {
        /// How many the handler takes.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// The arguments as a whole do not fit the type that was asked for.
    #[error("arguments: {reason}")]
    Shape {
        /// What was expected and what was found.
        reason: String,
    },
}

/// "no arguments", "1 argument", "2 arguments".
struct Arguments(usize);

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("no arguments"),
            1 => f.write_str("1 argument"),
            count => write!(f, "{count} arguments"),
        }
    }
}
