//! What can go wrong between bytes and replies, in one type for all of `resp`.

use thiserror::Error;

pub use super::{
    redis_error::{RedisError, RedisErrorKind},
    scan::DecodeError,
};

/// What arrived is not what was requested, or cannot be requested.
///
/// Each text is complete: the cause is in the text and in the variant, and is not a `source()` as well.
/// [`net::Error`](crate::net::Error) has all of these too, and says which of them a new connection may fix.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// What arrived is not a reply, or is too large. The connection is no longer usable; a new one may fix all but
    /// the latter.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A reply came that no command asked for: the peer and we no longer agree on which reply is whose. A new
    /// connection may fix it.
    #[error("a reply came that no command asked for")]
    Unrequested,
    /// Redis answered with an error; [`RedisError::kind`] tells which of them may pass with time.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis answered with another kind of value than the command returns. Never heals: this is not the server we
    /// think it is.
    #[error("redis answered {got} instead of {expected}")]
    Unexpected {
        /// What the command returns.
        expected: &'static str,
        /// What arrived: its kind and size, not its content.
        got: String,
    },
    /// More commands would be waiting for replies than one connection allows. Heals when replies are taken.
    #[error("{pending} commands wait for replies, so {more} more would exceed {max}")]
    PipelineFull {
        /// How many are waiting.
        pending: usize,
        /// How many were to be added.
        more: usize,
        /// [`crate::limits::PIPELINE_COMMANDS_MAX`].
        max: usize,
    },
}
