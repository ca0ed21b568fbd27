//! `prune`: what to delete as a whole.

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum, error::ErrorKind};

use super::{act::confirmation, value::usage};
use crate::{acts::prune::What, admin::Confirmation, config::GivenUrl, store::entries::Set, wire::ListName};

/// Name of the subcommand.
pub(in crate::cli) const PRUNE: &str = "prune";

/// What follows its options in the help.
pub(in crate::cli) const HELP: &str = "\
Without --yes it shows what is there and asks, and refuses if there is no terminal to ask at.

Jobs that have already been taken are left alone, including those of Ruby servers: what a live process runs keeps running \
(`cancel` ends it), and what a dead one held comes back to its queue and can be pruned then. Heartbeats of live processes \
stay.

A queue is named as `queues` lists it: `jobs --help` says how. Queues that no worker may be given are deleted only by name.

Examples:
  jiggler-uring prune queue img
  jiggler-uring prune dead --yes
  jiggler-uring prune all

Exit status: 0 done, 1 not confirmed, or Redis refused or is away, 2 wrong usage or configuration";

/// Something to delete as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneOrder {
    /// What.
    pub what: What,
    /// Whether to ask first.
    pub confirmation: Confirmation,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WhatWord {
    /// The waiting jobs of one queue
    Queue,
    /// The waiting jobs of all queues
    Queues,
    /// The retry set
    Retries,
    /// The scheduled set
    Scheduled,
    /// The dead set
    Dead,
    /// The counter of failures
    Failures,
    /// The counter of processed jobs
    Processed,
    /// Heartbeats of processes that are gone
    Processes,
    /// All of these
    All,
}

/// Delete whole queues, sets, counters, or the heartbeats of processes that are gone
#[derive(Debug, Args)]
pub(in crate::cli) struct PruneArgs {
    /// What to delete
    #[arg(value_name = "WHAT", value_enum)]
    what: WhatWord,
    /// Name of the queue
    #[arg(value_name = "QUEUE", required_if_eq("what", "queue"))]
    queue: Option<ListName>,
    /// Do not ask before deleting
    #[arg(long)]
    yes: bool,
}

impl PruneOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let PruneArgs { what, queue, yes } = PruneArgs::from_arg_matches(matches)?;
        let what = match (what, queue) {
            (WhatWord::Queue, Some(queue)) => What::Queue(queue),
            (WhatWord::Queue, None) => {
                let text = "give the name of the queue: prune queue NAME; all of them: prune queues";
                return Err(usage(ErrorKind::MissingRequiredArgument, text));
            }
            (_, Some(_)) => return Err(usage(ErrorKind::UnknownArgument, "only `prune queue` takes a name")),
            (WhatWord::Queues, None) => What::Queues,
            (WhatWord::Retries, None) => What::Set(Set::Retries),
            (WhatWord::Scheduled, None) => What::Set(Set::Scheduled),
            (WhatWord::Dead, None) => What::Set(Set::Dead),
            (WhatWord::Failures, None) => What::Failures,
            (WhatWord::Processed, None) => What::Processed,
            (WhatWord::Processes, None) => What::Processes,
            (WhatWord::All, None) => What::All,
        };
        Ok(Self { what, confirmation: confirmation(yes), redis_url })
    }
}
