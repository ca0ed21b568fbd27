//! How many instructions the pure hot paths take per job, counted by valgrind's callgrind and compared with stored
//! counts.
//!
//! Times on a machine that others also use differ by a tenth from run to run; counts do not, so a regression of a few
//! percent shows. They say nothing about caches and system calls: those are for `cargo bench` and loadgen.
//!
//! ```text
//! main ──► cases        the hot paths, each run for a given number of rounds
//!   │        ▲ itself, as the child of valgrind: `instructions run CASE ROUNDS`
//!   ├──► counter        two runs of a case, and from their difference the instructions per round
//!   └──► stored         counts.json, the tolerance, the verdicts
//! ```

mod cases;
mod counter;
mod error;
mod stored;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cases::{CASES, Case};
use crate::error::Error;
use crate::stored::{Counts, Kind, Stored};

/// Counts the instructions of jiggler-uring's hot paths.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// Count, and fail when a case takes more than what is stored in benches/instructions/counts.json
    Check,
    /// Count, and store the counts
    Accept,
    /// Run one case: this is what gets counted
    #[command(hide = true)]
    Run {
        /// Its name.
        case: String,
        /// How many rounds.
        rounds: u64,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().order) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(order: &Order) -> Result<(), Error> {
    match order {
        Order::Run { case, rounds } => run_case(case, *rounds),
        Order::Check => check(),
        Order::Accept => accept(),
    }
}

fn run_case(name: &str, rounds: u64) -> Result<(), Error> {
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| Error::UnknownCase(name.to_owned()))?;
    (case.run)(rounds);
    Ok(())
}

fn check() -> Result<(), Error> {
    let stored = Stored::read()?;
    let measured = count()?;
    let report = stored.compare(&Kind::of_this_machine(), &measured);
    eprint!("{}", report.text);
    if report.regressions.is_empty() {
        Ok(())
    } else {
        Err(Error::Regressions(report.regressions.join("\n")))
    }
}

fn accept() -> Result<(), Error> {
    let mut stored = Stored::read()?;
    let measured = count()?;
    let kind = Kind::of_this_machine();
    let report = stored.compare(&kind, &measured);
    eprint!("{}", report.text);
    report.regressions.iter().for_each(|line| eprintln!("{line}: accepted"));
    stored.replace(&kind, measured);
    stored.write()
}

fn count() -> Result<Counts, Error> {
    let counter = counter::Counter::find()?;
    let of = |case: &Case| Ok((case.name.to_owned(), counter.count(case)?));
    Ok(Counts {
        compiler: env!("COUNTED_COMPILER").to_owned(),
        valgrind: counter.version().to_owned(),
        instructions: CASES.iter().map(of).collect::<Result<_, Error>>()?,
    })
}
