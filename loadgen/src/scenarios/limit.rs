//! `loadgen limit`: what this Redis serves to a client that sends the engine's commands and does nothing else.
//!
//! No worker can be faster, so a worker's rate is best read as a fraction of this one, measured in the same run.

use std::time::{Duration, Instant};

use clap::Args;
use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::resp::url::RedisUrl;
use serde::Serialize;

use super::repeat::RepeatOptions;
use super::{Session, scene};
use crate::cli::{self, DistanceOptions, RedisOptions};
use crate::commands::{Commands, Design};
use crate::delay_line::DelayLine;
use crate::drive::{self, Work};
use crate::error::Error;
use crate::machine::Machine;
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::null_client::NullClient;
use crate::placement::Placement;
use crate::redis::Client;
use crate::redis_server::RedisServer;
use crate::report::figure::{Better, Figure};
use crate::report::format::{grouped, rounded};
use crate::report::{Outcome, Table};
use crate::spread::Spread;

/// The null client is one thread.
const NULL_CLIENT_CORES: usize = 1;

/// Jobs a window may move: replies in Redis's buffers stay within its CPU's cache, and the marker's cost vanishes.
const WINDOW_JOBS: u64 = 2_000;

/// Calls a window may hold if batches are large.
const WINDOW_CALLS_MIN: u64 = 8;

const DEFINITIONS: [&str; 2] = [
    "jobs/s: jobs divided by the time from the first command sent to the last reply received, median of the runs; one \
     connection, deep pipelining, replies not parsed; payloads of 64 bytes",
    "Redis µs/job: CPU time of the Redis process over the same time, divided by jobs",
];

/// Most jobs in one call: Lua passes at most about 8,000 arguments to a command.
const BATCH_JOBS_MAX: u64 = 5_000;

/// Options of `limit`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs per call, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "1,10,100,500", value_name = "N,N", value_parser = batch)]
    batch: Vec<u64>,
    /// Jobs per run
    #[arg(short, long, default_value = "500_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    #[command(flatten)]
    #[serde(flatten)]
    repeat: RepeatOptions,
    #[command(flatten)]
    distance: DistanceOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<LimitRow>,
}

/// One design at one batch size.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LimitRow {
    /// Which commands.
    pub(crate) design: Design,
    /// Jobs per call.
    pub(crate) batch_jobs: u64,
    /// How far away Redis was, in the words of the row.
    pub(crate) away: String,
    /// The rate.
    pub(crate) jobs_per_second: Spread,
    /// What a job costs Redis.
    pub(crate) redis_us_per_job: Spread,
    /// The raw numbers.
    pub(crate) runs: Vec<LimitRun>,
}

/// One run of one row.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct LimitRun {
    /// First command to last reply.
    pub(crate) seconds: f64,
    /// Jobs divided by `seconds`.
    pub(crate) jobs_per_second: f64,
    /// CPU time of Redis divided by jobs.
    pub(crate) redis_us_per_job: f64,
}

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'a> {
    /// Which commands.
    pub(crate) designs: &'a [Design],
    /// Which batch sizes.
    pub(crate) batches: &'a [u64],
    /// Jobs per run.
    pub(crate) jobs: u64,
    /// Runs per row.
    pub(crate) runs: u64,
}

/// The whole scenario.
///
/// # Errors
/// Redis is missing, a reply was an error, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let placement = Placement::plan(NULL_CLIENT_CORES, options.redis.redis_cpu)?;
    let server = RedisServer::start(&options.redis, &placement, &session.interrupt)?;
    let machine = Machine::describe(&mut server.client()?, &placement, None)?;
    let plan = Plan {
        designs: &Design::ALL,
        batches: &options.batch,
        jobs: options.jobs,
        runs: options.repeat.runs,
    };
    let delay = options.distance.delay;
    let line = delay.map(|delay| DelayLine::open(server.port(), delay)).transpose()?;
    let url = line.as_ref().map_or_else(|| server.url(), DelayLine::url).clone();
    let results = Results { rows: measure(&server, (&url, delay), plan, session)? };
    server.stop()?;
    let mut outcome =
        Outcome::new("limit", "What Redis can serve", machine, options, &results)?.defined_by(&DEFINITIONS);
    outcome.tables.push(table(&results.rows));
    if delay.is_some() {
        outcome.definitions.push(scene::AWAY.to_owned());
    }
    outcome.remark = options.repeat.remark();
    outcome.figures = results.rows.iter().flat_map(LimitRow::figures).collect();
    Ok(outcome)
}

fn batch(text: &str) -> Result<u64, String> {
    cli::bounded(text, BATCH_JOBS_MAX)
}

/// All rows of a plan on a running server, whose data is discarded; the null client reaches it at `url`, that far away.
///
/// # Errors
/// As [`run`].
pub(crate) fn measure(
    server: &RedisServer,
    (url, delay): (&RedisUrl, Option<Duration>),
    plan: Plan<'_>,
    session: &Session,
) -> Result<Vec<LimitRow>, Error> {
    let mut client = server.client()?;
    let scripts = client.load_scripts()?;
    let mut rows = Vec::new();
    for design in plan.designs {
        for batch_jobs in plan.batches {
            let mut runs = Vec::new();
            for number in 1..=plan.runs {
                let what = format!("null client, {design:?} by {batch_jobs}, run {number} of {}", plan.runs);
                session.progress.step(what, plan.jobs);
                let calls = Commands::new(*design, *batch_jobs, plan.jobs, &scripts);
                let load = Load { design: *design, batch_jobs: *batch_jobs, jobs: plan.jobs };
                runs.push(run_once((server, url), &mut client, load, calls, session)?);
            }
            rows.extend(summarize(*design, *batch_jobs, delay, runs));
        }
    }
    Ok(rows)
}

#[derive(Debug, Clone, Copy)]
struct Load {
    design: Design,
    batch_jobs: u64,
    jobs: u64,
}

impl Load {
    fn calls_per_window(self) -> u64 {
        (WINDOW_JOBS / self.batch_jobs).max(WINDOW_CALLS_MIN)
    }
}

fn run_once(
    (server, url): (&RedisServer, &RedisUrl),
    client: &mut Client,
    load: Load,
    mut calls: Commands,
    session: &Session,
) -> Result<LimitRun, Error> {
    client.flush()?;
    if load.design != Design::Push {
        drive::enqueue(server.url(), &Work::noop(), load.jobs, &session.interrupt, &session.progress)?;
    }
    let mut null_client = NullClient::connect(url)?;
    let redis = ProcessMeter::new(server.pid());
    let traffic = TrafficMeter::begin(client)?;
    let calls_per_window = load.calls_per_window();
    let fill = |window: &mut Requests| {
        for _ in 0..calls_per_window {
            if !calls.append_call(window) {
                break;
            }
        }
    };
    let answered = |windows: usize| {
        session.progress.set((windows as u64 * calls_per_window * load.batch_jobs).min(load.jobs));
    };
    let cpu = redis.cpu()?;
    let begin = Instant::now();
    null_client.drive(&session.interrupt, fill, answered)?;
    let elapsed = begin.elapsed();
    let cpu = redis.cpu()?.saturating_sub(cpu);
    let errors = traffic.end(client)?.errors;
    check_outcome(client, load, errors)?;
    let jobs = load.jobs as f64;
    Ok(LimitRun {
        seconds: elapsed.as_secs_f64(),
        jobs_per_second: jobs / elapsed.as_secs_f64(),
        redis_us_per_job: cpu.as_secs_f64() * 1e6 / jobs,
    })
}

/// Replies were not read, so loadgen asks Redis whether all jobs went where they should.
fn check_outcome(client: &mut Client, load: Load, errors: u64) -> Result<(), Error> {
    let backlog = client.backlog()?;
    let in_flight = client.in_flight()?;
    let (waiting, processed) = match load.design {
        Design::AtLeastOnce | Design::AtMostOnce => (0, load.jobs),
        Design::Pop => (0, 0),
        Design::Push => (load.jobs, 0),
    };
    if errors == 0 && backlog.waiting == waiting && backlog.processed == processed && in_flight.is_empty() {
        return Ok(());
    }
    Err(Error::WrongReply(format!(
        "{:?} of {} jobs by {}: {errors} error replies, {} waiting (expected {waiting}), {} counted (expected \
         {processed}), in flight {in_flight:?}",
        load.design, load.jobs, load.batch_jobs, backlog.waiting, backlog.processed
    )))
}

fn summarize(
    design: Design,
    batch_jobs: u64,
    delay: Option<Duration>,
    runs: Vec<LimitRun>,
) -> Option<LimitRow> {
    let jobs_per_second = Spread::of(runs.iter().map(|run| run.jobs_per_second))?;
    let redis_us_per_job = Spread::of(runs.iter().map(|run| run.redis_us_per_job))?;
    Some(LimitRow { design, batch_jobs, away: scene::away(delay), jobs_per_second, redis_us_per_job, runs })
}

impl LimitRow {
    /// The figures by which two outcomes are compared.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let name = format!("null client, {} by {}{}", self.design.describe(), self.batch_jobs, self.away);
        let rate =
            Figure::new(&name, "jobs/s", Better::Higher, self.runs.iter().map(|run| run.jobs_per_second));
        let redis = self.runs.iter().map(|run| run.redis_us_per_job);
        rate.into_iter().chain(Figure::new(&name, "Redis µs/job", Better::Lower, redis)).collect()
    }
}

/// The rows as a table.
pub(crate) fn table(rows: &[LimitRow]) -> Table {
    let cells = rows.iter().map(|row| {
        vec![
            format!("{}{}", row.design.describe(), row.away),
            grouped(row.batch_jobs),
            rounded(row.jobs_per_second.median),
            format!("{:.3}", row.redis_us_per_job.median),
        ]
    });
    Table::new(&["Null client sends", "Jobs per call", "jobs/s", "Redis µs/job"], cells.collect())
}
