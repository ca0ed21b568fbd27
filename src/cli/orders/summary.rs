//! `summary`: a look at the whole state.

use clap::{ArgMatches, Args, FromArgMatches};

use crate::config::GivenUrl;

/// Name of the subcommand that shows the state.
pub(in crate::cli) const SUMMARY: &str = "summary";

/// A look at the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryOrder {
    /// One JSON object with the gem's keys instead of a table.
    pub json: bool,
    /// All keys of the database are looked through.
    pub look: bool,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Show queues, retry, scheduled and dead sets, counters and processes
#[derive(Debug, Args)]
pub(in crate::cli) struct SummaryArgs {
    /// Print one JSON object with the keys of the gem's `Jiggler.summary`
    #[arg(long)]
    json: bool,
    /// Look through all keys of the database, for what only Ruby programs have made since a worker last did
    #[arg(long)]
    look: bool,
}

impl SummaryOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let SummaryArgs { json, look } = SummaryArgs::from_arg_matches(matches)?;
        Ok(Self { json, look, redis_url })
    }
}
