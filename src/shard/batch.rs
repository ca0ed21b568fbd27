//! Jobs that arrived together and stay together in Redis until they are settled.

use std::cell::Cell;
use std::time::Instant;

use bytes::Bytes;

use crate::store::flight::Known;
use crate::store::turn::BatchName;

/// Jobs that one fetch brought, and how far each has got.
pub(super) struct Batch {
    /// Names the batch within its shard.
    pub(super) id: u64,
    /// Position of the queue.
    pub(super) queue: usize,
    /// Its name in Redis. Several batches may belong to the wait list: each is one job of it.
    pub(super) name: BatchName,
    pub(super) came_at: Instant,
    jobs: Vec<Job>,
    /// The first job that has not started.
    next: Cell<usize>,
    /// Jobs that are not settled.
    open: Cell<usize>,
    /// Jobs that succeeded and are not acked: their ack waits for the batch, until stragglers take too long.
    owed: Cell<usize>,
    /// Jobs were given up and Redis does not know yet.
    /// Invariant: while set, the batch list must not be removed whole.
    returning: Cell<bool>,
}

struct Job {
    payload: Bytes,
    state: Cell<JobState>,
}

/// How far a job has got.
///
/// ```text
/// Unstarted ─► Running ─► Owed ─► Acked      succeeded; acked alone (or dropped at once, by way of Dropping), or with
///     │           │                           its batch without passing here
///     │           ├─────► Moving            failed: goes to a set in the next turn
///     └───────────┴─────► GivenUp           handed back
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobState {
    /// It waits for a slot.
    Unstarted,
    /// It was started.
    Running,
    /// It succeeded; Redis does not know yet.
    Owed,
    /// It failed; the move to a set is part of the settlement.
    Moving,
    /// It succeeded, and the request that makes Redis drop it is under way.
    Dropping,
    /// It succeeded and its ack is in the settlement, or done.
    Acked,
    /// It goes back to its queue.
    GivenUp,
}

impl Batch {
    pub(super) fn new(
        id: u64,
        queue: usize,
        name: BatchName,
        payloads: Vec<Bytes>,
        came_at: Instant,
    ) -> Self {
        let jobs: Vec<Job> = payloads
            .into_iter()
            .map(|payload| Job { payload, state: Cell::new(JobState::Unstarted) })
            .collect();
        let open = Cell::new(jobs.len());
        Self {
            id,
            queue,
            name,
            came_at,
            jobs,
            next: Cell::new(0),
            open,
            owed: Cell::new(0),
            returning: Cell::new(false),
        }
    }

    /// Starts the next job and returns its position; `None` if all are started.
    pub(super) fn start_next(&self) -> Option<usize> {
        let at = self.next.get();
        let job = self.jobs.get(at)?;
        self.next.set(at + 1);
        job.state.set(JobState::Running);
        Some(at)
    }

    pub(super) fn unstarted(&self) -> usize {
        self.jobs.len() - self.next.get()
    }

    pub(super) fn payload(&self, at: usize) -> &Bytes {
        &self.jobs[at].payload
    }

    /// Settles a job that ran as `state`.
    pub(super) fn settle(&self, at: usize, state: JobState) {
        debug_assert_eq!(self.jobs[at].state.get(), JobState::Running, "only a running job is settled");
        self.jobs[at].state.set(state);
        self.open.set(self.open.get() - 1);
        if state == JobState::Owed {
            self.owed.set(self.owed.get() + 1);
        }
    }

    /// Whether every job is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.open.get() == 0
    }

    /// How many jobs Redis counts as in flight although they have not ended here: those that are not settled, and those
    /// that were given up while Redis could not be reached.
    pub(super) fn unended(&self) -> usize {
        let unended = |state: JobState| match state {
            JobState::Unstarted | JobState::Running => true,
            JobState::GivenUp => self.returning.get(),
            JobState::Owed | JobState::Dropping | JobState::Acked | JobState::Moving => false,
        };
        self.jobs.iter().filter(|job| unended(job.state.get())).count()
    }

    /// How many jobs it has, settled or not.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// How many jobs succeeded and still wait for their ack.
    pub(super) fn owed(&self) -> usize {
        self.owed.get()
    }

    /// Whether there are given-up jobs that Redis still counts as in flight.
    pub(super) fn is_returning(&self) -> bool {
        self.returning.get()
    }

    /// Takes the payloads whose acks are owed, to be acked one by one.
    pub(super) fn take_owed(&self) -> Vec<Bytes> {
        if self.owed.replace(0) == 0 {
            return Vec::new();
        }
        let owed = self.jobs.iter().filter(|job| job.state.get() == JobState::Owed);
        owed.map(|job| {
            job.state.set(JobState::Acked);
            job.payload.clone()
        })
        .collect()
    }

    /// Gives up the unstarted jobs, and the running ones if `running`: they are to be handed back, which
    /// [`known`](Self::known) then expresses by not naming them. Returns how many.
    pub(super) fn give_up(&self, running: bool) -> usize {
        self.next.set(self.jobs.len());
        let mut count = 0;
        for job in &self.jobs {
            let state = job.state.get();
            if state == JobState::Unstarted || (running && state == JobState::Running) {
                job.state.set(JobState::GivenUp);
                count += 1;
            }
        }
        self.open.set(self.open.get() - count);
        self.returning.set(self.returning.get() || count > 0);
        count
    }

    /// The unstarted payloads, oldest first.
    pub(super) fn unstarted_payloads(&self) -> impl DoubleEndedIterator<Item = &Bytes> {
        self.jobs[self.next.get()..].iter().map(|job| &job.payload)
    }

    /// The part of this batch that is still in its list in Redis and known to the batch alone, for making Redis agree
    /// with it: what runs or will run, and what succeeded unacked. It names neither what was given up nor what the
    /// settlement carries.
    ///
    /// Equal payloads are interchangeable in Redis, so each must be named exactly as often as it is there.
    pub(super) fn known(&self, known: &mut Known) {
        for job in &self.jobs {
            match job.state.get() {
                JobState::Unstarted | JobState::Running => known.keep.push(job.payload.clone()),
                JobState::Owed => {
                    job.state.set(JobState::Dropping);
                    known.settled.push(job.payload.clone());
                }
                JobState::Dropping => known.settled.push(job.payload.clone()),
                JobState::Moving | JobState::Acked | JobState::GivenUp => {}
            }
        }
    }

    /// Redis has received what was [`known`](Self::known).
    pub(super) fn heard(&self) {
        self.returning.set(false);
        for job in &self.jobs {
            if job.state.get() == JobState::Dropping {
                job.state.set(JobState::Acked);
                self.owed.set(self.owed.get() - 1);
            }
        }
    }

    /// Redis may not have received it: the acks are owed as before.
    pub(super) fn unheard(&self) {
        for job in &self.jobs {
            if job.state.get() == JobState::Dropping {
                job.state.set(JobState::Owed);
            }
        }
    }
}
