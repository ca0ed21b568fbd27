//! The formats of RESP: commands to bytes, bytes to replies, urls to addresses. No socket, no clock.
//!
//! It does not know what a command means: only `store` names commands. Sockets are in [`crate::net`].
//!
//! Reading order: [`encode`] writes commands, [`scan`] finds where a reply ends, [`decode`] returns whole replies as
//! [`reply::Reply`], [`pipeline`] is the state of one connection without its socket, [`url`] says where Redis is.
//!
//! RESP2 rather than RESP3, because every Redis and proxy speaks it. The exception is a connection that must be
//! notified of changes: only RESP3 has pushes, replies that answer no command
//! ([`Connection::speak_resp3`](crate::net::Connection::speak_resp3)).

pub mod encode;
pub mod error;
pub mod redis_error;
pub mod reply;

mod resp3;
pub mod scan;
// Decoding builds on these and `reply`.
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
