//! A byte stream over the ring, with tokio's stream traits, which the protocols and TLS are written against.
//!
//! A non-blocking socket that is read and written when it can be ([`super::readiness`]): no read is ever in flight, so no
//! dropped future can swallow bytes, and a socket that has nothing is not asked.

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
    /// What every read of this core goes into first, so that a buffer that waits for its first byte is memory nobody
    /// touched: with ten thousand connections that wait it is most of what they would take.
    static CHUNK: RefCell<Box<[u8]>> = RefCell::new(vec![0; STREAM_CHUNK_BYTES].into());
}

/// A connected socket of this core.
pub(super) struct Stream(Watched<Socket>);

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

    /// Connects to a unix socket, which it does at once or not at all.
    #[cfg(feature = "postgres")]
    pub(super) fn connect_unix(path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(Self(Watched::new(socket, Fresh::Connected)?))
    }

    /// Ready when a read may bring something.
    #[cfg(feature = "http")]
    pub(super) fn poll_readable(&self, ctx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_readable(ctx)
    }

    /// Has the next read ask the kernel: what it has to tell may not have been heard yet.
    #[cfg(feature = "http")]
    pub(super) fn ask_again(&self) {
        self.0.may_have_more();
    }

    /// Reads what is there, `room` bytes at most, and gives it to `take`: how many bytes it was.
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
                // At the end of the stream there is nothing to wait for.
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
            // The peer is gone already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
