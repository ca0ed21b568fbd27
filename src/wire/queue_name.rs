//! The name of a queue, valid by construction.
//!
//! An existing [`QueueName`] may appear unchanged in a Redis key, in the heartbeat key and in a log line. Keys are built
//! elsewhere; which queues a process serves is configuration.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::in_progress::IN_PROGRESS;
use crate::limits::QUEUE_NAME_BYTES_MAX;

/// The gem's default queue: where jobs go whose class names none.
pub const DEFAULT_QUEUE: &str = "default";

/// A queue name that every reader of the shared keys can take apart again.
///
/// Invariant: 1 to [`QUEUE_NAME_BYTES_MAX`] bytes; no colon (the gem refuses it and cuts at it), no comma (the heartbeat
/// joins names with it), no braces (they would move the key to a different cluster slot from its in-flight key), no control
/// character, no blank at either end, and not `in_progress` (the gem's requeuer takes any key with that text for a list of
/// running jobs and rotates it for ever).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Box<str>);

/// Why a text is not a queue name. The user must fix it; a retry never helps.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueueNameError {
    /// Nothing between two commas, or an empty argument.
    #[error("a queue name must not be empty")]
    Empty,
    /// Longer than [`QUEUE_NAME_BYTES_MAX`].
    #[error("a queue name of {bytes} bytes is too long: at most {QUEUE_NAME_BYTES_MAX}")]
    TooLong {
        /// The given length, in bytes.
        bytes: usize,
    },
    /// A character that keys, the heartbeat or log lines cannot contain.
    #[error(
        "queue name {name:?} contains {character:?}: colons, commas, braces and control characters are not allowed"
    )]
    Character {
        /// The name as given.
        name: String,
        /// The first character that is refused.
        character: char,
    },
    /// Blanks at the start or the end, which nobody sees in a log.
    #[error("queue name {name:?} begins or ends with a blank")]
    Blank {
        /// The name as given.
        name: String,
    },
    /// The name contains `in_progress`.
    #[error(
        "queue name {name:?} contains `{IN_PROGRESS}`, which the jiggler gem reserves for its running jobs"
    )]
    Reserved {
        /// The name as given.
        name: String,
    },
}

impl QueueName {
    /// Checks `name` and keeps it unchanged.
    ///
    /// # Errors
    /// [`QueueNameError`] says which rule of the type's invariant is broken.
    pub fn new(name: &str) -> Result<Self, QueueNameError> {
        if name.is_empty() {
            return Err(QueueNameError::Empty);
        }
        if name.len() > QUEUE_NAME_BYTES_MAX {
            return Err(QueueNameError::TooLong { bytes: name.len() });
        }
        if let Some(character) = name.chars().find(|c| matches!(c, ':' | ',' | '{' | '}') || c.is_control()) {
            return Err(QueueNameError::Character { name: name.to_owned(), character });
        }
        if name.trim() != name {
            return Err(QueueNameError::Blank { name: name.to_owned() });
        }
        if name.contains(IN_PROGRESS) {
            return Err(QueueNameError::Reserved { name: name.to_owned() });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for QueueName {
    /// The gem's default queue, `default`.
    fn default() -> Self {
        Self(DEFAULT_QUEUE.into())
    }
}

impl FromStr for QueueName {
    type Err = QueueNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl AsRef<str> for QueueName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_every_reader_can_take_apart_are_kept_unchanged() {
        for name in ["default", "img", "low-2", "mail.out", "über", "a b", "progress"] {
            assert_eq!(QueueName::new(name).map(|queue| queue.to_string()), Ok(name.to_owned()));
        }
        assert_eq!(QueueName::default(), QueueName::new(DEFAULT_QUEUE).unwrap());
    }

    #[test]
    fn names_that_would_break_a_key_are_refused_with_the_rule() {
        let check = |name: &str, part: &str| {
            let text = QueueName::new(name).unwrap_err().to_string();
            assert!(text.contains(part), "{name:?}: {text}");
        };
        check("", "empty");
        check("a:b", "':'");
        check("a,b", "','");
        check("{a", "'{'");
        check("a}", "'}'");
        check("a\nb", "'\\n'");
        check(" a", "blank");
        check("a ", "blank");
        check("orders_in_progress", "reserves");
    }

    #[test]
    fn the_length_is_bounded_at_the_limit() {
        for (bytes, valid) in [
            (QUEUE_NAME_BYTES_MAX - 1, true),
            (QUEUE_NAME_BYTES_MAX, true),
            (QUEUE_NAME_BYTES_MAX + 1, false),
        ] {
            assert_eq!(QueueName::new(&"q".repeat(bytes)).is_ok(), valid, "{bytes} bytes");
        }
    }
}
