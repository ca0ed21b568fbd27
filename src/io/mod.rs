//! I/O for handlers over the ring of their core: what a job waits for never holds the core.
//!
//! | module | what | cargo feature |
//! |---|---|---|
//! | [`timer`] | sleeping, bounding a wait, ticking | |
//! | [`fs`] | reading, writing and appending to files | |
#![cfg_attr(feature = "http", doc = "| [`http`] | an HTTP/1.1 client with kept-alive connections | `http` |")]
#![cfg_attr(feature = "postgres", doc = "| [`postgres`] | a pool of PostgreSQL connections | `postgres` |")]
#![cfg_attr(feature = "tls", doc = "| [`tls`] | which servers are trusted | `tls` |")]
//!
//! Everything here belongs to the core it was made on (it is not `Send`): a client or pool is part of the state that the
//! factory builds for each core, so handlers share it without a lock. A future may be dropped at any await; what that
//! leaves behind is said at each place. Libraries that block a thread, or need a runtime of their own, are run beside the
//! shard instead: [`Registry::blocking`](crate::Registry::blocking).
//!
//! Sockets are read when they have something and written when there is room; that is learned from one epoll set a core that
//! the ring waits for, so that thousands of connections that wait cost the ring one entry.
//!
//! Not here: Redis, which the engine speaks itself (`resp` and `net`); pushing jobs ([`crate::client`]).

pub mod fs;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod timer;
#[cfg(all(feature = "tls", any(feature = "http", feature = "postgres")))]
pub mod tls;

mod alarm;
#[cfg(any(feature = "http", feature = "postgres"))]
mod idle;
pub(crate) mod permits;
#[cfg(any(feature = "http", feature = "postgres"))]
mod readiness;
#[cfg(any(feature = "http", feature = "postgres"))]
mod resolve;
#[cfg(any(feature = "http", feature = "postgres"))]
mod stream;
#[cfg(any(feature = "http", feature = "postgres"))]
mod warm_up;
#[cfg(any(feature = "http", feature = "postgres"))]
mod wire;
