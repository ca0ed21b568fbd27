//! The client: its options, its connections, and the course of one request.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ::http::header::{HOST, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Method};
use bytes::Bytes;
use http_body_util::Full;

use super::conn::Conn;
use super::target::{Origin, Target};
use super::wire::{Connector, HyperWire};
use super::{Error, Request, Response};
use crate::io::idle::{Idle, IdleOptions};
use crate::io::permits::{Permit, Permits};
use crate::io::timer;
#[cfg(feature = "tls")]
use crate::io::tls::TlsOptions;
use crate::limits::io as limits;

/// An HTTP client of one core. Cloning gives a handle to the same one.
#[derive(Clone)]
pub struct Client {
    shared: Rc<Shared>,
}

/// What a client may use and how long it waits.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long a connection may take to open, TLS included. 10 s by default.
    pub connect_timeout: Duration,
    /// How long a request may take, from its start to the last byte of its body. 30 s by default.
    pub timeout: Duration,
    /// Largest body of an answer in bytes that [`Response::bytes`] and its like accept. 16 MB by default.
    pub body_bytes_max: usize,
    /// Most connections; further requests wait for one in order. 16,384 by default.
    pub connections_max: usize,
    /// Most idle connections to one origin. 256 by default.
    pub idle_per_origin_max: usize,
    /// Most idle connections in all. 1,024 by default.
    pub idle_max: usize,
    /// How long an idle connection is kept; zero keeps none. 30 s by default.
    pub idle_timeout: Duration,
    /// The header `user-agent`; the name and version of this crate by default.
    pub user_agent: String,
    /// Which servers are trusted.
    #[cfg(feature = "tls")]
    pub tls: TlsOptions,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: limits::HTTP_CONNECT_TIMEOUT,
            timeout: limits::HTTP_TIMEOUT,
            body_bytes_max: limits::HTTP_BODY_BYTES_MAX,
            connections_max: limits::HTTP_CONNECTIONS_MAX,
            idle_per_origin_max: limits::HTTP_IDLE_PER_ORIGIN_MAX,
            idle_max: limits::HTTP_IDLE_MAX,
            idle_timeout: limits::HTTP_IDLE_TIMEOUT,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            #[cfg(feature = "tls")]
            tls: TlsOptions::default(),
        }
    }
}

struct Shared {
    options: ClientOptions,
    permits: Permits,
    idle: Rc<Idle<Origin, Conn>>,
    /// Set up by the first https request.
    #[cfg(feature = "tls")]
    connector: std::cell::OnceCell<Connector>,
}

/// All of a request that its course needs.
pub(super) struct Order {
    /// For errors.
    pub(super) what: Rc<str>,
    pub(super) target: Target,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) timeout: Duration,
    /// When that is over.
    pub(super) deadline: Instant,
}

/// A connection in use, with its place among those a client may have.
pub(super) struct Held {
    pub(super) conn: Conn,
    origin: Origin,
    shared: Rc<Shared>,
    _permit: Permit,
}

impl Client {
    /// A client with the default options.
    pub fn new() -> Self {
        Self::with_options(ClientOptions::default())
    }

    /// A client with options of your own.
    pub fn with_options(options: ClientOptions) -> Self {
        let idle = Idle::new(IdleOptions {
            per_key_max: options.idle_per_origin_max,
            count_max: options.idle_max,
            timeout: options.idle_timeout,
        });
        let permits = Permits::new(options.connections_max, limits::HTTP_WAITING_MAX);
        let shared = Shared {
            options,
            permits,
            idle,
            #[cfg(feature = "tls")]
            connector: std::cell::OnceCell::new(),
        };
        Self { shared: Rc::new(shared) }
    }

    /// A GET of this url.
    pub fn get(&self, url: &str) -> Request {
        self.request(Method::GET, url)
    }

    /// A POST to this url.
    pub fn post(&self, url: &str) -> Request {
        self.request(Method::POST, url)
    }

    /// A request of any method. What is wrong with the url is said by [`Request::send`].
    pub fn request(&self, method: Method, url: &str) -> Request {
        Request::new(self.clone(), method, url)
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// One exchange up to the head of the answer, over an idle connection or a new one.
    pub(super) async fn exchange(&self, order: &Order) -> Result<Response, Error> {
        let permit = self
            .shared
            .permits
            .take()
            .await
            .map_err(|error| Error::TooManyWait { what: order.what.to_string(), waiting_max: error.0 })?;
        let broken = |source| Error::Broken { what: order.what.to_string(), source };
        let origin = &order.target.origin;
        let idle = self.shared.idle.take(origin);
        let mut request = self.http_request(order)?;
        if let Some(mut conn) = idle
            && conn.is_at_rest().await
        {
            match conn.request(request).await {
                Ok(answer) => return Ok(self.response(order, conn, permit, answer)),
                Err(refused) => match refused.unsent {
                    Some(unsent) => request = unsent,
                    None if order.method.is_idempotent() => request = self.http_request(order)?,
                    None => return Err(broken(refused.error)),
                },
            }
        }
        let mut conn = self.open(order).await?;
        match conn.request(request).await {
            Ok(answer) => Ok(self.response(order, conn, permit, answer)),
            Err(refused) => Err(broken(refused.error)),
        }
    }

    fn response(
        &self,
        order: &Order,
        conn: Conn,
        permit: Permit,
        answer: ::http::Response<hyper::body::Incoming>,
    ) -> Response {
        let (origin, shared) = (order.target.origin.clone(), Rc::clone(&self.shared));
        let held = Held { conn, origin, shared, _permit: permit };
        Response::new(order, held, answer, self.shared.options.body_bytes_max)
    }

    fn http_request(&self, order: &Order) -> Result<::http::Request<Full<Bytes>>, Error> {
        let invalid = |reason: String| Error::Invalid { what: order.what.to_string(), reason };
        let mut request = ::http::Request::new(Full::new(order.body.clone()));
        *request.method_mut() = order.method.clone();
        *request.uri_mut() = order.target.path.clone().into();
        let headers = request.headers_mut();
        let agent = HeaderValue::from_str(&self.shared.options.user_agent)
            .map_err(|_| invalid("the user_agent of the client is no header value".to_owned()))?;
        headers.insert(USER_AGENT, agent);
        headers.insert(HOST, order.target.host_header.clone());
        headers.extend(order.headers.clone());
        Ok(request)
    }

    async fn open(&self, order: &Order) -> Result<Conn, Error> {
        let what = || order.what.to_string();
        let origin = &order.target.origin;
        let connector = if origin.tls { Some(self.connector(order)?) } else { None };
        let after = self.shared.options.connect_timeout;
        let wire = timer::timeout(after, HyperWire::open(origin, connector))
            .await
            .map_err(|_| Error::ConnectTimeout { what: what(), after })?
            .map_err(|source| Error::Connect { what: what(), source })?;
        Conn::new(wire).await.map_err(|source| Error::Broken { what: what(), source })
    }

    #[cfg(feature = "tls")]
    fn connector(&self, order: &Order) -> Result<&Connector, Error> {
        if let Some(connector) = self.shared.connector.get() {
            return Ok(connector);
        }
        let connector = Connector::new(&self.shared.options.tls)
            .map_err(|error| Error::NoTls { what: order.what.to_string(), reason: error.to_string() })?;
        Ok(self.shared.connector.get_or_init(|| connector))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "as with the feature tls")]
    fn connector(&self, order: &Order) -> Result<&Connector, Error> {
        let reason = "build with the cargo feature tls".to_owned();
        Err(Error::NoTls { what: order.what.to_string(), reason })
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Held {
    /// Keeps the connection for the next request if the server does.
    pub(super) async fn release(mut self) {
        if self.conn.is_at_rest().await {
            self.shared.idle.sweep();
            self.shared.idle.keep(&self.origin, self.conn);
        }
    }
}
