//! `show` and `progress`: one job at a glance.

use clap::{ArgMatches, Args, FromArgMatches, builder::ValueParser};

use super::value::{jid, whole};
use crate::{
    admin::show::Wanted,
    config::GivenUrl,
    limits::{JOBS_EXAMINED, JOBS_EXAMINED_MAX},
    wire::ListName,
};

/// Name of the subcommand that shows one job.
pub(in crate::cli) const SHOW: &str = "show";

/// Name of the subcommand that shows what a job has reported.
pub(in crate::cli) const PROGRESS: &str = "progress";

/// What follows the options of `show` in the help.
pub(in crate::cli) const SHOW_HELP: &str = "\
The job is searched for in the retry, scheduled and dead sets and then in the queues, entry by entry, at most --examine of \
them; with --queue only in that queue. A running job is in none of these: where it runs is what its process says, which \
names up to 100 of its longest-running jobs; its payload is shown from what is in flight there.

With --json one JSON object is printed: jid, place, found (as one of jobs in `jobs --json`; both null if its payload is \
nowhere), progress, running (a list of process, host, pid, shard, name, since).

Examples:
  jiggler-uring show 0d655a187e214821
  jiggler-uring show 0d655a187e214821 --queue img
  jiggler-uring show 0d655a187e214821 --json | jq .found.job.args

Exit status: 0 shown, 1 no such job, or Redis refused or is away, 2 wrong usage or configuration";

/// What follows the options of `progress` in the help.
pub(in crate::cli) const PROGRESS_HELP: &str = "\
A handler reports it with `ctx.progress`; it is kept for an hour after the last report.

Examples:
  jiggler-uring progress 0d655a187e214821
  watch -n 1 jiggler-uring progress 0d655a187e214821

Exit status: 0 shown, 1 nothing was reported, or Redis refused or is away, 2 wrong usage or configuration";

/// A look at one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowOrder {
    /// Which one, and where to look.
    pub wanted: Wanted,
    /// One JSON object instead of text.
    pub json: bool,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// A look at what a job has reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressOrder {
    /// Its jid.
    pub jid: String,
    /// One JSON object instead of text.
    pub json: bool,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Show one job: its payload, where it is, how it failed, its progress, and where it runs
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The job's id, or entry:… as `jobs` calls one without an id
    #[arg(value_name = "JID", value_parser = jid)]
    jid: String,
    /// Look for it only in this queue
    #[arg(short = 'q', long, value_name = "QUEUE")]
    queue: Option<ListName>,
    /// Most entries to examine
    #[arg(long, value_name = "N", default_value_t = JOBS_EXAMINED, value_parser = examine())]
    examine: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Show the progress that a job has reported
#[derive(Debug, Args)]
pub(in crate::cli) struct ProgressArgs {
    /// The job's id
    #[arg(value_name = "JID", value_parser = jid)]
    jid: String,
    /// Print one JSON object: done, total, note, at (Unix seconds)
    #[arg(long)]
    json: bool,
}

impl ShowOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let ShowArgs { jid, queue, examine, json } = ShowArgs::from_arg_matches(matches)?;
        Ok(Self { wanted: Wanted { jid, queue, examine_max: examine }, json, redis_url })
    }
}

impl ProgressOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let ProgressArgs { jid, json } = ProgressArgs::from_arg_matches(matches)?;
        Ok(Self { jid, json, redis_url })
    }
}

fn examine() -> ValueParser {
    whole::<u64>(1..=JOBS_EXAMINED_MAX)
}
