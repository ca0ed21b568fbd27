//! Jobs of a cluster that are to be retried in another queue than their own: its retry set is in another realm, on another
//! node, so no script reaches both.
//!
//! Such a job is copied, then removed: while it is added to the other realm's retry set it still counts as running here, and
//! only when that is done it is acked. Whoever dies in between leaves it in both, so it may run twice; it is never in none.
//! What cannot be added is tried again until the stop's deadline, and then handed back like a job that did not end. Here are
//! those that wait; [`super::carrier`] sends them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::batch::Batch;
use crate::event::Event;
use crate::limits::PUSH_JOBS_MAX;

/// A job that failed, as its retry set is to have it.
pub(super) struct Retry {
    /// The queue it is to be retried in.
    pub(super) queue: String,
    /// When, in Unix seconds.
    pub(super) score: f64,
    /// The payload to store.
    pub(super) payload: Vec<u8>,
    /// Whether it counts as run and failed: a snoozed job does not.
    pub(super) counts: bool,
}

/// A job of a batch, by its position there, and how it is to be retried.
pub(super) type Waiting = (Rc<Batch>, usize, Rc<Retry>);

/// Those of one lane that wait to be sent.
#[derive(Default)]
pub(super) struct Abroad {
    /// Invariant: each is running in its batch.
    waiting: RefCell<VecDeque<Waiting>>,
    came: Event,
}

impl Abroad {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// One more is to be sent.
    pub(super) fn add(&self, batch: Rc<Batch>, at: usize, retry: Retry) {
        self.waiting.borrow_mut().push_back((batch, at, Rc::new(retry)));
        self.came.raise();
    }

    /// The queue that the one that waits longest goes to; waits for one.
    pub(super) async fn next_queue(&self) -> String {
        loop {
            let queue = self.waiting.borrow().front().map(|(_, _, retry)| retry.queue.clone());
            match queue {
                Some(queue) => return queue,
                None => self.came.wait().await,
            }
        }
    }

    /// Those that go to one queue, as many as are sent at once.
    pub(super) fn bound_for(&self, queue: &str) -> Vec<Waiting> {
        let waiting = self.waiting.borrow();
        let meant = waiting.iter().filter(|(_, _, retry)| retry.queue == queue);
        meant
            .take(PUSH_JOBS_MAX)
            .map(|(batch, at, retry)| (Rc::clone(batch), *at, Rc::clone(retry)))
            .collect()
    }

    /// One has arrived. Whether it was still waiting: given up meanwhile, it is handed back, and runs again in both
    /// queues: at least once.
    pub(super) fn arrived(&self, retry: &Rc<Retry>) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let before = waiting.len();
        waiting.retain(|(_, _, other)| !Rc::ptr_eq(other, retry));
        waiting.len() < before
    }

    /// Forgets them: their batches hand them back. How many.
    pub(super) fn give_up(&self) -> usize {
        self.waiting.take().len()
    }
}
