//! `loadgen noop`: no-op jobs through the real worker, one row per number of jobs and concurrency.
//!
//! Responsible for the plan of the runs, their medians and the JSON. One run is [`drain`], the table is [`table`].

mod drain;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use self::drain::{Bench, Load};
use super::Session;
use super::limit::{self, LimitRow, Plan};
use crate::cli::{Mode, NoopOptions};
use crate::commands::Design;
use crate::error::Error;
use crate::machine::Machine;
use crate::placement::Placement;
use crate::redis_server::RedisServer;
use crate::report::{self, Document};
use crate::spread::Spread;
use crate::worker;

/// Batch sizes of the null client that the worker's rate is held against; the best of them counts.
const LIMIT_BATCHES: [u64; 3] = [10, 100, 500];

/// Jobs per run of the null client.
const LIMIT_JOBS: u64 = 500_000;

/// Everything measured.
#[derive(Debug, Serialize)]
struct NoopResults {
    machine: Machine,
    limit: Vec<LimitRow>,
    rows: Vec<NoopRow>,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct NoopRow {
    jobs: u64,
    concurrency: u64,
    seconds: Spread,
    /// None when the jobs were gone before they were first looked at.
    jobs_per_second: Option<Spread>,
    /// `jobs_per_second` by the null client's best rate; none without the null client.
    of_limit: Option<f64>,
    start_rss_kb: Spread,
    finish_rss_kb: Spread,
    peak_rss_kb: Spread,
    cpu_percent: Spread,
    worker_us_per_job: Spread,
    redis_us_per_job: Spread,
    redis_commands_per_job: Spread,
    redis_reads_per_job: Spread,
    runs: Vec<NoopRun>,
}

/// The raw numbers of one run.
#[derive(Debug, Serialize)]
struct NoopRun {
    seconds: f64,
    seconds_to_first_job: f64,
    resolution_seconds: f64,
    jobs_per_second: Option<f64>,
    start_rss_kb: u64,
    finish_rss_kb: u64,
    peak_rss_kb: u64,
    cpu_percent: f64,
    worker_us_per_job: f64,
    redis_us_per_job: f64,
    redis_commands_per_job: f64,
    redis_reads_per_job: f64,
    redis_calls: BTreeMap<String, u64>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a run went wrong, or an interrupt.
pub(crate) fn run(options: &NoopOptions, session: &Session) -> Result<(), Error> {
    let binary = worker::locate(options.worker.binary.as_deref())?;
    let cores = usize::try_from(options.worker.cores).unwrap_or(usize::MAX);
    let placement = Placement::plan(cores, options.redis.redis_cpu)?;
    let server = RedisServer::start(&options.redis, &placement, &session.interrupt)?;
    let machine = Machine::describe(&mut server.client()?, &placement, Some(&binary))?;
    let limit = if options.no_limit { Vec::new() } else { measure_limit(&server, options, session)? };
    let rows = measure(&server, &binary, options, best_rate(&limit), session)?;
    server.stop()?;
    session.progress.clear();
    let results = NoopResults { machine, limit, rows };
    let text = table::render(&results, options);
    let document = Document {
        scenario: "noop",
        command: std::env::args().collect(),
        options,
        definitions: &table::DEFINITIONS,
        results: &results,
    };
    report::publish(&text, &document, options.output.json.as_deref())
}

fn measure_limit(
    server: &RedisServer,
    options: &NoopOptions,
    session: &Session,
) -> Result<Vec<LimitRow>, Error> {
    let design = match options.worker.mode {
        Mode::AtLeastOnce => Design::AtLeastOnce,
        Mode::AtMostOnce => Design::AtMostOnce,
    };
    let plan = Plan { designs: &[design], batches: &LIMIT_BATCHES, jobs: LIMIT_JOBS, runs: options.runs };
    limit::measure(server, plan, session)
}

fn best_rate(limit: &[LimitRow]) -> Option<f64> {
    limit.iter().map(|row| row.jobs_per_second.median).max_by(f64::total_cmp)
}

fn measure(
    server: &RedisServer,
    binary: &Path,
    options: &NoopOptions,
    limit_rate: Option<f64>,
    session: &Session,
) -> Result<Vec<NoopRow>, Error> {
    let mut bench = Bench::new(server, binary, &options.worker, session)?;
    let mut rows = Vec::new();
    for jobs in &options.jobs {
        for concurrency in &options.concurrency {
            let load = Load { jobs: *jobs, concurrency: *concurrency };
            let mut runs = Vec::new();
            for number in 1..=options.runs {
                runs.push(bench.run(load, &format!("run {number} of {}", options.runs))?);
            }
            rows.extend(summarize(load, runs, limit_rate));
        }
    }
    Ok(rows)
}

fn summarize(load: Load, runs: Vec<NoopRun>, limit_rate: Option<f64>) -> Option<NoopRow> {
    let spread = |value: fn(&NoopRun) -> f64| Spread::of(runs.iter().map(value));
    let jobs_per_second = Spread::of(runs.iter().filter_map(|run| run.jobs_per_second));
    Some(NoopRow {
        jobs: load.jobs,
        concurrency: load.concurrency,
        seconds: spread(|run| run.seconds)?,
        jobs_per_second,
        of_limit: jobs_per_second.zip(limit_rate).map(|(rate, limit)| rate.median / limit),
        start_rss_kb: spread(|run| run.start_rss_kb as f64)?,
        finish_rss_kb: spread(|run| run.finish_rss_kb as f64)?,
        peak_rss_kb: spread(|run| run.peak_rss_kb as f64)?,
        cpu_percent: spread(|run| run.cpu_percent)?,
        worker_us_per_job: spread(|run| run.worker_us_per_job)?,
        redis_us_per_job: spread(|run| run.redis_us_per_job)?,
        redis_commands_per_job: spread(|run| run.redis_commands_per_job)?,
        redis_reads_per_job: spread(|run| run.redis_reads_per_job)?,
        runs,
    })
}
