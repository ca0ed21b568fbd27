//! Jobs that are all in the queue before the worker starts, run to the last: the form of the published tables.
//!
//! Responsible for the plan of the runs and their medians. One run is [`bench`], the table is [`table`]; the scenarios
//! decide which jobs and which rows.

mod bench;
mod table;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::Duration;

use serde::Serialize;

pub(super) use self::bench::{Bench, Expected};
pub(super) use self::table::{DEFINITIONS, LastColumn, plot, plot_by_cores, table};
use super::scene::Processor;
use crate::drive::Work;
use crate::error::Error;
use crate::report::figure::{Better, Figure};
use crate::spread::Spread;

/// What varies between rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load<'a> {
    /// What each job is.
    pub(super) work: &'a Work,
    /// Jobs of the run.
    pub(super) jobs: u64,
    /// Jobs in flight.
    pub(super) concurrency: u64,
    /// What distinguishes the row from others of the same worker; follows the worker's name.
    pub(super) variant: &'a str,
    /// The end of a run is seen to this fraction of it, for example a twentieth: the finer, the more the checks
    /// disturb.
    pub(super) looks: u32,
    /// Environment variables of the worker.
    pub(super) variables: &'a [(&'a str, &'a OsStr)],
}

/// The end of a run of waiting jobs is seen to one hundredth: checks cost little next to them.
pub(super) const LOOKS_AT_WAITS: u32 = 100;

/// The last column for jobs that wait for a known time.
pub(super) const TIMES_IDEAL: LastColumn =
    LastColumn { title: "× ideal", format: |ratio| format!("{ratio:.3}") };

/// What it means.
pub(super) const TIMES_IDEAL_MEANS: &str = "× ideal: the time from the first check that found a job taken to the last \
     job, by jobs / concurrency (rounded up) times what a job waits";

/// One line of the table.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) processor: Processor,
    pub(super) cores: u64,
    pub(super) jobs: u64,
    pub(super) concurrency: u64,
    pub(super) seconds: Spread,
    /// From the first check that found a job taken to the last job.
    pub(super) draining_seconds: Spread,
    /// `None` if the jobs were gone before the first check.
    pub(super) jobs_per_second: Option<Spread>,
    /// What the scenario adds about it to the common columns.
    pub(super) ratio: Option<f64>,
    pub(super) start_rss_kb: Spread,
    pub(super) finish_rss_kb: Spread,
    pub(super) peak_rss_kb: Spread,
    pub(super) cpu_percent: Spread,
    pub(super) worker_us_per_job: Spread,
    pub(super) redis_us_per_job: Spread,
    pub(super) redis_commands_per_job: Spread,
    pub(super) redis_reads_per_job: Spread,
    pub(super) runs: Vec<Run>,
}

/// The raw numbers of one run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    pub(super) seconds: f64,
    pub(super) seconds_to_first_job: f64,
    pub(super) resolution_seconds: f64,
    pub(super) jobs_per_second: Option<f64>,
    pub(super) start_rss_kb: u64,
    pub(super) finish_rss_kb: u64,
    pub(super) peak_rss_kb: u64,
    pub(super) cpu_percent: f64,
    pub(super) worker_us_per_job: f64,
    pub(super) redis_us_per_job: f64,
    pub(super) redis_commands_per_job: f64,
    pub(super) redis_reads_per_job: f64,
    pub(super) redis_calls: BTreeMap<String, u64>,
}

impl Run {
    /// From the first check that found a job taken to the last job.
    fn draining_seconds(&self) -> f64 {
        self.seconds - self.seconds_to_first_job
    }
}

/// Does this many runs of one load, and returns their row.
///
/// # Errors
/// A run failed, or an interrupt.
pub(super) fn measure(bench: &mut Bench<'_>, load: Load<'_>, runs: u64) -> Result<Option<Row>, Error> {
    let mut done = Vec::new();
    for number in 1..=runs {
        done.push(bench.run(load, &format!("run {number} of {runs}"))?);
    }
    Ok(Row::of(bench.processor(), load, done))
}

/// Sets each row's ratio of its time to the least possible for jobs that wait for `job`.
pub(super) fn compare_with_ideal(rows: &mut [Row], job: Duration) {
    for row in rows {
        let ideal = row.jobs.div_ceil(row.concurrency) as f64 * job.as_secs_f64();
        row.ratio = Some(row.draining_seconds.median / ideal);
    }
}

impl Row {
    /// `None` without a run.
    pub(super) fn of((processor, cores): (Processor, u64), load: Load<'_>, runs: Vec<Run>) -> Option<Self> {
        let Processor { title, key } = processor;
        let processor =
            Processor { title: format!("{title}{}", load.variant), key: format!("{key}{}", load.variant) };
        let spread = |value: fn(&Run) -> f64| Spread::of(runs.iter().map(value));
        Some(Self {
            processor,
            cores,
            jobs: load.jobs,
            concurrency: load.concurrency,
            seconds: spread(|run| run.seconds)?,
            draining_seconds: spread(Run::draining_seconds)?,
            jobs_per_second: Spread::of(runs.iter().filter_map(|run| run.jobs_per_second)),
            ratio: None,
            start_rss_kb: spread(|run| run.start_rss_kb as f64)?,
            finish_rss_kb: spread(|run| run.finish_rss_kb as f64)?,
            peak_rss_kb: spread(|run| run.peak_rss_kb as f64)?,
            cpu_percent: spread(|run| run.cpu_percent)?,
            worker_us_per_job: spread(|run| run.worker_us_per_job)?,
            redis_us_per_job: spread(|run| run.redis_us_per_job)?,
            redis_commands_per_job: spread(|run| run.redis_commands_per_job)?,
            redis_reads_per_job: spread(|run| run.redis_reads_per_job)?,
            runs,
        })
    }

    /// The figures by which two outcomes are compared; `what` precedes the row's name.
    pub(super) fn figures(&self, what: &str) -> Vec<Figure> {
        let name = format!("{what}{}, c={}, {} jobs", self.processor.key, self.concurrency, self.jobs);
        let figure = |quantity, better, value: fn(&Run) -> Option<f64>| {
            Figure::new(&name, quantity, better, self.runs.iter().filter_map(value))
        };
        let figures = [
            figure("seconds", Better::Lower, |run| Some(run.seconds)),
            figure("jobs/s", Better::Higher, |run| run.jobs_per_second),
            figure("worker µs/job", Better::Lower, |run| Some(run.worker_us_per_job)),
            figure("Redis µs/job", Better::Lower, |run| Some(run.redis_us_per_job)),
            figure("Redis commands/job", Better::Lower, |run| Some(run.redis_commands_per_job)),
            figure("finish RSS kb", Better::Lower, |run| Some(run.finish_rss_kb as f64)),
        ];
        figures.into_iter().flatten().collect()
    }
}
