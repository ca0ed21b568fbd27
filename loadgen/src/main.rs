//! Load generator of jiggler-uring: measures the real binary against a private Redis and prints the published tables.
//!
//! ```text
//! main ── cli ──► scenarios::{noop, limit, idle} ──► report (tables, JSON)
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
// … through the processes and their places …
mod child;
mod placement;
mod redis_server;
mod worker;
// … and what is said to Redis …
mod commands;
mod drive;
mod keys;
mod null_client;
mod redis;
// … to numbers and how they are shown.
mod machine;
mod measure;
mod published;
mod report;
mod spread;
// Used by all.
mod error;
mod interrupt;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Scenario};
use crate::error::Error;
use crate::scenarios::{Session, idle, limit, noop};

/// What shells report for a program ended by Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
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

fn run(cli: &Cli) -> Result<(), Error> {
    let session = Session::begin()?;
    if cfg!(debug_assertions) {
        eprintln!("loadgen: built without full optimisation; for figures use cargo run --release -p loadgen");
    }
    match &cli.scenario {
        Scenario::Noop(options) => noop::run(options, &session),
        Scenario::Limit(options) => limit::run(options, &session),
        Scenario::Idle(options) => idle::run(options, &session),
    }
}
