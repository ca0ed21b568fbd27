//! Which servers have been missing for long enough to be called dead: Ruby servers without a heartbeat, ours without a
//! lease.
//!
//! Pure: what each look saw goes in, the dead come out. Not responsible for looking.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::{Duration, Instant};

use crate::limits::STOP_TIMEOUT_MAX;
use crate::store::ruby_lists::Seen;

/// What is remembered from one look to the next.
pub(super) struct Absences {
    /// How long a server must at least be missing.
    missed_min: Duration,
    /// The servers whose lists the last look saw, but not their heartbeat or lease.
    missed: HashMap<String, Missed>,
    /// For each server that had a heartbeat in the last look, how long its stop may take.
    stops: HashMap<String, Option<Duration>>,
}

/// A server without a sign of life.
#[derive(Clone, Copy)]
struct Missed {
    /// The end of the first look that did not find it.
    since: Instant,
    /// How long it may be missing and still live.
    allowed: Duration,
}

impl Absences {
    /// Nothing is known yet; a server is dead when it has been missing for `missed_min` and in two looks.
    pub(super) fn new(missed_min: Duration) -> Self {
        Self { missed_min, missed: HashMap::new(), stops: HashMap::new() }
    }

    /// Takes in what a look that has just ended saw, and returns the dead.
    ///
    /// A server that stops removes its heartbeat first and keeps working for as long as its key said, so one that was seen
    /// before is given that time.
    pub(super) fn judge(&mut self, seen: &Seen, now: Instant) -> HashSet<String> {
        let missed_before = mem::take(&mut self.missed);
        let mut dead = HashSet::new();
        let owners = seen.lists.iter().map(|list| &list.uuid).chain(seen.in_flight.keys());
        for uuid in owners.filter(|uuid| !seen.living.contains_key(*uuid)) {
            let Some(missed) = missed_before.get(uuid) else {
                let stop = self.stops.get(uuid).copied().flatten().unwrap_or_default();
                let allowed = stop.min(STOP_TIMEOUT_MAX).max(self.missed_min);
                self.missed.insert(uuid.clone(), Missed { since: now, allowed });
                continue;
            };
            if now.saturating_duration_since(missed.since) >= missed.allowed {
                dead.insert(uuid.clone());
            }
            self.missed.insert(uuid.clone(), *missed);
        }
        self.stops.clone_from(&seen.living);
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ruby_lists::{InFlight, InProgress};

    const PERIOD: Duration = Duration::from_secs(60);

    /// A look that finds heartbeats, each with the seconds its stop may take, and lists in progress.
    fn seen(living: &[(&str, u64)], lists: &[(&str, &str)]) -> Seen {
        let living =
            living.iter().map(|(uuid, stop_s)| ((*uuid).to_owned(), Some(Duration::from_secs(*stop_s))));
        let list = |(queue, uuid): &(&str, &str)| InProgress {
            queue: (*queue).to_owned(),
            uuid: (*uuid).to_owned(),
        };
        let lists = lists.iter().map(list).collect();
        Seen { living: living.collect(), lists, ..Seen::default() }
    }

    /// The dead after each look; the looks are a period apart.
    fn judge(looks: Vec<Seen>) -> Vec<Vec<String>> {
        let mut absences = Absences::new(PERIOD);
        let start = Instant::now();
        let judge =
            |(nth, seen): (u32, Seen)| absences.judge(&seen, start + PERIOD * nth).into_iter().collect();
        (0..).zip(looks).map(judge).collect()
    }

    #[test]
    fn a_server_that_is_missed_twice_in_a_row_is_dead() {
        let lists = [("a", "dead"), ("b", "dead"), ("a", "live")];
        let look = || seen(&[("live", 25)], &lists);
        let dead = vec!["dead".to_owned()];
        // A list that could not be put back is named again.
        assert_eq!(judge(vec![look(), look(), look()]), [vec![], dead.clone(), dead]);
    }

    #[test]
    fn so_is_one_of_ours_that_has_jobs_in_flight_and_no_lease() {
        let look = || {
            let ours = ["dead", "live"].map(|uuid| (uuid.to_owned(), InFlight::default()));
            Seen { in_flight: ours.into(), ..seen(&[("live", 25)], &[]) }
        };
        assert_eq!(judge(vec![look(), look()]), [vec![], vec!["dead".to_owned()]]);
    }

    #[test]
    fn a_heartbeat_between_two_looks_without_one_restarts_the_count() {
        let missing = || seen(&[], &[("a", "one")]);
        let beating = || seen(&[("one", 25)], &[("a", "one")]);
        let dead = vec!["one".to_owned()];
        let looks = vec![missing(), beating(), missing(), beating(), missing(), missing()];
        assert_eq!(judge(looks), [vec![], vec![], vec![], vec![], vec![], dead]);
    }

    #[test]
    fn a_server_without_lists_is_forgotten() {
        let missing = || seen(&[], &[("a", "one")]);
        assert_eq!(judge(vec![missing(), seen(&[], &[]), missing()]), vec![vec![""; 0]; 3]);
    }

    #[test]
    fn a_server_that_stops_has_the_time_its_heartbeat_named() {
        let missing = || seen(&[], &[("a", "one")]);
        let dead = vec!["one".to_owned()];
        let looks = vec![seen(&[("one", 150)], &[("a", "one")]), missing(), missing(), missing(), missing()];
        // Missing since the second look; 60 and 120 s are less than 150.
        assert_eq!(judge(looks), [vec![], vec![], vec![], vec![], dead]);
    }

    #[test]
    fn two_looks_in_quick_succession_are_not_a_period() {
        let mut absences = Absences::new(PERIOD);
        let missing = || seen(&[], &[("a", "one")]);
        let start = Instant::now();
        for (after, lists) in [(Duration::ZERO, 0), (PERIOD / 2, 0), (PERIOD, 1)] {
            assert_eq!(absences.judge(&missing(), start + after).len(), lists, "after {after:?}");
        }
    }
}
