//! How fast queues grow and jobs run: from this look and one that is a little older.
//!
//! Nothing is read for it: where nobody looks at pages, no look is kept, and the first page knows no rates.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::fleet::Seen;
use super::recent::Recent;
use crate::limits::{FLEET_QUEUES_MAX, TREND_AGE_MAX, TREND_AGE_MIN};
use crate::store::survey::Counts;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trends {
    /// What is compared with, and what will be when it is old enough.
    older: Option<Past>,
    newer: Option<Past>,
    recent: Recent,
}

#[derive(Debug, Clone)]
struct Past {
    at: Instant,
    counts: Counts,
    lengths: BTreeMap<String, u64>,
    /// Whether these are all that held jobs.
    is_whole: bool,
}

impl Trends {
    /// The looks of late.
    pub(super) const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Adds rates to a look, and keeps what is needed of it.
    pub(super) fn note(&mut self, mut seen: Seen, now: Instant) -> Seen {
        self.recent.note(&seen);
        let age = |past: &Past| now.saturating_duration_since(past.at);
        self.older = self.older.take().filter(|past| age(past) <= TREND_AGE_MAX);
        self.newer = self.newer.take().filter(|past| age(past) <= TREND_AGE_MAX);
        if self.older.is_none() || self.newer.as_ref().is_some_and(|past| age(past) >= TREND_AGE_MIN) {
            self.older = self.newer.take().or(self.older.take());
        }
        if let Some(past) = &self.older {
            compare(past, age(past), &mut seen);
        }
        if self.newer.is_none() {
            let lengths = seen.queues.iter().map(|(name, queue)| (name.clone(), queue.jobs)).collect();
            let is_whole = seen.queues_count <= FLEET_QUEUES_MAX;
            let new = Past { at: now, counts: seen.counts, lengths, is_whole };
            // The first look is what the next ones are compared with, until there is an older one.
            if self.older.is_none() {
                self.older = Some(new.clone());
            }
            self.newer = Some(new);
        }
        seen
    }
}

fn compare(past: &Past, age: Duration, seen: &mut Seen) {
    let seconds = age.as_secs_f64();
    // Two looks in the same second say nothing.
    if seconds < 0.5 {
        return;
    }
    // A counter that was reset counts as unchanged.
    let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
    let Counts { processed, failures, .. } = past.counts;
    seen.rates = Some((rate(seen.counts.processed, processed), rate(seen.counts.failures, failures)));
    for (name, queue) in &mut seen.queues {
        // One that was not there was empty.
        let before = past.lengths.get(name).copied().or(past.is_whole.then_some(0));
        queue.growth = before.map(|before| (queue.jobs as f64 - before as f64) / seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_since_a_look_that_is_neither_too_young_nor_too_old() {
        let (mut trends, start) = (Trends::default(), Instant::now());
        let mut look = |s: u64, jobs, processed| {
            let seen = trends.note(Seen::sample(0.0, jobs, processed), start + Duration::from_secs(s));
            (seen.queues["mail"].growth, seen.rates.map(|(processed, _)| processed))
        };
        assert_eq!(look(0, 100, 1_000), (None, None), "the first look");
        assert_eq!(look(1, 110, 1_100), (Some(10.0), Some(100.0)));
        assert_eq!(look(5, 100, 900), (Some(0.0), Some(0.0)), "a counter was reset");
        assert_eq!(look(10, 300, 2_000), (Some(20.0), Some(100.0)));
        assert_eq!(look(20, 200, 2_000), (Some(-10.0), Some(0.0)), "since the look at 10 s");
        assert_eq!(look(600, 0, 9_000), (None, None), "what is old says nothing");
    }
}
