//! Connections to Redis: finding the server, setting a connection up, and the sockets themselves.
//!
//! What is sent over them is in [`crate::resp`]; what it means, in `store`.
//!
//! Reading order: [`handshake`] is what every connection sends first, [`tls`] encrypts, [`sentinel`] knows where the
//! primary is, [`cluster`] which node has a slot, `find` asks them; all without a socket. [`conn`] is the connection of
//! the engine, on a shard's ring; [`blocking`] serves callers without an executor, `tokio_conn` programs that run on
//! tokio.

// What can fail in a connection, who may fix it, and what an operator calls it.
mod cause;
pub mod error;

// What a new connection sends first; sans-IO, shared by every kind of socket.
pub mod handshake;
// Who knows where the primary is, and what may be between the pipeline and a socket; both without a socket.
pub mod cluster;
mod find;
pub mod sentinel;
pub mod tls;
mod transport;
// What is wrong when neither fits.
mod probe;

pub mod blocking;
// The sockets of the engine: on a shard's ring.
pub mod backoff;
pub mod conn;
mod connect;
// For programs that run on tokio.
#[cfg(feature = "tokio")]
pub mod tokio_conn;

pub use backoff::Backoff;
pub use conn::{ConnOptions, Connection, Stopper};
pub use error::Error;
pub use handshake::Handshake;
