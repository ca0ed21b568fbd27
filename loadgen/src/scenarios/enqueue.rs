//! `loadgen enqueue`: how fast the library's client pushes, one job a call and in bulk.

use std::iter;
use std::time::Instant;

use clap::Args;
use jiggler_uring::client::{Client, NewJob};
use jiggler_uring::resp::blocking::BlockingOptions;
use nix::unistd::getpid;
use serde::Serialize;

use super::Session;
use crate::cli::{self, RedisOptions};
use crate::error::Error;
use crate::keys;
use crate::machine::Machine;
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::placement::Placement;
use crate::redis_server::RedisServer;
use crate::report::figure::{Better, Figure};
use crate::report::format::{counted, grouped, rounded, seconds};
use crate::report::{Outcome, Table};
use crate::spread::Spread;

/// A producer is one thread.
const PRODUCER_CORES: usize = 1;

/// Single enqueues between two looks at interrupt and progress bar.
const SINGLE_CHUNK: u64 = 500;

/// Jobs of one bulk call: the interrupt is looked at between them.
const BULK_CHUNK: u64 = 100_000;

const DEFINITIONS: [&str; 3] = [
    "single: one `Client::enqueue` and its reply after the other; bulk: `Client::enqueue_bulk`, the same job again and \
     again, each push with a jid of its own; bulk, each its own: a `NewJob` made for each job, with two arguments",
    "Time: from the first call to the return of the last; client µs/job: CPU time of the producer's process, by jobs",
    "Redis commands/job: commands Redis ran, loadgen's own questions left out",
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
    /// Runs per row: the table shows medians
    #[arg(short, long, default_value = "3", value_name = "N", value_parser = cli::runs)]
    runs: u64,
    #[command(flatten)]
    redis: RedisOptions,
}

/// How jobs are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Single,
    Bulk,
    BulkDistinct,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    way: Way,
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
    for way in [Way::Single, Way::Bulk, Way::BulkDistinct] {
        let jobs = if way == Way::Single { options.jobs } else { options.bulk_jobs };
        let mut runs = Vec::new();
        for number in 1..=options.runs {
            session.progress.step(format!("enqueue {}, run {number} of {}", way.title(), options.runs), jobs);
            runs.push(once(&server, way, jobs, session)?);
        }
        rows.push(Row { way, jobs, runs });
    }
    server.stop()?;
    let results = Results { rows };
    let mut outcome =
        Outcome::new("enqueue", "Enqueueing", machine, options, &results)?.defined_by(&DEFINITIONS);
    outcome.tables.push(Table::new(&HEADER, results.rows.iter().filter_map(Row::cells).collect()));
    outcome.remark = format!("Medians of {}.", counted(options.runs, "run"));
    outcome.figures = results.rows.iter().flat_map(Row::figures).collect();
    Ok(outcome)
}

fn once(server: &RedisServer, way: Way, jobs: u64, session: &Session) -> Result<Run, Error> {
    let mut own = server.client()?;
    own.flush()?;
    let mut client = Client::connect_with(server.url(), BlockingOptions::default())?;
    let (redis, this) = (ProcessMeter::new(server.pid()), ProcessMeter::new(getpid()));
    let traffic = TrafficMeter::begin(&mut own)?;
    let (redis_cpu, client_cpu, begin) = (redis.cpu()?, this.cpu()?, Instant::now());
    push(&mut client, way, jobs, session)?;
    let elapsed = begin.elapsed().as_secs_f64();
    let (client_cpu, redis_cpu) = (this.cpu()? - client_cpu, redis.cpu()? - redis_cpu);
    let traffic = traffic.end(&mut own)?;
    let waiting = own.number(&["LLEN", keys::QUEUE])?;
    if waiting != jobs {
        return Err(Error::WrongOutcome(format!("{waiting} jobs are in the queue, {jobs} were pushed")));
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

fn push(client: &mut Client, way: Way, jobs: u64, session: &Session) -> Result<(), Error> {
    let job = NewJob::new("Noop", &[(); 0])?;
    let chunk = if way == Way::Single { SINGLE_CHUNK } else { BULK_CHUNK };
    let mut done = 0;
    while done < jobs {
        session.interrupt.check()?;
        session.progress.set(done);
        let end = jobs.min(done + chunk);
        match way {
            Way::Single => {
                for _ in done..end {
                    client.enqueue(&job)?;
                }
            }
            Way::Bulk => {
                let count = usize::try_from(end - done).unwrap_or(usize::MAX);
                client.enqueue_bulk(iter::repeat_n(&job, count))?;
            }
            Way::BulkDistinct => {
                let made = (done..end).map(|id| NewJob::new("ResizeImage", &(id, "thumbnail")));
                client.enqueue_bulk(made.collect::<Result<Vec<_>, _>>()?)?;
            }
        }
        done = end;
    }
    Ok(())
}

impl Way {
    fn title(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bulk => "bulk",
            Self::BulkDistinct => "bulk, each its own",
        }
    }
}

impl Row {
    fn median(&self, value: fn(&Run) -> f64) -> Option<f64> {
        Spread::of(self.runs.iter().map(value)).map(|spread| spread.median)
    }

    fn cells(&self) -> Option<Vec<String>> {
        Some(vec![
            self.way.title().to_owned(),
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
            Figure::new(self.way.title(), quantity, better, self.runs.iter().map(value))
        };
        let figures = [
            figure("jobs/s", Better::Higher, |run| run.jobs_per_second),
            figure("client µs/job", Better::Lower, |run| run.client_us_per_job),
            figure("Redis µs/job", Better::Lower, |run| run.redis_us_per_job),
        ];
        figures.into_iter().flatten().collect()
    }
}
