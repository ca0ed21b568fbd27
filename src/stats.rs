//! What each shard publishes of itself: plain counters on cache lines of its own, read by the control executor.
//!
//! One shard writes, one control reads; a reader may see two counters a few jobs apart, never one going backwards.

use std::sync::atomic::{AtomicU64, Ordering};

mod current;

pub use current::{CurrentJob, JobMark, Polled};

/// The published counters of one shard.
#[derive(Debug, Default)]
// Two lines: x86 fetches cache lines in pairs.
#[repr(align(128))]
pub struct ShardStats {
    /// Jobs that ran to an end, failed ones included.
    pub processed: Counter,
    /// Jobs that failed, and payloads that were no job.
    pub failed: Counter,
    /// Jobs taken from a queue.
    pub fetched: Counter,
    /// Jobs handed back unstarted or unfinished.
    pub handed_back: Counter,
    /// Turns (round trips that fetch and ack).
    pub turns: Counter,
    /// Jobs running now.
    pub running: Counter,
    /// Jobs fetched and not started yet, now.
    pub unstarted: Counter,
    /// Connections lost since the start.
    pub disconnects: Counter,
    /// Cancellations control has told of that were heard.
    pub cancels_heard: Counter,
    /// The job that is polled now.
    pub current: CurrentJob,
}

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, by the one writer.
    pub fn add(&self, count: u64) {
        // A load and a store, not a locked addition: there is one writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Sets a gauge, by the one writer.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value as last written.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_do_not_share_a_cache_line() {
        assert_eq!(align_of::<ShardStats>(), 128);
        assert_eq!(size_of::<ShardStats>() % 128, 0);
    }

    #[test]
    fn a_counter_counts() {
        let counter = Counter::default();
        counter.add(2);
        counter.add(3);
        assert_eq!(counter.get(), 5);
        counter.set(1);
        assert_eq!(counter.get(), 1);
    }
}
