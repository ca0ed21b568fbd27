//! `pause` and `resume`: a queue or a class of jobs that is not to run.

use std::time::Duration;

use clap::{ArgGroup, ArgMatches, Args, FromArgMatches, ValueEnum, error::ErrorKind};

use super::value::{job_name, moment, span, usage};
use crate::acts::pause::{Pausable, PauseChange, PauseEnd};
use crate::admin::Format;
use crate::admin::pause::PauseAction;
use crate::config::GivenUrl;
use crate::limits::PAUSE_TEXT_BYTES_MAX;
use crate::wire::QueueName;

/// Name of the subcommand that pauses.
pub(in crate::cli) const PAUSE: &str = "pause";

/// Name of the one that resumes.
pub(in crate::cli) const RESUME: &str = "resume";

/// What follows the options of `pause` in the help.
pub(in crate::cli) const PAUSE_HELP: &str = "\
The whole fleet heeds it at once, and after a restart too; what runs goes on. Jobs of a paused queue wait in it. Those of a \
paused class wait in the retry set, some seconds at a time, and lose no attempt: the class runs again some seconds after it \
is resumed. A Ruby server heeds neither.

Examples:
  jiggler-uring pause queue img --why 'the resizer is broken'
  jiggler-uring pause queue mails --for 2h
  jiggler-uring pause class Report --until 2026-12-24T18:00:00Z
  jiggler-uring pause --list

Exit status: 0 done, 1 Redis refused or is away, 2 wrong usage or configuration";

/// What follows those of `resume`.
pub(in crate::cli) const RESUME_HELP: &str = "\
Examples:
  jiggler-uring resume queue img

Exit status: 0 done, 1 it is not paused, or Redis refused or is away, 2 wrong usage or configuration";

/// Something to pause or to resume, or a look at what is paused.
#[derive(Debug, Clone, PartialEq)]
pub struct PauseOrder {
    /// What to do.
    pub(crate) action: PauseAction,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// All jobs of a queue
    Queue,
    /// All jobs of a name
    Class,
}

/// Pause a queue or a class of jobs in the whole fleet, or show what is paused
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("either").args(["kind", "list"]).required(true))]
pub(in crate::cli) struct PauseArgs {
    /// What to pause
    #[arg(value_name = "WHAT", value_enum, requires = "name")]
    kind: Option<Kind>,
    /// Name of the queue, or of the jobs
    #[arg(value_name = "NAME", value_parser = job_name)]
    name: Option<String>,
    /// Why: shown wherever the pause is
    #[arg(long, value_name = "TEXT", value_parser = reason, conflicts_with = "list")]
    why: Option<String>,
    /// When it is over by itself: Unix seconds, or a date and time with its zone such as 2026-12-24T18:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = moment, conflicts_with = "list")]
    until: Option<f64>,
    /// The same as a span from now: seconds, or units such as 90s, 5m, 1h30m, 2d
    #[arg(long = "for", value_name = "SPAN", value_parser = span, conflicts_with_all = ["list", "until"])]
    span: Option<Duration>,
    /// Show what is paused, since when, by whom and why
    #[arg(long)]
    list: bool,
    /// With --list: print one JSON object
    #[arg(long, requires = "list")]
    json: bool,
}

/// Let a paused queue or class of jobs run again
#[derive(Debug, Args)]
pub(in crate::cli) struct ResumeArgs {
    /// What to resume
    #[arg(value_name = "WHAT", value_enum)]
    kind: Kind,
    /// Name of the queue, or of the jobs
    #[arg(value_name = "NAME", value_parser = job_name)]
    name: String,
}

impl PauseOrder {
    pub(in crate::cli) fn pause(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let PauseArgs { kind, name, why, until, span, list: _, json } = PauseArgs::from_arg_matches(matches)?;
        let action = match (kind, name) {
            (Some(kind), Some(name)) => {
                let what = pausable(kind, name)?;
                let until = until.map(PauseEnd::At).or(span.map(PauseEnd::In));
                PauseAction::Change(PauseChange::Pause { what, by: who(), why, until })
            }
            _ => PauseAction::List(if json { Format::Json } else { Format::Text }),
        };
        Ok(Self { action, redis_url })
    }

    pub(in crate::cli) fn resume(
        matches: &ArgMatches,
        redis_url: Option<GivenUrl>,
    ) -> Result<Self, clap::Error> {
        let ResumeArgs { kind, name } = ResumeArgs::from_arg_matches(matches)?;
        Ok(Self { action: PauseAction::Change(PauseChange::Resume(pausable(kind, name)?)), redis_url })
    }
}

fn pausable(kind: Kind, name: String) -> Result<Pausable, clap::Error> {
    match kind {
        Kind::Class => Ok(Pausable::Class(name)),
        // Only such a queue can be served.
        Kind::Queue => match QueueName::new(&name) {
            Ok(name) => Ok(Pausable::Queue(name.as_str().to_owned())),
            Err(error) => Err(usage(ErrorKind::InvalidValue, &format!("queue `{name}`: {error}"))),
        },
    }
}

fn reason(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > PAUSE_TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("a reason has 1 to {PAUSE_TEXT_BYTES_MAX} bytes and no control characters"));
    }
    Ok(text.to_owned())
}

/// Who runs this command, for others to ask: the user and the host.
fn who() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let (user, host) = (user.unwrap_or_default(), host.trim());
    let mut who = if user.is_empty() { host.to_owned() } else { format!("{user}@{host}") };
    who.truncate(who.floor_char_boundary(PAUSE_TEXT_BYTES_MAX));
    who
}
