//! A byte stream over the ring, with tokio's stream traits, which the protocols and TLS are written against.
//!
//! A non-blocking socket that is read and written only when it is ready ([`super::readiness`]): no read is ever in
//! flight, so no dropped future can swallow bytes, and a socket without data is not read.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
#[cfg(feature = "postgres")]
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

#[cfg(feature = "postgres")]
use socket2::SockAddr;
use socket2::{Domain, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::readiness::{Fresh, Watched};
use super::resolve::resolve;
use crate::limits::KEEPALIVE_IDLE;
use crate::limits::io::STREAM_CHUNK_BYTES;

thread_local! {
    /// Every read of this core goes here first, so that a buffer waiting for its first byte is untouched memory: with
    /// ten thousand waiting connections, those buffers would be most of the memory they take.
    static CHUNK: RefCell<Box<[u8]>> = RefCell::new(vec![0; STREAM_CHUNK_BYTES].into());
}

/// A connected socket of this core.
pub(super) struct Stream(Watched<Socket>);

impl Stream {
    /// Connects to the first of a name's addresses that accepts. Bounding the time is up to the caller.
    ///
    /// # Errors
    /// The error of the last address.
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
            // Over loopback it is already connected, and the ring need not be asked.
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => socket.peer_addr().is_err(),
            Err(error) => return Err(error),
        };
        let fresh = if connecting { Fresh::Connecting } else { Fresh::Connected };
        let stream = Self(Watched::new(socket, fresh)?);
        if connecting {
            poll_fn(|ctx| stream.0.poll_writable(ctx)).await;
            if let Some(error) = stream.0.socket().take_error()? {
                return Err(error);
            }
        }
        Ok(stream)
    }

    /// A non-blocking socket that a listener has accepted.
    #[cfg(feature = "web")]
    pub(super) fn accepted(socket: Socket) -> io::Result<Self> {
        Ok(Self(Watched::new(socket, Fresh::Connected)?))
    }

    /// Connects to a unix socket, which succeeds or fails at once.
    #[cfg(feature = "postgres")]
    pub(super) fn connect_unix(path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(Self(Watched::new(socket, Fresh::Connected)?))
    }

    /// Ready when a read may return something.
    #[cfg(feature = "http")]
    pub(super) fn poll_readable(&self, ctx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_readable(ctx)
    }

    /// Makes the next read ask the kernel, because its news may not have arrived yet.
    #[cfg(feature = "http")]
    pub(super) fn ask_again(&self) {
        self.0.may_have_more();
    }

    /// Reads what is there, at most `room` bytes, and passes it to `take`; returns how many bytes it was.
    pub(super) fn poll_receive(
        &mut self,
        ctx: &mut Context<'_>,
        room: usize,
        take: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_readable(ctx));
            let read = CHUNK.with_borrow_mut(|chunk| {
                let room = room.min(chunk.len());
                let count = self.0.socket().read(&mut chunk[..room])?;
                // There is nothing to wait for at the end of the stream.
                if count > 0 && count < room {
                    self.0.is_drained();
                }
                Ok::<_, io::Error>(count)
            });
            match read {
                Ok(count) => {
                    CHUNK.with_borrow(|chunk| take(&chunk[..count]));
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.is_drained(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        self.poll_receive(ctx, room, |bytes| buffer.put_slice(bytes)).map_ok(drop)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_writable(ctx));
            match self.0.socket().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.is_full(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.socket().shutdown(Shutdown::Write) {
            // The peer is already gone.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
