//! `why`: what one job waits for.

use clap::{ArgMatches, Args, FromArgMatches};

use super::value::{jid, whole};
use crate::{
    admin::show::Wanted,
    config::GivenUrl,
    limits::{JOBS_EXAMINED, JOBS_EXAMINED_MAX},
    wire::ListName,
};

/// Name of the subcommand.
pub(in crate::cli) const WHY: &str = "why";

/// What follows its options in the help.
pub(in crate::cli) const HELP: &str = "\
The job is searched for as `show` does. It may not be due, or be put off to keep the pace of its queue; its queue or \
its class may be paused, there may be no process that serves its queue or knows its name, other queues may come first, \
every slot may be taken; or it waits for its turn, and its number in the queue is told, and how long that takes at the rate \
of the last second.

Examples:
  jiggler-uring why 0d655a187e214821
  jiggler-uring why 0d655a187e214821 --json | jq -r '.reasons[].what'

Exit status: 0 told, 1 no such job, or Redis refused or is away, 2 wrong usage or configuration";

/// A question about one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyOrder {
    /// Which one, and where to look.
    pub wanted: Wanted,
    /// One JSON object instead of text.
    pub json: bool,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Tell what a job waits for
#[derive(Debug, Args)]
pub(in crate::cli) struct WhyArgs {
    /// The job's id
    #[arg(value_name = "JID", value_parser = jid)]
    jid: String,
    /// Look for it only in this queue
    #[arg(short = 'q', long, value_name = "QUEUE")]
    queue: Option<ListName>,
    /// Most entries to examine
    #[arg(long, value_name = "N", default_value_t = JOBS_EXAMINED, value_parser = whole::<u64>(1..=JOBS_EXAMINED_MAX))]
    examine: u64,
    /// Print one JSON object: jid, place, queue, name, reasons (a list of what, text), nth, of, seconds
    #[arg(long)]
    json: bool,
}

impl WhyOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let WhyArgs { jid, queue, examine, json } = WhyArgs::from_arg_matches(matches)?;
        Ok(Self { wanted: Wanted { jid, queue, examine_max: examine }, json, redis_url })
    }
}
