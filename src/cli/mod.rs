//! The command line: what the user asked for, as one [`Invocation`], and the exit code that results.
//!
//! It is part of the library so that a program with its own handlers has all of it. It runs nothing itself: [`run`] passes
//! the invocation to the caller's function. Worker flags come from the table in `config::options`; the subcommands are in
//! [`orders`]; exit codes are decided in [`exit`] and nowhere else.

mod advice;
mod command;
pub mod exit;
pub mod orders;
mod output;
pub mod pages;
pub mod process_orders;
mod program;
mod words;

use std::ffi::OsString;

use clap::ArgMatches;

pub(crate) use command::VERSION;
pub use exit::{Failure, run};
pub use orders::{
    ActOrder, BulkOrder, CancelOrder, CronOrder, EnqueueOrder, HistoryOrder, JobsOrder, PauseOrder,
    ProgressOrder, PruneOrder, QueuesOrder, RunOrder, ShowOrder, SummaryOrder, WhyOrder,
};
pub use program::Program;

use crate::config::{self, Config, Variables};

/// What the user asked for; every value in it is checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Invocation {
    /// Run jobs until a signal (no subcommand).
    Work(Box<Config>),
    /// Push jobs and exit.
    Enqueue(EnqueueOrder),
    /// Push the jobs of a file and exit.
    EnqueueBulk(BulkOrder),
    /// Show queues, sets and processes and exit.
    Summary(SummaryOrder),
    /// End a running job and exit.
    Cancel(CancelOrder),
    /// Show queues and exit.
    Queues(QueuesOrder),
    /// Show the past and exit.
    History(HistoryOrder),
    /// Show jobs and exit.
    Jobs(JobsOrder),
    /// Show one job and exit.
    Show(ShowOrder),
    /// Tell what a job waits for and exit.
    Why(WhyOrder),
    /// Show what a job has reported and exit.
    Progress(ProgressOrder),
    /// Retry, kill or delete jobs and exit.
    Act(ActOrder),
    /// Delete whole queues, sets or counters and exit.
    Prune(PruneOrder),
    /// Pause or resume a queue or a class of jobs, or show what is paused, and exit.
    Pause(PauseOrder),
    /// Show or change the periodic jobs and exit.
    Cron(CronOrder),
    /// Run one job here and now and exit.
    Run(RunOrder),
    /// Show or steer processes, or report on the program itself, and exit.
    Process(process_orders::ProcessOrder),
}

/// Why there is no invocation: a mistake of the user, or not an error at all (`--help`).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Help or version was asked for, or the arguments do not fit; the text is ready for the terminal.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// A value from a flag, a variable or the file was rejected.
    #[error(transparent)]
    Config(#[from] config::Error),
}

/// Reads a whole command line; the first of `args` is the program's path.
///
/// # Errors
/// [`Error`]; also for `--help` and `--version`, whose text it carries.
pub fn parse<A>(args: A, variables: Variables<'_>) -> Result<Invocation, Error>
where
    A: IntoIterator<Item = OsString>,
{
    parse_with_notes(args, variables).map(|(invocation, _)| invocation)
}

/// Like [`parse`], but also returns a command's notes about secrets that others can see. A worker has them in its
/// configuration.
fn parse_with_notes<A>(args: A, variables: Variables<'_>) -> Result<(Invocation, Vec<String>), Error>
where
    A: IntoIterator<Item = OsString>,
{
    let args: Vec<OsString> = args.into_iter().collect();
    let matches =
        command::command().try_get_matches_from(&args).map_err(|error| advice::advised(error, &args))?;
    command::check_flags(&matches)?;
    let before = match matches.subcommand() {
        // A command of commands may have flags before the second name.
        Some((_, own)) if own.subcommand().is_some() => command::flags(own)?.over(command::flags(&matches)?),
        Some(_) => command::flags(&matches)?,
        None => config::Raw::default(),
    };
    let mut notes = Vec::new();
    // Other orders have nothing to do with what is wrong in the list of periodic jobs; `doctor` says what a worker would
    // meet.
    let needs_cron = matches!(matches.subcommand_name(), None | Some("cron" | "doctor"));
    let load = if needs_cron { Config::load } else { Config::load_for_order };
    let mut load = |own: &ArgMatches| -> Result<Config, Error> {
        let own = own.subcommand().map_or(own, |(_, own)| own);
        let config = load(command::flags(own)?.over(before.clone()), variables)?;
        notes.clone_from(&config.redis_notes);
        Ok(config)
    };
    if let Some(invocation) = process_orders::parse(&matches, &mut load)? {
        return Ok((invocation, notes));
    }
    let invocation = match matches.subcommand() {
        None => return Ok((Invocation::Work(Box::new(load(&matches)?)), Vec::new())),
        Some((name, matches)) => orders::invocation(name, matches, load(matches)?)?,
    };
    Ok((invocation, notes))
}

/// Rereads the configuration of a worker from its own command line, environment and file.
pub(crate) fn worker_config() -> Result<Config, Error> {
    let matches = command::command().try_get_matches_from(std::env::args_os())?;
    Ok(Config::load(command::flags(&matches)?, &|name| std::env::var_os(name))?)
}

#[cfg(test)]
mod tests;
