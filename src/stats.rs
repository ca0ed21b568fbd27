//! What each shard publishes about itself: plain counters on its own cache lines, read by the control executor.
//!
//! One shard writes, one control reads; a reader may see two counters a few jobs apart, but never one going
//! backwards.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits::TALLY_CLASSES_MAX;

#[cfg_attr(not(feature = "web"), allow(dead_code, reason = "nobody reads what is counted"))]
mod control;
mod current;
pub(crate) mod here;
mod left;
mod outcomes;
mod times;

pub(crate) use control::{ControlStats, LifePhase};
pub(crate) use current::{CurrentJob, JobMark, Polled};
pub(crate) use left::LeftJobs;
pub(crate) use outcomes::{LiveRow, Outcome, Row, ShardRow};
pub(crate) use times::Times;

/// What names without a handler are called, and those beyond a bound.
pub(crate) const OTHER: &str = "other";

/// The published counters of one shard.
#[derive(Debug, Default)]
// Two lines: x86 fetches cache lines in pairs.
#[repr(align(128))]
pub(crate) struct ShardStats {
    /// Jobs that ran to an end, failed ones included.
    pub processed: Counter,
    /// Jobs that failed, and payloads that were not a job.
    pub failed: Counter,
    /// Jobs taken from a queue.
    pub fetched: Counter,
    /// Jobs handed back unstarted or unfinished.
    pub handed_back: Counter,
    /// Turns (round trips that fetch and ack).
    pub turns: Counter,
    /// Nanoseconds from sending a turn to reading its reply, all answered turns together.
    pub turn_ns: Counter,
    /// Turns that were answered.
    pub turns_answered: Counter,
    /// Bytes of turns sent to Redis.
    pub sent_bytes: Counter,
    /// Bytes of payloads taken from queues.
    pub fetched_bytes: Counter,
    /// Jobs running now.
    pub running: Counter,
    /// Jobs fetched and not started yet, now.
    pub unstarted: Counter,
    /// Connections lost since the start.
    pub disconnects: Counter,
    /// Connections that were closed while idle, which is no outage.
    pub idle_closes: Counter,
    /// When its executor last turned; written by the pulse of that executor.
    pub turned_at: Moment,
    /// When Redis last answered it: a turn or a blocking wait.
    pub answered_at: Moment,
    /// Since when it has been without Redis; unset while it has it.
    pub outage_since: Moment,
    /// Why: the number of a [`Cause`](crate::wire::Cause); of no meaning while it has it.
    pub outage_cause: Counter,
    /// 1 while it takes no jobs because no child of its runner runs.
    pub held_back: Counter,
    /// Cancellations sent by control that the shard has received.
    pub cancels_heard: Counter,
    /// 1 while it has slots for jobs and knows of none; always 0 where it waits in Redis itself.
    pub waits: Counter,
    /// Messages about queues that have jobs, which it has received.
    pub jobs_heard: Counter,
    /// Jobs of unknown names that it has left to others.
    pub left: LeftJobs,
    /// The job being polled now.
    pub current: CurrentJob,
}

impl ShardStats {
    /// The queue and the class of a row of this shard.
    pub(crate) fn names_of(&self, row: &ShardRow) -> (Box<str>, Box<str>) {
        let other = || Box::from(OTHER);
        let queue = self.current.queue_names().get(row.queue).map_or_else(other, Box::clone);
        let class = self.current.job_names().get(row.class).filter(|_| row.class < TALLY_CLASSES_MAX);
        (queue, class.map_or_else(other, Box::clone))
    }
}

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the one writer may call it.
    pub(crate) fn add(&self, count: u64) {
        // A load and a store, not a locked addition: there is one writer.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Sets a gauge; only the one writer may call it.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value as last written.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A point in time that one thread records and others read, to the millisecond.
#[derive(Debug, Default)]
pub(crate) struct Moment {
    /// Milliseconds since [`ZERO`], plus one; 0 is never.
    noted: Counter,
}

/// The time from which moments of this process are counted.
static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Moment {
    /// Records the current time.
    pub(crate) fn mark(&self) {
        let ms = ZERO.elapsed().as_millis();
        self.noted.set(u64::try_from(ms).unwrap_or(u64::MAX).saturating_add(1));
    }

    /// Clears it.
    pub(crate) fn clear(&self) {
        self.noted.set(0);
    }

    /// How long ago it was; `None` if nothing is recorded.
    pub(crate) fn age(&self) -> Option<Duration> {
        let ms = self.noted.get().checked_sub(1)?;
        Some(ZERO.elapsed().saturating_sub(Duration::from_millis(ms)))
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

    #[test]
    fn a_moment_has_an_age_from_when_it_is_marked_until_it_is_cleared() {
        let moment = Moment::default();
        assert_eq!(moment.age(), None);
        let before = Instant::now();
        moment.mark();
        let age = moment.age().unwrap();
        assert!(age <= before.elapsed() + Duration::from_millis(1), "{age:?}");
        moment.clear();
        assert_eq!(moment.age(), None);
    }
}
