//! What a client may use, and for how long.

use std::time::Duration;

#[cfg(feature = "tls")]
use crate::io::tls::TlsOptions;
use crate::limits::io as limits;

/// What a client may use and how long it waits.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long a connection may take to open, TLS included. 10 s by default.
    pub connect_timeout: Duration,
    /// How long a request may take, from its start to the last byte of the answer's body. 30 s by default.
    pub timeout: Duration,
    /// The largest body of an answer, in bytes, that [`Response::bytes`](super::Response::bytes) and similar methods
    /// accept. 16 MB by default.
    pub body_bytes_max: usize,
    /// The most connections in total; further requests wait in order. 16,384 by default.
    pub connections_max: usize,
    /// The most idle connections to one origin. 256 by default.
    pub idle_per_origin_max: usize,
    /// The most idle connections in total. 1,024 by default.
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
