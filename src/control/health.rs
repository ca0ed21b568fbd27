//! The watchdog: whether each shard makes progress, judged by what it publishes about itself, not by asking it.
//!
//! A shard publishes when its executor last turned, when Redis last answered it and since when it has been in an outage
//! ([`crate::stats`]). A separate task looks every [`WATCH_PERIOD`], because upkeep may itself be waiting for Redis. A
//! problem is logged when it is first and last seen, and appears in the figures of the process.
//!
//! It also logs, once and then at most once an hour, that connections are being closed while idle; and once each, the names
//! of jobs that no handler has ([`super::left`]).
//!
//! It reports that a shard is held up, not by which job: [`super::stalls`] logs that, sooner.

use std::rc::Rc;
use std::time::Instant;

use glommio::timer::Timer;

use super::actor::Actor;
use super::figures::troubles;
use super::left::Said;
use super::state::Control;
use crate::limits::{IDLE_CLOSES_TOLD, STALLED_AFTER, WATCH_PERIOD};
use crate::wire::figures::{Ailment, Trouble};

/// Starts looking.
pub(super) fn spawn(control: &Rc<Control>) -> Actor {
    Actor::spawn(run(Rc::clone(control)))
}

async fn run(control: Rc<Control>) {
    let mut known: Vec<Trouble> = Vec::new();
    let mut idle = IdleCloses::default();
    let mut left = Said::default();
    loop {
        let due = Instant::now() + WATCH_PERIOD;
        Timer::new(WATCH_PERIOD).await;
        if due.elapsed() >= STALLED_AFTER {
            // This thread got no time either: the process was paused, or its core is taken. What the shards published is as
            // old as this timer.
            continue;
        }
        idle.tell(control.idle_closes(), Instant::now());
        left.tell(&control);
        let mut now = troubles(&control);
        // The shards log their outages themselves, and `stalls` the jobs that hold them up.
        let held_up = |shard: usize| control.options.stats[shard].current.polled(Instant::now()).is_some();
        now.retain(|trouble| match trouble.what {
            Ailment::NoRedis => false,
            Ailment::Stalled => !held_up(trouble.shard),
            _ => true,
        });
        tell(&known, &now, control.now());
        // When a trouble started is derived from its age, so what the first look said is kept.
        let first_seen = |trouble: Trouble| find(&known, &trouble).copied().unwrap_or(trouble);
        known = now.into_iter().map(first_seen).collect();
    }
}

/// What was logged about connections that were closed while idle.
#[derive(Default)]
struct IdleCloses {
    /// How many, and when.
    told: Option<(u64, Instant)>,
}

impl IdleCloses {
    /// This many have been closed by now.
    fn tell(&mut self, count: u64, now: Instant) {
        let (before, next) = self.told.map_or((0, now), |(told, at)| (told, at + IDLE_CLOSES_TOLD));
        if count == before || now < next {
            return;
        }
        self.told = Some((count, now));
        let connections = count - before;
        tracing::info!(
            connections,
            "connections to redis were closed while idle, and new ones were opened in their place: \
             `timeout` of redis, or a balancer, does this; `doctor` says more"
        );
    }
}

fn find<'t>(troubles: &'t [Trouble], like: &Trouble) -> Option<&'t Trouble> {
    troubles.iter().find(|trouble| (trouble.shard, trouble.what) == (like.shard, like.what))
}

/// Logs what started and what ended between two looks, the second of which was at this time.
fn tell(before: &[Trouble], now: &[Trouble], at: f64) {
    for trouble in now.iter().filter(|trouble| find(before, trouble).is_none()) {
        let (shard, seconds) = (trouble.shard, at - trouble.since);
        match trouble.what {
            Ailment::Stalled => tracing::error!(
                shard,
                seconds,
                "a shard makes no progress, and no job holds it up; is another program using its core?"
            ),
            _ => tracing::error!(
                shard,
                seconds,
                "a shard gets no answer from redis, and has noticed no outage"
            ),
        }
    }
    for trouble in before.iter().filter(|trouble| find(now, trouble).is_none()) {
        let (shard, seconds) = (trouble.shard, at - trouble.since);
        match trouble.what {
            Ailment::Stalled => tracing::info!(shard, seconds, "the shard makes progress again"),
            _ => tracing::info!(shard, seconds, "the shard gets answers from redis again"),
        }
    }
}
