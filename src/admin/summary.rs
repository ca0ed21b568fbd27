//! `jiggler-uring summary [--json] [--look]`.

use std::io::Write;

use super::{
    cron::overview::{self, overview},
    database::Database,
    error::Error,
    format::{Format, write_json},
    nodes::{self, Lookup},
    pause::write_classes,
    table::{self, Align, printable},
};
use crate::view::why::told;
use crate::{
    store::survey::{Scope, Summary},
    view::{
        count::count,
        gem_summary::{GemSummary, Periodic},
        member::{Member, Members},
    },
    wire::{ListName, figures::LeftName},
};

/// Reads the state and writes it. Round trips: see [`Survey::once`](crate::store::survey::Survey::once), and those of the
/// periodic jobs.
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn summary(
    db: &Database,
    lookup: Lookup,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let summary = nodes::survey_by(db, Scope::Everything, lookup)?;
    let periodic = overview(db, &summary.periodic)?;
    match format {
        Format::Text => write_text(&summary, periodic.as_ref(), summary.at, out),
        Format::Json => write_json(&GemSummary::of(&summary, periodic.as_ref()), out),
    }
}

/// Writes the summary as aligned text. `now` is Unix time in seconds, for the age of heartbeats.
///
/// # Errors
/// [`Error::Output`].
fn write_text(
    summary: &Summary,
    periodic: Option<&Periodic>,
    now: f64,
    out: &mut dyn Write,
) -> Result<(), Error> {
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
        let rows: Vec<_> = summary
            .queues
            .iter()
            .map(|(queue, jobs)| vec![ListName::shown(queue), jobs.to_string()])
            .collect();
        table::write(out, &[("queue", Align::Left), ("jobs", Align::Right)], &rows)?;
    }
    for (name, pause) in &summary.paused.queues {
        writeln!(out, "queue {} is paused {}", ListName::shown(name), told(pause, now))?;
    }
    write_classes(&summary.paused, now, out)?;
    if let Some(periodic) = periodic {
        overview::write(periodic, now, out)?;
    }
    writeln!(out)?;
    if summary.processes.is_empty() {
        writeln!(out, "no process is running")?;
    } else {
        let Members { processes } = Members::of(summary);
        let rows: Vec<_> = processes.iter().map(|member| process_row(member, now)).collect();
        table::write(out, PROCESS_COLUMNS, &rows)?;
        write_left(&processes, out)?;
    }
    for key in &summary.unreadable_keys {
        writeln!(out, "\nkey {} looks like a heartbeat but is not one", printable(key))?;
    }
    Ok(())
}

/// Which names which processes do not know, if there are any.
fn write_left(processes: &[Member], out: &mut dyn Write) -> Result<(), Error> {
    for member in processes.iter().filter(|member| !member.left.is_empty()) {
        let names: Vec<String> = member.left.iter().map(shown_left).collect();
        let Member { uuid, .. } = member;
        writeln!(
            out,
            "\nprocess {uuid} leaves jobs it does not know to other workers: {}",
            names.join(", ")
        )?;
    }
    Ok(())
}

fn shown_left(left: &LeftName) -> String {
    let name = if left.name.is_empty() { "others".to_owned() } else { printable(&left.name) };
    format!("{name} ({})", count(left.times, "time", "times"))
}

const PROCESS_COLUMNS: &[(&str, Align)] = &[
    ("process", Align::Left),
    ("pid", Align::Right),
    ("host", Align::Left),
    ("concurrency", Align::Right),
    ("queues", Align::Left),
    ("rss MiB", Align::Right),
    ("heartbeat", Align::Right),
    ("health", Align::Left),
];

fn process_row(member: &Member, now: f64) -> Vec<String> {
    let rss = member.rss_kb.map(|kilobytes| format!("{:.1}", kilobytes as f64 / 1024.0));
    let age = member.heartbeat.map(|then| format!("{:.0} s ago", (now - then).max(0.0)));
    vec![
        member.uuid.clone(),
        member.pid.to_string(),
        member.host.clone(),
        member.concurrency.to_string(),
        member.queues_text(),
        rss.unwrap_or_else(|| "?".to_owned()),
        age.unwrap_or_else(|| "unreadable".to_owned()),
        member.health_or_phase(now),
    ]
}

#[cfg(test)]
mod tests;
