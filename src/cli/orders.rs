//! The subcommands `enqueue`, `summary` and `cancel`: their arguments, and the checked orders they become.
//!
//! Who carries an order out is the caller of `cli`; where Redis is stands in the order.

use std::time::Duration;

use clap::{
    ArgMatches, Args, FromArgMatches,
    builder::{RangedI64ValueParser, RangedU64ValueParser},
    value_parser,
};
use serde_json::value::RawValue;

use crate::{
    config::GivenUrl,
    limits::{
        ENQUEUE_COUNT_MAX, ENQUEUE_DELAY_MAX, JID_BYTES_MAX, JOB_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX,
        RETRIES_MAX,
    },
    wire::{DEFAULT_QUEUE, QueueName},
};

/// Name of the subcommand that pushes jobs.
pub(super) const ENQUEUE: &str = "enqueue";

/// Name of the subcommand that shows the state.
pub(super) const SUMMARY: &str = "summary";

/// Name of the subcommand that ends running jobs.
pub(super) const CANCEL: &str = "cancel";

/// Jobs to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnqueueOrder {
    /// Name of the job, as a handler is registered (for Ruby: the class).
    pub name: String,
    /// Positional arguments: the text of a JSON array, as the user wrote it but for blanks around it.
    pub args: String,
    /// Queue to push into.
    pub queue: QueueName,
    /// How many copies, each with its own jid.
    pub count: u64,
    /// Delay before the jobs are due; `None`: now.
    pub delay: Option<Duration>,
    /// Retries after the first failure.
    pub retries: u32,
    /// Where Redis is; `None`: see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// A look at the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryOrder {
    /// One JSON object with the gem's keys instead of a table.
    pub json: bool,
    /// Where Redis is; `None`: see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// A running job to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelOrder {
    /// Its jid.
    pub jid: String,
    /// Where Redis is; `None`: see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

/// Push jobs into a queue
#[derive(Debug, Args)]
pub(super) struct EnqueueArgs {
    /// Name of the job: the stock binary has Noop, Sleep, Fib and Fail
    #[arg(value_name = "NAME", value_parser = job_name)]
    name: String,
    /// Positional arguments as a JSON array
    #[arg(value_name = "ARGS_JSON", default_value = "[]", value_parser = json_array)]
    args: String,
    /// Queue to push into
    #[arg(long, value_name = "QUEUE", default_value = DEFAULT_QUEUE)]
    queue: QueueName,
    /// How many copies to push
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count())]
    count: u64,
    /// Seconds from now at which the jobs are due
    #[arg(long = "in", value_name = "SECONDS", value_parser = delay)]
    delay: Option<Duration>,
    /// Retries after the first failure
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = retries())]
    retries: u32,
}

/// Show queues, retry, scheduled and dead sets, counters and processes
#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    /// Print one JSON object with the keys of the gem's `Jiggler.summary`
    #[arg(long)]
    json: bool,
}

/// End a running job: it goes to the dead set
#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The job's id, as `enqueue` shows it
    #[arg(value_name = "JID", value_parser = jid)]
    jid: String,
}

impl EnqueueOrder {
    pub(super) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let EnqueueArgs { name, args, queue, count, delay, retries } =
            EnqueueArgs::from_arg_matches(matches)?;
        Ok(Self { name, args, queue, count, delay, retries, redis_url })
    }
}

impl SummaryOrder {
    pub(super) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let SummaryArgs { json } = SummaryArgs::from_arg_matches(matches)?;
        Ok(Self { json, redis_url })
    }
}

impl CancelOrder {
    pub(super) fn from_matches(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let CancelArgs { jid } = CancelArgs::from_arg_matches(matches)?;
        Ok(Self { jid, redis_url })
    }
}

fn count() -> RangedU64ValueParser {
    value_parser!(u64).range(1..=ENQUEUE_COUNT_MAX)
}

fn retries() -> RangedI64ValueParser<u32> {
    value_parser!(u32).range(0..=i64::from(RETRIES_MAX))
}

fn jid(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > JID_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("a jid has 1 to {JID_BYTES_MAX} bytes and no control characters"));
    }
    Ok(text.to_owned())
}

fn job_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > JOB_NAME_BYTES_MAX {
        return Err(format!("a job name has 1 to {JOB_NAME_BYTES_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("a job name holds no control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The text itself is kept, not its re-serialised value: integers of any size and floats stay as they were written.
fn json_array(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("{} bytes of arguments are too many: at most {PAYLOAD_BYTES_MAX}", text.len()));
    }
    if !text.starts_with('[') {
        return Err("the arguments of a job are a JSON array, such as '[1, \"two\"]'".to_owned());
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
