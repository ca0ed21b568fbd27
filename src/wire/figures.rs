//! What is stored under a process's own key ([`Keyspace::process`](super::Keyspace::process)): its shards' counters, and
//! what is wrong with it.
//!
//! Responsible for the format. Not for when it is written, nor for what counts as wrong (`control`).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cause::Cause;

/// What a process reports about itself with each heartbeat, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// `running`, `quiet` or `stopping`.
    pub phase: String,
    /// What is wrong; empty if nothing is.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
    /// One for each shard, in their order.
    pub shards: Vec<ShardFigures>,
    /// The version of the program's engine; empty before 0.2.
    #[serde(default)]
    pub version: String,
    /// Name and version of the user's program; empty if it has none of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// What its deployment is called; empty if it is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// Jobs that run now, the longest-running first: not all of them, see
    /// [`RUNNING_JOBS_SHOWN_MAX`](crate::limits::RUNNING_JOBS_SHOWN_MAX).
    #[serde(default)]
    pub jobs: Vec<RunningJob>,
    /// Entries the dead set keeps, by its configuration; 0: not reported.
    #[serde(default)]
    pub dead_jobs_max: u64,
    /// Seconds it keeps each.
    #[serde(default)]
    pub dead_timeout_s: u64,
    /// By how many seconds the clock of its host is ahead of Redis's, if it is more than one; below 0: behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_s: Option<f64>,
    /// Seconds between two heartbeats, by its configuration; 0: not reported.
    #[serde(default)]
    pub heartbeat_s: u64,
    /// The key of its heartbeat, for its reaper; empty: not reported.
    #[serde(default)]
    pub heartbeat_key: String,
    /// How many of its slots each queue has, in the order of its queues; empty: slots are not given to queues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub balance: Vec<QueueSlots>,
    /// Names that it does not know, with how often it has left a job of each to other workers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftName>,
    /// Names of the jobs it has handlers for, in alphabetical order; `None`: not reported, or too many, see
    /// [`JOB_NAMES_BYTES_MAX`](crate::limits::JOB_NAMES_BYTES_MAX).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

/// The slots of one queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSlots {
    /// The queue.
    pub queue: String,
    /// How many of the process's slots its jobs may hold.
    pub slots: u64,
    /// Why, in words.
    pub reason: String,
}

/// A name that a process does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftName {
    /// The name; empty for all that are not counted one by one.
    pub name: String,
    /// How often a job of this name was left to other workers.
    pub times: u64,
}

/// A running job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunningJob {
    /// The shard that runs it.
    pub shard: usize,
    /// Its name.
    pub name: String,
    /// The first 32 bytes of its id.
    pub jid: String,
    /// Since when, Unix seconds.
    pub since: f64,
    /// The queue it came from, where that is shown elsewhere.
    #[serde(skip)]
    pub queue: String,
    /// Its payload, likewise; empty: not at hand, or too large.
    #[serde(skip)]
    pub payload: String,
}

/// The counters of one shard; see `stats::ShardStats`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShardFigures {
    /// Jobs that ran to an end.
    pub processed: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs taken from a queue.
    pub fetched: u64,
    /// Jobs handed back.
    pub handed_back: u64,
    /// Round trips that fetch and ack.
    pub turns: u64,
    /// Jobs running.
    pub running: u64,
    /// Jobs fetched and not started.
    pub unstarted: u64,
    /// Connections lost since the start.
    pub disconnects: u64,
    /// Jobs it may run side by side; 0: not reported.
    pub slots: u64,
}

/// A problem that keeps a shard from working.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// The shard.
    pub shard: usize,
    /// What is wrong with it.
    pub what: Ailment,
    /// Since when, Unix seconds.
    pub since: f64,
    /// Why it is without Redis, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Cause>,
}

/// What can be wrong with a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ailment {
    /// Its executor has not turned: a handler computes and does not wait, or the core is taken by others.
    Stalled,
    /// It has no connection to Redis, or Redis refuses it.
    NoRedis,
    /// Redis should have answered it by now, and it knows of no outage.
    Silent,
    /// A problem that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Figures {
    /// The JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and text always are JSON; times are finite.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads the value of a process's own key.
///
/// # Errors
/// What serde_json reports when the text is not valid.
pub fn parse(json: &[u8]) -> Result<Figures, serde_json::Error> {
    serde_json::from_slice(json)
}

impl Trouble {
    /// The problem in words, at the Unix time `now`: "shard 1 stalled for 12.3 s", "shard 0 without redis for 1.0 s (redis
    /// is gone)".
    #[must_use]
    pub fn at(&self, now: f64) -> impl fmt::Display {
        let Self { shard, what, since, why } = *self;
        let what = match what {
            Ailment::Stalled => "stalled",
            Ailment::NoRedis => "without redis",
            Ailment::Silent => "without an answer from redis",
            Ailment::Unknown => "in trouble",
        };
        let seconds = (now - since).max(0.0);
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        format!("shard {shard} {what} for {seconds:.1} s{why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_back_and_those_of_other_versions_are_read_too() {
        let trouble =
            Trouble { shard: 1, what: Ailment::NoRedis, since: 1_795_299_911.5, why: Some(Cause::Password) };
        let shards = vec![ShardFigures { running: 3, ..ShardFigures::default() }];
        let jobs = vec![RunningJob {
            shard: 1,
            name: "A".to_owned(),
            jid: "j".to_owned(),
            since: 1.5,
            ..RunningJob::default()
        }];
        let version = "0.2.0".to_owned();
        let figures = Figures {
            balance: Vec::new(),
            phase: "running".to_owned(),
            troubles: vec![trouble],
            shards,
            version,
            program: "billing 1.4.2".to_owned(),
            tag: "3f2a1c9".to_owned(),
            jobs,
            dead_jobs_max: 10_000,
            dead_timeout_s: 60,
            clock_skew_s: Some(-60.5),
            heartbeat_s: 10,
            heartbeat_key: "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm".to_owned(),
            left: vec![LeftName { name: "B".to_owned(), times: 3 }],
            names: Some(vec!["A".to_owned()]),
        };
        let json = figures.to_json();
        assert!(
            json.contains(
                r#""troubles":[{"shard":1,"what":"no-redis","since":1795299911.5,"why":"password"}]"#
            ),
            "{json}"
        );
        assert_eq!(parse(json.as_bytes()).unwrap(), figures);

        let older = parse(br#"{"phase":"quiet","shards":[{"processed":7}]}"#).unwrap();
        assert_eq!((older.troubles.len(), older.shards[0].processed), (0, 7));
        assert_eq!((older.dead_jobs_max, older.dead_timeout_s, older.clock_skew_s), (0, 0, None));
        assert!(older.left.is_empty());
        assert_eq!((older.jobs.len(), older.version.as_str(), older.shards[0].slots), (0, "", 0));
        assert_eq!((older.heartbeat_s, older.heartbeat_key.as_str()), (0, ""));
        let newer = json.replace("no-redis", "on-fire").replace("\"running\":3", "\"running\":3,\"new\":1");
        assert_eq!(parse(newer.as_bytes()).unwrap().troubles[0].what, Ailment::Unknown);
        assert!(parse(b"no json").is_err());
    }

    #[test]
    fn a_trouble_says_shard_what_and_for_how_long() {
        let trouble = Trouble { shard: 1, what: Ailment::Stalled, since: 100.0, why: None };
        assert_eq!(trouble.at(112.34).to_string(), "shard 1 stalled for 12.3 s");
        assert_eq!(trouble.at(99.0).to_string(), "shard 1 stalled for 0.0 s", "a clock was set back");
        let without = Trouble { what: Ailment::NoRedis, why: Some(Cause::Full), ..trouble };
        let words = "shard 1 without redis for 1.0 s (redis accepts no more connections)";
        assert_eq!(without.at(101.0).to_string(), words);
    }
}
