//! `loadgen file`: each job appends a line to a file, opening and closing it, as published.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Session;
use super::drain::{self, Bench, Load, Row};
use super::repeat::RepeatOptions;
use super::scene::Scene;
use crate::cli::{self, RedisOptions, WorkerOptions};
use crate::drive::{Arguments, Work};
use crate::error::Error;
use crate::published;
use crate::report::Outcome;
use crate::worker::Program;

/// The end of a run is seen to one fiftieth.
const LOOKS: u32 = 50;

const THE_JOB: &str = "opened each time: the job opens the file, appends its number and a line end, and closes it, all \
     over the ring; kept open: it appends to a file that its core keeps open, where what waits is written at once; all \
     lines are counted after each row";

/// How a job reaches its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    /// As published.
    OpenedEachTime,
    /// Like a journal.
    KeptOpen,
}

impl Way {
    /// The job's name, and what follows the worker's name in its rows.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenedEachTime => ("Append", ", opened each time"),
            Self::KeptOpen => ("Journal", ", kept open"),
        }
    }
}

/// Options of `file`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs in flight per worker process, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "5,10,15,50,100")]
    #[arg(value_name = "N,N", value_parser = cli::concurrency)]
    concurrency: Vec<u64>,
    /// Jobs per run
    #[arg(short, long, default_value = "50_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    /// How a job reaches its file, one row each
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "opened-each-time,kept-open",
        value_name = "WAY,WAY"
    )]
    way: Vec<Way>,
    #[command(flatten)]
    #[serde(flatten)]
    repeat: RepeatOptions,
    /// Where the file is created [default: next to the private Redis, in the temporary directory]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<Row>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a line is missing, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::own(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?;
    let folder = tempfile::Builder::new()
        .prefix("loadgen-file-")
        .tempdir_in(options.directory.as_deref().unwrap_or(scene.server.directory()))
        .map_err(|error| Error::system("creating a folder for the file", error))?;
    let mut bench = Bench::new(&scene, options.worker.mode, session)?;
    let mut rows = Vec::new();
    for concurrency in &options.concurrency {
        for way in &options.way {
            let (name, variant) = way.names();
            let file = folder.path().join(format!("{name}-{concurrency}"));
            let work = Work { name, arguments: Arguments::Numbered(serde_json::to_string(&file)?) };
            let (jobs, concurrency) = (options.jobs, *concurrency);
            let load = Load { work: &work, jobs, concurrency, variant, looks: LOOKS, variables: &[] };
            rows.extend(drain::measure(&mut bench, load, options.repeat.runs)?);
            check_lines(&file, options.jobs * options.repeat.runs)?;
        }
    }
    drop(bench);
    let machine = scene.end()?;
    let results = Results { rows };
    let mut outcome = Outcome::new("file", "A line appended to a file", machine, options, &results)?
        .defined_by(&drain::DEFINITIONS)
        .defined_by(&[THE_JOB]);
    outcome.tables.push(drain::table(&results.rows, &published::FILE, None));
    outcome.remark = options.repeat.remark();
    outcome.sources.push(published::SOURCE.to_owned());
    outcome.figures = results.rows.iter().flat_map(|row| row.figures("")).collect();
    outcome.plots.push(drain::plot("file", "Lines appended", &results.rows, &published::FILE));
    Ok(outcome)
}

fn check_lines(file: &Path, expected: u64) -> Result<(), Error> {
    let bytes =
        fs::read(file).map_err(|error| Error::system(format!("reading {}", file.display()), error))?;
    let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
    if lines == expected {
        return Ok(());
    }
    Err(Error::WrongOutcome(format!("the file holds {lines} lines, but {expected} were appended")))
}
