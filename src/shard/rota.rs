//! In which order a turn serves the queues of a shard, and in which order the lanes of a core are woken.
//!
//! Pure: it gets the queues and returns one order after the other. An order is asked for once and kept with the turn that
//! was sent with it, so it may depend on anything that happened before.
//!
//! Strict priority is the only rule so far. Others will be further variants of [`Rule`]: weighted and assigned queues are
//! another order of the same numbers. A queue that is paused, or served elsewhere, is left out of [`Rota::served`], so no
//! waiter waits for it; an order still names it, behind the others, because a turn reports on all queues, and then says
//! from how many of them to fetch.

use std::cell::Cell;

/// See the module.
#[derive(Debug)]
pub(super) struct Rota {
    rule: Rule,
    /// Orders returned so far.
    given: Cell<usize>,
}

#[derive(Debug)]
enum Rule {
    /// By priority; queues of equal priority take turns being first.
    Strict {
        /// For each queue, where its priority begins and how many queues share it.
        equals: Box<[(usize, usize)]>,
    },
}

impl Rota {
    /// Strict priority. `ranks`: the priority of each queue, highest first.
    pub(super) fn strict(ranks: &[i32]) -> Self {
        debug_assert!(ranks.is_sorted_by(|one, next| one >= next), "the highest priority comes first");
        let equals = |&rank: &i32| {
            let start = ranks.iter().position(|&other| other == rank).unwrap_or(0);
            (start, ranks.iter().filter(|&&other| other == rank).count())
        };
        Self { rule: Rule::Strict { equals: ranks.iter().map(equals).collect() }, given: Cell::new(0) }
    }

    /// The next order: every position once.
    pub(super) fn next_order(&self) -> impl Iterator<Item = usize> + '_ {
        let nth = self.given.get();
        self.given.set(nth.wrapping_add(1));
        let Rule::Strict { equals } = &self.rule;
        equals.iter().enumerate().map(move |(at, &(start, count))| start + (nth % count + at - start) % count)
    }

    /// The queues that are served at all: those in which jobs are waited for.
    pub(super) fn served(&self) -> std::ops::Range<usize> {
        let Rule::Strict { equals } = &self.rule;
        0..equals.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ranks: &[i32], orders: &[&[usize]]) {
        let rota = Rota::strict(ranks);
        for (nth, expected) in orders.iter().enumerate() {
            assert_eq!(rota.next_order().collect::<Vec<_>>(), *expected, "order {nth} of {ranks:?}");
        }
        assert_eq!(rota.served().collect::<Vec<_>>(), (0..ranks.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_higher_priority_comes_first_and_equal_ones_take_turns() {
        check(&[], &[&[], &[]]);
        check(&[7], &[&[0], &[0]]);
        check(&[3, 2, 1], &[&[0, 1, 2], &[0, 1, 2]]);
        check(&[1, 1, 1], &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1], &[0, 1, 2]]);
        check(&[5, 5, 2, 0, 0], &[&[0, 1, 2, 3, 4], &[1, 0, 2, 4, 3], &[0, 1, 2, 3, 4]]);
    }
}
