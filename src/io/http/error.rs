//! What can go wrong with a request.

use std::io;
use std::time::Duration;

use ::http::StatusCode;
use thiserror::Error;

/// Why a request got no answer, or not the expected one. `what` is the method and the url without its query, which
/// may hold secrets.
///
/// Another attempt may fix all but [`Url`](Self::Url), [`Invalid`](Self::Invalid), [`NoTls`](Self::NoTls) and
/// [`Json`](Self::Json). Whether to make it is for the job to decide: after [`Timeout`](Self::Timeout) and
/// [`Broken`](Self::Broken) it is unknown what the server did with the request.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// This client cannot request such a url.
    #[error("invalid request url: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// A header is invalid, or the value for a JSON body cannot be serialised.
    #[error("{what}: the request is invalid: {reason}")]
    Invalid {
        /// The request.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An https url without the cargo feature `tls`, or TLS could not be set up.
    #[error("{what}: cannot use https: {reason}")]
    NoTls {
        /// The request.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The maximum number of requests is already waiting for a connection.
    #[error(
        "{what}: {waiting_max} requests are already waiting for a connection; raise connections_max or make fewer"
    )]
    TooManyWait {
        /// The request.
        what: String,
        /// The bound that was reached.
        waiting_max: usize,
    },
    /// No connection could be opened. Nothing was sent.
    #[error("{what}: cannot connect")]
    Connect {
        /// The request.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// No connection was opened in time. Nothing was sent.
    #[error("{what}: no connection within {after:?}")]
    ConnectTimeout {
        /// The request.
        what: String,
        /// The time it had.
        after: Duration,
    },
    /// The answer was not complete in time.
    #[error("{what}: no complete answer within {after:?}")]
    Timeout {
        /// The request.
        what: String,
        /// The time it had.
        after: Duration,
    },
    /// The connection ended before the answer did, or the answer is not HTTP.
    #[error("{what}: the answer broke off")]
    Broken {
        /// The request.
        what: String,
        /// hyper's error.
        source: hyper::Error,
    },
    /// The body is larger than the client accepts.
    #[error(
        "{what}: the body of the answer is larger than {bytes_max} bytes; raise body_bytes_max or read it in chunks"
    )]
    BodyTooLarge {
        /// The request.
        what: String,
        /// The bound it exceeded.
        bytes_max: usize,
    },
    /// The body is not the expected JSON.
    #[error("{what}: the body is not the expected json")]
    Json {
        /// The request.
        what: String,
        /// What is wrong with it, and where.
        source: serde_json::Error,
    },
    /// The server answered with a status other than success; see
    /// [`error_for_status`](super::Response::error_for_status).
    #[error("{what}: answered {status}")]
    Status {
        /// The request.
        what: String,
        /// The answer.
        status: StatusCode,
    },
}
