//! What pages have seen of late: how many jobs had run and waited, look by look, for the finest of the overview's charts.
//!
//! Nothing is read for it. Where nobody looks at pages, nothing is noted, and the history fills the gap.

use std::collections::{BTreeMap, VecDeque};

use super::fleet::Seen;
use crate::limits::{RECENT_LOOKS_MAX, RECENT_QUEUES_MAX, RECENT_STEP_S};

/// The looks, the latest last, at most one for each [`RECENT_STEP_S`] seconds.
#[derive(Debug, Default)]
pub(super) struct Recent {
    looks: VecDeque<Noted>,
}

/// What is kept of a look.
#[derive(Debug)]
pub(super) struct Noted {
    /// Unix seconds.
    pub(super) at: f64,
    pub(super) processed: u64,
    pub(super) failures: u64,
    pub(super) waiting: u64,
    /// The longest queues.
    pub(super) depths: BTreeMap<Box<str>, u64>,
}

impl Noted {
    /// In which step of time it was.
    pub(super) fn step(&self) -> u64 {
        step_of(self.at)
    }
}

/// The number of the step in which this moment is, in Unix seconds.
fn step_of(at: f64) -> u64 {
    at.max(0.0) as u64 / RECENT_STEP_S
}

impl Recent {
    pub(super) fn note(&mut self, seen: &Seen) {
        let of_queue = |(name, queue): (&String, &super::fleet::Queue)| (Box::from(&**name), queue.jobs);
        let noted = || Noted {
            at: seen.at,
            processed: seen.counts.processed,
            failures: seen.counts.failures,
            waiting: seen.waiting_jobs,
            depths: seen.longest(RECENT_QUEUES_MAX).map(of_queue).collect(),
        };
        let step = step_of(seen.at);
        match self.looks.back().map(Noted::step) {
            Some(last) if last == step => {}
            // The clock of Redis went back: what was noted is of another time.
            Some(last) if last > step => self.looks.clear(),
            _ => {
                if self.looks.len() >= RECENT_LOOKS_MAX {
                    self.looks.pop_front();
                }
                self.looks.push_back(noted());
            }
        }
    }

    /// All of them, the latest last.
    pub(super) fn looks(&self) -> impl Iterator<Item = &Noted> {
        self.looks.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_a_step_is_kept_and_the_oldest_make_room() {
        let mut recent = Recent::default();
        let steps = |recent: &Recent| recent.looks().map(Noted::step).collect::<Vec<_>>();
        for at in [1_000.0, 1_001.0, 1_000.0 + RECENT_STEP_S as f64] {
            recent.note(&Seen::sample(at, 7, 5));
        }
        let first = 1_000 / RECENT_STEP_S;
        assert_eq!(steps(&recent), [first, first + 1]);
        let noted = recent.looks().next().unwrap();
        assert_eq!((noted.processed, noted.waiting, noted.depths["mail"]), (5, 7, 7));
        for step in 0..2 * RECENT_LOOKS_MAX as u64 {
            recent.note(&Seen::sample((2_000 + step * RECENT_STEP_S) as f64, 7, 5));
        }
        assert_eq!(steps(&recent).len(), RECENT_LOOKS_MAX);
        recent.note(&Seen::sample(5.0, 7, 5));
        assert_eq!(steps(&recent), [0_u64; 0], "a clock that went back");
    }
}
