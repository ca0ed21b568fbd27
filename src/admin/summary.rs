//! `jiggler-uring summary [--json]`.
//!
//! The JSON has the keys of the gem's `Jiggler.summary`, with numbers of a process as strings where the gem has strings;
//! a process of ours has one more, `health`. A heartbeat that is no JSON gives null for its three fields, where the gem
//! raises.

use std::{collections::BTreeMap, io::Write};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Error, nodes,
    table::{self, Align, printable},
};
use crate::{
    net::blocking::BlockingConnection,
    resp::url::RedisUrl,
    store::survey::{Heartbeat, Process, Scope, Server, Summary, Survey},
    time,
    wire::{
        figures::{Figures, Trouble},
        keys::{self, Poller},
    },
};

/// In which form the state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned text for people.
    Text,
    /// One JSON object on one line.
    Json,
}

/// Reads the state and writes it. Round trips: see [`Survey::once`].
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn summary(url: &RedisUrl, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let summary = nodes::survey(url, Scope::Everything)?;
    match format {
        Format::Text => write_text(&summary, time::unix_now(), out),
        Format::Json => write_json(&summary, out),
    }
}

/// Reads the state over a connection of one's own.
///
/// # Errors
/// [`Error::Connect`] if the connection fails, [`Error::Survey`].
pub(crate) fn read(conn: &mut BlockingConnection) -> Result<Summary, Error> {
    nodes::read(conn, Survey::once(Scope::Everything, Server::Whole))
}

/// Writes the summary as the gem's `Jiggler.summary`, as JSON on one line.
///
/// # Errors
/// [`Error::Output`].
pub(crate) fn write_json(summary: &Summary, out: &mut dyn Write) -> Result<(), Error> {
    let processes = summary.processes.iter().map(|(key, process)| (key.as_str(), GemProcess::of(process)));
    let gem_summary = GemSummary {
        retry_jobs_count: summary.counts.retry_jobs,
        dead_jobs_count: summary.counts.dead_jobs,
        scheduled_jobs_count: summary.counts.scheduled_jobs,
        failures_count: summary.counts.failures,
        processed_count: summary.counts.processed,
        processes: processes.collect(),
        queues: &summary.queues,
    };
    serde_json::to_writer(&mut *out, &gem_summary).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// The gem's shape, in the gem's order.
#[derive(Serialize)]
struct GemSummary<'a> {
    retry_jobs_count: u64,
    dead_jobs_count: u64,
    scheduled_jobs_count: u64,
    failures_count: u64,
    processed_count: u64,
    processes: BTreeMap<&'a str, GemProcess<'a>>,
    queues: &'a BTreeMap<String, u64>,
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
    /// Not the gem's, so only where there is one: of our own processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health<'a>>,
}

/// Whether a process is well, by its own word.
#[derive(Serialize)]
struct Health<'a> {
    ok: bool,
    phase: &'a str,
    troubles: &'a [Trouble],
}

impl<'a> Health<'a> {
    fn of(figures: &'a Figures) -> Self {
        let Figures { phase, troubles, .. } = figures;
        Self { ok: troubles.is_empty(), phase, troubles }
    }
}

impl<'a> GemProcess<'a> {
    fn of(process: &'a Process) -> Self {
        let said = process.heartbeat.as_ref();
        Self {
            heartbeat: said.and_then(|said| said.heartbeat.as_deref()),
            rss: said.and_then(|said| said.rss.as_deref()),
            current_jobs: said.and_then(|said| said.current_jobs.as_deref()),
            name: format!("{}{}", keys::SERVER_PREFIX, process.uuid),
            concurrency: process.concurrency.to_string(),
            timeout: process.timeout_s.to_string(),
            queues: &process.queues,
            poller_enabled: process.poller == Poller::Enabled,
            started_at: process.started_at.to_string(),
            pid: process.pid.to_string(),
            hostname: &process.hostname,
            health: process.figures.as_ref().map(Health::of),
        }
    }
}

/// Writes the summary as aligned text. `now` is Unix time in seconds, for the age of heartbeats.
///
/// # Errors
/// [`Error::Output`].
pub(crate) fn write_text(summary: &Summary, now: f64, out: &mut dyn Write) -> Result<(), Error> {
    let counts = [
        ("processed", summary.counts.processed),
        ("failures", summary.counts.failures),
        ("retry set", summary.counts.retry_jobs),
        ("scheduled set", summary.counts.scheduled_jobs),
        ("dead set", summary.counts.dead_jobs),
    ];
    let number_width = counts.iter().map(|(_, count)| count.to_string().len()).max().unwrap_or(0);
    for (what, count) in counts {
        writeln!(out, "{what:<13}  {count:>number_width$}")?;
    }
    writeln!(out)?;
    if summary.queues.is_empty() {
        writeln!(out, "no jobs wait in any queue")?;
    } else {
        let rows: Vec<_> =
            summary.queues.iter().map(|(queue, jobs)| vec![queue.clone(), jobs.to_string()]).collect();
        table::write(out, &[("queue", Align::Left), ("jobs", Align::Right)], &rows)?;
    }
    writeln!(out)?;
    if summary.processes.is_empty() {
        writeln!(out, "no process is running")?;
    } else {
        let rows: Vec<_> = summary.processes.values().map(|process| process_row(process, now)).collect();
        table::write(out, PROCESS_COLUMNS, &rows)?;
    }
    for key in &summary.unreadable_keys {
        writeln!(out, "\nkey {} looks like a heartbeat and is none", printable(key))?;
    }
    Ok(())
}

const PROCESS_COLUMNS: &[(&str, Align)] = &[
    ("process", Align::Left),
    ("pid", Align::Right),
    ("host", Align::Left),
    ("concurrency", Align::Right),
    ("queues", Align::Left),
    ("rss MB", Align::Right),
    ("heartbeat", Align::Right),
    ("health", Align::Left),
];

fn process_row(process: &Process, now: f64) -> Vec<String> {
    let number = |field: fn(&Heartbeat) -> &Option<Box<RawValue>>| -> Option<f64> {
        field(process.heartbeat.as_ref()?).as_ref()?.get().parse().ok()
    };
    let rss = number(|said| &said.rss).map(|kilobytes| format!("{:.1}", kilobytes / 1024.0));
    let age = number(|said| &said.heartbeat).map(|then| format!("{:.0} s ago", (now - then).max(0.0)));
    vec![
        process.uuid.clone(),
        process.pid.to_string(),
        process.hostname.clone(),
        process.concurrency.to_string(),
        process.queues.clone(),
        rss.unwrap_or_else(|| "?".to_owned()),
        age.unwrap_or_else(|| "unreadable".to_owned()),
        process.figures.as_ref().map_or_else(|| "unknown".to_owned(), |figures| health_cell(figures, now)),
    ]
}

/// The first trouble, and how many more there are: a process may have hundreds of shards.
fn health_cell(figures: &Figures, now: f64) -> String {
    match figures.troubles.as_slice() {
        [] if figures.phase == "running" => "ok".to_owned(),
        [] => figures.phase.clone(),
        [trouble] => trouble.at(now).to_string(),
        [trouble, more @ ..] => format!("{} and {} more", trouble.at(now), more.len()),
    }
}

#[cfg(test)]
mod tests;
