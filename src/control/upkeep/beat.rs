//! One beat: what upkeep writes in one round trip, and what it wrote last.

use std::time::Instant;

use super::super::duty::Duty;
use super::super::figures::{figures, phase_name};
use super::super::state::Control;
use crate::limits::{FIGURES_INTERVAL_MAX, HEARTBEAT_TTL_EXTRA, LEASE};
use crate::resp::Requests;
use crate::store::process::{self, Holder, LeaseTimes};
use crate::store::scripts::Scripts;
use crate::time::unix_now;
use crate::wire::Realm;
use crate::wire::heartbeat::HeartbeatValue;

/// What is due at one moment.
pub(super) struct Beat<'c> {
    /// The moment.
    pub(super) at: Instant,
    /// The renewal of a lease.
    pub(super) lease: Option<LeaseBeat<'c>>,
    /// The first beat of a duty also sees to it that the counters are there, in this realm.
    pub(super) counters_of: Option<&'c Realm>,
    /// The heartbeat, with or without figures.
    pub(super) heartbeat: Option<Heartbeat>,
}

/// The renewal of the lease of a duty.
pub(super) struct LeaseBeat<'c> {
    pub(super) duty: &'c Duty,
    /// What it relies on.
    pub(super) known: LeaseTimes,
}

/// What a process shows of itself.
pub(super) struct Heartbeat {
    pub(super) key: String,
    phase: &'static str,
    /// The key of the one before, which goes; `None`: the same, or another connection sees to it.
    pub(super) old_key: Option<String>,
    ttl_s: u64,
    figures_key: String,
    figures: String,
    /// Whether the figures are written too.
    writes_figures: bool,
}

impl Beat<'_> {
    /// Appends it: the lease first, whose reply is then the first.
    pub(super) fn write(&self, scripts: &Scripts, requests: &mut Requests) {
        if let Some(LeaseBeat { duty, known }) = &self.lease {
            let length_ms = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
            let holder = Holder { member: &duty.options.lease_member, index: &duty.options.home };
            process::renew_lease(scripts, holder, *known, length_ms, duty.dead.names_wanted(), requests);
        }
        if let Some(Heartbeat { key, old_key, ttl_s, .. }) = &self.heartbeat {
            let value = HeartbeatValue { heartbeat: unix_now(), rss_kb: resident_kb() };
            process::heartbeat(key, &value.to_json(), *ttl_s, requests);
            if let Some(old_key) = old_key {
                process::drop_heartbeat(old_key, requests);
            }
        }
        if let Some(realm) = self.counters_of {
            process::touch_counters(realm, requests);
        }
        if let Some(heartbeat) = self.heartbeat.as_ref().filter(|heartbeat| heartbeat.writes_figures) {
            process::figures(&heartbeat.figures_key, &heartbeat.figures, heartbeat.ttl_s, requests);
        }
    }
}

/// What a process last showed of itself.
#[derive(Default)]
pub(super) struct Shown {
    /// When the last heartbeat was written, under which key, and in which phase.
    heartbeat: Option<(Instant, String, &'static str)>,
    /// The figures as last written, and when.
    figures: (String, Option<Instant>),
}

impl Shown {
    /// When the next heartbeat is due. `None`: at once, for what the last one said is not so any more.
    pub(super) fn due_at(&self, control: &Control) -> Option<Instant> {
        let (at, key, phase) = self.heartbeat.as_ref()?;
        let holds = control.settings.is_heartbeat_key(key) && *phase == phase_name(control);
        holds.then(|| *at + control.settings.get().stats_interval)
    }

    /// The key of the last heartbeat, if it is not this one.
    pub(super) fn old_key(&self, key: &str) -> Option<String> {
        self.heartbeat.as_ref().map(|(_, old, _)| old.clone()).filter(|old| old != key)
    }

    /// What the next heartbeat says. Figures are written when they have changed, or are old.
    pub(super) async fn next(&self, control: &Control, now: Instant) -> Heartbeat {
        // Taken together, before anything is awaited: a change meanwhile makes another beat due.
        let (key, phase) = (control.settings.heartbeat_key(), phase_name(control));
        let jobs = control.shards.running_jobs(&control.options.stats).await;
        let figures = figures(control, jobs).to_json();
        let stale = self.figures.1.is_none_or(|written| now - written >= FIGURES_INTERVAL_MAX);
        Heartbeat {
            phase,
            old_key: self.old_key(&key),
            ttl_s: (control.settings.get().stats_interval + HEARTBEAT_TTL_EXTRA).as_secs(),
            figures_key: figures_key(control, &key),
            writes_figures: stale || figures != self.figures.0,
            figures,
            key,
        }
    }

    /// Notes that this was written.
    pub(super) fn note(&mut self, heartbeat: Heartbeat, at: Instant) {
        if heartbeat.writes_figures {
            self.figures = (heartbeat.figures, Some(at));
        }
        self.heartbeat = Some((at, heartbeat.key, heartbeat.phase));
    }
}

/// Under which key the figures of this process stand while its heartbeat stands under that.
pub(super) fn figures_key(control: &Control, heartbeat_key: &str) -> String {
    control.options.keys.figures(heartbeat_key, &control.options.uuid)
}

/// Resident memory of this process in kB, from `/proc/self/statm`.
fn resident_kb() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE_KB)
}

/// Pages of x86-64 and of the usual arm64 kernels.
const PAGE_KB: u64 = 4;
