//! What the shards tell control: that they have ended, and which jobs they run when they are asked.
//!
//! One task for each shard reads its channel at all times, so a shard never waits for control.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use glommio::channels::shared_channel::ConnectedReceiver;

use super::Control;
use crate::event::Event;
use crate::limits::{RUNNING_JOBS_SHOWN_MAX, RUNNING_JOBS_WAIT, STALL_AFTER};
use crate::mesh::{Ending, ToControl, ToShard};
use crate::time::unix_now;
use crate::timeout::within;
use crate::wire::figures::RunningJob;

/// What has come in.
#[derive(Default)]
pub(super) struct Shards {
    endings: RefCell<VecDeque<(usize, Ending)>>,
    ended: Event,
    /// One for each shard.
    named: Vec<Named>,
    /// Raised with each answer.
    answered: Event,
}

/// The running jobs of one shard, as it last named them.
#[derive(Default)]
struct Named {
    /// The question is under way.
    asked: Cell<bool>,
    /// The answer to this question; `None` while there is none.
    jobs: RefCell<Option<Vec<RunningJob>>>,
}

impl Shards {
    pub(super) fn new(count: usize) -> Self {
        Self { named: (0..count).map(|_| Named::default()).collect(), ..Self::default() }
    }

    /// The next shard that has ended.
    pub(super) async fn ending(&self) -> (usize, Ending) {
        loop {
            if let Some(ending) = self.endings.borrow_mut().pop_front() {
                return ending;
            }
            self.ended.wait().await;
        }
    }

    fn note(&self, ending: (usize, Ending)) {
        self.endings.borrow_mut().push_back(ending);
        self.ended.raise();
    }
}

/// Reads what one shard says until it has ended.
pub(super) async fn listen(control: Rc<Control>, number: usize, reports: ConnectedReceiver<ToControl>) {
    let shards = &control.shards_said;
    loop {
        match reports.recv().await {
            Some(ToControl::Running { shard, jobs }) => {
                if let Some(named) = shards.named.get(shard) {
                    named.asked.set(false);
                    named.jobs.replace(Some(jobs));
                    shards.answered.raise();
                }
            }
            Some(ToControl::Ended { shard, how }) => return shards.note((shard, how)),
            // Its executor is gone without a word: its thread panicked outside of any job.
            None => return shards.note((number, Ending::LeftBehind { jobs: 0 })),
        }
    }
}

impl Control {
    /// The jobs that run in this process, the longest-running first, up to the number that is shown. Shards that run nothing
    /// are not woken for it.
    ///
    /// # Cancel-safety
    /// Safe: an answer that comes later is dropped by the next question.
    pub(super) async fn running_jobs(&self) -> Vec<RunningJob> {
        let shards = &self.shards_said;
        let stats = &self.options.stats;
        for ((named, link), stats) in shards.named.iter().zip(&self.shards).zip(stats) {
            named.jobs.replace(None);
            if stats.running.get() > 0 && !named.asked.get() && link.try_send(ToShard::NameJobs).is_ok() {
                named.asked.set(true);
            }
        }
        let all = async {
            while shards.named.iter().any(|named| named.asked.get()) {
                shards.answered.wait().await;
            }
        };
        let _in_time = within(RUNNING_JOBS_WAIT, all).await;
        let (now, unix) = (Instant::now(), unix_now());
        let mut jobs = Vec::new();
        for (shard, (named, stats)) in shards.named.iter().zip(stats).enumerate() {
            jobs.extend(named.jobs.take().unwrap_or_default());
            // The job that holds the core is not among those that wait, and keeps the shard from answering.
            if let Some(held) = stats.current.polled(now).filter(|held| held.time >= STALL_AFTER) {
                let since = ((unix - held.time.as_secs_f64()) * 1e3).round() / 1e3;
                jobs.retain(|job| job.jid != held.jid);
                jobs.push(RunningJob { shard, name: held.name, jid: held.jid, since });
            }
        }
        jobs.sort_by(|one, other| one.since.total_cmp(&other.since));
        jobs.truncate(RUNNING_JOBS_SHOWN_MAX);
        jobs
    }
}
