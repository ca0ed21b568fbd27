//! Whether a core should fetch jobs at all: not while what is to run most of them is away.
//!
//! A shard whose gate is closed is quiet: it hands back what it has not started, and jobs wait in their queues, where
//! other workers find them.

use std::cell::Cell;

use crate::event::Event;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Cell<bool>,
    changed: Event,
}

impl Gate {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Opens or closes it.
    pub(crate) fn set_closed(&self, closed: bool) {
        if self.closed.replace(closed) != closed {
            self.changed.raise();
        }
    }

    /// Waits until it is opened or closed. One task may wait.
    ///
    /// # Cancel-safety
    /// Safe: the next wait sees the change.
    pub(crate) async fn change(&self) {
        self.changed.wait().await;
    }
}
