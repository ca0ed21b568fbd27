//! The command line: what the scenarios have in common, with bounds and defaults. Decides nothing about how things are
//! done.
//!
//! A scenario's own options are next to the scenario.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiggler_uring::internal::limits::QUEUES_MAX;
use serde::Serialize;

use crate::scenarios::Scenario;
use crate::tour::TourOptions;

/// Most jobs of one run: 100 million of them take about 12 GB in Redis.
const JOBS_MAX: u64 = 100_000_000;

/// Most jobs in flight that make sense in one process.
const CONCURRENCY_MAX: u64 = 100_000;

/// Most repetitions of one row.
const RUNS_MAX: u64 = 1_000;

/// Most rounds of a row: with 10,000 jobs that wait for 0.2 s they take minutes.
const ROUNDS_MAX: u64 = 1_000;

/// Longest measurement: one day.
const SECONDS_MAX: u64 = 86_400;

/// Longest delay of a line: halfway round the earth and back takes less.
const DELAY_MAX: Duration = Duration::from_secs(1);

/// Load generator of jiggler-uring: measures the real release binary against a private Redis.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do; without a subcommand, a short tour of all tables.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// What to do.
#[expect(clippy::large_enum_variant, reason = "there is one, for as long as the program runs")]
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure one thing.
    #[command(flatten)]
    Measure(Scenario),
    /// All tables, one after the other; without a subcommand, a short form of this runs
    Tour(TourOptions),
    /// Answer HTTP requests after a delay: the server of the scenario http
    #[command(hide = true)]
    DelayServer {
        /// When it answers.
        #[arg(long, default_value = "200")]
        milliseconds: u64,
    },
    /// Run a worker with the jobs that some scenarios need; takes the flags of jiggler-uring
    #[command(disable_help_flag = true)]
    Worker {
        /// Flags of jiggler-uring.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAG")]
        arguments: Vec<OsString>,
    },
}

/// The worker under measurement.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct WorkerOptions {
    /// Shards of the worker
    #[arg(long, default_value = "1", value_name = "N", value_parser = cores)]
    pub(crate) cores: u64,
    /// Delivery mode of the worker
    #[arg(long, value_enum, default_value = "at-least-once")]
    pub(crate) mode: Mode,
    /// Program to measure [default: target/release/jiggler-uring, which cargo rebuilds when it is out of date]
    #[arg(long, value_name = "PATH")]
    pub(crate) binary: Option<PathBuf>,
}

/// The private Redis.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct RedisOptions {
    /// How worker and loadgen reach Redis
    #[arg(long, value_enum, default_value = "tcp")]
    pub(crate) transport: Transport,
    /// Redis keeps an append-only file, synced every second
    #[arg(long)]
    pub(crate) appendonly: bool,
    /// CPU reserved for Redis [default: the first allowed one, if that leaves enough for the worker]
    #[arg(long, value_name = "CPU")]
    pub(crate) redis_cpu: Option<usize>,
    /// Redis or Valkey server program [default: redis-server or valkey-server from PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) redis_server: Option<PathBuf>,
}

/// How far away the private Redis is.
#[derive(Debug, Clone, Copy, Default, Args, Serialize)]
pub(crate) struct DistanceOptions {
    /// Delay bytes between the worker and Redis by this much each way, as `1ms` or `200us`: a network between the two
    #[arg(long, value_name = "TIME", value_parser = delay)]
    pub(crate) delay: Option<Duration>,
}

/// Where the results go.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OutputOptions {
    /// Also write the raw numbers to FILE as JSON; `-` prints JSON instead of the table
    #[arg(long, global = true, value_name = "FILE|-", help_heading = "Output")]
    pub(crate) json: Option<PathBuf>,
    /// Also write the raw numbers to FILE as CSV: one line for each value of each run
    #[arg(long, global = true, value_name = "FILE", help_heading = "Output")]
    pub(crate) csv: Option<PathBuf>,
    /// Also write a report to the folder DIR: one HTML page, its plots as SVG, tables, JSON and CSV
    #[arg(long, global = true, value_name = "DIR", help_heading = "Output")]
    pub(crate) report: Option<PathBuf>,
    /// Compare with earlier results: print the ratio of each figure that is also in FILE, written by --json
    #[arg(long, global = true, value_name = "FILE", help_heading = "Output")]
    pub(crate) compare: Option<PathBuf>,
}

/// A way to reach Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// Loopback TCP.
    Tcp,
    /// A unix socket.
    Unix,
}

/// The worker's `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// The worker's default.
    AtLeastOnce,
    /// Nothing is kept in flight.
    AtMostOnce,
}

impl Mode {
    /// As the worker's flag spells it.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }
}

/// A number of jobs.
pub(crate) fn jobs(text: &str) -> Result<u64, String> {
    bounded(text, JOBS_MAX)
}

/// A number of queues.
pub(crate) fn queues(text: &str) -> Result<u64, String> {
    bounded(text, QUEUES_MAX as u64)
}

/// A number of jobs in flight.
pub(crate) fn concurrency(text: &str) -> Result<u64, String> {
    bounded(text, CONCURRENCY_MAX)
}

/// A number of repetitions.
pub(crate) fn runs(text: &str) -> Result<u64, String> {
    bounded(text, RUNS_MAX)
}

/// A number of rounds, each with as many jobs as are in flight.
pub(crate) fn rounds(text: &str) -> Result<u64, String> {
    bounded(text, ROUNDS_MAX)
}

/// A time in whole seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    bounded(text, SECONDS_MAX)
}

/// A delay of a line: a whole number of `ms` or `us`.
fn delay(text: &str) -> Result<Duration, String> {
    let max_us = u64::try_from(DELAY_MAX.as_micros()).unwrap_or(u64::MAX);
    let (number, unit_us) = match (text.strip_suffix("ms"), text.strip_suffix("us")) {
        (Some(number), _) => (number, 1_000),
        (_, Some(number)) => (number, 1),
        _ => return Err("expected a time such as 1ms or 200us".to_owned()),
    };
    bounded(number, max_us / unit_us).map(|number| Duration::from_micros(number * unit_us))
}

/// A number of cores.
pub(crate) fn cores(text: &str) -> Result<u64, String> {
    bounded(text, 1024)
}

/// A whole number from 1 to `max`; underscores may group its digits.
pub(crate) fn bounded(text: &str, max: u64) -> Result<u64, String> {
    match text.replace('_', "").parse::<u64>() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from 1 to {max}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_option_table_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_may_be_grouped_and_are_bounded_on_both_sides() {
        assert_eq!(jobs("1_000_000"), Ok(1_000_000));
        assert_eq!(jobs("100000000"), Ok(JOBS_MAX));
        assert_eq!(delay("1ms"), Ok(Duration::from_millis(1)));
        assert_eq!(delay("200us"), Ok(Duration::from_micros(200)));
        assert!(delay("1").unwrap_err().contains("1ms"));
        assert!(delay("1001ms").unwrap_err().contains("from 1 to 1000"));
        for wrong in ["0", "100000001", "", "-1", "1.5", "many"] {
            assert!(jobs(wrong).unwrap_err().contains("from 1 to 100000000"), "{wrong}");
        }
    }
}
