//! The lease, the heartbeat and the figures of a process: one task, one connection. Each renewal of the lease also reads
//! Redis's clock, by which control and the shards go until the next.
//!
//! Idle cost with the defaults: a lease renewal every 5 s (a script of two commands, plus a third every 20 s, or as often
//! as another lease may end), a heartbeat every 10 s, figures every 60 s while nothing changes. A change of the phase or of
//! the settings shows at once, the end of a trouble soon. While someone watches (`top`), both come once a second.
//!
//! When the time of a stop is over the heartbeat is removed, while the shards hand back what still runs. The lease stays,
//! and is renewed, until they have ended.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::actor::Actor;
use super::link::{ControlLink, way_out};
use super::state::Control;
use crate::limits::{
    CLOCK_SKEW_MAX_S, FAREWELL_LIMIT, FAREWELL_LIMIT_LATE, FAREWELL_TRY_MIN, LEASE, STOP_END,
};
use crate::mesh::ToShard;
use crate::net::{Backoff, Error};
use crate::resp::RedisUrl;
use crate::store::process::{self, Renewal};
use crate::store::scripts;
use crate::time::Asked;
use crate::timeout::within;
use crate::wire::{Cause, Causes, Presence};

mod beat;
mod converse;
mod metrics;
mod renewals;

use beat::{Beat, LeaseBeat, Shown};
use converse::leave;
use metrics::Metrics;
use renewals::Renewals;

/// Keeps a process visible to its fleet.
pub(super) struct Upkeep {
    // Fixed.
    control: Rc<Control>,
    /// The duty whose lease it keeps; `None` if it keeps none.
    duty: Option<usize>,
    // Changed at the end.
    /// Whether it writes the heartbeat, or still has to remove it.
    beats: bool,
    // The connection, and since when it has been open.
    link: Option<(ControlLink, Instant)>,
    backoff: Backoff,
    /// Since when Redis is gone, and whether the last attempt met a replica.
    outage: Option<Instant>,
    met_replica: bool,
    /// What was logged about it.
    causes: Causes,
    /// Whether a spoilt key was logged.
    has_complained: bool,
    // What was written.
    renewals: Renewals,
    shown: Shown,
    metrics: Metrics,
    first: bool,
}

/// Writes the first lease and heartbeat. Keeps trying until that works or a stop is asked for.
///
/// One upkeep keeps lease and heartbeat together. In a cluster these are on different nodes, so there is one upkeep for the
/// lease in each realm, and one for the heartbeat.
pub(super) async fn begin(control: &Rc<Control>) -> Vec<Upkeep> {
    let new = |duty, beats| Upkeep::new(Rc::clone(control), duty, beats);
    let mut upkeeps = if control.options.url.is_cluster() {
        let leases = (0..control.duties.len()).map(|duty| new(Some(duty), false));
        leases.chain([new(None, true)]).collect()
    } else {
        vec![new(Some(0), true)]
    };
    for upkeep in &mut upkeeps {
        upkeep.begin().await;
    }
    upkeeps
}

/// Starts renewing. It ends by itself once the shards have ended, with a farewell.
pub(super) fn spawn(upkeep: Upkeep) -> Actor {
    Actor::spawn(upkeep.run())
}

impl Upkeep {
    fn new(control: Rc<Control>, duty: Option<usize>, beats: bool) -> Self {
        Self {
            control,
            duty,
            beats,
            link: None,
            backoff: Backoff::new(duty.unwrap_or(0) as u64),
            outage: None,
            met_replica: false,
            causes: Causes::default(),
            has_complained: false,
            renewals: Renewals::new(Instant::now()),
            shown: Shown::default(),
            metrics: Metrics::default(),
            first: true,
        }
    }

    async fn begin(&mut self) {
        while self.first && !self.control.phase().ends() {
            let pause = self.beat_unless(|control| control.phase().ends()).await;
            if self.first {
                self.sleep(pause).await;
            }
        }
    }

    async fn run(mut self) {
        while self.control.ended().is_none() {
            // A beat under way when the time is over may hang: the heartbeat is removed over another connection.
            let drops = self.beats && !self.control.parts();
            let useless = |control: &Control| control.ended().is_some() || (drops && control.parts());
            let pause = self.beat_unless(useless).await;
            self.sleep(pause).await;
        }
        self.farewell().await;
    }

    /// Does what is due, or drops it with its connection as soon as it is no longer of use: a Redis that hangs must not
    /// delay the end. Returns how long to sleep.
    async fn beat_unless(&mut self, useless: impl Fn(&Control) -> bool) -> Duration {
        let (control, duty) = (Rc::clone(&self.control), self.duty);
        let dropped = async {
            while !useless(&control) {
                let until_over = control.until_over();
                let pause = if until_over.is_zero() { STOP_END } else { until_over };
                control.upkeep_wakes(duty).wait_for(pause).await;
            }
            None
        };
        let beat = async { Some(self.beat_or_pause().await) };
        if let Some(pause) = futures_lite::future::or(beat, dropped).await {
            return pause;
        }
        self.link = None;
        Duration::ZERO
    }

    async fn sleep(&self, pause: Duration) {
        let until_over = self.control.until_over();
        let pause = if self.beats && !until_over.is_zero() { pause.min(until_over) } else { pause };
        self.control.upkeep_wakes(self.duty).wait_for(pause).await;
    }

    /// Does what is due. Returns how long to sleep.
    async fn beat_or_pause(&mut self) -> Duration {
        let had_begun = !self.first;
        let mut result = self.beat().await;
        if let Err(error) = &result
            && self.is_no_outage(error)
        {
            let was_idle = error.is_of_idleness();
            self.link = None;
            result = self.beat().await;
            if was_idle && result.is_ok() {
                self.control.note_idle_close();
            }
        }
        match result {
            Ok(()) => {
                self.end_outage(had_begun).await;
                self.until_due()
            }
            Err(error) => {
                self.enter_outage(&error).await;
                self.backoff.pause()
            }
        }
    }

    /// Whether reopening is all that needs doing: that loads the scripts after a flush of their cache, and replaces a
    /// connection that was closed while idle.
    fn is_no_outage(&self, error: &Error) -> bool {
        if error.is_of_idleness() && self.outage.is_none() {
            tracing::debug!(%error, "heartbeat: opening another connection");
            return true;
        }
        matches!(error, Error::Redis(error) if scripts::is_forgotten(error))
    }

    async fn end_outage(&mut self, had_begun: bool) {
        self.backoff.reset();
        let Some(since) = self.outage.take() else { return };
        self.causes = Causes::default();
        if self.beats {
            self.control.note_heartbeat(None);
        }
        if std::mem::take(&mut self.met_replica) {
            // A subscription that was made since the last attempt may be at the replica, which takes it and stays silent.
            self.control.listen_anew();
        }
        if had_begun {
            // An idle shard's connections may have died as this one did, and it would not notice while it blocks in Redis,
            // which takes longer the more shards and queues there are.
            self.control.shards.send_all(&ToShard::LookForFence).await;
        }
        let seconds = since.elapsed().as_secs_f64();
        tracing::info!(of = self.queue(), seconds, "heartbeat: connected to redis again");
    }

    async fn enter_outage(&mut self, error: &Error) {
        self.link = None;
        self.control.lose_connections(self.duty);
        self.outage.get_or_insert_with(Instant::now);
        let cause = error.cause();
        self.met_replica = cause == Cause::Replica;
        if self.beats {
            self.control.note_heartbeat(Some(cause));
        }
        if !self.causes.are_news(cause, Instant::now()) {
            tracing::debug!(of = self.queue(), %error, "heartbeat: another attempt failed");
            return;
        }
        let run = way_out(&self.control, &self.url(), error).await;
        if cause == Cause::Gone {
            tracing::error!(of = self.queue(), %error, run, "heartbeat: lost the connection to redis; trying again");
        } else {
            tracing::error!(of = self.queue(), %cause, %error, run, "heartbeat: cannot write it; trying again");
        }
    }

    /// How long until something is due.
    fn until_due(&self) -> Duration {
        let now = Instant::now();
        let lease = self.duty.map(|_| self.renewals.due_at());
        let heartbeat = self.beats.then(|| self.heartbeat_due_at().unwrap_or(now));
        let due = [lease, heartbeat, self.shown.looks_at(now)].into_iter().flatten().min();
        // An upkeep that has nothing left to do waits for the end of the shards.
        due.map_or(LEASE, |due| due.saturating_duration_since(now))
    }

    /// When the next heartbeat is due. `None`: at once, because what the last one said of the process no longer holds.
    fn heartbeat_due_at(&self) -> Option<Instant> {
        self.shown.due_at(&self.control).filter(|_| !self.control.parts())
    }

    /// Writes what is due, if anything: lease, heartbeat and figures in one round trip.
    async fn beat(&mut self) -> Result<(), Error> {
        let control = Rc::clone(&self.control);
        if self.beats && control.parts() {
            return self.try_farewell().await;
        }
        let Some(mut beat) = self.next_beat(&control).await else { return Ok(()) };
        let moved_from = self.leave_node(&mut beat);
        let (link, since) = match self.link.take() {
            Some(open) => self.link.insert(open),
            None => {
                let opened = self.open().await?;
                self.link.insert((opened, beat.at))
            }
        };
        if self.renewals.lapsed(beat.at) {
            *since = beat.at;
        }
        let stood = beat.at - *since;
        let (asked, now) = (Asked::now(), control.now());
        let sent = Instant::now();
        let replies = link.replies(|scripts, requests| beat.write(now, scripts, requests)).await?;
        control.note_round_trip(sent.elapsed());
        if let (Some(lease), Some(reply)) = (&beat.lease, replies.first()) {
            let LeaseBeat { duty, known } = lease;
            let (clock, renewal) = process::read_lease(reply)?;
            // After a slow answer nobody can say yet how far the clocks are from each other.
            if duty.options.clock.learn(asked, clock).as_secs_f64() < CLOCK_SKEW_MAX_S / 2.0 {
                control.note_skew();
            }
            self.renewals.note(&renewal, *known, beat.at);
            if matches!(renewal, Renewal::Renewed { .. }) {
                control.options.published.leased_at.mark();
            }
            lease.act_on(&control, renewal, stood).await;
        }
        self.judge(replies)?;
        let beats = beat.heartbeat.is_some();
        if let Some(heartbeat) = beat.heartbeat {
            self.shown.note(heartbeat, beat.at);
        }
        if beats {
            self.converse(&control).await?;
        }
        if let Some((link, before)) = moved_from {
            leave(link, &before).await;
        }
        self.first = false;
        Ok(())
    }

    /// What is due now; `None` if nothing is.
    async fn next_beat<'c>(&self, control: &'c Control) -> Option<Beat<'c>> {
        let at = Instant::now();
        let lease_is_due = self.renewals.due_at() <= at;
        let heartbeat_is_due = self.beats && self.heartbeat_due_at().is_none_or(|due_at| due_at <= at);
        let duty = self.duty.map(|duty| &control.duties[duty]);
        let lease = duty.filter(|_| lease_is_due).map(|duty| {
            let known = self.link.as_ref().map(|_| self.renewals.known(at));
            LeaseBeat { duty, known: known.unwrap_or_default() }
        });
        if lease.is_none() && !heartbeat_is_due {
            return None;
        }
        let heartbeat = if heartbeat_is_due { Some(self.shown.next(control, at).await) } else { None };
        let counters_of = duty.filter(|_| self.first).map(|duty| &duty.options.realm);
        Some(Beat { at, lease, counters_of, heartbeat })
    }

    /// In a cluster a new heartbeat may belong to another node: the old one is then removed over the connection that wrote
    /// it, after the new one is written.
    fn leave_node(&mut self, beat: &mut Beat<'_>) -> Option<(ControlLink, Rc<Presence>)> {
        let before = beat.heartbeat.as_mut()?.before.take_if(|_| self.control.options.url.is_cluster())?;
        Some((self.link.take()?.0, before))
    }

    /// Removes the heartbeat and the figures, and the lease if nothing is left in flight. If the shards could not reach
    /// Redis either, one attempt is enough.
    async fn farewell(&mut self) {
        let was_told = self.control.ended() != Some(false);
        let deadline =
            self.control.farewell_ends(if was_told { FAREWELL_LIMIT } else { FAREWELL_LIMIT_LATE });
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = left.min((left / 2).max(FAREWELL_TRY_MIN));
            let said = within(limit, self.try_farewell()).await;
            let late = || Err(Error::Timeout { what: "remove the heartbeat".to_owned(), after: limit });
            let Err(error) = said.unwrap_or_else(late) else { return };
            self.link = None;
            if !was_told || Instant::now() >= deadline {
                tracing::warn!(%error, "the heartbeat could not be removed; it expires by itself");
                return;
            }
            Timer::new(self.backoff.pause()).await;
        }
    }

    async fn try_farewell(&mut self) -> Result<(), Error> {
        let control = Rc::clone(&self.control);
        let presence = control.settings.presence();
        let before = self.shown.before(&presence);
        let lease = self.duty.filter(|_| control.ended() == Some(true));
        let lease = lease.map(|duty| &control.duties[duty].options);
        if !self.beats && lease.is_none() {
            // The heartbeat is gone, but the lease stays.
            return Ok(());
        }
        if self.link.is_none() {
            self.link = Some((self.open().await?, Instant::now()));
        }
        let beats = self.beats;
        let (told, metrics) = if beats { self.last_words(&control, &presence) } else { Default::default() };
        let Some((link, _)) = &mut self.link else { return Err(Error::Closed) };
        let replies = link.replies(|_, requests| {
            if beats {
                process::farewell(&presence, told, metrics.as_ref(), requests);
            }
            if let Some(options) = lease {
                process::give_up_lease(&options.realm, &options.lease_member, requests);
            }
            if let Some(before) = &before {
                process::withdraw(before, requests);
            }
        });
        let replies = replies.await?;
        self.judge(replies)?;
        self.beats = false;
        Ok(())
    }

    /// Opens the connection that this upkeep needs.
    async fn open(&self) -> Result<ControlLink, Error> {
        let control = &self.control;
        let Some(duty) = self.duty else {
            let realm = control.options.keys.shared_realm();
            return ControlLink::open_in(control, &self.url(), realm, "control").await;
        };
        ControlLink::open(control, duty, "control").await
    }

    /// Where its duty is, otherwise where the heartbeat is.
    fn url(&self) -> RedisUrl {
        let control = &self.control;
        match self.duty {
            Some(duty) => control.duties[duty].options.url.clone(),
            None => control.options.url.at_key(control.settings.presence().heartbeat_key().as_bytes()),
        }
    }

    /// The queue its lease is for, in a cluster: for the log.
    fn queue(&self) -> Option<&str> {
        self.control.duties[self.duty?].queue()
    }
}
