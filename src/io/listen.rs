//! The server's side of a stream: a listener, and accepted streams with hyper's traits. For the engine's own server.

use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use socket2::Socket;
use tokio::io::AsyncWrite;

use super::readiness::{Fresh, Watched};
use super::stream::Stream;
use crate::limits::io::STREAM_CHUNK_BYTES;

/// A listening socket of this executor.
pub(crate) struct Listener(Watched<Socket>);

/// A stream that was accepted.
pub(crate) struct Accepted(Stream);

/// The other end of a pair whose first end another thread keeps for as long as something is to go on.
pub(crate) struct Lifeline(Watched<UnixStream>);

impl Listener {
    /// Accepts the connections of a socket that listens already.
    ///
    /// # Errors
    /// The kernel has no memory for another watched socket.
    pub(crate) fn new(socket: TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(Watched::new(socket.into(), Fresh::Connected)?))
    }

    /// The next connection.
    ///
    /// # Errors
    /// The process has no files left, or the kernel no memory. A client that has gone again is not an error.
    ///
    /// # Cancel-safety
    /// Safe: a connection that was not returned waits in the kernel.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        loop {
            poll_fn(|ctx| self.0.poll_readable(ctx)).await;
            match self.0.socket().accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true)?;
                    socket.set_tcp_nodelay(true)?;
                    return Ok(Accepted(Stream::accepted(socket)?));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.is_drained(),
                Err(error) if is_of_client(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether it is the client that has gone.
fn is_of_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

impl Lifeline {
    /// Watches one end of a pair.
    ///
    /// # Errors
    /// As [`Listener::new`].
    pub(crate) fn new(end: UnixStream) -> io::Result<Self> {
        end.set_nonblocking(true)?;
        Ok(Self(Watched::new(end, Fresh::Connected)?))
    }

    /// Waits until the other end is closed. Nothing is ever written there.
    ///
    /// # Cancel-safety
    /// Safe: the end stays.
    pub(crate) async fn is_cut(&self) {
        poll_fn(|ctx| self.0.poll_readable(ctx)).await;
    }
}

impl Read for Accepted {
    fn poll_read(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining().min(STREAM_CHUNK_BYTES);
        self.get_mut().0.poll_receive(ctx, room, |bytes| buffer.put_slice(bytes)).map_ok(drop)
    }
}

impl Write for Accepted {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(ctx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(ctx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use futures_lite::future::poll_once;
    use glommio::LocalExecutor;

    use super::*;

    #[test]
    fn clients_are_accepted_as_they_come_and_read_and_written() {
        LocalExecutor::default().run(async {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            let listener = Listener::new(socket).unwrap();
            assert!(poll_once(listener.accept()).await.is_none());
            for _ in 0..2 {
                let mut client = TcpStream::connect(address).unwrap();
                client.write_all(b"question").unwrap();
                let mut accepted = listener.accept().await.unwrap();
                let mut bytes = [0; 64];
                let mut buffer = hyper::rt::ReadBuf::new(&mut bytes);
                poll_fn(|ctx| Pin::new(&mut accepted).poll_read(ctx, buffer.unfilled())).await.unwrap();
                assert_eq!(buffer.filled(), b"question");
                let wrote = poll_fn(|ctx| Pin::new(&mut accepted).poll_write(ctx, b"answer")).await;
                assert_eq!(wrote.unwrap(), 6);
                drop(accepted);
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                assert_eq!(answer, "answer");
            }
        });
    }

    #[test]
    fn a_lifeline_is_cut_when_its_other_end_is_dropped() {
        LocalExecutor::default().run(async {
            let (kept, ours) = UnixStream::pair().unwrap();
            let line = Lifeline::new(ours).unwrap();
            assert!(poll_once(line.is_cut()).await.is_none());
            drop(kept);
            line.is_cut().await;
        });
    }
}
