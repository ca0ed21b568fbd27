//! What is between a connection's commands and replies and its socket: nothing, or TLS.
//!
//! Sans-IO except for the one read or write it is asked for: how to wait for the socket is up to the connection. Plain
//! bytes pass between the pipeline and the socket without an extra copy because of TLS.

use std::io::{self, Read, Write};

use super::Error;
use super::tls::{Session, TlsError};
use crate::resp::{Endpoint, Pipeline, RedisUrl};

/// How the bytes of one connection look on the wire.
pub(super) enum Transport {
    /// Unchanged.
    Plain,
    /// Encrypted.
    Tls(Box<Session>),
}

impl Transport {
    /// What `url` asks for, to the server at `endpoint`.
    ///
    /// # Errors
    /// [`Error::Tls`] about a file or a name.
    pub(super) fn new(url: &RedisUrl, endpoint: &Endpoint) -> Result<Self, Error> {
        match (url.tls(), endpoint) {
            (Some(files), Endpoint::Tcp { host, .. }) => {
                Ok(Self::Tls(Box::new(Session::new(files, host).map_err(Error::Tls)?)))
            }
            // A unix socket leaves the machine as little as TLS would let it; no url asks for both.
            _ => Ok(Self::Plain),
        }
    }

    /// Whether a handshake must finish before anything is sent.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self, Self::Tls(session) if session.is_handshaking())
    }

    /// Whether there is something to write.
    pub(super) fn owes(&self, pipeline: &Pipeline) -> bool {
        !pipeline.output().is_empty() || matches!(self, Self::Tls(session) if session.wants_write())
    }

    /// Writes once and returns how many bytes the socket took.
    ///
    /// # Errors
    /// Those of the socket, including `WouldBlock`: nothing is lost, and the next call continues writing.
    pub(super) fn transmit(&mut self, mut socket: impl Write, pipeline: &mut Pipeline) -> io::Result<usize> {
        match self {
            Self::Plain => {
                let bytes = socket.write(pipeline.output())?;
                pipeline.wrote(bytes);
                Ok(bytes)
            }
            Self::Tls(session) => {
                if !session.wants_write() {
                    let taken = session.encrypt(pipeline.output())?;
                    pipeline.wrote(taken);
                }
                session.write_out(&mut socket)
            }
        }
    }

    /// Reads once, passes what came to the pipeline, and returns how many bytes the socket gave; 0 if it has ended.
    ///
    /// # Errors
    /// Those of the socket, and of kind `InvalidData` with a [`TlsError`] in it.
    pub(super) fn receive(
        &mut self,
        mut socket: impl Read,
        chunk: &mut [u8],
        pipeline: &mut Pipeline,
    ) -> io::Result<usize> {
        let bytes = socket.read(chunk)?;
        match self {
            Self::Plain => pipeline.feed(&chunk[..bytes]),
            Self::Tls(session) => session
                .decrypt(&chunk[..bytes], |plain| pipeline.feed(plain))
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
        }
        Ok(bytes)
    }
}

/// The error for a failed read or write, with what was tried.
pub(super) fn failed(what: impl Into<String>, error: io::Error) -> Error {
    match error.downcast::<TlsError>() {
        Ok(tls) => Error::Tls(tls),
        Err(cause) => Error::Io { what: what.into(), cause },
    }
}
