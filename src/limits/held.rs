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

/// A blocking call that ends this much early, without a job and unasked, was not ended by Redis. The drift between its
/// clock and ours is smaller.
pub const WAIT_EARLY: Duration = Duration::from_millis(100);

/// The same for long blocks, as a fraction (one in so many): twice the rate at which clocks are slewed.
pub const WAIT_EARLY_PART: u32 = 1_000;

/// Time from giving up a waiting connection to the first look through its wait list, and the shortest time between looks.
pub const STRAY_LOOK: Duration = Duration::from_secs(2);

/// Later looks are apart by a fraction (one in so many) of the time since then: with many shards and queues a block may
/// last an hour.
pub const STRAY_LOOK_PART: u32 = 4;
