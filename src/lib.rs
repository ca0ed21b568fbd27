//! jiggler-uring.
// L0 base
mod event;
pub mod ids;
pub mod limits;
pub mod shutdown;
pub mod stats;
pub mod time;

// L1 formats, L2 transport
pub mod job;
pub mod resp;
pub mod wire;

// L3 store
pub mod store;

// L4 api
pub mod client;
mod handler;
mod mesh;

// L5 runtime
pub mod admin;
mod control;
mod shard;

// L6 process
pub mod boot;
pub mod builtin;
pub mod cli;
pub mod config;
pub mod embedded;
mod server;

#[cfg(test)]
#[path = "../tests/support/redis_server.rs"]
mod redis_server;
#[cfg(test)]
mod test_redis;
#[cfg(test)]
#[path = "../tests/support/wait.rs"]
mod wait;

pub use handler::{Ctx, Handler, IntoJobResult, JobError, JobInfo, JobResult, Registry};
pub use server::{Core, Worker, worker};
