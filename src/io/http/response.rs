//! The answer to a request: its head, and its body as it arrives.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_lite::future::poll_once;
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;

use super::Error;
use super::client::{Held, Order};
use super::retry_after;
use super::target::What;
use crate::io::timer;
use crate::time::unix_now;

/// An answer whose head has arrived. Its connection is kept for the next request once the body has been read to its
/// end, and closed if the answer is dropped before that.
pub struct Response(Box<Answer>);

/// Boxed: an answer is passed on several times, and a handler that waits for one reserves space for it throughout.
struct Answer {
    what: Rc<What>,
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    /// `None` once the body has ended or failed.
    held: Option<Held>,
    timeout: Duration,
    /// When its time is up; `None` for never.
    deadline: Option<Instant>,
    bytes_max: usize,
}

impl Response {
    pub(super) fn new(
        order: &Order,
        deadline: Option<Instant>,
        held: Held,
        answer: ::http::Response<Incoming>,
        bytes_max: usize,
    ) -> Self {
        let (head, body) = answer.into_parts();
        Self(Box::new(Answer {
            what: Rc::clone(&order.what),
            status: head.status,
            headers: head.headers,
            body,
            held: Some(held),
            timeout: order.timeout,
            deadline,
            bytes_max,
        }))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The value of a header, if it is present and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// The pause that the header `retry-after` asks for, in seconds or until a date; `None`: there is none that is one of
    /// these. For a status 429 or 503:
    ///
    /// ```no_run
    /// # async fn handler(response: jiggler_uring::io::http::Response) -> jiggler_uring::JobResult {
    /// use jiggler_uring::JobError;
    ///
    /// if let Some(pause) = response.retry_after() {
    ///     return Err(JobError::snooze(pause)); // no attempt is used
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.header("retry-after")?, unix_now())
    }

    /// Turns an answer with status 4xx or 5xx into an error.
    ///
    /// # Errors
    /// [`Error::Status`].
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.0.status.is_client_error() || self.0.status.is_server_error() {
            return Err(Error::Status { what: self.0.what.to_string(), status: self.0.status });
        }
        Ok(self)
    }

    /// The next piece of the body, as it arrived; `None` at its end. The limit on bodies does not apply here, the
    /// timeout does.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Broken`]; after an error there is nothing more to read.
    ///
    /// # Cancel-safety
    /// Safe: what arrived is kept for the next call.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Answer { held: place, body, deadline, .. } = &mut *self.0;
        let Some(held) = place else { return Ok(None) };
        // Most bodies arrive with their heads and need no timer.
        let next = match poll_once(held.answering.chunk(body)).await {
            Some(next) => Ok(next),
            None => {
                let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
                timer::timeout(left, held.answering.chunk(body)).await
            }
        };
        let error = match next {
            Ok(Some(Ok(bytes))) => return Ok(Some(bytes)),
            Ok(None) => {
                if let Some(held) = place.take() {
                    held.release();
                }
                return Ok(None);
            }
            Ok(Some(Err(source))) => Error::Broken { what: self.0.what.to_string(), source },
            Err(_) => Error::Timeout { what: self.0.what.to_string(), after: self.0.timeout },
        };
        self.0.held = None;
        Err(error)
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk), and [`Error::BodyTooLarge`].
    ///
    /// # Cancel-safety
    /// Dropping the future closes the connection.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        let announced = usize::try_from(self.0.body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.0.bytes_max {
            return Err(self.too_large());
        }
        let Some(first) = self.bounded_chunk(0).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.bounded_chunk(first.len()).await? else { return Ok(first) };
        let mut all = BytesMut::with_capacity(announced.max(first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(more) = self.bounded_chunk(all.len()).await? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    /// The whole body as text; invalid UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    ///
    /// # Cancel-safety
    /// As [`bytes`](Self::bytes).
    pub async fn text(self) -> Result<String, Error> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The whole body, decoded from JSON. The status is not checked.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and [`Error::Json`].
    ///
    /// # Cancel-safety
    /// As [`bytes`](Self::bytes).
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let what = Rc::clone(&self.0.what);
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Json { what: what.to_string(), source })
    }

    /// Another piece, after `before` bytes have already arrived.
    async fn bounded_chunk(&mut self, before: usize) -> Result<Option<Bytes>, Error> {
        let chunk = self.chunk().await?;
        if before + chunk.as_ref().map_or(0, Bytes::len) > self.0.bytes_max {
            return Err(self.too_large());
        }
        Ok(chunk)
    }

    fn too_large(&self) -> Error {
        Error::BodyTooLarge { what: self.0.what.to_string(), bytes_max: self.0.bytes_max }
    }
}
