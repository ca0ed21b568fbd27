//! One living process, as described by its heartbeat key, the heartbeat under it and its figures.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::{
    figures::Figures,
    heartbeat_key::{self, Poller},
};

/// One living process.
#[derive(Debug)]
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
}

/// The value of a heartbeat key. Each field is the JSON text as written, so that numbers of any size and the order of
/// members survive.
#[derive(Debug, Deserialize)]
pub struct Heartbeat {
    /// Unix time of the heartbeat in seconds.
    pub heartbeat: Option<Box<RawValue>>,
    /// Resident memory in kB.
    pub rss: Option<Box<RawValue>>,
    /// Running jobs by worker id.
    pub current_jobs: Option<Box<RawValue>>,
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
        })
    }
}
