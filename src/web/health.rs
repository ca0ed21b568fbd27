//! Probes: whether the process makes progress, whether it should get work, whether it has started.
//!
//! Judged by what shards and control publish in memory, so a probe is answered whatever Redis does: at once, and `ready`
//! after a PING that it waits [`READY_PING_WAIT`](crate::limits::READY_PING_WAIT) for ([`super::pulse`]). The rules:
//!
//! | probe | fails if |
//! |---|---|
//! | live | control or a shard has not turned for [`STALLED_AFTER`]: a new process would be better off |
//! | ready | it starts, is quiet or stops; no Redis for [`READY_OUTAGE_MAX`]; no lease renewed; a runner is down |
//! | startup | the first lease and heartbeat are not written yet |
//!
//! A process that was paused as a whole is not blamed for what its shards could not publish meanwhile.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::state::Worker;
use crate::limits::{READY_LEASE_AGE_MAX, READY_OUTAGE_MAX, STALLED_AFTER};
use crate::stats::{LifePhase, ShardStats};
use crate::wire::Cause;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Live,
    Ready,
    Startup,
}

/// The answer, as JSON.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Health {
    /// `ok` or `failing`.
    pub(super) status: &'static str,
    /// `starting`, `running`, `quiet` or `stopping`; nothing without a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    /// Why it fails; empty if it does not.
    reasons: Vec<String>,
}

/// What is known about a process.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    phase: LifePhase,
    /// For how long control has not turned.
    control: Option<Duration>,
    /// How long ago the lease was renewed.
    lease: Option<Duration>,
    /// For how long Redis has not answered those who asked for readiness.
    silence: Option<Duration>,
    shards: Vec<ShardFacts>,
}

#[derive(Debug, Clone, Default)]
struct ShardFacts {
    /// For how long it has not turned.
    turned: Option<Duration>,
    /// How long it has been without Redis, and why.
    outage: Option<(Duration, Option<Cause>)>,
    /// Whether it takes no jobs because no child of its runner runs.
    held_back: bool,
    /// Whether Redis has ever answered it.
    has_begun: bool,
    /// The job that it polls: name and jid.
    polls: Option<(String, String)>,
}

impl Facts {
    /// Those of a process that has had time to run for `awake`, and whose probes have had no answer of Redis for `silence`.
    pub(super) fn of(worker: &Worker, silence: Option<Duration>, awake: Duration) -> Self {
        let now = Instant::now();
        let age = |age: Option<Duration>| age.map(|age| age.min(awake));
        let shard = |stats: &ShardStats| ShardFacts {
            turned: age(stats.turned_at.age()),
            outage: age(stats.outage_since.age())
                .map(|age| (age, Cause::of_number(stats.outage_cause.get()))),
            held_back: stats.held_back.get() > 0,
            has_begun: stats.answered_at.age().is_some(),
            polls: stats.current.polled(now).map(|polled| (polled.name, polled.jid)),
        };
        Self {
            phase: worker.control.phase(),
            control: age(worker.control.turned_at.age()),
            lease: age(worker.control.leased_at.age()),
            silence: age(silence),
            shards: worker.shards.iter().map(|stats| shard(stats)).collect(),
        }
    }

    /// The answer to a probe.
    pub(super) fn answer(&self, probe: Probe) -> Health {
        let reasons = match probe {
            Probe::Live => self.stalls(),
            Probe::Ready => self.unready(),
            Probe::Startup if self.phase == LifePhase::Starting => {
                vec!["the first lease and heartbeat are not written yet".to_owned()]
            }
            Probe::Startup => Vec::new(),
        };
        Health { phase: Some(self.phase.as_str()), ..Health::because(reasons) }
    }

    fn stalls(&self) -> Vec<String> {
        let late = |age: &Duration| *age >= STALLED_AFTER;
        let control = self
            .control
            .filter(late)
            .map(|age| format!("control has not turned for {:.1} s", age.as_secs_f64()));
        let shards = self.shards.iter().enumerate().filter_map(|(number, shard)| {
            let seconds = shard.turned.filter(late)?.as_secs_f64();
            let job = shard
                .polls
                .as_ref()
                .map_or_else(String::new, |(name, jid)| format!(": job {name} (jid {jid}) holds its core"));
            Some(format!("shard {number} has not turned for {seconds:.1} s{job}"))
        });
        control.into_iter().chain(shards).collect()
    }

    fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match self.phase {
            LifePhase::Running => {}
            LifePhase::Starting => reasons.push("it has not started yet".to_owned()),
            LifePhase::Quiet => reasons.push("it is quiet: it takes no jobs".to_owned()),
            LifePhase::Stopping => reasons.push("it stops".to_owned()),
        }
        if let Some(age) = self.lease.filter(|age| *age >= READY_LEASE_AGE_MAX) {
            reasons.push(format!("its lease was not renewed for {:.1} s", age.as_secs_f64()));
        }
        let away =
            |shard: &ShardFacts| shard.outage.as_ref().is_some_and(|(age, _)| *age >= READY_OUTAGE_MAX);
        if let Some(age) = self.silence.filter(|age| *age >= READY_OUTAGE_MAX)
            && !self.shards.iter().any(away)
        {
            reasons.push(format!("redis has not answered a ping for {:.1} s", age.as_secs_f64()));
        }
        for (number, shard) in self.shards.iter().enumerate() {
            if shard.held_back {
                reasons.push(format!("shard {number} takes no jobs: its runner has no child, see the log"));
            }
            match &shard.outage {
                Some((age, cause)) if *age >= READY_OUTAGE_MAX => {
                    let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
                    let seconds = age.as_secs_f64();
                    reasons.push(format!("shard {number} without redis for {seconds:.1} s{cause}"));
                }
                None if !shard.has_begun && self.phase == LifePhase::Running => {
                    reasons.push(format!("redis has not answered shard {number} yet"));
                }
                _ => {}
            }
        }
        reasons.extend(self.stalls());
        reasons
    }
}

impl Health {
    /// What fails for these reasons, or does not.
    pub(super) fn because(reasons: Vec<String>) -> Self {
        Self { status: if reasons.is_empty() { "ok" } else { "failing" }, phase: None, reasons }
    }

    /// Whether it fails.
    pub(super) fn fails(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// What those may know who show no token: whether it fails.
    pub(super) fn without_reasons(&self) -> Self {
        Self { status: self.status, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn well() -> Facts {
        let shard = ShardFacts { turned: Some(SECOND), has_begun: true, ..ShardFacts::default() };
        Facts {
            phase: LifePhase::Running,
            control: Some(SECOND),
            lease: Some(SECOND),
            silence: None,
            shards: vec![shard.clone(), shard],
        }
    }

    /// Whether live, ready and startup are well, and a part of the reasons.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Facts), expected: [bool; 3], part: &str) {
        let mut facts = well();
        change(&mut facts);
        let answers = [Probe::Live, Probe::Ready, Probe::Startup].map(|probe| facts.answer(probe));
        assert_eq!(answers.each_ref().map(|health| !health.fails()), expected, "{answers:?}");
        let said = serde_json::to_string(&answers).unwrap();
        assert!(said.contains(part), "{said}");
    }

    #[test]
    fn each_probe_fails_for_its_own_reasons_and_says_them() {
        check(|_| (), [true, true, true], r#"{"status":"ok","phase":"running","reasons":[]}"#);
        check(|facts| facts.phase = LifePhase::Starting, [true, false, false], "not written yet");
        check(|facts| facts.phase = LifePhase::Quiet, [true, false, true], "it is quiet");
        check(|facts| facts.phase = LifePhase::Stopping, [true, false, true], "it stops");
        check(|facts| facts.lease = Some(READY_LEASE_AGE_MAX), [true, false, true], "not renewed for 20.0 s");
        check(
            |facts| facts.control = Some(STALLED_AFTER),
            [false, false, true],
            "control has not turned for 5.0 s",
        );
        let held = |facts: &mut Facts| {
            facts.shards[1].turned = Some(STALLED_AFTER);
            facts.shards[1].polls = Some(("Fib".to_owned(), "j1".to_owned()));
        };
        check(
            held,
            [false, false, true],
            "shard 1 has not turned for 5.0 s: job Fib (jid j1) holds its core",
        );
        check(
            |facts| facts.shards[0].has_begun = false,
            [true, false, true],
            "redis has not answered shard 0 yet",
        );
        let away = |facts: &mut Facts, age| facts.shards[0].outage = Some((age, Some(Cause::Gone)));
        check(
            |facts| away(facts, READY_OUTAGE_MAX),
            [true, false, true],
            "shard 0 without redis for 3.0 s (redis is gone)",
        );
        check(|facts| away(facts, SECOND), [true, true, true], "ok");
        check(|facts| facts.silence = Some(SECOND), [true, true, true], "ok");
        check(
            |facts| facts.silence = Some(READY_OUTAGE_MAX),
            [true, false, true],
            "redis has not answered a ping for 3.0 s",
        );
    }

    #[test]
    fn strangers_learn_whether_and_not_why() {
        let health = Health::because(vec!["shard 1: job Fib".to_owned()]);
        let said = serde_json::to_string(&health.without_reasons()).unwrap();
        assert_eq!(said, r#"{"status":"failing","reasons":[]}"#);
    }
}
