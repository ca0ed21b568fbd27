//! Which queues are believed to have jobs, in a process with so many that no shard waits for each of them in Redis.
//!
//! Control is told by Redis which queues change, and tells the shards which have jobs (`control::bell`). A turn names only
//! these: with a thousand queues it costs no more than with one. A queue is forgotten only on evidence: a turn that was sent
//! after the shard had last heard of it found it empty. So a job is never forgotten: whatever changes a queue after it was
//! found empty is told anew.
//!
//! With few queues nothing of this is used, and every queue is seen at all times.

use std::cell::Cell;

use super::order::Order;
use crate::limits::{TURN_QUEUES_FEW, TURN_QUEUES_MANY};

/// See the module.
#[derive(Debug)]
pub(super) struct Sight {
    /// None, where it is not used.
    queues: Box<[Seen]>,
    /// The last turn got what it asked for.
    was_served: Cell<bool>,
}

#[derive(Debug)]
struct Seen {
    has_jobs: Cell<bool>,
    /// The number of the newest call when the shard last heard that it has jobs.
    heard_at: Cell<u64>,
}

impl Sight {
    /// For this many queues, all of which may have jobs. `is_used`: control tells which have.
    pub(super) fn new(queues: usize, is_used: bool) -> Self {
        let seen = |_| Seen { has_jobs: Cell::new(true), heard_at: Cell::new(0) };
        Self {
            queues: (0..if is_used { queues } else { 0 }).map(seen).collect(),
            was_served: Cell::new(true),
        }
    }

    /// Whether control tells which queues have jobs.
    #[inline]
    pub(super) fn is_used(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Whether this queue is believed to have jobs.
    pub(super) fn sees(&self, queue: usize) -> bool {
        self.queues.get(queue).is_none_or(|seen| seen.has_jobs.get())
    }

    /// It was said to have jobs. `newest`: the number of the newest call.
    pub(super) fn hear(&self, queue: usize, newest: u64) {
        if let Some(seen) = self.queues.get(queue) {
            seen.has_jobs.set(true);
            seen.heard_at.set(newest);
        }
    }

    /// Any of them may have jobs.
    pub(super) fn hear_of_all(&self, newest: u64) {
        (0..self.queues.len()).for_each(|queue| self.hear(queue, newest));
    }

    /// From how many queues the next turn takes jobs at most.
    pub(super) fn width(&self) -> usize {
        if self.was_served.get() { TURN_QUEUES_FEW } else { TURN_QUEUES_MANY }
    }

    /// Notes what a turn with this number and order has found: queue and jobs, of those that brought any.
    ///
    /// Redis goes through the queues in their order until it has what is wanted, or enough bytes: those before the last that
    /// brought anything were looked at. If none did, all were.
    pub(super) fn note(
        &self,
        number: u64,
        wanted: usize,
        order: &Order,
        brought: &(impl Iterator<Item = (usize, usize)> + Clone),
    ) {
        let total: usize = brought.clone().map(|(_, jobs)| jobs).sum();
        self.was_served.set(total >= wanted);
        let last = brought.clone().filter(|(_, jobs)| *jobs > 0).last().map(|(queue, _)| queue);
        let mut left = wanted;
        // Those behind the limits are only reported on.
        for (&queue, &limit) in order.queues.iter().zip(&order.limits) {
            if Some(queue) == last {
                return;
            }
            let jobs = brought.clone().find(|(from, _)| *from == queue).map_or(0, |(_, jobs)| jobs);
            let is_empty = jobs < limit.min(left);
            left = left.saturating_sub(jobs);
            if let Some(seen) = self.queues.get(queue).filter(|seen| is_empty && number > seen.heard_at.get())
            {
                seen.has_jobs.set(false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sight: &Sight) -> Vec<usize> {
        (0..sight.queues.len()).filter(|queue| sight.sees(*queue)).collect()
    }

    /// What is seen after turn 5 asked these queues for ten jobs, each with its limit, and got these.
    fn check(asked: &[(usize, usize)], brought: &[(usize, usize)], expected: &[usize], what: &str) {
        let sight = Sight::new(4, true);
        let order = Order {
            // The last one is only reported on.
            queues: asked.iter().map(|(queue, _)| *queue).chain([3]).collect(),
            limits: asked.iter().map(|(_, limit)| *limit).collect(),
            allotted: Vec::new(),
        };
        sight.note(5, 10, &order, &brought.iter().copied());
        assert_eq!(seen(&sight), expected, "{what}");
    }

    #[test]
    fn a_queue_is_forgotten_once_a_turn_found_it_empty() {
        check(&[(0, 10), (1, 10), (2, 10)], &[], &[3], "nothing came: all were looked at");
        check(&[(0, 10), (1, 10), (2, 10)], &[(0, 10)], &[0, 1, 2, 3], "the first had enough");
        check(
            &[(0, 10), (1, 10), (2, 10)],
            &[(1, 3)],
            &[1, 2, 3],
            "the last that brought any may have filled the bytes",
        );
        check(&[(0, 10), (1, 10), (2, 10)], &[(0, 2), (1, 3)], &[1, 2, 3], "fewer than there was room for");
        check(&[(0, 2), (1, 10)], &[(0, 2), (1, 3)], &[0, 1, 2, 3], "as many as it was allowed");
        check(&[(0, 0), (1, 10)], &[(1, 10)], &[0, 1, 2, 3], "none was allowed");
        check(&[(0, 10), (1, 10)], &[(0, 0)], &[2, 3], "one that cannot be read says so");
    }

    #[test]
    fn what_was_heard_after_a_turn_was_sent_is_not_forgotten_by_it() {
        let sight = Sight::new(2, true);
        let order = Order { queues: vec![0, 1], limits: vec![9, 9], allotted: Vec::new() };
        sight.hear(0, 5);
        sight.note(5, 9, &order, &[].into_iter());
        assert_eq!(seen(&sight), [0]);
        sight.note(6, 9, &order, &[].into_iter());
        assert_eq!(seen(&sight), [0; 0]);
        sight.hear_of_all(6);
        assert_eq!(seen(&sight), [0, 1]);
    }

    #[test]
    fn a_turn_that_got_too_little_makes_the_next_one_ask_more_queues() {
        let sight = Sight::new(2, true);
        let order = Order { queues: vec![0], limits: vec![9], allotted: Vec::new() };
        assert_eq!(sight.width(), TURN_QUEUES_FEW);
        sight.note(1, 9, &order, &[(0, 8)].into_iter());
        assert_eq!(sight.width(), TURN_QUEUES_MANY);
        sight.note(2, 9, &order, &[(0, 9)].into_iter());
        assert_eq!(sight.width(), TURN_QUEUES_FEW);
    }

    #[test]
    fn where_it_is_not_used_every_queue_is_seen() {
        let sight = Sight::new(3, false);
        assert!(!sight.is_used() && sight.sees(2));
        sight.note(1, 9, &Order { queues: vec![0], limits: vec![9], allotted: Vec::new() }, &[].into_iter());
        assert!(sight.sees(0));
    }
}
