//! A byte stream over the ring, with tokio's stream traits, which the protocols and TLS are written against.
//!
//! A non-blocking socket: reads and writes are tried at once, but for a read right after a write, which would be in vain.
//! When the kernel has nothing, readiness is awaited on the ring, as in [`crate::resp::conn`]: no read is ever in flight,
//! so no dropped future can swallow bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
#[cfg(feature = "postgres")]
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use glommio::io::{PollState, PollableFd};
#[cfg(feature = "postgres")]
use socket2::SockAddr;
use socket2::{Domain, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::resolve::resolve;
use crate::limits::KEEPALIVE_IDLE;
use crate::limits::io::STREAM_CHUNK_BYTES;

/// A connected socket of this core.
pub(super) struct Stream {
    fd: PollableFd<Socket>,
    readable: PollState,
    writable: PollState,
    /// Something was sent since the last read: the answer is on its way, so readiness is awaited before a read is tried.
    asked: bool,
}

impl Stream {
    /// Connects to the first address of a name that accepts. How long that may take is for the caller to bound.
    ///
    /// # Errors
    /// That of the last address.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the socket.
    pub(super) async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let mut last = None;
        for address in resolve(host, port).await? {
            match Self::connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(io::Error::new(error.kind(), format!("{address}: {error}"))),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    async fn connect_to(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_IDLE);
        socket.set_tcp_keepalive(&keepalive)?;
        let connecting = match socket.connect(&address.into()) {
            Ok(()) => false,
            // Over loopback it is connected by now, and the ring need not be asked.
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => socket.peer_addr().is_err(),
            Err(error) => return Err(error),
        };
        let stream = Self::new(socket)?;
        if connecting {
            stream.fd.writable().await?;
            if let Some(error) = stream.fd.get_ref().take_error()? {
                return Err(error);
            }
        }
        Ok(stream)
    }

    /// Connects to a unix socket, which it does at once or not at all.
    #[cfg(feature = "postgres")]
    pub(super) fn connect_unix(path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Self::new(socket)
    }

    fn new(socket: Socket) -> io::Result<Self> {
        let fd = PollableFd::new(socket)?;
        Ok(Self { fd, readable: PollState::new(), writable: PollState::new(), asked: false })
    }

    /// Reads what is there into `bytes`.
    pub(super) fn poll_receive(
        &mut self,
        ctx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.asked {
            ready!(self.fd.poll_readable(ctx, &mut self.readable))?;
            self.asked = false;
        }
        loop {
            match self.fd.get_ref().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.fd.poll_readable(ctx, &mut self.readable))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Closing alone would leave the peer waiting until the ring has forgotten the socket that it polls.
        let _gone = self.fd.get_ref().shutdown(Shutdown::Both);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // By way of the stack, so that a buffer that waits for its first byte is memory nobody touched: with ten thousand
        // connections that wait it is most of what they would take.
        let mut chunk = [0; STREAM_CHUNK_BYTES];
        let room = buffer.remaining().min(chunk.len());
        let count = ready!(self.poll_receive(ctx, &mut chunk[..room]))?;
        buffer.put_slice(&chunk[..count]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            match this.fd.get_ref().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(this.fd.poll_writable(ctx, &mut this.writable))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    this.asked = true;
                    return Poll::Ready(result);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.fd.get_ref().shutdown(Shutdown::Write) {
            // The peer is gone already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
