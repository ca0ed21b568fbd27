//! Moves into a wait list that may still arrive over abandoned connections, and when to look for them.
//!
//! When a connection is given up, it is unknown when Redis learns of it: a middle box may keep its own connection to
//! Redis, on which the block lasts until its time is over. Nobody sees a job that arrives that way, so the list is looked
//! through every few seconds until then. The looks become rarer with time, because blocks may be long.

use std::time::{Duration, Instant};

use crate::limits::{STRAY_LOOK, STRAY_LOOK_PART};

/// What may still arrive in one wait list.
#[derive(Debug, Default)]
pub(super) struct Strays(Option<Expected>);

#[derive(Debug, Clone, Copy)]
struct Expected {
    /// When a connection was given up last.
    since: Instant,
    /// Nothing arrives after this.
    until: Instant,
    look_at: Instant,
}

impl Strays {
    /// A connection was given up on which a move may still be made for this long.
    pub(super) fn expect(&mut self, now: Instant, within: Duration) {
        let until = self.0.map_or(now, |expected| expected.until).max(now + within);
        self.0 = Some(Expected { since: now, until, look_at: until.min(now + STRAY_LOOK) });
    }

    /// When to look next; `None` if nothing can arrive.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.0.map(|expected| expected.look_at)
    }

    /// Whether it is time to look.
    pub(super) fn are_due(&self, now: Instant) -> bool {
        self.look_at().is_some_and(|at| at <= now)
    }

    /// The list is looked through now.
    pub(super) fn looked(&mut self, now: Instant) {
        self.0 = self.0.filter(|expected| now < expected.until).map(|expected| {
            let gap = STRAY_LOOK.max((now - expected.since) / STRAY_LOOK_PART);
            Expected { look_at: expected.until.min(now + gap), ..expected }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks when it is due, until nothing can arrive. Returns how long after the start each look was.
    fn looks(strays: &mut Strays, start: Instant) -> Vec<Duration> {
        let mut looks = Vec::new();
        while let Some(at) = strays.look_at() {
            assert!(!strays.are_due(at - Duration::from_millis(1)) && strays.are_due(at));
            strays.looked(at);
            looks.push(at - start);
        }
        looks
    }

    #[test]
    fn a_stray_move_is_looked_for_within_seconds_until_none_can_come() {
        let (mut strays, start) = (Strays::default(), Instant::now());
        assert!(!strays.are_due(start + Duration::from_secs(3_600)));
        strays.looked(start);
        assert_eq!(strays.look_at(), None);
        strays.expect(start, Duration::from_secs(30));
        let looks = looks(&mut strays, start);
        assert_eq!((looks[0], *looks.last().unwrap()), (STRAY_LOOK, Duration::from_secs(30)));
        assert!(looks.windows(2).all(|pair| pair[1] - pair[0] <= Duration::from_secs(7)), "{looks:?}");
    }

    #[test]
    fn a_long_block_does_not_make_for_many_looks() {
        let (mut strays, start) = (Strays::default(), Instant::now());
        strays.expect(start, Duration::from_secs(6_000));
        let looks = looks(&mut strays, start);
        assert!(looks.len() < 50, "{}", looks.len());
    }

    #[test]
    fn another_loss_begins_anew_and_shortens_nothing() {
        let (mut strays, start) = (Strays::default(), Instant::now());
        strays.expect(start, Duration::from_secs(60));
        let later = start + Duration::from_secs(20);
        strays.expect(later, Duration::from_secs(10));
        assert_eq!(strays.look_at(), Some(later + STRAY_LOOK));
        assert_eq!(looks(&mut strays, start).last(), Some(&Duration::from_secs(60)));
    }
}
