//! The summary in the shape of the gem's `Jiggler.summary`.
//!
//! The JSON has the gem's keys, with numbers of a process as strings where the gem has strings; a process of ours has one
//! key more, `health`; what is paused is in `paused`, and periodic jobs are in `periodic`. A heartbeat that is not JSON
//! gives null for its three fields, where the gem raises.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::member;
use crate::{
    cron::{
        edit::{entry_of, name_of},
        tick_text,
    },
    store::{
        cron::Row,
        survey::{Process, Summary},
    },
    wire::{
        figures::{Figures, LeftName, QueueSlots, Trouble},
        heartbeat_key::{self, Poller},
        paused::Paused,
    },
};

/// The gem's shape, in the gem's order.
#[derive(Serialize)]
pub(crate) struct GemSummary<'a> {
    retry_jobs_count: u64,
    dead_jobs_count: u64,
    scheduled_jobs_count: u64,
    failures_count: u64,
    processed_count: u64,
    processes: BTreeMap<&'a str, GemProcess<'a>>,
    queues: &'a BTreeMap<String, u64>,
    /// Not the gem's, so only if there is anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<&'a Paused>,
    /// Neither is this.
    #[serde(skip_serializing_if = "Option::is_none")]
    periodic: Option<&'a Periodic>,
}

/// The periodic jobs.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Periodic {
    pub(crate) entries: usize,
    pub(crate) paused: usize,
    /// Those whose entry cannot be read.
    pub(crate) spoilt: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<NextPush>,
    /// Why their table cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

/// The one that is pushed next, of those that are not paused.
#[derive(Debug, Serialize)]
pub(crate) struct NextPush {
    pub(crate) name: String,
    pub(crate) at: String,
    /// The same in Unix milliseconds.
    #[serde(skip)]
    pub(crate) at_ms: i64,
}

impl Periodic {
    /// Notes what some rows of the table say; how many entries there are is known without them.
    pub(crate) fn note(&mut self, rows: &[Row]) {
        for row in rows {
            match (entry_of(row), row.at) {
                (Err(_), _) => self.spoilt += 1,
                (Ok(entry), _) if entry.is_paused() => self.paused += 1,
                (Ok(_), None) => {}
                (Ok(_), Some(at_ms)) => {
                    let name = name_of(row);
                    let is_first = |next: &NextPush| (at_ms, &name) < (next.at_ms, &next.name);
                    if self.next.as_ref().is_none_or(is_first) {
                        self.next = Some(NextPush { name, at: tick_text(at_ms), at_ms });
                    }
                }
            }
        }
    }
}

impl<'a> GemSummary<'a> {
    pub(crate) fn of(summary: &'a Summary, periodic: Option<&'a Periodic>) -> Self {
        let counts = summary.counts;
        let processes =
            summary.processes.iter().map(|(key, process)| (key.as_str(), GemProcess::of(process)));
        Self {
            retry_jobs_count: counts.retry_jobs,
            dead_jobs_count: counts.dead_jobs,
            scheduled_jobs_count: counts.scheduled_jobs,
            failures_count: counts.failures,
            processed_count: counts.processed,
            processes: processes.collect(),
            queues: &summary.queues,
            paused: (summary.paused.count() > 0).then_some(&summary.paused),
            periodic,
        }
    }
}

#[derive(Serialize)]
struct GemProcess<'a> {
    heartbeat: Option<&'a RawValue>,
    rss: Option<&'a RawValue>,
    current_jobs: Option<&'a RawValue>,
    /// The first three parts of the key.
    name: String,
    concurrency: String,
    timeout: String,
    queues: &'a str,
    poller_enabled: bool,
    started_at: String,
    pid: String,
    hostname: &'a str,
    /// Not the gem's, so only where there is one: for our own processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health<'a>>,
}

/// Whether a process is well, according to itself, or to its silence.
#[derive(Serialize)]
struct Health<'a> {
    ok: bool,
    phase: &'a str,
    troubles: &'a [Trouble],
    /// Names that it does not know, whose jobs it leaves to others.
    #[serde(skip_serializing_if = "<[LeftName]>::is_empty")]
    left: &'a [LeftName],
    /// How many of its slots each queue has, and why, if it gives them to queues.
    #[serde(skip_serializing_if = "<[QueueSlots]>::is_empty")]
    balance: &'a [QueueSlots],
}

impl<'a> Health<'a> {
    fn of(process: &'a Process, figures: &'a Figures) -> Self {
        let Figures { troubles, left, balance, .. } = figures;
        let ok = process.died_at.is_none() && troubles.is_empty();
        Self { ok, phase: member::phase(process), troubles, left, balance }
    }
}

impl<'a> GemProcess<'a> {
    fn of(process: &'a Process) -> Self {
        let said = process.heartbeat.as_ref();
        Self {
            heartbeat: said.and_then(|said| said.heartbeat.as_deref()),
            rss: said.and_then(|said| said.rss.as_deref()),
            current_jobs: said.and_then(|said| said.current_jobs.as_deref()),
            name: format!("{}{}", heartbeat_key::SERVER_PREFIX, process.uuid),
            concurrency: process.concurrency.to_string(),
            timeout: process.timeout_s.to_string(),
            queues: &process.queues,
            poller_enabled: process.poller == Poller::Enabled,
            started_at: process.started_at.to_string(),
            pid: process.pid.to_string(),
            hostname: &process.hostname,
            health: process.figures.as_ref().map(|figures| Health::of(process, figures)),
        }
    }
}
