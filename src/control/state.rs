//! What control's tasks share. Each part is changed only by its methods, here or in the file of that part.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::duty::Duty;
use super::options::ControlOptions;
use super::others::Others;
use super::service_manager::{self, Notifier};
use super::settings::{LiveSettings, Reload};
use super::shards::Shards;
use super::skew::Skew;
use crate::event::Event;
use crate::limits::{STALLED_AFTER, STOP_END, STOP_TIMEOUT_MAX, WATCHED_FOR};
use crate::mesh::ToShard;
use crate::net::Stopper;
use crate::shutdown::Phase;
use crate::stats::{LifePhase, ShardStats};
use crate::store::process::{DayCounts, Expiring};
use crate::time::unix_now;
use crate::wire::Cause;
use crate::wire::figures::QueueSlots;
use crate::wire::paused::PausedNow;
use crate::wire::slots::SlotsNews;

/// The state of control.
pub(super) struct Control {
    // Fixed, or changed only by their own methods.
    pub(super) options: ControlOptions,
    /// What is looked after in each realm.
    pub(super) duties: Vec<Duty>,
    pub(super) shards: Rc<Shards>,
    /// What SIGHUP may change.
    pub(super) settings: LiveSettings,
    /// Tells the service manager, if there is one.
    pub(super) notifier: Option<Notifier>,
    // Changed by the methods below.
    phase: Cell<Phase>,
    /// Whether a signal or a message asked for the end.
    asked: Cell<bool>,
    /// Whether the shards have ended, and all of them clean.
    ended: Cell<Option<bool>>,
    /// Why the heartbeat cannot be written now, if so.
    heartbeat_is_lost: Cell<Option<Cause>>,
    /// Connections of control that were closed while idle.
    idle_closes: Cell<u64>,
    skew: Skew,
    /// Wakes the task that reads what is paused.
    pauses_rang: Event,
    /// The queues that programs of others have paused, as far as this process serves them.
    paused_by_others: RefCell<BTreeSet<String>>,
    /// What is paused, as the shards know it.
    paused_now: RefCell<Arc<PausedNow>>,
    /// How many slots each queue has, if they are given to queues.
    assignment: RefCell<Vec<QueueSlots>>,
    /// What other processes give to their queues, if this one gives slots to queues.
    others: RefCell<Others>,
    /// Wakes what gives slots to queues when the process takes no more jobs.
    balance_wakes: Event,
    /// How long upkeep's last round trip took.
    round_trip: Cell<Duration>,
    /// What the counters of the day have.
    counted: Cell<DayCounts>,
    /// The days whose counters are known to expire.
    expiring: Cell<Expiring>,
    /// Until when someone watches it, as far as is known.
    watched_until: Cell<Option<Instant>>,
    /// Ends the connection that hears cancellations.
    listening: RefCell<Option<Stopper>>,
    /// Ends the connection that hears of changed queues.
    ringing: RefCell<Option<Stopper>>,
    /// Wakes what keeps the history when the shards have ended.
    pub(super) past_wakes: Event,
    /// Wakes the upkeep of the heartbeat, when no duty owns it, on a new phase, new settings, or the end of the shards.
    changed: Event,
}

impl Control {
    pub(super) fn new(options: ControlOptions, shards: Rc<Shards>, reload: Option<Reload>) -> Self {
        Self {
            settings: LiveSettings::new(options.settings, options.presence.clone(), reload),
            duties: options.duties.iter().cloned().map(Duty::new).collect(),
            shards,
            notifier: options.manager.clone().and_then(service_manager::open),
            options,
            phase: Cell::new(Phase::Running),
            asked: Cell::new(false),
            ended: Cell::new(None),
            heartbeat_is_lost: Cell::new(None),
            idle_closes: Cell::new(0),
            skew: Skew::default(),
            pauses_rang: Event::default(),
            paused_by_others: RefCell::default(),
            paused_now: RefCell::default(),
            assignment: RefCell::default(),
            others: RefCell::default(),
            balance_wakes: Event::default(),
            round_trip: Cell::new(Duration::ZERO),
            counted: Cell::default(),
            expiring: Cell::default(),
            watched_until: Cell::new(None),
            listening: RefCell::default(),
            ringing: RefCell::default(),
            past_wakes: Event::default(),
            changed: Event::default(),
        }
    }

    /// Unix time, by the clock of Redis; in a cluster by that of the node of the first queue.
    pub(super) fn now(&self) -> f64 {
        self.duties.first().map_or_else(unix_now, |duty| duty.options.clock.now())
    }

    /// How far the clock of this host is from Redis's, as it was told; `None`: it is not.
    pub(super) fn clock_skew(&self) -> Option<f64> {
        self.skew.told()
    }

    /// Tells how far the clock of this host is from Redis's, if that is new: one of the clocks has just been read.
    pub(super) fn note_skew(&self) {
        let skews = self.duties.iter().filter_map(|duty| duty.options.clock.skew());
        if let Some(skew) = skews.max_by(|one, other| one.abs().total_cmp(&other.abs())) {
            self.skew.note(skew);
        }
    }

    /// The phase of the process.
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Fetches no more.
    pub(super) async fn become_quiet(&self) {
        self.phase.set(Phase::Quiet);
        self.tell_all().await;
    }

    /// Stops the shards because someone asked for it; running jobs have this long to end.
    pub(super) async fn stop_as_asked(&self, grace: Duration) {
        self.asked.set(true);
        self.stop(grace).await;
    }

    /// Stops the shards; running jobs have this long to end.
    pub(super) async fn stop(&self, grace: Duration) {
        self.phase.set(Phase::Stopping { deadline: Instant::now() + grace });
        self.tell_all().await;
    }

    /// Tells every shard the phase, and wakes those tasks of control that depend on it.
    pub(super) async fn tell_all(&self) {
        self.options.published.enter(match self.phase.get() {
            Phase::Running => LifePhase::Running,
            Phase::Quiet => LifePhase::Quiet,
            Phase::Stopping { .. } => LifePhase::Stopping,
        });
        self.wake_upkeep();
        self.balance_wakes.raise();
        self.shards.send_all(&ToShard::Phase(self.phase.get())).await;
    }

    /// Whether a signal or a message asked for the end.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.get()
    }

    /// Someone watches this process, and says so about once a second: until a while after the last time it reports about
    /// itself more often.
    pub(super) fn watch(&self) {
        let was_watched = self.is_watched();
        self.watched_until.set(Some(Instant::now() + WATCHED_FOR));
        if !was_watched {
            self.heartbeat_wakes().raise();
        }
    }

    /// Whether someone watches it.
    pub(super) fn is_watched(&self) -> bool {
        self.watched_until.get().is_some_and(|until| Instant::now() < until)
    }

    /// Notes that the shards have ended, all cleanly or not. Upkeep then says farewell.
    pub(super) fn note_end(&self, clean: bool) {
        self.ended.set(Some(clean));
        self.past_wakes.raise();
        self.wake_upkeep();
    }

    /// Raised when what is paused may have changed.
    pub(super) fn pauses_rang(&self) -> &Event {
        &self.pauses_rang
    }

    /// The queues that programs of others have paused.
    pub(super) fn paused_by_others(&self) -> BTreeSet<String> {
        self.paused_by_others.borrow().clone()
    }

    /// Notes which they are.
    pub(super) fn note_paused_by_others(&self, queues: BTreeSet<String>) {
        if *self.paused_by_others.borrow() != queues {
            self.paused_by_others.replace(queues);
            self.pauses_rang.raise();
        }
    }

    /// What is paused, as the shards know it.
    pub(super) fn paused_now(&self) -> Arc<PausedNow> {
        Arc::clone(&self.paused_now.borrow())
    }

    /// Notes what it is.
    pub(super) fn note_paused(&self, now: &Arc<PausedNow>) {
        self.paused_now.replace(Arc::clone(now));
    }

    /// How many slots each queue has, and why; empty: they are not given to queues.
    pub(super) fn assignment(&self) -> Vec<QueueSlots> {
        self.assignment.borrow().clone()
    }

    /// Notes it.
    pub(super) fn note_assignment(&self, assignment: Vec<QueueSlots>) {
        self.assignment.replace(assignment);
    }

    /// Another process has told how many slots it gives to its queues.
    pub(super) fn hear_of_slots(&self, news: SlotsNews) {
        if news.uuid != self.options.uuid {
            self.others.borrow_mut().hear(news, Instant::now());
        }
    }

    /// What other processes give to their queues, as far as they were heard of late.
    pub(super) fn others(&self) -> Ref<'_, Others> {
        self.others.borrow_mut().forget_silent(Instant::now());
        self.others.borrow()
    }

    /// Raised when the process takes no more jobs.
    pub(super) fn balance_wakes(&self) -> &Event {
        &self.balance_wakes
    }

    /// Whether the shards have ended, and all of them clean.
    pub(super) fn ended(&self) -> Option<bool> {
        self.ended.get()
    }

    /// Wakes upkeep and pollers: the phase or their settings have changed.
    pub(super) fn wake_upkeep(&self) {
        self.changed.raise();
        for duty in &self.duties {
            duty.changed.raise();
            duty.phase_changed.raise();
        }
    }

    /// What wakes the upkeep of a duty, or that of the heartbeat when no duty owns it.
    pub(super) fn upkeep_wakes(&self, duty: Option<usize>) -> &Event {
        duty.map_or(&self.changed, |duty| &self.duties[duty].changed)
    }

    /// What wakes the upkeep that writes the heartbeat.
    fn heartbeat_wakes(&self) -> &Event {
        self.upkeep_wakes(if self.options.url.is_cluster() { None } else { Some(0) })
    }

    /// Whether the time of a stop is over: what still runs is given up.
    pub(super) fn is_over(&self) -> bool {
        self.phase().is_over(Instant::now())
    }

    /// Whether the heartbeat should go: the time of a stop is over, and no shard is stalled. A process whose job keeps a
    /// core beyond that keeps running, and should stay visible.
    pub(super) fn parts(&self) -> bool {
        let stands_still =
            |stats: &Arc<ShardStats>| stats.turned_at.age().is_some_and(|age| age >= STALLED_AFTER);
        self.is_over() && !self.options.stats.iter().any(stands_still)
    }

    /// How long until the time of a stop is over; without a stop, longer than anyone waits.
    pub(super) fn until_over(&self) -> Duration {
        let deadline = self.phase().deadline();
        deadline.map_or(STOP_TIMEOUT_MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    /// The deadline of a farewell that starts now: within `limit`, and before the end of the stop.
    pub(super) fn farewell_ends(&self, limit: Duration) -> Instant {
        let at_most = Instant::now() + limit;
        self.phase().deadline().map_or(at_most, |deadline| at_most.min(deadline + STOP_END))
    }

    /// Notes why the heartbeat cannot be written; `None`: it can.
    pub(super) fn note_heartbeat(&self, lost: Option<Cause>) {
        self.heartbeat_is_lost.set(lost);
    }

    /// Why the heartbeat cannot be written now, if so.
    pub(super) fn heartbeat_is_lost(&self) -> Option<Cause> {
        self.heartbeat_is_lost.get()
    }

    /// How long upkeep's last round trip took.
    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip.get()
    }

    /// Notes how long a round trip of upkeep took.
    pub(super) fn note_round_trip(&self, took: Duration) {
        self.round_trip.set(took);
    }

    /// What the shards have run that the counters of the day do not have yet.
    pub(super) fn uncounted(&self) -> DayCounts {
        let DayCounts { processed, failed } = self.counted.get();
        let all_failed: u64 = self.options.stats.iter().map(|stats| stats.failed.get()).sum();
        DayCounts {
            processed: self.processed().saturating_sub(processed),
            failed: all_failed.saturating_sub(failed),
        }
    }

    /// How many jobs the shards have run to an end.
    pub(super) fn processed(&self) -> u64 {
        self.options.stats.iter().map(|stats| stats.processed.get()).sum()
    }

    /// The days whose counters are known to expire.
    pub(super) fn expiring(&self) -> Expiring {
        self.expiring.get()
    }

    /// Notes that they do.
    pub(super) fn note_expiring(&self, days: Expiring) {
        self.expiring.set(days);
    }

    /// Notes that the counters of the day have these.
    pub(super) fn note_counted(&self, more: DayCounts) {
        let DayCounts { processed, failed } = self.counted.get();
        self.counted.set(DayCounts { processed: processed + more.processed, failed: failed + more.failed });
    }

    /// Notes that a connection of control was closed while idle.
    pub(super) fn note_idle_close(&self) {
        self.idle_closes.set(self.idle_closes.get() + 1);
    }

    /// How many connections of the whole process were closed while idle.
    pub(super) fn idle_closes(&self) -> u64 {
        let shards = self.options.stats.iter().map(|stats| stats.idle_closes.get());
        self.idle_closes.get() + shards.sum::<u64>()
    }

    /// Notes how to end the connection that receives cancellations.
    pub(super) fn note_listening(&self, stopper: Stopper) {
        self.listening.replace(Some(stopper));
    }

    /// Notes how to end the connection that hears of changed queues.
    pub(super) fn note_ringing(&self, stopper: Stopper) {
        self.ringing.replace(Some(stopper));
    }

    /// Upkeep's connection is lost: that of a duty, or of the heartbeat alone. The other connections to that server may be
    /// lost too, so they are reopened.
    pub(super) fn lose_connections(&self, duty: Option<usize>) {
        if let Some(duty) = duty.and_then(|duty| self.duties.get(duty)) {
            duty.losses.set(duty.losses.get() + 1);
        }
        self.listen_anew();
        if let Some(stopper) = self.ringing.take() {
            stopper.stop();
        }
    }

    /// The connection that listens is reopened.
    pub(super) fn listen_anew(&self) {
        if let Some(stopper) = self.listening.take() {
            stopper.stop();
        }
    }
}
