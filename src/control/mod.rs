//! Control: the executor that runs no job. It keeps the process's lease and heartbeat, hears signals, and ends the shards.
//!
//! ```text
//! signals, messages ──► phase ──► every shard (mesh)   every shard ──► Ended ──► farewell, exit
//!                ├────► upkeep: lease every 5 s, heartbeat and figures every stats_interval
//!                │         └──► reaper: jobs of processes whose lease has ended
//!                ├────► poller: due jobs of the retry and scheduled sets; one leads the fleet's
//!                ├────► ruby lists: jobs of dead Ruby servers, in one process of the fleet
//!                ├────► health: a look at the counters of the shards every 5 s
//!                └────► notify: what the service manager is told, where there is one
//! channels ──► cancels ──► every shard; steering      each shard's mark ──► stalls ──► log
//! ```
//!
//! It shares a core with shard 0 but not its thread: however long a job holds its shard, the kernel runs control, so a
//! busy process never loses its lease (P3). Here too each connection is owned by one task.
//!
//! Order of start: lease and heartbeat are written, then the shards are told to begin. Order of end: shards first, for
//! their jobs are ours as long as the lease stands; then the heartbeat goes, and the lease if nothing is left in flight.

mod duty;
mod health;
mod link;
mod notify;
mod settings;
mod shards;
mod steering;
mod upkeep;
// What it does for running jobs.
mod listener;
mod stalls;
// What a process does for its fleet.
mod dead;
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

use crate::event::Event;
use crate::limits::RESIGN_WAIT;
use crate::mesh::{ControlEnd, Ending, ToShard};
use crate::net::Stopper;
use crate::resp::RedisUrl;
use crate::shutdown::Phase;
use crate::stats::ShardStats;
use crate::timeout::within;

use duty::Duty;
pub(crate) use duty::DutyOptions;
pub(crate) use health::Expected;
use notify::Notifier;
pub(crate) use notify::ServiceManager;
pub(crate) use ruby_lists::RubyListTimes;
pub(crate) use settings::{Reload, Settings};
use shards::Shards;
use upkeep::Upkeep;

/// The signals that control hears. They must be blocked in every thread of the process before it starts.
pub(crate) const SIGNALS: [libc::c_int; 5] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGTSTP, libc::SIGUSR1, libc::SIGHUP];

/// What control is told before it starts.
#[derive(Debug, Clone)]
pub(crate) struct ControlOptions {
    /// The process: 12 hex digits, new at each start.
    pub(crate) uuid: String,
    /// Where Redis is.
    pub(crate) url: RedisUrl,
    /// The key under which the gem's readers find this process, at the start.
    pub(crate) heartbeat_key: String,
    /// One for each realm whose queues the process serves.
    pub(crate) duties: Vec<DutyOptions>,
    /// What may change while it runs, as it is at the start.
    pub(crate) settings: Settings,
    /// How often the lists of dead Ruby servers are looked for.
    pub(crate) ruby_lists: RubyListTimes,
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
    /// Whether a signal or a message asked for it.
    pub(crate) asked: bool,
    /// The settings that were in force, for the next identity of this process.
    pub(crate) settings: Settings,
}

/// What control's tasks share.
struct Control {
    options: ControlOptions,
    phase: Cell<Phase>,
    /// The settings in force.
    settings: Cell<Settings>,
    /// The heartbeat key in force.
    heartbeat_key: RefCell<String>,
    /// Reads the configuration again; gone while it does.
    reload: Cell<Option<Reload>>,
    /// Whether a signal or a message asked for the end.
    asked: Cell<bool>,
    /// Whether the shards have ended, and all of them clean.
    ended: Cell<Option<bool>>,
    /// Whether upkeep has no connection now.
    heartbeat_is_gone: Cell<bool>,
    /// Ends the connection that hears cancellations.
    listens: RefCell<Option<Stopper>>,
    /// What is looked after in each realm.
    duties: Vec<Duty>,
    /// Tells the service manager, if there is one.
    notifier: Option<Notifier>,
    /// Wakes the upkeep of the heartbeat, where it is none of a duty, when the phase changes or the shards have ended.
    changed: Event,
    shards: Vec<ConnectedSender<ToShard>>,
    /// What they said.
    shards_said: Shards,
}

/// Runs control until every shard has ended. `reload`: how SIGHUP has the configuration read again, if there is any;
/// given back for the next identity of this process.
pub(crate) async fn run(
    options: ControlOptions,
    ends: Vec<ControlEnd>,
    reload: Option<Reload>,
) -> (Outcome, Option<Reload>) {
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
    let control = Rc::new(Control::new(options, shards, reload));
    let listener = glommio::spawn_local(steering::hear_signals(Rc::clone(&control), signals));
    let notifying = glommio::spawn_local(notify::run(Rc::clone(&control)));
    for (shard, report) in reports.into_iter().enumerate() {
        glommio::spawn_local(shards::listen(Rc::clone(&control), shard, report)).detach();
    }

    let mut upkeeps = Upkeep::all(&control);
    // Without Redis this goes on until a stop is asked for; the shards then end before they begin.
    for upkeep in &mut upkeeps {
        upkeep.begin().await;
    }
    control.tell_all().await;
    let upkeeps: Vec<_> = upkeeps.into_iter().map(|upkeep| glommio::spawn_local(upkeep.run())).collect();
    let each = || (0..control.duties.len()).map(|duty| (Rc::clone(&control), duty));
    let reapers: Vec<_> =
        each().map(|(control, duty)| glommio::spawn_local(reaper::run(control, duty))).collect();
    let listening = glommio::spawn_local(listener::run(Rc::clone(&control)));
    let stalls = glommio::spawn_local(stalls::run(Rc::clone(&control)));
    let ruby_lists = glommio::spawn_local(ruby_lists::run(Rc::clone(&control)));
    let pollers: Vec<_> =
        each().map(|(control, duty)| glommio::spawn_local(poller::run(control, duty))).collect();
    let watchdog = glommio::spawn_local(health::run(Rc::clone(&control)));

    let endings = control.all_ended().await;
    listener.cancel().await;
    watchdog.cancel().await;
    // Each step of these is atomic in Redis, so they may be dropped between any two.
    for reaper in reapers {
        reaper.cancel().await;
    }
    ruby_lists.cancel().await;
    listening.cancel().await;
    stalls.cancel().await;
    control.ended.set(Some(endings.iter().all(|(_, how)| *how == Ending::Clean)));
    control.wake_upkeep();
    for upkeep in upkeeps {
        upkeep.await;
    }
    let resigned = async {
        for poller in pollers {
            poller.await;
        }
    };
    // They gave up the lead when the stop began, unless Redis is gone; then they are dropped, as the reapers are.
    let _in_time = within(RESIGN_WAIT, resigned).await;
    notifying.cancel().await;
    let outcome = Outcome { endings, asked: control.asked.get(), settings: control.settings.get() };
    (outcome, control.reload.take())
}

impl Control {
    fn new(options: ControlOptions, shards: Vec<ConnectedSender<ToShard>>, reload: Option<Reload>) -> Self {
        Self {
            phase: Cell::new(Phase::Running),
            settings: Cell::new(options.settings),
            heartbeat_key: RefCell::new(options.heartbeat_key.clone()),
            reload: Cell::new(reload),
            asked: Cell::new(false),
            ended: Cell::new(None),
            heartbeat_is_gone: Cell::new(false),
            listens: RefCell::default(),
            duties: options.duties.iter().cloned().map(Duty::new).collect(),
            notifier: options.manager.clone().and_then(notify::open),
            changed: Event::default(),
            shards_said: Shards::new(shards.len()),
            shards,
            options,
        }
    }

    /// How each shard ended, once all have.
    async fn all_ended(&self) -> Vec<(usize, Ending)> {
        let mut endings = Vec::with_capacity(self.shards.len());
        while endings.len() < self.shards.len() {
            let (shard, how) = self.shards_said.ending().await;
            endings.push((shard, how));
            if how != Ending::Clean && !self.phase.get().ends() {
                // A process with a core missing must not look well. If the shard was taken for dead so will the others be,
                // and at once; otherwise the process ends, and whoever watches it starts it anew.
                tracing::error!(shard, ?how, "a shard ended, so the others are stopped");
                let timeout = self.settings.get().timeout;
                self.stop(if how == Ending::Fenced { Duration::ZERO } else { timeout }).await;
            }
        }
        endings
    }

    /// Stops the shards; what runs has that long to end.
    async fn stop(&self, grace: Duration) {
        self.phase.set(Phase::Stopping { deadline: Instant::now() + grace });
        self.tell_all().await;
    }

    /// Upkeep's connection, that of a duty if it is one's, is lost: so may be the others.
    fn lose_connections(&self, duty: Option<usize>) {
        if let Some(duty) = duty.and_then(|duty| self.duties.get(duty)) {
            duty.losses.set(duty.losses.get() + 1);
        }
        if let Some(stopper) = self.listens.take() {
            stopper.stop();
        }
    }

    /// Tells every shard the phase. A shard that is gone needs no telling.
    async fn tell_all(&self) {
        self.wake_upkeep();
        self.send_all(&ToShard::Phase(self.phase.get())).await;
    }

    /// Wakes upkeep and pollers: the phase, or what they go by, has changed.
    fn wake_upkeep(&self) {
        self.changed.raise();
        for duty in &self.duties {
            duty.changed.raise();
            duty.phase_changed.raise();
        }
    }

    async fn send_all(&self, command: &ToShard) {
        for shard in &self.shards {
            let _gone = shard.send(command.clone()).await;
        }
    }
}
