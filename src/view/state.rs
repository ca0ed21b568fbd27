//! The state of all servers at one look, cut to what is shown, with the rates since the previous look.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::member::Member;
use crate::limits::{TOP_PROCESSES_MAX, TOP_QUEUES_MAX};
use crate::store::survey::{Counts, Process, Survey};
use crate::time::unix_now;
use crate::wire::paused::Paused;

/// One state. As JSON it is what `top --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct State {
    /// Unix seconds by the clock of Redis, as all times here.
    pub(crate) at: f64,
    /// Without the password.
    pub(crate) redis: String,
    pub(crate) counts: Counts,
    /// `None` at the first look.
    pub(crate) processed_per_s: Option<f64>,
    pub(crate) failures_per_s: Option<f64>,
    /// The longest, longest first.
    pub(crate) queues: Vec<QueueLength>,
    pub(crate) queues_count: usize,
    pub(crate) waiting_jobs: u64,
    pub(crate) processes: Vec<Worker>,
    pub(crate) processes_count: usize,
    /// In a cluster it is not read.
    #[serde(skip_serializing_if = "is_nothing")]
    pub(crate) paused: Paused,
}

fn is_nothing(paused: &Paused) -> bool {
    paused.count() == 0
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct QueueLength {
    pub(crate) name: String,
    pub(crate) jobs: u64,
}

/// A process, and how fast each of its shards was between its last two heartbeats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Worker {
    #[serde(flatten)]
    pub(crate) member: Member,
    pub(crate) shard_jobs_per_s: Vec<Option<f64>>,
}

/// What was seen before, for computing rates.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    counts: Option<(Instant, Counts)>,
    /// By uuid.
    shards: BTreeMap<String, ShardRates>,
}

/// The shards of one process at its last heartbeat.
#[derive(Debug, Default, Clone)]
struct ShardRates {
    heartbeat: f64,
    processed: Vec<u64>,
    jobs_per_s: Vec<Option<f64>>,
}

impl State {
    /// The state of all servers together.
    pub(crate) fn of(surveys: &[&Survey], redis: &str, rates: &mut Rates) -> Self {
        let counts = surveys.iter().fold(Counts::default(), |sum, survey| sum.and(survey.counts()));
        let (processed_per_s, failures_per_s) = rates.of_counts(counts, Instant::now()).unzip();
        let mut queues: Vec<QueueLength> = surveys
            .iter()
            .flat_map(|survey| survey.queues())
            .map(|(name, jobs)| QueueLength { name, jobs })
            .collect();
        let (queues_count, waiting_jobs) = (queues.len(), queues.iter().map(|queue| queue.jobs).sum());
        queues.sort_by(|one, other| other.jobs.cmp(&one.jobs).then_with(|| one.name.cmp(&other.name)));
        queues.truncate(TOP_QUEUES_MAX);
        let known: BTreeMap<&[u8], &Process> = surveys.iter().flat_map(|survey| survey.processes()).collect();
        let members = known.values().take(TOP_PROCESSES_MAX).map(|process| Member::of(process));
        let processes: Vec<Worker> =
            members.map(|member| Worker { shard_jobs_per_s: rates.of_shards(&member), member }).collect();
        rates.shards.retain(|uuid, _| processes.iter().any(|worker| worker.member.uuid == *uuid));
        Self {
            at: surveys.first().map_or_else(unix_now, |survey| survey.now()),
            redis: redis.to_owned(),
            counts,
            processed_per_s,
            failures_per_s,
            queues,
            queues_count,
            waiting_jobs,
            processes,
            processes_count: known.len(),
            paused: surveys.first().map(|survey| survey.paused().clone()).unwrap_or_default(),
        }
    }
}

impl Rates {
    /// Jobs and failures per second since the counters were last seen; a counter that was reset counts as unchanged.
    fn of_counts(&mut self, counts: Counts, now: Instant) -> Option<(f64, f64)> {
        let (then, before) = self.counts.replace((now, counts))?;
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds.max(1e-3);
        Some((rate(counts.processed, before.processed), rate(counts.failures, before.failures)))
    }

    /// A process reports its counters with its heartbeat, so the time between two heartbeats is what counts.
    fn of_shards(&mut self, member: &Member) -> Vec<Option<f64>> {
        let Some(heartbeat) = member.heartbeat else { return vec![None; member.shards.len()] };
        let processed: Vec<u64> = member.shards.iter().map(|shard| shard.processed).collect();
        let Some(known) = self.shards.get_mut(&member.uuid) else {
            let jobs_per_s = vec![None; processed.len()];
            let new = ShardRates { heartbeat, processed, jobs_per_s: jobs_per_s.clone() };
            self.shards.insert(member.uuid.clone(), new);
            return jobs_per_s;
        };
        let seconds = heartbeat - known.heartbeat;
        if seconds > 0.0 && known.processed.len() == processed.len() {
            let pairs = processed.iter().zip(&known.processed);
            let jobs_per_s = pairs.map(|(now, before)| Some(now.saturating_sub(*before) as f64 / seconds));
            *known = ShardRates { heartbeat, jobs_per_s: jobs_per_s.collect(), processed };
        }
        known.jobs_per_s.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::figures;

    #[test]
    fn rates_come_from_the_previous_look() {
        let mut rates = Rates::default();
        let now = Instant::now();
        let counts = |processed, failures| Counts { processed, failures, ..Counts::default() };
        assert_eq!(rates.of_counts(counts(100, 0), now), None);
        let later = now + Duration::from_secs(2);
        assert_eq!(rates.of_counts(counts(300, 1), later), Some((100.0, 0.5)));
        assert_eq!(rates.of_counts(counts(0, 0), later + Duration::from_secs(1)), Some((0.0, 0.0)));
    }

    #[test]
    fn a_shards_rate_is_that_between_two_heartbeats() {
        let member = |heartbeat: u64, processed: u64| {
            let key = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
            let value = format!(r#"{{"heartbeat":{heartbeat},"rss":1,"current_jobs":{{}}}}"#);
            let mut process = Process::read(key, value.as_bytes()).unwrap();
            let json = format!(r#"{{"phase":"running","shards":[{{"processed":{processed}}}]}}"#);
            process.figures = figures::parse(json.as_bytes()).ok();
            Member::of(&process)
        };
        let mut rates = Rates::default();
        assert_eq!(rates.of_shards(&member(10, 100)), [None]);
        assert_eq!(rates.of_shards(&member(10, 100)), [None], "nothing new was reported");
        assert_eq!(rates.of_shards(&member(20, 600)), [Some(50.0)]);
        assert_eq!(rates.of_shards(&member(20, 600)), [Some(50.0)]);
    }
}
