//! The lease, the heartbeat and the figures of a process: one task, one connection.
//!
//! Idle cost with the defaults: a lease renewal every 5 s (a script of two commands, and every 20 s, or as often as another
//! lease may end, a third), a heartbeat every 10 s, figures every 60 s while nothing changes. A change of the phase or of
//! the settings shows at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::Control;
use super::link::{ControlLink, way_out};
use crate::limits::{
    CALL_TIMEOUT, FIGURES_INTERVAL_MAX, HEARTBEAT_TTL_EXTRA, LEASE, LEASE_RENEWAL, STOP_GRACE, STOP_PATIENCE,
};
use crate::mesh::ToShard;
use crate::resp::{Backoff, Error, RedisErrorKind, Requests};
use crate::store::process::{self, Holder, LeaseTimes, Renewal};
use crate::store::scripts::Scripts;
use crate::time::unix_now;
use crate::wire::heartbeat::HeartbeatValue;

/// Keeps a process known to its fleet.
pub(super) struct Upkeep {
    control: Rc<Control>,
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
    pub(super) fn new(control: Rc<Control>) -> Self {
        let now = Instant::now();
        Self {
            control,
            link: None,
            backoff: Backoff::new(0),
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
        let control = Rc::clone(&self.control);
        let dropped = async {
            while !useless(&control) {
                control.changed.wait().await;
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
        futures_lite::future::or(self.control.changed.wait(), timer).await;
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
                    self.control.heartbeat_is_gone.set(false);
                    if begun {
                        // An idle shard's connections may have died as this one did, and it would not know for as long as
                        // it blocks in Redis, which is the longer the more shards and queues there are.
                        self.control.send_all(&ToShard::LookForFence).await;
                    }
                    tracing::info!(
                        seconds = since.elapsed().as_secs_f64(),
                        "redis is back for the heartbeat"
                    );
                }
                let Some(heartbeat_due) = self.heartbeat_due() else { return Duration::ZERO };
                self.lease_due.min(heartbeat_due).saturating_duration_since(Instant::now())
            }
            Err(error) => {
                self.link = None;
                self.control.lose_connections();
                if self.outage.is_none() {
                    self.outage = Some(Instant::now());
                    self.control.heartbeat_is_gone.set(true);
                    let run = way_out(&self.control, &error).await;
                    tracing::error!(%error, run, "redis is gone for the heartbeat; trying again");
                }
                self.backoff.pause()
            }
        }
    }

    /// When the next heartbeat is due. `None`: at once, for what the last one said of the process is not so any more.
    fn heartbeat_due(&self) -> Option<Instant> {
        let control = &self.control;
        let (at, key, phase) = self.beaten.as_ref()?;
        let holds = *key == *control.heartbeat_key.borrow() && *phase == control.phase_name();
        holds.then(|| *at + control.settings.get().stats_interval)
    }

    async fn beat(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let lease = self.lease_due <= now;
        let heartbeat = self.heartbeat_due().is_none_or(|due| due <= now);
        if !lease && !heartbeat {
            return Ok(());
        }
        let control = Rc::clone(&self.control);
        let options = &control.options;
        let (key, phase) = (control.heartbeat_key.borrow().clone(), control.phase_name());
        let old_key = self.beaten.as_ref().map(|(_, old, _)| old.clone()).filter(|old| *old != key);
        let ttl_s = (control.settings.get().stats_interval + HEARTBEAT_TTL_EXTRA).as_secs();
        let figures =
            if heartbeat { control.figures(control.running_jobs().await).to_json() } else { String::new() };
        let stale = self.figures.1.is_none_or(|written| now - written >= FIGURES_INTERVAL_MAX);
        let write_figures = heartbeat && (stale || figures != self.figures.0);
        let first = self.first;
        let times = self.times_at(now);
        let write = |scripts: &Scripts, requests: &mut Requests| {
            if lease {
                let length_ms = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
                let names_max = control.dead.names_wanted();
                let holder = Holder { member: &options.lease_member, index: &options.home };
                process::renew_lease(scripts, holder, times, length_ms, names_max, requests);
            }
            if heartbeat {
                let value = HeartbeatValue { heartbeat: unix_now(), rss_kb: resident_kb() };
                process::heartbeat(&key, &value.to_json(), ttl_s, requests);
                if let Some(old_key) = &old_key {
                    process::drop_heartbeat(old_key, requests);
                }
                if first {
                    process::touch_counters(requests);
                }
            }
            if write_figures {
                process::figures(&options.uuid, &figures, ttl_s, requests);
            }
        };
        if self.link.is_none() {
            self.link = Some((ControlLink::open(&control, "control").await?, now));
        }
        let Some((link, since)) = &mut self.link else { return Err(Error::Closed) };
        if self.renewed_at.is_some_and(|renewed_at| now - renewed_at >= LEASE) {
            // This process was paused for longer than its own lease, and so, perhaps, was its whole fleet.
            *since = now;
        }
        let replies = link.call(write).await?;
        if let (true, Some(reply)) = (lease, replies.first()) {
            let renewal = process::read_lease(reply)?;
            if let Renewal::Renewed { times: told, .. } = &renewal {
                if told.none_ends_until_ms != times.none_ends_until_ms {
                    self.asked_at = Some(now);
                }
                self.times = *told;
            }
            control.heed(renewal, now - *since).await;
        }
        if lease {
            self.renewed_at = Some(now);
            self.lease_due = now + LEASE_RENEWAL;
        }
        if heartbeat {
            self.beaten = Some((now, key, phase));
            self.first = false;
        }
        if write_figures {
            self.figures = (figures, Some(now));
        }
        Ok(())
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
        let options = &self.control.options;
        let key = self.control.heartbeat_key.borrow().clone();
        let old_key = self.beaten.as_ref().map(|(_, old, _)| old.clone()).filter(|old| *old != key);
        if self.link.is_none() {
            self.link = Some((ControlLink::open(&self.control, "control").await?, Instant::now()));
        }
        let Some((link, _)) = &mut self.link else { return Err(Error::Closed) };
        let member = (self.control.ended.get() == Some(true)).then_some(&*options.lease_member);
        link.call(|_, requests| {
            process::farewell(&key, &options.uuid, member, requests);
            if let Some(old_key) = &old_key {
                process::drop_heartbeat(old_key, requests);
            }
        })
        .await?;
        Ok(())
    }
}

impl Control {
    /// What the renewal of the lease told, over a connection that has stood for so long.
    async fn heed(&self, renewal: Renewal, stood: Duration) {
        match renewal {
            Renewal::Renewed { ended, .. } if !ended.is_empty() && stood >= LEASE => self.dead.name(ended),
            Renewal::Renewed { .. } => {}
            // A shard whose jobs run for long would learn of it only when the first of them ends.
            Renewal::Fenced => self.send_all(&ToShard::LookForFence).await,
        }
    }
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
