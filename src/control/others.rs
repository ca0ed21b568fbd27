//! What other processes give to the queues of this one, as they were last heard.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::balance::Elsewhere;
use crate::limits::{
    BALANCE_INTERVAL, SLOTS_NEWS_KEPT, SLOTS_NEWS_PER_SECOND, SLOTS_NEWS_PERIOD, SLOTS_NEWS_PROCESSES_MAX,
};
use crate::wire::slots::SlotsNews;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Others(BTreeMap<String, Heard>);

#[derive(Debug)]
struct Heard {
    at: Instant,
    slots: BTreeMap<String, u64>,
}

impl Others {
    /// A process has told what it gives.
    pub(super) fn hear(&mut self, news: SlotsNews, at: Instant) {
        let SlotsNews { uuid, slots } = news;
        if slots.is_empty() {
            self.0.remove(&uuid);
        } else if self.0.len() < SLOTS_NEWS_PROCESSES_MAX || self.0.contains_key(&uuid) {
            self.0.insert(uuid, Heard { at, slots });
        }
    }

    /// Forgets those that were not heard for so long that several messages of theirs would have come.
    pub(super) fn forget_silent(&mut self, now: Instant) {
        let kept = self.period() * SLOTS_NEWS_KEPT;
        self.0.retain(|_, heard| now.saturating_duration_since(heard.at) < kept);
    }

    /// What they give to a queue.
    pub(super) fn give(&self, queue: &str) -> Elsewhere {
        let whole = |slots: u64| usize::try_from(slots).unwrap_or(usize::MAX);
        self.0.values().fold(Elsewhere::default(), |sum, heard| match heard.slots.get(queue) {
            Some(&slots) if slots > 0 => Elsewhere {
                slots: sum.slots.saturating_add(whole(slots)),
                processes: sum.processes + 1,
                slots_all: heard
                    .slots
                    .values()
                    .fold(sum.slots_all, |all, one| all.saturating_add(whole(*one))),
            },
            _ => sum,
        })
    }

    /// Shortest time between two messages of one process, so that all together do not tell too often.
    pub(super) fn pause(&self) -> Duration {
        BALANCE_INTERVAL.mul_f64((self.0.len() as f64 / SLOTS_NEWS_PER_SECOND as f64).max(1.0))
    }

    /// Longest.
    pub(super) fn period(&self) -> Duration {
        self.pause().max(SLOTS_NEWS_PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_give_adds_up_until_they_fall_silent_or_give_nothing() {
        let mut others = Others::default();
        let began = Instant::now();
        let hear = |others: &mut Others, uuid: &str, slots: &[(&'static str, u64)], at| {
            others.hear(SlotsNews::new(uuid, slots.iter().copied()), at);
        };
        hear(&mut others, "a", &[("mail", 3), ("bulk", 7)], began);
        hear(&mut others, "b", &[("mail", 1)], began + SLOTS_NEWS_PERIOD);
        assert_eq!(others.give("mail"), Elsewhere { slots: 4, processes: 2, slots_all: 11 });
        assert_eq!(others.give("bulk"), Elsewhere { slots: 7, processes: 1, slots_all: 10 });
        assert_eq!(others.give("img"), Elsewhere::default());
        others.forget_silent(began + SLOTS_NEWS_PERIOD * SLOTS_NEWS_KEPT);
        assert_eq!(others.give("mail"), Elsewhere { slots: 1, processes: 1, slots_all: 1 });
        hear(&mut others, "b", &[], began);
        assert_eq!(others.give("mail"), Elsewhere::default(), "it takes no more jobs");
    }

    #[test]
    fn many_processes_tell_less_often_and_too_many_are_not_heard() {
        let mut others = Others::default();
        assert_eq!(others.pause(), BALANCE_INTERVAL);
        for number in 0..SLOTS_NEWS_PROCESSES_MAX + 10 {
            others.hear(SlotsNews::new(&number.to_string(), [("mail", 1)]), Instant::now());
        }
        assert_eq!(others.give("mail").processes, SLOTS_NEWS_PROCESSES_MAX);
        assert_eq!(
            others.pause(),
            BALANCE_INTERVAL * (SLOTS_NEWS_PROCESSES_MAX / SLOTS_NEWS_PER_SECOND) as u32
        );
    }
}
