//! The blocking socket of a connection, and the moment by which a call must be done.
//!
//! Not responsible for what goes through it: see [`super`].

use std::{
    io::{self, IoSlice, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::net::Error;
use crate::net::transport;
use crate::resp::url::Endpoint;

/// One deadline that all steps of a call share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    end: Instant,
    after: Duration,
}

impl Deadline {
    pub(super) fn after(after: Duration) -> Self {
        Self { end: Instant::now() + after, after }
    }

    /// At least a millisecond: to a socket, zero means "no time-out at all".
    pub(super) fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }
}

pub(super) fn io_error(what: String, deadline: Deadline, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Error::Timeout { what, after: deadline.after },
        _ => transport::failed(what, cause),
    }
}

/// A socket of either kind.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connecting to a unix socket has no time-out in the system: it waits only while the server's backlog is full.
    pub(super) fn connect(endpoint: &Endpoint, deadline: Deadline) -> Result<Self, Error> {
        let failed = |source| io_error(format!("connect to redis at {endpoint}"), deadline, source);
        match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(path).map(Self::Unix).map_err(failed),
            Endpoint::Tcp { host, port } => Self::connect_tcp(host, *port, deadline).map_err(failed),
        }
    }

    fn connect_tcp(host: &str, port: u16, deadline: Deadline) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, deadline.left()) {
                Ok(stream) => {
                    // A call is one small write; it must not wait for the reply to an earlier one.
                    stream.set_nodelay(true)?;
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Self::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }

    pub(super) fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            Self::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(pieces),
            Self::Unix(stream) => stream.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
