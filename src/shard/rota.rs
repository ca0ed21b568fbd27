//! In which order a turn serves the queues of a shard, and in which order the lanes of a core are woken.
//!
//! Pure: it gets the queues and returns one order after the other. An order is asked for once and kept with the turn that
//! was sent with it, so it may depend on anything that happened before.
//!
//! There is strict priority, and chance in proportion to weights. Others will be further variants of [`Rule`]. A queue that
//! is paused, or served elsewhere, is left out of [`Rota::served`], so no waiter waits for it; an order still names it,
//! behind the others, because a turn reports on all queues, and then says from how many of them to fetch.

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
    /// By chance, in proportion to the weight of each queue.
    Weighted { weights: Box<[u32]> },
}

/// One order: every position once.
enum Order<'r> {
    Strict { equals: std::iter::Enumerate<std::slice::Iter<'r, (usize, usize)>>, nth: usize },
    Drawn(std::vec::IntoIter<usize>),
}

impl Iterator for Order<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match self {
            Self::Strict { equals, nth } => {
                equals.next().map(|(at, &(start, count))| start + (*nth % count + at - start) % count)
            }
            Self::Drawn(order) => order.next(),
        }
    }
}

/// Draws an order: the chance to be next is in proportion to the weight, of those that are left.
fn draw(weights: &[u32]) -> Vec<usize> {
    let mut left: Vec<(usize, u32)> = weights.iter().copied().enumerate().collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let total: u32 = left.iter().map(|(_, weight)| weight).sum();
        let mut drawn = fastrand::u32(0..total.max(1));
        let next = left.iter().position(|(_, weight)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        order.push(left.swap_remove(next.unwrap_or(0)).0);
    }
    order
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

    /// By chance. `weights`: that of each queue.
    pub(super) fn weighted(weights: &[i32]) -> Self {
        let weights = weights.iter().map(|&weight| u32::try_from(weight).unwrap_or(0).max(1)).collect();
        Self { rule: Rule::Weighted { weights }, given: Cell::new(0) }
    }

    /// The next order: every position once.
    pub(super) fn next_order(&self) -> impl Iterator<Item = usize> + '_ {
        match &self.rule {
            Rule::Strict { equals } => {
                let nth = self.given.get();
                self.given.set(nth.wrapping_add(1));
                Order::Strict { equals: equals.iter().enumerate(), nth }
            }
            Rule::Weighted { weights } => Order::Drawn(draw(weights).into_iter()),
        }
    }

    /// The queues that are served at all: those in which jobs are waited for.
    pub(super) fn served(&self) -> std::ops::Range<usize> {
        match &self.rule {
            Rule::Strict { equals } => 0..equals.len(),
            Rule::Weighted { weights } => 0..weights.len(),
        }
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
    fn a_weight_is_the_chance_to_be_first() {
        fastrand::seed(7);
        let rota = Rota::weighted(&[6, 3, 1]);
        let mut firsts = [0; 3];
        for _ in 0..10_000 {
            let mut order: Vec<usize> = rota.next_order().collect();
            firsts[order[0]] += 1;
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2], "every queue is served in each turn");
        }
        for (first, expected) in firsts.into_iter().zip([6_000_i32, 3_000, 1_000]) {
            assert!((first - expected).abs() < 300, "{firsts:?}");
        }
        assert_eq!(rota.served(), 0..3);
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
