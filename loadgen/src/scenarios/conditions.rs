//! `loadgen conditions`: the same jobs under what readers of a benchmark ask about, one row each: one job at a time, a disk
//! behind Redis, a network before it, many queues, jobs that fail, another shard.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Session;
use super::drain::{self, Bench, Expected, Load, Row};
use super::repeat::RepeatOptions;
use super::scene::{self, Scene};
use crate::cli::{self, DistanceOptions, Mode, RedisOptions};
use crate::drive::Work;
use crate::error::Error;
use crate::published;
use crate::report::{Outcome, Table};
use crate::worker::Program;

/// The end of a run is seen to one twentieth, as for `noop`.
const LOOKS: u32 = 20;

/// Jobs in flight where a row does not say.
const CONCURRENCY: u64 = 10;

/// A network between worker and Redis, each way.
const DISTANCE: Duration = Duration::from_millis(1);

/// Jobs that are pushed one by one, at most: each takes a few round trips.
const SINGLE_JOBS_MAX: u64 = 20_000;

const SINGLY_MEANS: &str = "one by one: a job is pushed when the one before is acked, which the pusher finds out by asking \
     without a pause, on the worker's CPU; jobs/s is the rate of whole rounds";

const MEANS: &str = "each row differs from the first in what it names; failing: each job fails without a retry and goes to \
     the dead set, which keeps 10,000; AOF: an append-only file, synced every second; queues: the jobs are spread evenly, \
     and all have one priority";

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Condition {
    /// One shard, one queue, ten jobs in flight, no disk, no network
    Plain,
    /// One job in flight
    One,
    /// One job in flight, pushed when the one before is acked
    Singly,
    /// An append-only file, synced every second
    Aof,
    /// Redis one millisecond away
    Away,
    /// Ten queues
    Queues10,
    /// Sixty queues
    Queues60,
    /// A thousand queues
    Queues1000,
    /// Jobs that fail
    Failing,
    /// Two shards
    Shards2,
}

impl Condition {
    /// What its rows add to the worker's name.
    fn name(self) -> &'static str {
        match self {
            Self::Plain | Self::One | Self::Away | Self::Shards2 => "",
            Self::Singly => ", one by one",
            Self::Aof => ", AOF",
            Self::Queues10 => ", 10 queues",
            Self::Queues60 => ", 60 queues",
            Self::Queues1000 => ", 1,000 queues",
            Self::Failing => ", failing",
        }
    }

    fn cores(self) -> u64 {
        if self == Self::Shards2 { 2 } else { 1 }
    }

    fn concurrency(self) -> u64 {
        if matches!(self, Self::One | Self::Singly) { 1 } else { CONCURRENCY }
    }

    fn queues(self) -> u64 {
        match self {
            Self::Queues10 => 10,
            Self::Queues60 => 60,
            Self::Queues1000 => 1_000,
            _ => 1,
        }
    }
}

/// Options of `conditions`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Which rows
    #[arg(long, value_enum, value_delimiter = ',')]
    #[arg(
        default_value = "plain,one,singly,aof,away,queues10,queues60,queues1000,failing,shards2",
        value_name = "ROW,ROW"
    )]
    rows: Vec<Condition>,
    /// Jobs per run; one by one at most 20,000
    #[arg(short, long, default_value = "500_000", value_name = "N", value_parser = cli::jobs)]
    jobs: u64,
    #[command(flatten)]
    #[serde(flatten)]
    repeat: RepeatOptions,
    /// Program to measure [default: target/release/jiggler-uring, which cargo rebuilds when it is out of date]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Default, Serialize)]
struct Results {
    rows: Vec<Row>,
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let program = Program::stock(options.binary.as_deref())?;
    let (mut results, mut described) = (Results::default(), None);
    for condition in &options.rows {
        // A server of its own, since its settings and its placement depend on the row.
        let appendonly = options.redis.appendonly || *condition == Condition::Aof;
        let redis = RedisOptions { appendonly, ..options.redis.clone() };
        let distance = DistanceOptions { delay: (*condition == Condition::Away).then_some(DISTANCE) };
        let scene = Scene::set(program.clone(), condition.cores(), &redis, session)?.at(distance)?;
        results.rows.extend(measure(&scene, *condition, options, session)?);
        described = described.or(Some(scene.end()?));
    }
    let Some(machine) = described else { return Err(Error::WrongOutcome("no row".to_owned())) };
    let mut outcome =
        Outcome::new("conditions", "The same jobs, other conditions", machine, options, &results)?
            .defined_by(&drain::DEFINITIONS)
            .defined_by(&[MEANS, SINGLY_MEANS, scene::AWAY]);
    outcome.tables.push(drain::table(&results.rows, &[], None));
    outcome.tables.push(others());
    outcome.remark = options.repeat.remark();
    outcome.sources.push(published::CHASQUIMQ_SOURCE.to_owned());
    outcome.figures.extend(results.rows.iter().flat_map(|row| row.figures("")));
    Ok(outcome)
}

fn measure(
    scene: &Scene,
    condition: Condition,
    options: &Options,
    session: &Session,
) -> Result<Option<Row>, Error> {
    let (work, outcome) = match condition {
        Condition::Failing => (Work::failing(), Expected::Death),
        _ => (Work::noop(), Expected::Success),
    };
    let singly = condition == Condition::Singly;
    let load = Load {
        work: &work,
        jobs: if singly { options.jobs.min(SINGLE_JOBS_MAX) } else { options.jobs },
        concurrency: condition.concurrency(),
        variant: condition.name(),
        looks: LOOKS,
        variables: &[],
    };
    let bench = Bench::new(scene, Mode::AtLeastOnce, session)?;
    let mut bench = bench.with_queues(condition.queues()).expecting(outcome);
    if !singly {
        return drain::measure(&mut bench, load, options.repeat.runs);
    }
    let mut done = Vec::new();
    for number in 1..=options.repeat.runs {
        done.push(bench.run_singly(load, &format!("run {number} of {}", options.repeat.runs))?);
    }
    Ok(Row::of(bench.processor(), load, done))
}

/// What another engine has published, to stand beside ours.
fn others() -> Table {
    let cells = published::CHASQUIMQ.iter().map(|(what, rate)| {
        vec!["ChasquiMQ (published)".to_owned(), (*what).to_owned(), crate::report::format::grouped(*rate)]
    });
    Table::new(&["Engine", "What", "jobs/s"], cells.collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::scenarios::Scenario;

    #[test]
    fn every_condition_has_its_row_and_differs_from_the_first() {
        let parsed = Cli::parse_from(["loadgen", "conditions"]);
        let Some(Command::Measure(Scenario::Conditions(options))) = parsed.command else {
            panic!("not conditions");
        };
        assert_eq!(options.rows, Condition::value_variants());
        let setting = |row: Condition| (row.name(), row.cores(), row.concurrency(), row.queues());
        let same: Vec<_> =
            options.rows.iter().filter(|row| setting(**row) == setting(Condition::Plain)).collect();
        assert_eq!(same, [&Condition::Plain, &Condition::Away], "the second by its distance");
    }
}
