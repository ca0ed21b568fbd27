//! `loadgen cpu`: Fibonacci numbers computed the slow way, on one core and on two.
//!
//! Two sizes: fib(25), as published, which takes about 35 ms in Ruby and a few tenths of a millisecond here; and the n
//! that takes about 35 ms to compute on this machine, so that a job keeps its thread as long as the published one does.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::Session;
use super::drain::{self, Bench, LastColumn, Load, Row};
use super::repeat::RepeatOptions;
use super::scene::Scene;
use crate::cli::{self, Mode, RedisOptions};
use crate::drive::{Arguments, Work};
use crate::error::Error;
use crate::jobs::slow_fib;
use crate::published;
use crate::report::Outcome;
use crate::report::format::{counted, seconds};
use crate::report::plot::{Axis, Line, Plot, Scale};
use crate::worker::Program;

/// The published number.
const FIB_PUBLISHED: u64 = 25;

/// How long a job takes in Ruby, according to the published text.
const JOB_TIME: Duration = Duration::from_millis(35);

/// Computed to learn how fast this machine is: a few milliseconds.
const FIB_PROBE: u64 = 28;

/// Number of probes; the fastest counts.
const PROBES: u32 = 5;

/// The next number takes this much longer: the golden ratio.
const GROWTH: f64 = 1.618_033_988_749_895;

/// The end of a run is seen to one hundredth: checks cost the worker little next to jobs of this size.
const LOOKS: u32 = 100;

const TIMES_ONE_CORE: &str = "× 1 core: the time from the first job taken to the last in the row with 1 core and the \
     same jobs, divided by this row's";

const LAST_COLUMN: LastColumn = LastColumn { title: "× 1 core", format: |ratio| format!("{ratio:.2}") };

/// Options of `cpu`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs per run
    #[arg(short, long, default_value = "100", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    /// Jobs in flight per worker process, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "5,10", value_name = "N,N", value_parser = cli::concurrency)]
    concurrency: Vec<u64>,
    /// Shards of the worker, one row each
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_name = "N,N", value_parser = cli::cores)]
    cores: Vec<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    repeat: RepeatOptions,
    /// Program to measure [default: target/release/jiggler-uring, which cargo rebuilds when it is out of date]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Serialize)]
struct Results {
    /// The n that takes about 35 ms.
    fib_sized: u64,
    rows_published: Vec<Row>,
    rows_sized: Vec<Row>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::stock(options.binary.as_deref())?;
    let fib_sized = sized();
    let mut results = Results { fib_sized, rows_published: Vec::new(), rows_sized: Vec::new() };
    let mut described = None;
    for cores in &options.cores {
        let scene = Scene::set(program.clone(), *cores, &options.redis, session)?;
        let mut bench = Bench::new(&scene, Mode::AtLeastOnce, session)?;
        for (fib, rows) in
            [(FIB_PUBLISHED, &mut results.rows_published), (fib_sized, &mut results.rows_sized)]
        {
            let work = Work { name: "Fib", arguments: Arguments::Same(format!("[{fib}]")) };
            for concurrency in &options.concurrency {
                let load = Load {
                    work: &work,
                    jobs: options.jobs,
                    concurrency: *concurrency,
                    variant: "",
                    looks: LOOKS,
                    variables: &[],
                };
                rows.extend(drain::measure(&mut bench, load, options.repeat.runs)?);
            }
        }
        described = described.or(Some(scene.end()?));
    }
    let Some(machine) = described else { return Err(Error::WrongOutcome("no number of cores".to_owned())) };
    compare_with_one_core(&mut results.rows_published);
    compare_with_one_core(&mut results.rows_sized);

    let mut outcome = Outcome::new("cpu", "CPU work", machine, options, &results)?
        .defined_by(&drain::DEFINITIONS)
        .defined_by(&[TIMES_ONE_CORE]);
    outcome.tables.push(drain::table(&results.rows_published, &published::CPU, Some(LAST_COLUMN)));
    outcome.tables.push(drain::table(&results.rows_sized, &published::CPU, Some(LAST_COLUMN)));
    outcome.remark = format!(
        "The first table is fib({FIB_PUBLISHED}), as published; the second fib({fib_sized}), which keeps a thread for \
         about {} here, as fib({FIB_PUBLISHED}) does in Ruby. Medians of {}.",
        seconds(JOB_TIME.as_secs_f64()),
        counted(options.repeat.runs, "run")
    );
    outcome.sources.push(published::SOURCE.to_owned());
    for (fib, rows) in [(FIB_PUBLISHED, &results.rows_published), (fib_sized, &results.rows_sized)] {
        outcome.figures.extend(rows.iter().flat_map(|row| row.figures(&format!("fib({fib}), "))));
        outcome.plots.push(scaling(fib, rows));
    }
    Ok(outcome)
}

fn compare_with_one_core(rows: &mut [Row]) {
    let one: Vec<(u64, f64)> = rows
        .iter()
        .filter(|row| row.cores == 1)
        .map(|row| (row.concurrency, row.draining_seconds.median))
        .collect();
    for row in rows {
        let base = one.iter().find(|(concurrency, _)| *concurrency == row.concurrency);
        row.ratio = base.map(|(_, seconds)| seconds / row.draining_seconds.median);
    }
}

/// Rates by cores, one line for each level of concurrency.
fn scaling(fib: u64, rows: &[Row]) -> Plot {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        let name = format!("c={}", row.concurrency);
        let point = (row.cores as f64, row.jobs as f64 / row.draining_seconds.median);
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { name, points: vec![point] }),
        }
    }
    Plot {
        name: format!("cpu-fib-{fib}"),
        title: format!("fib({fib}) by cores"),
        x: Axis { title: "cores", scale: Scale::Whole },
        y: Axis { title: "jobs/s", scale: Scale::FromZero },
        lines,
    }
}

/// The n whose Fibonacci number takes closest to [`JOB_TIME`] to compute.
pub(super) fn sized() -> u64 {
    let fastest = (0..PROBES).map(|_| {
        let begin = Instant::now();
        black_box(slow_fib(black_box(FIB_PROBE)));
        begin.elapsed()
    });
    let fastest = fastest.min().unwrap_or(JOB_TIME);
    nearest(fastest)
}

fn nearest(probe: Duration) -> u64 {
    let steps = (JOB_TIME.as_secs_f64() / probe.as_secs_f64()).ln() / GROWTH.ln();
    // A machine would have to be a million times faster or slower to leave the range.
    #[expect(clippy::cast_possible_truncation, reason = "a number of steps between -20 and 20")]
    FIB_PROBE.saturating_add_signed(steps.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_machine_computes_a_smaller_number() {
        let probe_ms = |milliseconds| nearest(Duration::from_millis(milliseconds));
        assert_eq!((probe_ms(35), probe_ms(57), probe_ms(22)), (28, 27, 29));
    }
}
