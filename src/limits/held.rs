//! Bounds of what waits in a shard for a spoilt key to be mended, and of what is looked for again.

use std::time::Duration;

use super::QUEUES_MAX;

/// How long a shard waits before it tries again what Redis refused for the sake of one spoilt key: an administrator
/// mends it.
pub const HELD_PAUSE: Duration = Duration::from_secs(5);

/// Jobs that have ended and wait for a spoilt set, at which a shard fetches no more: it keeps them in memory.
pub const HELD_JOBS_MAX: usize = 2_000;

/// Spoilt keys that a shard names in the log, each once: all that it knows, for as many queues as a process may have.
pub const HELD_KEYS_SAID_MAX: usize = 4 + QUEUES_MAX;

/// A block that ends so much before its time, without a job and unasked, was not ended by Redis.
pub const WAIT_EARLY: Duration = Duration::from_secs(2);
