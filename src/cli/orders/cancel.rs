//! `cancel`: a running job to end.

use clap::{ArgMatches, Args, FromArgMatches};

use super::value::jid;
use crate::config::GivenUrl;

/// Name of the subcommand that ends running jobs.
pub(in crate::cli) const CANCEL: &str = "cancel";

/// A running job to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelOrder {
    /// Its jid.
    pub jid: String,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// End a running job: it goes to the dead set
#[derive(Debug, Args)]
pub(in crate::cli) struct CancelArgs {
    /// The job's id, as printed by `enqueue`
    #[arg(value_name = "JID", value_parser = jid)]
    jid: String,
}

impl CancelOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let CancelArgs { jid } = CancelArgs::from_arg_matches(matches)?;
        Ok(Self { jid, redis_url })
    }
}
