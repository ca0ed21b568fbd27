//! The slots of a shard, and the jobs that hold them: those that wait at an await point, each in its own task.
//!
//! In a cluster the slots are those of the core, which its lanes share ([`super::crew`]).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use glommio::Task;

use super::batch::Batch;
use super::caps::Caps;
use super::crew::Crew;
use super::deadlines::Deadlines;
use crate::stats::JobMark;

/// See the module.
pub(super) struct Slots {
    // Fixed at construction.
    count: usize,
    /// Set if lanes share them.
    share: Option<Share>,
    /// Those that each queue has.
    caps: Rc<Caps>,
    /// Jobs that wait at an await point, by a number that rises from start to start.
    tasks: RefCell<HashMap<u64, RunningJob, RandomState>>,
    /// The last job that ended before it was noted in `tasks`.
    ended_at_once: Cell<u64>,
    /// When those that have a timeout are due.
    deadlines: Deadlines,
}

/// A lane, by its place in its crew.
#[derive(Clone)]
pub(super) struct Share {
    crew: Rc<Crew>,
    lane: usize,
}

/// A waiting job: its task, and where its payload is.
pub(super) struct RunningJob {
    task: Task<()>,
    batch: Rc<Batch>,
    at: usize,
    mark: JobMark,
    started_at: Instant,
    /// When its timeout is due.
    deadline: Option<Instant>,
}

impl Share {
    pub(super) fn new(crew: &Rc<Crew>, lane: usize) -> Self {
        Self { crew: Rc::clone(crew), lane }
    }

    pub(super) fn crew(&self) -> &Crew {
        &self.crew
    }

    pub(super) fn lane(&self) -> usize {
        self.lane
    }
}

impl RunningJob {
    pub(super) fn new(
        task: Task<()>,
        (batch, at): (Rc<Batch>, usize),
        mark: JobMark,
        started_at: Instant,
    ) -> Self {
        Self { task, batch, at, mark, started_at, deadline: None }
    }

    /// Which job it is, and when it started.
    pub(super) fn mark(&self) -> (JobMark, Instant) {
        (self.mark, self.started_at)
    }

    /// Its task, and where its payload is.
    pub(super) fn into_parts(self) -> (Task<()>, Rc<Batch>, usize) {
        (self.task, self.batch, self.at)
    }
}

impl Slots {
    pub(super) fn new(count: usize, share: Option<Share>, caps: Rc<Caps>) -> Self {
        Self {
            count,
            share,
            caps,
            tasks: RefCell::default(),
            ended_at_once: Cell::new(0),
            deadlines: Deadlines::default(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many each queue may have.
    pub(super) fn caps(&self) -> &Caps {
        &self.caps
    }

    /// How the lanes of this core share them, if they do.
    pub(super) fn share(&self) -> Option<&Share> {
        self.share.as_ref()
    }

    /// Slots that no job holds.
    pub(super) fn free(&self) -> usize {
        match &self.share {
            None => self.count.saturating_sub(self.tasks.borrow().len()),
            Some(share) => share.crew.free_slots(),
        }
    }

    /// Slots for which jobs may be asked.
    pub(super) fn free_to_ask(&self) -> usize {
        self.share.as_ref().map_or_else(|| self.free(), |share| share.crew.free_for(share.lane))
    }

    /// Whether a lane of higher priority has more jobs than it got.
    pub(super) fn is_outranked(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.crew.outranks(share.lane))
    }

    /// Wakes the lanes that wait for a slot: this one has a claim on fewer than before.
    pub(super) fn wake_starved_lanes(&self) {
        if let Some(share) = &self.share {
            share.crew.wake_starved();
        }
    }

    /// Jobs that hold one.
    pub(super) fn running(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Whether no job holds one.
    pub(super) fn are_free(&self) -> bool {
        self.tasks.borrow().is_empty()
    }

    /// Gives a job a slot.
    pub(super) fn hold(&self, id: u64, job: RunningJob) {
        self.caps.starts(job.batch.queue);
        self.tasks.borrow_mut().insert(id, job);
        if let Some(share) = &self.share {
            share.crew.take_slot();
        }
    }

    /// A job has ended by itself: its slot comes free, if it had got one.
    pub(super) fn end_itself(&self, id: u64) {
        let ended = self.tasks.borrow_mut().remove(&id);
        match ended {
            Some(job) => {
                self.deadlines.remove(id, job.deadline);
                self.caps.ends(job.batch.queue);
                // Dropping one's own task would cancel it.
                job.task.detach();
                self.give_back(1);
            }
            None => self.ended_at_once.set(id),
        }
    }

    /// Whether this job, which was the last to start, has ended before it got its slot.
    pub(super) fn ended_at_once(&self, id: u64) -> bool {
        self.ended_at_once.get() == id
    }

    /// Takes the slot of a job that is ended from outside.
    pub(super) fn take(&self, id: u64) -> Option<RunningJob> {
        let job = self.tasks.borrow_mut().remove(&id)?;
        self.deadlines.remove(id, job.deadline);
        self.caps.ends(job.batch.queue);
        self.give_back(1);
        Some(job)
    }

    /// Takes all of them.
    pub(super) fn take_all(&self) -> Vec<Task<()>> {
        let ended = |job: RunningJob| {
            self.caps.ends(job.batch.queue);
            job.task
        };
        let tasks: Vec<_> = self.tasks.borrow_mut().drain().map(|(_, job)| ended(job)).collect();
        self.give_back(tasks.len());
        tasks
    }

    fn give_back(&self, count: usize) {
        if let Some(share) = &self.share {
            share.crew.give_slots_back(count);
        }
    }

    /// A job that holds a slot is due at that time. Returns whether a task must be started that sleeps for it.
    pub(super) fn end_at(&self, id: u64, deadline: Instant, timeout: Duration) -> bool {
        match self.tasks.borrow_mut().get_mut(&id) {
            Some(job) => job.deadline = Some(deadline),
            None => return false,
        }
        self.deadlines.add(id, deadline, timeout)
    }

    /// When those that have a timeout are due.
    pub(super) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// Where the payloads of the jobs that hold a slot are, by number.
    pub(super) fn payloads(&self) -> Vec<(u64, Rc<Batch>, usize)> {
        self.tasks.borrow().iter().map(|(id, job)| (*id, Rc::clone(&job.batch), job.at)).collect()
    }

    /// The marks of the jobs that hold a slot, when they started, and where their payloads are: oldest first, at most this
    /// many.
    pub(super) fn oldest(&self, most: usize) -> Vec<(JobMark, Instant, Rc<Batch>, usize)> {
        let tasks = self.tasks.borrow();
        // Numbers are given out in the order of the starts.
        let mut ids: Vec<u64> = tasks.keys().copied().collect();
        if ids.len() > most {
            ids.select_nth_unstable(most);
            ids.truncate(most);
        }
        ids.sort_unstable();
        ids.iter()
            .filter_map(|id| tasks.get(id))
            .map(|job| (job.mark, job.started_at, Rc::clone(&job.batch), job.at))
            .collect()
    }
}
