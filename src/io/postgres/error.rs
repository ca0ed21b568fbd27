//! What can go wrong while connecting. What goes wrong with a query is a [`tokio_postgres::Error`].

use std::io;
use std::time::Duration;

use thiserror::Error;

/// Why there is no connection. `server` is its address. Another attempt may fix all but [`Config`](Self::Config).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is invalid; it is not shown, because it may hold a password.
    #[error("the configuration of the postgres pool is invalid: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// The maximum number of jobs is already waiting for a connection.
    #[error(
        "{waiting_max} jobs are already waiting for a connection to postgres; raise connections_max or run fewer"
    )]
    TooManyWait {
        /// The bound that was reached.
        waiting_max: usize,
    },
    /// Every connection of the pool was in use for too long.
    #[error(
        "none of {connections_max} connections to postgres was free within {after:?}; raise connections_max"
    )]
    WaitTimeout {
        /// The size of the pool.
        connections_max: usize,
        /// The time the job waited.
        after: Duration,
    },
    /// The server cannot be reached.
    #[error("connect to postgres at {server}")]
    Connect {
        /// The server.
        server: String,
        /// Why not.
        source: io::Error,
    },
    /// The server did not accept our login in time.
    #[error("connect to postgres at {server}: not done within {after:?}")]
    ConnectTimeout {
        /// The server.
        server: String,
        /// The time it had.
        after: Duration,
    },
    /// The server refused us, or TLS or authentication failed.
    #[error("log in to postgres at {server}")]
    Login {
        /// The server.
        server: String,
        /// The underlying error.
        source: tokio_postgres::Error,
    },
}
