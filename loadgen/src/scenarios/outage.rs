//! `loadgen outage`: how soon jobs run again after Redis was away.
//!
//! The private Redis is ended and started again with what it held, or stopped and continued by signals, while a worker
//! waits for a job or works on a backlog. Measured from its return (it answers loadgen; or the signal that continues
//! it) until the counter of processed jobs rises, which loadgen checks every millisecond.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Session;
use crate::cli::{self, RedisOptions, WorkerOptions};
use crate::error::Error;
use crate::keys;
use crate::machine::Machine;
use crate::placement::Placement;
use crate::redis::Client;
use crate::redis_server::RedisServer;
use crate::report::figure::{Better, Figure};
use crate::report::format::{counted, grouped, or_nothing, seconds};
use crate::report::{Outcome, Table};
use crate::spread::Spread;
use crate::worker::{Launch, Program, Worker};

/// How long the worker may take to get ready for Redis to go away, and to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two checks of the counter.
const LOOK: Duration = Duration::from_millis(1);

/// Pause between two checks for an interrupt while Redis is away.
const AWAY_LOOK: Duration = Duration::from_millis(100);

/// The worker's jobs in flight: the backlog's jobs wait, so this and their length determine its rate.
const CONCURRENCY: u64 = 10;

/// One job of the backlog: 50 ms, so 200 of them run each second, and there is never a moment when none ends.
const BACKLOG_JOB: &str = r#"{"name":"Sleep","args":[0.05],"retries":0,"jid":"0123456789abcdef"}"#;

/// A backlog that lasts for more than a minute.
const BACKLOG_JOBS: usize = 20_000;

/// Jobs of one LPUSH.
const PUSH_JOBS: usize = 1_000;

const WAITING_JOB: &str = r#"{"name":"Noop","args":[],"retries":0,"jid":"0123456789abcdef"}"#;

const DEFINITIONS: [&str; 3] = [
    "restarted: killed, and started again with its append-only file; it has returned when it first answers loadgen",
    "paused: stopped and continued by signals; it has returned at the signal",
    "back after: seconds from the return of Redis until the worker has counted a job, or, of a backlog, more jobs than it had \
     in flight; median (least to most) of the runs",
];

const HEADER: [&str; 5] = ["Redis is", "for", "Worker", "Runs", "Back after"];

/// Options of `outage`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// How long Redis is away each time, in seconds
    #[arg(short, long, default_value = "10", value_name = "N", value_parser = cli::seconds)]
    seconds: u64,
    /// Outages per row: the table shows their spread
    #[arg(short, long, default_value = "5", value_name = "N", value_parser = cli::runs)]
    runs: u64,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

/// What happens to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Restarted,
    Paused,
}

/// What the worker is doing when it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It waits in Redis; a job is pushed on the return.
    Waiting,
    /// It works on a backlog of short waiting jobs.
    Working,
}

/// Everything measured.
#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<OutageRow>,
}

/// One kind of outage, repeated.
#[derive(Debug, Serialize)]
struct OutageRow {
    kind: Kind,
    state: State,
    back_after_seconds: Option<Spread>,
    runs: Vec<f64>,
}

/// A Redis, a worker, and where they run.
struct Stage<'a> {
    options: &'a Options,
    session: &'a Session,
    placement: &'a Placement,
    // Invariant: declared before `server`. When a step fails or is interrupted, the worker ends while Redis is there to
    // receive its acks; a worker that owes Redis acks waits for it longer than a dropped child is given.
    worker: Worker,
    server: RedisServer,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, the worker ended or did not come back, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::stock(options.worker.binary.as_deref())?;
    let cores = usize::try_from(options.worker.cores).unwrap_or(usize::MAX);
    let placement = Placement::plan(cores, options.redis.redis_cpu)?;
    let redis = RedisOptions { appendonly: true, ..options.redis.clone() };
    let server = RedisServer::start(&redis, &placement, &session.interrupt)?;
    let machine = Machine::describe(&mut server.client()?, &placement, Some(&program))?;
    let log = server.directory().join("worker.log");
    let worker = Worker::start(&Launch {
        program: &program,
        cores: options.worker.cores,
        queues: 1,
        concurrency: CONCURRENCY,
        mode: options.worker.mode,
        url: server.url(),
        log: &log,
        variables: &[],
    })?;
    let mut stage = Stage { options, session, placement: &placement, worker, server };
    let mut rows = Vec::new();
    for kind in [Kind::Restarted, Kind::Paused] {
        for state in [State::Waiting, State::Working] {
            rows.push(stage.row(kind, state)?);
        }
    }
    stage.worker.stop()?;
    stage.server.stop()?;
    let results = Results { rows };
    let mut outcome =
        Outcome::new("outage", "Back after an outage", machine, options, &results)?.defined_by(&DEFINITIONS);
    outcome.tables.push(table(&results.rows, options));
    let (cores, mode) = (counted(options.worker.cores, "core"), options.worker.mode.flag());
    outcome.remark = format!("Worker: {cores}, {mode}, {CONCURRENCY} jobs at once.");
    outcome.figures = results.rows.iter().filter_map(|row| row.figure(&cores, mode)).collect();
    Ok(outcome)
}

impl Stage<'_> {
    fn row(&mut self, kind: Kind, state: State) -> Result<OutageRow, Error> {
        let mut runs = Vec::new();
        for run in 1..=self.options.runs {
            let what = format!("outage, {} while {}, {run}", kind.word(), state.word());
            self.session.progress.step(what, self.options.seconds);
            runs.push(self.outage(kind, state)?.as_secs_f64());
        }
        Ok(OutageRow { kind, state, back_after_seconds: Spread::of(runs.iter().copied()), runs })
    }

    /// One outage: from the return of Redis to the first job done.
    fn outage(&mut self, kind: Kind, state: State) -> Result<Duration, Error> {
        let mut client = self.server.client()?;
        self.prepare(&mut client, state)?;
        let returned = match kind {
            Kind::Restarted => {
                self.server.crash()?;
                self.away()?;
                self.server.restart(self.placement, &self.session.interrupt)?;
                let returned = Instant::now();
                client = self.server.client()?;
                returned
            }
            Kind::Paused => {
                self.server.pause()?;
                let away = self.away();
                self.server.resume()?;
                away?;
                Instant::now()
            }
        };
        let before = client.backlog()?.processed;
        match state {
            State::Waiting => {
                client.number(&["LPUSH", keys::QUEUE, WAITING_JOB])?;
                self.wait_for_progress(&mut client, before)?;
            }
            // What ended while Redis was away is counted first.
            State::Working => self.wait_for_progress(&mut client, before + CONCURRENCY)?,
        }
        Ok(returned.elapsed())
    }

    /// Brings the worker into the state: it has counted a job of the present backlog, or waits with nothing to do.
    fn prepare(&mut self, client: &mut Client, state: State) -> Result<(), Error> {
        client.number(&["DEL", keys::QUEUE])?;
        let before = client.backlog()?.processed;
        match state {
            State::Waiting => {
                client.number(&["LPUSH", keys::QUEUE, WAITING_JOB])?;
                self.wait_for_progress(client, before)?;
                // What ran of the last backlog ends, and the shards wait again.
                thread::sleep(Duration::from_secs(1));
            }
            State::Working => {
                let mut push = vec!["LPUSH", keys::QUEUE];
                push.extend([BACKLOG_JOB; PUSH_JOBS]);
                for _ in 0..BACKLOG_JOBS / PUSH_JOBS {
                    client.number(&push)?;
                }
                self.wait_for_progress(client, before + CONCURRENCY)?;
            }
        }
        Ok(())
    }

    fn wait_for_progress(&mut self, client: &mut Client, before: u64) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while client.backlog()?.processed <= before {
            self.session.interrupt.check()?;
            self.worker.check_alive()?;
            if Instant::now() > deadline {
                let state = format!("stuck at {before} jobs processed");
                return Err(Error::WorkerStalled { waited: PATIENCE, state, log: self.worker.log_tail() });
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Lets the time of the outage pass.
    fn away(&mut self) -> Result<(), Error> {
        let (begin, span) = (Instant::now(), Duration::from_secs(self.options.seconds));
        while let Some(left) = span.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
            self.session.interrupt.check()?;
            self.worker.check_alive()?;
            self.session.progress.set(begin.elapsed().as_secs());
            thread::sleep(left.min(AWAY_LOOK));
        }
        Ok(())
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Restarted => "restarted",
            Self::Paused => "paused",
        }
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Working => "working",
        }
    }
}

impl OutageRow {
    fn figure(&self, cores: &str, mode: &str) -> Option<Figure> {
        let name = format!("{} while {}, {cores}, {mode}", self.kind.word(), self.state.word());
        Figure::new(&name, "back after s", Better::Lower, self.runs.iter().copied())
    }
}

fn table(rows: &[OutageRow], options: &Options) -> Table {
    let row = |row: &OutageRow| {
        let spread = |Spread { median, min, max }| {
            format!("{} ({} to {})", seconds(median), seconds(min), seconds(max))
        };
        vec![
            row.kind.word().to_owned(),
            format!("{} s", options.seconds),
            row.state.word().to_owned(),
            grouped(options.runs),
            or_nothing(row.back_after_seconds, spread),
        ]
    };
    Table::new(&HEADER, rows.iter().map(row).collect())
}
