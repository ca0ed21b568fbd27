//! Dead processes: those whose lease has ended, as renewals name them, and what is left to do for one that was reaped.
//!
//! What is done for them stands in `reaper` and `poison`.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

use crate::event::Event;
use crate::limits::{DEAD_PROCESSES_MAX, DEBUG_BYTES_MAX, UNKNOWN_LEASES_MAX};
use crate::store::recovery::ReapedJobs;
use crate::store::turn::QueueKeys;

/// Members of the lease set whose lease has ended, waiting to be reaped.
#[derive(Default)]
pub(super) struct Dead {
    members: RefCell<VecDeque<String>>,
    /// Members of another form than ours, at most [`UNKNOWN_LEASES_MAX`]: each was logged.
    unknown: RefCell<HashSet<Vec<u8>>>,
    /// Members that were reaped and not released yet, at most [`DEAD_PROCESSES_MAX`]: each was logged.
    unsettled: RefCell<VecDeque<String>>,
    /// Whether it was logged that the key of the leases is spoilt.
    leases_are_spoilt: Cell<bool>,
    pub(super) named: Event,
}

impl Dead {
    /// Names dead processes. Those that do not fit, or wait already, are named again by the next renewal.
    pub(super) fn name(&self, members: Vec<Vec<u8>>) {
        let mut waiting = self.members.borrow_mut();
        for member in members {
            let member = match String::from_utf8(member) {
                Ok(member) => member,
                Err(error) => {
                    self.complain(error.as_bytes());
                    continue;
                }
            };
            if waiting.len() < self.names_wanted() && !waiting.contains(&member) {
                waiting.push_back(member);
            }
        }
        drop(waiting);
        self.named.raise();
    }

    /// How many names a renewal should ask for: unknown members stay, and must not take the places of dead processes.
    pub(super) fn names_wanted(&self) -> usize {
        DEAD_PROCESSES_MAX + self.unknown.borrow().len()
    }

    pub(super) fn next(&self) -> Option<String> {
        self.members.borrow_mut().pop_front()
    }

    /// Whether the process was not reaped before, as far as is remembered.
    pub(super) fn is_new(&self, member: &str) -> bool {
        let mut unsettled = self.unsettled.borrow_mut();
        if unsettled.iter().any(|known| known == member) {
            return false;
        }
        if unsettled.len() == DEAD_PROCESSES_MAX {
            unsettled.pop_front();
        }
        unsettled.push_back(member.to_owned());
        true
    }

    /// Logs that the key of the leases is not a sorted set: once, for it is so at each renewal.
    pub(super) fn complain_of_leases(&self, key: &str) {
        if !self.leases_are_spoilt.replace(true) {
            tracing::error!(
                key,
                "a key is spoilt: it is not a set of leases, so jobs of processes that die stay in flight; all else goes on"
            );
        }
    }

    /// Logs that a member is of an unknown form: once, for each renewal names it again.
    pub(super) fn complain(&self, member: &[u8]) {
        let mut unknown = self.unknown.borrow_mut();
        if unknown.len() < UNKNOWN_LEASES_MAX && unknown.insert(member.to_owned()) {
            let member = member[..member.len().min(DEBUG_BYTES_MAX)].escape_ascii();
            tracing::error!(
                %member,
                "an unknown kind of member is in the lease set; remove it with ZREM"
            );
        }
    }
}

/// A dead process whose shards are fenced: what is left to do for its jobs.
pub(super) struct Remains {
    pub(super) member: String,
    pub(super) uuid: String,
    /// The keys of each queue of each shard.
    pub(super) queues: Vec<QueueKeys>,
    pub(super) jobs: ReapedJobs,
}
