//! The formats of RESP: commands to bytes, bytes to replies, urls to addresses. No socket, no clock.
//!
//! It does not know what a command means: commands are named in `store` only. Sockets are in [`crate::net`].
//!
//! Reading order: [`encode`] writes commands, [`scan`] finds where a reply ends, [`decode`] gives whole replies as
//! [`reply::Reply`], [`pipeline`] is the state of one connection without its socket, [`url`] says where Redis is.
//!
//! RESP2 rather than RESP3, for every Redis and proxy speaks it. The exception is a connection that is to be told of
//! changes: only RESP3 has pushes, replies that answer no command
//! ([`Connection::speak_resp3`](crate::net::Connection::speak_resp3)).

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

#[cfg(test)]
mod properties;

pub use decode::{Protocol, ReplyLimits};
pub use encode::{Command, Requests};
pub use error::Error;
pub use pipeline::Pipeline;
pub use redis_error::{RedisError, RedisErrorKind};
pub use reply::{Elements, Reply, Value};
pub use url::{Endpoint, Place, RedisUrl};
