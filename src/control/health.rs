//! The watchdog: whether each shard makes progress, by what it publishes of itself, not by asking it.
//!
//! A shard publishes when its executor last turned, when Redis last answered it and since when it stands in an outage
//! ([`crate::stats`]). Looked at every [`WATCH_PERIOD`] by a task of its own, because upkeep may itself wait for Redis;
//! what is wrong is logged when it is first and last seen, and stands in the figures of the process.
//!
//! It says that a shard is held up, not by which job: that is logged by [`super::stalls`], sooner.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::Control;
use crate::limits::{CALL_TIMEOUT, STALLED_AFTER, WATCH_PERIOD};
use crate::shutdown::Phase;
use crate::stats::ShardStats;
use crate::time::unix_now;
use crate::wire::figures::{Ailment, Figures, RunningJob, ShardFigures, Trouble};

/// What is expected of the shards.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Slots of each shard.
    pub(crate) slots: Vec<usize>,
    /// How long one blocking call waits in Redis: an idle shard has an answer as often.
    pub(crate) block_time: Duration,
}

/// Looks until it is dropped.
pub(super) async fn run(control: Rc<Control>) {
    let mut known: Vec<Trouble> = Vec::new();
    loop {
        let due = Instant::now() + WATCH_PERIOD;
        Timer::new(WATCH_PERIOD).await;
        if due.elapsed() >= STALLED_AFTER {
            // This thread too had no time: the process was paused, or its core is taken. What the shards published is as
            // old as this timer.
            continue;
        }
        let mut now = control.troubles();
        // The shards log their outages themselves, and `stalls` the jobs that hold them up.
        let held_up = |shard: usize| control.options.stats[shard].current.polled(Instant::now()).is_some();
        now.retain(|trouble| match trouble.what {
            Ailment::NoRedis => false,
            Ailment::Stalled => !held_up(trouble.shard),
            _ => true,
        });
        tell(&known, &now);
        // The begin of a trouble is derived from its age, so it is kept from when it was first seen.
        let first_seen = |trouble: Trouble| find(&known, &trouble).copied().unwrap_or(trouble);
        known = now.into_iter().map(first_seen).collect();
    }
}

fn find<'t>(troubles: &'t [Trouble], like: &Trouble) -> Option<&'t Trouble> {
    troubles.iter().find(|trouble| (trouble.shard, trouble.what) == (like.shard, like.what))
}

/// Logs what began and what ended between two looks.
fn tell(before: &[Trouble], now: &[Trouble]) {
    let at = unix_now();
    for trouble in now.iter().filter(|trouble| find(before, trouble).is_none()) {
        let (shard, seconds) = (trouble.shard, at - trouble.since);
        match trouble.what {
            Ailment::Stalled => tracing::error!(
                shard,
                seconds,
                "a shard does not turn, and no job holds it up: is its core taken by something else?"
            ),
            _ => tracing::error!(shard, seconds, "a shard has no answer of redis, and knows of no outage"),
        }
    }
    for trouble in before.iter().filter(|trouble| find(now, trouble).is_none()) {
        let (shard, seconds) = (trouble.shard, at - trouble.since);
        match trouble.what {
            Ailment::Stalled => tracing::info!(shard, seconds, "the shard turns again"),
            _ => tracing::info!(shard, seconds, "the shard has answers of redis again"),
        }
    }
}

impl Control {
    /// What is wrong now.
    fn troubles(&self) -> Vec<Trouble> {
        let fetches = self.phase.get().fetches();
        let Expected { slots, block_time } = &self.options.expected;
        let silence_max = *block_time + CALL_TIMEOUT + WATCH_PERIOD;
        let shards = self.options.stats.iter().zip(slots).enumerate();
        shards
            .filter_map(|(shard, (stats, &slots))| {
                // With every slot taken nothing is asked of Redis.
                let asks = fetches && stats.running.get() < slots as u64;
                let (what, age) = Ages::of(stats).ailment(asks.then_some(silence_max))?;
                Some(Trouble { shard, what, since: unix_now() - age.as_secs_f64() })
            })
            .collect()
    }

    /// The phase as others read it.
    pub(super) fn phase_name(&self) -> &'static str {
        match self.phase.get() {
            Phase::Running => "running",
            Phase::Quiet => "quiet",
            Phase::Stopping { .. } => "stopping",
        }
    }

    /// What this process says of itself; `jobs` are those that run ([`Control::running_jobs`]).
    pub(super) fn figures(&self, jobs: Vec<RunningJob>) -> Figures {
        let shards = self.options.stats.iter().zip(&self.options.expected.slots);
        Figures {
            phase: self.phase_name().to_owned(),
            troubles: self.troubles(),
            shards: shards.map(|(stats, slots)| shard_figures(stats, *slots)).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            jobs,
            dead_jobs_max: self.settings.get().dead_jobs_max,
            dead_timeout_s: self.settings.get().dead_timeout.as_secs(),
        }
    }

    /// Says in the log how the process is: what is asked for by a signal when Redis cannot be asked.
    pub(super) fn log_health(&self) {
        let figures = self.figures(Vec::new());
        let now = unix_now();
        let troubles: Vec<String> =
            figures.troubles.iter().map(|trouble| trouble.at(now).to_string()).collect();
        let health = if troubles.is_empty() { "ok".to_owned() } else { troubles.join(", ") };
        let sum = |field: fn(&ShardFigures) -> u64| figures.shards.iter().map(field).sum::<u64>();
        tracing::info!(
            // Whoever asks again and again is answered as often: it is none of the lines that are summed up in a flood.
            target: "health",
            phase = figures.phase,
            health,
            heartbeat = if self.heartbeat_is_gone.get() { "redis is gone" } else { "ok" },
            processed = sum(|shard| shard.processed),
            failed = sum(|shard| shard.failed),
            running = sum(|shard| shard.running),
            unstarted = sum(|shard| shard.unstarted),
            disconnects = sum(|shard| shard.disconnects),
            "health"
        );
    }
}

/// How long ago each of what a shard publishes was.
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
            answered: stats.answered_at.age(),
        }
    }

    /// The worst that is wrong with a shard, and for how long. `silence_max`: how long Redis may be silent towards it.
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
