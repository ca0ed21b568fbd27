//! `retry`, `kill` and `delete`: what an operator does with jobs.

use clap::{ArgMatches, Args, FromArgMatches, builder::ValueParser, error::ErrorKind};

use super::value::{SetWord, jid, name_pattern, usage};
use crate::{
    acts::action::{Action, Excess},
    admin::{
        Confirmation,
        act::{Act, Target},
    },
    config::{Config, GivenUrl},
    store::{
        entries::{Place, Set},
        operate::DeadSetCaps,
    },
    view::filter::NamePattern,
    wire::{ListName, QueueName},
};

/// Name of the subcommand that moves jobs to their queues.
pub(in crate::cli) const RETRY: &str = "retry";

/// Name of the subcommand that moves jobs to the dead set.
pub(in crate::cli) const KILL: &str = "kill";

/// Name of the subcommand that deletes jobs.
pub(in crate::cli) const DELETE: &str = "delete";

/// What follows the options of `retry` in the help.
pub(in crate::cli) const RETRY_HELP: &str = "\
The job goes to the queue it came from, which its payload names, or, if that names none, to `default`; --queue sends it \
elsewhere. It runs as soon as a worker is free, and a warning tells if no living process serves that queue. Its payload is \
unchanged, so a dead job has no retries left: it runs once more, and if that fails it is dead again. --all acts in batches \
on the jobs that are there at the start; you may end it at any time, and what was done is done. A job that is running is \
not touched.

Examples:
  jiggler-uring retry 0d655a187e214821
  jiggler-uring retry 0d655a187e214821 --queue payments
  jiggler-uring retry --all dead --name 'Report::*'

Exit status: 0 done, 1 no such job, or Redis refused or is away, 2 wrong usage or configuration";

/// What follows the options of `kill` in the help.
pub(in crate::cli) const KILL_HELP: &str = "\
The job goes to the dead set, where it stays until it is retried, deleted or trimmed by a worker: the set keeps as many \
entries as the workers' max_dead_jobs says (if none is running, 10000, or what the configuration file says). Jobs it has no \
room for are not moved, unless --trim says that the oldest entries may go. A job that has not failed yet gets the error \
JigglerUring::Killed. A job that is running is not touched: `cancel` ends it.

Examples:
  jiggler-uring kill 0d655a187e214821
  jiggler-uring kill --all retries --name Broken --yes
  jiggler-uring kill --all retries --trim

Exit status: 0 done, 1 no such job, not confirmed, or Redis refused or is away, 2 wrong usage or configuration";

/// What follows the options of `delete` in the help.
pub(in crate::cli) const DELETE_HELP: &str = "\
The job is gone for good. Without --yes the command asks first, and refuses if there is no terminal to ask at. Queues are \
searched only with --queue; each is named as `queues` lists it. A job that is running is not touched: `cancel` ends it.

Examples:
  jiggler-uring delete 0d655a187e214821
  jiggler-uring delete 0d655a187e214821 --queue img --yes
  jiggler-uring delete --all dead --name Broken

Exit status: 0 done, 1 no such job, not confirmed, or Redis refused or is away, 2 wrong usage or configuration";

/// Something to do with jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct ActOrder {
    /// What, and with which jobs.
    pub act: Act,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Which jobs: the arguments that the three have in common.
#[derive(Debug, Args)]
struct WhichArgs {
    /// The job's id
    #[arg(value_name = "JID", value_parser = jid, required_unless_present = "all", conflicts_with = "all")]
    jid: Option<String>,
    /// Look for it only there
    #[arg(long, value_name = "PLACE", value_enum, conflicts_with = "all")]
    from: Option<SetWord>,
    /// All jobs of this set
    #[arg(long, value_name = "PLACE", value_enum)]
    all: Option<SetWord>,
    /// Only the jobs of that set with this name; with an asterisk at the end, names that start with it
    #[arg(long, value_name = "NAME", value_parser = names(), requires = "all", conflicts_with = "jid")]
    name: Option<NamePattern>,
}

/// Move a job of the retry, scheduled or dead set to its queue at once, or all of them
#[derive(Debug, Args)]
pub(in crate::cli) struct RetryArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The queue to run in, whatever the job names
    #[arg(short = 'q', long, value_name = "QUEUE")]
    queue: Option<QueueName>,
}

/// Move a job of the retry or scheduled set to the dead set, or all of them
#[derive(Debug, Args)]
#[command(mut_arg("from", |arg| arg.help("Look for it only there: retries or scheduled")))]
#[command(mut_arg("all", |arg| arg.help("All jobs of this set: retries or scheduled")))]
pub(in crate::cli) struct KillArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Do not ask before many jobs are moved
    #[arg(long)]
    yes: bool,
    /// Delete the oldest entries of the dead set if there are more than it keeps
    #[arg(long)]
    trim: bool,
}

/// Delete a job of a set or a queue, or all jobs of a set
#[derive(Debug, Args)]
#[command(mut_arg("all", |arg| arg.help("All jobs of this set; all of a queue: `prune queue NAME`")))]
pub(in crate::cli) struct DeleteArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Look for it in this queue
    #[arg(short = 'q', long, value_name = "QUEUE", conflicts_with_all = ["all", "from"])]
    queue: Option<ListName>,
    /// Do not ask before deleting
    #[arg(long)]
    yes: bool,
}

impl ActOrder {
    pub(in crate::cli) fn retry(matches: &ArgMatches, config: Config) -> Result<Self, clap::Error> {
        let RetryArgs { which, queue } = RetryArgs::from_arg_matches(matches)?;
        let target = which.target(&Set::ALL)?;
        let act = Act { action: Action::Retry(queue), target, confirmation: Confirmation::Given };
        Ok(Self { act, redis_url: config.redis_url })
    }

    pub(in crate::cli) fn kill(matches: &ArgMatches, config: Config) -> Result<Self, clap::Error> {
        let KillArgs { which, yes, trim } = KillArgs::from_arg_matches(matches)?;
        if which.from == Some(SetWord::Dead) || which.all == Some(SetWord::Dead) {
            let text = "what is dead cannot be killed: give retries or scheduled";
            return Err(usage(ErrorKind::InvalidValue, text));
        }
        let target = which.target(&[Set::Retries, Set::Scheduled])?;
        let caps = DeadSetCaps { jobs_max: config.max_dead_jobs, timeout_s: config.dead_timeout.as_secs() };
        let excess = if trim { Excess::Trim } else { Excess::Refuse };
        let act = Act { action: Action::Kill(caps, excess), target, confirmation: confirmation(yes) };
        Ok(Self { act, redis_url: config.redis_url })
    }

    pub(in crate::cli) fn delete(matches: &ArgMatches, config: Config) -> Result<Self, clap::Error> {
        let DeleteArgs { which, queue, yes } = DeleteArgs::from_arg_matches(matches)?;
        let mut target = which.target(&Set::ALL)?;
        if let (Target::Job { places, .. }, Some(queue)) = (&mut target, queue) {
            *places = vec![Place::Queue(queue)];
        }
        let act = Act { action: Action::Delete, target, confirmation: confirmation(yes) };
        Ok(Self { act, redis_url: config.redis_url })
    }
}

impl WhichArgs {
    /// The target; a single job is searched for in these sets, unless the arguments name one.
    fn target(self, sets: &[Set]) -> Result<Target, clap::Error> {
        match (self.jid, self.all) {
            (Some(jid), None) => {
                let from = self.from.map(|set| vec![Place::Set(set.into())]);
                let places = from.unwrap_or_else(|| sets.iter().copied().map(Place::Set).collect());
                Ok(Target::Job { jid, places })
            }
            (None, Some(set)) => Ok(Target::All { set: set.into(), name: self.name }),
            _ => Err(usage(ErrorKind::MissingRequiredArgument, "give a JID, or --all PLACE")),
        }
    }
}

fn names() -> ValueParser {
    ValueParser::new(name_pattern)
}

pub(super) fn confirmation(yes: bool) -> Confirmation {
    if yes { Confirmation::Given } else { Confirmation::Ask }
}
