//! `loadgen http`: each job makes a request to a local server that answers after 0.2 s, as published.

use std::ffi::OsString;
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
use crate::warm_up::{HTTP_VARIABLE, WarmUp};
use crate::worker::Program;

/// The server's delay, as published.
const ANSWER_AFTER: Duration = Duration::from_millis(200);

/// How long the server may take to start listening.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two checks whether it does.
const START_POLL: Duration = Duration::from_millis(10);

/// From this many jobs in flight on, there are also rows of several rounds and of connections opened beforehand.
const MANY: u64 = 1_000;

const THE_JOB: &str = "the job makes one GET over the engine's HTTP client (connections kept alive, one client per core) \
     to a server of one thread on Redis's CPU that answers after 0.2 s; with more jobs in flight than --jobs, as many \
     jobs are run";

const THE_ROWS: &str = "from 1,000 jobs in flight on there are more rows: one round and --rounds rounds of as many jobs \
     as are in flight; warmed up: the worker opened a connection for each job in flight in its set-up, before it took a \
     job, with the client's warm_up (the time of that is in Time and in worker µs/job, not in jobs/s and × ideal); the \
     others open them for the first jobs";

/// What distinguishes the rows with connections opened beforehand.
const WARMED_UP: &str = ", warmed up";

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
    /// Rounds of the longer rows, which start at 1,000 jobs in flight
    #[arg(long, default_value = "20", value_name = "N", value_parser = cli::rounds)]
    rounds: u64,
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

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    concurrency: u64,
    jobs: u64,
    warmed_up: bool,
}

impl Options {
    fn plans(&self) -> Vec<Plan> {
        let rows = |concurrency: u64| {
            let first = Plan { concurrency, jobs: self.jobs.max(concurrency), warmed_up: false };
            let more = [(1, true), (self.rounds, false), (self.rounds, true)]
                .map(|(rounds, warmed_up)| Plan { concurrency, jobs: concurrency * rounds, warmed_up });
            let more = more.into_iter().filter(move |plan| concurrency >= MANY && *plan != first);
            std::iter::once(first).chain(more)
        };
        self.concurrency.iter().copied().flat_map(rows).collect()
    }
}

/// The whole scenario.
///
/// # Errors
/// Redis, the server or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    raise_file_limit()?;
    let program = Program::own(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?;
    let mut server = start_server(&scene, session)?;
    let port = wait_for_port(&scene, &mut server, session)?;
    let url = format!("http://127.0.0.1:{port}/hello");
    let work = Work { name: "HttpGet", arguments: Arguments::Same(format!("[\"{url}\"]")) };
    let mut bench = Bench::new(&scene, options.worker.mode, session)?;
    let mut rows = Vec::new();
    for plan in options.plans() {
        let count = usize::try_from(plan.concurrency.div_ceil(options.worker.cores)).unwrap_or(usize::MAX);
        let value = OsString::from(WarmUp { count, target: url.clone() }.value());
        let variables = [(HTTP_VARIABLE, value.as_os_str())];
        let Plan { concurrency, jobs, warmed_up } = plan;
        let (variant, variables): (_, &[_]) = if warmed_up { (WARMED_UP, &variables) } else { ("", &[]) };
        let load = Load { work: &work, jobs, concurrency, variant, looks: drain::LOOKS_AT_WAITS, variables };
        rows.extend(drain::measure(&mut bench, load, options.runs)?);
    }
    drop((bench, server));
    drain::compare_with_ideal(&mut rows, ANSWER_AFTER);
    let machine = scene.end()?;
    let results = Results { rows };
    let mut outcome = Outcome::new("http", "HTTP requests of 0.2 s", machine, options, &results)?
        .defined_by(&drain::DEFINITIONS)
        .defined_by(&[drain::TIMES_IDEAL_MEANS, THE_JOB, THE_ROWS]);
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

/// What the server prints.
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

/// Each job in flight holds a connection, in the worker and in the server; both inherit this limit.
fn raise_file_limit() -> Result<(), Error> {
    rlimit::increase_nofile_limit(u64::MAX)
        .map(drop)
        .map_err(|error| Error::system("raising the limit of open files", error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn many_jobs_in_flight_have_rows_of_several_rounds_and_of_connections_that_were_there_before() {
        let line = Line::parse_from(["http", "-c", "100,10_000", "--rounds", "3"]);
        let row = |concurrency, jobs, warmed_up| Plan { concurrency, jobs, warmed_up };
        let expected = [
            row(100, 1_000, false),
            row(10_000, 10_000, false),
            row(10_000, 10_000, true),
            row(10_000, 30_000, false),
            row(10_000, 30_000, true),
        ];
        assert_eq!(line.options.plans(), expected);
    }
}
