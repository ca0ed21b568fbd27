//! What a process writes under its identity, as the gem sidekiq does: the JSON that its pages read, and the names of its
//! keys.
//!
//! Not for when it is written, nor for the commands.

use serde_json::{Map, Value, json};

use super::heartbeat_key::{Heartbeat, split_queues};
use super::sidekiq_metrics::MetricsFor;
use crate::time::RubyFloat;

/// A process as Sidekiq's programs see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidekiqProcess {
    /// `<host>:<pid>:<12 hex digits>`: the member of the registry and the key of the hash.
    pub identity: String,
    /// The JSON of the field `info`: what does not change.
    pub info: String,
    /// Jobs it runs at once.
    pub concurrency: u64,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// For which pages it writes metrics.
    pub metrics: MetricsFor,
}

/// A job that runs, as the pages list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Names the place where it runs; unique within the process.
    pub worker: String,
    /// `queue`, `payload`, `run_at`, as JSON.
    pub json: String,
}

impl SidekiqProcess {
    /// The process with these parts, and the name of its deployment.
    #[must_use]
    pub fn new(parts: &Heartbeat<'_>, tag: &str) -> Self {
        let Heartbeat { uuid, concurrency, queues, started_at, pid, hostname, .. } = *parts;
        let identity = identity(hostname, pid, uuid);
        let served = split_queues(queues);
        let names: Vec<&str> = served.iter().map(|queue| queue.name).collect();
        let weights: Map<String, Value> =
            served.iter().map(|queue| (queue.name.to_owned(), json!(queue.priority.unwrap_or(0)))).collect();
        let mode = if served.iter().any(|queue| queue.priority.is_some()) { "weighted" } else { "strict" };
        // Readers from 8 on take `capsules`, those before it `concurrency` and `weights`. A number with a point, for all.
        let started_at = RubyFloat(started_at as f64);
        let capsules = json!({"default": {"concurrency": concurrency, "mode": mode, "weights": weights}});
        let members = [
            ("hostname", json!(hostname).to_string()),
            ("started_at", started_at.to_string()),
            ("pid", pid.to_string()),
            ("tag", json!(tag).to_string()),
            ("concurrency", concurrency.to_string()),
            ("capsules", capsules.to_string()),
            ("queues", json!(names).to_string()),
            ("weights", json!([weights]).to_string()),
            ("labels", json!(["jiggler-uring"]).to_string()),
            ("identity", json!(identity).to_string()),
            ("version", json!(env!("CARGO_PKG_VERSION")).to_string()),
            ("embedded", "false".to_owned()),
        ];
        let members: Vec<String> = members.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
        Self {
            info: format!("{{{}}}", members.join(",")),
            identity,
            concurrency,
            queues: names.into_iter().map(str::to_owned).collect(),
            metrics: MetricsFor::default(),
        }
    }

    /// The hashes of the jobs that it runs: for readers from 7 on, and for those before.
    #[must_use]
    pub fn work_keys(&self) -> [String; 2] {
        ["work", "workers"].map(|name| format!("{}:{name}", self.identity))
    }

    /// The list of what operators ask of it.
    #[must_use]
    pub fn signals_key(&self) -> String {
        signals_key(&self.identity)
    }
}

/// The list of what operators ask of a process: the names of signals.
#[must_use]
pub fn signals_key(identity: &str) -> String {
    format!("{identity}-signals")
}

/// The identity of a process.
#[must_use]
pub fn identity(hostname: &str, pid: u32, uuid: &str) -> String {
    format!("{hostname}:{pid}:{uuid}")
}

/// The uuid at the end of an identity; `None` if it has none.
#[must_use]
pub fn uuid_of(identity: &str) -> Option<&str> {
    let (rest, uuid) = identity.rsplit_once(':')?;
    (!rest.is_empty() && !uuid.is_empty()).then_some(uuid)
}

/// The entry of a running job. `payload` is its text, `run_at` the Unix time of its start.
#[must_use]
pub fn work(worker: String, queue: &str, payload: &str, run_at: f64) -> Work {
    let json = json!({"queue": queue, "payload": payload, "run_at": run_at as u64}).to_string();
    Work { worker, json }
}

/// What an operator asks for, by the name of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Take no more jobs.
    Tstp,
    /// Stop.
    Term,
    /// Log what runs.
    Ttin,
}

impl Signal {
    /// Reads the name of a signal; `None` for any other text.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        match text {
            b"TSTP" => Some(Self::Tstp),
            b"TERM" | b"INT" => Some(Self::Term),
            b"TTIN" => Some(Self::Ttin),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::heartbeat_key::Poller;
    use super::*;

    fn parts(queues: &str) -> Heartbeat<'_> {
        Heartbeat {
            uuid: "06c7221317f9",
            concurrency: 20,
            timeout_s: 25,
            queues,
            poller: Poller::Enabled,
            started_at: 1_795_300_188,
            pid: 14206,
            hostname: "vm",
        }
    }

    #[test]
    fn a_process_is_described_as_readers_of_all_versions_expect() {
        let process = SidekiqProcess::new(&parts("critical,3,low,1"), "billing");
        assert_eq!(process.identity, "vm:14206:06c7221317f9");
        assert_eq!(process.work_keys(), ["vm:14206:06c7221317f9:work", "vm:14206:06c7221317f9:workers"]);
        assert_eq!(process.signals_key(), "vm:14206:06c7221317f9-signals");
        assert_eq!(uuid_of(&process.identity), Some("06c7221317f9"));
        assert!(process.info.contains(r#""started_at":1795300188.0,"#), "{}", process.info);
        let info: Value = serde_json::from_str(&process.info).unwrap();
        assert_eq!(info["queues"], json!(["critical", "low"]));
        assert_eq!(info["weights"], json!([{"critical": 3, "low": 1}]));
        assert_eq!((&info["concurrency"], &info["tag"]), (&json!(20), &json!("billing")));
        assert_eq!(info["identity"], "vm:14206:06c7221317f9");
        let capsule = &info["capsules"]["default"];
        assert_eq!((&capsule["mode"], &capsule["weights"]["low"]), (&json!("weighted"), &json!(1)));
        assert_eq!(info["embedded"], false);
        let strict = SidekiqProcess::new(&parts("a,b"), "");
        let info: Value = serde_json::from_str(&strict.info).unwrap();
        assert_eq!(info["capsules"]["default"]["mode"], "strict");
    }

    #[test]
    fn a_running_job_is_listed_with_its_text_and_whole_seconds() {
        let work = work("0-0".to_owned(), "low", r#"{"class":"A"}"#, 1_795_300_101.75);
        let read: Value = serde_json::from_str(&work.json).unwrap();
        assert_eq!(
            read,
            json!({"queue": "low", "payload": "{\"class\":\"A\"}", "run_at": 1_795_300_101_u64})
        );
    }

    #[test]
    fn only_names_of_signals_ask_for_something() {
        assert_eq!(Signal::parse(b"TSTP"), Some(Signal::Tstp));
        assert_eq!(Signal::parse(b"TERM"), Some(Signal::Term));
        assert_eq!(Signal::parse(b"TTIN"), Some(Signal::Ttin));
        assert_eq!(Signal::parse(b"KILL"), None);
    }
}
