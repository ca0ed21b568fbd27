//! The way of a job through its shard without Redis: taken in, parsed, looked up, decoded, polled, settled.
//!
//! For `benches/dispatch.rs` and `tests/allocations.rs`, which measure what a shard itself costs. Not part of the API.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::run::run_ready;
use super::state::{Shard, ShardOptions};
use crate::handler::Registry;
use crate::limits::{DEAD_JOBS_MAX, DEAD_TIMEOUT, WAIT_TIME_MIN};
use crate::resp::RedisUrl;
use crate::stats::ShardStats;
use crate::store::turn::BatchName;

/// A shard that has no connection: what it would tell Redis is dropped.
#[doc(hidden)]
pub struct Dispatch {
    shard: Rc<Shard>,
}

impl Dispatch {
    /// A shard with these handlers and so many slots.
    ///
    /// # Errors
    /// Never but for a fault of ours: the url it does not use is one.
    pub fn new<S: 'static>(registry: Registry<S>, slots: usize) -> Result<Self, crate::resp::url::UrlError> {
        let options = ShardOptions {
            shard: 0,
            uuid: "000000000000".to_owned(),
            url: RedisUrl::parse("unix:///nonexistent/redis.sock")?,
            queues: vec![("default".to_owned(), 0)],
            slots,
            at_least_once: true,
            dead_jobs_max: DEAD_JOBS_MAX,
            dead_timeout: DEAD_TIMEOUT,
            block_time: Duration::from_secs(WAIT_TIME_MIN.as_secs()),
            stats: Arc::new(ShardStats::default()),
        };
        Ok(Self { shard: Rc::new(Shard::new(options, registry.into_handlers())) })
    }

    /// Runs one batch as a turn would bring it. How many of its jobs have been settled, and how many of these failed.
    /// Must be called on an executor.
    pub async fn run(&self, payloads: Vec<Bytes>) -> (u64, u64) {
        let number = self.shard.fresh_id();
        self.shard.take_in(0, BatchName::Turn(number), payloads);
        run_ready(&self.shard).await;
        let settled = self.shard.settlement.take();
        (settled.processed, settled.failed)
    }
}
