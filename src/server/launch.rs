//! Starts the executors and waits until they end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use core_affinity::CoreId;
use glommio::{CpuSet, ExecutorJoinHandle, LocalExecutorBuilder};
use thiserror::Error;

use super::life::{Life, control_options, shard_options};
use super::placement::{Core, Placement};
use super::pulse;
use super::reload::{self, Source};
use crate::cli::{Failure, VERSION};
use crate::client::{LocalClient, Spelling};
use crate::config::Config;
use crate::control::{self, Reload, RunOutcome, Settings};
use crate::handler::{Registry, TearDown};
use crate::ids::process_uuid;
use crate::limits::{EXECUTOR_IO_BYTES, EXECUTOR_PREEMPT, STOP_END};
use crate::mesh::{self, Ending, ShardEnd};
use crate::resp::RedisUrl;
use crate::shard::{self, ShardOptions};
use crate::time::RedisClock;
use crate::wire::{Dialect, client_name};

/// Why a process ran and did not end as it should.
#[derive(Debug, Error)]
enum LaunchError {
    /// glommio refused to start it.
    #[error("the executor of {what} cannot be started: {reason}")]
    Executor { what: String, reason: String },
    /// The control thread panicked.
    #[error(
        "the control thread ended unexpectedly; the jobs of this process are recovered when its lease ends"
    )]
    ControlLost,
    /// A shard left jobs in flight.
    #[error(
        "{jobs} jobs of shard {shard} are left in flight (redis could not be reached); they are recovered when the lease ends"
    )]
    LeftBehind { shard: usize, jobs: usize },
    /// A shard was declared dead.
    #[error("shard {shard} was declared dead and its jobs run elsewhere")]
    Fenced { shard: usize },
    /// The factory failed.
    #[error("the handlers of shard {shard} could not be built; the log says why")]
    NoState { shard: usize },
}

/// How the shards and control have ended.
pub(super) struct Ended {
    pub(super) result: Result<(), Failure>,
    /// When the process must have ended, if a stop takes all the time it may.
    pub(super) must_end_by: Option<Instant>,
}

/// Runs shards and control to their end. Starts over under a new identity if others took this process for dead.
pub(super) fn run<F, Fut, S, E>(
    config: &Config,
    source: Source,
    placement: &Placement,
    at: At<'_>,
    factory: &F,
) -> Ended
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Registry<S>, E>> + 'static,
    S: 'static,
    E: Display,
{
    match try_run(config, source, placement, at, factory) {
        Ok(outcome) => Ended {
            result: judge(&outcome.endings).map_err(Failure::from),
            must_end_by: outcome.deadline.map(|deadline| deadline + STOP_END),
        },
        Err(error) => Ended { result: Err(error.into()), must_end_by: None },
    }
}

/// One identity after the other, until a stop.
fn try_run<F, Fut, S, E>(
    config: &Config,
    source: Source,
    placement: &Placement,
    at: At<'_>,
    factory: &F,
) -> Result<RunOutcome, LaunchError>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Registry<S>, E>> + 'static,
    S: 'static,
    E: Display,
{
    // From here on no signal has its default effect; control receives them.
    glommio::signal::block(&control::SIGNALS)
        .map_err(|error| LaunchError::Executor { what: "signals".to_owned(), reason: error.to_string() })?;
    look_at_cpus();
    let mut reload = reload::reload(source, config);
    let mut settings = settings(config);
    let spelling = Spelling::of(Dialect::default(), at.url);
    loop {
        let life = Life {
            uuid: process_uuid().as_ref().to_owned(),
            spelling,
            config,
            settings,
            placement,
            url: at.url,
            clocks: clocks(config, at),
        };
        let outcome;
        (outcome, reload) = run_as(&life, reload, factory)?;
        settings = outcome.settings;
        let fenced = outcome.endings.iter().any(|(_, how)| *how == Ending::Fenced);
        if !fenced || outcome.asked {
            tracing::info!("stopped");
            return Ok(outcome);
        }
        tracing::warn!("this process was declared dead; it continues under a new identity");
    }
}

/// The settings of a configuration that may change while a process runs.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        stats_interval: config.stats_interval,
        poll_interval: config.poller_enabled.then_some(config.poll_interval),
        timeout: config.timeout,
        dead_jobs_max: config.max_dead_jobs,
        dead_timeout: config.dead_timeout,
    }
}

/// Where Redis is, and its clock as it was read at the start.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) url: &'a RedisUrl,
    pub(super) clock: &'a Arc<RedisClock>,
}

/// The clock of the server of each queue, by name: one and the same, except in a cluster.
fn clocks(config: &Config, at: At<'_>) -> BTreeMap<String, Arc<RedisClock>> {
    let clock = || if at.url.is_cluster() { Arc::new(at.clock.copied()) } else { Arc::clone(at.clock) };
    config.queues.as_slice().iter().map(|queue| (queue.name.as_str().to_owned(), clock())).collect()
}

/// Runs one identity to its end.
fn run_as<F, Fut, S, E>(
    life: &Life<'_>,
    reload: Option<Reload>,
    factory: &F,
) -> Result<(RunOutcome, Option<Reload>), LaunchError>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Registry<S>, E>> + 'static,
    S: 'static,
    E: Display,
{
    let Life { uuid, config, placement, .. } = life;
    let shards = shard_options(life);
    let control_options = control_options(life, &shards);
    tracing::info!(
        version = VERSION,
        pid = std::process::id(),
        uuid,
        cores = placement.cpus.len(),
        concurrency = placement.slots.iter().sum::<usize>(),
        queues =
            config.queues.by_priority().iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>().join(","),
        mode = config.mode.as_str(),
        environment = config.environment,
        "working"
    );
    let mut ends = Vec::with_capacity(shards.len());
    let mut running = Vec::with_capacity(shards.len());
    for (options, &cpu) in shards.into_iter().zip(&placement.cpus) {
        let (control_end, shard_end) = mesh::link();
        ends.push(control_end);
        let core = Core { index: options.shard, count: placement.cpus.len() };
        running.push(spawn_shard(options, shard_end, cpu, core, factory.clone())?);
    }
    let cpu = placement.cpus[0];
    let control = executor("control", cpu)
        .spawn(move || async move {
            pin(cpu);
            pulse::start(None);
            control::run(control_options, ends, reload).await
        })
        .map_err(|error| LaunchError::Executor { what: "control".to_owned(), reason: error.to_string() })?;
    let outcome = control.join().map_err(|_| LaunchError::ControlLost)?;
    for shard in running {
        // Its outcome is known; a panic of its thread was logged and counts as jobs left behind.
        let _ended = shard.join();
    }
    Ok(outcome)
}

fn spawn_shard<F, Fut, S, E>(
    options: ShardOptions,
    end: ShardEnd,
    cpu: usize,
    core: Core,
    factory: F,
) -> Result<ExecutorJoinHandle<()>, LaunchError>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Registry<S>, E>> + 'static,
    S: 'static,
    E: Display,
{
    let shard = options.shard;
    let name = format!("shard-{shard}");
    executor(&name, cpu)
        .spawn(move || async move {
            pin(cpu);
            pulse::start(Some(&options.stats));
            let tear_down = RefCell::new(TearDown::default());
            let name = client_name(&options.uuid, Some(shard), "client");
            let clock = options.clock();
            let client = LocalClient::reckoning(options.spelling(), options.url.clone(), name, clock);
            let handlers = async {
                let registry = factory(core).await.map_err(|error| error.to_string())?;
                let mut handlers = registry.into_handlers();
                let _for_others = handlers.services().attach(shard, client);
                tear_down.replace(handlers.take_tear_down());
                Ok(handlers)
            };
            shard::run(options, end, handlers).await;
            tear_down.into_inner().run(shard).await;
        })
        .map_err(|error| LaunchError::Executor { what: name, reason: error.to_string() })
}

/// An executor on this CPU. Where the kernel does not show its CPUs, glommio cannot place it, and the executor's thread
/// pins itself: [`pin`].
fn executor(name: &str, cpu: usize) -> LocalExecutorBuilder {
    let placement = match CpuSet::online() {
        Ok(cpus) if !cpus.clone().filter(|location| location.cpu == cpu).is_empty() => {
            glommio::Placement::Fixed(cpu)
        }
        _ => glommio::Placement::Unbound,
    };
    LocalExecutorBuilder::new(placement)
        .name(name)
        .io_memory(EXECUTOR_IO_BYTES)
        .preempt_timer(EXECUTOR_PREEMPT)
}

/// Keeps this thread on its CPU; of no effect where glommio has done so.
fn pin(cpu: usize) {
    if !core_affinity::set_for_current(CoreId { id: cpu }) {
        tracing::warn!(cpu, "a thread cannot be kept on its cpu (sched_setaffinity); it moves between them");
    }
}

/// Logs what glommio lacks in order to know the CPUs.
fn look_at_cpus() {
    if let Err(error) = CpuSet::online() {
        tracing::warn!(
            %error,
            "the kernel does not show its cpus (/sys/devices/system/cpu), so threads are kept on theirs without a look at \
             which share a core; mount /sys to change that"
        );
    }
}

/// The worst outcome decides.
fn judge(endings: &[(usize, Ending)]) -> Result<(), LaunchError> {
    for &(shard, how) in endings {
        match how {
            Ending::Clean | Ending::Unheard => {}
            Ending::LeftBehind { jobs } => return Err(LaunchError::LeftBehind { shard, jobs }),
            Ending::Fenced => return Err(LaunchError::Fenced { shard }),
            Ending::NoState => return Err(LaunchError::NoState { shard }),
        }
    }
    Ok(())
}
