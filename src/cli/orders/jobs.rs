//! `jobs`: a look at the jobs of a queue or a set.

use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, ValueEnum, builder::ValueParser, error::ErrorKind};

use super::value::{jid, name_pattern, span, usage, whole};
use crate::{
    acts::look::Query,
    config::GivenUrl,
    limits::{JOB_NAME_BYTES_MAX, JOBS_EXAMINED, JOBS_EXAMINED_MAX, JOBS_LIMIT, JOBS_LIMIT_MAX},
    store::entries::{Order, Place, Set},
    view::filter::{Filter, NamePattern},
    wire::ListName,
};

/// Name of the subcommand.
pub(in crate::cli) const JOBS: &str = "jobs";

/// What follows its options in the help.
pub(in crate::cli) const HELP: &str = "\
A page costs what is on it, however many jobs there are. With --name, --jid, --class, --error, --older or --group the \
entries are examined one after the other, at most --examine of them; the last line says how far it got and with which \
--skip to continue. Jobs that come or go between two pages shift what follows. An entry without a jid is called entry:…, \
a name that --jid, `retry`, `kill` and `delete` accept.

A queue is named as `queues` lists it, whatever its name. What is not plain text is listed, and given, as escaped: and the \
bytes of the name, with \\xNN for each that is not visible ASCII and two backslashes for one.

--group writes each run of digits in a message as #, and counts by its first line; with --json: groups, each with jobs, \
name, class, error, example, lowest_score, highest_score, and others.

With --json one JSON object is printed: place, queue, total, skip, jobs, examined, next_skip (null at the end). Each of \
jobs has queue, bytes, in a set score (Unix seconds), and job: the payload, unchanged; or no_job: why the bytes are not a \
job, with base64.

Examples:
  jiggler-uring jobs retries
  jiggler-uring jobs queue img --oldest --limit 10
  jiggler-uring jobs dead --name 'Report::*' --skip 100000
  jiggler-uring jobs dead --group
  jiggler-uring jobs dead --class 'Net::*' --error 'timed out' --older 2h
  jiggler-uring jobs dead --json --limit 1000 | jq -r '.jobs[].job.jid'

Exit status: 0 shown, 1 Redis refused or is away, 2 wrong usage or configuration";

/// Largest number that may be skipped: beyond what a Redis list can hold, and exact as a float in Lua.
const SKIP_MAX: u64 = 1 << 53;

/// A look at jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsOrder {
    /// Which ones.
    pub query: Query,
    /// One JSON object instead of a table.
    pub json: bool,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlaceWord {
    Queue,
    Retries,
    Scheduled,
    Dead,
}

/// Show the jobs of a queue or a set, page by page
#[derive(Debug, Args)]
pub(in crate::cli) struct JobsArgs {
    /// Where the jobs are
    #[arg(value_name = "PLACE", value_enum)]
    place: PlaceWord,
    /// Name of the queue
    #[arg(value_name = "QUEUE", required_if_eq("place", "queue"))]
    queue: Option<ListName>,
    /// Which page, counted from 1
    #[arg(long, value_name = "N", value_parser = page())]
    #[arg(conflicts_with_all = ["skip", "name", "jid", "class", "error", "older", "group"])]
    page: Option<u64>,
    /// Most jobs to show; with --group, most groups
    #[arg(long, value_name = "N", default_value_t = JOBS_LIMIT as u64, value_parser = limit())]
    limit: u64,
    /// Oldest first: what is taken, due or trimmed next; otherwise newest first
    #[arg(long)]
    oldest: bool,
    /// Show only jobs with this name; with an asterisk at the end, names that start with it
    #[arg(long, value_name = "NAME", value_parser = ValueParser::new(name_pattern))]
    name: Option<NamePattern>,
    /// Show only the job with this id
    #[arg(long, value_name = "JID", value_parser = jid)]
    jid: Option<String>,
    /// Show only jobs whose last error has this class; with an asterisk at the end, classes that start with it
    #[arg(long, value_name = "CLASS", value_parser = ValueParser::new(name_pattern))]
    class: Option<NamePattern>,
    /// Show only jobs whose last error has a message with this text in it
    #[arg(long, value_name = "TEXT", value_parser = error_text)]
    error: Option<String>,
    /// Show only jobs that died (in `dead`) or first failed (in `retries`) longer ago than this, such as 2h or 7d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    older: Option<Duration>,
    /// Count jobs by name, class and message of the error instead of listing them
    #[arg(long)]
    group: bool,
    /// Entries to skip first
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = skip())]
    skip: u64,
    /// Most entries to examine with --group, or if only some jobs are shown
    #[arg(long, value_name = "N", default_value_t = JOBS_EXAMINED, value_parser = examine())]
    examine: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl JobsOrder {
    pub(in crate::cli) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let args = JobsArgs::from_arg_matches(matches)?;
        let JobsArgs { place, queue, page, limit, oldest, name, jid, skip, examine, json, .. } = args;
        let JobsArgs { class, error, older, group, .. } = args;
        let place = match (place, queue) {
            (PlaceWord::Queue, Some(queue)) => Place::Queue(queue),
            (PlaceWord::Retries, None) => Place::Set(Set::Retries),
            (PlaceWord::Scheduled, None) => Place::Set(Set::Scheduled),
            (PlaceWord::Dead, None) => Place::Set(Set::Dead),
            (PlaceWord::Queue, None) => {
                return Err(usage(
                    ErrorKind::MissingRequiredArgument,
                    "give the name of the queue: jobs queue NAME",
                ));
            }
            (_, Some(_)) => {
                let text = "only `jobs queue` takes a name; to find jobs of a name use --name NAME";
                return Err(usage(ErrorKind::UnknownArgument, text));
            }
        };
        if older.is_some() && !matches!(place, Place::Set(Set::Dead | Set::Retries)) {
            let text = "only failed jobs say how old they are: --older is for `jobs dead` and `jobs retries`";
            return Err(usage(ErrorKind::ArgumentConflict, text));
        }
        let skip = page.map_or(skip, |page| (page - 1) * limit);
        let query = Query {
            place,
            filter: Filter { name, jid, class, error, ..Filter::default() },
            skip,
            limit: limit as usize,
            examine_max: examine,
            order: if oldest { Order::Oldest } else { Order::Newest },
            older,
            groups: group,
        };
        Ok(Self { query, json, redis_url })
    }
}

fn error_text(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > JOB_NAME_BYTES_MAX {
        return Err(format!("a part of a message has 1 to {JOB_NAME_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

fn limit() -> ValueParser {
    whole::<u64>(1..=JOBS_LIMIT_MAX as u64)
}

fn page() -> ValueParser {
    whole::<u64>(1..=SKIP_MAX / JOBS_LIMIT_MAX as u64)
}

fn skip() -> ValueParser {
    whole::<u64>(0..=SKIP_MAX)
}

fn examine() -> ValueParser {
    whole::<u64>(1..=JOBS_EXAMINED_MAX)
}
