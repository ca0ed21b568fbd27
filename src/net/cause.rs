//! Which error of a connection has which [`Cause`].

use super::Error;
use super::error::HandshakeError;
use crate::resp::RedisErrorKind;
use crate::wire::Cause;

impl Error {
    /// Why Redis cannot be worked with, given this outcome.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::Io { .. }
            | Self::Timeout { .. }
            | Self::Closed
            | Self::ClosedIdle { .. }
            | Self::Broken
            | Self::Decode(_)
            | Self::Unrequested
            | Self::PipelineFull { .. } => Cause::Gone,
            Self::Handshake(error) => of_handshake(error),
            Self::Tls(_) => Cause::Tls,
            Self::NoPrimary(_) | Self::NoNode(_) => Cause::NotFound,
            Self::Redis(error) => of_kind(error.kind()),
            Self::Unexpected { .. } => Cause::Refused,
        }
    }
}

fn of_handshake(error: &HandshakeError) -> Cause {
    match error {
        HandshakeError::WrongPassword { .. }
        | HandshakeError::WrongPasswordInFile { .. }
        | HandshakeError::UserAlone
        | HandshakeError::PasswordRequired
        | HandshakeError::PasswordNotSet => Cause::Password,
        HandshakeError::NoSuchDatabase { .. } => Cause::NoDatabase,
        HandshakeError::NotPrimary { .. } => Cause::Replica,
        HandshakeError::Refused { cause, .. } => of_kind(cause.kind()),
        HandshakeError::Nonsense { .. } => Cause::Refused,
    }
}

const fn of_kind(kind: RedisErrorKind) -> Cause {
    match kind {
        RedisErrorKind::NoAuth | RedisErrorKind::WrongPass => Cause::Password,
        RedisErrorKind::NoPerm => Cause::Denied,
        RedisErrorKind::Loading
        | RedisErrorKind::Busy
        | RedisErrorKind::MasterDown
        | RedisErrorKind::ClusterDown
        | RedisErrorKind::TryAgain
        | RedisErrorKind::Moved
        | RedisErrorKind::Ask => Cause::NotNow,
        RedisErrorKind::MaxClients => Cause::Full,
        RedisErrorKind::Readonly | RedisErrorKind::Unblocked => Cause::Replica,
        RedisErrorKind::Oom | RedisErrorKind::Misconf => Cause::NoWrites,
        RedisErrorKind::UnknownCommand => Cause::NoCommand,
        RedisErrorKind::Noscript | RedisErrorKind::WrongType | RedisErrorKind::Other => Cause::Refused,
    }
}
