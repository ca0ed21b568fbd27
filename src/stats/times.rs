//! How long things took, counted in fixed buckets, so that what several shards, processes or minutes have counted can be
//! added up.
//!
//! The buckets are log-linear: four to each doubling, so a quantile is off by an eighth at most. Their bounds are counted in
//! units of 2^-30 s (0.93 ns), which makes every fourth of them a power of two of seconds: exactly what Prometheus' native
//! histograms are made of. The first bucket has all that is below 15 µs, the last all that is above 2.3 h.

use std::cell::Cell;
use std::time::Duration;

/// A second, as a power of two of units.
const SECOND_LOG2: u32 = 30;

/// The upper bound of the first bucket, as a power of two of units: 15.3 µs.
const FIRST_LOG2: u32 = 14;

/// The upper bound of the last bucket but one: 8,192 s.
const LAST_LOG2: u32 = 43;

/// Buckets to each doubling, as a power of two.
const STEPS_LOG2: u32 = 2;

/// Buckets of a histogram.
pub(crate) const BUCKETS: usize = (((LAST_LOG2 - FIRST_LOG2) << STEPS_LOG2) + 2) as usize;

/// What a nanosecond has above one unit, as a fraction of 2^64: 2^30 / 10^9 - 1.
const NANOSECOND_REST: u64 = (((1_u128 << (64 + SECOND_LOG2)) / 1_000_000_000) - (1 << 64)) as u64;

/// Counted on one thread.
#[derive(Debug)]
pub(crate) struct LiveTimes {
    buckets: [Cell<u64>; BUCKETS],
    /// In units.
    sum: Cell<u64>,
}

/// What was counted up to some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Times {
    buckets: [u64; BUCKETS],
    /// In units.
    sum: u64,
}

impl LiveTimes {
    /// Counts one.
    #[inline]
    pub(crate) fn add(&self, time: Duration) {
        let units = units(time);
        let bucket = &self.buckets[bucket(units)];
        bucket.set(bucket.get().wrapping_add(1));
        self.sum.set(self.sum.get().wrapping_add(units));
    }

    /// What was counted so far.
    pub(crate) fn copy(&self) -> Times {
        Times { buckets: self.buckets.each_ref().map(Cell::get), sum: self.sum.get() }
    }
}

impl Default for LiveTimes {
    fn default() -> Self {
        Self { buckets: [const { Cell::new(0) }; BUCKETS], sum: Cell::new(0) }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum: 0 }
    }
}

impl Times {
    /// Adds what others have counted.
    #[cfg(any(feature = "web", test))]
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count = count.wrapping_add(*more);
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The buckets that have counted anything: the middle of each, in seconds, and the count. Those without a middle have
    /// their one bound.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let counted = self.buckets.iter().copied().enumerate().filter(|(_, count)| *count > 0);
        counted.map(|(at, count)| (middle_s(at), count))
    }

    /// All of them together, in seconds.
    pub(crate) fn sum_s(&self) -> f64 {
        seconds(self.sum)
    }

    /// How many took more than 2^`above` seconds, if a bound is given, and at most 2^`up_to`: powers that the first and the
    /// last bound enclose.
    pub(crate) fn between(&self, above: Option<i32>, up_to: i32) -> u64 {
        let start = above.map_or(0, |power| last_bucket_up_to(power) + 1);
        self.buckets[start..=last_bucket_up_to(up_to)].iter().sum()
    }
}

/// The bound up to which a bucket counts, in units; the last has none.
fn bound(bucket: usize) -> u64 {
    let (doubling, step) = (bucket.saturating_sub(1) / 4, bucket.saturating_sub(1) % 4);
    let start = 1_u64 << (FIRST_LOG2 as usize + doubling);
    if bucket == 0 { 1 << FIRST_LOG2 } else { start + start / 4 * (step as u64 + 1) }
}

fn middle_s(bucket: usize) -> f64 {
    match bucket {
        0 => seconds(bound(0)),
        bucket if bucket == BUCKETS - 1 => seconds(bound(BUCKETS - 2)),
        bucket => (seconds(bound(bucket - 1)) + seconds(bound(bucket))) / 2.0,
    }
}

/// The last bucket with nothing above 2^`power` seconds.
fn last_bucket_up_to(power: i32) -> usize {
    let log2 = (SECOND_LOG2 as i32 + power).clamp(FIRST_LOG2 as i32, LAST_LOG2 as i32);
    (log2 as usize - FIRST_LOG2 as usize) << STEPS_LOG2
}

/// A time in units. It is exact to one unit, and never above what it should be.
#[inline]
fn units(time: Duration) -> u64 {
    let mut nanoseconds = u64::from(time.subsec_nanos());
    if time.as_secs() > 0 {
        // Beyond 272 years it would not fit; they are in the last bucket long before.
        nanoseconds += time.as_secs().min(1 << 33) * 1_000_000_000;
    }
    nanoseconds + ((u128::from(nanoseconds) * u128::from(NANOSECOND_REST)) >> 64) as u64
}

fn seconds(units: u64) -> f64 {
    units as f64 / (1_u64 << SECOND_LOG2) as f64
}

/// The bucket of a time: an upper bound belongs to its bucket.
#[inline]
fn bucket(units: u64) -> usize {
    let below = units.saturating_sub(1).max((1 << FIRST_LOG2) - 1);
    let log2 = below.ilog2();
    // Its highest bits: from 4 to 7.
    let step = below >> (log2 - STEPS_LOG2);
    let number = u64::from(log2 << STEPS_LOG2) + step - u64::from(((FIRST_LOG2 + 1) << STEPS_LOG2) - 1);
    (number as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_the_last_time_of_its_bucket() {
        assert_eq!((bucket(0), bucket(1)), (0, 0));
        for number in 0..BUCKETS - 1 {
            assert_eq!(bucket(bound(number)), number, "bucket {number}");
            assert_eq!(bucket(bound(number) + 1), number + 1, "bucket {number}");
        }
        assert_eq!((bound(BUCKETS - 2), bucket(u64::MAX)), (1 << LAST_LOG2, BUCKETS - 1));
    }

    #[test]
    fn times_are_counted_up_to_powers_of_two_of_seconds() {
        let live = LiveTimes::default();
        for ms in [1, 500, 1_000, 1_001, 2_000, 4_000, 100_000_000] {
            live.add(Duration::from_millis(ms));
        }
        let times = live.copy();
        assert_eq!(times.count(), 7);
        assert_eq!(times.between(None, 0), 3, "up to a second, which is one of them");
        assert_eq!((times.between(Some(0), 1), times.between(Some(1), 2)), (2, 1));
        assert_eq!(times.between(None, 13), 6, "one took longer than a day");
        assert!((times.sum_s() - 100_008.502).abs() < 1e-3, "{}", times.sum_s());
    }

    #[test]
    fn a_bucket_is_known_by_its_middle() {
        let live = LiveTimes::default();
        for ms in [0, 1_200, 100_000_000] {
            live.add(Duration::from_millis(ms));
        }
        let counted: Vec<_> = live.copy().buckets().collect();
        let (first, last) = (seconds(1 << FIRST_LOG2), seconds(1 << LAST_LOG2));
        assert_eq!(counted, [(first, 1), (1.125, 1), (last, 1)]);
    }

    #[test]
    fn what_several_have_counted_adds_up() {
        let (one, other) = (LiveTimes::default(), LiveTimes::default());
        one.add(Duration::from_micros(20));
        other.add(Duration::from_micros(20));
        other.add(Duration::from_secs(3));
        let mut both = Times::default();
        both.merge(&one.copy());
        both.merge(&other.copy());
        assert_eq!((both.count(), both.between(None, -15), both.between(Some(1), 2)), (3, 2, 1));
        assert_eq!(both.sum, one.copy().sum + other.copy().sum);
    }

    #[test]
    fn a_time_is_exact_to_a_unit() {
        for (time, expected) in [
            (Duration::from_secs(1), 1_u64 << 30),
            (Duration::from_secs(86_400), 86_400 << 30),
            (Duration::from_nanos(1), 1),
        ] {
            let found = units(time);
            assert!(found <= expected && expected - found <= 1 + expected / (1 << 40), "{time:?}: {found}");
        }
        assert!(units(Duration::MAX) > 0);
    }
}
