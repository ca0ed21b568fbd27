//! Producers' clients in outages: Redis killed and restarted, answers lost on the way, a Redis that hangs, a producer
//! that is killed. What counts is read from Redis: which jobs are there, in which order, how often.

mod outbox;
mod outbox_killed;
mod pool;
#[cfg(feature = "tokio")]
mod tokio_client;

use crate::redis::{self, Redis};
use crate::{fault_proxy, wait};
use jiggler_uring::NewJob;

/// A job with a number.
fn job(number: u64) -> NewJob {
    NewJob::new("Noop", &[number]).unwrap()
}

/// The numbers of the jobs in the default queue, in the order they will be taken.
fn numbers(redis: &Redis) -> Vec<u64> {
    redis.queue("default").iter().map(|payload| redis::json(payload)["args"][0].as_u64().unwrap()).collect()
}
