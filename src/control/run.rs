//! Control from start to end: which actor starts and stops when, and why in this order.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::actor::Actor;
use super::options::{ControlOptions, RunOutcome};
use super::settings::Reload;
use super::shards::Shards;
use super::state::Control;
use super::{
    balancer, bell, declare, health, listener, notify, past, paused, poller, reaper, ruby_lists, stalls,
    steering, upkeep,
};
use crate::limits::{FAREWELL_LIMIT, HISTORY_LAST_CALL_MAX};
use crate::mesh::{ControlEnd, Ending};
use crate::timeout::within;

/// Runs control until every shard has ended. `reload`: how SIGHUP has the configuration read again, if there is a way; it
/// is returned for the next identity of this process.
pub(crate) async fn run(
    options: ControlOptions,
    ends: Vec<ControlEnd>,
    reload: Option<Reload>,
) -> (RunOutcome, Option<Reload>) {
    // First, so that a signal also stops a process that is still starting.
    let signals = steering::signals();
    let shards = Shards::connect(ends).await;
    let control = Rc::new(Control::new(options, shards, reload));
    let steering = steering::spawn(&control, signals);
    let notify = notify::spawn(&control);
    // The lease is there before the shards take jobs: what they hold must be found if this process dies. Without Redis this
    // continues until a stop is asked for; the shards then end before they start.
    let upkeeps = upkeep::begin(&control).await;
    let pauses = paused::begin(&control).await;
    let balancing = balancer::begin(&control);
    control.tell_all().await;
    let actors = Actors::spawn(&control, steering, notify, (upkeeps, pauses, balancing));
    let endings = all_ended(&control).await;
    actors.end(&control, &endings).await;
    let outcome = RunOutcome {
        deadline: control.phase().deadline(),
        endings,
        asked: control.was_asked(),
        settings: control.settings.get(),
    };
    (outcome, control.settings.take_reload())
}

/// How each shard ended, once all have.
async fn all_ended(control: &Control) -> Vec<(usize, Ending)> {
    let mut endings = Vec::with_capacity(control.shards.count());
    while endings.len() < control.shards.count() {
        let (shard, how) = control.shards.ending().await;
        endings.push((shard, how));
        if how != Ending::Clean && !control.phase().ends() {
            // A process with a core missing must not look well. If one shard was taken for dead, the others will be too,
            // and at once; otherwise the process ends, and its supervisor restarts it.
            if how != Ending::NoState {
                tracing::error!(shard, ?how, "a shard ended by itself, so the others are stopped");
            }
            let timeout = control.settings.get().timeout;
            control.stop(if how == Ending::Fenced { Duration::ZERO } else { timeout }).await;
        }
    }
    endings
}

/// What runs while the shards do.
struct Actors {
    steering: Actor,
    notify: Actor,
    /// One for each realm, and in a cluster one for the heartbeat.
    upkeeps: Vec<Actor>,
    /// One for each realm.
    reapers: Vec<Actor>,
    listener: Actor,
    pauses: Actor,
    /// Under a balance that gives slots to queues.
    balancing: Option<Actor>,
    /// Where the shards are told which queues have jobs.
    bell: Option<Actor>,
    stalls: Actor,
    ruby_lists: Actor,
    /// One for each realm.
    pollers: Vec<Actor>,
    /// One for each realm.
    declarations: Vec<Actor>,
    health: Actor,
    /// Unless history is not kept.
    past: Option<Actor>,
}

impl Actors {
    fn spawn(
        control: &Rc<Control>,
        steering: Actor,
        notify: Actor,
        (upkeeps, pauses, balancing): (Vec<upkeep::Upkeep>, paused::Pauses, Option<balancer::Balancing>),
    ) -> Self {
        let duties = || 0..control.duties.len();
        Self {
            steering,
            notify,
            upkeeps: upkeeps.into_iter().map(upkeep::spawn).collect(),
            reapers: duties().map(|duty| reaper::spawn(control, duty)).collect(),
            listener: listener::spawn(control),
            pauses: paused::spawn(pauses),
            balancing: balancing.map(balancer::spawn),
            bell: bell::spawn(control),
            stalls: stalls::spawn(control),
            ruby_lists: ruby_lists::spawn(control),
            pollers: duties().map(|duty| poller::spawn(control, duty)).collect(),
            declarations: duties().map(|duty| declare::spawn(control, duty)).collect(),
            health: health::spawn(control),
            past: past::spawn(control),
        }
    }

    /// Ends them, now that the shards have ended.
    async fn end(self, control: &Control, endings: &[(usize, Ending)]) {
        // There is nothing left for a signal to end.
        self.steering.stop().await;
        // A shard that has ended makes no progress, and that is no longer a problem.
        self.health.stop().await;
        // Each of their steps is atomic in Redis, so they may be dropped between any two.
        for reaper in self.reapers {
            reaper.stop().await;
        }
        for declaration in self.declarations {
            declaration.stop().await;
        }
        self.ruby_lists.stop().await;
        self.listener.stop().await;
        self.pauses.stop().await;
        if let Some(balancing) = self.balancing {
            balancing.stop().await;
        }
        if let Some(bell) = self.bell {
            bell.stop().await;
        }
        self.stalls.stop().await;
        // Not before the shards: their jobs are ours while the lease exists. The farewell removes the heartbeat, and the
        // lease if nothing is left in flight.
        control.note_end(endings.iter().all(|(_, how)| *how == Ending::Clean));
        let until = control.farewell_ends(FAREWELL_LIMIT);
        for upkeep in self.upkeeps {
            upkeep.end().await;
        }
        if let Some(past) = self.past {
            // What it is writing may hang.
            let limit =
                control.farewell_ends(HISTORY_LAST_CALL_MAX).saturating_duration_since(Instant::now());
            let _in_time = within(limit, past.end()).await;
        }
        // They gave up the lead when the stop began, unless Redis is gone; then they are dropped, like the reapers.
        let resigned = async {
            for poller in self.pollers {
                poller.end().await;
            }
        };
        let _in_time = within(until.saturating_duration_since(Instant::now()), resigned).await;
        // Last: until here the manager sees that the shutdown makes progress.
        self.notify.stop().await;
    }
}
