//! `loadgen latency`: how long a job waits from enqueueing to start, at given rates.
//!
//! For comparison, a client that does nothing but wait in Redis: what this machine allows.

mod floor;

use clap::Args;
use serde::Serialize;

use super::Session;
use super::paced::{self, Arrivals, PacedOptions, Run};
use super::scene::{self, Processor, Scene};
use crate::cli::{self, DistanceOptions, RedisOptions, WorkerOptions};
use crate::error::Error;
use crate::paced::Schedule;
use crate::report::figure::{Better, Figure};
use crate::report::format::{grouped, milliseconds};
use crate::report::plot::{Axis, Line, Plot, Scale};
use crate::report::{Outcome, Table};
use crate::spread::Spread;
use crate::worker::Program;

/// Most jobs per second that one producer can send on schedule.
const RATE_MAX: u64 = 100_000;

pub(super) const DEFINITIONS: [&str; 4] = [
    "p50 … max: milliseconds from a job's intended time in an open-loop schedule to the first line of its handler, by \
     HdrHistogram (3 digits); a job that was sent late counts from when it should have been sent, so no wait is left \
     out (coordinated omission)",
    "from sending: the same from the moment the job was written to the socket; late: by how much the latest job was \
     sent after its time",
    "worker µs/job, Redis µs/job, Redis commands/job: over the measured time, including idle waits between the jobs",
    "the producer shares the worker's CPU; a tenth as many jobs are sent first, as a warm-up, and not counted",
];

const FLOOR: &str = "bare client: one thread that blocks in `BLMOVE` and takes the time of the reply, on the worker's CPUs: \
     Redis, the kernel and the wake-ups of idle CPUs, which no worker is below; its CPU time stands as the worker's";

const FLOOR_TITLE: &str = "bare client, blocking";

pub(super) const HEADER: [&str; 13] = [
    "Job Processor",
    "jobs/s",
    "Jobs",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "p50 from sending",
    "p99 from sending",
    "late",
    "worker µs/job",
    "Redis µs/job",
];

/// Options of `latency`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs per second, one row each
    #[arg(long, value_delimiter = ',', default_value = "200,1_000,10_000", value_name = "N,N", value_parser = rate)]
    rate: Vec<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    paced: PacedOptions,
    /// Omit the bare client
    #[arg(long)]
    no_floor: bool,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    distance: DistanceOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<Row>,
    /// The bare client's.
    floor: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    per_second: u64,
    runs: Vec<Run>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::own(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?.at(options.distance)?;
    let (mut rows, mut floor) = (Vec::new(), Vec::new());
    for per_second in &options.rate {
        let schedule = Schedule { per_second: *per_second, jobs: per_second * options.paced.seconds };
        let arrivals = Arrivals {
            concurrency: options.paced.concurrency,
            queues: options.paced.queues,
            schedule,
            beside: &|_, _| 0,
        };
        let (mut runs, mut floor_runs) = (Vec::new(), Vec::new());
        for number in 1..=options.paced.repeat.runs {
            let title =
                format!("{} jobs/s, run {number} of {}", grouped(*per_second), options.paced.repeat.runs);
            if !options.no_floor {
                floor_runs.push(floor::run(&scene, schedule, &format!("{title}: bare client"), session)?);
            }
            runs.push(paced::run(&scene, options.worker.mode, &arrivals, &title, session)?);
        }
        rows.push(Row { per_second: *per_second, runs });
        floor.extend((!options.no_floor).then_some(Row { per_second: *per_second, runs: floor_runs }));
    }
    let processor = scene.processor(options.worker.mode);
    let machine = scene.end()?;
    let bare = Processor {
        title: format!("{FLOOR_TITLE}{}", scene::away(options.distance.delay)),
        key: format!("{FLOOR_TITLE}{}", scene::away(options.distance.delay)),
    };
    let results = Results { rows, floor };
    let mut outcome =
        Outcome::new("latency", "Enqueue to start", machine, options, &results)?.defined_by(&DEFINITIONS);
    let ours = results.rows.iter().map(|row| (row, &processor));
    let all = ours.chain(results.floor.iter().map(|row| (row, &bare)));
    let cells = all.clone().map(|(row, processor)| {
        let leading = vec![processor.title.clone(), grouped(row.per_second), grouped(jobs_of(&row.runs))];
        cells(leading, &row.runs)
    });
    outcome.tables.push(Table::new(&HEADER, cells.collect()));
    outcome.remark = options.paced.repeat.remark();
    if options.distance.delay.is_some() {
        outcome.definitions.push(scene::AWAY.to_owned());
    }
    if !options.no_floor {
        outcome.definitions.push(FLOOR.to_owned());
    }
    outcome.figures = all.flat_map(|(row, processor)| row.figures(processor)).collect();
    let lines = results.rows.iter().map(|row| line(format!("{} jobs/s", grouped(row.per_second)), &row.runs));
    outcome.plots.push(plot("latency", "Enqueue to start", lines.collect()));
    Ok(outcome)
}

/// A number of jobs per second.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    cli::bounded(text, RATE_MAX)
}

impl Row {
    fn figures(&self, processor: &Processor) -> Vec<Figure> {
        figures(&format!("{}, {} jobs/s", processor.key, self.per_second), &self.runs)
    }
}

/// The figures by which two outcomes are compared.
pub(super) fn figures(name: &str, runs: &[Run]) -> Vec<Figure> {
    let figure =
        |quantity, value: fn(&Run) -> f64| Figure::new(name, quantity, Better::Lower, runs.iter().map(value));
    let figures = [
        figure("p50 µs", |run| run.from_intended.p50_us),
        figure("p90 µs", |run| run.from_intended.p90_us),
        figure("p99 µs", |run| run.from_intended.p99_us),
        figure("p99.9 µs", |run| run.from_intended.p999_us),
        figure("max µs", |run| run.from_intended.max_us),
        figure("worker µs/job", |run| run.worker_us_per_job),
        figure("Redis µs/job", |run| run.redis_us_per_job),
        figure("Redis commands/job", |run| run.redis_commands_per_job),
    ];
    figures.into_iter().flatten().collect()
}

/// Medians of the distributions of all runs, in milliseconds.
pub(super) fn line(name: String, runs: &[Run]) -> Line {
    let percentiles = runs.first().map(|run| run.from_intended.distribution.len()).unwrap_or_default();
    let point = |index: usize| {
        let of_runs = runs.iter().filter_map(|run| run.from_intended.distribution.get(index));
        let percentile = of_runs.clone().next()?.0;
        Some((percentile, Spread::of(of_runs.map(|point| point.1 / 1e3))?.median))
    };
    Line { name, points: (0..percentiles).filter_map(point).collect() }
}

/// Latency by percentile.
pub(super) fn plot(name: &str, title: &str, lines: Vec<Line>) -> Plot {
    Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: Axis { title: "percentile", scale: Scale::Nines },
        y: Axis { title: "ms", scale: Scale::Logarithmic },
        lines,
    }
}

/// Jobs whose latency was recorded in each run.
pub(super) fn jobs_of(runs: &[Run]) -> u64 {
    runs.first().map_or(0, |run| run.from_intended.jobs)
}

/// The cells from `p50` on, after the given ones.
pub(super) fn cells(mut leading: Vec<String>, runs: &[Run]) -> Vec<String> {
    let median = |value: fn(&Run) -> f64| Spread::of(runs.iter().map(value)).map(|spread| spread.median);
    let times: [fn(&Run) -> f64; 8] = [
        |run| run.from_intended.p50_us,
        |run| run.from_intended.p90_us,
        |run| run.from_intended.p99_us,
        |run| run.from_intended.p999_us,
        |run| run.from_intended.max_us,
        |run| run.from_sent.p50_us,
        |run| run.from_sent.p99_us,
        |run| run.late_max_us,
    ];
    leading.extend(times.into_iter().filter_map(median).map(|time_us| milliseconds(time_us / 1e3)));
    let costs: [fn(&Run) -> f64; 2] = [|run| run.worker_us_per_job, |run| run.redis_us_per_job];
    leading.extend(costs.into_iter().filter_map(median).map(|cost| format!("{cost:.1}")));
    leading
}
