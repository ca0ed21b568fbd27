//! Control's end of the shards: what it tells them, that they have ended, and which jobs they report when asked.
//!
//! One task for each shard reads its channel at all times, so a shard never waits for control.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use glommio::channels::shared_channel::{ConnectedReceiver, ConnectedSender};

use crate::event::Event;
use crate::limits::{HISTORY_SHARDS_WAIT, RUNNING_JOBS_SHOWN_MAX, RUNNING_JOBS_WAIT, STALL_AFTER};
use crate::mesh::{ControlEnd, Ending, ToControl, ToShard};
use crate::stats::{ShardRow, ShardStats};
use crate::timeout::within;
use crate::wire::figures::RunningJob;

/// The shards of this process.
pub(super) struct Shards {
    links: Vec<ConnectedSender<ToShard>>,
    /// Those that have ended and were not yet asked for.
    endings: RefCell<VecDeque<(usize, Ending)>>,
    ended: Event,
    /// One for each shard.
    named: Vec<Named>,
    /// Raised with each answer.
    answered: Event,
    /// One for each shard.
    counted: Vec<Counted>,
    /// Raised when a shard begins to wait for jobs.
    waits: Event,
    /// Raised with each answer about that, for each reader.
    told: [Event; CountsFor::COUNT],
}

/// Who reads what the shards have counted: each by itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum CountsFor {
    /// History.
    Past,
    /// The heartbeat.
    Beat,
    /// What gives slots to queues.
    Balance,
}

impl CountsFor {
    /// How many there are.
    const COUNT: usize = 3;
}

/// What one shard has counted, as it last said.
#[derive(Default)]
struct Counted {
    /// The question is under way.
    asked: Cell<bool>,
    /// The latest answer, until each reader has taken it.
    rows: [RefCell<Option<Rc<[ShardRow]>>>; CountsFor::COUNT],
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
    /// Binds the channels of all shards to this executor, and reads what arrives on them from now on.
    pub(super) async fn connect(ends: Vec<ControlEnd>) -> Rc<Self> {
        let mut links = Vec::with_capacity(ends.len());
        let mut reports = Vec::with_capacity(ends.len());
        for end in ends {
            let (link, report) = end.connect().await;
            links.push(link);
            reports.push(report);
        }
        let shards = Rc::new(Self {
            named: links.iter().map(|_| Named::default()).collect(),
            counted: links.iter().map(|_| Counted::default()).collect(),
            links,
            endings: RefCell::default(),
            ended: Event::default(),
            answered: Event::default(),
            waits: Event::default(),
            told: Default::default(),
        });
        for (shard, report) in reports.into_iter().enumerate() {
            glommio::spawn_local(listen(Rc::clone(&shards), shard, report)).detach();
        }
        shards
    }

    /// Raised when a shard begins to wait for jobs. One task may wait for it.
    pub(super) fn waits(&self) -> &Event {
        &self.waits
    }

    /// How many there are, whether they have ended or not.
    pub(super) fn count(&self) -> usize {
        self.links.len()
    }

    /// Tells every shard, once its channel has room. A shard that is gone need not be told.
    pub(super) async fn send_all(&self, message: &ToShard) {
        for link in &self.links {
            let _gone = link.send(message.clone()).await;
        }
    }

    /// Tells one shard if its channel has room now. Returns whether it had.
    pub(super) fn try_send(&self, shard: usize, message: ToShard) -> bool {
        self.links.get(shard).is_some_and(|link| link.try_send(message).is_ok())
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

    /// The jobs that run in this process, longest-running first, up to the number that is shown. Shards that run nothing
    /// are not woken. `stats`: the counters of each shard.
    ///
    /// # Cancel-safety
    /// Safe: an answer that comes later is dropped by the next question.
    pub(super) async fn running_jobs(
        &self,
        stats: &[Arc<ShardStats>],
        clock: impl Fn() -> f64,
    ) -> Vec<RunningJob> {
        self.ask_for_jobs(stats);
        let all = async {
            while self.named.iter().any(|named| named.asked.get()) {
                self.answered.wait().await;
            }
        };
        // Shards that have not answered by then are left out.
        let _in_time = within(RUNNING_JOBS_WAIT, all).await;
        self.take_jobs(stats, clock())
    }

    /// What each shard has counted since it started; `None` for one that has said nothing new to this reader.
    ///
    /// # Cancel-safety
    /// Safe: an answer that comes later is kept for the next call.
    pub(super) async fn counted(&self, reader: CountsFor) -> Vec<Option<Rc<[ShardRow]>>> {
        for (counted, link) in self.counted.iter().zip(&self.links) {
            // Refused by one that has ended: it has said all that it had to.
            if !counted.asked.get() && link.try_send(ToShard::Count).is_ok() {
                counted.asked.set(true);
            }
        }
        let all = async {
            while self.counted.iter().any(|counted| counted.asked.get()) {
                self.told[reader as usize].wait().await;
            }
        };
        let _in_time = within(HISTORY_SHARDS_WAIT, all).await;
        self.last_counted(reader)
    }

    /// The same, without asking: what they said before they ended.
    pub(super) fn last_counted(&self, reader: CountsFor) -> Vec<Option<Rc<[ShardRow]>>> {
        self.counted.iter().map(|counted| counted.rows[reader as usize].take()).collect()
    }

    fn ask_for_jobs(&self, stats: &[Arc<ShardStats>]) {
        for ((named, link), stats) in self.named.iter().zip(&self.links).zip(stats) {
            named.jobs.replace(None);
            if stats.running.get() > 0 && !named.asked.get() && link.try_send(ToShard::NameJobs).is_ok() {
                named.asked.set(true);
            }
        }
    }

    fn take_jobs(&self, stats: &[Arc<ShardStats>], unix: f64) -> Vec<RunningJob> {
        let now = Instant::now();
        let mut jobs = Vec::new();
        for (shard, (named, stats)) in self.named.iter().zip(stats).enumerate() {
            jobs.extend(named.jobs.take().unwrap_or_default());
            // The job that holds the core is not among those that wait, and it keeps the shard from answering.
            if let Some(held) = stats.current.polled(now).filter(|held| held.time >= STALL_AFTER) {
                let since = ((unix - held.time.as_secs_f64()) * 1e3).round() / 1e3;
                jobs.retain(|job| job.jid != held.jid);
                jobs.push(RunningJob {
                    shard,
                    name: held.name,
                    jid: held.jid,
                    since,
                    ..RunningJob::default()
                });
            }
        }
        jobs.sort_by(|one, other| one.since.total_cmp(&other.since));
        jobs.truncate(RUNNING_JOBS_SHOWN_MAX);
        jobs
    }
}

/// Reads what one shard says until it has ended.
async fn listen(shards: Rc<Shards>, number: usize, reports: ConnectedReceiver<ToControl>) {
    loop {
        match reports.recv().await {
            Some(ToControl::Running { shard, jobs }) => {
                if let Some(named) = shards.named.get(shard) {
                    named.asked.set(false);
                    named.jobs.replace(Some(jobs));
                    shards.answered.raise();
                }
            }
            Some(ToControl::Counted { shard, rows }) => {
                if let Some(counted) = shards.counted.get(shard) {
                    counted.asked.set(false);
                    let rows: Rc<[ShardRow]> = rows.into();
                    counted.rows.iter().for_each(|place| _ = place.replace(Some(Rc::clone(&rows))));
                    shards.told.iter().for_each(Event::raise);
                }
            }
            Some(ToControl::Waits) => shards.waits.raise(),
            Some(ToControl::Ended { shard, how }) => return shards.note((shard, how)),
            // Its executor is gone without a word: its thread panicked outside any job.
            None => return shards.note((number, Ending::LeftBehind { jobs: 0 })),
        }
    }
}
