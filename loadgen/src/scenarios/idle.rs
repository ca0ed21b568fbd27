//! `loadgen idle`: what a worker costs that has nothing to do.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Session;
use crate::cli::IdleOptions;
use crate::error::Error;
use crate::keys;
use crate::machine::Machine;
use crate::measure::TrafficMeter;
use crate::placement::Placement;
use crate::published::{self, PublishedIdle};
use crate::redis::Client;
use crate::redis_server::RedisServer;
use crate::report::{self, Document, NOTHING, counted, grouped, kilobytes, table};
use crate::worker::{self, Launch, Worker};

/// How long a worker may take until its heartbeat.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two looks for the heartbeat.
const START_POLL: Duration = Duration::from_millis(20);

/// From the heartbeat to the first reading: what a start costs is not idle cost.
const SETTLE: Duration = Duration::from_secs(2);

/// Pause between two looks at the worker and the progress bar.
const WATCH_POLL: Duration = Duration::from_millis(200);

const DEFINITIONS: [&str; 3] = [
    "Start RSS: VmRSS when the heartbeat appears; Finish RSS: at the end",
    "%CPU: user and system time of the worker's process by the time watched, which begins 2 s after the heartbeat",
    "Redis commands/s: commands Redis ran in that time, those called by scripts included, loadgen's own left out",
];

const HEADER: [&str; 7] =
    ["Job Processor", "Concurrency", "Start RSS", "Finish RSS", "%CPU", "Redis commands/s", "Redis reads/s"];

/// Everything measured.
#[derive(Debug, Serialize)]
struct IdleResults {
    machine: Machine,
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
pub(crate) fn run(options: &IdleOptions, session: &Session) -> Result<(), Error> {
    let binary = worker::locate(options.binary.as_deref())?;
    let cores = usize::try_from(options.cores).unwrap_or(usize::MAX);
    let placement = Placement::plan(cores, options.redis.redis_cpu)?;
    let server = RedisServer::start(&options.redis, &placement, &session.interrupt)?;
    let mut client = server.client()?;
    let machine = Machine::describe(&mut client, &placement, Some(&binary))?;
    let mut rows = Vec::new();
    for concurrency in &options.concurrency {
        client.flush()?;
        rows.push(watch(&server, &mut client, &binary, options, *concurrency, session)?);
    }
    server.stop()?;
    session.progress.clear();
    let results = IdleResults { machine, rows };
    let text = render(&results, options);
    let document = Document {
        scenario: "idle",
        command: std::env::args().collect(),
        options,
        definitions: &DEFINITIONS,
        results: &results,
    };
    report::publish(&text, &document, options.output.json.as_deref())
}

fn watch(
    server: &RedisServer,
    client: &mut Client,
    binary: &Path,
    options: &IdleOptions,
    concurrency: u64,
    session: &Session,
) -> Result<IdleRow, Error> {
    session.progress.step(format!("idle, c={concurrency}, seconds"), options.seconds);
    let log = server.directory().join("worker.log");
    let mut worker = Worker::start(&Launch {
        binary,
        cores: options.cores,
        concurrency,
        mode: options.mode,
        url: server.url(),
        log: &log,
    })?;
    wait_for_heartbeat(client, &mut worker, session)?;
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

/// Time passes, with looks at the worker and at Ctrl-C.
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

fn wait_for_heartbeat(client: &mut Client, worker: &mut Worker, session: &Session) -> Result<(), Error> {
    let deadline = Instant::now() + START_TIMEOUT;
    while client.scan(keys::HEARTBEAT_PATTERN)?.is_empty() {
        session.interrupt.check()?;
        worker.check_alive()?;
        if Instant::now() > deadline {
            let state = format!("no key {}", keys::HEARTBEAT_PATTERN);
            return Err(Error::WorkerStalled { waited: START_TIMEOUT, state, log: worker.log_tail() });
        }
        thread::sleep(START_POLL);
    }
    Ok(())
}

fn render(results: &IdleResults, options: &IdleOptions) -> String {
    let worker = results.machine.worker.as_deref().unwrap_or("worker");
    let processor = format!("{worker}, {}, {}", counted(options.cores, "core"), options.mode.flag());
    let mut rows = Vec::new();
    for row in &results.rows {
        let published = published::IDLE.iter().filter(|published| published.concurrency == row.concurrency);
        rows.extend(published.map(published_cells));
        rows.push(own_cells(&processor, row));
    }
    let mut text = table(&HEADER, rows);
    text.push_str(&format!("\nWatched for {} s; the published ones for 3 minutes.\n\n", options.seconds));
    for line in DEFINITIONS {
        text.push_str(&format!("- {line}\n"));
    }
    text.push_str(&format!("- {}\n- {}\n", published::SOURCE, results.machine.line()));
    text
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
