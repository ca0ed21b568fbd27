//! What Redis refuses for the sake of one spoilt key: a counter that is no number, a dead set that is no set, a queue that is no
//! list. It waits here and is tried again; all else goes on.
//!
//! Jobs that wait for a set lie in the wait list of their queue, jobs that are to go back to a queue in their batch: they are
//! in flight, where a reaper finds them. So a stop does not wait for an administrator: what waits for a set goes back to its
//! queue, and what is to go back and cannot stays in flight, with the lease.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::link::{Link, LinkError, hand_back_unknown};
use super::state::Shard;
use super::{oversize, stop};
use crate::limits::{HELD_JOBS_MAX, HELD_KEYS_SAID_MAX, HELD_PAUSE};
use crate::store::turn::{BatchName, Held as Refused, Settlement};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Of settlements. Its moves come from wait lists.
    settlement: RefCell<Settlement>,
    /// Queues that jobs are to go back to.
    queues: RefCell<BTreeSet<usize>>,
    /// Queues with payloads that are to be buried.
    oversize: RefCell<BTreeSet<usize>>,
    again_at: Cell<Option<Instant>>,
    /// Whether the last turn has carried it.
    tried_at_last: Cell<bool>,
    /// Keys that were named in the log.
    said: RefCell<HashSet<String>>,
}

impl Held {
    /// Whether so many jobs wait that no more are to be fetched.
    pub(super) fn is_full(&self) -> bool {
        self.settlement.borrow().moves.len() >= HELD_JOBS_MAX
    }

    /// How long until it is tried again; `None`: nothing waits.
    pub(super) fn pause(&self, now: Instant) -> Option<Duration> {
        self.again_at.get().map(|at| at.saturating_duration_since(now))
    }

    fn is_due(&self) -> bool {
        self.again_at.get().is_some_and(|at| at <= Instant::now())
    }

    fn wait(&self) {
        if self.again_at.get().is_none() {
            self.again_at.set(Some(Instant::now() + HELD_PAUSE));
        }
    }

    /// The raw payloads in the wait list of a queue whose jobs wait for a set.
    pub(super) fn in_wait_list(&self, queue: usize) -> Vec<bytes::Bytes> {
        let settlement = self.settlement.borrow();
        let moves = settlement.moves.iter().filter(|job| job.from == (queue, BatchName::Wait));
        moves.map(|job| job.raw.clone()).collect()
    }

    /// Payloads of this queue cannot be buried yet.
    pub(super) fn bury_later(&self, queue: usize) {
        self.oversize.borrow_mut().insert(queue);
        self.wait();
    }

    /// What waits of settlements, to be reported again.
    pub(super) fn take_settlement(&self) -> Settlement {
        self.settlement.take()
    }
}

impl Shard {
    /// A turn did all but this of its report.
    pub(super) fn hold(&self, settled: &Settlement, refused: &Refused) {
        let mut waiting = self.held.settlement.borrow_mut();
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
        for key in &refused.keys {
            self.name_spoilt(key, "what is to be stored under this key waits: it is no counter or no set");
        }
        self.held.wait();
    }

    /// Jobs of this queue are to go back and cannot: `refusal` names its key.
    pub(super) fn hold_back(&self, queue: usize, refusal: &str) {
        self.held.queues.borrow_mut().insert(queue);
        let key = String::from_utf8_lossy(&self.queue(queue).list).into_owned();
        self.name_spoilt(&key, refusal);
        self.held.wait();
    }

    /// A payload was buried that the spoilt counter of failures does not count yet.
    pub(super) fn count_later(&self) {
        self.held.settlement.borrow_mut().failed += 1;
        self.held.wait();
    }

    fn name_spoilt(&self, key: &str, reason: &str) {
        let mut said = self.held.said.borrow_mut();
        if said.len() < HELD_KEYS_SAID_MAX && said.insert(key.to_owned()) {
            tracing::error!(shard = self.options.shard, key, reason, "a key is spoilt; all else goes on");
        }
    }
}

/// Tries again what waits, if it is time to. No turn may be on its way.
pub(super) async fn try_again(shard: &Rc<Shard>, link: &mut Link) -> Result<(), LinkError> {
    if !shard.held.is_due() {
        return Ok(());
    }
    shard.held.again_at.set(None);
    shard.report_again(shard.held.take_settlement());
    shard.settled_at.set(Some(Instant::now()));
    for queue in shard.held.oversize.take() {
        oversize::bury(shard, queue);
    }
    let queues = shard.held.queues.take();
    if queues.is_empty() {
        return Ok(());
    }
    stop::unblock_waiters(shard, link).await?;
    shard
        .waiters
        .iter()
        .filter(|waiter| queues.contains(&waiter.at))
        .for_each(|waiter| waiter.unswept.set(true));
    hand_back_unknown(shard, link).await?;
    stop::hand_back_given_up(shard, link).await
}

/// What waits when a shard ends is tried once more: the last turn reports it.
pub(super) fn try_at_last(shard: &Shard) {
    if shard.held.tried_at_last.replace(true) {
        return;
    }
    let waiting = shard.held.take_settlement();
    if !waiting.is_empty() {
        shard.report_again(waiting);
    }
}
