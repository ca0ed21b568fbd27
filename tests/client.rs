//! The clients of producers in outages: Redis killed and started again, answers that are lost on their way, a Redis that
//! hangs, a producer that is killed. What counts is read from Redis: which jobs are there, in which order, how often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers fail the test they stand in; clippy sees only the functions with #[test]"
)]

#[path = "support/fault_proxy.rs"]
mod fault_proxy;
#[path = "engine/harness/redis.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod redis;
#[path = "support/redis_server.rs"]
mod redis_server;
#[path = "support/wait.rs"]
mod wait;

#[path = "client/outbox.rs"]
mod outbox;
#[path = "client/outbox_killed.rs"]
mod outbox_killed;
#[path = "client/pool.rs"]
mod pool;
#[cfg(feature = "tokio")]
#[path = "client/tokio_client.rs"]
mod tokio_client;

use jiggler_uring::NewJob;
use redis::Redis;

/// A job with a number.
fn job(number: u64) -> NewJob {
    NewJob::new("Noop", &[number]).unwrap()
}

/// The numbers of the jobs in the default queue, the next to be taken first.
fn numbers(redis: &Redis) -> Vec<u64> {
    redis.queue("default").iter().map(|payload| redis::json(payload)["args"][0].as_u64().unwrap()).collect()
}
