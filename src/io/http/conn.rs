//! One connection to a server, driven by the request that uses it: written to, waited on, handed to hyper for the
//! answer.
//!
//! A hyper connection reserves 26 KB before a byte has arrived (two buffers of 8 KB and a channel of 32 requests),
//! and each first use touches more. With thousands of requests waiting for a server, that would be nearly all the
//! memory in use, and never in the caches when it is needed. So hyper has a connection only from the first byte of an
//! answer to the last: the memory it takes then has just been released by the previous answer.
//!
//! ```text
//! Conn (idle) ─ send ─► Conn (waits) ─ first byte ─► Answering (hyper) ─ last byte ─► Conn (idle)
//! ```
//! The request itself is written by [`super::head`]. hyper is given the same request, which [`HyperWire`] swallows,
//! so that it knows which request the answer belongs to.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use ::http::header::CONNECTION;
use ::http::{HeaderValue, Method, Request, Response};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::io::AsyncWrite;

use super::wire::HyperWire;
use crate::io::wire::Wire;
use crate::limits::io::HTTP_HEAD_BYTES_MAX;

/// How often a connection is polled to come to rest after an answer: once for hyper to see the end of the body, once
/// to move on to the next request, once more to be sure.
const REST_POLLS_MAX: usize = 3;

/// An open connection that is not carrying an answer.
pub(super) struct Conn {
    wire: Wire,
}

/// How much of a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it.
    Whole,
    /// The server answered before it had all of it, or accepts no more: its answer is read, and the connection is not
    /// reused.
    Part,
    /// Not a byte.
    Nothing,
}

/// What hyper has to know about a request to read its answer.
pub(super) struct Asked {
    pub(super) method: Method,
    /// The request asks for the connection to be closed.
    pub(super) closes: bool,
    pub(super) sent: Sent,
}

/// A connection over which an answer is arriving.
pub(super) struct Answering {
    sender: SendRequest<Empty<Bytes>>,
    /// Reads the answer; `None` once it has ended.
    driver: Option<Box<Connection<HyperWire, Empty<Bytes>>>>,
    /// Whether another request may follow.
    reusable: bool,
}

impl Conn {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire }
    }

    /// Makes [`is_at_rest`](Self::is_at_rest) ask the kernel, because its news may not have arrived yet.
    pub(super) fn ask_again(&self) {
        self.wire.ask_again();
    }

    /// Whether a request may be sent: as far as is known, the server has neither closed nor sent anything
    /// unrequested.
    pub(super) fn is_at_rest(&mut self) -> bool {
        // Nobody needs waking, and an idle connection must not keep a task alive.
        let mut ctx = Context::from_waker(Waker::noop());
        self.wire.poll_receive(&mut ctx, 1, |_| {}).is_pending()
    }

    /// Sends a request.
    ///
    /// # Cancel-safety
    /// None: drop the connection with the future.
    pub(super) async fn send(&mut self, head: &[u8], body: &[u8]) -> Sent {
        let mut count = 0;
        let sent = poll_fn(|ctx| self.poll_send(ctx, head, body, &mut count)).await;
        match sent {
            Ok(sent) => sent,
            Err(_) if count == 0 => Sent::Nothing,
            // The answer will say why it accepts no more, or there will be none.
            Err(_) => Sent::Part,
        }
    }

    fn poll_send(
        &mut self,
        ctx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
        count: &mut usize,
    ) -> Poll<io::Result<Sent>> {
        loop {
            let piece = match count.checked_sub(head.len()) {
                None => &head[*count..],
                Some(at) => &body[at..],
            };
            if piece.is_empty() {
                ready!(Pin::new(&mut self.wire).poll_flush(ctx))?;
                return Poll::Ready(Ok(Sent::Whole));
            }
            match Pin::new(&mut self.wire).poll_write(ctx, piece) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => *count += written,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.wire.poll_answer(ctx).map(|()| Ok(Sent::Part)),
            }
        }
    }

    /// Waits for the first byte of an answer, or the end of the connection.
    ///
    /// # Cancel-safety
    /// Safe.
    pub(super) async fn answered(&mut self) {
        poll_fn(|ctx| self.wire.poll_answer(ctx)).await;
    }

    /// Hands the connection to hyper and awaits the head of the answer.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the connection.
    pub(super) async fn head(self, asked: &Asked) -> Result<(Answering, Response<Incoming>), hyper::Error> {
        let mut builder = Builder::new();
        builder.max_buf_size(HTTP_HEAD_BYTES_MAX);
        let (sender, driver) = builder.handshake(HyperWire::new(self.wire)).await?;
        let reusable = asked.sent == Sent::Whole;
        let mut answering = Answering { sender, driver: Some(Box::new(driver)), reusable };
        let answer = answering.head(asked).await?;
        Ok((answering, answer))
    }
}

impl Answering {
    async fn head(&mut self, asked: &Asked) -> Result<Response<Incoming>, hyper::Error> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = asked.method.clone();
        if asked.closes {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let mut answer = pin!(self.sender.send_request(request));
        let driver = &mut self.driver;
        poll_fn(|ctx| {
            // The first time hyper writes, the second time it reads.
            drive(driver, ctx);
            drive(driver, ctx);
            answer.as_mut().poll(ctx)
        })
        .await
    }

    /// Reads the next piece of the answer's body; `None` at its end. Trailers are skipped.
    ///
    /// # Cancel-safety
    /// Safe: what arrived is kept for the next call.
    pub(super) async fn chunk(&mut self, body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
        poll_fn(|ctx| {
            loop {
                // What hyper has already read does not need another read.
                let frame = match Pin::new(&mut *body).poll_frame(ctx) {
                    Poll::Pending => {
                        drive(&mut self.driver, ctx);
                        ready!(Pin::new(&mut *body).poll_frame(ctx))
                    }
                    Poll::Ready(frame) => frame,
                };
                match frame {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                        Err(_trailers) => {}
                    },
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(None),
                }
            }
        })
        .await
    }

    /// The connection, if another request may follow: the answer is complete, and the server has neither announced
    /// nor begun closing.
    pub(super) fn into_rest(mut self) -> Option<Conn> {
        let mut ctx = Context::from_waker(Waker::noop());
        for _ in 0..REST_POLLS_MAX {
            drive(&mut self.driver, &mut ctx);
            match (&self.driver, self.sender.poll_ready(&mut ctx)) {
                (None, _) | (_, Poll::Ready(Err(_))) => return None,
                (Some(_), Poll::Ready(Ok(()))) => {
                    let parts = self.driver.take()?.into_parts();
                    let is_usable = self.reusable && parts.read_buf.is_empty();
                    return is_usable.then(|| Conn { wire: parts.io.into_inner() });
                }
                (Some(_), Poll::Pending) => {}
            }
        }
        None
    }
}

/// Lets hyper do what it can. Whatever ends the connection reaches the request or the body through hyper's channels.
fn drive(driver: &mut Option<Box<Connection<HyperWire, Empty<Bytes>>>>, ctx: &mut Context<'_>) {
    if let Some(running) = driver
        && Pin::new(&mut **running).poll(ctx).is_ready()
    {
        *driver = None;
    }
}
