//! What a shard counts by queue and class: outcomes, run times, waits. In its own memory, without a lock: who wants to see
//! it asks ([`super::tell`]).
//!
//! A class has the number of its name ([`Entry::number`](crate::handler::Entry)), so a job finds its row by two additions
//! and one load. Names beyond [`TALLY_CLASSES_MAX`] and names without a handler share one row a queue, as do new pairs of
//! queue and class beyond [`TALLY_ROWS_MAX`].

use std::cell::{Cell, OnceCell};

use crate::limits::{TALLY_CLASSES_MAX, TALLY_ROWS_MAX};
use crate::stats::{LiveRow, ShardRow};

/// See the module.
pub(super) struct Tally {
    /// Those of the first queue, then those of the second; each created with its first job.
    rows: Box<[OnceCell<Box<LiveRow>>]>,
    /// Rows of a queue: one for each class, and the last for all others.
    classes: usize,
    /// Rows that exist.
    count: Cell<usize>,
}

impl Tally {
    /// For this many queues and handlers.
    pub(super) fn new(queues: usize, handlers: usize) -> Self {
        let classes = handlers.min(TALLY_CLASSES_MAX) + 1;
        Self { rows: (0..queues * classes).map(|_| OnceCell::new()).collect(), classes, count: Cell::new(0) }
    }

    /// The row of the class with this number, in the queue at this place.
    #[inline]
    pub(super) fn row(&self, queue: usize, class: usize) -> &LiveRow {
        let at = queue * self.classes + class.min(self.classes - 1);
        match self.rows[at].get() {
            Some(row) => row,
            None => self.new_row(at),
        }
    }

    /// The row for names without a handler and for what is not a job.
    pub(super) fn other(&self, queue: usize) -> &LiveRow {
        self.row(queue, usize::MAX)
    }

    #[cold]
    fn new_row(&self, at: usize) -> &LiveRow {
        let other = at - at % self.classes + self.classes - 1;
        let at = if self.count.get() < TALLY_ROWS_MAX { at } else { other };
        self.rows[at].get_or_init(|| {
            self.count.set(self.count.get() + 1);
            Box::default()
        })
    }

    /// What was counted so far. `number`: that of the queue at a place among the queues of the core.
    pub(super) fn copy<'t>(
        &'t self,
        number: impl Fn(usize) -> usize + 't,
    ) -> impl Iterator<Item = ShardRow> + 't {
        let rows = self.rows.iter().enumerate().filter_map(|(at, row)| Some((at, row.get()?)));
        rows.map(move |(at, row)| {
            let class = at % self.classes;
            let class = if class == self.classes - 1 { TALLY_CLASSES_MAX } else { class };
            ShardRow { queue: number(at / self.classes), class, row: row.copy() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Outcome;

    fn counted(tally: &Tally) -> Vec<(usize, usize, u64)> {
        let rows = tally.copy(|queue| queue + 10);
        rows.map(|found| (found.queue, found.class, found.row.count(Outcome::Done))).collect()
    }

    #[test]
    fn classes_are_told_apart_and_unknown_names_share_a_row() {
        let tally = Tally::new(2, 3);
        for (queue, class) in [(0, 0), (1, 2), (1, 2), (1, 3), (1, 700)] {
            tally.row(queue, class).count(Outcome::Done);
        }
        tally.other(1).count(Outcome::Done);
        assert_eq!(counted(&tally), [(10, 0, 1), (11, 2, 2), (11, TALLY_CLASSES_MAX, 3)]);
    }

    #[test]
    fn classes_beyond_the_bound_share_the_row_of_unknown_names() {
        let tally = Tally::new(1, TALLY_CLASSES_MAX + 7);
        tally.row(0, TALLY_CLASSES_MAX - 1).count(Outcome::Done);
        tally.row(0, TALLY_CLASSES_MAX).count(Outcome::Done);
        tally.row(0, TALLY_CLASSES_MAX + 6).count(Outcome::Done);
        tally.other(0).count(Outcome::Done);
        assert_eq!(counted(&tally), [(10, TALLY_CLASSES_MAX - 1, 1), (10, TALLY_CLASSES_MAX, 3)]);
    }

    #[test]
    fn pairs_beyond_the_bound_are_counted_with_the_others_of_their_queue() {
        let queues = TALLY_ROWS_MAX / 400 + 1;
        let tally = Tally::new(queues, 400);
        for queue in 0..queues {
            (0..400).for_each(|class| tally.row(queue, class).count(Outcome::Done));
        }
        let counted = counted(&tally);
        assert_eq!(counted.iter().map(|(_, _, done)| done).sum::<u64>(), queues as u64 * 400);
        assert_eq!(counted.len(), TALLY_ROWS_MAX + 1);
        let (_, class, done) = counted[TALLY_ROWS_MAX];
        assert_eq!((class, done), (TALLY_CLASSES_MAX, queues as u64 * 400 - TALLY_ROWS_MAX as u64));
    }
}
