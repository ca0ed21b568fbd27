//! How many jobs of each queue may hold a slot of this shard, while control gives slots to queues (`--balance even` and
//! `adaptive`). Otherwise no queue has a cap, and nothing is asked here but whether any has.
//!
//! A queue that is at its cap is left out like a paused one: no turn asks for its jobs, no waiter waits for them
//! ([`super::rota`]), and what has come nevertheless is not admitted and goes back. When one of its jobs ends, it is looked
//! for anew.

use std::cell::Cell;

/// See the module.
#[derive(Debug)]
pub(super) struct Caps {
    queues: Box<[Cap]>,
    are_set: Cell<bool>,
    /// A queue has room that had none, and that was not heeded yet.
    is_news: Cell<bool>,
}

#[derive(Debug)]
struct Cap {
    most: Cell<usize>,
    /// Its jobs that hold a slot.
    running: Cell<usize>,
}

impl Caps {
    /// For this many queues, none of which has a cap.
    pub(super) fn new(queues: usize) -> Self {
        let cap = |_| Cap { most: Cell::new(usize::MAX), running: Cell::new(0) };
        Self { queues: (0..queues).map(cap).collect(), are_set: Cell::new(false), is_news: Cell::new(false) }
    }

    /// From now on these are the caps. Returns whether that is a change.
    pub(super) fn set(&self, most: impl Fn(usize) -> usize) -> bool {
        let mut has_changed = false;
        for (queue, cap) in self.queues.iter().enumerate() {
            let now = most(queue);
            has_changed |= cap.most.replace(now) != now;
        }
        self.are_set.set(true);
        has_changed
    }

    /// Whether queues have caps.
    #[inline]
    pub(super) fn are_set(&self) -> bool {
        self.are_set.get()
    }

    /// A job of this queue takes a slot.
    pub(super) fn starts(&self, queue: usize) {
        let running = &self.queues[queue].running;
        running.set(running.get() + 1);
    }

    /// A job of this queue gives its slot back.
    pub(super) fn ends(&self, queue: usize) {
        let was_full = self.is_full(queue);
        let running = &self.queues[queue].running;
        running.set(running.get().saturating_sub(1));
        if was_full && !self.is_full(queue) {
            self.is_news.set(true);
        }
    }

    /// Whether this queue is at its cap.
    pub(super) fn is_full(&self, queue: usize) -> bool {
        self.room(queue) == 0
    }

    /// How many more of its jobs may take a slot.
    pub(super) fn room(&self, queue: usize) -> usize {
        let cap = &self.queues[queue];
        cap.most.get().saturating_sub(cap.running.get())
    }

    /// Whether a queue has got room since this was last asked.
    pub(super) fn take_news(&self) -> bool {
        self.is_news.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_at_its_cap_is_full_until_one_of_its_jobs_ends() {
        let caps = Caps::new(2);
        (0..9).for_each(|_| caps.starts(0));
        assert!(!caps.are_set() && !caps.is_full(0), "nothing is capped");
        (0..8).for_each(|_| caps.ends(0));
        assert!(caps.set(|queue| [1, 2][queue]) && caps.are_set() && !caps.set(|queue| [1, 2][queue]));
        assert_eq!((caps.room(0), caps.room(1), caps.take_news()), (0, 2, false));
        caps.ends(0);
        assert!(caps.take_news() && !caps.take_news() && !caps.is_full(0));
        caps.starts(1);
        caps.ends(1);
        assert!(!caps.take_news(), "it was not full");
        caps.set(|_| 0);
        assert!(caps.is_full(0) && caps.is_full(1));
    }
}
