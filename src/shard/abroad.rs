//! Cluster jobs that are to be retried in another queue: that queue's retry set is in another realm, on another node, so
//! no script reaches both.
//!
//! Such a job is copied, then removed: it counts as running here until it has been added to the other realm's retry set,
//! and only then is it acked. A crash in between leaves it in both, so it may run twice; it is never lost. What cannot be
//! added is tried again until the stop's deadline, and is then handed back like a job that did not end. This file keeps
//! the waiting jobs; [`super::carrier`] sends them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::batch::Batch;
use crate::event::Event;
use crate::limits::PUSH_JOBS_MAX;

/// A failed job, as it is to be stored in its retry set.
pub(super) struct Retry {
    /// The queue in which it is to be retried.
    pub(super) queue: String,
    /// When, in Unix seconds.
    pub(super) score: f64,
    /// The payload to store.
    pub(super) payload: Vec<u8>,
    /// Whether it counts as run and failed: a snoozed job does not.
    pub(super) counts: bool,
}

/// A job of a batch, by its position there, with how it is to be retried.
pub(super) type Waiting = (Rc<Batch>, usize, Rc<Retry>);

/// The jobs of one lane that wait to be sent.
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

    /// Adds one more to be sent.
    pub(super) fn add(&self, batch: Rc<Batch>, at: usize, retry: Retry) {
        self.waiting.borrow_mut().push_back((batch, at, Rc::new(retry)));
        self.came.raise();
    }

    /// The target queue of the job that has waited longest; waits until there is one.
    pub(super) async fn next_queue(&self) -> String {
        loop {
            let queue = self.waiting.borrow().front().map(|(_, _, retry)| retry.queue.clone());
            match queue {
                Some(queue) => return queue,
                None => self.came.wait().await,
            }
        }
    }

    /// The jobs for one queue, as many as are sent at once.
    pub(super) fn bound_for(&self, queue: &str) -> Vec<Waiting> {
        let waiting = self.waiting.borrow();
        let meant = waiting.iter().filter(|(_, _, retry)| retry.queue == queue);
        meant
            .take(PUSH_JOBS_MAX)
            .map(|(batch, at, retry)| (Rc::clone(batch), *at, Rc::clone(retry)))
            .collect()
    }

    /// One has arrived. Returns whether it was still waiting: if it was given up meanwhile, it is handed back and runs
    /// again in both queues: at least once.
    pub(super) fn arrived(&self, retry: &Rc<Retry>) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let before = waiting.len();
        waiting.retain(|(_, _, other)| !Rc::ptr_eq(other, retry));
        waiting.len() < before
    }

    /// Forgets them: their batches hand them back. Returns how many.
    pub(super) fn give_up(&self) -> usize {
        self.waiting.take().len()
    }
}
