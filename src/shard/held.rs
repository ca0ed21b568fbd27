//! What Redis refuses because of one spoilt key: a counter that is not a number, a dead set that is not a set, a queue
//! that is not a list. It waits here and is tried again ([`super::second_try`]); everything else keeps running.
//!
//! Jobs that wait for a set are in the wait list of their queue, jobs that are to go back to a queue in their batch: they
//! are in flight, where a reaper finds them. So a stop does not wait for an administrator: what waits for a set goes back
//! to its queue, and what is to go back but cannot stays in flight, with the lease.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::limits::{HELD_JOBS_MAX, HELD_PAUSE};
use crate::store::turn::{BatchName, Held as Refused, Settlement};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Of settlements. Its moves come from wait lists.
    settlement: RefCell<Settlement>,
    /// Queues to which jobs are to go back.
    queues: RefCell<BTreeSet<usize>>,
    /// Queues with payloads that are to be buried.
    oversize: RefCell<BTreeSet<usize>>,
    again_at: Cell<Option<Instant>>,
    /// Whether the last turn has carried it.
    tried_at_last: Cell<bool>,
}

/// What is to be tried again.
pub(super) struct Again {
    /// To be reported.
    pub(super) settlement: Settlement,
    /// Queues to which jobs are to go back.
    pub(super) queues: BTreeSet<usize>,
    /// Queues with payloads that are to be buried.
    pub(super) oversize: BTreeSet<usize>,
}

impl Held {
    /// A turn did its whole report except this.
    pub(super) fn hold(&self, settled: &Settlement, refused: &Refused) {
        let mut waiting = self.settlement.borrow_mut();
        if refused.processed {
            waiting.processed += settled.processed;
        }
        if refused.failed {
            waiting.failed += settled.failed;
        }
        for job in refused.moves.iter().filter_map(|&at| settled.moves.get(at)) {
            let mut job = job.clone();
            job.from.1 = BatchName::Wait;
            waiting.moves.push(job);
        }
        self.wait();
    }

    /// Jobs are to go back to this queue but cannot.
    pub(super) fn hand_back_later(&self, queue: usize) {
        self.queues.borrow_mut().insert(queue);
        self.wait();
    }

    /// Payloads of this queue cannot be buried yet.
    pub(super) fn bury_later(&self, queue: usize) {
        self.oversize.borrow_mut().insert(queue);
        self.wait();
    }

    /// A payload was buried that the spoilt counter of failures does not count yet.
    pub(super) fn count_later(&self) {
        self.settlement.borrow_mut().failed += 1;
        self.wait();
    }

    fn wait(&self) {
        if self.again_at.get().is_none() {
            self.again_at.set(Some(Instant::now() + HELD_PAUSE));
        }
    }

    /// Whether so many jobs wait that no more are to be fetched.
    pub(super) fn is_full(&self) -> bool {
        self.settlement.borrow().moves.len() >= HELD_JOBS_MAX
    }

    /// How long until it is tried again; `None` if nothing waits.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        self.again_at.get().map(|at| at.saturating_duration_since(now))
    }

    /// The raw payloads in the wait list of a queue whose jobs wait for a set.
    pub(super) fn in_wait_list(&self, queue: usize) -> Vec<Bytes> {
        let settlement = self.settlement.borrow();
        let moves = settlement.moves.iter().filter(|job| job.from == (queue, BatchName::Wait));
        moves.map(|job| job.raw.clone()).collect()
    }

    /// Takes what waits, if it is time to try it again.
    pub(super) fn take_due(&self, now: Instant) -> Option<Again> {
        if self.again_at.get()? > now {
            return None;
        }
        self.again_at.set(None);
        Some(Again {
            settlement: self.settlement.take(),
            queues: self.queues.take(),
            oversize: self.oversize.take(),
        })
    }

    /// Takes what the very last turn is to report of it; nothing, if that was tried already.
    pub(super) fn take_at_last(&self) -> Option<Settlement> {
        if self.tried_at_last.replace(true) {
            return None;
        }
        Some(self.settlement.take()).filter(|waiting| !waiting.is_empty())
    }
}
