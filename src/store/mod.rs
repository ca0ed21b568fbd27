//! The commands the engine sends to Redis, and what it makes of the replies; the only place that names commands.
//!
//! Sans-IO: each function appends to a [`Requests`](crate::resp::encode::Requests) or reads a
//! [`Reply`](crate::resp::reply::Reply); shards, the control executor and blocking callers bring their own
//! connection. Its docs state round trips and what is atomic. Keys are spelt in [`crate::wire::keys`].

pub mod enqueue;
pub mod inspect;
