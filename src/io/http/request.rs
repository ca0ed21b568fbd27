//! A request that is being put together.

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

/// A request; made by [`Client::get`] and its like, sent by [`send`](Self::send).
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    client: Client,
    method: Method,
    target: Result<Target, Error>,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    /// The first thing that was wrong with it.
    invalid: Option<String>,
}

impl Request {
    pub(super) fn new(client: Client, method: Method, url: &str) -> Self {
        let timeout = client.options().timeout;
        let target = Target::parse(url);
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { client, method, target, headers, body, timeout, invalid: None }
    }

    /// Sets a header; one of this name that is there already is replaced. `content-length` is always that of the body, and
    /// `transfer-encoding` cannot be set, since bodies are sent whole.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(TRANSFER_ENCODING), _) => {
                self.note("header transfer-encoding cannot be set: bodies are sent whole".to_owned());
            }
            (Ok(name), Ok(mut value)) => {
                // What may be a secret is shown by no Debug.
                value.set_sensitive(name == ::http::header::AUTHORIZATION || name == ::http::header::COOKIE);
                self.headers.insert(name, value);
            }
            (Err(_), _) => self.note(format!("{name:?} is no header name")),
            // The value is not shown: it may be a secret.
            (_, Err(_)) => self.note(format!("the value of header {name} has bytes that no header may have")),
        }
        self
    }

    /// Sets the body.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Sets the body to this value as JSON, and `content-type` and `accept` to match unless they are set.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.body = bytes.into(),
            Err(error) => self.note(format!("its json cannot be written: {error}")),
        }
        let json = HeaderValue::from_static("application/json");
        self.headers.entry(CONTENT_TYPE).or_insert_with(|| json.clone());
        self.headers.entry(ACCEPT).or_insert(json);
        self
    }

    /// How long it may take, from now to the last byte of the body of its answer, in place of the client's timeout.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it and awaits the head of the answer. Any status is an answer, see [`Response::error_for_status`].
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Cancel-safety
    /// Dropping the future closes the connection; what the server does with what was sent is unknown.
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> + use<> {
        // In a box, so that the future of a handler that waits for it stays small.
        let sending = self.into_order().map(|(client, order)| Box::pin(client.send(order)));
        async move { sending?.await }
    }

    /// What is to be sent, or what is wrong with it.
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
