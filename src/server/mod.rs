//! A worker process from its command line to its exit code.
//!
//! Start, in this order, because each step builds on the previous one: logging; cores; machine checks; a Redis (given,
//! local or private); Redis checks; signals blocked, so that they are blocked in every thread created from here on;
//! executors. The end is the reverse: shards, control, private Redis.

mod build;
mod carry_out;
mod declared;
mod executor;
mod launch;
mod launch_error;
mod life;
mod panics;
mod placement;
mod process_orders;
mod pulse;
mod reload;
mod trial;
#[cfg(feature = "web")]
mod web;
#[cfg(not(feature = "web"))]
#[path = "web_absent.rs"]
mod web;

use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::{self, Failure, Invocation, Program};
use crate::config::{Config, RunnerSpec};
use crate::control::SIGNALS;
use crate::handler::Converted;
use crate::runner::Runners;
use crate::time::RedisClock;
use crate::{boot, embedded};
use carry_out::carry_out;

pub use build::IntoRegistry;
use launch::At;
pub use placement::Core;
use reload::Source;
use web::Web;

/// A worker program, ready to run; created by [`worker`].
pub struct Worker<F, Kind = Converted> {
    factory: F,
    program: Program,
    /// How what the factory returns becomes a registry.
    kind: PhantomData<fn() -> Kind>,
}

/// A worker program with your own jobs.
///
/// `factory` is called once on each core that runs jobs, on that core, and builds its [`Registry`](crate::Registry) around
/// its state, which other cores never see. It returns the registry, or a `Result` with any error that
/// [`JobError`](crate::JobError) takes. It must not depend on another core to make progress.
///
/// A factory that fails ends the process with exit code 1, before it takes a job: what it needs may be there at the next
/// attempt. A mistake in the registry, which panics, ends it with exit code 2.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use jiggler_uring::Registry;
///
/// async fn greet(name: String) {
///     println!("hello {name}");
/// }
///
/// fn main() -> ExitCode {
///     jiggler_uring::worker(|_core| async { Registry::new(()).job("Greet", greet) }).run()
/// }
/// ```
pub fn worker<F, Fut, Kind>(factory: F) -> Worker<F, Kind>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry<Kind>> + 'static,
    Kind: 'static,
{
    Worker { factory, program: Program::default(), kind: PhantomData }
}

impl<F, Fut, Kind> Worker<F, Kind>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry<Kind>> + 'static,
    Kind: 'static,
{
    /// The version of your program, which `--version`, `processes`, `top` and the log show, each beside that of the engine.
    ///
    /// ```no_run
    /// # use jiggler_uring::Registry;
    /// jiggler_uring::worker(|_core| async { Registry::new(()) })
    ///     .name("billing-worker")
    ///     .version(env!("CARGO_PKG_VERSION"))
    ///     .run();
    /// ```
    ///
    /// For what differs between two deployments of one version there is `--tag`, such as a git revision.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.program.version = Some(version.into());
        self
    }

    /// The name of your program, for the same places and `--help`; without it, the command line takes that of its file.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.program.name = Some(name.into());
        self
    }

    /// Reads the program's arguments and carries them out: run the worker, `enqueue`, `jobs`, `--help`. This is the whole
    /// command line of the stock program, with its exit codes.
    pub fn run(self) -> ExitCode {
        let factory = build::converted(self.factory);
        self.program.enter();
        cli::run(std::env::args_os(), move |invocation, out| match invocation {
            Invocation::Work(config) => {
                let source = config.config_file.is_some().then_some(cli::worker_config as fn() -> _);
                work(&config, source, &factory)
            }
            Invocation::Run(order) => trial::run(&order, &factory, out),
            order => carry_out(order, out),
        })
    }

    /// Runs the worker with a configuration that you provide, until a signal ends it.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the machine, Redis or the configuration must be changed first; [`Failure::Run`] if the process
    /// could not end as it should.
    pub fn run_with(self, config: &Config) -> Result<(), Failure> {
        self.program.enter();
        work(config, None, &build::converted(self.factory))
    }
}

/// A Redis that is down or busy may be back at the next attempt, which a process manager makes after exit code 1.
fn redis_failure(error: boot::Error) -> Failure {
    match error {
        boot::Error::RedisUnreachable { .. } | boot::Error::RedisBusy { .. } => Failure::from(error),
        boot::Error::RedisNoPrimary { ref cause, .. } if cause.may_heal() => Failure::from(error),
        boot::Error::RedisNoNode { ref cause, .. } if cause.may_heal() => Failure::from(error),
        _ => Failure::usage(error),
    }
}

/// Starts the log, which is written to its end when what this returns is dropped.
fn start_log(config: &Config) -> io::Result<LogEnd> {
    let asked = std::env::var("RUST_LOG").ok();
    // A program that has installed its own logger keeps it.
    let _whose =
        boot::logging::install(config.log_level, asked.as_deref(), config.log_format, keep_signals_off)
            .map_err(|error| io::Error::new(error.kind(), format!("failed to start the log: {error}")))?;
    panics::log();
    Ok(LogEnd)
}

fn work<F, Fut>(config: &Config, source: Source, factory: &F) -> Result<(), Failure>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry> + 'static,
{
    // This takes no time before any thread exists; later it would wait for every core.
    glommio::early_init();
    let _written = start_log(config)?;
    if let Some(note) = config.unused_note() {
        tracing::info!("{note}");
    }
    for note in &config.redis_notes {
        tracing::warn!("{note}");
    }
    config.runners.iter().try_for_each(RunnerSpec::ensure_usable).map_err(Failure::usage)?;
    let web = Web::bind(config)?;
    let placement = placement::place(config).map_err(Failure::usage)?;
    boot::check_machine(placement.cpus.len() + 1 + usize::from(web.is_some())).map_err(Failure::usage)?;
    boot::files::ensure(boot::files::needed(config, placement.cpus.len())).map_err(Failure::usage)?;
    let mut found = embedded::for_worker(config, &|name| std::env::var_os(name)).map_err(Failure::usage)?;
    tracing::info!("{found}");
    let url = found.url();
    let clock = Arc::new(RedisClock::default());
    let server = boot::check_redis(&url, config.dialect, &clock).map_err(redis_failure)?;
    tracing::info!(redis = %url, server = server.name, version = server.version, "redis answers");
    if let Some(found) = server.strangers {
        let told = config.dialect;
        tracing::warn!(
            "this redis has the keys of {found} programs and none of {told}: if theirs are the jobs to run, give \
             --dialect {found}"
        );
    }
    // A private Redis is looked after by a thread that receives no signals.
    keep_signals_off();
    found.keep_up()?;
    let runners = Runners::start(&config.runners)?;
    let at = At { url: &url, clock: &clock, web: web.as_ref(), runners: &runners.on_cores() };
    let ended = launch::run(config, source, &placement, at, factory);
    drop(runners);
    // Whatever the shards could not report is in flight in it, so a private Redis is ended in order, not abandoned.
    found.release(ended.must_end_by)?;
    ended.result
}

/// Signals are for control. The log's thread is created before they are blocked in every thread to come.
fn keep_signals_off() {
    // If they cannot be blocked, the same call ends the process before its first job.
    let _blocked = glommio::signal::block(&SIGNALS);
}

/// Flushes the last lines of the log, however the work ends.
struct LogEnd;

impl Drop for LogEnd {
    fn drop(&mut self) {
        boot::logging::flush();
    }
}
