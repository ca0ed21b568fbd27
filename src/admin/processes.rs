//! `jiggler-uring processes [--json] [--look]`: which processes work on this Redis, and the state of each.
//!
//! Two round trips, and two commands for each hundred processes, where the register names them; queues are not examined. The
//! JSON is one object whose `processes` is a list, so that it can grow.

use std::io::Write;

use super::{
    database::Database,
    error::Error,
    format::{Format, write_json},
    nodes::{self, Lookup},
    table::{self, Align},
};
use crate::store::survey::Scope;
use crate::view::member::{Member, Members};
use crate::view::span::span;

/// Reads the processes and writes them.
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn processes(
    db: &Database,
    lookup: Lookup,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let summary = nodes::survey_by(db, Scope::Processes, lookup)?;
    let members = Members::of(&summary);
    match format {
        Format::Text => write_text(&members.processes, summary.at, out),
        Format::Json => write_json(&members, out),
    }
}

const COLUMNS: &[(&str, Align)] = &[
    ("process", Align::Left),
    ("host", Align::Left),
    ("pid", Align::Right),
    ("engine", Align::Left),
    ("phase", Align::Left),
    ("busy", Align::Right),
    ("health", Align::Left),
    ("rss MiB", Align::Right),
    ("up", Align::Right),
    ("heartbeat", Align::Right),
    ("queues", Align::Left),
];

fn write_text(members: &[Member], now: f64, out: &mut dyn Write) -> Result<(), Error> {
    if members.is_empty() {
        writeln!(out, "no process is running")?;
        return Ok(());
    }
    let rows: Vec<_> = members.iter().map(|member| row(member, now)).collect();
    table::write(out, COLUMNS, &rows)?;
    Ok(())
}

/// One line of the table.
fn row(member: &Member, now: f64) -> Vec<String> {
    let unknown = || "?".to_owned();
    vec![
        member.uuid.clone(),
        member.host.clone(),
        member.pid.to_string(),
        member.engine_text(),
        member.phase.clone(),
        format!("{}/{}", member.busy, member.concurrency),
        member.health(now),
        member.rss_kb.map_or_else(unknown, |kilobytes| format!("{:.1}", kilobytes as f64 / 1024.0)),
        span(now - member.started_at as f64),
        member.heartbeat.map_or_else(unknown, |then| format!("{} ago", span(now - then))),
        member.queues_text(),
    ]
}
