//! What can go wrong with a request.

use std::io;
use std::time::Duration;

use ::http::StatusCode;
use thiserror::Error;

/// Why a request gave no answer, or not the one that was asked for. `what` is the method and the url without its query,
/// which may hold secrets.
///
/// Another try may heal all but [`Url`](Self::Url), [`Invalid`](Self::Invalid), [`NoTls`](Self::NoTls) and
/// [`Json`](Self::Json); whether it may be made is for the job to know: what the server did with the request is unknown
/// after [`Timeout`](Self::Timeout) and [`Broken`](Self::Broken).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// This client cannot ask such a url.
    #[error("no url for a request: {reason}")]
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
    #[error("{what}: no https: {reason}")]
    NoTls {
        /// The request.
        what: String,
        /// Why not.
        reason: String,
    },
    /// So many requests wait for a connection that no more may.
    #[error(
        "{what}: {waiting_max} requests wait for a connection already; raise connections_max or make fewer"
    )]
    TooManyWait {
        /// The request.
        what: String,
        /// The bound that is reached.
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
    /// No connection was open in time. Nothing was sent.
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
    /// The connection ended before the answer did, or the answer is no HTTP.
    #[error("{what}: the answer broke off")]
    Broken {
        /// The request.
        what: String,
        /// What hyper says.
        source: hyper::Error,
    },
    /// The body is larger than the client accepts.
    #[error(
        "{what}: the body of the answer has more than {bytes_max} bytes; raise body_bytes_max or read it in chunks"
    )]
    BodyTooLarge {
        /// The request.
        what: String,
        /// The bound that it broke.
        bytes_max: usize,
    },
    /// The body is not the JSON that was expected.
    #[error("{what}: the body is not the expected json")]
    Json {
        /// The request.
        what: String,
        /// What is wrong with it, and where.
        source: serde_json::Error,
    },
    /// The server answered, and not with success; see [`error_for_status`](super::Response::error_for_status).
    #[error("{what}: answered {status}")]
    Status {
        /// The request.
        what: String,
        /// The answer.
        status: StatusCode,
    },
}
