//! One connection to a server, driven by the request that uses it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};

use super::wire::HyperWire;
use crate::limits::io::HTTP_HEAD_BYTES_MAX;

/// How often a connection is polled to come to rest after an answer: once for hyper to see the end of the body, once to
/// turn to the next request, once more to be sure.
const REST_POLLS_MAX: usize = 3;

/// hyper's side of a connection.
type Driver = Pin<Box<Connection<HyperWire, Full<Bytes>>>>;

/// An open connection, with one request at a time.
pub(super) struct Conn {
    sender: SendRequest<Full<Bytes>>,
    /// What reads and writes; `None` once it has ended.
    driver: Option<Driver>,
}

/// A request that failed.
pub(super) struct Refused {
    pub(super) error: hyper::Error,
    /// The request, if nothing of it was sent.
    pub(super) unsent: Option<Request<Full<Bytes>>>,
}

impl Conn {
    pub(super) async fn new(wire: HyperWire) -> Result<Self, hyper::Error> {
        let mut builder = Builder::new();
        builder.max_buf_size(HTTP_HEAD_BYTES_MAX);
        let (sender, driver) = builder.handshake(wire).await?;
        Ok(Self { sender, driver: Some(Box::pin(driver)) })
    }

    /// Sends a request and awaits the head of its answer.
    ///
    /// # Cancel-safety
    /// None: drop the connection with the future.
    pub(super) async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Box<Refused>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let result = poll_fn(|ctx| {
            drive(driver, ctx);
            answer.as_mut().poll(ctx)
        })
        .await;
        result.map_err(|mut failed| {
            let unsent = failed.take_message();
            Box::new(Refused { error: failed.into_error(), unsent })
        })
    }

    /// Reads on in the body of the answer; `None` is its end. Trailers are left out.
    ///
    /// # Cancel-safety
    /// Safe: what came is kept for the next call.
    pub(super) async fn chunk(&mut self, body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
        poll_fn(|ctx| {
            loop {
                drive(&mut self.driver, ctx);
                match Pin::new(&mut *body).poll_frame(ctx) {
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                        Err(_trailers) => {}
                    },
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Whether another request may follow: the answer is over, and the server has not said or shown that it closes.
    pub(super) async fn is_at_rest(&mut self) -> bool {
        poll_fn(|ctx| {
            for _ in 0..REST_POLLS_MAX {
                drive(&mut self.driver, ctx);
                if self.driver.is_none() {
                    break;
                }
                if let Poll::Ready(ready) = self.sender.poll_ready(ctx) {
                    return Poll::Ready(ready.is_ok());
                }
            }
            Poll::Ready(false)
        })
        .await
    }
}

/// Lets the connection do what it can. What ends it reaches the request or the body through hyper's channels.
fn drive(driver: &mut Option<Driver>, ctx: &mut Context<'_>) {
    if let Some(running) = driver
        && running.as_mut().poll(ctx).is_ready()
    {
        *driver = None;
    }
}
