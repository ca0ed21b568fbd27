//! `cron`: the table of periodic jobs.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand, builder::ValueParser, error::ErrorKind};

use super::enqueue::{json_array, retries};
use super::value::{job_name, moment, span, usage};
use crate::acts::periodic::Edit;
use crate::admin::Format;
use crate::admin::cron::CronAction;
use crate::client::NewJob;
use crate::config::GivenUrl;
use crate::cron::{CatchUp, CronEntry, CronError, Overlap};
use crate::wire::{DEFAULT_QUEUE, QueueName};

/// Name of the subcommand.
pub(in crate::cli) const CRON: &str = "cron";

/// What follows its options in the help.
pub(in crate::cli) const HELP: &str = "\
A periodic job is stored in Redis and pushed once at each tick by one of the workers, whichever leads. A worker may declare \
some itself, in code or in its configuration file; those go with the last worker that declares them, what was added here \
stays until it is removed.

Examples:
  jiggler-uring cron add nightly '0 3 * * *' Report '[\"daily\"]' --zone Europe/Berlin
  jiggler-uring cron add sweep '@every 90s' Sweep --catch-up none --jitter 10s
  jiggler-uring cron list --json | jq '.entries[].name'
  jiggler-uring cron pause nightly

Exit status: 0 done, 1 no such entry, the name is taken, or Redis refused or is away, 2 wrong usage or configuration";

const ADD_HELP: &str = "\
SCHEDULE has five fields, minute hour day month weekday, or six with the second first: *, numbers, ranges 1-5, steps */2, \
lists, names such as MON and JAN, L for the last day of a month, FRI#2 for its second Friday, 5L for its last. Or it is \
@yearly, @monthly, @weekly, @daily, @hourly, @minutely, or @every with a span.

A time that the clock skips in spring runs once after the gap; one that comes twice in autumn runs once. A schedule for \
every hour (*) runs in each hour that passes.";

/// A look at the table, or a change of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CronOrder {
    /// What to do.
    pub(crate) action: CronAction,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Show and change the periodic jobs
#[derive(Debug, Args)]
struct CronArgs {
    #[command(subcommand)]
    action: CronWord,
}

#[derive(Debug, Subcommand)]
enum CronWord {
    /// Add a periodic job
    #[command(after_help = ADD_HELP)]
    Add(AddArgs),
    /// Show all of them: schedule, next ticks, last push
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove one; one that workers declare comes back when the next of them starts (`cron pause` lasts)
    Remove(NameArgs),
    /// Let the ticks of one pass without a push
    Pause(NameArgs),
    /// Let a paused one push again, from its next tick on
    Resume(NameArgs),
    /// Push the job of one now, whatever its schedule says
    Run(NameArgs),
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, Args)]
struct AddArgs {
    /// What it is called
    #[arg(value_name = "NAME")]
    name: String,
    /// When it runs: '0 3 * * *', '*/10 * * * * *', @daily, '@every 90s'
    #[arg(value_name = "SCHEDULE")]
    schedule: String,
    /// Name of the job
    #[arg(value_name = "JOB", value_parser = job_name)]
    job: String,
    /// Positional arguments as a JSON array
    #[arg(value_name = "ARGS_JSON", default_value = "[]", value_parser = json_array)]
    args: String,
    /// Time zone of the schedule
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// Queue to push into
    #[arg(short = 'q', long, value_name = "QUEUE", default_value = DEFAULT_QUEUE)]
    queue: QueueName,
    /// Retries after the first failure; without this the worker's own number applies (--default-retries)
    #[arg(long, value_name = "N", value_parser = retries())]
    retries: Option<u32>,
    /// Which ticks run late after an outage: none, last, or all:N, the last N of them
    #[arg(long, value_name = "WHICH", default_value = "last", value_parser = catch_up())]
    catch_up: CatchUp,
    /// What becomes of a tick while the last run waits, runs or is to be retried: allow, or skip
    #[arg(long, value_name = "WHAT", default_value = "allow", value_parser = overlap())]
    overlap: Overlap,
    /// Push each tick later by up to this much, such as 30s
    #[arg(long, value_name = "SPAN", value_parser = span)]
    jitter: Option<Duration>,
    /// No tick before this time: Unix seconds, or a date and time with its zone such as 2026-12-24T18:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    from: Option<f64>,
    /// No tick after this time
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    until: Option<f64>,
    /// Append the time of the tick to the arguments
    #[arg(long)]
    tick_argument: bool,
    /// Take the place of one with the same name
    #[arg(long)]
    replace: bool,
}

/// The subcommand, with its own subcommands.
pub(in crate::cli) fn command() -> Command {
    CronArgs::augment_args(Command::new(CRON)).after_help(HELP)
}

impl CronOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let action = match CronArgs::from_arg_matches(matches)?.action {
            CronWord::List { json } => CronAction::List(if json { Format::Json } else { Format::Text }),
            CronWord::Remove(NameArgs { name }) => CronAction::Edit(name, Edit::Remove),
            CronWord::Pause(NameArgs { name }) => CronAction::Edit(name, Edit::Pause),
            CronWord::Resume(NameArgs { name }) => CronAction::Edit(name, Edit::Resume),
            CronWord::Run(NameArgs { name }) => CronAction::Edit(name, Edit::Run),
            CronWord::Add(args) => {
                let replaces = args.replace;
                let entry = args.entry().map_err(|error| {
                    usage(ErrorKind::InvalidValue, &format!("cannot add this periodic job: {error}"))
                })?;
                let name = entry.name().to_owned();
                CronAction::Edit(name, Edit::Add { entry: Box::new(entry), replaces })
            }
        };
        Ok(Self { action, redis_url })
    }
}

impl AddArgs {
    fn entry(self) -> Result<CronEntry, CronError> {
        let mut job = NewJob::with_raw_args(&self.job, &self.args)?.in_queue(self.queue);
        if let Some(retries) = self.retries {
            job = job.retries(retries)?;
        }
        let entry = CronEntry::new(&self.name, &self.schedule, &self.zone, job)?
            .catch_up(self.catch_up)?
            .overlap(self.overlap)
            .jitter(self.jitter.unwrap_or_default())?
            .between(self.from, self.until)?;
        Ok(if self.tick_argument { entry.tick_argument() } else { entry })
    }
}

fn catch_up() -> ValueParser {
    ValueParser::new(|text: &str| text.parse::<CatchUp>().map_err(|error| error.to_string()))
}

fn overlap() -> ValueParser {
    ValueParser::new(|text: &str| text.parse::<Overlap>().map_err(|error| error.to_string()))
}
