//! A stream that is plain or encrypted.

use std::io;
use std::pin::Pin;
#[cfg(all(feature = "http", feature = "tls"))]
use std::task::ready;
use std::task::{Context, Poll};

#[cfg(all(feature = "http", feature = "tls"))]
use tokio::io::AsyncBufRead;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;
#[cfg(all(feature = "http", feature = "tls"))]
use crate::limits::io::STREAM_CHUNK_BYTES;

/// The bytes of a connection.
pub(super) enum Wire {
    Plain(Stream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<Stream>>),
}

/// Runs `$call` on whichever stream it is.
macro_rules! either {
    ($wire:expr, $stream:ident => $call:expr) => {
        match $wire {
            Wire::Plain($stream) => $call,
            #[cfg(feature = "tls")]
            Wire::Tls($stream) => $call,
        }
    };
}

#[cfg(feature = "http")]
impl Wire {
    /// Reads what is there, at most `room` bytes, and passes it to `take`.
    pub(super) fn poll_receive(
        &mut self,
        ctx: &mut Context<'_>,
        room: usize,
        take: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_receive(ctx, room, take).map_ok(drop),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => {
                let mut chunk = [0; STREAM_CHUNK_BYTES];
                let mut buffer = ReadBuf::new(&mut chunk[..room.min(STREAM_CHUNK_BYTES)]);
                ready!(Pin::new(stream).poll_read(ctx, &mut buffer))?;
                take(buffer.filled());
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Ready when an answer begins, or the connection ends: a read tells which.
    pub(super) fn poll_answer(&mut self, ctx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => stream.poll_readable(ctx),
            // TLS's own messages are not an answer.
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_fill_buf(ctx).map(drop),
        }
    }

    /// Makes the next read ask the kernel, whatever it reported before.
    pub(super) fn ask_again(&self) {
        match self {
            Self::Plain(stream) => stream.ask_again(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_ref().0.ask_again(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_read(ctx, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_write(ctx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_flush(ctx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(ctx))
    }
}
