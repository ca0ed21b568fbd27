//! What one shard gets before it starts.

use std::sync::Arc;
use std::time::Duration;

use crate::client::Spelling;
use crate::job::Schema;
use crate::resp::RedisUrl;
use crate::stats::ShardStats;
use crate::time::RedisClock;
use crate::wire::Realm;

/// What the numbers of queues mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Balance {
    /// Priorities: the higher number is served first.
    #[default]
    Strict,
    /// Weights: each queue with jobs gets its share.
    Weighted,
}

/// What one shard gets before it starts.
#[derive(Debug, Clone)]
pub(crate) struct ShardOptions {
    /// Its number, from 0.
    pub(crate) shard: usize,
    /// The process it belongs to: 12 hex digits.
    pub(crate) uuid: String,
    /// Where Redis is.
    pub(crate) url: RedisUrl,
    /// The keys its queues share.
    pub(crate) realm: Realm,
    /// How payloads are written.
    pub(crate) schema: Schema,
    /// The queues it serves, highest priority first; equal numbers share.
    pub(crate) queues: Vec<(String, i32)>,
    /// What these numbers mean; in a cluster always priorities.
    pub(crate) balance: Balance,
    /// For each queue the clock of the server that has it: one and the same, except in a cluster.
    pub(crate) clocks: Vec<Arc<RedisClock>>,
    /// Whether control tells which of the queues have jobs. Otherwise it waits in Redis for each of them.
    pub(crate) is_told: bool,
    /// Jobs it may run side by side.
    pub(crate) slots: usize,
    /// Whether a job stays in Redis until it is settled.
    pub(crate) at_least_once: bool,
    /// Entries the dead set keeps.
    pub(crate) dead_jobs_max: u64,
    /// How long an entry stays in the dead set.
    pub(crate) dead_timeout: Duration,
    /// Retries of a job for which neither payload nor handler names a number; `None`: the program's default.
    pub(crate) default_retries: Option<u32>,
    /// How long a job whose name it does not know is left to other workers; `None`: it fails at once.
    pub(crate) leave_unknown: Option<Duration>,
    /// How long one blocking call waits in Redis, in whole seconds.
    pub(crate) block_time: Duration,
    /// Its published counters.
    pub(crate) stats: Arc<ShardStats>,
}

impl ShardOptions {
    /// Connections that wait in Redis.
    pub(crate) fn waiters(&self) -> usize {
        waiters(self.is_told, self.at_least_once, self.queues.len())
    }

    /// How its client writes.
    pub(crate) fn spelling(&self) -> Spelling {
        Spelling { keys: self.realm.keys(), schema: self.schema }
    }

    /// The clock that the shard uses: that of its first queue.
    pub(crate) fn clock(&self) -> Arc<RedisClock> {
        self.clocks.first().cloned().unwrap_or_default()
    }
}

/// Connections of a shard that wait in Redis: one for each queue at least once, one for all at most once, and none where
/// control tells which queues have jobs.
pub(crate) const fn waiters(is_told: bool, at_least_once: bool, queues: usize) -> usize {
    match (is_told, at_least_once) {
        (true, _) => 0,
        (false, true) => queues,
        (false, false) => 1,
    }
}
