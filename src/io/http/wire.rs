//! A stream as hyper expects it, over which the request has already been sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::AsyncWrite;

use super::target::Origin;
use crate::io::stream::Stream;
use crate::io::wire::Wire;

/// A stream with hyper's traits. What hyper writes is swallowed: it is the request, which was sent before hyper got
/// the stream.
pub(super) struct HyperWire {
    wire: Wire,
    /// hyper has written the request. Before that, an answer would surprise it.
    asked: bool,
}

/// What opens encrypted wires.
#[cfg(feature = "tls")]
pub(super) type Connector = crate::io::tls::Connector;
/// What opens encrypted wires; without the feature `tls` there is none.
#[cfg(not(feature = "tls"))]
pub(super) type Connector = std::convert::Infallible;

/// Opens a wire to a server.
///
/// # Cancel-safety
/// Dropping the future closes the socket.
pub(super) async fn open(origin: &Origin, connector: Option<&Connector>) -> io::Result<Wire> {
    let stream = Stream::connect(&origin.host, origin.port).await?;
    Ok(match connector {
        None => Wire::Plain(stream),
        #[cfg(feature = "tls")]
        Some(connector) => Wire::Tls(Box::new(connector.connect(&origin.host, stream).await?)),
        #[cfg(not(feature = "tls"))]
        Some(impossible) => match *impossible {},
    })
}

impl HyperWire {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, asked: false }
    }

    pub(super) fn into_inner(self) -> Wire {
        self.wire
    }
}

impl Read for HyperWire {
    fn poll_read(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.asked {
            // The task that drives hyper polls it again.
            return Poll::Pending;
        }
        let room = buffer.remaining();
        this.wire.poll_receive(ctx, room, |bytes| buffer.put_slice(bytes))
    }
}

impl Write for HyperWire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(ctx)
    }
}
