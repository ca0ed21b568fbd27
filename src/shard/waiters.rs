//! The waiting connections of a shard, as its other tasks see them: which are to wait, which do, whose list is to be
//! swept.
//!
//! Each is armed and disarmed on its own: a queue that is not served has no waiter waiting for it. The task of a waiter
//! is [`super::wait`].
//!
//! ```text
//!            arm                      job, or disarmed
//! Parked ───────────► Armed (blocks) ───────────────────► Parked
//! ```

use std::cell::{Cell, RefCell};

use crate::event::Event;
use crate::net::Stopper;

/// All waiters of one shard: one per queue at least once, one for all at most once.
pub(super) struct Waiters(Box<[Waiter]>);

/// One waiting connection.
pub(super) struct Waiter {
    /// Its queue at least once; 0 at most once.
    queue: usize,
    state: Cell<State>,
    /// Wakes the waiter after a change of state.
    go: Event,
    /// The id of the connection that is blocking now.
    blocked_id: Cell<Option<u64>>,
    stopper: RefCell<Option<Stopper>>,
    /// A connection was lost that may have moved jobs into the wait list unseen. While this is set the waiter does not
    /// block; it is cleared once the list has been looked through. Never set at most once.
    unswept: Cell<bool>,
}

/// See the diagram in the module docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Parked,
    Armed,
    Ended,
}

impl Waiters {
    pub(super) fn new(count: usize) -> Self {
        Self((0..count).map(Waiter::new).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Waiter> {
        self.0.iter()
    }

    /// The waiter of this number.
    pub(super) fn get(&self, which: usize) -> &Waiter {
        &self.0[which]
    }

    /// Allows waiting for jobs of these queues.
    pub(super) fn arm(&self, queues: impl IntoIterator<Item = usize>) {
        for queue in queues {
            // At most once the only one waits for all, whichever they are.
            if let Some(waiter) = self.0.get(queue.min(self.0.len().saturating_sub(1))) {
                waiter.arm();
            }
        }
    }

    /// Whether a wait list must be looked through before anything else goes over the connection.
    pub(super) fn are_unswept(&self) -> bool {
        self.0.iter().any(Waiter::is_unswept)
    }

    /// Whether any waiter is armed or blocks.
    pub(super) fn are_waiting(&self) -> bool {
        self.0.iter().any(|waiter| waiter.blocked_id.get().is_some() || waiter.is_armed())
    }

    /// Ends them all.
    pub(super) fn end(&self) {
        for waiter in &self.0 {
            waiter.set(State::Ended);
            waiter.cut();
        }
    }
}

impl Waiter {
    fn new(queue: usize) -> Self {
        Self {
            queue,
            state: Cell::new(State::Parked),
            go: Event::default(),
            blocked_id: Cell::new(None),
            stopper: RefCell::new(None),
            unswept: Cell::new(false),
        }
    }

    fn set(&self, state: State) {
        self.state.set(state);
        self.go.raise();
    }

    /// Its queue at least once; 0 at most once.
    pub(super) fn queue(&self) -> usize {
        self.queue
    }

    /// Lets it wait for a job.
    pub(super) fn arm(&self) {
        if self.state.get() == State::Parked {
            self.set(State::Armed);
        }
    }

    /// Tells it to stop waiting; one that blocks must be unblocked as well.
    pub(super) fn disarm(&self) {
        if self.is_armed() {
            self.set(State::Parked);
        }
    }

    /// It stops waiting by itself: a job came, or it was disarmed.
    pub(super) fn park(&self) {
        if self.state.get() != State::Ended {
            self.state.set(State::Parked);
        }
    }

    pub(super) fn is_armed(&self) -> bool {
        self.state.get() == State::Armed
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state.get() == State::Ended
    }

    /// Waits for a change of what it is to do.
    pub(super) async fn change(&self) {
        self.go.wait().await;
    }

    /// Notes the connection that it waits over from now on.
    pub(super) fn wait_over(&self, stopper: Stopper) {
        *self.stopper.borrow_mut() = Some(stopper);
    }

    /// Notes which connection blocks for it now, if any.
    pub(super) fn block(&self, connection: Option<u64>) {
        self.blocked_id.set(connection);
    }

    /// The id of the connection that blocks for it now.
    pub(super) fn blocked_id(&self) -> Option<u64> {
        self.blocked_id.get()
    }

    /// Shuts its socket down.
    pub(super) fn cut(&self) {
        if let Some(stopper) = &*self.stopper.borrow() {
            stopper.stop();
        }
    }

    /// Whether its wait list must be looked through before it waits again.
    pub(super) fn is_unswept(&self) -> bool {
        self.unswept.get()
    }

    /// Its wait list may hold jobs that nobody knows.
    pub(super) fn distrust(&self) {
        self.unswept.set(true);
    }

    /// Its wait list was looked through.
    pub(super) fn swept(&self) {
        self.unswept.set(false);
        self.go.raise();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_not_served_has_no_armed_waiter() {
        let waiters = Waiters::new(3);
        waiters.arm([0, 2]);
        let armed = || waiters.iter().map(Waiter::is_armed).collect::<Vec<_>>();
        assert_eq!(armed(), [true, false, true]);
        waiters.get(2).disarm();
        assert_eq!(armed(), [true, false, false]);
        waiters.end();
        waiters.arm(0..3);
        assert_eq!(armed(), [false; 3], "what has ended no longer waits");
        let for_all = Waiters::new(1);
        for_all.arm([2]);
        assert!(for_all.get(0).is_armed(), "although its first queue is paused");
    }
}
