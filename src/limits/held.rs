//! Limits on what waits in a shard for a spoilt key to be fixed, and on what is searched for again.

use std::time::Duration;

use super::QUEUES_MAX;

/// How long a shard waits before it retries what Redis refused because of one spoilt key: an administrator has to fix
/// it.
pub const HELD_PAUSE: Duration = Duration::from_secs(5);

/// Number of ended jobs waiting for a spoilt set at which a shard stops fetching: it keeps them in memory.
pub const HELD_JOBS_MAX: usize = 2_000;

/// Spoilt keys that a shard names in the log, each once: all it knows, for as many queues as a process may have.
pub const HELD_KEYS_SAID_MAX: usize = 4 + QUEUES_MAX;

/// A blocking call that ends this much early, without a job and unasked, was not ended by Redis.
pub const WAIT_EARLY: Duration = Duration::from_secs(2);
