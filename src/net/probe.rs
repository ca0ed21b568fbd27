//! Plain or TLS: which of them a port speaks, asked when a connection failed the way one does to a port that speaks the
//! other.
//!
//! A plain Redis takes a TLS ClientHello for the start of a command and waits for more; a TLS one resets a client that
//! starts in RESP. Neither says why. So a second connection asks in the other language, and only an answer in that
//! language counts as proof that the url is wrong and this is not an outage. Sans-IO, and no secret is sent.

use std::io;
use std::time::Duration;

use super::Error;
use super::tls::TlsError;
use crate::limits::PROBE_TIMEOUT;
use crate::resp::decode::DecodeError;
use crate::resp::url::{Endpoint, RedisUrl};

/// What the port may speak, contrary to its url.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// Plain RESP.
    Plain,
    /// TLS.
    Tls,
}

impl Suspicion {
    /// What to suspect of a server that failed this way; `None` if nothing of this kind.
    pub(super) fn of(url: &RedisUrl, endpoint: &Endpoint, error: &Error) -> Option<Self> {
        if matches!(endpoint, Endpoint::Unix(_)) {
            return None;
        }
        let silent = matches!(error, Error::Timeout { .. } | Error::Tls(TlsError::HungUp { .. }));
        if url.tls().is_some() {
            return silent.then_some(Self::Plain);
        }
        let hung_up = match error {
            Error::Closed => true,
            Error::Io { cause, .. } => matches!(
                cause.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
            ),
            Error::Decode(DecodeError::UnknownKind { byte }) => *byte == TLS_ALERT,
            _ => false,
        };
        hung_up.then_some(Self::Tls)
    }

    /// What to write to a new connection.
    pub(super) const fn question(self) -> &'static [u8] {
        match self {
            Self::Plain => b"PING\r\n",
            // A truncated ClientHello: a server that speaks TLS answers with an alert.
            Self::Tls => b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        }
    }

    /// Whether an answer that begins with this byte is in the language it was asked in.
    pub(super) const fn is_proved_by(self, first: u8) -> bool {
        match self {
            Self::Plain => first == b'+' || first == b'-',
            Self::Tls => first == TLS_ALERT,
        }
    }

    /// The error to report then.
    pub(super) fn error(self, endpoint: &Endpoint) -> Error {
        let host = endpoint.to_string();
        Error::Tls(match self {
            Self::Plain => TlsError::NotTls { host },
            Self::Tls => TlsError::NotPlain { host },
        })
    }
}

/// How long the second connection may take, given the time the first one had.
pub(super) fn patience(connect_timeout: Duration) -> Duration {
    PROBE_TIMEOUT.min(connect_timeout)
}

/// The first byte of an alert.
const TLS_ALERT: u8 = 0x15;
