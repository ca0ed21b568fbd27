//! I/O for handlers over their core's ring: a job that waits never blocks the core.
//!
//! | module | what | cargo feature |
//! |---|---|---|
//! | [`timer`] | sleeping, bounding a wait, ticking | |
//! | [`spawn`] | several waits at once, in one job | |
//! | [`fs`] | reading, writing and appending to files | |
#![cfg_attr(feature = "http", doc = "| [`http`] | an HTTP/1.1 client with kept-alive connections | `http` |")]
#![cfg_attr(feature = "postgres", doc = "| [`postgres`] | a pool of PostgreSQL connections | `postgres` |")]
#![cfg_attr(feature = "tls", doc = "| [`tls`] | which servers are trusted | `tls` |")]
//!
//! Everything here belongs to the core it was created on (it is not `Send`): a client or pool is part of the state
//! that the factory builds for each core, so handlers share it without a lock. A future may be dropped at any await;
//! each function documents what that leaves behind. Libraries that block a thread, or need a runtime of their own,
//! run alongside the shard instead: [`Registry::blocking`](crate::Registry::blocking).
//!
//! Sockets are read when they have data and written when there is room. One epoll set per core, which the ring waits
//! for, reports both, so thousands of waiting connections cost the ring one entry.
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
#[cfg(feature = "web")]
pub(crate) mod listen;
pub(crate) mod permits;
pub(crate) mod readiness;
#[cfg(any(feature = "http", feature = "postgres"))]
mod resolve;
#[cfg(any(feature = "http", feature = "postgres"))]
mod stream;
mod task;
#[cfg(any(feature = "http", feature = "postgres"))]
mod warm_up;
#[cfg(any(feature = "http", feature = "postgres"))]
mod wire;

pub use task::{Task, spawn};
