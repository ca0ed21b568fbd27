//! The jobs of `loadgen worker`: a worker with the whole command line of the stock program, whose jobs leave traces for
//! the scenarios to read.
//!
//! | job | arguments | what it does |
//! |---|---|---|
//! | `Noop` | none | nothing |
//! | `Sleep` | seconds | waits, without holding its core |
//! | `Fib` | n | computes on a companion thread of its core |
//! | `Hold` | file, seconds | appends its pid and jid to the file, then waits |
//! | `Append` | file, number | appends the number and a line end, opening and closing the file |
//! | `Journal` | file, number | the same, to a file that its core keeps open |
//! | `HttpGet` | url | fetches it and reads the answer |
//! | `PgSleep` | connection string, connections | `SELECT pg_sleep(0.1)` over a pool of that many connections |
//! | `Stamp` | intended, sent | records how long ago those were, see [`crate::latencies`] |

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use jiggler_uring::internal::cli::{self, Invocation};
use jiggler_uring::io::fs::{self, AppendFile};
use jiggler_uring::io::http::{Client, ClientOptions};
use jiggler_uring::io::postgres::tokio_postgres::Config;
use jiggler_uring::io::postgres::{Pool, PoolOptions};
use jiggler_uring::io::timer;
use jiggler_uring::{Core, Ctx, JobError, JobResult, Registry};

use crate::clock;
use crate::error::Error;
use crate::latencies::Recorder;
use crate::warm_up::{HTTP_VARIABLE, POSTGRES_VARIABLE, WarmUp};

/// The worker's name in its messages.
const PROGRAM: &str = "loadgen worker";

/// What a job shares with the others on its core.
struct State {
    recorder: Recorder,
    http: Client,
    journals: RefCell<HashMap<String, Rc<AppendFile>>>,
    pools: RefCell<HashMap<String, Pool>>,
}

/// Runs a worker with these jobs; `flags` are those of `jiggler-uring`.
pub(crate) fn work(flags: Vec<OsString>) -> ExitCode {
    let arguments = [OsString::from(PROGRAM)].into_iter().chain(flags);
    cli::run(arguments, |invocation, _out| match invocation {
        Invocation::Work(config) => jiggler_uring::worker(registry).run_with(&config),
        _ => Err(cli::Failure::usage("loadgen worker runs jobs and nothing else")),
    })
}

async fn registry(core: Core) -> Result<Registry<State>, Error> {
    let state = State {
        recorder: Recorder::open(core.index)?,
        http: Client::with_options(all_kept_alive()),
        journals: RefCell::default(),
        pools: RefCell::default(),
    };
    state.warm_up().await?;
    Ok(Registry::new(state)
        .job("Noop", noop)
        .job("Sleep", sleep)
        .blocking("Fib", fib)
        .job("Hold", hold)
        .job("Append", append)
        .job("Journal", journal)
        .job("HttpGet", http_get)
        .job("PgSleep", pg_sleep)
        .job("Stamp", stamp))
}

/// There is one origin, and each connection to it is reused, so this many jobs are in flight.
fn all_kept_alive() -> ClientOptions {
    let ClientOptions { connections_max, .. } = ClientOptions::default();
    ClientOptions {
        idle_per_origin_max: connections_max,
        idle_max: connections_max,
        ..ClientOptions::default()
    }
}

async fn noop() {}

async fn sleep(seconds: f64) -> JobResult {
    timer::sleep(checked(seconds)?).await;
    Ok(())
}

fn fib(n: u64) {
    std::hint::black_box(slow_fib(n));
}

/// The line is written before the job waits for anything: it is in the file even if the process is killed.
async fn hold(ctx: Ctx<State>, file: String, seconds: f64) -> JobResult {
    let failed = |error: std::io::Error| JobError::new("NotLogged", format!("{file}: {error}"));
    let pause = checked(seconds)?;
    let line = format!("{} {}\n", std::process::id(), ctx.job().jid);
    let mut log = OpenOptions::new().append(true).open(&file).map_err(failed)?;
    log.write_all(line.as_bytes()).map_err(failed)?;
    timer::sleep(pause).await;
    Ok(())
}

async fn append(file: String, number: u64) -> JobResult {
    Ok(fs::append(&file, format!("{number}\n")).await?)
}

async fn journal(ctx: Ctx<State>, file: String, number: u64) -> JobResult {
    let open = ctx.state().journals.borrow().get(&file).cloned();
    let journal = match open {
        Some(journal) => journal,
        None => {
            // Another job may have opened it in the meantime; it does not matter which one is kept.
            let journal = Rc::new(AppendFile::open(&file).await?);
            ctx.state().journals.borrow_mut().insert(file, Rc::clone(&journal));
            journal
        }
    };
    Ok(journal.append(format!("{number}\n").as_bytes()).await?)
}

async fn http_get(ctx: Ctx<State>, url: String) -> JobResult {
    ctx.state().http.get(&url).send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

async fn pg_sleep(ctx: Ctx<State>, config: String, connections: usize) -> JobResult {
    let pool = ctx.state().pool(config, connections)?;
    pool.get().await?.simple_query("SELECT pg_sleep(0.1)").await?;
    Ok(())
}

impl State {
    /// Opens the connections that the scenario wants before the first job.
    async fn warm_up(&self) -> Result<(), Error> {
        if let Some(WarmUp { count, target }) = WarmUp::asked(HTTP_VARIABLE)? {
            let opened = self.http.warm_up(&target, count).await;
            opened.map_err(|error| Error::WarmUp { reason: chain(&error) })?;
        }
        if let Some(WarmUp { count, target }) = WarmUp::asked(POSTGRES_VARIABLE)? {
            let refused = |error: JobError| Error::WarmUp { reason: error.message().to_owned() };
            let pool = self.pool(target, count).map_err(refused)?;
            pool.warm_up(count).await.map_err(|error| Error::WarmUp { reason: chain(&error) })?;
        }
        Ok(())
    }

    fn pool(&self, config: String, connections: usize) -> Result<Pool, JobError> {
        match self.pools.borrow_mut().entry(config) {
            Entry::Occupied(pool) => Ok(pool.get().clone()),
            Entry::Vacant(place) => {
                let parsed = Config::from_str(place.key())
                    .map_err(|error| JobError::new("BadConfig", error.to_string()))?;
                let options = PoolOptions { connections_max: connections, ..PoolOptions::default() };
                Ok(place.insert(Pool::with_options(parsed, options)?).clone())
            }
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Warm-up jobs pass 0 and are not recorded.
async fn stamp(ctx: Ctx<State>, intended: u64, sent: u64) -> JobResult {
    let now = clock::nanoseconds();
    if intended > 0 {
        ctx.state().recorder.record(now.saturating_sub(intended), now.saturating_sub(sent));
    }
    Ok(())
}

fn checked(seconds: f64) -> Result<Duration, JobError> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| JobError::new("BadSeconds", format!("{seconds}: {error}")))
}

/// As the published benchmark computes it: fib(0) = fib(1) = 1, by double recursion.
pub(crate) fn slow_fib(n: u64) -> u64 {
    if n <= 1 { 1 } else { slow_fib(n - 1) + slow_fib(n - 2) }
}
