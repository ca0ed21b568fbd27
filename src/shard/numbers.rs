//! The numbers that a shard gives its batches, tasks, turns and other calls, and whether any call may still stray.

use std::cell::Cell;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The highest number given out; they start at 1.
    last: Cell<u64>,
    /// Calls may be left in a connection that was given up, and reach Redis later.
    strays: Cell<bool>,
}

impl Numbers {
    /// A number that was not given out before.
    pub(super) fn fresh(&self) -> u64 {
        let number = self.last.get() + 1;
        self.last.set(number);
        number
    }

    /// The highest number given out.
    pub(super) fn last(&self) -> u64 {
        self.last.get()
    }

    /// A connection is given up: calls made over it may reach Redis later.
    pub(super) fn lose_connection(&self) {
        self.strays.set(true);
    }

    /// Whether calls may reach Redis after they were given up.
    pub(super) fn may_stray(&self) -> bool {
        self.strays.get()
    }
}
