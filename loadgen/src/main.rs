//! Load generator of jiggler-uring: measures the real binary against a private Redis and prints the published tables.
//!
//! ```text
//! main ── cli ──► scenarios::{noop, limit, …} ──► report (tables, plots, JSON)
//!                     │
//!        ┌────────────┼──────────────┬─────────────────┐
//!   redis_server    worker     drive, null_client    measure
//!   (own Redis)  (the binary)  (what goes in)        (clocks, memory, INFO)
//! ```
//!
//! It never talks to a Redis it did not start, and never signals a process it did not start.

// From the command line …
mod cli;
mod scenarios;
mod tour;
// … through the processes and their places …
mod child;
mod delay_line;
mod delay_server;
mod placement;
mod postgres_server;
mod redis_server;
mod worker;
// … its jobs and the traces they leave …
mod clock;
mod jobs;
mod latencies;
// … and what is sent to Redis …
mod commands;
mod drive;
mod keys;
mod null_client;
mod paced;
mod redis;
// … to numbers and how they are shown.
mod machine;
mod measure;
mod published;
mod report;
mod spread;
mod warm_up;
// Used by all.
mod error;
mod interrupt;
mod progress;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Command, OutputOptions};
use crate::error::Error;
use crate::report::Heading;
use crate::scenarios::{Scenario, Session};
use crate::tour::TourOptions;

/// What shells report for a program ended by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let Cli { command, output } = Cli::parse();
    let result = match command {
        Some(Command::Worker { arguments }) => return jobs::work(arguments),
        Some(Command::DelayServer { milliseconds }) => {
            delay_server::serve(Duration::from_millis(milliseconds))
        }
        Some(Command::Measure(scenario)) => measure(&scenario, &output),
        Some(Command::Tour(options)) => tour(options, &output),
        None => tour(TourOptions::default(), &output),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error}");
            match error {
                Error::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn measure(scenario: &Scenario, output: &OutputOptions) -> Result<(), Error> {
    let outcome = {
        let session = begin()?;
        let outcome = scenario.run(&session)?;
        session.progress.clear();
        outcome
    };
    report::show(&outcome, Heading::None, output)?;
    report::write(&[outcome], output)
}

fn tour(options: TourOptions, output: &OutputOptions) -> Result<(), Error> {
    tour::run(options, &begin()?, output)
}

fn begin() -> Result<Session, Error> {
    if cfg!(debug_assertions) {
        eprintln!(
            "loadgen: built without full optimisation; for real figures use cargo run --release -p loadgen"
        );
    }
    Session::begin()
}
