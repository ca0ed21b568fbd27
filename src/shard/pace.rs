//! How many jobs to ask for: free slots, and as many more as will start within milliseconds (P8).
//!
//! Pure: its inputs are how long jobs took and how large they were. The estimate of a job's time follows its worst recent
//! sample: it jumps up with a slow job and comes down over a few dozen quick ones, so that the price of a wrong guess is
//! a smaller batch and not a job that waits behind a slow one.

use std::time::Duration;

use crate::limits::{BATCH_BYTES_FIT, BATCH_BYTES_MAX, BATCH_JOBS_MAX, READ_AHEAD_JOBS_MAX};

/// What a shard has measured of its jobs.
#[derive(Debug)]
pub(super) struct Pace {
    /// How long jobs may wait in the shard before they start.
    horizon_s: f64,
    /// Seconds until one more job can start; `None` before the first sample.
    interval_s: Option<f64>,
    /// Bytes of a payload, biased towards large ones.
    payload_bytes: f64,
}

/// The weight of a new, smaller sample. With 1/16 a sample a thousand times too high is forgotten after some 110 jobs.
const WEIGHT: f64 = 1.0 / 16.0;

impl Pace {
    pub(super) fn new(horizon: Duration) -> Self {
        Self { horizon_s: horizon.as_secs_f64(), interval_s: None, payload_bytes: 0.0 }
    }

    /// A job ended, or a group of them, each `per_job` after the one before, on average.
    pub(super) fn observe_run(&mut self, per_job: Duration) {
        let sample = per_job.as_secs_f64();
        self.interval_s = Some(match self.interval_s {
            Some(estimate) if sample < estimate => estimate + (sample - estimate) * WEIGHT,
            _ => sample,
        });
    }

    /// A job that waited took `duration`; with `slots` of them side by side, one ends that much sooner.
    pub(super) fn observe_waiting(&mut self, duration: Duration, slots: usize) {
        self.observe_run(duration / u32::try_from(slots.max(1)).unwrap_or(u32::MAX));
    }

    /// A batch came in.
    pub(super) fn observe_batch(&mut self, jobs: usize, bytes: usize) {
        if jobs == 0 {
            return;
        }
        let sample = bytes as f64 / jobs as f64;
        if sample < self.payload_bytes {
            self.payload_bytes += (sample - self.payload_bytes) * WEIGHT;
        } else {
            self.payload_bytes = sample;
        }
    }

    /// How many jobs to ask for, with `free` slots and `unstarted` jobs at hand.
    pub(super) fn wanted(&self, free: usize, unstarted: usize) -> usize {
        let ahead = match self.interval_s {
            None => 0,
            Some(interval_s) => (self.horizon_s / interval_s.max(1e-9)) as usize,
        };
        let ahead = ahead.min(READ_AHEAD_JOBS_MAX);
        let fitting = (BATCH_BYTES_FIT * BATCH_BYTES_MAX as f64 / self.payload_bytes.max(1.0)) as usize;
        (free + ahead).saturating_sub(unstarted).min(BATCH_JOBS_MAX).min(fitting.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(Duration::from_millis(4))
    }

    #[test]
    fn nothing_is_read_ahead_before_a_job_was_measured() {
        assert_eq!(pace().wanted(10, 0), 10);
        assert_eq!(pace().wanted(10, 10), 0);
    }

    #[test]
    fn short_jobs_are_read_ahead_up_to_the_bounds() {
        let mut pace = pace();
        pace.observe_run(Duration::from_micros(1));
        assert_eq!(pace.wanted(10, 0), BATCH_JOBS_MAX);
        assert_eq!(pace.wanted(10, READ_AHEAD_JOBS_MAX), 10);
        pace.observe_run(Duration::from_micros(400));
        assert_eq!(pace.wanted(10, 0), 20);
    }

    #[test]
    fn one_slow_job_ends_reading_ahead_and_many_quick_ones_bring_it_back() {
        let mut pace = pace();
        pace.observe_run(Duration::from_micros(1));
        pace.observe_waiting(Duration::from_millis(200), 10);
        assert_eq!(pace.wanted(3, 0), 3);
        for _ in 0..200 {
            pace.observe_run(Duration::from_micros(1));
        }
        assert_eq!(pace.wanted(3, 0), BATCH_JOBS_MAX);
    }

    #[test]
    fn large_payloads_make_small_batches_and_never_an_empty_one() {
        let mut pace = pace();
        pace.observe_run(Duration::from_micros(1));
        pace.observe_batch(4, 4 * BATCH_BYTES_MAX);
        assert_eq!(pace.wanted(10, 0), 1);
        pace.observe_batch(2, BATCH_BYTES_MAX / 5);
        assert!(pace.wanted(10, 0) >= 1);
    }
}
