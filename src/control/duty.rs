//! What control looks after in one realm: the lease of this process there, the jobs of dead processes, due jobs.
//!
//! One Redis is one realm, and so one duty. In a cluster each queue is a realm of its own, with a connection to the node
//! that has its slot, so there is a duty for each.

use std::cell::Cell;
use std::sync::Arc;

use super::dead::Dead;
use crate::event::Event;
use crate::resp::RedisUrl;
use crate::store::turn::QueueKeys;
use crate::time::RedisClock;
use crate::wire::Realm;

/// Where a duty is, as passed to control before it starts.
#[derive(Debug, Clone)]
pub(crate) struct DutyOptions {
    /// The keys.
    pub(crate) realm: Realm,
    /// Where they are.
    pub(crate) url: RedisUrl,
    /// The name under which a reaper finds this process's jobs there.
    pub(crate) lease_member: String,
    /// The keys of its first shard and queue, where a reaper would leave a fence.
    pub(crate) home: QueueKeys,
    /// The clock of the server there. Upkeep sets it with each renewal of the lease; the shards go by it.
    pub(crate) clock: Arc<RedisClock>,
}

/// What the tasks of one duty share.
pub(super) struct Duty {
    pub(super) options: DutyOptions,
    /// How often upkeep has lost its connection. A connection older than the last loss is not used again: a server that was
    /// demoted to a replica still answers reads.
    pub(super) losses: Cell<u64>,
    /// Processes whose jobs wait to be put back.
    pub(super) dead: Dead,
    /// Wakes upkeep on a new phase, on new settings, and when the shards have ended.
    pub(super) changed: Event,
    /// Wakes the poller when the phase or its interval changes.
    pub(super) phase_changed: Event,
}

impl Duty {
    pub(super) fn new(options: DutyOptions) -> Self {
        Self {
            options,
            losses: Cell::new(0),
            dead: Dead::default(),
            changed: Event::default(),
            phase_changed: Event::default(),
        }
    }

    /// The queue it serves, in a cluster: for the log.
    pub(super) fn queue(&self) -> Option<&str> {
        self.options.realm.queue()
    }
}
