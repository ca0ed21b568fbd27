//! The clock of a Redis server, as this process computes it between two readings.
//!
//! Every time stored in Redis is compared with Redis's own clock: when a retry is due, how old a dead entry is. The clock
//! of this host may be wrong, be set while we run, or stand still while the host is suspended. So it is not used: a
//! reading of Redis's clock says what time it was at one moment of the kernel's boot clock, which nobody sets and which
//! counts suspended time too; from then on only the boot clock is read.
//!
//! Responsible for the computation. Not for asking Redis, nor for what follows from clocks that differ.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::unix_now;

/// The clock of one server. One thread writes it, any may read it, which costs one atomic load and the kernel's clock.
///
/// Before the first reading, and while the server refuses to answer, it is the clock of this host.
#[derive(Debug, Default)]
pub struct RedisClock {
    /// Redis's Unix time when the boot clock was 0, in nanoseconds; 0 if unknown.
    zero_ns: AtomicI64,
    /// When it was last read, by the boot clock; 0 if never.
    read_ns: AtomicI64,
}

/// The moment at which Redis was asked for its time.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    boot_ns: i64,
}

impl Asked {
    /// To be called right before the question is sent.
    #[must_use]
    pub fn now() -> Self {
        Self { boot_ns: boot_ns() }
    }
}

impl RedisClock {
    /// Unix time of Redis now, in seconds.
    #[must_use]
    pub fn now(&self) -> f64 {
        match self.zero_ns.load(Ordering::Relaxed) {
            0 => unix_now(),
            zero_ns => (zero_ns + boot_ns()) as f64 / 1e9,
        }
    }

    /// Notes Redis's answer, which has just arrived. Returns by how much it may be wrong: half the round trip.
    pub fn learn(&self, asked: Asked, told: Duration) -> Duration {
        let now_ns = boot_ns();
        let round_trip_ns = (now_ns - asked.boot_ns).max(0);
        let told_ns = i64::try_from(told.as_nanos()).unwrap_or(i64::MAX / 2);
        let zero_ns = reckon(self.zero_ns.load(Ordering::Relaxed), now_ns, told_ns, round_trip_ns);
        self.zero_ns.store(zero_ns, Ordering::Relaxed);
        self.read_ns.store(now_ns.max(1), Ordering::Relaxed);
        Duration::from_nanos(round_trip_ns.unsigned_abs() / 2)
    }

    /// Notes that the server refuses to answer: until it is asked again this is the clock of this host.
    pub fn note_refused(&self) {
        self.zero_ns.store(0, Ordering::Relaxed);
        self.read_ns.store(boot_ns().max(1), Ordering::Relaxed);
    }

    /// Forgets when it was read: another server may answer from now on. What is known stays in use until that one is
    /// asked.
    pub fn mistrust(&self) {
        self.read_ns.store(0, Ordering::Relaxed);
    }

    /// Whether it was read this recently.
    #[must_use]
    pub fn is_fresh(&self, within: Duration) -> bool {
        let read_ns = self.read_ns.load(Ordering::Relaxed);
        let within_ns = i64::try_from(within.as_nanos()).unwrap_or(i64::MAX);
        read_ns != 0 && boot_ns() - read_ns < within_ns
    }

    /// By how many seconds the clock of this host is ahead of Redis's; negative if it is behind. `None` if Redis's is
    /// unknown.
    #[must_use]
    pub fn skew(&self) -> Option<f64> {
        let is_known = self.zero_ns.load(Ordering::Relaxed) != 0;
        is_known.then(|| unix_now() - self.now())
    }

    /// Another clock that knows what this one knows.
    #[must_use]
    pub fn copied(&self) -> Self {
        let copy = |number: &AtomicI64| AtomicI64::new(number.load(Ordering::Relaxed));
        Self { zero_ns: copy(&self.zero_ns), read_ns: copy(&self.read_ns) }
    }
}

/// Redis's time at the zero of the boot clock, after an answer whose round trip ends now. The time in it is at most as old
/// as that round trip; an earlier result that does not contradict it stays: a slow answer makes nothing worse.
fn reckon(before_ns: i64, now_ns: i64, told_ns: i64, round_trip_ns: i64) -> i64 {
    let (earliest, latest) = (told_ns - now_ns, told_ns - now_ns + round_trip_ns);
    if (earliest..=latest).contains(&before_ns) { before_ns } else { earliest + round_trip_ns / 2 }
}

/// Nanoseconds since the start of the machine.
fn boot_ns() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn before_a_reading_it_is_the_clock_of_this_host_and_after_it_redis() {
        let clock = RedisClock::default();
        assert!((clock.now() - unix_now()).abs() < 1.0);
        assert_eq!((clock.skew(), clock.is_fresh(Duration::MAX)), (None, false));
        // A server whose clock is an hour ahead of ours.
        let told = Duration::from_secs_f64(unix_now() + 3_600.0);
        let error = clock.learn(Asked::now(), told);
        assert!(error < Duration::from_secs(1));
        assert!((clock.now() - unix_now() - 3_600.0).abs() < 1.0);
        assert!((clock.skew().unwrap() + 3_600.0).abs() < 1.0);
        assert!(clock.is_fresh(Duration::from_secs(60)) && !clock.is_fresh(Duration::ZERO));
        let copy = clock.copied();
        clock.mistrust();
        assert!(!clock.is_fresh(Duration::MAX) && copy.is_fresh(Duration::from_secs(60)));
        assert!((clock.now() - copy.now()).abs() < 1.0, "what is known stays in use");
        clock.note_refused();
        assert!((clock.now() - unix_now()).abs() < 1.0 && clock.is_fresh(Duration::from_secs(60)));
    }

    #[test]
    fn an_answer_counts_from_the_middle_of_its_round_trip() {
        assert_eq!(reckon(0, 100 * S, 1_000 * S, 2 * S), 901 * S);
    }

    #[test]
    fn what_does_not_contradict_the_reckoning_changes_nothing() {
        // Redis was busy for four seconds: all that is known is that its clock is between 1000 and 1004 now.
        for before in [900 * S, 901 * S, 904 * S] {
            assert_eq!(reckon(before, 100 * S, 1_000 * S, 4 * S), before);
        }
        // Its clock was set.
        for before in [899 * S, 905 * S] {
            assert_eq!(reckon(before, 100 * S, 1_000 * S, 4 * S), 902 * S);
        }
    }
}
