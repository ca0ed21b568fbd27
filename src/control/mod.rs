//! Control: the executor that runs no job. It keeps the process's lease and heartbeat, hears signals, and ends the shards.
//!
//! ```text
//! signals ──► phase ──► every shard (mesh)            every shard ──► Ended ──► farewell, exit
//!                ├────► upkeep: lease every 5 s, heartbeat and figures every stats_interval
//!                │         └──► reaper: jobs of processes whose lease has ended
//!                ├────► poller: due jobs of the retry and scheduled sets; one leads the fleet's
//!                ├────► ruby lists: jobs of dead Ruby servers, in one process of the fleet
//!                ├────► health: a look at the counters of the shards every 5 s
//!                └────► notify: what the service manager is told, where there is one
//! cancel channel ──► cancels ──► every shard          each shard's mark ──► stalls ──► log
//! ```
//!
//! It shares a core with shard 0 but not its thread: however long a job holds its shard, the kernel runs control, so a
//! busy process never loses its lease (P3). Here too each connection is owned by one task.
//!
//! Order of start: lease and heartbeat are written, then the shards are told to begin. Order of end: shards first, for
//! their jobs are ours as long as the lease stands; then the heartbeat goes, and the lease if nothing is left in flight.

mod health;
mod link;
mod notify;
mod upkeep;
// What it does for running jobs.
mod cancels;
mod stalls;
// What a process does for its fleet.
mod poison;
mod poller;
mod reaper;
mod ruby_lists;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::channels::shared_channel::ConnectedSender;
use glommio::signal::Signals;
use glommio::timer::Timer;

use crate::event::Event;
use crate::limits::RESIGN_WAIT;
use crate::mesh::{ControlEnd, Ending, ToControl, ToShard};
use crate::resp::{RedisUrl, Stopper};
use crate::shutdown::Phase;
use crate::stats::ShardStats;
use crate::store::turn::QueueKeys;

pub(crate) use health::Expected;
use notify::Notifier;
pub(crate) use notify::ServiceManager;
use reaper::Dead;
pub(crate) use ruby_lists::RubyListTimes;
use upkeep::Upkeep;

/// The signals that control hears. They must be blocked in every thread of the process before it starts.
pub(crate) const SIGNALS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGTSTP, libc::SIGUSR1];

/// What control is told before it starts.
#[derive(Debug, Clone)]
pub(crate) struct ControlOptions {
    /// The process: 12 hex digits, new at each start.
    pub(crate) uuid: String,
    /// Where Redis is.
    pub(crate) url: RedisUrl,
    /// The key under which the gem's readers find this process.
    pub(crate) heartbeat_key: String,
    /// The name under which a reaper finds its jobs.
    pub(crate) lease_member: String,
    /// The keys of its first shard and queue, where a reaper would leave a fence.
    pub(crate) home: QueueKeys,
    /// Time between two heartbeats.
    pub(crate) stats_interval: Duration,
    /// Longest time between two looks at the retry and scheduled sets; `None`: this process leaves them alone.
    pub(crate) poll_interval: Option<Duration>,
    /// How often the lists of dead Ruby servers are looked for.
    pub(crate) ruby_lists: RubyListTimes,
    /// How long running jobs may go on after a stop is asked for.
    pub(crate) timeout: Duration,
    /// Entries the dead set keeps.
    pub(crate) dead_jobs_max: u64,
    /// How long an entry stays in the dead set.
    pub(crate) dead_timeout: Duration,
    /// The counters of each shard.
    pub(crate) stats: Vec<Arc<ShardStats>>,
    /// What the watchdog expects of them.
    pub(crate) expected: Expected,
    /// Who is told how the process is.
    pub(crate) manager: Option<ServiceManager>,
}

/// How a run of the shards ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One ending for each shard.
    pub(crate) endings: Vec<(usize, Ending)>,
    /// Whether a signal asked for it.
    pub(crate) asked: bool,
}

/// What control's tasks share.
struct Control {
    options: ControlOptions,
    phase: Cell<Phase>,
    /// Whether a signal asked for the end.
    asked: Cell<bool>,
    /// Whether the shards have ended, and all of them clean.
    ended: Cell<Option<bool>>,
    /// Whether upkeep has no connection now.
    heartbeat_is_gone: Cell<bool>,
    /// How often upkeep lost its connection. Over one that is older than the last time nothing is asked any more: a replica
    /// that was the primary goes on answering what only reads.
    losses: Cell<u64>,
    /// Ends the connection that hears cancellations.
    listens: RefCell<Option<Stopper>>,
    /// Processes whose jobs wait to be put back.
    dead: Dead,
    /// Tells the service manager, if there is one.
    notifier: Option<Notifier>,
    /// Wakes upkeep when the phase changes or the shards have ended.
    changed: Event,
    /// Wakes the poller when the phase changes.
    phase_changed: Event,
    shards: Vec<ConnectedSender<ToShard>>,
}

/// Runs control until every shard has ended.
pub(crate) async fn run(options: ControlOptions, ends: Vec<ControlEnd>) -> Outcome {
    let signals = match Signals::new(&SIGNALS) {
        Ok(signals) => Some(signals),
        Err(error) => {
            tracing::error!(%error, "signals cannot be heard; end this process with SIGKILL and its jobs are recovered");
            None
        }
    };
    let mut shards = Vec::with_capacity(ends.len());
    let mut reports = Vec::with_capacity(ends.len());
    for end in ends {
        let (shard, report) = end.connect().await;
        shards.push(shard);
        reports.push(report);
    }
    let notifier = options.manager.clone().and_then(notify::open);
    let control = Rc::new(Control {
        options,
        phase: Cell::new(Phase::Running),
        asked: Cell::new(false),
        ended: Cell::new(None),
        heartbeat_is_gone: Cell::new(false),
        losses: Cell::new(0),
        listens: RefCell::default(),
        dead: Dead::default(),
        notifier,
        changed: Event::default(),
        phase_changed: Event::default(),
        shards,
    });
    let listener = glommio::spawn_local(hear_signals(Rc::clone(&control), signals));
    let notifying = glommio::spawn_local(notify::run(Rc::clone(&control)));

    let mut upkeep = Upkeep::new(Rc::clone(&control));
    // Without Redis this goes on until a stop is asked for; the shards then end before they begin.
    upkeep.begin().await;
    control.tell_all().await;
    let upkeep = glommio::spawn_local(upkeep.run());
    let reaper = glommio::spawn_local(reaper::run(Rc::clone(&control)));
    let cancels = glommio::spawn_local(cancels::run(Rc::clone(&control)));
    let stalls = glommio::spawn_local(stalls::run(Rc::clone(&control)));
    let ruby_lists = glommio::spawn_local(ruby_lists::run(Rc::clone(&control)));
    let poller = control
        .options
        .poll_interval
        .map(|poll_interval| glommio::spawn_local(poller::run(Rc::clone(&control), poll_interval)));

    let watchdog = glommio::spawn_local(health::run(Rc::clone(&control)));

    let mut endings = Vec::with_capacity(reports.len());
    for report in reports {
        let (shard, how) = match report.recv().await {
            Some(ToControl::Ended { shard, how }) => (shard, how),
            // Its executor is gone without a word: its thread panicked outside of any job.
            None => (endings.len(), Ending::LeftBehind { jobs: 0 }),
        };
        endings.push((shard, how));
        if how != Ending::Clean && !control.phase.get().ends() {
            // A process with a core missing must not look well. If the shard was taken for dead so will the others be, and
            // at once; otherwise the process ends, and whoever watches it starts it anew.
            tracing::error!(shard, ?how, "a shard ended, so the others are stopped");
            let grace = if how == Ending::Fenced { Duration::ZERO } else { control.options.timeout };
            control.stop(grace).await;
        }
    }
    listener.cancel().await;
    watchdog.cancel().await;
    // Each step of these is atomic in Redis, so they may be dropped between any two.
    reaper.cancel().await;
    ruby_lists.cancel().await;
    cancels.cancel().await;
    stalls.cancel().await;
    control.ended.set(Some(endings.iter().all(|(_, how)| *how == Ending::Clean)));
    control.changed.raise();
    upkeep.await;
    if let Some(poller) = poller {
        let late = async {
            Timer::new(RESIGN_WAIT).await;
        };
        // It gave up the lead when the stop began, unless Redis is gone; then it is dropped, as the reaper is.
        futures_lite::future::or(poller, late).await;
    }
    notifying.cancel().await;
    Outcome { endings, asked: control.asked.get() }
}

async fn hear_signals(control: Rc<Control>, signals: Option<Signals>) {
    let Some(signals) = signals else { return };
    loop {
        let signal = match signals.recv().await {
            Ok(signal) => signal,
            Err(error) => {
                tracing::error!(%error, "signals cannot be heard any more");
                return;
            }
        };
        match (signal, control.phase.get()) {
            (libc::SIGTSTP, Phase::Running) => {
                tracing::info!("quiet: no more jobs are fetched");
                control.phase.set(Phase::Quiet);
                control.tell_all().await;
            }
            (libc::SIGTSTP, _) => {}
            (libc::SIGUSR1, _) => control.log_health(),
            (_, Phase::Running | Phase::Quiet) => {
                let timeout_s = control.options.timeout.as_secs_f64();
                tracing::info!(timeout_s, "stopping; a second signal ends running jobs at once");
                control.asked.set(true);
                if let Some(notifier) = &control.notifier {
                    notifier.tell_stop(control.options.timeout);
                }
                control.stop(control.options.timeout).await;
            }
            (_, Phase::Stopping { .. }) => {
                tracing::warn!("second signal: running jobs are handed back now");
                control.asked.set(true);
                control.stop(Duration::ZERO).await;
            }
        }
    }
}

impl Control {
    /// Stops the shards; what runs has that long to end.
    async fn stop(&self, grace: Duration) {
        self.phase.set(Phase::Stopping { deadline: Instant::now() + grace });
        self.tell_all().await;
    }

    /// Upkeep's connection is lost: so may be the others.
    fn lose_connections(&self) {
        self.losses.set(self.losses.get() + 1);
        if let Some(stopper) = self.listens.take() {
            stopper.stop();
        }
    }

    /// Tells every shard the phase. A shard that is gone needs no telling.
    async fn tell_all(&self) {
        self.changed.raise();
        self.phase_changed.raise();
        self.send_all(&ToShard::Phase(self.phase.get())).await;
    }

    async fn send_all(&self, command: &ToShard) {
        for shard in &self.shards {
            let _gone = shard.send(command.clone()).await;
        }
    }
}
