//! Why a survey failed.

use thiserror::Error;

use crate::limits::SURVEY_KEYS_MAX;
use crate::resp;

/// The state could not be read. A look that failed because of the server's state may succeed later.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// Redis refused, or answered nonsense for one key or pattern.
    #[error("read {what}: {cause}")]
    Reply {
        /// The key or pattern.
        what: String,
        /// What was wrong.
        cause: resp::Error,
    },
    /// Fewer or more replies were given than commands written: an error of the caller.
    #[error("{replies} replies were given for {commands} commands")]
    WrongReplies {
        /// Commands in the last write.
        commands: usize,
        /// Replies given.
        replies: usize,
    },
    /// More keys than any real deployment has.
    #[error("more than {SURVEY_KEYS_MAX} keys match {pattern}; this does not look like a jiggler database")]
    TooManyKeys {
        /// The pattern.
        pattern: String,
    },
}

pub(super) fn at(what: &str) -> impl Fn(resp::Error) -> SurveyError {
    move |cause| SurveyError::Reply { what: what.to_owned(), cause }
}
