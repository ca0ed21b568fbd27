//! The deadlines of the waiting jobs, in order. The task that sleeps for them is [`super::timeouts`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::Event;

/// See the module.
#[derive(Default)]
pub(super) struct Deadlines {
    /// By time and number of the task: the timeout the job had. At most as many as jobs wait.
    times: RefCell<BTreeMap<(Instant, u64), Duration>>,
    /// Whether a task sleeps for them.
    kept: Cell<bool>,
    /// Raised when there is an earlier one than the task sleeps for.
    earlier: Event,
}

impl Deadlines {
    /// The job of this number times out at that time. Returns whether a task must be started that sleeps for it.
    pub(super) fn add(&self, id: u64, deadline: Instant, timeout: Duration) -> bool {
        let is_first = self.first().is_none_or(|first| deadline < first);
        self.times.borrow_mut().insert((deadline, id), timeout);
        let kept = self.kept.replace(true);
        if kept && is_first {
            self.earlier.raise();
        }
        !kept
    }

    /// The job has ended in time.
    pub(super) fn remove(&self, id: u64, deadline: Option<Instant>) {
        if let Some(deadline) = deadline {
            self.times.borrow_mut().remove(&(deadline, id));
        }
    }

    /// The first one.
    pub(super) fn first(&self) -> Option<Instant> {
        self.times.borrow().first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Takes those that are due: the job, and the timeout it had.
    pub(super) fn take_late(&self, now: Instant) -> Vec<(u64, Duration)> {
        let mut times = self.times.borrow_mut();
        let late = times.extract_if(..=(now, u64::MAX), |_, _| true);
        late.map(|((_, id), timeout)| (id, timeout)).collect()
    }

    /// Waits for a deadline that is earlier than the first one.
    pub(super) async fn earlier(&self) {
        self.earlier.wait().await;
    }

    /// The task that slept for them ends, because none are left.
    pub(super) fn keep_no_more(&self) {
        self.kept.set(false);
    }
}
