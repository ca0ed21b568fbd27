//! What can go wrong on the way to a connection. What goes wrong with a query is [`tokio_postgres::Error`].

use std::io;
use std::time::Duration;

use thiserror::Error;

/// Why there is no connection. `server` is its address. Another try may heal all but [`Config`](Self::Config).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration makes no sense; it is not shown, for it may hold a password.
    #[error("the configuration of the postgres pool is wrong: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// So many jobs wait for a connection that no more may.
    #[error(
        "{waiting_max} jobs wait for a connection to postgres already; raise connections_max or run fewer"
    )]
    TooManyWait {
        /// The bound that is reached.
        waiting_max: usize,
    },
    /// Every connection of the pool was in use for too long.
    #[error(
        "none of {connections_max} connections to postgres was free within {after:?}; raise connections_max"
    )]
    WaitTimeout {
        /// How many there are.
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
    /// The server did not let us in within the time.
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
        /// What was said.
        source: tokio_postgres::Error,
    },
}
