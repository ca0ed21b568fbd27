//! A request under construction.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use ::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use serde::Serialize;

use super::client::Order;
use super::head::{self, Message};
use super::target::{Target, What};
use super::{Client, Error, Response};

/// A request; created by [`Client::get`] and similar methods, sent by [`send`](Self::send).
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    client: Client,
    method: Method,
    target: Result<Target, Error>,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    /// The first error in it.
    invalid: Option<String>,
}

impl Request {
    pub(super) fn new(client: Client, method: Method, url: &str) -> Self {
        let timeout = client.options().timeout;
        let target = Target::parse(url);
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { client, method, target, headers, body, timeout, invalid: None }
    }

    /// Sets a header, replacing an existing one with this name. `content-length` is always that of the body, and
    /// `transfer-encoding` cannot be set, because bodies are sent whole.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(TRANSFER_ENCODING), _) => {
                self.note("header transfer-encoding cannot be set: bodies are sent whole".to_owned());
            }
            (Ok(name), Ok(mut value)) => {
                // Keeps possible secrets out of `Debug` output.
                value.set_sensitive(name == ::http::header::AUTHORIZATION || name == ::http::header::COOKIE);
                self.headers.insert(name, value);
            }
            (Err(_), _) => self.note(format!("{name:?} is not a header name")),
            // The value is not shown: it may be a secret.
            (_, Err(_)) => self
                .note(format!("the value of header {name} contains bytes that are not allowed in a header")),
        }
        self
    }

    /// Sets the body.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Sets the body to this value as JSON, and `content-type` and `accept` to match unless they are already set.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.body = bytes.into(),
            Err(error) => self.note(format!("cannot serialise its json body: {error}")),
        }
        let json = HeaderValue::from_static("application/json");
        self.headers.entry(CONTENT_TYPE).or_insert_with(|| json.clone());
        self.headers.entry(ACCEPT).or_insert(json);
        self
    }

    /// How long it may take, from now to the last byte of the answer's body, instead of the client's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it and awaits the head of the answer. Any status counts as an answer, see
    /// [`Response::error_for_status`].
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Cancel-safety
    /// Dropping the future closes the connection; it is unknown what the server does with what was sent.
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> + use<> {
        // Boxed, so that the future of a handler waiting for it stays small.
        let sending = self.into_order().map(|(client, order)| Box::pin(client.send(order)));
        async move { sending?.await }
    }

    /// What to send, or what is wrong with it.
    fn into_order(self) -> Result<(Client, Order), Error> {
        let Self { client, method, target, headers, body, timeout, invalid } = self;
        let what = Rc::new(What { method, target: target? });
        let refused = |reason| Error::Invalid { what: what.to_string(), reason };
        let agent = invalid.map_or_else(|| client.agent(), Err).map_err(refused)?;
        let Message { head, is_whole } = head::write(&what, &headers, agent, &body);
        let closes =
            headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let body = if is_whole { Bytes::new() } else { body };
        let order = Order { what, closes, head, body, timeout };
        Ok((client, order))
    }

    fn note(&mut self, reason: String) {
        self.invalid.get_or_insert(reason);
    }
}
