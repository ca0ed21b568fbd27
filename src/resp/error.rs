//! What can go wrong between us and Redis, in one type for all of `resp`.

use std::{io, time::Duration};

use thiserror::Error;

pub use super::{
    redis_error::{RedisError, RedisErrorKind},
    scan::DecodeError,
};
pub use crate::net::{cluster::error::ClusterError, sentinel::error::SentinelError, tls::error::TlsError};

/// A call, or a connection, failed.
///
/// Each text is complete: what caused it is in the text and in the variant, and is no `source()` on top of that.
/// [`Error::may_heal`] says which of them a retry may heal. Nothing in `resp` retries by itself: after `Io`,
/// `Timeout`, `Closed`, `Decode`, `Unrequested` or `Broken` the caller opens a new connection, and whether the call
/// may be sent again is only known to who knows the command.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The socket failed. A new connection may heal it.
    #[error("{what}: {cause}")]
    Io {
        /// What was tried, with the address: "connect to 127.0.0.1:6379".
        what: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Redis did not answer in time; whether it ran the commands is unknown. A new connection may heal it.
    #[error("{what}: no answer within {after:?}")]
    Timeout {
        /// What was tried.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// Redis closed the connection. A new one may heal it.
    #[error("redis closed the connection")]
    Closed,
    /// The connection failed before and takes no more calls; open a new one.
    #[error("the connection failed before and takes no more calls; open a new one")]
    Broken,
    /// What came was no reply, or too large a one.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A reply came that no command asked for: the peer and we no longer agree which reply is whose. A new
    /// connection may heal it.
    #[error("a reply came that no command asked for")]
    Unrequested,
    /// The connection could not be set up as its url asks.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The connection could not be encrypted, or the server is not the one it should be.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No sentinel led to a primary. May heal: during a fail-over there is none for some seconds.
    #[error(transparent)]
    NoPrimary(#[from] SentinelError),
    /// No node of a cluster led to the primary of a slot. May heal: during a fail-over there is none for some seconds.
    #[error(transparent)]
    NoNode(#[from] ClusterError),
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

impl Error {
    /// Whether a connection failed for what this one server is or does: whoever named it, a sentinel or a node of a cluster,
    /// may be behind the times, and another may name one with which it does not happen.
    #[must_use]
    pub(crate) const fn is_of_one_server(&self) -> bool {
        matches!(
            self,
            Self::Io { .. }
                | Self::Timeout { .. }
                | Self::Closed
                | Self::Handshake(HandshakeError::NotPrimary { .. })
        )
    }

    /// Whether trying again later, over a new connection, may go better without anyone changing anything.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            // A socket that may not be touched, or a path that is none, stays so until someone changes it; all else
            // (refused, reset, unreachable, no such socket yet) is how a restarting server looks.
            Self::Io { cause, .. } => {
                !matches!(cause.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput)
            }
            Self::Timeout { .. }
            | Self::Closed
            | Self::Broken
            | Self::Unrequested
            | Self::PipelineFull { .. } => true,
            Self::Decode(error) => !matches!(
                error,
                DecodeError::ReplyTooLarge { .. }
                    | DecodeError::TooManyElements { .. }
                    | DecodeError::TooDeep { .. }
                    | DecodeError::LineTooLong { .. }
            ),
            Self::Handshake(HandshakeError::Refused { cause, .. }) | Self::Redis(cause) => {
                cause.kind().may_heal()
            }
            Self::Handshake(HandshakeError::NotPrimary { .. }) => true,
            Self::NoPrimary(error) => error.may_heal(),
            Self::NoNode(error) => error.may_heal(),
            Self::Handshake(_) | Self::Tls(_) | Self::Unexpected { .. } => false,
        }
    }
}

/// Redis refused how the connection introduced itself. All but `Refused` need someone to change the url or the
/// server; none names the password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The password or the user is wrong, or the user is disabled; Redis does not say which.
    #[error("redis does not accept the password of user {user:?}; check user and password in the url")]
    WrongPassword {
        /// The user of the url; `default` if it names none.
        user: String,
    },
    /// The url has a user alone, which may be a password in the wrong place, so it is not shown.
    #[error(
        "redis does not accept the user of the url, which has no password; write a password redis://:PASSWORD@host or \
         redis://USER:PASSWORD@host"
    )]
    UserAlone,
    /// Redis wants a password and the url has none.
    #[error(
        "redis wants a password; write it into the url: redis://:password@host or redis://user:password@host"
    )]
    PasswordRequired,
    /// The url has a password and Redis knows none.
    #[error("the url has a password, but redis has none set; remove it from the url or set it in redis")]
    PasswordNotSet,
    /// The database of the url does not exist.
    #[error(
        "redis has no database {database}; choose a smaller number or raise `databases` in its configuration"
    )]
    NoSuchDatabase {
        /// The database of the url.
        database: u32,
    },
    /// A sentinel or a node of a cluster named the server, and it says that it is none: that one has not heard of a
    /// fail-over yet, or the server has not. Heals.
    #[error("the server that was named as the primary is a {role}")]
    NotPrimary {
        /// What it calls itself.
        role: String,
    },
    /// Another error; it may be one that waiting heals, such as `LOADING`.
    #[error("{step}: {cause}")]
    Refused {
        /// Which step was refused: "authenticate", "select database 3", "name the connection".
        step: String,
        /// What Redis said, without the password.
        cause: RedisError,
    },
    /// Not an error and not OK.
    #[error("{step}: {details}")]
    Nonsense {
        /// Which step was answered so.
        step: String,
        /// What came instead.
        details: String,
    },
}
