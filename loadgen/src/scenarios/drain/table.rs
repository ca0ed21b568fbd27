//! The table of drained jobs: the published columns, ours alongside them, and what each means.

use super::Row;
use crate::published::Published;
use crate::report::Table;
use crate::report::format::{NOTHING, grouped, kilobytes, or_nothing, rounded, seconds};
use crate::report::plot::{Axis, Line, Plot, Scale};

/// What the columns mean; also part of the JSON.
pub(in crate::scenarios) const DEFINITIONS: [&str; 5] = [
    "Time: from the start of the worker's process to the last job processed (queue empty, nothing in flight, counter \
     at the number of jobs), seen within the run's `resolution_seconds`, 1 to 20 ms",
    "jobs/s: jobs processed between the first check that found a job taken (checks every 2 ms) and the last job, by that \
     time; the start of the process is left out",
    "Start RSS: VmRSS at that first check; Finish RSS: VmRSS when the last job was processed",
    "%CPU: user and system time of the worker's process divided by Time; worker µs/job and Redis µs/job: CPU time of each \
     process from start to last job, by jobs",
    "Redis commands/job: commands Redis ran, including those called by scripts, excluding loadgen's own",
];

const HEADER: [&str; 11] = [
    "Job Processor",
    "Concurrency",
    "Jobs",
    "Time",
    "Start RSS",
    "Finish RSS",
    "%CPU",
    "jobs/s",
    "worker µs/job",
    "Redis µs/job",
    "Redis commands/job",
];

/// What the last column of a scenario's table shows of [`Row::ratio`].
#[derive(Debug, Clone, Copy)]
pub(in crate::scenarios) struct LastColumn {
    /// Its title.
    pub(in crate::scenarios) title: &'static str,
    /// A cell of it.
    pub(in crate::scenarios) format: fn(f64) -> String,
}

/// Rows, with the published ones of the same concurrency and number of jobs before the first of ours.
pub(in crate::scenarios) fn table(rows: &[Row], published: &[Published], last: Option<LastColumn>) -> Table {
    let header: Vec<&str> = HEADER.into_iter().chain(last.map(|last| last.title)).collect();
    let mut cells = Vec::new();
    let mut shown = Vec::new();
    for row in rows {
        let setting = (row.concurrency, row.jobs);
        if !shown.contains(&setting) {
            shown.push(setting);
            let same =
                published.iter().filter(|published| (published.concurrency, published.jobs) == setting);
            cells.extend(same.map(|published| published_cells(published, header.len())));
        }
        cells.push(own_cells(row, last));
    }
    Table::new(&header, cells)
}

fn own_cells(row: &Row, last: Option<LastColumn>) -> Vec<String> {
    let mut cells = vec![
        row.processor.title.clone(),
        grouped(row.concurrency),
        grouped(row.jobs),
        seconds(row.seconds.median),
        format!("{} kb", rounded(row.start_rss_kb.median)),
        format!("{} kb", rounded(row.finish_rss_kb.median)),
        format!("{:.1}", row.cpu_percent.median),
        or_nothing(row.jobs_per_second, |rate| rounded(rate.median)),
        format!("{:.2}", row.worker_us_per_job.median),
        format!("{:.2}", row.redis_us_per_job.median),
        format!("{:.3}", row.redis_commands_per_job.median),
    ];
    cells.extend(last.map(|last| or_nothing(row.ratio, last.format)));
    cells
}

fn published_cells(row: &Published, columns: usize) -> Vec<String> {
    let mut cells = vec![
        row.processor.to_owned(),
        grouped(row.concurrency),
        grouped(row.jobs),
        seconds(row.seconds),
        kilobytes(row.start_rss_kb),
        kilobytes(row.finish_rss_kb),
        or_nothing(row.cpu_percent, |percent| format!("{percent:.1}")),
        rounded(row.jobs as f64 / row.seconds),
    ];
    cells.resize(columns, NOTHING.to_owned());
    cells
}

/// Rates by concurrency: a line for each processor and number of jobs, with the published ones of the same numbers.
pub(in crate::scenarios) fn plot(name: &str, title: &str, rows: &[Row], published: &[Published]) -> Plot {
    let mut lines: Vec<Line> = Vec::new();
    let mut add = |name: String, point: (f64, f64)| match lines.iter_mut().find(|line| line.name == name) {
        Some(line) => line.points.push(point),
        None => lines.push(Line { name, points: vec![point] }),
    };
    for row in rows {
        if let Some(rate) = row.jobs_per_second {
            let name = format!("{}, {} jobs", row.processor.title, grouped(row.jobs));
            add(name, (row.concurrency as f64, rate.median));
        }
    }
    for row in published.iter().filter(|published| rows.iter().any(|row| row.jobs == published.jobs)) {
        let name = format!("{}, {} jobs", row.processor, grouped(row.jobs));
        add(name, (row.concurrency as f64, row.jobs as f64 / row.seconds));
    }
    Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: Axis { title: "jobs in flight", scale: Scale::Logarithmic },
        y: Axis { title: "jobs/s", scale: Scale::Logarithmic },
        lines,
    }
}

/// Rates by cores: a line for each concurrency and number of jobs.
pub(in crate::scenarios) fn plot_by_cores(name: &str, title: &str, rows: &[Row]) -> Plot {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        let Some(rate) = row.jobs_per_second else { continue };
        let name = format!("c={}, {} jobs", row.concurrency, grouped(row.jobs));
        let point = (row.cores as f64, rate.median);
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { name, points: vec![point] }),
        }
    }
    Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: Axis { title: "cores", scale: Scale::Whole },
        y: Axis { title: "jobs/s", scale: Scale::FromZero },
        lines,
    }
}
