//! `loadgen pg`: each job runs `SELECT pg_sleep(0.1)` on a real PostgreSQL, as published.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Session;
use super::drain::{self, Bench, Load, Row};
use super::scene::Scene;
use crate::cli::{self, RedisOptions, WorkerOptions};
use crate::drive::{Arguments, Work};
use crate::error::Error;
use crate::postgres_server::PostgresServer;
use crate::published;
use crate::report::Outcome;
use crate::report::format::counted;
use crate::warm_up::{POSTGRES_VARIABLE, WarmUp};
use crate::worker::Program;

/// How long the query takes.
const QUERY_TIME: Duration = Duration::from_millis(100);

const THE_JOB: &str = "the job runs SELECT pg_sleep(0.1) over the engine's pool, which has as many connections as \
     jobs are in flight, opened in the worker's set-up before it takes a job (the pool's warm_up: their time is in Time, \
     not in jobs/s and × ideal); PostgreSQL on Redis's CPU, loopback TCP, without fsync, started for this table";

/// Options of `pg`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs in flight per worker process, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "5,10,15,50,100")]
    #[arg(value_name = "N,N", value_parser = cli::concurrency)]
    concurrency: Vec<u64>,
    /// Jobs per run
    #[arg(short, long, default_value = "1_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    /// Runs per row: the table shows medians
    #[arg(short, long, default_value = "1", value_name = "N", value_parser = cli::runs)]
    runs: u64,
    /// Folder of PostgreSQL's programs [default: that of initdb in PATH, or the newest below /usr/lib/postgresql]
    #[arg(long, value_name = "DIR")]
    postgres_bin: Option<PathBuf>,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    postgres: String,
    rows: Vec<Row>,
}

/// The whole scenario.
///
/// # Errors
/// Redis, PostgreSQL or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::own(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?;
    let most = options.concurrency.iter().copied().max().unwrap_or(1);
    session.progress.step("starting PostgreSQL".to_owned(), 1);
    let placement = &scene.machine.placement;
    let server = PostgresServer::start(options.postgres_bin.as_deref(), most, placement, &session.interrupt)?;
    let mut bench = Bench::new(&scene, options.worker.mode, session)?;
    let mut rows = Vec::new();
    for concurrency in &options.concurrency {
        let per_core = concurrency.div_ceil(options.worker.cores);
        let arguments = format!("[{},{per_core}]", serde_json::to_string(&server.config())?);
        let work = Work { name: "PgSleep", arguments: Arguments::Same(arguments) };
        let (jobs, concurrency) = (options.jobs, *concurrency);
        let warm_up =
            WarmUp { count: usize::try_from(per_core).unwrap_or(usize::MAX), target: server.config() };
        let value = OsString::from(warm_up.value());
        let variables = &[(POSTGRES_VARIABLE, value.as_os_str())];
        let looks = drain::LOOKS_AT_WAITS;
        let load = Load { work: &work, jobs, concurrency, variant: "", looks, variables };
        rows.extend(drain::measure(&mut bench, load, options.runs)?);
    }
    drop(bench);
    let postgres = server.version().to_owned();
    server.stop()?;
    drain::compare_with_ideal(&mut rows, QUERY_TIME);
    let machine = scene.end()?;
    let results = Results { postgres, rows };
    let mut outcome = Outcome::new("pg", "SELECT pg_sleep(0.1)", machine, options, &results)?
        .defined_by(&drain::DEFINITIONS)
        .defined_by(&[drain::TIMES_IDEAL_MEANS, THE_JOB]);
    outcome.tables.push(drain::table(&results.rows, &published::PG, Some(drain::TIMES_IDEAL)));
    outcome.remark = format!("{}. Medians of {}.", results.postgres, counted(options.runs, "run"));
    outcome.sources.push(published::SOURCE.to_owned());
    outcome.figures = results.rows.iter().flat_map(|row| row.figures("")).collect();
    outcome.plots.push(drain::plot("pg", "SELECT pg_sleep(0.1)", &results.rows, &published::PG));
    Ok(outcome)
}
