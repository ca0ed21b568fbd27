//! `loadgen http`: each job makes a request to a local server that answers after 0.2 s, as published.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Session;
use super::drain::{self, Bench, Load, Row};
use super::scene::Scene;
use crate::child::Child;
use crate::cli::{self, RedisOptions, WorkerOptions};
use crate::delay_server::LISTENING;
use crate::drive::{Arguments, Work};
use crate::error::Error;
use crate::published;
use crate::report::Outcome;
use crate::report::format::counted;
use crate::worker::Program;

/// When the server answers, as published.
const ANSWER_AFTER: Duration = Duration::from_millis(200);

/// How long the server may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two looks whether it does.
const START_POLL: Duration = Duration::from_millis(10);

const THE_JOB: &str = "the job makes one GET over the engine's HTTP client (connections kept alive, one client a core) \
     to a server of one thread on Redis's CPU that answers after 0.2 s; with more jobs in flight than --jobs, as many \
     jobs are run";

/// Options of `http`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs in flight per worker process, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "5,10,15,50,100,1_000,10_000")]
    #[arg(value_name = "N,N", value_parser = cli::concurrency)]
    concurrency: Vec<u64>,
    /// Jobs per run, at least as many as are in flight
    #[arg(short, long, default_value = "1_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    /// Runs per row: the table shows medians
    #[arg(short, long, default_value = "1", value_name = "N", value_parser = cli::runs)]
    runs: u64,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<Row>,
}

/// The whole scenario.
///
/// # Errors
/// Redis, the server or the worker cannot be started, a run went wrong, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    raise_file_limit()?;
    let program = Program::own(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?;
    let mut server = start_server(&scene, session)?;
    let port = wait_for_port(&scene, &mut server, session)?;
    let url = format!("[\"http://127.0.0.1:{port}/hello\"]");
    let work = Work { name: "HttpGet", arguments: Arguments::Same(url) };
    let mut bench = Bench::new(&scene, options.worker.mode, session)?;
    let mut rows = Vec::new();
    for concurrency in &options.concurrency {
        let jobs = options.jobs.max(*concurrency);
        let load =
            Load { work: &work, jobs, concurrency: *concurrency, variant: "", looks: drain::LOOKS_AT_WAITS };
        rows.extend(drain::measure(&mut bench, load, options.runs)?);
    }
    drop((bench, server));
    drain::compare_with_ideal(&mut rows, ANSWER_AFTER);
    let machine = scene.end()?;
    let results = Results { rows };
    let mut outcome = Outcome::new("http", "HTTP requests of 0.2 s", machine, options, &results)?
        .defined_by(&drain::DEFINITIONS)
        .defined_by(&[drain::TIMES_IDEAL_MEANS, THE_JOB]);
    outcome.tables.push(drain::table(&results.rows, &published::HTTP, Some(drain::TIMES_IDEAL)));
    outcome.remark = format!("Medians of {}.", counted(options.runs, "run"));
    outcome.sources.push(published::SOURCE.to_owned());
    outcome.figures = results.rows.iter().flat_map(|row| row.figures("")).collect();
    outcome.plots.push(drain::plot("http", "HTTP requests of 0.2 s", &results.rows, &published::HTTP));
    Ok(outcome)
}

/// On Redis's CPU, which is nearly idle, so that the worker has its own to itself.
fn start_server(scene: &Scene, session: &Session) -> Result<Child, Error> {
    session.interrupt.check()?;
    let command = Program::delay_server(ANSWER_AFTER)?;
    scene.machine.placement.enter_redis()?;
    let server = Child::spawn("delay server", command, &scene.server.directory().join(LOG));
    scene.machine.placement.enter_worker()?;
    server
}

/// What the server writes.
const LOG: &str = "delay-server.log";

fn wait_for_port(scene: &Scene, server: &mut Child, session: &Session) -> Result<u16, Error> {
    let deadline = Instant::now() + START_TIMEOUT;
    let log = scene.server.directory().join(LOG);
    loop {
        let text = fs::read_to_string(&log)
            .map_err(|error| Error::system(format!("reading {}", log.display()), error))?;
        let told = text.lines().find_map(|line| line.strip_prefix(LISTENING)?.parse().ok());
        if let Some(port) = told {
            return Ok(port);
        }
        session.interrupt.check()?;
        if server.ended()?.is_some() || Instant::now() > deadline {
            return Err(Error::HelperStart { name: "delay server", log: server.log_tail() });
        }
        thread::sleep(START_POLL);
    }
}

/// Each job in flight holds a connection, in the worker and in the server, which inherit this limit.
fn raise_file_limit() -> Result<(), Error> {
    rlimit::increase_nofile_limit(u64::MAX)
        .map(drop)
        .map_err(|error| Error::system("raising the limit of open files", error))
}
