//! `queues`: a look at the queues.

use clap::{ArgMatches, Args, FromArgMatches};

use crate::config::GivenUrl;

/// Name of the subcommand.
pub(in crate::cli) const QUEUES: &str = "queues";

/// What follows its options in the help.
pub(in crate::cli) const HELP: &str = "\
Examples:
  jiggler-uring queues
  jiggler-uring queues --look
  jiggler-uring queues --json | jq '.queues[] | select(.processes == 0)'

Exit status: 0 shown, 1 Redis refused or is away, 2 wrong usage or configuration";

/// A look at the queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuesOrder {
    /// One JSON object instead of a table.
    pub json: bool,
    /// All keys of the database are looked through.
    pub look: bool,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Show the queues, their waiting jobs, and how many processes serve each
#[derive(Debug, Args)]
pub(in crate::cli) struct QueuesArgs {
    /// Print one JSON object: queues, a list of name, jobs, processes
    #[arg(long)]
    json: bool,
    /// Look through all keys of the database, for what only Ruby programs have made since a worker last did
    #[arg(long)]
    look: bool,
}

impl QueuesOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let QueuesArgs { json, look } = QueuesArgs::from_arg_matches(matches)?;
        Ok(Self { json, look, redis_url })
    }
}
