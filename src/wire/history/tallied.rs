//! What became of the jobs of one queue and class, in buckets that double.

use crate::stats::{Outcome, Row, Times};

/// Buckets of a histogram: up to 2^-16 s, 2^-15 s, …, 2^13 s, and beyond.
pub(super) const BUCKETS: usize = 31;

/// The upper bound of the first bucket, as a power of two of seconds.
const FIRST_LOG2: i32 = -16;

/// Units of the sum of run times in a second.
const SUM_UNITS: f64 = 1024.0;

/// How long things took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    pub(super) counts: [u64; BUCKETS],
}

impl Histogram {
    fn of(times: &Times) -> Self {
        let mut counts = [0; BUCKETS];
        for (at, count) in counts.iter_mut().enumerate().take(BUCKETS - 1) {
            let power = FIRST_LOG2 + at as i32;
            *count = times.between((at > 0).then_some(power - 1), power);
        }
        counts[BUCKETS - 1] = times.count() - counts.iter().sum::<u64>();
        Self { counts }
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The buckets that have counted anything: the upper bound in seconds, infinite for the last, and the count.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(at, count)| (bound(at), *count))
    }

    /// The time that this part of them did not exceed, in seconds, as if they were spread evenly over a bucket; `None`:
    /// nothing was counted.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let rank = (self.count() as f64 * part).max(1.0);
        let mut below = 0.0;
        for (at, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= rank || at == BUCKETS - 1 {
                let upper = if at == BUCKETS - 1 { return Some(bound(at - 1)) } else { bound(at) };
                let lower = if at == 0 { 0.0 } else { upper / 2.0 };
                return Some(lower + (upper - lower) * ((rank - below) / count).min(1.0));
            }
            below += count;
        }
        None
    }

    /// The counts from the first bucket that has counted anything to the last, and which one that is.
    pub(super) fn counted(&self) -> (usize, &[u64]) {
        let first = self.counts.iter().position(|count| *count > 0).unwrap_or(0);
        let end = self.counts.iter().rposition(|count| *count > 0).map_or(first, |last| last + 1);
        (first, &self.counts[first..end])
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }

    fn since(&self, before: &Self) -> Self {
        let mut counts = self.counts;
        for (count, before) in counts.iter_mut().zip(&before.counts) {
            *count = count.saturating_sub(*before);
        }
        Self { counts }
    }
}

fn bound(bucket: usize) -> f64 {
    if bucket == BUCKETS - 1 { f64::INFINITY } else { 2_f64.powi(FIRST_LOG2 + bucket as i32) }
}

/// What became of the jobs of one queue and class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallied {
    pub(super) outcomes: [u64; Outcome::ALL.len()],
    /// In 1/1024 s.
    pub(super) run_sum: u64,
    /// How long runs took.
    pub run: Histogram,
    /// How long after it had reached its process the last job of a batch started.
    pub wait: Histogram,
}

impl Tallied {
    /// What a shard has counted, in the buckets of history.
    pub(crate) fn of(row: &Row) -> Self {
        Self {
            outcomes: Outcome::ALL.map(|outcome| row.count(outcome)),
            run_sum: (row.run.sum_s() * SUM_UNITS) as u64,
            run: Histogram::of(&row.run),
            wait: Histogram::of(&row.wait),
        }
    }

    /// What was counted after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut outcomes = self.outcomes;
        for (count, before) in outcomes.iter_mut().zip(&before.outcomes) {
            *count = count.saturating_sub(*before);
        }
        Self {
            outcomes,
            run_sum: self.run_sum.saturating_sub(before.run_sum),
            run: self.run.since(&before.run),
            wait: self.wait.since(&before.wait),
        }
    }

    /// Adds what others have counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.outcomes.iter_mut().zip(&other.outcomes) {
            *count = count.saturating_add(*more);
        }
        self.run_sum = self.run_sum.saturating_add(other.run_sum);
        self.run.merge(&other.run);
        self.wait.merge(&other.wait);
    }

    /// How many jobs ended in each way, by its word.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Outcome::ALL.into_iter().zip(self.outcomes).map(|(outcome, count)| (outcome.as_str(), count))
    }

    /// How many jobs ended so.
    #[cfg(test)]
    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// How long all runs took together, in seconds.
    #[must_use]
    pub fn run_seconds(&self) -> f64 {
        self.run_sum as f64 / SUM_UNITS
    }

    /// How many jobs were done if each run ended in some way, and each of these ways took a run.
    pub(super) fn done_of_runs(&self) -> u64 {
        let failed = &self.outcomes[Outcome::Retried as usize..Outcome::Left as usize];
        failed.iter().fold(self.run.count(), |runs, count| runs.saturating_sub(*count))
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
