//! `loadgen soak`: a worker's memory over many jobs.
//!
//! The queue is topped up while the worker drains it, so that Redis never holds all jobs at once.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Session;
use super::scene::Scene;
use crate::cli::{self, RedisOptions, WorkerOptions};
use crate::drive::{Feeder, Work};
use crate::error::Error;
use crate::measure::ProcessMeter;
use crate::redis::Client;
use crate::report::figure::{Better, Figure};
use crate::report::format::{grouped, kilobytes, rounded, seconds};
use crate::report::plot::{Axis, Line, Plot, Scale};
use crate::report::{Outcome, Table};
use crate::worker::{Launch, Program, Worker};

/// The queue is topped up when fewer jobs than this wait.
const WAITING_MIN: u64 = 200_000;

/// Jobs added by one top-up.
const TOP_UP: u64 = 100_000;

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Pause between two checks of the queue.
const POLL: Duration = Duration::from_millis(10);

/// A worker that moves nothing for this long never will.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Fraction of the jobs after which memory counts as settled.
const SETTLED_AFTER: u64 = 10;

const DEFINITIONS: [&str; 2] = [
    "RSS: VmRSS of the worker, sampled every 0.2 s; at 10 %: at the first sample after a tenth of the jobs; growth: from \
     there to the last sample; most: of all samples",
    "jobs/s, worker µs/job and Redis µs/job include that loadgen tops up the queue on the worker's CPU",
];

const HEADER: [&str; 10] = [
    "Job Processor",
    "Concurrency",
    "Jobs",
    "Time",
    "RSS at 10 %",
    "Finish RSS",
    "Growth",
    "Most",
    "jobs/s",
    "worker µs/job",
];

/// Options of `soak`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Total number of jobs
    #[arg(short, long, default_value = "10_000_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    /// Jobs the worker may have in flight
    #[arg(short, long, default_value = "10", value_name = "N", value_parser = cli::concurrency)]
    concurrency: u64,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    seconds: f64,
    jobs_per_second: f64,
    worker_us_per_job: f64,
    redis_us_per_job: f64,
    settled_rss_kb: u64,
    finish_rss_kb: u64,
    most_rss_kb: u64,
    samples: Vec<Sample>,
}

/// One look at the worker.
#[derive(Debug, Clone, Copy, Serialize)]
struct Sample {
    seconds: f64,
    processed: u64,
    rss_kb: u64,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, the worker ended or stalled, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::stock(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?;
    let results = soak(&scene, options, session)?;
    let processor = scene.processor(options.worker.mode);
    let machine = scene.end()?;
    let mut outcome =
        Outcome::new("soak", "Memory over many jobs", machine, options, &results)?.defined_by(&DEFINITIONS);
    outcome.tables.push(Table::new(&HEADER, vec![cells(&processor.title, options, &results)]));
    outcome.remark = format!("One run, {} samples.", results.samples.len());
    let name = format!("{}, c={}, {} jobs", processor.key, options.concurrency, options.jobs);
    let figures = [
        Figure::new(&name, "RSS growth kb", Better::Lower, [results.growth_kb()]),
        Figure::new(&name, "finish RSS kb", Better::Lower, [results.finish_rss_kb as f64]),
        Figure::new(&name, "jobs/s", Better::Higher, [results.jobs_per_second]),
    ];
    outcome.figures = figures.into_iter().flatten().collect();
    outcome.plots.push(Plot {
        name: "soak-rss".to_owned(),
        title: format!("Memory over {} no-op jobs", grouped(options.jobs)),
        x: Axis { title: "seconds", scale: Scale::FromZero },
        y: Axis { title: "RSS, MB", scale: Scale::FromZero },
        lines: vec![Line {
            name: processor.title,
            points: results.samples.iter().map(|at| (at.seconds, at.rss_kb as f64 / 1024.0)).collect(),
        }],
    });
    Ok(outcome)
}

fn soak(scene: &Scene, options: &Options, session: &Session) -> Result<Results, Error> {
    let mut client = scene.server.client()?;
    let mut feeder = Feeder::connect(scene.server.url(), &Work::noop())?;
    let mut left = options.jobs;
    top_up(&mut feeder, &mut left, session)?;
    let redis = ProcessMeter::new(scene.server.pid());
    let redis_cpu = redis.cpu()?;
    let mut worker = Worker::start(&Launch {
        program: &scene.program,
        cores: scene.cores,
        queues: 1,
        concurrency: options.concurrency,
        mode: options.worker.mode,
        url: scene.server.url(),
        log: &scene.server.directory().join("worker.log"),
        variables: &[],
    })?;
    session.progress.step("soak".to_owned(), options.jobs);
    let samples = watch(&mut client, &mut feeder, &mut worker, (options.jobs, left), session)?;
    let (cpu, redis_cpu) = (worker.meter().cpu()?, redis.cpu()? - redis_cpu);
    worker.stop()?;
    summarize(options.jobs, samples, cpu, redis_cpu)
        .ok_or_else(|| Error::WrongOutcome("the soak was over before a sample was taken".to_owned()))
}

/// Tops up and samples until all jobs are processed.
fn watch(
    client: &mut Client,
    feeder: &mut Feeder,
    worker: &mut Worker,
    (jobs, mut left): (u64, u64),
    session: &Session,
) -> Result<Vec<Sample>, Error> {
    let begin = Instant::now();
    let (mut samples, mut moved, mut last) = (Vec::new(), Instant::now(), 0);
    let mut next_sample = Duration::ZERO;
    loop {
        let backlog = client.backlog()?;
        let done = backlog.processed >= jobs;
        if done || begin.elapsed() >= next_sample {
            let rss_kb = worker.meter().memory()?.rss_kb;
            let seconds = begin.elapsed().as_secs_f64();
            samples.push(Sample { seconds, processed: backlog.processed, rss_kb });
            next_sample = begin.elapsed() + SAMPLE_EVERY;
        }
        if done {
            return Ok(samples);
        }
        if backlog.processed > last {
            (last, moved) = (backlog.processed, Instant::now());
        } else if moved.elapsed() > STALL_TIMEOUT {
            let state = format!("{last} of {jobs} processed, {} waiting", backlog.waiting);
            return Err(Error::WorkerStalled { waited: STALL_TIMEOUT, state, log: worker.log_tail() });
        }
        session.interrupt.check()?;
        worker.check_alive()?;
        session.progress.set(backlog.processed);
        if left > 0 && backlog.waiting < WAITING_MIN {
            top_up(feeder, &mut left, session)?;
        } else {
            thread::sleep(POLL);
        }
    }
}

fn top_up(feeder: &mut Feeder, left: &mut u64, session: &Session) -> Result<(), Error> {
    let jobs = TOP_UP.min(*left);
    feeder.push(jobs, &session.interrupt, |_| ())?;
    *left -= jobs;
    Ok(())
}

fn summarize(jobs: u64, samples: Vec<Sample>, cpu: Duration, redis_cpu: Duration) -> Option<Results> {
    let last = *samples.last()?;
    let settled =
        samples.iter().find(|sample| sample.processed >= jobs / SETTLED_AFTER).unwrap_or(&last).rss_kb;
    Some(Results {
        seconds: last.seconds,
        jobs_per_second: jobs as f64 / last.seconds,
        worker_us_per_job: cpu.as_secs_f64() * 1e6 / jobs as f64,
        redis_us_per_job: redis_cpu.as_secs_f64() * 1e6 / jobs as f64,
        settled_rss_kb: settled,
        finish_rss_kb: last.rss_kb,
        most_rss_kb: samples.iter().map(|sample| sample.rss_kb).max()?,
        samples,
    })
}

impl Results {
    /// Below zero if memory was given back.
    fn growth_kb(&self) -> f64 {
        self.finish_rss_kb as f64 - self.settled_rss_kb as f64
    }
}

fn cells(processor: &str, options: &Options, results: &Results) -> Vec<String> {
    vec![
        processor.to_owned(),
        grouped(options.concurrency),
        grouped(options.jobs),
        seconds(results.seconds),
        kilobytes(results.settled_rss_kb),
        kilobytes(results.finish_rss_kb),
        format!("{:+.0} kb", results.growth_kb()),
        kilobytes(results.most_rss_kb),
        rounded(results.jobs_per_second),
        format!("{:.2}", results.worker_us_per_job),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_counted_from_a_tenth_of_the_jobs_on() {
        let at = |seconds, processed, rss_kb| Sample { seconds, processed, rss_kb };
        let samples =
            vec![at(0.0, 0, 1_000), at(1.0, 120, 5_000), at(2.0, 500, 5_300), at(3.0, 1_000, 5_100)];
        let results = summarize(1_000, samples, Duration::from_millis(1), Duration::from_millis(1)).unwrap();
        assert_eq!((results.settled_rss_kb, results.most_rss_kb), (5_000, 5_300));
        assert!((results.growth_kb() - 100.0).abs() < 1e-9);
    }
}
