//! What a shard has already logged and does not log again, because it would recur at each turn.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::limits::HELD_KEYS_SAID_MAX;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// Queues that cannot be read.
    queues: RefCell<HashSet<usize>>,
    /// Spoilt keys.
    keys: RefCell<HashSet<String>>,
}

impl Complaints {
    /// Logs that a queue cannot be read.
    pub(super) fn unreadable(&self, at: usize, queue: &str, error: &str) {
        if self.queues.borrow_mut().insert(at) {
            tracing::error!(
                queue,
                error,
                "this queue cannot be read; is its key a list, and may this user read it?"
            );
        }
    }

    /// Logs that Redis refuses to write to a key.
    pub(super) fn spoilt(&self, shard: usize, key: &str, reason: &str) {
        let mut said = self.keys.borrow_mut();
        if said.len() < HELD_KEYS_SAID_MAX && said.insert(key.to_owned()) {
            tracing::error!(shard, key, reason, "a key is spoilt; everything else keeps running");
        }
    }
}
