//! The account of every job: where each jid is, and how often it ran.
//!
//! The jobs are `Fail` without retries: each run leaves its jid in the dead set, so every enqueued job must be found
//! in a queue, in flight or there. With `-v` the worker logs each run, so a job that ran twice shows up.

use std::collections::{BTreeMap, BTreeSet};

use jiggler_uring::internal::resp::Value;

use super::redis::{DEAD, RETRIES, Redis};
use super::worker::Worker;

/// Where the jobs in a Redis are.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Jids in queues.
    pub(crate) queued: BTreeSet<String>,
    /// Jids in lists of jobs in flight.
    pub(crate) in_flight: BTreeSet<String>,
    /// Jids in the dead set, with the number of entries each has there.
    pub(crate) dead: BTreeMap<String, usize>,
    /// Jids in the retry set.
    pub(crate) retried: BTreeSet<String>,
}

impl Account {
    /// The payload of the traced job with this number.
    pub(crate) fn traced(number: usize) -> String {
        format!(r#"{{"name":"Fail","args":["traced"],"jid":"{number:08}"}}"#)
    }

    /// Pushes `count` traced jobs.
    #[track_caller]
    pub(crate) fn push(redis: &Redis, queue: &str, count: usize) {
        let payloads: Vec<String> = (0..count).map(Self::traced).collect();
        redis.push(queue, &payloads);
    }

    /// Takes the account of a Redis at rest.
    #[track_caller]
    pub(crate) fn of(redis: &Redis) -> Self {
        let mut account = Self::default();
        for key in redis.keys("jiggler:list:*") {
            let payloads = redis.list(&["LRANGE", &key, "0", "-1"]);
            account.queued.extend(payloads.iter().filter_map(|payload| jid(payload)));
        }
        for key in lists_in_flight(redis) {
            let payloads = redis.list(&["LRANGE", &key, "0", "-1"]);
            account.in_flight.extend(payloads.iter().filter_map(|payload| jid(payload)));
        }
        for (payload, _) in redis.set(DEAD) {
            *account.dead.entry(jid(&payload.into_bytes()).unwrap()).or_default() += 1;
        }
        account.retried = redis.set(RETRIES).into_iter().filter_map(|(p, _)| jid(&p.into_bytes())).collect();
        account
    }

    /// Takes the account of the nodes of a cluster at rest, where each queue has its own dead set and retry set.
    #[track_caller]
    pub(crate) fn of_nodes<'n>(nodes: impl IntoIterator<Item = &'n Redis>) -> Self {
        let mut account = Self::default();
        for node in nodes {
            for key in node.keys("jiggler:list:*") {
                let payloads = node.list(&["LRANGE", &key, "0", "-1"]);
                account.queued.extend(payloads.iter().filter_map(|payload| jid(payload)));
            }
            for key in lists_in_flight(node) {
                let payloads = node.list(&["LRANGE", &key, "0", "-1"]);
                account.in_flight.extend(payloads.iter().filter_map(|payload| jid(payload)));
            }
            for key in node.keys("{jiggler:list:*}:dead") {
                for (payload, _) in node.set(&key) {
                    *account.dead.entry(jid(&payload.into_bytes()).unwrap()).or_default() += 1;
                }
            }
            for key in node.keys("{jiggler:list:*}:retries") {
                let jobs = node.set(&key).into_iter();
                account.retried.extend(jobs.filter_map(|(payload, _)| jid(&payload.into_bytes())));
            }
        }
        account
    }

    /// Every one of `count` traced jobs is somewhere.
    #[track_caller]
    pub(crate) fn assert_none_lost(&self, count: usize) {
        let known = |jid: &String| {
            self.queued.contains(jid) || self.in_flight.contains(jid) || self.dead.contains_key(jid)
        };
        let lost: Vec<String> = (0..count).map(|n| format!("{n:08}")).filter(|jid| !known(jid)).collect();
        assert!(
            lost.is_empty(),
            "{} of {count} jobs are lost: {:?}",
            lost.len(),
            &lost[..lost.len().min(10)]
        );
    }

    /// Every one of `count` traced jobs has run, and nothing suggests that one ran twice.
    #[track_caller]
    pub(crate) fn assert_each_ran_once(&self, count: usize) {
        self.assert_none_lost(count);
        let twice: Vec<_> = self.dead.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "these jobs died more than once: {twice:?}");
        assert_eq!(self.dead.len(), count, "not all jobs have run");
        assert!(self.queued.is_empty() && self.in_flight.is_empty(), "jobs that ran are still there");
    }

    /// How often each jid ran, according to the log of a worker started with `-v`.
    pub(crate) fn runs(worker: &Worker) -> BTreeMap<String, usize> {
        let mut runs = BTreeMap::new();
        for line in worker.lines("job failed") {
            let jid = line.split("jid=\"").nth(1).and_then(|rest| rest.split('"').next());
            *runs.entry(jid.unwrap().to_owned()).or_default() += 1;
        }
        runs
    }

    /// No job ran twice, according to the log of a worker started with `-v`.
    #[track_caller]
    pub(crate) fn assert_none_ran_twice(worker: &Worker) {
        let runs = Self::runs(worker);
        let twice: Vec<_> = runs.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{} of {} jobs ran more than once: {twice:?}", twice.len(), runs.len());
    }
}

/// Keys of the lists that hold jobs in flight: not the indexes, which are hashes, nor fences, which are strings.
#[track_caller]
pub(crate) fn lists_in_flight(redis: &Redis) -> Vec<String> {
    let mut keys = redis.keys("{jiggler:list:*}:inflight:*");
    // `{jiggler:list:<queue>}:inflight:<uuid>:<shard>` is an index; with one more part it is a list.
    keys.retain(|key| key.split("}:inflight:").nth(1).unwrap().split(':').count() == 3);
    keys.retain(|key| matches!(redis.run(&["TYPE", key]).value(), Value::Simple(b"list")));
    keys
}

fn jid(payload: &[u8]) -> Option<String> {
    let job: serde_json::Value = serde_json::from_slice(payload).ok()?;
    job["jid"].as_str().map(str::to_owned)
}
