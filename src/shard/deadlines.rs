//! Timeouts of the jobs that wait: one timer a shard, whatever their number.
//!
//! A timer each would cost a wheel's place at every poll of a job: glommio's timers take one whenever they are polled, and
//! give back only the last. So the times stand in a set, and a task sleeps until the first; there is no such task while no
//! job has a timeout.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::start::end_running;
use super::state::Shard;
use crate::event::Event;
use crate::handler::JobError;
use crate::job::failure::CLASS_TIMEOUT;

/// When which waiting job is over.
#[derive(Default)]
pub(super) struct Deadlines {
    /// By time and number of the task: the timeout the job had. As many as jobs wait, at most.
    times: RefCell<BTreeMap<(Instant, u64), Duration>>,
    /// Whether a task sleeps for them.
    kept: Cell<bool>,
    /// Raised when there is an earlier one than it sleeps for.
    earlier: Event,
}

impl Shard {
    /// Has the waiting job of this number end when it has run for so long.
    pub(super) fn end_at(self: &Rc<Self>, id: u64, began: Instant, timeout: Duration) {
        // A timeout beyond what the clock can show never comes.
        let Some(deadline) = began.checked_add(timeout) else { return };
        match self.tasks.borrow_mut().get_mut(&id) {
            Some(job) => job.deadline = Some(deadline),
            None => return,
        }
        let is_first = self.first_deadline().is_none_or(|first| deadline < first);
        self.deadlines.times.borrow_mut().insert((deadline, id), timeout);
        if !self.deadlines.kept.replace(true) {
            glommio::spawn_local(keep(Rc::clone(self))).detach();
        } else if is_first {
            self.deadlines.earlier.raise();
        }
    }

    /// The job has ended in time.
    pub(super) fn no_deadline(&self, id: u64, deadline: Option<Instant>) {
        if let Some(deadline) = deadline {
            self.deadlines.times.borrow_mut().remove(&(deadline, id));
        }
    }

    fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.times.borrow().first_key_value().map(|((deadline, _), _)| *deadline)
    }

    fn take_late(&self, now: Instant) -> Vec<(u64, Duration)> {
        let mut times = self.deadlines.times.borrow_mut();
        let late = times.extract_if(..=(now, u64::MAX), |_, _| true);
        late.map(|((_, id), timeout)| (id, timeout)).collect()
    }
}

/// Ends what is late, until no job has a timeout.
async fn keep(shard: Rc<Shard>) {
    while let Some(first) = shard.first_deadline() {
        let pause = first.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            let timer = async {
                Timer::new(pause).await;
            };
            futures_lite::future::or(shard.deadlines.earlier.wait(), timer).await;
        }
        for (id, timeout) in shard.take_late(Instant::now()) {
            let message = format!("it ran for longer than its timeout of {timeout:?}");
            end_running(&shard, id, JobError::new(CLASS_TIMEOUT, message));
        }
    }
    shard.deadlines.kept.set(false);
}
