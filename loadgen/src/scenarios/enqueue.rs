//! `loadgen enqueue`: how fast the library's clients push, one job a call and in bulk.

mod ways;

use std::time::Instant;

use clap::Args;
use nix::unistd::getpid;
use serde::Serialize;

use self::ways::{Producer, Way};
use super::Session;
use super::repeat::RepeatOptions;
use crate::cli::{self, RedisOptions};
use crate::error::Error;
use crate::keys;
use crate::machine::Machine;
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::placement::Placement;
use crate::redis_server::RedisServer;
use crate::report::figure::{Better, Figure};
use crate::report::format::{grouped, rounded, seconds};
use crate::report::{Outcome, Table};
use crate::spread::Spread;

/// A producer is one thread.
const PRODUCER_CORES: usize = 1;

/// Most threads or tasks that push concurrently.
const PRODUCERS_MAX: u64 = 10_000;

const DEFINITIONS: [&str; 4] = [
    "single: one `Client::enqueue` at a time, each with its reply; bulk: `Client::enqueue_bulk`, the same job again and \
     again, each push with a jid of its own; bulk, each its own: a `NewJob` made for each job, with two arguments",
    "pool: threads that share a `ClientPool`, one job a call; tokio: tasks of one thread that share a `TokioClient`; outbox: \
     threads that share an `Outbox`, whose jobs are pushed once whatever happens; Redis away: they go to its journal, which \
     is on the disk before a call returns (fdatasync, in the directory for temporary files)",
    "Time: from the first call to the return of the last; client µs/job: CPU time of the producer's process, by jobs",
    "Redis commands/job: commands Redis ran, excluding loadgen's own",
];

const HEADER: [&str; 7] =
    ["Producer", "Jobs", "Time", "jobs/s", "client µs/job", "Redis µs/job", "Redis commands/job"];

/// Options of `enqueue`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs pushed one by one
    #[arg(short, long, default_value = "50_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    /// Jobs pushed in bulk
    #[arg(long, default_value = "2_000_000", value_name = "N", value_parser = cli::jobs)]
    bulk_jobs: u64,
    /// Which producers, one row each [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WAY,WAY")]
    ways: Vec<Way>,
    /// Threads of pool and outbox
    #[arg(long, default_value = "8", value_name = "N", value_parser = producers)]
    threads: u64,
    /// Tasks on tokio
    #[arg(long, default_value = "100", value_name = "N", value_parser = producers)]
    tasks: u64,
    #[command(flatten)]
    #[serde(flatten)]
    repeat: RepeatOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    way: Way,
    title: String,
    jobs: u64,
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Run {
    seconds: f64,
    jobs_per_second: f64,
    client_us_per_job: f64,
    redis_us_per_job: f64,
    redis_commands_per_job: f64,
}

/// The whole scenario.
///
/// # Errors
/// Redis is missing, a push failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let placement = Placement::plan(PRODUCER_CORES, options.redis.redis_cpu)?;
    let server = RedisServer::start(&options.redis, &placement, &session.interrupt)?;
    let machine = Machine::describe(&mut server.client()?, &placement, None)?;
    let mut rows = Vec::new();
    let ways = if options.ways.is_empty() { &Way::ALL } else { options.ways.as_slice() };
    for way in ways {
        let (jobs, title) =
            (if way.is_bulk() { options.bulk_jobs } else { options.jobs }, way.title(options));
        let mut runs = Vec::new();
        for number in 1..=options.repeat.runs {
            session.progress.step(format!("enqueue {title}, run {number} of {}", options.repeat.runs), jobs);
            runs.push(once(&server, *way, jobs, options, session)?);
        }
        rows.push(Row { way: *way, title, jobs, runs });
    }
    server.stop()?;
    let results = Results { rows };
    let mut outcome =
        Outcome::new("enqueue", "Enqueueing", machine, options, &results)?.defined_by(&DEFINITIONS);
    outcome.tables.push(Table::new(&HEADER, results.rows.iter().filter_map(Row::cells).collect()));
    outcome.remark = options.repeat.remark();
    outcome.figures = results.rows.iter().flat_map(Row::figures).collect();
    Ok(outcome)
}

/// A number of threads or tasks.
fn producers(text: &str) -> Result<u64, String> {
    cli::bounded(text, PRODUCERS_MAX)
}

fn once(
    server: &RedisServer,
    way: Way,
    jobs: u64,
    options: &Options,
    session: &Session,
) -> Result<Run, Error> {
    let mut own = server.client()?;
    own.flush()?;
    let mut producer = Producer::open(way, server)?;
    let (redis, this) = (ProcessMeter::new(server.pid()), ProcessMeter::new(getpid()));
    let traffic = TrafficMeter::begin(&mut own)?;
    let (redis_cpu, client_cpu, begin) = (redis.cpu()?, this.cpu()?, Instant::now());
    producer.push(way, jobs, options, session)?;
    let elapsed = begin.elapsed().as_secs_f64();
    let (client_cpu, redis_cpu) = (this.cpu()? - client_cpu, redis.cpu()? - redis_cpu);
    let traffic = traffic.end(&mut own)?;
    let waiting = if way.reaches_redis() { own.number(&["LLEN", keys::QUEUE])? } else { producer.kept() };
    if waiting != jobs {
        return Err(Error::WrongOutcome(format!("{waiting} jobs are in the queue, but {jobs} were pushed")));
    }
    let of_jobs = |total: f64| total / jobs as f64;
    Ok(Run {
        seconds: elapsed,
        jobs_per_second: jobs as f64 / elapsed,
        client_us_per_job: of_jobs(client_cpu.as_secs_f64() * 1e6),
        redis_us_per_job: of_jobs(redis_cpu.as_secs_f64() * 1e6),
        redis_commands_per_job: of_jobs(traffic.commands as f64),
    })
}

impl Row {
    fn median(&self, value: fn(&Run) -> f64) -> Option<f64> {
        Spread::of(self.runs.iter().map(value)).map(|spread| spread.median)
    }

    fn cells(&self) -> Option<Vec<String>> {
        Some(vec![
            self.title.clone(),
            grouped(self.jobs),
            seconds(self.median(|run| run.seconds)?),
            rounded(self.median(|run| run.jobs_per_second)?),
            format!("{:.2}", self.median(|run| run.client_us_per_job)?),
            format!("{:.2}", self.median(|run| run.redis_us_per_job)?),
            format!("{:.3}", self.median(|run| run.redis_commands_per_job)?),
        ])
    }

    fn figures(&self) -> Vec<Figure> {
        let figure = |quantity, better, value: fn(&Run) -> f64| {
            Figure::new(&self.title, quantity, better, self.runs.iter().map(value))
        };
        let figures = [
            figure("jobs/s", Better::Higher, |run| run.jobs_per_second),
            figure("client µs/job", Better::Lower, |run| run.client_us_per_job),
            figure("Redis µs/job", Better::Lower, |run| run.redis_us_per_job),
        ];
        figures.into_iter().flatten().collect()
    }
}
