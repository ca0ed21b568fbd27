//! What can go wrong with a request.

use std::borrow::Cow;
use std::fmt;
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
///
/// A job that fails with it has the class [`class`](Self::class), on which a retry policy can match:
///
/// ```
/// use std::time::Duration;
///
/// use jiggler_uring::RetryPolicy;
///
/// // Not `JigglerUring::Timeout`, of a run that took longer than the timeout of its job.
/// let policy = RetryPolicy::by(|retry, error| match error.class() {
///     "http::Status401" | "http::Status404" => None, // no pause helps: to the dead set
///     "http::Status429" => Some(Duration::from_secs(60)),
///     "http::Timeout" | "http::Connect" => Some(Duration::from_secs(5)),
///     _ => Some(Duration::from_secs(10) * retry),
/// });
/// # drop(policy);
/// ```
#[derive(Error)]
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

impl Error {
    /// The class of a job that fails with this: `http::Status404` and so on for [`Status`](Self::Status);
    /// `http::Timeout` for both times; otherwise the name of the variant, such as `http::Connect` or `http::Broken`.
    #[must_use]
    pub fn class(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Url { .. } => "http::Url",
            Self::Invalid { .. } => "http::Invalid",
            Self::NoTls { .. } => "http::NoTls",
            Self::TooManyWait { .. } => "http::TooManyWait",
            Self::Connect { .. } => "http::Connect",
            Self::ConnectTimeout { .. } | Self::Timeout { .. } => "http::Timeout",
            Self::Broken { .. } => "http::Broken",
            Self::BodyTooLarge { .. } => "http::BodyTooLarge",
            Self::Json { .. } => "http::Json",
            Self::Status { status, .. } => return Cow::Owned(format!("http::Status{}", status.as_u16())),
        })
    }

    /// The status, if the server answered with one other than success.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the time ran out: to connect, or for the answer.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout { .. } | Self::Timeout { .. })
    }

    /// Whether there was no connection, so that nothing was sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::ConnectTimeout { .. } | Self::Connect { .. })
    }
}

/// Begins with the class, so that boxes that show only this text keep it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.class(), self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JobError;

    fn what() -> String {
        "GET http://ledger.example/".to_owned()
    }

    #[test]
    fn a_job_fails_with_a_class_to_match_on_however_the_error_is_wrapped() {
        let after = Duration::from_secs(1);
        type Fails = fn() -> Error;
        let table: [(Fails, &str); 3] = [
            (|| Error::Status { what: what(), status: StatusCode::NOT_FOUND }, "http::Status404"),
            (
                || Error::Connect { what: what(), source: io::ErrorKind::ConnectionRefused.into() },
                "http::Connect",
            ),
            (|| Error::Timeout { what: what(), after: Duration::from_secs(1) }, "http::Timeout"),
        ];
        for (error, class) in table {
            assert_eq!(JobError::from(error()).class(), class);
            assert_eq!(JobError::from(anyhow::Error::from(error()).context("cannot load")).class(), class);
            assert_eq!(JobError::from(anyhow::Error::from(error())).class(), class);
            assert_eq!(JobError::from(eyre::Report::from(error())).class(), class);
        }
        let status = Error::Status { what: what(), status: StatusCode::NOT_FOUND };
        assert_eq!((status.status(), status.is_timeout()), (Some(StatusCode::NOT_FOUND), false));
        let late = Error::ConnectTimeout { what: what(), after };
        assert_eq!(
            (late.class().as_ref(), late.is_timeout(), late.is_connect()),
            ("http::Timeout", true, true)
        );
    }
}
