//! The command line: what can be chosen, its bounds and its defaults. Decides nothing about how it is done.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

/// Most jobs of one run: 100 million of them take about 12 GB in Redis.
const JOBS_MAX: u64 = 100_000_000;

/// Most jobs in flight that make sense for one process.
const CONCURRENCY_MAX: u64 = 100_000;

/// Most repetitions of one row.
const RUNS_MAX: u64 = 1_000;

/// Most jobs in one call: Lua hands about 8,000 arguments to a command at most.
const BATCH_JOBS_MAX: u64 = 5_000;

/// Longest idle measurement: one day.
const IDLE_SECONDS_MAX: u64 = 86_400;

/// Load generator of jiggler-uring: measures the real release binary against a private Redis.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// The scenarios.
#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Drain no-op jobs with the real worker: the published table, and the rate beside Redis's limit
    Noop(NoopOptions),
    /// What this Redis serves to a client that sends the engine's commands and does nothing else
    Limit(LimitOptions),
    /// What a worker without jobs costs: CPU, memory, Redis commands
    Idle(IdleOptions),
}

/// Options of `noop`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct NoopOptions {
    /// Jobs in flight per worker process, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "5,10,50,100", value_name = "N,N", value_parser = concurrency)]
    pub(crate) concurrency: Vec<u64>,
    /// Jobs per run, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "100_000,1_000_000", value_name = "N,N", value_parser = jobs)]
    pub(crate) jobs: Vec<u64>,
    /// Runs per row: the table shows medians
    #[arg(short, long, default_value = "3", value_name = "N", value_parser = runs)]
    pub(crate) runs: u64,
    /// Leave out the null client, and with it the ratio
    #[arg(long)]
    pub(crate) no_limit: bool,
    #[command(flatten)]
    pub(crate) worker: WorkerOptions,
    #[command(flatten)]
    pub(crate) redis: RedisOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Options of `limit`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct LimitOptions {
    /// Jobs per call, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "1,10,100,500", value_name = "N,N", value_parser = batch)]
    pub(crate) batch: Vec<u64>,
    /// Jobs per run
    #[arg(short, long, default_value = "500_000", value_name = "N", value_parser = jobs)]
    pub(crate) jobs: u64,
    /// Runs per row: the table shows medians
    #[arg(short, long, default_value = "3", value_name = "N", value_parser = runs)]
    pub(crate) runs: u64,
    #[command(flatten)]
    pub(crate) redis: RedisOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// Options of `idle`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct IdleOptions {
    /// How long to watch, in seconds
    #[arg(short, long, default_value = "60", value_name = "N", value_parser = seconds)]
    pub(crate) seconds: u64,
    /// Jobs in flight the worker would allow, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "10", value_name = "N,N", value_parser = concurrency)]
    pub(crate) concurrency: Vec<u64>,
    /// Shards of the worker
    #[arg(long, default_value = "2", value_name = "N", value_parser = cores)]
    pub(crate) cores: u64,
    /// Delivery mode of the worker
    #[arg(long, value_enum, default_value = "at-least-once")]
    pub(crate) mode: Mode,
    /// Program to measure [default: target/release/jiggler-uring, built by cargo when it is out of date]
    #[arg(long, value_name = "PATH")]
    pub(crate) binary: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) redis: RedisOptions,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
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
    /// Program to measure [default: target/release/jiggler-uring, built by cargo when it is out of date]
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
    /// CPU for Redis alone [default: the first allowed one, if enough are left for the worker]
    #[arg(long, value_name = "CPU")]
    pub(crate) redis_cpu: Option<usize>,
    /// Redis or Valkey server program [default: redis-server or valkey-server from PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) redis_server: Option<PathBuf>,
}

/// Where results go.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct OutputOptions {
    /// Also write the raw numbers as JSON to FILE; `-` prints JSON instead of the table
    #[arg(long, value_name = "FILE|-")]
    #[serde(skip)]
    pub(crate) json: Option<PathBuf>,
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
    /// The default of the worker.
    AtLeastOnce,
    /// Nothing is kept in flight.
    AtMostOnce,
}

impl Mode {
    /// The spelling of the worker's flag.
    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }
}

fn jobs(text: &str) -> Result<u64, String> {
    bounded(text, JOBS_MAX)
}

fn concurrency(text: &str) -> Result<u64, String> {
    bounded(text, CONCURRENCY_MAX)
}

fn runs(text: &str) -> Result<u64, String> {
    bounded(text, RUNS_MAX)
}

fn batch(text: &str) -> Result<u64, String> {
    bounded(text, BATCH_JOBS_MAX)
}

fn seconds(text: &str) -> Result<u64, String> {
    bounded(text, IDLE_SECONDS_MAX)
}

fn cores(text: &str) -> Result<u64, String> {
    bounded(text, 1024)
}

/// A whole number from 1 to `max`; underscores may group its digits.
fn bounded(text: &str, max: u64) -> Result<u64, String> {
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
        for wrong in ["0", "100000001", "", "-1", "1.5", "many"] {
            assert!(jobs(wrong).unwrap_err().contains("from 1 to 100000000"), "{wrong}");
        }
    }

    #[test]
    fn the_defaults_are_the_published_table() {
        let Scenario::Noop(options) = Cli::parse_from(["loadgen", "noop"]).scenario else {
            panic!("not noop")
        };
        assert_eq!(options.concurrency, [5, 10, 50, 100]);
        assert_eq!(options.jobs, [100_000, 1_000_000]);
        assert_eq!((options.runs, options.worker.cores), (3, 1));
    }
}
