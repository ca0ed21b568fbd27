//! `history`: a look at the past.

use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum, builder::ValueParser};

use super::value::{name_pattern, span};
use crate::{
    config::GivenUrl,
    limits::{HISTORY_DAYS_KEPT, HISTORY_HOURS_KEPT, HISTORY_MINUTES_KEPT},
    view::{filter::NamePattern, history::Span},
    wire::history::Grain,
};

/// Name of the subcommand.
pub(in crate::cli) const HISTORY: &str = "history";

/// What follows its options in the help.
pub(in crate::cli) const HELP: &str = "\
Minutes are kept for 72 hours, hours for 30 days, days for five years. Without --by a span of up to two hours is shown by \
the minute, of up to three days by the hour, and a longer one by the day. Minutes, hours and days are those of UTC.

Every process writes once a minute what it has counted, and at its end; a crash loses the last minute. Times are told \
within a factor of two. `waited` is the time from the arrival of a batch at its process until its last job started, \
`depth` the most jobs that waited in the queues together when they were looked at.

With --json one JSON object is printed: by, slices; each of them has at (Unix seconds), total, rows, depths. A row has \
queue, class, outcomes, run_seconds, run and wait, and these have count, p50, p95, buckets.

Examples:
  jiggler-uring history
  jiggler-uring history --since 2h --name 'Report::*'
  jiggler-uring history --since 90d --queue img --json

Exit status: 0 shown, 1 Redis refused or is away, 2 wrong usage or configuration";

/// A look at the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryOrder {
    /// Of what.
    pub span: Span,
    /// One JSON object instead of a table.
    pub json: bool,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GrainWord {
    Minute,
    Hour,
    Day,
}

/// Show what became of jobs in the last hours, days or years
#[derive(Debug, Args)]
pub(in crate::cli) struct HistoryArgs {
    /// How far back, such as 2h or 30d
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = since)]
    since: Duration,
    /// How finely
    #[arg(long, value_enum)]
    by: Option<GrainWord>,
    /// Only jobs of this queue
    #[arg(short = 'q', long, value_name = "QUEUE")]
    queue: Option<String>,
    /// Only jobs with this name; with an asterisk at the end, names that start with it
    // In `jobs` a class is that of an error. This was its word here, too, and is still read.
    #[arg(long = "name", alias = "class", value_name = "NAME", value_parser = ValueParser::new(name_pattern))]
    class: Option<NamePattern>,
    /// Print one JSON object: by, slices
    #[arg(long)]
    json: bool,
}

fn since(text: &str) -> Result<Duration, String> {
    let since = span(text)?;
    if since > HISTORY_DAYS_KEPT {
        let days = HISTORY_DAYS_KEPT.as_secs() / Grain::Day.seconds();
        return Err(format!("it is more than the {days}d that are kept"));
    }
    Ok(since)
}

impl HistoryOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let HistoryArgs { since, by, queue, class, json } = HistoryArgs::from_arg_matches(matches)?;
        let seconds = since.as_secs();
        let (grain, kept) = match by {
            None => (Span::grain_of(seconds), HISTORY_DAYS_KEPT),
            Some(GrainWord::Minute) => (Grain::Minute, HISTORY_MINUTES_KEPT),
            Some(GrainWord::Hour) => (Grain::Hour, HISTORY_HOURS_KEPT),
            Some(GrainWord::Day) => (Grain::Day, HISTORY_DAYS_KEPT),
        };
        let span = Span { grain, since: seconds.min(kept.as_secs()), queue, class };
        Ok(Self { span, json, redis_url })
    }
}
