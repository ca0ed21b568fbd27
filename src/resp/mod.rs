//! Speaking RESP with Redis: formats, connection state, addresses, and a blocking connection.
//!
//! Responsible for bytes in, replies out. It does not know what a command means: commands are named in `store` only.
//!
//! Reading order: [`encode`] writes commands, [`scan`] finds where a reply ends, [`decode`] gives whole replies as
//! [`reply::Reply`], [`pipeline`] is the state of one connection without its socket, [`url`] says where Redis is,
//! [`handshake`] is what every connection says first, [`tls`] ciphers, [`sentinel`] asks where the primary is,
//! [`cluster`] which node has a slot,
//! [`blocking`] is the thin socket for callers without an executor.
//!
//! RESP2 rather than RESP3, for every Redis and proxy speaks it. The exception is a connection that is to be told of
//! changes: only RESP3 has pushes, replies that answer no command ([`Connection::speak_resp3`]).

pub mod encode;
pub mod error;
pub mod redis_error;
pub mod reply;

mod resp3;
pub mod scan;
// Decoding stands on these and `reply`.
pub mod decode;
pub mod pipeline;

pub mod url;
// What a new connection says first; sans-IO, shared by every kind of socket.
pub mod handshake;
// Who knows where the primary is, and what may lie between the pipeline and a socket; both without a socket.
pub mod cluster;
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

#[cfg(test)]
mod properties;

pub use backoff::Backoff;
pub use conn::{ConnOptions, Connection, Stopper};
pub use decode::{Protocol, ReplyLimits};
pub use encode::{Command, Requests};
pub use error::Error;
pub use handshake::Handshake;
pub use pipeline::Pipeline;
pub use redis_error::{RedisError, RedisErrorKind};
pub use reply::{Elements, Reply, Value};
pub use url::{Endpoint, Place, RedisUrl};
