//! The batches that a shard holds: which jobs are to start, which are not settled, which acks are owed.
//!
//! It keeps account of batches; settling them is up to [`super::settle`], reporting to Redis up to the [`super::ledger`].

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::admission::Admission;
use super::batch::Batch;
use crate::limits::STRAGGLER_DELAY;
use crate::store::turn::BatchName;

/// See the module.
#[derive(Default)]
pub(super) struct Hand {
    /// Batches with unstarted jobs, in the order in which they arrived.
    ready: RefCell<VecDeque<Rc<Batch>>>,
    /// Batches that are not settled, or whose jobs have yet to go back.
    live: RefCell<HashMap<u64, Rc<Batch>, RandomState>>,
    /// Unsettled batches of which some jobs succeeded, with the time of the first success.
    owing: RefCell<VecDeque<(Rc<Batch>, Instant)>>,
    /// Invariant: the unstarted jobs of `ready`, counted.
    unstarted: Cell<usize>,
}

impl Hand {
    /// Takes a batch of this many jobs: from now on they wait to be admitted.
    pub(super) fn take(&self, batch: Batch, jobs: usize) {
        self.unstarted.set(self.unstarted.get() + jobs);
        let batch = Rc::new(batch);
        self.live.borrow_mut().insert(batch.id, Rc::clone(&batch));
        self.ready.borrow_mut().push_back(batch);
    }

    /// Hands out the next job if `admit` lets it start: its batch, and its position there. One that is not admitted keeps
    /// its place. `admit` may not reach back here.
    pub(super) fn next_job(&self, admit: impl Fn(&Batch) -> Admission) -> Option<(Rc<Batch>, usize)> {
        let mut ready = self.ready.borrow_mut();
        let mut which = 0;
        loop {
            let batch = ready.get(which)?;
            match admit(batch) {
                Admission::NotNow => return None,
                Admission::NotThis => {
                    which += 1;
                    continue;
                }
                Admission::Start => {}
            }
            if let Some(at) = batch.start_next() {
                self.unstarted.set(self.unstarted.get() - 1);
                let batch = Rc::clone(batch);
                if batch.unstarted() == 0 {
                    ready.remove(which);
                }
                return Some((batch, at));
            }
            ready.remove(which);
        }
    }

    /// Jobs that have not started.
    pub(super) fn unstarted(&self) -> usize {
        self.unstarted.get()
    }

    /// Those of one queue.
    pub(super) fn unstarted_of(&self, queue: usize) -> usize {
        let ready = self.ready.borrow();
        ready.iter().filter(|batch| batch.queue == queue).map(|batch| batch.unstarted()).sum()
    }

    /// Since when the job waits that has waited longest to start.
    pub(super) fn unstarted_since(&self) -> Option<Instant> {
        self.ready.borrow().front().map(|batch| batch.came_at)
    }

    /// Takes away the batches with unstarted jobs that `meant` picks, oldest first: they are to go back.
    pub(super) fn take_unstarted(&self, meant: impl Fn(&Batch) -> bool) -> Vec<Rc<Batch>> {
        let mut ready = self.ready.borrow_mut();
        let (taken, kept): (Vec<_>, Vec<_>) = ready.drain(..).partition(|batch| meant(batch));
        *ready = kept.into();
        self.unstarted.set(ready.iter().map(|batch| batch.unstarted()).sum());
        taken
    }

    /// Adds a live batch.
    pub(super) fn find(&self, batch: &Batch) -> Option<Rc<Batch>> {
        self.live.borrow().get(&batch.id).map(Rc::clone)
    }

    /// The live batches that `meant` picks.
    pub(super) fn batches(&self, meant: impl Fn(&Batch) -> bool) -> Vec<Rc<Batch>> {
        self.live.borrow().values().filter(|batch| meant(batch)).map(Rc::clone).collect()
    }

    /// Whether this holds for every live batch; true if there are none.
    pub(super) fn all(&self, is_so: impl Fn(&Batch) -> bool) -> bool {
        self.live.borrow().values().all(|batch| is_so(batch))
    }

    /// Whether no batch is live.
    pub(super) fn is_empty(&self) -> bool {
        self.live.borrow().is_empty()
    }

    /// Whether a batch of this name is live.
    pub(super) fn holds(&self, queue: usize, name: BatchName) -> bool {
        self.live.borrow().values().any(|batch| batch.queue == queue && batch.name == name)
    }

    /// Jobs, settled or not, of the live batches of this name.
    pub(super) fn jobs_in(&self, queue: usize, name: BatchName) -> usize {
        let live = self.live.borrow();
        live.values()
            .filter(|batch| (batch.queue, batch.name) == (queue, name))
            .map(|batch| batch.len())
            .sum()
    }

    /// Jobs that have not ended as far as Redis is concerned.
    pub(super) fn unended(&self) -> usize {
        self.live.borrow().values().map(|batch| batch.unended()).sum()
    }

    /// A live batch has its first ack that waits for the rest of it.
    pub(super) fn owe(&self, batch: &Batch) {
        if let Some(batch) = self.find(batch) {
            self.owing.borrow_mut().push_back((batch, Instant::now()));
        }
    }

    /// Since when the ack waits that has waited longest for the rest of its batch.
    pub(super) fn owing_since(&self) -> Option<Instant> {
        self.owing.borrow().front().map(|(_, since)| *since)
    }

    /// Takes away the next batch whose acks have waited too long for the rest of it.
    pub(super) fn take_straggler(&self, now: Instant) -> Option<Rc<Batch>> {
        let mut owing = self.owing.borrow_mut();
        loop {
            let (batch, since) = owing.front()?;
            if !batch.is_settled() && now.saturating_duration_since(*since) < STRAGGLER_DELAY {
                return None;
            }
            let (batch, _) = owing.pop_front()?;
            if !batch.is_settled() {
                return Some(batch);
            }
        }
    }

    /// A batch is settled: forgets it.
    pub(super) fn drop_batch(&self, batch: &Batch) {
        self.live.borrow_mut().remove(&batch.id);
    }
}
