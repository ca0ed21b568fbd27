//! Dead processes: those whose lease has ended, as renewals name them, and what remains to be done for one that was reaped.
//!
//! `reaper` and `poison` do the work.

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
    /// Members in a format we do not know, at most [`UNKNOWN_LEASES_MAX`]: each was logged.
    unknown: RefCell<HashSet<Vec<u8>>>,
    /// Members that were reaped but not yet released, at most [`DEAD_PROCESSES_MAX`]: each was logged.
    unsettled: RefCell<VecDeque<String>>,
    /// Whether the spoilt lease key was logged.
    leases_are_spoilt: Cell<bool>,
    pub(super) named: Event,
}

impl Dead {
    /// Names dead processes. Any that do not fit, or are already waiting, are named again by the next renewal.
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

    /// How many names a renewal should ask for: unknown members stay, and must not crowd out dead processes.
    pub(super) fn names_wanted(&self) -> usize {
        DEAD_PROCESSES_MAX + self.unknown.borrow().len()
    }

    pub(super) fn next(&self) -> Option<String> {
        self.members.borrow_mut().pop_front()
    }

    /// Whether the process was not reaped before, as far as we remember.
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

    /// Logs that the key of the leases is not a sorted set: only once, because every renewal finds it so.
    pub(super) fn complain_of_leases(&self, key: &str) {
        if !self.leases_are_spoilt.replace(true) {
            tracing::error!(
                key,
                "a key is spoilt: it is not a set of leases, so jobs of processes that die stay in flight; \
                 the rest keeps running"
            );
        }
    }

    /// Logs a member in an unknown format: only once, because every renewal names it again.
    pub(super) fn complain(&self, member: &[u8]) {
        let mut unknown = self.unknown.borrow_mut();
        if unknown.len() < UNKNOWN_LEASES_MAX && unknown.insert(member.to_owned()) {
            let member = member[..member.len().min(DEBUG_BYTES_MAX)].escape_ascii();
            tracing::error!(
                %member,
                "the lease set has a member of an unknown kind; remove it with ZREM"
            );
        }
    }
}

/// A dead process whose shards are fenced: what remains to be done for its jobs.
pub(super) struct Remains {
    pub(super) member: String,
    pub(super) uuid: String,
    /// The keys of each queue of each shard.
    pub(super) queues: Vec<QueueKeys>,
    pub(super) jobs: ReapedJobs,
}
