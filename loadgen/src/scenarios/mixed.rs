//! `loadgen mixed`: short jobs alongside long ones; shows whether a short job waits behind a long one although a slot
//! is free.
//!
//! Short jobs arrive on a schedule and record how long they waited. In the first row they are alone; in the second,
//! long jobs that sleep hold half of the slots; in the third, jobs that compute use part of the worker's CPU.

use clap::{Args, ValueEnum};
use jiggler_uring::internal::resp::encode::Requests;
use serde::Serialize;

use super::Session;
use super::cpu;
use super::latency::{self, cells, figures, jobs_of};
use super::paced::{self, Arrivals, PacedOptions, Run};
use super::scene::Scene;
use crate::cli::{RedisOptions, WorkerOptions};
use crate::error::Error;
use crate::paced::{Schedule, append_push};
use crate::report::format::grouped;
use crate::report::{Outcome, Table};
use crate::worker::Program;

/// Computing jobs per second: at about 35 ms each, a third of a core.
const COMPUTING_PER_SECOND: u64 = 10;

const LONG_JOBS: &str = "beside sleeping: jobs that sleep for 1 s, as many a second as half of the slots, so that half \
     of them are taken; beside computing: 10 jobs a second that compute for about 35 ms each, registered as `blocking`, so \
     on a companion thread of the one core there is";

/// Options of `mixed`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Short jobs per second
    #[arg(long, default_value = "1_000", value_name = "N", value_parser = latency::rate)]
    rate: u64,
    /// What runs alongside them, one row each
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "alone,sleeping,computing",
        value_name = "WHAT,WHAT"
    )]
    beside: Vec<Beside>,
    #[command(flatten)]
    #[serde(flatten)]
    paced: PacedOptions,
    #[command(flatten)]
    worker: WorkerOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

/// What runs alongside the short jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Beside {
    /// Nothing.
    Alone,
    /// Jobs that wait for a second.
    Sleeping,
    /// Jobs that compute.
    Computing,
}

#[derive(Debug, Serialize)]
struct Results {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    beside: Beside,
    runs: Vec<Run>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::own(options.worker.binary.as_deref())?;
    let scene = Scene::set(program, options.worker.cores, &options.redis, session)?;
    let schedule = Schedule { per_second: options.rate, jobs: options.rate * options.paced.seconds };
    let fib = cpu::sized();
    let mut rows = Vec::new();
    for beside in &options.beside {
        let push = |number: u64, requests: &mut Requests| beside.push(options, fib, number, requests);
        let arrivals = Arrivals {
            concurrency: options.paced.concurrency,
            queues: options.paced.queues,
            schedule,
            beside: &push,
        };
        let mut runs = Vec::new();
        for number in 1..=options.paced.repeat.runs {
            let title =
                format!("short jobs {}, run {number} of {}", beside.title(), options.paced.repeat.runs);
            runs.push(paced::run(&scene, options.worker.mode, &arrivals, &title, session)?);
        }
        rows.push(Row { beside: *beside, runs });
    }
    let processor = scene.processor(options.worker.mode);
    let machine = scene.end()?;
    let results = Results { rows };
    let mut outcome = Outcome::new("mixed", "Short jobs beside long ones", machine, options, &results)?
        .defined_by(&latency::DEFINITIONS)
        .defined_by(&[LONG_JOBS]);
    let rows = results.rows.iter().map(|row| {
        let leading = vec![
            processor.title.clone(),
            row.beside.title().to_owned(),
            grouped(options.rate),
            grouped(jobs_of(&row.runs)),
        ];
        cells(leading, &row.runs)
    });
    let [processor_title, columns @ ..] = latency::HEADER;
    let header = [&[processor_title, "Short jobs"][..], &columns].concat();
    outcome.tables.push(Table::new(&header, rows.collect()));
    outcome.remark = options.paced.repeat.remark();
    for row in &results.rows {
        let name = format!("{}, {} jobs/s {}", processor.key, options.rate, row.beside.title());
        outcome.figures.extend(figures(&name, &row.runs));
    }
    let lines = results.rows.iter().map(|row| latency::line(row.beside.title().to_owned(), &row.runs));
    outcome.plots.push(latency::plot("mixed", "Short jobs beside long ones", lines.collect()));
    Ok(outcome)
}

impl Beside {
    fn title(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Sleeping => "beside sleeping",
            Self::Computing => "beside computing",
        }
    }

    /// Appends the long job that is due with a tick, if there is one.
    fn push(self, options: &Options, fib: u64, number: u64, requests: &mut Requests) -> u64 {
        let (name, argument, per_second) = match self {
            Self::Alone => return 0,
            Self::Sleeping => ("Sleep", 1, (options.paced.concurrency / 2).max(1)),
            Self::Computing => ("Fib", fib, COMPUTING_PER_SECOND),
        };
        let every = (options.rate / per_second).max(1);
        if !number.is_multiple_of(every) {
            return 0;
        }
        let payload =
            format!(r#"{{"name":"{name}","args":[{argument}],"retries":0,"jid":"long{number:012x}"}}"#);
        append_push(requests, payload.as_bytes());
        1
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn long_jobs_come_at_their_own_pace() {
        let options = Line::parse_from(["mixed", "--rate", "100", "-c", "10"]).options;
        let pushed = |beside: Beside| -> u64 {
            (0..100).map(|number| beside.push(&options, 30, number, &mut Requests::new())).sum()
        };
        assert_eq!([Beside::Alone, Beside::Sleeping, Beside::Computing].map(pushed), [0, 5, 10]);
    }
}
