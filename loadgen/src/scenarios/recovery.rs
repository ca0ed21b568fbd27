//! `loadgen recovery`: a worker is killed with jobs in flight; how long until another one has started all of them again.
//!
//! Each job writes its process and its jid to a file when it starts, so that every start is accounted for by jid: a jid
//! that did not start again is lost, one that started more than once after the kill is duplicated.

mod account;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use self::account::Account;
use super::Session;
use super::scene::Scene;
use crate::cli::{self, Mode, RedisOptions};
use crate::drive::{self, Arguments, Work};
use crate::error::Error;
use crate::report::figure::{Better, Figure};
use crate::report::format::{counted, grouped, or_nothing, seconds};
use crate::report::{Outcome, Table};
use crate::spread::Spread;
use crate::worker::{Launch, Program, Worker};

/// Pause between two checks of the file: the resolution of the result.
const POLL: Duration = Duration::from_millis(20);

/// How long a worker may take to start all jobs at first.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How long jobs may be missing after the kill before they count as lost: ten times the lease.
const LOST_AFTER: Duration = Duration::from_secs(200);

/// How long a job holds its slot: longer than all of the above.
const HOLD_SECONDS: u64 = 3_600;

const DEFINITIONS: [&str; 3] = [
    "all again: from SIGKILL to the moment when every job that was in flight has started again; first again: to the \
     first of them; seen within 20 ms",
    "lost: jobs that did not start again; duplicated: jobs that started more than once after the kill, until the end \
     of the watch",
    "second worker: `beside` runs idle when the first is killed; `afterwards` is started right after the kill",
];

/// Options of `recovery`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs in flight when the worker is killed
    #[arg(short, long, default_value = "100", value_name = "N", value_parser = cli::concurrency)]
    jobs: u64,
    /// When the second worker is started, one row each
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "beside,afterwards",
        value_name = "WHEN,WHEN"
    )]
    second: Vec<Second>,
    /// Runs per row: the table shows medians
    #[arg(short, long, default_value = "1", value_name = "N", value_parser = cli::runs)]
    runs: u64,
    /// How long to keep looking for duplicates after all jobs have started again, in seconds
    #[arg(long, default_value = "5", value_name = "N", value_parser = cli::seconds)]
    watch: u64,
    /// Program to measure; it must have the jobs of `loadgen worker` [default: that program]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    redis: RedisOptions,
}

/// When the second worker is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Second {
    /// Before the kill.
    Beside,
    /// After the kill.
    Afterwards,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    second: Second,
    jobs: u64,
    first_again_seconds: Option<Spread>,
    all_again_seconds: Option<Spread>,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Run {
    /// `None` if no job came back.
    first_again_seconds: Option<f64>,
    /// `None` if not all jobs came back.
    all_again_seconds: Option<f64>,
    lost: usize,
    duplicated: usize,
}

/// The whole scenario.
///
/// # Errors
/// Redis or a worker cannot be started, a worker ended on its own, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::own(options.binary.as_deref())?;
    let scene = Scene::set(program, 1, &options.redis, session)?;
    let mut rows = Vec::new();
    for second in &options.second {
        let mut runs = Vec::new();
        for number in 1..=options.runs {
            let title = format!("second worker {}, run {number} of {}", second.title(), options.runs);
            runs.push(once(&scene, options, *second, &title, session)?);
        }
        rows.push(Row {
            second: *second,
            jobs: options.jobs,
            first_again_seconds: Spread::of(runs.iter().filter_map(|run| run.first_again_seconds)),
            all_again_seconds: Spread::of(runs.iter().filter_map(|run| run.all_again_seconds)),
            runs,
        });
    }
    let processor = scene.processor(Mode::AtLeastOnce);
    let machine = scene.end()?;
    let results = Results { rows };
    let mut outcome = Outcome::new("recovery", "A killed worker's jobs", machine, options, &results)?
        .defined_by(&DEFINITIONS);
    outcome.tables.push(table(&processor.title, &results.rows));
    outcome.remark =
        format!("Medians of {}; lost and duplicated: of all runs.", counted(options.runs, "run"));
    outcome.figures = results.rows.iter().flat_map(Row::figures).collect();
    Ok(outcome)
}

fn once(
    scene: &Scene,
    options: &Options,
    second: Second,
    title: &str,
    session: &Session,
) -> Result<Run, Error> {
    scene.server.client()?.flush()?;
    let file = scene.server.directory().join("starts");
    File::create(&file).map_err(|error| Error::system(format!("creating {}", file.display()), error))?;
    let path = serde_json::to_string(&file)?;
    let work = Work { name: "Hold", arguments: Arguments::Same(format!("[{path},{HOLD_SECONDS}]")) };
    drive::enqueue(scene.server.url(), &work, options.jobs, &session.interrupt, &session.progress)?;

    let mut first = start(scene, options, "worker-1.log")?;
    session.progress.step(format!("{title}: first starts"), options.jobs);
    let deadline = Instant::now() + START_TIMEOUT;
    while Account::read(&file)?.started(first.id()) < options.jobs {
        pause(session, &mut first)?;
        if Instant::now() > deadline {
            let state =
                format!("{} of {} jobs started", Account::read(&file)?.started(first.id()), options.jobs);
            return Err(Error::WorkerStalled { waited: START_TIMEOUT, state, log: first.log_tail() });
        }
    }
    let mut beside = match second {
        Second::Beside => Some(start(scene, options, "worker-2.log")?),
        Second::Afterwards => None,
    };
    if let Some(second) = &mut beside {
        super::wait_for_heartbeats(&mut scene.server.client()?, &mut [&mut first, second], session)?;
    }
    let killed = first.id();
    first.kill()?;
    let begin = Instant::now();
    let mut rescuer = beside.map_or_else(|| start(scene, options, "worker-2.log"), Ok)?;
    session.progress.step(format!("{title}: started again"), options.jobs);
    let run = watch(&file, options, (killed, begin), &mut rescuer, session)?;
    rescuer.kill()?;
    Ok(run)
}

/// Checks until all jobs have started again and the watch for duplicates is over.
fn watch(
    file: &Path,
    options: &Options,
    (killed, begin): (u32, Instant),
    rescuer: &mut Worker,
    session: &Session,
) -> Result<Run, Error> {
    let (mut first_again, mut all_again) = (None, None);
    loop {
        let account = Account::read(file)?;
        let now = begin.elapsed();
        let again = account.again(killed);
        session.progress.set(again as u64);
        if again > 0 {
            first_again.get_or_insert(now);
        }
        if again as u64 == options.jobs {
            all_again.get_or_insert(now);
        }
        let over = match all_again {
            Some(all) => now > all + Duration::from_secs(options.watch),
            None => now > LOST_AFTER,
        };
        if over {
            return Ok(Run {
                first_again_seconds: first_again.map(|time: Duration| time.as_secs_f64()),
                all_again_seconds: all_again.map(|time: Duration| time.as_secs_f64()),
                lost: account.lost(killed),
                duplicated: account.duplicated(killed),
            });
        }
        pause(session, rescuer)?;
    }
}

fn pause(session: &Session, worker: &mut Worker) -> Result<(), Error> {
    session.interrupt.check()?;
    worker.check_alive()?;
    thread::sleep(POLL);
    Ok(())
}

fn start(scene: &Scene, options: &Options, log: &str) -> Result<Worker, Error> {
    Worker::start(&Launch {
        program: &scene.program,
        cores: scene.cores,
        queues: 1,
        concurrency: options.jobs,
        mode: Mode::AtLeastOnce,
        url: scene.server.url(),
        log: &scene.server.directory().join(log),
        variables: &[],
    })
}

impl Second {
    fn title(self) -> &'static str {
        match self {
            Self::Beside => "beside",
            Self::Afterwards => "afterwards",
        }
    }
}

impl Row {
    fn figures(&self) -> Vec<Figure> {
        let name = format!("second worker {}, {} jobs", self.second.title(), self.jobs);
        let figure = |quantity, value: fn(&Run) -> Option<f64>| {
            Figure::new(&name, quantity, Better::Lower, self.runs.iter().filter_map(value))
        };
        let figures = [
            figure("seconds until all again", |run| run.all_again_seconds),
            figure("lost", |run| Some(run.lost as f64)),
            figure("duplicated", |run| Some(run.duplicated as f64)),
        ];
        figures.into_iter().flatten().collect()
    }
}

fn table(processor: &str, rows: &[Row]) -> Table {
    let header =
        ["Job Processor", "In flight", "Second worker", "First again", "All again", "Lost", "Duplicated"];
    let cells = rows.iter().map(|row| {
        let sum = |count: fn(&Run) -> usize| grouped(row.runs.iter().map(count).sum::<usize>() as u64);
        vec![
            processor.to_owned(),
            grouped(row.jobs),
            row.second.title().to_owned(),
            or_nothing(row.first_again_seconds, |time| seconds(time.median)),
            or_nothing(row.all_again_seconds, |time| seconds(time.median)),
            sum(|run| run.lost),
            sum(|run| run.duplicated),
        ]
    });
    Table::new(&header, cells.collect())
}
