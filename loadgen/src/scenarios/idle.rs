//! `loadgen idle`: what a worker with nothing to do costs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Session;
use super::scene::{Processor, Scene};
use crate::cli::{self, Mode, RedisOptions};
use crate::error::Error;
use crate::measure::TrafficMeter;
use crate::published::{self, PublishedIdle};
use crate::redis::Client;
use crate::report::figure::{Better, Figure};
use crate::report::format::{NOTHING, grouped, kilobytes};
use crate::report::{Outcome, Table};
use crate::worker::{Launch, Program, Worker};

/// From the heartbeat to the first reading: the cost of starting is not idle cost.
const SETTLE: Duration = Duration::from_secs(2);

/// Pause between two checks of the worker and updates of the progress bar.
const WATCH_POLL: Duration = Duration::from_millis(200);

const DEFINITIONS: [&str; 3] = [
    "Start RSS: VmRSS when the heartbeat appears; Finish RSS: at the end",
    "%CPU: user and system time of the worker's process divided by the time watched, which starts 2 s after the heartbeat",
    "Redis commands/s: commands Redis ran in that time, including those called by scripts, excluding loadgen's own",
];

const HEADER: [&str; 7] =
    ["Job Processor", "Concurrency", "Start RSS", "Finish RSS", "%CPU", "Redis commands/s", "Redis reads/s"];

/// Options of `idle`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// How long to watch, in seconds
    #[arg(short, long, default_value = "180", value_name = "N", value_parser = cli::seconds)]
    seconds: u64,
    /// Jobs the worker would allow in flight, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "10", value_name = "N,N", value_parser = cli::concurrency)]
    concurrency: Vec<u64>,
    /// Queues it serves
    #[arg(long, default_value = "1", value_name = "N", value_parser = cli::queues)]
    queues: u64,
    /// Shards of the worker
    #[arg(long, default_value = "2", value_name = "N", value_parser = cli::cores)]
    cores: u64,
    /// Delivery mode of the worker
    #[arg(long, value_enum, default_value = "at-least-once")]
    mode: Mode,
    /// Program to measure [default: target/release/jiggler-uring, which cargo rebuilds when it is out of date]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<IdleRow>,
}

/// One worker, watched once.
#[derive(Debug, Serialize)]
struct IdleRow {
    concurrency: u64,
    seconds: f64,
    start_rss_kb: u64,
    finish_rss_kb: u64,
    peak_rss_kb: u64,
    cpu_percent: f64,
    redis_commands_per_second: f64,
    redis_reads_per_second: f64,
    redis_calls: BTreeMap<String, u64>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, the worker ended, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::stock(options.binary.as_deref())?;
    let scene = Scene::set(program, options.cores, &options.redis, session)?;
    let mut client = scene.server.client()?;
    let mut rows = Vec::new();
    for concurrency in &options.concurrency {
        client.flush()?;
        rows.push(watch(&scene, &mut client, options, *concurrency, session)?);
    }
    let Processor { title, key } = scene.processor(options.mode);
    let machine = scene.end()?;
    let results = Results { rows };
    let mut outcome = Outcome::new("idle", "Idle", machine, options, &results)?.defined_by(&DEFINITIONS);
    outcome.tables.push(table(&title, &results.rows));
    outcome.remark = format!("Watched for {} s; the published ones, for 3 minutes.", options.seconds);
    outcome.sources.push(published::SOURCE.to_owned());
    outcome.figures = results.rows.iter().flat_map(|row| row.figures(&key)).collect();
    Ok(outcome)
}

fn watch(
    scene: &Scene,
    client: &mut Client,
    options: &Options,
    concurrency: u64,
    session: &Session,
) -> Result<IdleRow, Error> {
    session.progress.step(format!("idle, c={concurrency}, seconds"), options.seconds);
    let log = scene.server.directory().join("worker.log");
    let mut worker = Worker::start(&Launch {
        program: &scene.program,
        cores: options.cores,
        queues: options.queues,
        concurrency,
        mode: options.mode,
        url: scene.server.url(),
        log: &log,
        variables: &[],
    })?;
    super::wait_for_heartbeats(client, &mut [&mut worker], session)?;
    let start = worker.meter().memory()?;
    pass(SETTLE, &mut worker, session, |_| ())?;

    let traffic = TrafficMeter::begin(client)?;
    let (cpu, begin) = (worker.meter().cpu()?, Instant::now());
    let seconds = Duration::from_secs(options.seconds);
    pass(seconds, &mut worker, session, |elapsed| session.progress.set(elapsed.as_secs()))?;
    let (cpu, elapsed) = (worker.meter().cpu()?.saturating_sub(cpu), begin.elapsed().as_secs_f64());
    let traffic = traffic.end(client)?;
    let finish = worker.meter().memory()?;
    worker.stop()?;
    Ok(IdleRow {
        concurrency,
        seconds: elapsed,
        start_rss_kb: start.rss_kb,
        finish_rss_kb: finish.rss_kb,
        peak_rss_kb: finish.peak_kb,
        cpu_percent: 100.0 * cpu.as_secs_f64() / elapsed,
        redis_commands_per_second: traffic.commands as f64 / elapsed,
        redis_reads_per_second: traffic.reads as f64 / elapsed,
        redis_calls: traffic.calls,
    })
}

/// Lets the time pass, checking the worker and for Ctrl-C.
fn pass(
    span: Duration,
    worker: &mut Worker,
    session: &Session,
    elapsed: impl Fn(Duration),
) -> Result<(), Error> {
    let begin = Instant::now();
    while let Some(left) = span.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        session.interrupt.check()?;
        worker.check_alive()?;
        elapsed(begin.elapsed());
        thread::sleep(left.min(WATCH_POLL));
    }
    Ok(())
}

impl IdleRow {
    fn figures(&self, setting: &str) -> Vec<Figure> {
        let name = format!("{setting}, c={}", self.concurrency);
        let figures = [
            ("%CPU", self.cpu_percent),
            ("Redis commands/s", self.redis_commands_per_second),
            ("finish RSS kb", self.finish_rss_kb as f64),
        ];
        figures
            .into_iter()
            .filter_map(|(quantity, value)| Figure::new(&name, quantity, Better::Lower, [value]))
            .collect()
    }
}

fn table(processor: &str, rows: &[IdleRow]) -> Table {
    let mut cells = Vec::new();
    for row in rows {
        let published = published::IDLE.iter().filter(|published| published.concurrency == row.concurrency);
        cells.extend(published.map(published_cells));
        cells.push(own_cells(processor, row));
    }
    Table::new(&HEADER, cells)
}

fn own_cells(processor: &str, row: &IdleRow) -> Vec<String> {
    vec![
        processor.to_owned(),
        grouped(row.concurrency),
        kilobytes(row.start_rss_kb),
        kilobytes(row.finish_rss_kb),
        format!("{:.2}", row.cpu_percent),
        format!("{:.2}", row.redis_commands_per_second),
        format!("{:.2}", row.redis_reads_per_second),
    ]
}

fn published_cells(row: &PublishedIdle) -> Vec<String> {
    vec![
        row.processor.to_owned(),
        grouped(row.concurrency),
        kilobytes(row.start_rss_kb),
        kilobytes(row.finish_rss_kb),
        format!("{:.2}", row.cpu_percent),
        NOTHING.to_owned(),
        NOTHING.to_owned(),
    ]
}
