//! `loadgen due`: the poller. How fast one process moves due jobs, and how late a job starts that another client
//! schedules.
//!
//! Responsible for the options, the tables and the JSON. The runs are in [`rate`] and [`lateness`].

mod lateness;
mod rate;

use clap::Args;
use serde::Serialize;

use super::Session;
use super::latency::{line, plot};
use super::paced;
use super::repeat::RepeatOptions;
use super::scene::{Processor, Scene};
use crate::cli::{self, RedisOptions, WorkerOptions};
use crate::error::Error;
use crate::paced::Schedule;
use crate::report::figure::{Better, Figure};
use crate::report::format::{grouped, milliseconds, rounded, seconds};
use crate::report::{Outcome, Table};
use crate::spread::Spread;
use crate::worker::Program;

/// Most jobs per second that one producer can schedule on time.
const PER_SECOND_MAX: u64 = 100_000;

const DEFINITIONS: [&str; 4] = [
    "moving: that many jobs are due, half in the retry set, half in the scheduled set, before the worker starts; they go \
     to a queue that nobody serves. Jobs/s: from the first look that shows some moved to the one that shows all",
    "lateness: another client schedules jobs 200 to 1,000 ms ahead, every second one in the retry set; from the time a \
     job is due to the first line of its handler, so what a queued job waits for its start is in it; by HdrHistogram",
    "Redis µs/job, Redis commands/job: over the measured time; for lateness this includes everything that happens to a job",
    "the producer shares the worker's CPU; a tenth as many jobs are sent first, as a warm-up, and not counted",
];

const RATE_HEADER: [&str; 6] =
    ["Job Processor", "Due jobs", "Time", "jobs/s", "Redis µs/job", "Redis commands/job"];

const LATENESS_HEADER: [&str; 9] =
    ["Job Processor", "jobs/s", "Jobs", "p50", "p90", "p99", "p99.9", "max", "Redis commands/job"];

/// Options of `due`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Due jobs to move
    #[arg(short, long, default_value = "200_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    /// Jobs scheduled per second, one row each
    #[arg(long, value_delimiter = ',', default_value = "50", value_name = "N,N", value_parser = per_second)]
    rate: Vec<u64>,
    /// How long to schedule, in seconds
    #[arg(short, long, default_value = "10", value_name = "N", value_parser = cli::seconds)]
    seconds: u64,
    #[command(flatten)]
    #[serde(flatten)]
    repeat: RepeatOptions,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    jobs: u64,
    rate: Vec<rate::Run>,
    lateness: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    per_second: u64,
    runs: Vec<paced::Run>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::own(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?;
    let mode = options.worker.mode;
    let mut moving = Vec::new();
    for number in 1..=options.repeat.runs {
        session.progress.step(format!("due jobs, run {number} of {}", options.repeat.runs), options.jobs);
        moving.push(rate::run(&scene, mode, options.jobs, session)?);
    }
    let mut lateness = Vec::new();
    for per_second in &options.rate {
        let schedule = Schedule { per_second: *per_second, jobs: per_second * options.seconds };
        let mut runs = Vec::new();
        for number in 1..=options.repeat.runs {
            let title =
                format!("{} scheduled/s, run {number} of {}", grouped(*per_second), options.repeat.runs);
            runs.push(lateness::run(&scene, mode, schedule, &title, session)?);
        }
        lateness.push(Row { per_second: *per_second, runs });
    }
    let processor = scene.processor(mode);
    let machine = scene.end()?;
    let results = Results { jobs: options.jobs, rate: moving, lateness };
    let mut outcome = Outcome::new("due", "Due jobs", machine, options, &results)?.defined_by(&DEFINITIONS);
    outcome.tables.push(Table::new(&RATE_HEADER, results.rate_cells(&processor).into_iter().collect()));
    let cells = results.lateness.iter().filter_map(|row| row.cells(&processor)).collect();
    outcome.tables.push(Table::new(&LATENESS_HEADER, cells));
    outcome.remark = options.repeat.remark();
    outcome.figures = results.figures(&processor);
    let lines = results.lateness.iter().map(|row| line(format!("{} jobs/s", row.per_second), &row.runs));
    outcome.plots.push(plot("due", "Due to start", lines.collect()));
    Ok(outcome)
}

fn per_second(text: &str) -> Result<u64, String> {
    cli::bounded(text, PER_SECOND_MAX)
}

impl Results {
    fn rate_cells(&self, processor: &Processor) -> Option<Vec<String>> {
        let median = |value: fn(&rate::Run) -> f64| Spread::of(self.rate.iter().map(value));
        Some(vec![
            processor.title.clone(),
            grouped(self.jobs),
            seconds(median(|run| run.seconds)?.median),
            rounded(median(|run| run.jobs_per_second)?.median),
            format!("{:.2}", median(|run| run.redis_us_per_job)?.median),
            format!("{:.3}", median(|run| run.redis_commands_per_job)?.median),
        ])
    }

    fn figures(&self, processor: &Processor) -> Vec<Figure> {
        let moving = |quantity, better, value: fn(&rate::Run) -> f64| {
            Figure::new(&format!("{}, moving", processor.key), quantity, better, self.rate.iter().map(value))
        };
        let moving = [
            moving("jobs/s", Better::Higher, |run| run.jobs_per_second),
            moving("Redis µs/job", Better::Lower, |run| run.redis_us_per_job),
        ];
        moving
            .into_iter()
            .flatten()
            .chain(self.lateness.iter().flat_map(|row| row.figures(processor)))
            .collect()
    }
}

impl Row {
    fn median(&self, value: fn(&paced::Run) -> f64) -> Option<f64> {
        Spread::of(self.runs.iter().map(value)).map(|spread| spread.median)
    }

    fn cells(&self, processor: &Processor) -> Option<Vec<String>> {
        let jobs = self.runs.first()?.from_intended.jobs;
        let mut cells = vec![processor.title.clone(), grouped(self.per_second), grouped(jobs)];
        let times: [fn(&paced::Run) -> f64; 5] = [
            |run| run.from_intended.p50_us,
            |run| run.from_intended.p90_us,
            |run| run.from_intended.p99_us,
            |run| run.from_intended.p999_us,
            |run| run.from_intended.max_us,
        ];
        cells.extend(times.into_iter().filter_map(|time| self.median(time)).map(|us| milliseconds(us / 1e3)));
        cells.push(format!("{:.1}", self.median(|run| run.redis_commands_per_job)?));
        Some(cells)
    }

    fn figures(&self, processor: &Processor) -> Vec<Figure> {
        let name = format!("{}, {} scheduled/s", processor.key, self.per_second);
        let figure = |quantity, value: fn(&paced::Run) -> f64| {
            Figure::new(&name, quantity, Better::Lower, self.runs.iter().map(value))
        };
        let figures = [
            figure("p50 µs late", |run| run.from_intended.p50_us),
            figure("p99 µs late", |run| run.from_intended.p99_us),
            figure("max µs late", |run| run.from_intended.max_us),
            figure("Redis commands/job", |run| run.redis_commands_per_job),
        ];
        figures.into_iter().flatten().collect()
    }
}
