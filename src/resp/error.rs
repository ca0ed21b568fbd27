//! What can go wrong between bytes and replies, in one type for all of `resp`.

use thiserror::Error;

pub use super::{
    redis_error::{RedisError, RedisErrorKind},
    scan::DecodeError,
};

/// What came is not what was asked for, or cannot be asked for.
///
/// Each text is complete: what caused it is in the text and in the variant, and is no `source()` on top of that.
/// [`net::Error`](crate::net::Error)
/// has all of these too, and says which of them a new connection may heal.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// What came is not a reply, or is too large. The connection is of no use any more; a new one may heal all but the
    /// latter.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A reply came that no command asked for: the peer and we no longer agree which reply is whose. A new
    /// connection may heal it.
    #[error("a reply came that no command asked for")]
    Unrequested,
    /// Redis answered with an error; see [`RedisError::kind`] for those that waiting may heal.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis answered with another kind of value than the command gives. Never heals: not the server we think it is.
    #[error("redis answered {got} instead of {expected}")]
    Unexpected {
        /// What the command gives.
        expected: &'static str,
        /// What came: its kind and size, not its content.
        got: String,
    },
    /// More commands would wait for replies than one connection may have waiting. Heals when replies are taken.
    #[error("{pending} commands wait for replies, so {more} more would exceed {max}")]
    PipelineFull {
        /// How many wait.
        pending: usize,
        /// How many were to be added.
        more: usize,
        /// [`crate::limits::PIPELINE_COMMANDS_MAX`].
        max: usize,
    },
}
