//! Starts the executors and waits until they end.

use std::future::Future;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc, sync::OnceLock, time::Instant};

use glommio::ExecutorJoinHandle;

use super::build::{self, IntoRegistry, Unbuilt};
use super::declared::Declared;
use super::executor::{self, executor, pin};
use super::launch_error::{LaunchError, judge};
use super::life::{Life, control_options, shard_options};
use super::placement::{Core, Placement};
use super::pulse;
use super::reload::{self, Source};
use super::web::{self, Web};
use crate::cli::{Failure, Program, VERSION};
use crate::client::{LocalClient, Spelling};
use crate::config::Config;
use crate::control::{self, Reload, RunOutcome, Settings};
use crate::cron::CronEntry;
use crate::handler::TearDown;
use crate::ids::process_uuid;
use crate::limits::STOP_END;
use crate::mesh::{self, Ending, ShardEnd};
use crate::resp::RedisUrl;
use crate::runner::OnCores;
use crate::shard::{self, ShardOptions};
use crate::time::RedisClock;
use crate::wire::client_name;

/// How the shards and control have ended.
pub(super) struct Ended {
    pub(super) result: Result<(), Failure>,
    /// When the process must have ended, if a stop takes all the time it may.
    pub(super) must_end_by: Option<Instant>,
}

/// Runs shards and control to their end. Starts over under a new identity if others took this process for dead.
pub(super) fn run<F, Fut>(
    config: &Config,
    source: Source,
    placement: &Placement,
    at: At<'_>,
    factory: &F,
) -> Ended
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry> + 'static,
{
    match try_run(config, source, placement, at, factory) {
        Ok(outcome) => Ended {
            result: judge(&outcome.endings).map_err(Failure::from),
            must_end_by: outcome.deadline.map(|deadline| deadline + STOP_END),
        },
        // To start it again would not help.
        Err(LaunchError::Unbuilt(error @ (Unbuilt::Mistake { .. } | Unbuilt::Unrunnable { .. }))) => {
            Ended { result: Err(Failure::usage(error)), must_end_by: None }
        }
        Err(error) => Ended { result: Err(error.into()), must_end_by: None },
    }
}

/// One identity after the other, until a stop.
fn try_run<F, Fut>(
    config: &Config,
    source: Source,
    placement: &Placement,
    at: At<'_>,
    factory: &F,
) -> Result<RunOutcome, LaunchError>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry> + 'static,
{
    // From here on no signal has its default effect; control receives them.
    glommio::signal::block(&control::SIGNALS)
        .map_err(|error| LaunchError::Executor { what: "signals".to_owned(), reason: error.to_string() })?;
    executor::look_at_cpus();
    let mut reload = reload::reload(source, config);
    let mut settings = settings(config);
    let spelling = Spelling::of(config.dialect, at.url);
    loop {
        let life = Life {
            uuid: process_uuid().as_ref().to_owned(),
            spelling,
            config,
            settings,
            placement,
            url: at.url,
            web: at.web,
            runners: at.runners,
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
    pub(super) web: Option<&'a Web>,
    pub(super) runners: &'a OnCores,
}

/// The clock of the server of each queue, by name: one and the same, except in a cluster.
fn clocks(config: &Config, at: At<'_>) -> BTreeMap<String, Arc<RedisClock>> {
    let clock = || if at.url.is_cluster() { Arc::new(at.clock.copied()) } else { Arc::clone(at.clock) };
    config.queues.as_slice().iter().map(|queue| (queue.name.as_str().to_owned(), clock())).collect()
}

/// Runs one identity to its end.
fn run_as<F, Fut>(
    life: &Life<'_>,
    reload: Option<Reload>,
    factory: &F,
) -> Result<(RunOutcome, Option<Reload>), LaunchError>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry> + 'static,
{
    let Life { placement, .. } = life;
    let shards = shard_options(life);
    let control_options = control_options(life, &shards);
    let mut ends = Vec::with_capacity(shards.len());
    let mut running = Vec::with_capacity(shards.len());
    let mut counts = Vec::with_capacity(shards.len());
    let declared = Arc::new(Declared::of(life.config));
    let (told, built) = sync_channel(shards.len());
    for (options, &cpu) in shards.into_iter().zip(&placement.cpus) {
        let (control_end, shard_end) = mesh::link();
        ends.push(control_end);
        let shard_end = web::link(life.web, shard_end, &mut counts);
        let core = Core { index: options.shard, count: placement.cpus.len() };
        let (names, periodic) = (Arc::clone(&control_options.names), Arc::clone(&control_options.periodic));
        let runners = OnCores::clone(life.runners);
        let seat = Seat { cpu, core, names, periodic, declared: Arc::clone(&declared), runners };
        running.push(spawn_shard(options, shard_end, seat, factory.clone(), told.clone())?);
    }
    drop(told);
    let web = life.web.map(|web| web.start_beside(&control_options, counts)).transpose()?;
    let cpu = placement.cpus[0];
    let published = Arc::clone(&control_options.published);
    let control = executor("control", cpu)
        .spawn(move || async move {
            pin(cpu);
            pulse::start(move || published.turned_at.mark());
            control::run(control_options, ends, reload).await
        })
        .map_err(|error| LaunchError::Executor { what: "control".to_owned(), reason: error.to_string() })?;
    // Control has started: a signal also stops a process whose registries take long to build.
    let unbuilt = build::first_failure(&built);
    if unbuilt.is_none() {
        say_working(life);
    }
    let outcome = control.join().map_err(|_| LaunchError::ControlLost)?;
    for shard in running {
        // Its outcome is known; a panic of its thread was logged and counts as jobs left behind.
        let _ended = shard.join();
    }
    if let Some(web) = web {
        web.end();
    }
    match unbuilt {
        Some(unbuilt) => Err(unbuilt.into()),
        None => Ok(outcome),
    }
}

/// The first line of a worker that runs jobs.
fn say_working(life: &Life<'_>) {
    let Life { uuid, config, placement, .. } = life;
    tracing::info!(
        version = VERSION,
        program = Program::title(),
        tag = config.tag,
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
    for queue in config.queues.as_slice().iter().map(|queue| queue.name.as_str()) {
        if queue.contains(char::is_whitespace) {
            tracing::warn!(queue, "the name of a queue has a blank in it; queues are separated by commas");
        }
    }
}

/// Where a shard runs, and where it says what it can run.
struct Seat {
    cpu: usize,
    core: Core,
    names: Arc<OnceLock<Option<Vec<String>>>>,
    periodic: Arc<OnceLock<Vec<CronEntry>>>,
    /// What the configuration says of periodic jobs.
    declared: Arc<Declared>,
    runners: OnCores,
}

fn spawn_shard<F, Fut>(
    options: ShardOptions,
    end: ShardEnd,
    seat: Seat,
    factory: F,
    told: SyncSender<Result<(), Unbuilt>>,
) -> Result<ExecutorJoinHandle<()>, LaunchError>
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry> + 'static,
{
    let Seat { cpu, core, names, periodic, declared, runners } = seat;
    let shard = options.shard;
    let name = format!("shard-{shard}");
    executor(&name, cpu)
        .spawn(move || async move {
            pin(cpu);
            let stats = Arc::clone(&options.stats);
            pulse::start(move || stats.turned_at.mark());
            let tear_down = RefCell::new(TearDown::default());
            let name = client_name(&options.uuid, Some(shard), "client");
            let clock = options.clock();
            let client = LocalClient::reckoning(options.spelling(), options.url.clone(), name, clock);
            let handlers = async {
                let built = build::build(&factory, &runners, core).await.and_then(|handlers| {
                    let all = declared.all(&handlers, core.index)?;
                    // All cores have the same.
                    let _by_the_first = periodic.set(all);
                    Ok(handlers)
                });
                // Full or closed only if nobody waits for it any more.
                let (built, report) = match built {
                    Ok(handlers) => (Some(handlers), Ok(())),
                    Err(unbuilt) => (None, Err(unbuilt)),
                };
                let _unheard = told.try_send(report);
                drop(told);
                let mut handlers = built?;
                // All cores have the same.
                let _by_the_first = names.set(handlers.published_names());
                let _for_others = handlers.services().attach(shard, client);
                tear_down.replace(handlers.take_tear_down());
                Some(handlers)
            };
            shard::run(options, end, handlers).await;
            tear_down.into_inner().run(shard).await;
        })
        .map_err(|error| LaunchError::Executor { what: name, reason: error.to_string() })
}
