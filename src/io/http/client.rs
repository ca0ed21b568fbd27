//! The client: its connections, and the course of one request.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::http::{HeaderValue, Method};
use bytes::Bytes;
use hyper::body::Incoming;

use super::conn::{Answering, Asked, Conn, Sent};
use super::target::{Origin, Target, What};
use super::wire::{self, Connector};
use super::{ClientOptions, Error, Request, Response};
use crate::io::idle::{Idle, IdleOptions};
use crate::io::permits::{Permit, Permits};
use crate::io::timer;
use crate::io::warm_up::open_all;
use crate::limits::io as limits;

/// An HTTP client of one core. Cloning gives a handle to the same one.
#[derive(Clone)]
pub struct Client {
    shared: Rc<Shared>,
}

struct Shared {
    options: ClientOptions,
    /// The header `user-agent`; `None` if the configured value is invalid.
    agent: Option<HeaderValue>,
    permits: Permits,
    idle: Rc<Idle<Origin, Conn>>,
    /// Set up by the first https request.
    #[cfg(feature = "tls")]
    connector: std::cell::OnceCell<Connector>,
}

/// Everything about a request that sending it needs.
pub(super) struct Order {
    pub(super) what: Rc<What>,
    /// It asks for the connection to be closed.
    pub(super) closes: bool,
    /// The first bytes, or all of them if `body` is empty.
    pub(super) head: Vec<u8>,
    pub(super) body: Bytes,
    pub(super) timeout: Duration,
}

/// A connection in use, holding one of the client's permits.
pub(super) struct Held {
    pub(super) answering: Answering,
    what: Rc<What>,
    shared: Rc<Shared>,
    _permit: Permit,
}

/// Why a connection gave no answer.
enum Failed {
    /// Nothing was sent over it.
    Unsent,
    /// It ended, or what came is not a valid answer.
    Broken(hyper::Error),
}

impl Client {
    /// A client with the default options.
    pub fn new() -> Self {
        Self::with_options(ClientOptions::default())
    }

    /// A client with your own options.
    pub fn with_options(options: ClientOptions) -> Self {
        let idle = Idle::new(IdleOptions {
            per_key_max: options.idle_per_origin_max,
            count_max: options.idle_max,
            timeout: options.idle_timeout,
        });
        let permits = Permits::new(options.connections_max, limits::HTTP_WAITING_MAX);
        let agent = HeaderValue::from_str(&options.user_agent).ok();
        let shared = Shared {
            options,
            agent,
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

    /// A request with any method. An invalid url is reported by [`Request::send`].
    pub fn request(&self, method: Method, url: &str) -> Request {
        Request::new(self.clone(), method, url)
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.shared.options
    }

    /// Opens connections to the server of `url` until `count` of them are idle, and returns how many it opened. Use
    /// it when a worker sets up, so that the first jobs do not wait for connections; such a connection is closed like
    /// any other when it has been idle for too long.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Invalid`] if the client would not keep that many. Connections already opened stay
    /// open.
    ///
    /// # Cancel-safety
    /// Safe: connections already opened stay open.
    pub async fn warm_up(&self, url: &str, count: usize) -> Result<usize, Error> {
        let what = Rc::new(What { method: Method::GET, target: Target::parse(url)? });
        let ClientOptions { idle_per_origin_max, idle_max, connections_max, idle_timeout, .. } =
            self.shared.options;
        let most =
            if idle_timeout.is_zero() { 0 } else { idle_per_origin_max.min(idle_max).min(connections_max) };
        if count > most {
            let reason = format!(
                "{count} idle connections to one origin are more than the {most} the client keeps; raise \
                 idle_per_origin_max, idle_max, connections_max or idle_timeout"
            );
            return Err(Error::Invalid { what: what.to_string(), reason });
        }
        let missing = count.saturating_sub(self.shared.idle.count(&what.target.origin));
        let client = self.clone();
        let open = async move || {
            let conn = client.open(&what).await?;
            client.shared.keep(&what.target.origin, conn);
            Ok(())
        };
        open_all(missing, limits::HTTP_WARM_UP_AT_ONCE, open).await?;
        Ok(missing)
    }

    /// The header `user-agent`, or what is wrong with it.
    pub(super) fn agent(&self) -> Result<&HeaderValue, String> {
        let reason = || "the user_agent of the client is not a valid header value".to_owned();
        self.shared.agent.as_ref().ok_or_else(reason)
    }

    /// Sends a request within its timeout and awaits the head of the answer.
    pub(super) async fn send(self, order: Order) -> Result<Response, Error> {
        let deadline = Instant::now().checked_add(order.timeout);
        let exchange = pin!(self.exchange(&order));
        let result = timer::timeout(order.timeout, exchange).await;
        let late = |_| Error::Timeout { what: order.what.to_string(), after: order.timeout };
        let (held, answer) = result.map_err(late)??;
        Ok(Response::new(&order, deadline, held, answer, self.shared.options.body_bytes_max))
    }

    /// One exchange up to the head of the answer, over an idle connection or a new one.
    async fn exchange(&self, order: &Order) -> Result<(Held, ::http::Response<Incoming>), Error> {
        let permit = self
            .shared
            .permits
            .take()
            .await
            .map_err(|error| Error::TooManyWait { what: order.what.to_string(), waiting_max: error.0 })?;
        let What { method, target } = &*order.what;
        let mut idle = self.idle(&target.origin, method);
        loop {
            let is_kept = idle.is_some();
            let conn = match idle.take() {
                Some(conn) => conn,
                None => self.open(&order.what).await?,
            };
            match ask(conn, order).await {
                Ok((answering, answer)) => {
                    let (what, shared) = (Rc::clone(&order.what), Rc::clone(&self.shared));
                    return Ok((Held { answering, what, shared, _permit: permit }, answer));
                }
                // Closed since it was last used: try again over another connection.
                Err(Failed::Unsent) if is_kept => {}
                Err(Failed::Broken(_)) if is_kept && method.is_idempotent() => {}
                Err(failed) => return Err(failed.into_error(&order.what)),
            }
        }
    }

    /// A kept connection, if one is still good. For a request that may be sent again, asking the kernel first is not
    /// worth it.
    fn idle(&self, origin: &Origin, method: &Method) -> Option<Conn> {
        loop {
            let mut conn = self.shared.idle.take(origin)?;
            if !method.is_idempotent() {
                conn.ask_again();
            }
            if conn.is_at_rest() {
                return Some(conn);
            }
        }
    }

    async fn open(&self, what: &What) -> Result<Conn, Error> {
        let origin = &what.target.origin;
        let connector = if origin.tls { Some(self.connector(what)?) } else { None };
        let after = self.shared.options.connect_timeout;
        // Boxed, because few requests open a connection and every one would carry the space for it.
        let opening = Box::pin(timer::timeout(after, wire::open(origin, connector)));
        let wire = opening
            .await
            .map_err(|_| Error::ConnectTimeout { what: what.to_string(), after })?
            .map_err(|source| Error::Connect { what: what.to_string(), source })?;
        Ok(Conn::new(wire))
    }

    #[cfg(feature = "tls")]
    fn connector(&self, what: &What) -> Result<&Connector, Error> {
        if let Some(connector) = self.shared.connector.get() {
            return Ok(connector);
        }
        let connector = Connector::new(&self.shared.options.tls)
            .map_err(|error| Error::NoTls { what: what.to_string(), reason: error.to_string() })?;
        Ok(self.shared.connector.get_or_init(|| connector))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "as with the feature tls")]
    fn connector(&self, what: &What) -> Result<&Connector, Error> {
        let reason = "build with the cargo feature tls".to_owned();
        Err(Error::NoTls { what: what.to_string(), reason })
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends a request over a connection, and waits until hyper has something to read.
async fn ask(mut conn: Conn, order: &Order) -> Result<(Answering, ::http::Response<Incoming>), Failed> {
    let sent = conn.send(&order.head, &order.body).await;
    if sent == Sent::Nothing {
        return Err(Failed::Unsent);
    }
    conn.answered().await;
    let asked = Asked { method: order.what.method.clone(), closes: order.closes, sent };
    // Boxed, because it lives only while an answer's bytes arrive, and a request waits much longer before that.
    Box::pin(conn.head(&asked)).await.map_err(Failed::Broken)
}

impl Shared {
    fn keep(&self, origin: &Origin, conn: Conn) {
        self.idle.sweep();
        self.idle.keep(origin, conn);
    }
}

impl Held {
    /// Keeps the connection for the next request if the server does too.
    pub(super) fn release(self) {
        let Self { answering, what, shared, _permit } = self;
        if let Some(conn) = answering.into_rest() {
            shared.keep(&what.target.origin, conn);
        }
    }
}

impl Failed {
    fn into_error(self, what: &What) -> Error {
        let what = what.to_string();
        match self {
            Self::Unsent => {
                let source =
                    io::Error::new(io::ErrorKind::BrokenPipe, "it was closed before the request was sent");
                Error::Connect { what, source }
            }
            Self::Broken(source) => Error::Broken { what, source },
        }
    }
}
