//! `loadgen` without an argument: every table, one after the other; and the same with official sizes.

use clap::{Args, Parser, ValueEnum};

use crate::cli::{Cli, Command, OutputOptions};
use crate::error::Error;
use crate::report::{self, Heading, Outcome};
use crate::scenarios::{Scenario, Session};

/// A few minutes: small sizes, one run per row.
const SHORT: &[&str] = &[
    "noop -c 5,10,50,100 -j 100_000 -r 1",
    "noop -c 10 -j 100_000 -r 1 --mode at-most-once",
    "noop -c 10,100 -j 500_000 -r 1 --cores 1,2 --no-limit",
    "noop -c 10,100 -j 200_000 -r 1 --delay 1ms",
    "conditions -j 50_000 -r 1",
    "limit -j 100_000 -r 1",
    "enqueue -j 10_000 --bulk-jobs 500_000 -r 1",
    "latency --rate 200,1_000 -s 5 -r 1",
    "latency --rate 200,1_000 -s 5 -r 1 --delay 1ms",
    "mixed -s 5 -r 1",
    "due -j 50_000 -s 5 -r 1",
    "file -c 10 -r 1",
    "http -c 50,100,1_000",
    "pg -c 50,100",
    "cpu -c 10 -r 1",
    "recovery -j 100 --second beside",
    "outage -s 3 -r 1",
    "idle -s 10",
    "soak -j 1_000_000",
];

/// The basis for claims: medians of 5, the published sizes where they take seconds; about a quarter of an hour.
const OFFICIAL: &[&str] = &[
    "noop -c 5,10,50,100 -j 100_000,1_000_000 -r 5",
    "noop -c 10,100 -j 1_000_000 -r 5 --mode at-most-once",
    "noop -c 10,100 -j 1_000_000 -r 5 --cores 1,2 --no-limit",
    "noop -c 10,100 -j 1_000_000 -r 5 --delay 1ms",
    "conditions -r 5",
    "limit -r 5",
    "limit -b 100,500 -r 5 --delay 1ms",
    "enqueue -r 5",
    "latency --rate 200,1_000,10_000 -s 10 -r 5",
    "latency --rate 200,1_000 -s 10 -r 5 --delay 1ms",
    "mixed -s 5 -r 5",
    "due -r 5",
    "file -c 5,10,15,50,100 -r 5",
    "http -c 10,50,100,1_000,10_000 -r 1",
    "pg -c 10,50,100 -r 1",
    "cpu -r 5",
    "recovery -j 100 -r 1",
    "outage -s 10 -r 5",
    "idle -s 60 --cores 2",
    "soak -j 10_000_000",
];

/// Options of `tour`.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct TourOptions {
    /// How much of each table to run
    #[arg(long, value_enum, default_value = "short")]
    pub(crate) length: Length,
    /// Also run other engines with the no-op jobs, those whose runtime is installed
    #[arg(long)]
    pub(crate) peers: bool,
}

/// How much of each table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Length {
    /// Small sizes, one run per row: a few minutes
    #[default]
    Short,
    /// Full sizes, medians of 5: about a quarter of an hour
    Official,
}

impl Length {
    fn plan(self) -> &'static [&'static str] {
        match self {
            Self::Short => SHORT,
            Self::Official => OFFICIAL,
        }
    }
}

/// All outcomes of a tour, each shown as soon as it is ready. A scenario that fails is named and left out.
///
/// # Errors
/// An interrupt; or a failed scenario, after all others have run.
pub(crate) fn run(options: TourOptions, session: &Session, output: &OutputOptions) -> Result<(), Error> {
    let (mut outcomes, mut failed) = (Vec::<Outcome>::new(), Vec::new());
    let plan = options.length.plan();
    for (index, line) in plan.iter().enumerate() {
        // The first line of both plans is the no-op table.
        let line = &if options.peers && index == 0 { format!("{line} --peers") } else { (*line).to_owned() };
        eprintln!("loadgen: {} of {}: {line}", index + 1, plan.len());
        let result = scenario(line)?.run(session);
        session.progress.clear();
        match result {
            Ok(outcome) => {
                report::show(&outcome, Heading::Title, output)?;
                outcomes.push(outcome);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                eprintln!("loadgen: {line}: {error}");
                failed.push(line.clone());
            }
        }
    }
    report::write(&outcomes, output)?;
    if failed.is_empty() { Ok(()) } else { Err(Error::LeftOut(failed.join("; "))) }
}

fn scenario(line: &str) -> Result<Scenario, Error> {
    let arguments = ["loadgen"].into_iter().chain(line.split(' '));
    match Cli::try_parse_from(arguments).map_err(|error| Error::WrongOutcome(error.to_string()))?.command {
        Some(Command::Measure(scenario)) => Ok(scenario),
        _ => Err(Error::WrongOutcome(format!("{line} measures nothing"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_both_plans_is_a_scenario() {
        for plan in [SHORT, OFFICIAL] {
            assert!(scenario(&format!("{} --peers", plan[0])).is_ok());
        }
        for line in SHORT.iter().chain(OFFICIAL) {
            assert!(scenario(line).is_ok(), "{line}: {:?}", scenario(line).err());
        }
        assert!(scenario("worker --help").is_err());
    }
}
