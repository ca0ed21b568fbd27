//! What this process reports about itself: in its figures for the fleet, to the service manager, and in the log.

use std::time::Duration;

use super::left;
use super::options::Expected;
use super::state::Control;
use crate::limits::{CALL_TIMEOUT, STALLED_AFTER, WATCH_PERIOD, WORK_SHOWN_MAX};
use crate::shutdown::Phase;
use crate::stats::ShardStats;
use crate::store::process::Doing;
use crate::wire::figures::{Ailment, Figures, RunningJob, ShardFigures, Trouble};
use crate::wire::sidekiq_process::{self, Work};
use crate::wire::{Cause, Presence, Shape};

/// What is wrong with the shards now.
pub(super) fn troubles(control: &Control) -> Vec<Trouble> {
    let fetches = control.phase().fetches();
    let Expected { slots, block_time } = &control.options.expected;
    let silence_max = *block_time + CALL_TIMEOUT + WATCH_PERIOD;
    let shards = control.options.stats.iter().zip(slots).enumerate();
    shards
        .filter_map(|(shard, (stats, &slots))| {
            // With every slot taken, a shard asks nothing of Redis.
            let asks = fetches && stats.running.get() < slots as u64;
            let (what, age) = Ages::of(stats).ailment(asks.then_some(silence_max))?;
            let why = Cause::of_number(stats.outage_cause.get()).filter(|_| what == Ailment::NoRedis);
            Some(Trouble { shard, what, since: control.now() - age.as_secs_f64(), why })
        })
        .collect()
}

/// The phase as shown to others.
pub(super) fn phase_name(control: &Control) -> &'static str {
    match control.phase() {
        Phase::Running => "running",
        Phase::Quiet => "quiet",
        Phase::Stopping { .. } => "stopping",
    }
}

/// The figures of this process; `jobs` are those running now.
pub(super) fn figures(control: &Control, jobs: Vec<RunningJob>) -> Figures {
    let shards = control.options.stats.iter().zip(&control.options.expected.slots);
    Figures {
        phase: phase_name(control).to_owned(),
        troubles: troubles(control),
        shards: shards.map(|(stats, slots)| shard_figures(stats, *slots)).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        program: control.options.program.clone(),
        tag: control.options.tag.clone(),
        jobs,
        dead_jobs_max: control.settings.get().dead_jobs_max,
        dead_timeout_s: control.settings.get().dead_timeout.as_secs(),
        clock_skew_s: control.clock_skew(),
        heartbeat_s: control.settings.get().stats_interval.as_secs().max(1),
        heartbeat_key: control.settings.presence().heartbeat_key().to_owned(),
        balance: control.assignment(),
        left: left::names(&control.options.stats),
        names: control.options.names.get().cloned().flatten(),
    }
}

/// What this process does, as far as programs of others show it. `jobs` are those running now.
pub(super) fn doing(control: &Control, presence: &Presence, jobs: &[RunningJob]) -> Doing {
    let mut doing = Doing {
        busy: control.options.stats.iter().map(|stats| stats.running.get()).sum(),
        is_quiet: !control.phase().fetches(),
        round_trip: control.round_trip(),
        ..Doing::default()
    };
    if let Shape::Hash { .. } = presence.shape() {
        let listed = jobs.iter().take(WORK_SHOWN_MAX).enumerate();
        doing.work = listed.map(|(at, job)| work_of(control, at, job)).collect();
    }
    doing
}

fn work_of(control: &Control, at: usize, job: &RunningJob) -> Work {
    let RunningJob { shard, name, jid, since, queue, payload } = job;
    let worker = format!("{shard}-{at}");
    if payload.is_empty() {
        let stand_in = control.options.schema.stand_in(name, jid, queue);
        return sidekiq_process::work(worker, queue, &stand_in, *since);
    }
    sidekiq_process::work(worker, queue, payload, *since)
}

/// Logs what runs, and since when: the longest-running jobs.
pub(super) async fn log_running(control: &Control) {
    let jobs = control.shards.running_jobs(&control.options.stats, || control.now()).await;
    let now = control.now();
    tracing::info!(target: "health", running = jobs.len(), "asked from outside what runs");
    for RunningJob { shard, name, jid, since, .. } in &jobs {
        tracing::info!(target: "health", shard, name, jid, seconds = now - since, "running");
    }
}

/// Logs the health of the process: a signal asks for it, and it works even when Redis cannot be reached.
pub(super) fn log_health(control: &Control) {
    let figures = figures(control, Vec::new());
    let now = control.now();
    let troubles: Vec<String> = figures.troubles.iter().map(|trouble| trouble.at(now).to_string()).collect();
    let lost = control.heartbeat_is_lost();
    // Until the first lease is written the shards do not start, and notice no outage.
    let begun = control.options.stats.iter().any(|stats| stats.answered_at.age().is_some());
    let health = match lost.filter(|_| !begun) {
        _ if !troubles.is_empty() => troubles.join(", "),
        Some(cause) => format!("no shard has started: {cause}"),
        None => "ok".to_owned(),
    };
    let sum = |field: fn(&ShardFigures) -> u64| figures.shards.iter().map(field).sum::<u64>();
    tracing::info!(
        // Anyone who keeps asking gets an answer each time: this line is not among those summed up in a flood.
        target: "health",
        phase = figures.phase,
        health,
        heartbeat = lost.map_or("ok", Cause::as_str),
        processed = sum(|shard| shard.processed),
        failed = sum(|shard| shard.failed),
        running = sum(|shard| shard.running),
        unstarted = sum(|shard| shard.unstarted),
        disconnects = sum(|shard| shard.disconnects),
        "health"
    );
}

/// How long ago each thing that a shard publishes happened.
#[derive(Debug, Clone, Copy, Default)]
struct Ages {
    turned: Option<Duration>,
    outage: Option<Duration>,
    answered: Option<Duration>,
}

impl Ages {
    fn of(stats: &ShardStats) -> Self {
        Self {
            turned: stats.turned_at.age(),
            outage: stats.outage_since.age(),
            // One that waits for control asks nothing.
            answered: stats
                .answered_at
                .age()
                .map(|age| if stats.waits.get() == 1 { Duration::ZERO } else { age }),
        }
    }

    /// The worst problem of a shard, and how long it has lasted. `silence_max`: how long Redis may go without answering it.
    fn ailment(self, silence_max: Option<Duration>) -> Option<(Ailment, Duration)> {
        if let Some(age) = self.turned.filter(|age| *age >= STALLED_AFTER) {
            return Some((Ailment::Stalled, age));
        }
        if let Some(age) = self.outage {
            return Some((Ailment::NoRedis, age));
        }
        let silence_max = silence_max?;
        Some((Ailment::Silent, self.answered.filter(|age| *age >= silence_max)?))
    }
}

fn shard_figures(stats: &ShardStats, slots: usize) -> ShardFigures {
    ShardFigures {
        processed: stats.processed.get(),
        failed: stats.failed.get(),
        fetched: stats.fetched.get(),
        handed_back: stats.handed_back.get(),
        turns: stats.turns.get(),
        running: stats.running.get(),
        unstarted: stats.unstarted.get(),
        disconnects: stats.disconnects.get(),
        slots: slots as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(turned_s: u64, outage_s: Option<u64>, answered_s: u64, expected: Option<Ailment>) {
        let ages = Ages {
            turned: Some(Duration::from_secs(turned_s)),
            outage: outage_s.map(Duration::from_secs),
            answered: Some(Duration::from_secs(answered_s)),
        };
        let found = ages.ailment(Some(Duration::from_secs(35)));
        assert_eq!(found.map(|(what, _)| what), expected, "{ages:?}");
        if expected == Some(Ailment::Silent) {
            assert_eq!(ages.ailment(None), None, "nothing is asked of Redis");
        }
    }

    #[test]
    fn the_worst_of_what_is_wrong_is_named() {
        check(0, None, 0, None);
        check(1, None, 34, None);
        check(0, None, 35, Some(Ailment::Silent));
        check(0, Some(0), 0, Some(Ailment::NoRedis));
        check(0, Some(3_600), 3_600, Some(Ailment::NoRedis));
        check(STALLED_AFTER.as_secs(), Some(3_600), 3_600, Some(Ailment::Stalled));
    }

    #[test]
    fn a_shard_that_has_not_begun_is_well() {
        assert_eq!(Ages::of(&ShardStats::default()).ailment(Some(Duration::ZERO)), None);
    }
}
