//! The lease, the heartbeat and the figures of a process: one task, one connection.
//!
//! Idle cost with the defaults: a lease renewal every 5 s (a script of two commands, and every 20 s, or as often as another
//! lease may end, a third), a heartbeat every 10 s, figures every 60 s while nothing changes. A change of the phase or of
//! the settings shows at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::Control;
use super::duty::Duty;
use super::link::{ControlLink, way_out};
use crate::event::Event;
use crate::limits::{
    CALL_TIMEOUT, FIGURES_INTERVAL_MAX, HEARTBEAT_TTL_EXTRA, LEASE, LEASE_RENEWAL, STOP_GRACE, STOP_PATIENCE,
};
use crate::mesh::ToShard;
use crate::net::Backoff;
use crate::resp::{Error, RedisErrorKind, RedisUrl, Requests};
use crate::store::process::{self, Holder, LeaseTimes, Renewal};
use crate::store::scripts::Scripts;
use crate::time::unix_now;
use crate::wire::Realm;
use crate::wire::heartbeat::HeartbeatValue;

/// Keeps a process known to its fleet.
pub(super) struct Upkeep {
    control: Rc<Control>,
    /// Which of control's; `None`: it keeps no lease.
    duty: Option<usize>,
    /// Whether it writes the heartbeat.
    beats: bool,
    /// The connection, and since when it stands.
    link: Option<(ControlLink, Instant)>,
    backoff: Backoff,
    lease_due: Instant,
    /// When the lease was last renewed.
    renewed_at: Option<Instant>,
    /// What renewals over this connection told.
    times: LeaseTimes,
    /// When one of them last asked whose lease has ended.
    asked_at: Option<Instant>,
    /// When the last heartbeat was written, under which key, and in which phase.
    beaten: Option<(Instant, String, &'static str)>,
    /// The figures as last written, and when.
    figures: (String, Option<Instant>),
    /// Since when Redis is gone.
    outage: Option<Instant>,
    first: bool,
}

impl Upkeep {
    /// All that a process needs: one for lease and heartbeat together. In a cluster these are on nodes of their own: one for
    /// the lease in each realm, and one for the heartbeat.
    pub(super) fn all(control: &Rc<Control>) -> Vec<Self> {
        if !control.options.url.is_cluster() {
            return vec![Self::new(Rc::clone(control), Some(0), true)];
        }
        let leases = (0..control.duties.len()).map(|duty| Self::new(Rc::clone(control), Some(duty), false));
        leases.chain([Self::new(Rc::clone(control), None, true)]).collect()
    }

    fn new(control: Rc<Control>, duty: Option<usize>, beats: bool) -> Self {
        let now = Instant::now();
        Self {
            control,
            duty,
            beats,
            link: None,
            backoff: Backoff::new(duty.unwrap_or(0) as u64),
            lease_due: now,
            renewed_at: None,
            times: LeaseTimes::default(),
            asked_at: None,
            beaten: None,
            figures: (String::new(), None),
            outage: None,
            first: true,
        }
    }

    /// Writes the first lease and heartbeat. Goes on until that has worked or a stop is asked for.
    pub(super) async fn begin(&mut self) {
        while self.first && !self.control.phase.get().ends() {
            let pause = self.beat_unless(|control| control.phase.get().ends()).await;
            if self.first {
                self.sleep(pause).await;
            }
        }
    }

    /// Renews until the shards have ended, then says farewell.
    pub(super) async fn run(mut self) {
        while self.control.ended.get().is_none() {
            let pause = self.beat_unless(|control| control.ended.get().is_some()).await;
            self.sleep(pause).await;
        }
        self.farewell().await;
    }

    /// Does what is due, or drops it with its connection as soon as it is of no use any more: a Redis that hangs must not
    /// hold the end up. How long to sleep.
    async fn beat_unless(&mut self, useless: impl Fn(&Control) -> bool) -> Duration {
        let (control, duty) = (Rc::clone(&self.control), self.duty);
        let dropped = async {
            while !useless(&control) {
                wakes(&control, duty).wait().await;
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
        let timer = async {
            Timer::new(pause).await;
        };
        futures_lite::future::or(wakes(&self.control, self.duty).wait(), timer).await;
    }

    /// Does what is due. How long to sleep.
    async fn beat_or_pause(&mut self) -> Duration {
        let begun = !self.first;
        let mut result = self.beat().await;
        if matches!(&result, Err(Error::Redis(error)) if error.kind() == RedisErrorKind::Noscript) {
            // A flushed script cache is no outage: opening anew loads the scripts.
            self.link = None;
            result = self.beat().await;
        }
        match result {
            Ok(()) => {
                self.backoff.reset();
                if let Some(since) = self.outage.take() {
                    if self.beats {
                        self.control.heartbeat_is_gone.set(false);
                    }
                    if begun {
                        // An idle shard's connections may have died as this one did, and it would not know for as long as
                        // it blocks in Redis, which is the longer the more shards and queues there are.
                        self.control.send_all(&ToShard::LookForFence).await;
                    }
                    tracing::info!(
                        of = self.queue(),
                        seconds = since.elapsed().as_secs_f64(),
                        "redis is back for the heartbeat"
                    );
                }
                let Some(mut due) = self.heartbeat_due() else { return Duration::ZERO };
                if self.duty.is_some() {
                    due = due.min(self.lease_due);
                }
                due.saturating_duration_since(Instant::now())
            }
            Err(error) => {
                self.link = None;
                self.control.lose_connections(self.duty);
                if self.outage.is_none() {
                    self.outage = Some(Instant::now());
                    if self.beats {
                        self.control.heartbeat_is_gone.set(true);
                    }
                    let run = way_out(&self.control, &self.url(), &error).await;
                    tracing::error!(of = self.queue(), %error, run, "redis is gone for the heartbeat; trying again");
                }
                self.backoff.pause()
            }
        }
    }

    /// When the next heartbeat is due. `None`: at once, for what the last one said of the process is not so any more.
    fn heartbeat_due(&self) -> Option<Instant> {
        if !self.beats {
            return Some(self.lease_due);
        }
        let control = &self.control;
        let (at, key, phase) = self.beaten.as_ref()?;
        let holds = *key == *control.heartbeat_key.borrow() && *phase == control.phase_name();
        holds.then(|| *at + control.settings.get().stats_interval)
    }

    async fn beat(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let lease = self.duty.is_some() && self.lease_due <= now;
        let heartbeat = self.beats && self.heartbeat_due().is_none_or(|due| due <= now);
        if !lease && !heartbeat {
            return Ok(());
        }
        let control = Rc::clone(&self.control);
        let duty = self.duty.map(|duty| &control.duties[duty]);
        let (key, phase) = (control.heartbeat_key.borrow().clone(), control.phase_name());
        let mut old_key = self.beaten.as_ref().map(|(_, old, _)| old.clone()).filter(|old| *old != key);
        // In a cluster the new key may be another node's: the old one goes over the connection that wrote it.
        let elsewhere = old_key.take_if(|_| control.options.url.is_cluster() && heartbeat);
        let before = elsewhere.and_then(|old| Some((self.link.take()?.0, old)));
        let ttl_s = (control.settings.get().stats_interval + HEARTBEAT_TTL_EXTRA).as_secs();
        let figures =
            if heartbeat { control.figures(control.running_jobs().await).to_json() } else { String::new() };
        let stale = self.figures.1.is_none_or(|written| now - written >= FIGURES_INTERVAL_MAX);
        let write_figures = heartbeat && (stale || figures != self.figures.0);
        let first = self.first;
        let times = self.times_at(now);
        let write = |scripts: &Scripts, requests: &mut Requests| {
            if let (true, Some(duty)) = (lease, duty) {
                let length_ms = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
                let names_max = duty.dead.names_wanted();
                let options = &duty.options;
                let holder = Holder { member: &options.lease_member, index: &options.home };
                process::renew_lease(scripts, holder, times, length_ms, names_max, requests);
            }
            if heartbeat {
                let value = HeartbeatValue { heartbeat: unix_now(), rss_kb: resident_kb() };
                process::heartbeat(&key, &value.to_json(), ttl_s, requests);
                if let Some(old_key) = &old_key {
                    process::drop_heartbeat(old_key, requests);
                }
            }
            if let (true, Some(duty)) = (first, duty) {
                process::touch_counters(&duty.options.realm, requests);
            }
            if write_figures {
                process::figures(&control.figures_key(&key), &figures, ttl_s, requests);
            }
        };
        if self.link.is_none() {
            self.link = Some((self.open().await?, now));
        }
        let Some((link, since)) = &mut self.link else { return Err(Error::Closed) };
        if self.renewed_at.is_some_and(|renewed_at| now - renewed_at >= LEASE) {
            // This process was paused for longer than its own lease, and so, perhaps, was its whole fleet.
            *since = now;
        }
        let stood = now - *since;
        let replies = link.call(write).await?;
        if let (true, Some(duty), Some(reply)) = (lease, duty, replies.first()) {
            let renewal = process::read_lease(reply)?;
            self.note_renewal(&renewal, times, now);
            control.heed(duty, renewal, stood).await;
        }
        if heartbeat {
            self.beaten = Some((now, key, phase));
        }
        if let Some((link, old)) = before {
            drop_elsewhere(&control, link, &old).await;
        }
        self.first = false;
        if write_figures {
            self.figures = (figures, Some(now));
        }
        Ok(())
    }

    /// The lease was renewed, with what was known before.
    fn note_renewal(&mut self, renewal: &Renewal, known: LeaseTimes, now: Instant) {
        if let Renewal::Renewed { times: told, .. } = renewal {
            if told.none_ends_until_ms != known.none_ends_until_ms {
                self.asked_at = Some(now);
            }
            self.times = *told;
        }
        self.renewed_at = Some(now);
        self.lease_due = now + LEASE_RENEWAL;
    }

    /// What a renewal may rely on. Nothing, over a new connection: what happened meanwhile, and to which server, is unknown.
    fn times_at(&self, now: Instant) -> LeaseTimes {
        if self.link.is_none() {
            return LeaseTimes::default();
        }
        // By this clock too: Redis's may be set, and who was paused should ask rather than reckon.
        let lately = |at: Option<Instant>, within| at.is_some_and(|at| now - at < within);
        let told = self.times;
        LeaseTimes {
            ends_ms: if lately(self.renewed_at, 2 * LEASE_RENEWAL) { told.ends_ms } else { 0 },
            none_ends_until_ms: if lately(self.asked_at, LEASE) { told.none_ends_until_ms } else { 0 },
        }
    }

    /// Takes the heartbeat and the figures away, and the lease if nothing is left in flight. Where the shards could not
    /// reach Redis either, once is enough.
    async fn farewell(&mut self) {
        let deadline = Instant::now() + STOP_GRACE;
        loop {
            let late = async {
                Timer::new(STOP_PATIENCE).await;
                Err(Error::Timeout { what: "say farewell".to_owned(), after: STOP_PATIENCE })
            };
            let Err(error) = futures_lite::future::or(self.try_farewell(), late).await else { return };
            self.link = None;
            if self.control.ended.get() == Some(false) || Instant::now() >= deadline {
                tracing::warn!(%error, "the heartbeat could not be removed; it expires by itself");
                return;
            }
            Timer::new(self.backoff.pause()).await;
        }
    }

    async fn try_farewell(&mut self) -> Result<(), Error> {
        let control = Rc::clone(&self.control);
        let key = control.heartbeat_key.borrow().clone();
        let old_key = self.beaten.as_ref().map(|(_, old, _)| old.clone()).filter(|old| *old != key);
        if self.link.is_none() {
            self.link = Some((self.open().await?, Instant::now()));
        }
        let Some((link, _)) = &mut self.link else { return Err(Error::Closed) };
        let lease = self.duty.filter(|_| control.ended.get() == Some(true));
        let lease = lease.map(|duty| &control.duties[duty].options);
        let beats = self.beats;
        link.call(|_, requests| {
            if beats {
                process::farewell(&key, &control.figures_key(&key), requests);
            }
            if let Some(options) = lease {
                process::give_up_lease(&options.realm, &options.lease_member, requests);
            }
            if let Some(old_key) = &old_key {
                process::drop_heartbeat(old_key, requests);
            }
        })
        .await?;
        Ok(())
    }

    /// Opens the connection that this upkeep needs.
    async fn open(&self) -> Result<ControlLink, Error> {
        let control = &self.control;
        match self.duty {
            Some(duty) => ControlLink::open(control, duty, "control").await,
            None => ControlLink::open_in(control, &self.url(), Realm::SHARED, "control").await,
        }
    }

    /// Where its duty is, else the heartbeat.
    fn url(&self) -> RedisUrl {
        let control = &self.control;
        match self.duty {
            Some(duty) => control.duties[duty].options.url.clone(),
            None => control.options.url.at_key(control.heartbeat_key.borrow().as_bytes()),
        }
    }

    /// The one queue its lease is of, in a cluster: for the log.
    fn queue(&self) -> Option<&str> {
        self.control.duties[self.duty?].queue()
    }
}

impl Control {
    /// Under which key the figures of this process stand, while its heartbeat stands under that.
    fn figures_key(&self, heartbeat_key: &str) -> String {
        Realm::figures(heartbeat_key, &self.options.uuid, self.options.url.is_cluster())
    }

    /// What the renewal of the lease told, over a connection that has stood for so long.
    async fn heed(&self, duty: &Duty, renewal: Renewal, stood: Duration) {
        match renewal {
            Renewal::Renewed { ended, .. } if !ended.is_empty() && stood >= LEASE => duty.dead.name(ended),
            Renewal::Renewed { .. } => {}
            Renewal::Spoilt => duty.dead.complain_of_leases(duty.options.realm.leases.as_ref()),
            // A shard whose jobs run for long would learn of it only when the first of them ends.
            Renewal::Fenced => self.send_all(&ToShard::LookForFence).await,
        }
    }
}

/// Takes a heartbeat away that is under an old key, over the connection that wrote it. What stays in spite of that expires
/// by itself.
async fn drop_elsewhere(control: &Control, mut link: ControlLink, old: &str) {
    let figures_key = control.figures_key(old);
    let _gone = link.call(|_, requests| process::farewell(old, &figures_key, requests)).await;
}

/// What wakes an upkeep.
fn wakes(control: &Control, duty: Option<usize>) -> &Event {
    duty.map_or(&control.changed, |duty| &control.duties[duty].changed)
}

/// Resident memory of this process in kB, from `/proc/self/statm`.
fn resident_kb() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE_KB)
}

/// Pages of x86-64 and of the usual arm64 kernels.
const PAGE_KB: u64 = 4;

const _: () = assert!(LEASE.as_millis() >= 2 * (LEASE_RENEWAL.as_millis() + CALL_TIMEOUT.as_millis() / 2));
