//! One beat: what upkeep writes in one round trip, and what it wrote last.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::super::duty::Duty;
use super::super::figures::{doing, figures, phase_name, troubles};
use super::super::state::Control;
use crate::limits::{
    FIGURES_INTERVAL_MAX, HEARTBEAT_TTL_EXTRA, IDENTITY_BEAT_MAX, LEASE, TROUBLE_LOOK, WATCHED_INTERVAL,
};
use crate::mesh::ToShard;
use crate::resp::Requests;
use crate::store::process::{self, Announcement, Doing, Holder, LeaseTimes, Renewal};
use crate::store::scripts::Scripts;
use crate::wire::figures::Trouble;
use crate::wire::{Presence, Realm};

/// What is due at one moment.
pub(super) struct Beat<'c> {
    /// The moment.
    pub(super) at: Instant,
    /// The renewal of a lease.
    pub(super) lease: Option<LeaseBeat<'c>>,
    /// The first beat of a duty also makes sure that the counters exist in this realm.
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

impl LeaseBeat<'_> {
    /// Acts on the result, over a connection that has been open for this long.
    pub(super) async fn act_on(&self, control: &Control, renewal: Renewal, stood: Duration) {
        let duty = self.duty;
        match renewal {
            Renewal::Renewed { ended, .. } if !ended.is_empty() && stood >= LEASE => duty.dead.name(ended),
            Renewal::Renewed { .. } => {}
            Renewal::Spoilt => duty.dead.complain_of_leases(duty.options.realm.leases.as_ref()),
            // A shard whose jobs run for long would otherwise learn of it only when the first of them ends.
            Renewal::Fenced => control.shards.send_all(&ToShard::LookForFence).await,
        }
    }
}

/// What a process shows of itself.
pub(super) struct Heartbeat {
    presence: Rc<Presence>,
    phase: &'static str,
    /// The previous one, which is removed; `None` if it is the same, or if another connection removes it.
    pub(super) before: Option<Rc<Presence>>,
    ttl_s: u64,
    doing: Doing,
    figures: String,
    /// What they say is wrong.
    troubles: Vec<Trouble>,
    /// Whether the figures are written too.
    writes_figures: bool,
}

impl Beat<'_> {
    /// Appends it, at this Unix time of Redis: the lease first, so that its reply comes first.
    pub(super) fn write(&self, now: f64, scripts: &Scripts, requests: &mut Requests) {
        if let Some(LeaseBeat { duty, known }) = &self.lease {
            let length_ms = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
            let holder = Holder { member: &duty.options.lease_member, index: &duty.options.home };
            process::renew_lease(scripts, holder, *known, length_ms, duty.dead.names_wanted(), requests);
        }
        if let Some(heartbeat) = &self.heartbeat {
            let announcement = Announcement {
                presence: &heartbeat.presence,
                before: heartbeat.before.as_deref(),
                now,
                rss_kb: resident_kb(),
                doing: &heartbeat.doing,
                figures: heartbeat.writes_figures.then_some(heartbeat.figures.as_str()),
                ttl_s: heartbeat.ttl_s,
            };
            process::announce(&announcement, requests);
        }
        if let Some(realm) = self.counters_of {
            process::touch_counters(realm, requests);
        }
    }
}

/// What a process last showed of itself.
#[derive(Default)]
pub(super) struct Shown {
    /// When the last heartbeat was written, under which name, and in which phase.
    heartbeat: Option<(Instant, Rc<Presence>, &'static str)>,
    /// The figures as last written, and when.
    figures: (String, Option<Instant>),
    /// What they say is wrong.
    troubles: Vec<Trouble>,
    /// The places of the running jobs that the last heartbeat listed for programs of others.
    listed: Vec<String>,
}

impl Shown {
    /// When the next heartbeat is due. `None`: at once, because what the last one said no longer holds.
    pub(super) fn due_at(&self, control: &Control) -> Option<Instant> {
        let (at, presence, phase) = self.heartbeat.as_ref()?;
        let holds = control.settings.is_present_as(presence)
            && *phase == phase_name(control)
            && !self.has_recovered(control);
        let interval = control.settings.get().stats_interval;
        let interval = if control.is_watched() { interval.min(WATCHED_INTERVAL) } else { interval };
        // Where how long a process counts as living is not ours to say.
        let interval = if process::converses(presence) { interval.min(IDENTITY_BEAT_MAX) } else { interval };
        holds.then(|| *at + interval)
    }

    /// When to ask [`Self::due_at`] again although nobody raised a flag: what the last one said is wrong ends in a shard,
    /// which publishes that in memory only.
    pub(super) fn looks_at(&self, now: Instant) -> Option<Instant> {
        (!self.troubles.is_empty()).then(|| now + TROUBLE_LOOK)
    }

    /// Whether something that the last one said is wrong no longer is.
    fn has_recovered(&self, control: &Control) -> bool {
        if self.troubles.is_empty() {
            return false;
        }
        let now = troubles(control);
        let lasts =
            |shown: &Trouble| now.iter().any(|now| (now.shard, now.what) == (shown.shard, shown.what));
        !self.troubles.iter().all(lasts)
    }

    /// How the process showed itself last, if that differs.
    pub(super) fn before(&self, presence: &Presence) -> Option<Rc<Presence>> {
        self.heartbeat.as_ref().map(|(_, before, _)| Rc::clone(before)).filter(|before| **before != *presence)
    }

    /// What the next heartbeat says. Figures are written when they have changed, or are old.
    pub(super) async fn next(&self, control: &Control, now: Instant) -> Heartbeat {
        // Taken together, before anything is awaited: a change meanwhile makes another beat due.
        let (presence, phase) = (control.settings.presence(), phase_name(control));
        let jobs = control.shards.running_jobs(&control.options.stats, || control.now()).await;
        let mut doing = doing(control, &presence, &jobs);
        doing.gone = self.listed.iter().filter(|worker| !doing.lists(worker)).cloned().collect();
        let figures = figures(control, jobs);
        let (figures, troubles) = (figures.to_json(), figures.troubles);
        let stale = self.figures.1.is_none_or(|written| now - written >= FIGURES_INTERVAL_MAX);
        Heartbeat {
            phase,
            before: self.before(&presence),
            ttl_s: (control.settings.get().stats_interval + HEARTBEAT_TTL_EXTRA).as_secs(),
            writes_figures: stale || figures != self.figures.0,
            doing,
            figures,
            troubles,
            presence,
        }
    }

    /// How it showed itself last.
    pub(super) fn presence(&self) -> Option<Rc<Presence>> {
        self.heartbeat.as_ref().map(|(_, presence, _)| Rc::clone(presence))
    }

    /// Notes that this was written.
    pub(super) fn note(&mut self, heartbeat: Heartbeat, at: Instant) {
        if heartbeat.writes_figures {
            self.figures = (heartbeat.figures, Some(at));
            self.troubles = heartbeat.troubles;
        }
        self.listed = heartbeat.doing.work.into_iter().map(|work| work.worker).collect();
        self.heartbeat = Some((at, heartbeat.presence, heartbeat.phase));
    }
}

/// Resident memory of this process in kB, from `/proc/self/statm`.
fn resident_kb() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE_KB)
}

/// The page size of x86-64 and of the usual arm64 kernels.
const PAGE_KB: u64 = 4;
