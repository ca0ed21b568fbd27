//! `enqueue`: jobs to push, one given on the command line or all of a file.

use std::{path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, FromArgMatches, builder::ValueParser, error::ErrorKind};
use serde_json::value::RawValue;

use super::value::{job_name, usage, whole};
use crate::{
    admin::{bulk::Bulk, enqueue::Options},
    cli::Invocation,
    config::GivenUrl,
    limits::{ENQUEUE_COUNT_MAX, ENQUEUE_DELAY_MAX, PAYLOAD_BYTES_MAX, RETRIES_MAX},
    wire::{DEFAULT_QUEUE, QueueName},
};

/// Name of the subcommand that pushes jobs.
pub(in crate::cli) const ENQUEUE: &str = "enqueue";

/// Jobs to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnqueueOrder {
    /// Which, how many, where and when.
    pub options: Options,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// A file of jobs to push.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    #[arg(long, value_name = "QUEUE", default_value = DEFAULT_QUEUE)]
    queue: QueueName,
    /// How many copies to push
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count())]
    count: u64,
    /// Seconds from now at which the jobs are due
    #[arg(long = "in", value_name = "SECONDS", value_parser = delay)]
    delay: Option<Duration>,
    /// Retries after the first failure; without this the worker's own number applies (--default-retries)
    #[arg(long, value_name = "N", value_parser = retries())]
    retries: Option<u32>,
}

/// The order that the arguments describe.
pub(in crate::cli) fn order(
    matches: &ArgMatches,
    redis_url: Option<GivenUrl>,
) -> Result<Invocation, clap::Error> {
    let EnqueueArgs { name, args, bulk, queue, count, delay, retries } =
        EnqueueArgs::from_arg_matches(matches)?;
    match (bulk, name) {
        (Some(path), name) => {
            let file = (path.as_os_str() != "-").then_some(path);
            let bulk = Bulk { file, name, queue, retries, delay };
            Ok(Invocation::EnqueueBulk(BulkOrder { bulk, redis_url }))
        }
        (None, Some(name)) => {
            let options = Options { name, args, queue, count, delay, retries };
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

fn retries() -> ValueParser {
    whole::<u32>(0..=u64::from(RETRIES_MAX))
}

/// Keeps the text itself, not its re-serialised value, so that integers of any size and floats stay as written.
fn json_array(text: &str) -> Result<String, String> {
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

fn delay(text: &str) -> Result<Duration, String> {
    let max = ENQUEUE_DELAY_MAX.as_secs();
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=max as f64).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("give a number of seconds from 0 to {max}")),
    }
}
