//! What failed, in the words that are stored with the job.
//!
//! Responsible for the bounds of those words. Not for what follows from a failure (`job::retry`).

use std::borrow::Cow;

use crate::limits::ERROR_MESSAGE_CHARS_MAX;

/// Class of the error of a job whose handler panicked.
pub const CLASS_PANIC: &str = "JigglerUring::Panic";
/// Class of the error of a job whose name has no registered handler.
pub const CLASS_UNKNOWN_JOB: &str = "JigglerUring::UnknownJob";
/// Class of the error of a job whose arguments do not fit its handler.
pub const CLASS_BAD_ARGUMENTS: &str = "JigglerUring::BadArguments";
/// Class of the error of a job that was in flight in one dying process after another.
pub const CLASS_POISON: &str = "JigglerUring::Poison";
/// Class of the error of a job whose child process died, where it may not start again.
pub const CLASS_CHILD_DIED: &str = "JigglerUring::ChildDied";
/// Class of the error of a job that no child of its runner could start; it is never stored.
pub const CLASS_NO_CHILD: &str = "JigglerUring::NoChild";
/// Class of the error of a job that no companion thread or runtime could run.
pub const CLASS_COMPANION: &str = "JigglerUring::NoCompanion";
/// Class of the error of bytes that are not a job.
pub const CLASS_BAD_PAYLOAD: &str = "JigglerUring::BadPayload";
/// Class of the error of a job that ran for longer than its timeout.
pub const CLASS_TIMEOUT: &str = "JigglerUring::Timeout";
/// Class of the error of a job that was cancelled while it ran.
pub const CLASS_CANCELLED: &str = "JigglerUring::Cancelled";

/// Class of the error of a job that an operator moved to the dead set.
pub const CLASS_KILLED: &str = "JigglerUring::Killed";

/// Class of the error of a job that asked to run later. It is never stored: such a job has not failed.
pub const CLASS_SNOOZED: &str = "JigglerUring::Snoozed";

/// A failure as it is stored: Ruby's page shows both parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo<'e> {
    /// Class of the error, as a Ruby exception class is named: `ArgumentError`.
    pub class: Cow<'e, str>,
    /// What went wrong. Stored up to [`ERROR_MESSAGE_CHARS_MAX`] characters.
    pub message: Cow<'e, str>,
}

impl<'e> ErrorInfo<'e> {
    /// A failure of a class, with its message.
    #[must_use]
    pub fn new(class: impl Into<Cow<'e, str>>, message: impl Into<Cow<'e, str>>) -> Self {
        Self { class: class.into(), message: message.into() }
    }

    /// The message in its stored length: at most [`ERROR_MESSAGE_CHARS_MAX`] characters, never cut inside one.
    #[must_use]
    pub fn stored_message(&self) -> &str {
        match self.message.char_indices().nth(ERROR_MESSAGE_CHARS_MAX) {
            Some((end, _)) => &self.message[..end],
            None => &self.message,
        }
    }
}

/// A run of a job that failed, as passed to a failure hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedJob<'j> {
    /// The job's name, for example `SendMail`.
    pub name: &'j str,
    /// The job's id; empty if the payload has none.
    pub jid: &'j str,
    /// The queue it was taken from.
    pub queue: &'j str,
    /// Which run failed: 0 for the first, 1 for the first retry, and so on.
    pub attempt: u32,
    /// Whether it will be retried; if not, it goes to the dead set.
    pub will_be_retried: bool,
    /// Class of the error.
    pub error_class: &'j str,
    /// Message of the error, in its stored length.
    pub error_message: &'j str,
    /// Where it comes from: of a panic if `RUST_BACKTRACE` is set, of an error if it was given one.
    pub backtrace: Option<&'j str>,
    /// The bytes of the job as they were taken from its queue.
    pub payload: &'j [u8],
}

/// A job that went to the dead set, as passed to a death hook.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadJob {
    /// The job's name, for example `SendMail`.
    pub name: String,
    /// The job's id; empty if the payload has none.
    pub jid: String,
    /// The queue it was taken from when it died.
    pub queue: String,
    /// Class of its last error.
    pub error_class: String,
    /// Message of its last error, in its stored length.
    pub error_message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_at_characters_not_bytes() {
        for (chars, stored) in [
            (ERROR_MESSAGE_CHARS_MAX - 1, ERROR_MESSAGE_CHARS_MAX - 1),
            (ERROR_MESSAGE_CHARS_MAX, ERROR_MESSAGE_CHARS_MAX),
            (ERROR_MESSAGE_CHARS_MAX + 1, ERROR_MESSAGE_CHARS_MAX),
        ] {
            for letter in ["x", "é", "😀"] {
                let error = ErrorInfo::new("E", letter.repeat(chars));
                assert_eq!(error.stored_message(), letter.repeat(stored));
            }
        }
    }
}
