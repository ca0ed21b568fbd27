//! TLS to Redis, without a socket: bytes that came in, bytes to send out, and which servers to trust.
//!
//! `Session` is one connection; `config_for` reads the files that a url's [`TlsFiles`](crate::resp::url::TlsFiles) names
//! and keeps them per thread. Files are read again when they have changed, so a certificate that is renewed on disk is
//! used from the next connect on, without restarting a process.
//!
//! Each thread has its own settings, and with them its own cache of past sessions: cores share no lock over them.
//!
//! In a build without the cargo feature `tls` a session is a type without values; the url parser has already refused.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod config;
pub(crate) mod error;
#[cfg(feature = "tls")]
mod roots;
#[cfg(feature = "tls")]
mod session;

#[cfg(not(feature = "tls"))]
pub(super) use absent::Session;
#[cfg(feature = "tls")]
use config::config_for;
pub use error::TlsError;
#[cfg(feature = "tls")]
#[cfg_attr(
    not(any(feature = "http", feature = "postgres")),
    expect(unused_imports, reason = "only the streams of handlers")
)]
pub(crate) use roots::{RootsError, roots};
#[cfg(feature = "tls")]
pub(super) use session::Session;
