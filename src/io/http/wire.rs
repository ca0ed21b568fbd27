//! A stream as hyper wants it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::AsyncWrite;

use super::target::Origin;
use crate::io::stream::Stream;
use crate::io::wire::Wire;
use crate::limits::io::STREAM_CHUNK_BYTES;

/// A stream with hyper's traits.
pub(super) struct HyperWire(Wire);

/// What opens encrypted wires.
#[cfg(feature = "tls")]
pub(super) type Connector = crate::io::tls::Connector;
/// What opens encrypted wires; without the feature `tls` there is none.
#[cfg(not(feature = "tls"))]
pub(super) type Connector = std::convert::Infallible;

impl HyperWire {
    /// # Cancel-safety
    /// Dropping the future closes the socket.
    pub(super) async fn open(origin: &Origin, connector: Option<&Connector>) -> io::Result<Self> {
        let stream = Stream::connect(&origin.host, origin.port).await?;
        let wire = match connector {
            None => Wire::Plain(stream),
            #[cfg(feature = "tls")]
            Some(connector) => Wire::Tls(Box::new(connector.connect(&origin.host, stream).await?)),
            #[cfg(not(feature = "tls"))]
            Some(impossible) => match *impossible {},
        };
        Ok(Self(wire))
    }
}

impl Read for HyperWire {
    fn poll_read(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // By way of the stack: hyper's buffer stays untouched memory until there is something to put into it.
        let mut chunk = [0; STREAM_CHUNK_BYTES];
        let room = buffer.remaining().min(chunk.len());
        let count = ready!(self.get_mut().0.poll_receive(ctx, &mut chunk[..room]))?;
        buffer.put_slice(&chunk[..count]);
        Poll::Ready(Ok(()))
    }
}

impl Write for HyperWire {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(ctx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(ctx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(ctx)
    }
}
