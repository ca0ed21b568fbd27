//! `run`: one job, here and now, without Redis.

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::enqueue::json_array;
use super::value::{jid, job_name, whole};
use crate::{
    cli::command,
    config::{Config, options::OptionId},
    limits::RETRIES_MAX,
    wire::QueueName,
};

/// Name of the subcommand that runs one job.
pub(in crate::cli) const RUN: &str = "run";

const HELP: &str = "\
The job runs in this process as it would in a worker: with its own handler, or with the runner of its name (-r, or \
`runners:` of the configuration file), its timeout and its retries. Redis is not asked, and need not be there: what the job \
pushes is shown, not pushed, and what would become of a failed job is said, not done. Only what its code does by itself is \
real; a client of another language that a job of a runner has of its own is such code.

With --json one JSON object is printed: name, jid, queue, attempt, retries, seconds, outcome (done, retry, dead, snoozed, \
discarded), after (seconds, or null), error (class, message, backtrace; or null), progress, pushed (a list of name, jid, \
queue, due_at, payload).

Examples:
  jiggler-uring run Fib '[20]'
  jiggler-uring run Resize '[42, \"png\"]' -r jobs.rb
  jiggler-uring run Charge '[7]' -C config/jiggler.yml --attempt 2 --json

Exit status: 0 it ran to its end (done, snoozed or discarded), 1 it failed, or its runner does not start, 2 wrong usage \
or configuration, or nobody here runs a job of this name";

/// The worker's flags that it takes.
const FLAGS: &[OptionId] =
    &[OptionId::Require, OptionId::ConfigFile, OptionId::Environment, OptionId::Verbose, OptionId::LogFormat];

/// A job to run at once.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOrder {
    /// Its name.
    pub name: String,
    /// Its arguments: the text of a JSON array, as the user wrote it except for surrounding blanks.
    pub args: String,
    /// The queue that it is told it was taken from; `None`: that of its type, or else `default`.
    pub queue: Option<QueueName>,
    /// Which retry this run is: 0 for the first run.
    pub attempt: u32,
    /// Its id; `None`: a new one.
    pub jid: Option<String>,
    /// One JSON object instead of text.
    pub json: bool,
    /// Which runners there are, and how much is logged.
    pub config: Box<Config>,
}

/// Run one job here and now, without Redis, and show what it did
#[derive(Debug, Args)]
struct RunArgs {
    /// Name of the job: the stock binary has Noop, Sleep, Fib and Fail
    #[arg(value_name = "NAME", value_parser = job_name)]
    name: String,
    /// Positional arguments as a JSON array
    #[arg(value_name = "ARGS_JSON", default_value = "[]", value_parser = json_array)]
    args: String,
    /// Queue that the job is told it was taken from [default: that of its type, or `default`]
    #[arg(short = 'q', long, value_name = "QUEUE")]
    queue: Option<QueueName>,
    /// Run it as its retry number N: 0 is the first run
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u32>(0..=u64::from(RETRIES_MAX)))]
    attempt: u32,
    /// Id of the job, instead of a new one
    #[arg(long, value_name = "JID", value_parser = jid)]
    jid: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The subcommand with all its flags.
pub(in crate::cli) fn command() -> Command {
    command::with_flags(RunArgs::augment_args(Command::new(RUN)).after_help(HELP), FLAGS)
}

impl RunOrder {
    pub(super) fn from_matches(matches: &ArgMatches, config: Config) -> Result<Self, clap::Error> {
        let RunArgs { name, args, queue, attempt, jid, json } = RunArgs::from_arg_matches(matches)?;
        Ok(Self { name, args, queue, attempt, jid, json, config: Box::new(config) })
    }
}
