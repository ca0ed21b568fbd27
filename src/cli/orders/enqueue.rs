//! `enqueue`: jobs to push, one given on the command line or all of a file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches, builder::ValueParser, error::ErrorKind};
use serde_json::value::RawValue;

use super::value::{jid, job_name, moment, span, usage, whole};
use crate::{
    admin::{
        bulk::Bulk,
        enqueue::{Due, Member, Options},
    },
    cli::Invocation,
    config::GivenUrl,
    limits::{ENQUEUE_COUNT_MAX, PAYLOAD_BYTES_MAX, RETRIES_MAX},
    wire::{DEFAULT_QUEUE, QueueName},
};

/// Name of the subcommand that pushes jobs.
pub(in crate::cli) const ENQUEUE: &str = "enqueue";

/// Jobs to push.
#[derive(Debug, Clone, PartialEq)]
pub struct EnqueueOrder {
    /// Which, how many, where and when.
    pub options: Options,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// A file of jobs to push.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkOrder {
    /// The file, and defaults for what its lines leave out.
    pub bulk: Bulk,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Push jobs into a queue
#[derive(Debug, Args)]
pub(in crate::cli) struct EnqueueArgs {
    /// Name of the job: the stock binary has Noop, Sleep, Fib and Fail
    #[arg(value_name = "NAME", value_parser = job_name, required_unless_present = "bulk")]
    name: Option<String>,
    /// Positional arguments as a JSON array
    #[arg(value_name = "ARGS_JSON", default_value = "[]", value_parser = json_array)]
    args: String,
    /// Push the jobs of a file (-: standard input), one JSON object per line:
    /// {"name":"Resize","args":[1],"queue":"img","retries":3,"jid":"…"}; NAME, --queue and --retries apply where a line
    /// does not set them, and with NAME a line may be just the array of arguments
    #[arg(long, value_name = "FILE", conflicts_with_all = ["args", "count"])]
    bulk: Option<PathBuf>,
    /// Queue to push into
    #[arg(short = 'q', long, value_name = "QUEUE", default_value = DEFAULT_QUEUE)]
    queue: QueueName,
    /// How many copies to push
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count())]
    count: u64,
    /// When the jobs are due, from now: seconds, or units such as 90s, 5m, 1h30m, 2d
    #[arg(long = "in", value_name = "SPAN", value_parser = span, conflicts_with = "at")]
    delay: Option<Duration>,
    /// When the jobs are due: Unix seconds, or a date and time with its zone such as 2026-12-24T18:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    at: Option<f64>,
    /// Spread the jobs evenly over so long from when they would be due, so that they do not come all at once
    #[arg(long, value_name = "SPAN", value_parser = span)]
    spread: Option<Duration>,
    /// Retries after the first failure; without this the worker's own number applies (--default-retries)
    #[arg(long, value_name = "N", value_parser = retries())]
    retries: Option<u32>,
    /// Id of the job, instead of a new one
    #[arg(long, value_name = "JID", value_parser = jid, conflicts_with_all = ["bulk", "count"])]
    jid: Option<String>,
    /// Another member of the payload, such as tenant=acme; what is not JSON counts as text; may be repeated
    #[arg(long = "member", value_name = "NAME=VALUE", value_parser = member, conflicts_with = "bulk")]
    members: Vec<Member>,
    /// Print nothing but the ids of the jobs, one a line
    #[arg(long, conflicts_with = "bulk")]
    ids: bool,
}

/// The order that the arguments describe.
pub(in crate::cli) fn order(
    matches: &ArgMatches,
    redis_url: Option<GivenUrl>,
) -> Result<Invocation, clap::Error> {
    let EnqueueArgs { name, args, bulk, queue, count, delay, at, spread, retries, jid, members, ids } =
        EnqueueArgs::from_arg_matches(matches)?;
    let due = delay.map(Due::In).or(at.map(Due::At));
    match (bulk, name) {
        (Some(path), name) => {
            let file = (path.as_os_str() != "-").then_some(path);
            let bulk = Bulk { file, name, queue, retries, due, spread };
            Ok(Invocation::EnqueueBulk(BulkOrder { bulk, redis_url }))
        }
        (None, Some(name)) => {
            let options = Options { name, args, queue, count, due, spread, retries, jid, members, ids };
            Ok(Invocation::Enqueue(EnqueueOrder { options, redis_url }))
        }
        (None, None) => {
            Err(usage(ErrorKind::MissingRequiredArgument, "give the NAME of a job, or --bulk FILE"))
        }
    }
}

fn count() -> ValueParser {
    whole::<u64>(1..=ENQUEUE_COUNT_MAX)
}

pub(super) fn retries() -> ValueParser {
    whole::<u32>(0..=u64::from(RETRIES_MAX))
}

/// Keeps the text itself, not its re-serialised value, so that integers of any size and floats stay as written.
pub(super) fn json_array(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("{} bytes of arguments are too many: at most {PAYLOAD_BYTES_MAX}", text.len()));
    }
    if !text.starts_with('[') {
        return Err("the arguments of a job must be a JSON array, such as '[1, \"two\"]'".to_owned());
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("not valid JSON: {error}; write it like '[1, \"two\"]'")),
    }
}

/// Keeps the text of a JSON value too.
fn member(text: &str) -> Result<Member, String> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err("give NAME=VALUE, such as tenant=acme".to_owned());
    };
    let json = match serde_json::from_str::<&RawValue>(value) {
        Ok(json) => json.to_owned(),
        Err(_) => serde_json::value::to_raw_value(value).map_err(|error| error.to_string())?,
    };
    Ok(Member { name: name.to_owned(), json: json.get().to_owned() })
}
