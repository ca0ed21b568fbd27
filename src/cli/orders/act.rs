//! `retry`, `kill` and `delete`: what an operator does with jobs.

use clap::{ArgMatches, Args, FromArgMatches, builder::ValueParser, error::ErrorKind};

use super::value::{SetWord, jid, name_pattern, usage};
use crate::{
    admin::{
        Consent, NamePattern,
        act::{Act, Action, Target},
    },
    config::{Config, GivenUrl},
    store::{
        entries::{Place, Set},
        operate::DeadSetCaps,
    },
    wire::QueueName,
};

/// Name of the subcommand that moves jobs to their queues.
pub(in crate::cli) const RETRY: &str = "retry";

/// Name of the subcommand that moves jobs to the dead set.
pub(in crate::cli) const KILL: &str = "kill";

/// Name of the subcommand that deletes jobs.
pub(in crate::cli) const DELETE: &str = "delete";

/// What follows the options of `retry` in the help.
pub(in crate::cli) const RETRY_HELP: &str = "\
The job goes to the queue that its payload names, or to `default`, and runs as soon as a worker is free; its payload stays \
as it is, so a dead job has no retries left. --all acts on the jobs that are there at the beginning, in batches; it may be \
ended at any time, and what was done is done. A job that runs now is not touched.

Examples:
  jiggler-uring retry 0d655a187e214821
  jiggler-uring retry --all dead --name 'Report::*'

Exit status: 0 done, 1 no such job, or Redis refused or is away, 2 wrong usage or configuration";

/// What follows the options of `kill` in the help.
pub(in crate::cli) const KILL_HELP: &str = "\
The job goes to the dead set, where it stays until it is retried, deleted or trimmed: the set keeps max_dead_jobs entries \
(10000, or what the configuration file says), and the oldest go first. One that has not failed yet gets the error \
JigglerUring::Killed. A job that runs now is not touched: `cancel` ends it.

Examples:
  jiggler-uring kill 0d655a187e214821
  jiggler-uring kill --all retries --name Broken --yes

Exit status: 0 done, 1 no such job, not confirmed, or Redis refused or is away, 2 wrong usage or configuration";

/// What follows the options of `delete` in the help.
pub(in crate::cli) const DELETE_HELP: &str = "\
The job is gone for good. Without --yes it asks first, and refuses where there is no terminal to ask at. A job in a queue \
is looked for only where --queue says so. A job that runs now is not touched: `cancel` ends it.

Examples:
  jiggler-uring delete 0d655a187e214821
  jiggler-uring delete 0d655a187e214821 --queue img --yes
  jiggler-uring delete --all dead --name Broken

Exit status: 0 done, 1 no such job, not confirmed, or Redis refused or is away, 2 wrong usage or configuration";

/// Something to be done with jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct ActOrder {
    /// What, and with which jobs.
    pub act: Act,
    /// Where Redis is; `None`: see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Move a job of the retry, scheduled or dead set to its queue at once, or all of them
#[derive(Debug, Args)]
pub(in crate::cli) struct RetryArgs {
    /// The job's id
    #[arg(value_name = "JID", value_parser = jid, required_unless_present = "all", conflicts_with = "all")]
    jid: Option<String>,
    /// Look for it only there
    #[arg(long, value_name = "PLACE", value_enum, conflicts_with = "all")]
    from: Option<SetWord>,
    /// Move all jobs of this set
    #[arg(long, value_name = "PLACE", value_enum)]
    all: Option<SetWord>,
    /// Of these only the jobs of this name; with an asterisk at the end, of names that begin so
    #[arg(long, value_name = "NAME", value_parser = names(), requires = "all", conflicts_with = "jid")]
    name: Option<NamePattern>,
}

/// Move a job of the retry or scheduled set to the dead set, or all of them
#[derive(Debug, Args)]
pub(in crate::cli) struct KillArgs {
    /// The job's id
    #[arg(value_name = "JID", value_parser = jid, required_unless_present = "all", conflicts_with = "all")]
    jid: Option<String>,
    /// Look for it only there: retries or scheduled
    #[arg(long, value_name = "PLACE", value_enum, conflicts_with = "all")]
    from: Option<SetWord>,
    /// Move all jobs of this set: retries or scheduled
    #[arg(long, value_name = "PLACE", value_enum)]
    all: Option<SetWord>,
    /// Of these only the jobs of this name; with an asterisk at the end, of names that begin so
    #[arg(long, value_name = "NAME", value_parser = names(), requires = "all", conflicts_with = "jid")]
    name: Option<NamePattern>,
    /// Do not ask before many jobs are moved
    #[arg(long)]
    yes: bool,
}

/// Delete a job of a set or a queue, or all jobs of a set
#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteArgs {
    /// The job's id
    #[arg(value_name = "JID", value_parser = jid, required_unless_present = "all", conflicts_with = "all")]
    jid: Option<String>,
    /// Look for it only there
    #[arg(long, value_name = "PLACE", value_enum, conflicts_with = "all")]
    from: Option<SetWord>,
    /// Look for it in this queue
    #[arg(long, value_name = "QUEUE", conflicts_with_all = ["all", "from"])]
    queue: Option<QueueName>,
    /// Delete all jobs of this set; all of a queue: `prune queue NAME`
    #[arg(long, value_name = "PLACE", value_enum)]
    all: Option<SetWord>,
    /// Of these only the jobs of this name; with an asterisk at the end, of names that begin so
    #[arg(long, value_name = "NAME", value_parser = names(), requires = "all", conflicts_with = "jid")]
    name: Option<NamePattern>,
    /// Do not ask before it is deleted
    #[arg(long)]
    yes: bool,
}

impl ActOrder {
    pub(in crate::cli) fn retry(matches: &ArgMatches, config: Config) -> Result<Self, clap::Error> {
        let RetryArgs { jid, from, all, name } = RetryArgs::from_arg_matches(matches)?;
        let target = target(jid, all, name, places(from, &Set::ALL))?;
        let act = Act { action: Action::Retry, target, consent: Consent::Given };
        Ok(Self { act, redis_url: config.redis_url })
    }

    pub(in crate::cli) fn kill(matches: &ArgMatches, config: Config) -> Result<Self, clap::Error> {
        let KillArgs { jid, from, all, name, yes } = KillArgs::from_arg_matches(matches)?;
        if from == Some(SetWord::Dead) || all == Some(SetWord::Dead) {
            let text = "what is dead cannot be killed: give retries or scheduled";
            return Err(usage(ErrorKind::InvalidValue, text));
        }
        let target = target(jid, all, name, places(from, &[Set::Retries, Set::Scheduled]))?;
        let caps = DeadSetCaps { jobs_max: config.max_dead_jobs, timeout_s: config.dead_timeout.as_secs() };
        let act = Act { action: Action::Kill(caps), target, consent: consent(yes) };
        Ok(Self { act, redis_url: config.redis_url })
    }

    pub(in crate::cli) fn delete(matches: &ArgMatches, config: Config) -> Result<Self, clap::Error> {
        let DeleteArgs { jid, from, queue, all, name, yes } = DeleteArgs::from_arg_matches(matches)?;
        let places = match queue {
            Some(queue) => vec![Place::Queue(queue)],
            None => places(from, &Set::ALL),
        };
        let act =
            Act { action: Action::Delete, target: target(jid, all, name, places)?, consent: consent(yes) };
        Ok(Self { act, redis_url: config.redis_url })
    }
}

fn target(
    jid: Option<String>,
    all: Option<SetWord>,
    name: Option<NamePattern>,
    places: Vec<Place>,
) -> Result<Target, clap::Error> {
    match (jid, all) {
        (Some(jid), None) => Ok(Target::Job { jid, places }),
        (None, Some(set)) => Ok(Target::All { set: set.into(), name }),
        _ => Err(usage(ErrorKind::MissingRequiredArgument, "give a JID, or --all PLACE")),
    }
}

fn places(from: Option<SetWord>, all: &[Set]) -> Vec<Place> {
    match from {
        Some(set) => vec![Place::Set(set.into())],
        None => all.iter().copied().map(Place::Set).collect(),
    }
}

fn names() -> ValueParser {
    ValueParser::new(name_pattern)
}

pub(super) fn consent(yes: bool) -> Consent {
    if yes { Consent::Given } else { Consent::Ask }
}
