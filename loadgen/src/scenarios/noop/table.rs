//! The table of `loadgen noop`: the published columns, ours beside them, and what each means.

use super::{NoopResults, NoopRow};
use crate::cli::NoopOptions;
use crate::published::{self, PublishedNoop};
use crate::report::{NOTHING, counted, grouped, kilobytes, rounded, seconds, table};
use crate::scenarios::limit;

/// What the columns mean; also part of the JSON.
pub(super) const DEFINITIONS: [&str; 6] = [
    "Time: from the start of the worker's process to the last job processed (queue empty, nothing in flight, counter \
     at the number of jobs), seen within the run's `resolution_seconds`, 1 to 20 ms",
    "jobs/s: jobs processed between the first look that found a job taken (looks every 2 ms) and the last job, by that \
     time; the start of the process is left out",
    "Start RSS: VmRSS at that first look; Finish RSS: VmRSS when the last job was processed",
    "%CPU: user and system time of the worker's process by Time; worker µs/job and Redis µs/job: CPU time of each \
     process from start to last job, by jobs",
    "Redis commands/job: commands Redis ran, those called by scripts included, loadgen's own left out",
    "of limit: jobs/s by the best rate of the null client",
];

const HEADER: [&str; 12] = [
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
    "of limit",
];

/// The whole report as Markdown.
pub(super) fn render(results: &NoopResults, options: &NoopOptions) -> String {
    let processor = format!(
        "{}, {}, {}",
        results.machine.worker.as_deref().unwrap_or("worker"),
        counted(options.worker.cores, "core"),
        options.worker.mode.flag()
    );
    let mut rows = Vec::new();
    for row in &results.rows {
        let published = published::NOOP
            .iter()
            .filter(|published| published.jobs == row.jobs && published.concurrency == row.concurrency);
        rows.extend(published.map(published_cells));
        rows.push(own_cells(&processor, row));
    }
    let mut text = table(&HEADER, rows);
    if !results.limit.is_empty() {
        text.push('\n');
        text.push_str(&limit::table(&results.limit));
    }
    text.push_str(&format!("\nMedians of {}.\n\n", counted(options.runs, "run")));
    for line in DEFINITIONS {
        text.push_str(&format!("- {line}\n"));
    }
    text.push_str(&format!("- {}\n- {}\n", published::SOURCE, results.machine.line()));
    text
}

fn own_cells(processor: &str, row: &NoopRow) -> Vec<String> {
    vec![
        processor.to_owned(),
        grouped(row.concurrency),
        grouped(row.jobs),
        seconds(row.seconds.median),
        format!("{} kb", rounded(row.start_rss_kb.median)),
        format!("{} kb", rounded(row.finish_rss_kb.median)),
        format!("{:.1}", row.cpu_percent.median),
        row.jobs_per_second.map_or_else(|| NOTHING.to_owned(), |rate| rounded(rate.median)),
        format!("{:.2}", row.worker_us_per_job.median),
        format!("{:.2}", row.redis_us_per_job.median),
        format!("{:.3}", row.redis_commands_per_job.median),
        row.of_limit.map_or_else(|| NOTHING.to_owned(), |part| format!("{:.0} %", part * 100.0)),
    ]
}

fn published_cells(row: &PublishedNoop) -> Vec<String> {
    let mut cells = vec![
        row.processor.to_owned(),
        grouped(row.concurrency),
        grouped(row.jobs),
        seconds(row.seconds),
        kilobytes(row.start_rss_kb),
        kilobytes(row.finish_rss_kb),
        NOTHING.to_owned(),
        rounded(row.jobs as f64 / row.seconds),
    ];
    cells.resize(HEADER.len(), NOTHING.to_owned());
    cells
}
