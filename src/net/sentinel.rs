//! What to ask a sentinel, and what it answers: where the primary is. `find` is the search.

mod error;

pub use error::SentinelError;

use super::{Error, handshake::HandshakeError};
use crate::resp::reply::{Reply, Value};
use crate::resp::url::Endpoint;
use crate::resp::{self, Requests};

/// Asks where the primary of this name is; [`read_address`] reads the reply.
pub(super) fn question(primary: &str) -> Requests {
    let mut question = Requests::new();
    question.command(&[b"SENTINEL", b"get-master-addr-by-name", primary.as_bytes()]);
    question
}

/// A host and a port; nil is the answer for a name that the sentinel does not know.
pub(super) fn read_address(reply: &Reply) -> Result<Option<Endpoint>, resp::Error> {
    let mut parts = match reply.value() {
        Value::Nil => return Ok(None),
        other => other.as_array()?,
    };
    let mut text = || Some(std::str::from_utf8(parts.next()?.as_bulk().ok()?).ok()?.to_owned());
    match (text(), text().and_then(|port| port.parse().ok())) {
        (Some(host), Some(port)) if !host.is_empty() && port > 0 => Ok(Some(Endpoint::Tcp { host, port })),
        _ => Err(resp::Error::Unexpected { expected: "a host and a port", got: format!("{reply:?}") }),
    }
}

/// Why it refuses. The errors of a server refer to the url's password, which is not the one a sentinel wants.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::Handshake(HandshakeError::PasswordRequired) => {
            "it wants its own password; give --redis-sentinel-password-file".to_owned()
        }
        Error::Handshake(HandshakeError::WrongPassword { user }) => {
            format!("it does not accept the sentinel password of user {user:?}")
        }
        Error::Handshake(HandshakeError::WrongPasswordInFile { user, file }) => {
            format!("it does not accept the sentinel password of user {user:?} in {file}")
        }
        Error::Handshake(HandshakeError::UserAlone) => {
            "it does not accept the sentinel user, which has no password; give --redis-sentinel-password-file"
                .to_owned()
        }
        Error::Handshake(HandshakeError::PasswordNotSet) => {
            "a sentinel password is given, but it has none set".to_owned()
        }
        other => other.to_string(),
    }
}
