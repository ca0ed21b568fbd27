//! What can go wrong with a connection to Redis.
//!
//! What can be wrong with a reply is in [`crate::resp::Error`]. A caller meets both, so each variant of that one is here
//! too, under its own name, and `?` turns one into the other.

use std::{io, time::Duration};

use thiserror::Error;

pub use super::{cluster::ClusterError, handshake::HandshakeError, sentinel::SentinelError, tls::TlsError};
use crate::resp::{self, RedisError, error::DecodeError};

/// A call, or a connection, failed.
///
/// Each text is complete: its cause is in the text and in the variant, and there is no `source()` in addition.
/// [`Error::may_heal`] says which of them a retry may fix. Nothing in `net` retries by itself: after `Io`, `Timeout`,
/// `Closed`, `ClosedIdle`, `Decode`, `Unrequested` or `Broken` the caller opens a new connection, and only the caller
/// knows whether the commands may be sent again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket failed. A new connection may fix it.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried, with the address: "connect to 127.0.0.1:6379".
        what: String,
        /// The system's error.
        cause: io::Error,
    },
    /// Redis did not answer in time; whether it ran the commands is unknown. A new connection may fix it.
    #[error("{what}: no answer within {after:?}")]
    Timeout {
        /// What was tried.
        what: String,
        /// How long the caller waited.
        after: Duration,
    },
    /// Redis closed the connection. A new one may fix it.
    #[error("redis closed the connection")]
    Closed,
    /// The connection had been idle, and was found closed: by a rule of the server (`timeout`) or of something in
    /// between, as far as can be known. A new connection fixes it, unless it turns out that Redis is gone.
    #[error("the connection was closed after {idle:.1?} without traffic")]
    ClosedIdle {
        /// How long nothing had come over it.
        idle: Duration,
        /// Whether commands had been sent when that was noticed: then they may have run.
        sent: bool,
    },
    /// The connection failed before and takes no more calls. A new one may fix it.
    #[error("the connection failed before and takes no more calls; open a new one")]
    Broken,
    /// The connection could not be set up as its url asks. [`HandshakeError`] says which of these waiting fixes; for the
    /// others someone must change the url or the server.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The connection could not be encrypted, or the server is not the one it should be. Someone must change a file, a
    /// clock or the server.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No sentinel led to a primary. May pass: during a fail-over there is none for a few seconds.
    #[error(transparent)]
    NoPrimary(#[from] SentinelError),
    /// No node of a cluster led to the primary of a slot. May pass: during a fail-over there is none for a few seconds.
    #[error(transparent)]
    NoNode(#[from] ClusterError),
    /// What came is not a reply. A new connection may fix it, unless a bound was exceeded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A reply came that no command asked for. A new connection may fix it.
    #[error("a reply came that no command asked for")]
    Unrequested,
    /// Redis answered with an error. [`RedisError::kind`] says which of them waiting may fix.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis answered with another kind of value than the command returns. Never passes: it is not the server we think it
    /// is.
    #[error("redis answered {got} instead of {expected}")]
    Unexpected {
        /// What the command returns.
        expected: &'static str,
        /// What came: its kind and size, not its content.
        got: String,
    },
    /// More commands would wait for replies than one connection may have waiting. Passes when replies are taken.
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

impl Error {
    /// Whether a connection failed because of what this one server is or does: the sentinel or cluster node that named it
    /// may be out of date, and another may name a server that does not fail that way.
    #[must_use]
    pub(super) const fn is_of_one_server(&self) -> bool {
        matches!(
            self,
            Self::Io { .. }
                | Self::Timeout { .. }
                | Self::Closed
                | Self::Handshake(HandshakeError::NotPrimary { .. })
        )
    }

    /// Whether an idle connection was closed, which is not an outage while another one can be opened.
    #[must_use]
    pub const fn is_of_idleness(&self) -> bool {
        matches!(self, Self::ClosedIdle { .. })
    }

    /// Whether trying again later, over a new connection, may succeed without anyone changing anything.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            // A socket that may not be touched, or an invalid path, stays so until someone changes it; everything else
            // (refused, reset, unreachable, no such socket yet) is how a restarting server looks.
            Self::Io { cause, .. } => {
                !matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput)
            }
            Self::Timeout { .. }
            | Self::Closed
            | Self::ClosedIdle { .. }
            | Self::Broken
            | Self::Unrequested
            | Self::PipelineFull { .. } => true,
            Self::Handshake(error) => error.may_heal(),
            Self::NoPrimary(error) => error.may_heal(),
            Self::NoNode(error) => error.may_heal(),
            Self::Decode(error) => error.may_heal(),
            Self::Redis(error) => error.kind().may_heal(),
            Self::Tls(_) | Self::Unexpected { .. } => false,
        }
    }
}

impl From<resp::Error> for Error {
    fn from(error: resp::Error) -> Self {
        match error {
            resp::Error::Decode(error) => Self::Decode(error),
            resp::Error::Unrequested => Self::Unrequested,
            resp::Error::Redis(error) => Self::Redis(error),
            resp::Error::Unexpected { expected, got } => Self::Unexpected { expected, got },
            resp::Error::PipelineFull { pending, more, max } => Self::PipelineFull { pending, more, max },
        }
    }
}
