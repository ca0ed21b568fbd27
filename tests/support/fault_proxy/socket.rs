//! The sockets on both sides of the proxy.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Where the server listens.
#[derive(Clone)]
pub(super) enum Upstream {
    Unix(PathBuf),
    Tcp(u16),
}

impl Upstream {
    pub(super) fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
            Self::Tcp(port) => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }
}

impl Socket {
    pub(super) fn read(&self, chunk: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => (&*stream).read(chunk),
            Self::Tcp(stream) => (&*stream).read(chunk),
        }
    }

    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => (&*stream).write_all(bytes),
            Self::Tcp(stream) => (&*stream).write_all(bytes),
        }
    }

    pub(super) fn shut_down(&self, how: Shutdown) {
        // Fails only if the peer has already done it.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
        };
    }
}
