//! One process, as described by its heartbeat key, the heartbeat under it and its figures.
//!
//! The key outlives a process that was killed by minutes, as the gem's do. When one of ours died is told by its last
//! heartbeat: it says in its figures how often it writes one. The lease is renewed by the same task, so it ends then too.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::{LEASE, RUNNING_JOBS_SHOWN_MAX, STOP_TIMEOUT};
use crate::wire::{
    figures::Figures,
    heartbeat_key::{self, Poller, ServedQueue, join_queues},
    sidekiq_process,
};

/// One process.
#[derive(Debug, Clone)]
pub struct Process {
    /// 12 hex digits.
    pub uuid: String,
    /// Jobs it runs at once.
    pub concurrency: u64,
    /// Seconds it waits for its jobs when it stops.
    pub timeout_s: u64,
    /// The queues as the key has them: joined by commas, priorities interleaved if it has any.
    pub queues: String,
    /// Whether it moves due jobs.
    pub poller: Poller,
    /// Unix time of its start, in seconds.
    pub started_at: u64,
    /// Process id on its host.
    pub pid: u32,
    /// May contain colons.
    pub hostname: String,
    /// What it last reported about itself; `None` if that is not a JSON object.
    pub heartbeat: Option<Heartbeat>,
    /// What a process of ours reports beyond that; `None` for a Ruby server.
    pub figures: Option<Figures>,
    /// Since when it counts as dead, Unix time in seconds; `None`: it lives, or is a Ruby server, whose expiry alone tells.
    pub died_at: Option<f64>,
}

/// The value of a heartbeat key. Each field is the JSON text as written, so that numbers of any size and the order of
/// members survive.
#[derive(Debug, Clone, Deserialize)]
pub struct Heartbeat {
    /// Unix time of the heartbeat in seconds.
    pub heartbeat: Option<Box<RawValue>>,
    /// Resident memory in kB.
    pub rss: Option<Box<RawValue>>,
    /// Running jobs by worker id.
    pub current_jobs: Option<Box<RawValue>>,
}

/// The fields of the hash of a process that are read.
pub(super) const HASH_FIELDS: [&str; 4] = ["info", "beat", "busy", "rss"];

/// What is read of its field `info`.
#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    started_at: f64,
    #[serde(default)]
    pid: u32,
    /// Elsewhere in Sidekiq 8, whose own processes are then shown with 0.
    concurrency: Option<u64>,
    #[serde(default)]
    queues: Vec<String>,
    #[serde(default)]
    weights: Option<Vec<BTreeMap<String, u64>>>,
}

/// As many running jobs as a process says that it has, of which no more is known here.
fn placeholders(busy: u64) -> Option<Box<RawValue>> {
    let jobs: Vec<String> =
        (0..busy.min(RUNNING_JOBS_SHOWN_MAX as u64)).map(|at| format!("\"{at}\":{{}}")).collect();
    RawValue::from_string(format!("{{{}}}", jobs.join(","))).ok()
}

impl Process {
    /// The process that a heartbeat key and the value under it describe, without its figures; `None` if it is not such a
    /// key.
    #[must_use]
    pub fn read(key: &str, value: &[u8]) -> Option<Self> {
        let parts = heartbeat_key::parse_heartbeat(key)?;
        Some(Self {
            uuid: parts.uuid.to_owned(),
            concurrency: parts.concurrency,
            timeout_s: parts.timeout_s,
            queues: parts.queues.to_owned(),
            poller: parts.poller,
            started_at: parts.started_at,
            pid: parts.pid,
            hostname: parts.hostname.to_owned(),
            heartbeat: serde_json::from_slice(value).ok(),
            figures: None,
            died_at: None,
        })
    }

    /// The process of this identity, from the fields [`HASH_FIELDS`] of its hash, without its figures; `None` if it is gone,
    /// or its hash is not one of a process.
    #[must_use]
    pub fn read_hash(identity: &str, fields: &[Option<&[u8]>]) -> Option<Self> {
        let [info, beat, busy, rss] = *fields.first_chunk()?;
        let info: Info = serde_json::from_slice(info?).ok()?;
        let number = |field: Option<&[u8]>| serde_json::from_slice::<Box<RawValue>>(field?).ok();
        let weight = |name: &str| {
            let weights = info.weights.iter().flatten().find_map(|weights| weights.get(name)).copied();
            weights.filter(|weight| *weight > 0)
        };
        let served: Vec<ServedQueue<'_>> =
            info.queues.iter().map(|name| ServedQueue { name, priority: weight(name) }).collect();
        let are_weighted = served.iter().all(|queue| queue.priority.is_some());
        let served = served
            .into_iter()
            .map(|queue| ServedQueue { priority: queue.priority.filter(|_| are_weighted), ..queue });
        Some(Self {
            uuid: sidekiq_process::uuid_of(identity)?.to_owned(),
            concurrency: info.concurrency.unwrap_or(0),
            timeout_s: STOP_TIMEOUT.as_secs(),
            queues: join_queues(&served.collect::<Vec<_>>()),
            poller: Poller::Enabled,
            started_at: info.started_at as u64,
            pid: info.pid,
            hostname: info.hostname,
            heartbeat: Some(Heartbeat {
                heartbeat: number(beat),
                rss: number(rss),
                current_jobs: number(busy).and_then(|busy| placeholders(busy.get().parse().ok()?)),
            }),
            figures: None,
            died_at: None,
        })
    }

    /// Notes whether it is dead at this Unix time of Redis.
    pub(super) fn note_death(&mut self, now: f64) {
        self.died_at = self.counts_as_dead_from().filter(|from| *from <= now);
    }

    /// When it will count as dead, unless another heartbeat comes.
    fn counts_as_dead_from(&self) -> Option<f64> {
        let interval_s = self.figures.as_ref()?.heartbeat_s;
        let last: f64 = self.heartbeat.as_ref()?.heartbeat.as_ref()?.get().parse().ok()?;
        (interval_s > 0).then(|| last + LEASE.as_secs_f64().max(2.0 * interval_s as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(heartbeat_s: u64) -> Process {
        let key = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        let mut process = Process::read(key, br#"{"heartbeat":1000.5}"#).unwrap();
        process.figures = Some(Figures { heartbeat_s, ..Figures::default() });
        process
    }

    #[test]
    fn one_of_ours_is_dead_when_its_lease_has_ended_or_two_heartbeats_are_missing() {
        for (heartbeat_s, dies_at) in [(1, 1020.5), (10, 1020.5), (60, 1120.5)] {
            let mut process = process(heartbeat_s);
            process.note_death(dies_at - 0.1);
            assert_eq!(process.died_at, None, "{heartbeat_s}");
            process.note_death(dies_at + 7.0);
            assert_eq!(process.died_at, Some(dies_at), "{heartbeat_s}");
            process.note_death(dies_at - 0.1);
            assert_eq!(process.died_at, None, "it wrote another");
        }
    }

    #[test]
    fn a_process_of_sidekiq_is_what_its_hash_says() {
        let info = br#"{"hostname":"vm","started_at":1795300065.2226377,"pid":13339,"tag":"/","concurrency":3,"queues":["a","b"],"weights":[{"a":3,"b":1}],"identity":"vm:13339:30e6ff14c13f"}"#;
        let read = |info: &[u8]| {
            let fields: [Option<&[u8]>; 4] =
                [Some(info), Some(b"1795300105.2332327"), Some(b"2"), Some(b"33552")];
            Process::read_hash("vm:13339:30e6ff14c13f", &fields)
        };
        let process = read(info).unwrap();
        assert_eq!((process.uuid.as_str(), process.pid, process.concurrency), ("30e6ff14c13f", 13339, 3));
        assert_eq!((process.queues.as_str(), process.started_at), ("a,3,b,1", 1_795_300_065));
        let heartbeat = process.heartbeat.unwrap();
        assert_eq!(heartbeat.heartbeat.unwrap().get(), "1795300105.2332327");
        assert_eq!(heartbeat.current_jobs.unwrap().get(), r#"{"0":{},"1":{}}"#);
        let strict = String::from_utf8(info.to_vec()).unwrap().replace("\"a\":3,\"b\":1", "\"a\":0,\"b\":0");
        assert_eq!(read(strict.as_bytes()).unwrap().queues, "a,b");
        assert!(read(b"no json").is_none());
        assert!(Process::read_hash("vm:1:a", &[None, None, None, None]).is_none());
    }

    #[test]
    fn of_a_ruby_server_and_of_older_ones_of_ours_it_is_not_known() {
        let mut process = process(0);
        process.note_death(1e9);
        assert_eq!(process.died_at, None);
        process.figures = None;
        process.note_death(1e9);
        assert_eq!(process.died_at, None);
    }
}
