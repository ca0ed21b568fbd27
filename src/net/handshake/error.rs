//! Why Redis does not let a connection in.

use thiserror::Error;

use crate::resp::RedisError;

/// Redis refused how the connection introduced itself. All except `Refused` need someone to change the url or the server;
/// none contains the password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The password or the user is wrong, or the user is disabled; Redis does not say which.
    #[error("redis does not accept the password of user {user:?}; check user and password in the url")]
    WrongPassword {
        /// The user of the url; `default` if it names none.
        user: String,
    },
    /// The same for a password that is in a file.
    #[error("redis does not accept the password of user {user:?} in {file}")]
    WrongPasswordInFile {
        /// The user of the url; `default` if it names none.
        user: String,
        /// The file, and why it could not be reread, if it could not.
        file: String,
    },
    /// The url has a user but no password; the user may be a misplaced password, so it is not shown.
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
    /// A sentinel or a node of a cluster named the server, and it reports that it is not a primary: either the other or
    /// the server itself has not heard of a fail-over yet. Passes.
    #[error("the server that was named as the primary is a {role}")]
    NotPrimary {
        /// The role that it reports.
        role: String,
    },
    /// Another error; it may be one that waiting fixes, such as `LOADING`.
    #[error("{step}: {cause}")]
    Refused {
        /// Which step was refused: "authenticate", "select database 3", "name the connection".
        step: String,
        /// The reply of Redis, without the password.
        cause: RedisError,
    },
    /// Not an error and not OK.
    #[error("{step}: {details}")]
    Nonsense {
        /// Which step was answered that way.
        step: String,
        /// What came instead.
        details: String,
    },
}

impl HandshakeError {
    /// Whether trying again later may succeed without anyone changing anything.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            Self::NotPrimary { .. } => true,
            Self::Refused { cause, .. } => cause.kind().may_heal(),
            Self::WrongPassword { .. }
            | Self::WrongPasswordInFile { .. }
            | Self::UserAlone
            | Self::PasswordRequired
            | Self::PasswordNotSet
            | Self::NoSuchDatabase { .. }
            | Self::Nonsense { .. } => false,
        }
    }
}
