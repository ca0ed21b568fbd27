//! One run of jobs that arrive on a schedule while the worker runs: how long each waited to start.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use jiggler_uring::internal::resp::encode::Requests;
use serde::Serialize;

use super::Session;
use super::repeat::RepeatOptions;
use super::scene::Scene;
use crate::cli::{self, Mode};
use crate::error::Error;
use crate::latencies::{DIRECTORY_VARIABLE, Latencies};
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::paced::{self, Schedule, Tick};
use crate::redis::Client;
use crate::worker::{Launch, Worker};

/// How long the last jobs may take after the last one was sent.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause between two checks whether all jobs are processed.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Fraction of the jobs that are sent first and not counted, so that nothing measured happens for the first time.
const WARM_UP: u64 = 10;

/// How such runs are made.
#[derive(Debug, Clone, Copy, Args, Serialize)]
pub(super) struct PacedOptions {
    /// How long to send, in seconds
    #[arg(short, long, default_value = "10", value_name = "N", value_parser = cli::seconds)]
    pub(super) seconds: u64,
    /// Jobs the worker may have in flight
    #[arg(short, long, default_value = "10", value_name = "N", value_parser = cli::concurrency)]
    pub(super) concurrency: u64,
    /// Queues the worker serves; the jobs go to the first
    #[arg(long, default_value = "1", value_name = "N", value_parser = cli::queues)]
    pub(super) queues: u64,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) repeat: RepeatOptions,
}

/// What arrives.
pub(super) struct Arrivals<'a> {
    /// Jobs in flight.
    pub(super) concurrency: u64,
    /// Queues that the worker serves; the jobs go to the first.
    pub(super) queues: u64,
    /// When.
    pub(super) schedule: Schedule,
    /// Appends what is pushed alongside the measured job of a tick, and returns how many jobs that is.
    pub(super) beside: &'a dyn Fn(u64, &mut Requests) -> u64,
}

/// The raw numbers of one run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// From each job's intended time to its start.
    pub(super) from_intended: Summary,
    /// From the moment each job was sent.
    pub(super) from_sent: Summary,
    /// How late the producer's latest job was.
    pub(super) late_max_us: f64,
    pub(super) worker_us_per_job: f64,
    pub(super) redis_us_per_job: f64,
    pub(super) redis_commands_per_job: f64,
    pub(super) redis_calls: BTreeMap<String, u64>,
}

/// A histogram in microseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    pub(super) jobs: u64,
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
    /// Percentile and microseconds, for the plot.
    pub(super) distribution: Vec<(f64, f64)>,
}

/// Percentiles of the plot: evenly spaced in "nines".
const PLOTTED: [f64; 17] =
    [1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.99];

impl Summary {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |percentile| histogram.value_at_percentile(percentile) as f64 / 1e3;
        Self {
            jobs: histogram.len(),
            p50_us: at(50.0),
            p90_us: at(90.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            max_us: histogram.max() as f64 / 1e3,
            distribution: PLOTTED.iter().map(|percentile| (*percentile, at(*percentile))).collect(),
        }
    }
}

/// Starts a worker, sends it the jobs, stops it and reads what it recorded.
///
/// # Errors
/// The worker ended or left a job behind, or an interrupt.
pub(super) fn run(
    scene: &Scene,
    mode: Mode,
    arrivals: &Arrivals<'_>,
    title: &str,
    session: &Session,
) -> Result<Run, Error> {
    let mut client = scene.server.client()?;
    client.flush()?;
    let folder = empty_folder(scene)?;
    let mut worker = Worker::start(&Launch {
        program: &scene.program,
        cores: scene.cores,
        queues: arrivals.queues,
        concurrency: arrivals.concurrency,
        mode,
        url: scene.worker_url(),
        log: &scene.server.directory().join("worker.log"),
        variables: &[(DIRECTORY_VARIABLE, folder.as_os_str())],
    })?;
    super::wait_for_heartbeats(&mut client, &mut [&mut worker], session)?;
    let Schedule { per_second, jobs } = arrivals.schedule;
    let warm_up = Schedule { per_second, jobs: (jobs / WARM_UP).max(1) };
    session.progress.step(format!("{title}: warm-up"), warm_up.jobs);
    let url = scene.server.url();
    let watched = (&session.interrupt, &session.progress);
    paced::produce(url, warm_up, watched, |tick, requests| push_stamp(None, tick, requests))?;
    let before = wait_for(&mut client, &mut worker, warm_up.jobs, session)?;

    session.progress.step(title.to_owned(), jobs);
    let redis = ProcessMeter::new(scene.server.pid());
    let (cpu, redis_cpu) = (worker.meter().cpu()?, redis.cpu()?);
    let traffic = TrafficMeter::begin(&mut client)?;
    let mut others = 0;
    let late = paced::produce(url, arrivals.schedule, watched, |tick, requests| {
        others += (arrivals.beside)(tick.number, requests);
        push_stamp(Some(tick), tick, requests);
    })?;
    wait_for(&mut client, &mut worker, before + jobs + others, session)?;
    let (cpu, redis_cpu) = (worker.meter().cpu()? - cpu, redis.cpu()? - redis_cpu);
    let traffic = traffic.end(&mut client)?;
    worker.stop()?;

    let recorded = Latencies::read(&folder)?;
    let run = Run {
        from_intended: Summary::of(&recorded.from_intended),
        from_sent: Summary::of(&recorded.from_sent),
        late_max_us: late as f64 / 1e3,
        worker_us_per_job: cpu.as_secs_f64() * 1e6 / jobs as f64,
        redis_us_per_job: redis_cpu.as_secs_f64() * 1e6 / jobs as f64,
        redis_commands_per_job: traffic.commands as f64 / jobs as f64,
        redis_calls: traffic.calls,
    };
    if run.from_intended.jobs == jobs {
        return Ok(run);
    }
    Err(Error::WrongOutcome(format!("{} latencies of {jobs} jobs were recorded", run.from_intended.jobs)))
}

/// A job that records its latency; a warm-up job, which has no tick, records none.
pub(super) fn push_stamp(recorded: Option<Tick>, tick: Tick, requests: &mut Requests) {
    let (intended, sent) = recorded.map_or((0, 0), |tick| (tick.intended_ns, tick.sent_ns));
    let payload = format!(
        r#"{{"name":"Stamp","args":[{intended},{sent}],"retries":0,"jid":"{:016x}"}}"#,
        tick.intended_ns
    );
    paced::append_push(requests, payload.as_bytes());
}

/// Waits until this many jobs are processed in total, and returns how many are.
pub(super) fn wait_for(
    client: &mut Client,
    worker: &mut Worker,
    jobs: u64,
    session: &Session,
) -> Result<u64, Error> {
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    loop {
        let backlog = client.backlog()?;
        if backlog.processed >= jobs {
            return Ok(backlog.processed);
        }
        session.interrupt.check()?;
        worker.check_alive()?;
        if Instant::now() > deadline {
            let state = format!("{} of {jobs} processed, {} waiting", backlog.processed, backlog.waiting);
            return Err(Error::WorkerStalled { waited: DRAIN_TIMEOUT, state, log: worker.log_tail() });
        }
        thread::sleep(DRAIN_POLL);
    }
}

/// A folder for the worker's histograms, without those of the previous run.
pub(super) fn empty_folder(scene: &Scene) -> Result<PathBuf, Error> {
    let folder = scene.server.directory().join("latencies");
    let failed = |error| Error::system(folder.display().to_string(), error);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir(&folder).map_err(failed)?;
    Ok(folder)
}
