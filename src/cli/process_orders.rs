//! The subcommands that look at processes and steer them, and those about the program itself: `processes`, `top`, `quiet`,
//! `stop`, `doctor`, `web`, `completions`, `man`.
//!
//! Arguments and the checked orders they turn into; the caller of `cli` carries them out.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::{Error, Invocation, command, program::own, words};
use crate::{
    acts::steer::Target,
    admin::steer::Patience,
    config::{Config, GivenUrl, options::OptionId},
    limits::{TOP_INTERVAL_MAX, TOP_INTERVAL_MIN},
    store::steer::SteerRequest,
};

/// What was asked for; every value in it is checked.
#[derive(Debug, Clone, PartialEq)]
pub enum ProcessOrder {
    /// List the processes.
    Processes {
        /// All keys of the database are looked through.
        look: bool,
        /// One JSON object instead of a table.
        json: bool,
        /// Where Redis is; for `None` see `embedded`.
        redis_url: Option<GivenUrl>,
    },
    /// Show the state and keep it up to date.
    Top {
        /// How.
        view: TopView,
        /// Time between two looks.
        interval: Duration,
        /// Where Redis is; for `None` see `embedded`.
        redis_url: Option<GivenUrl>,
    },
    /// Make processes quiet or stop them.
    Steer {
        /// Which.
        target: Target,
        /// What they should do.
        request: SteerRequest,
        /// Whether to wait for them.
        patience: Patience,
        /// Where Redis is; for `None` see `embedded`.
        redis_url: Option<GivenUrl>,
    },
    /// Check machine and Redis.
    Doctor {
        /// One JSON object instead of text.
        json: bool,
        /// The configuration of the worker that will run here.
        config: Box<Config>,
    },
    /// Serve metrics and probes of the fleet, without running jobs.
    Web(Box<Config>),
    /// Print a completion script.
    Completions(clap_complete::Shell),
    /// Print the manual page of the program, or of a subcommand.
    Man(Option<String>),
}

/// How `top` shows the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopView {
    /// On the whole terminal, until the user quits; once if there is no terminal.
    Live,
    /// Once, as text.
    Once,
    /// Once, as one JSON object.
    Json,
}

/// List the processes that work on this Redis, ours and Ruby's
#[derive(Debug, Args)]
struct ProcessesArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Look through all keys of the database, for Ruby processes that no worker has come across yet
    #[arg(long)]
    look: bool,
}

/// Watch queues, rates, processes and running jobs in the terminal
#[derive(Debug, Args)]
struct TopArgs {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Print one snapshot and exit; the default without a terminal
    #[arg(long)]
    once: bool,
    /// Print one snapshot as a JSON object and exit
    #[arg(long)]
    json: bool,
}

/// Make a process take no more jobs, from any host
#[derive(Debug, Args)]
struct QuietArgs {
    #[command(flatten)]
    target: TargetArgs,
}

/// Stop a process, from any host
#[derive(Debug, Args)]
struct StopArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Hand running jobs back at once instead of waiting for them
    #[arg(long)]
    now: bool,
}

#[derive(Debug, Args)]
struct TargetArgs {
    /// The process's uuid, or enough of its beginning to be unique
    #[arg(value_name = "PROCESS", required_unless_present = "all", conflicts_with = "all", value_parser = uuid)]
    process: Option<String>,
    /// Every process that has a heartbeat
    #[arg(long)]
    all: bool,
    /// Do not wait until it has happened
    #[arg(long)]
    no_wait: bool,
}

/// Check kernel, limits, cgroup and Redis for what a worker needs, and say what to do
#[derive(Debug, Args)]
struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Serve metrics of the whole fleet over HTTP, without running jobs
#[derive(Debug, Args)]
struct WebArgs {}

/// Print the completion script of a shell
#[derive(Debug, Args)]
struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

/// Print the manual page, as roff
#[derive(Debug, Args)]
struct ManArgs {
    /// A subcommand, for its own page
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// The subcommands, in the order of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Processes,
    Top,
    Quiet,
    Stop,
    Doctor,
    Web,
    Completions,
    Man,
}

impl Name {
    const ALL: [Self; 8] = [
        Self::Processes,
        Self::Top,
        Self::Quiet,
        Self::Stop,
        Self::Doctor,
        Self::Web,
        Self::Completions,
        Self::Man,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Top => "top",
            Self::Quiet => "quiet",
            Self::Stop => "stop",
            Self::Doctor => "doctor",
            Self::Web => "web",
            Self::Completions => "completions",
            Self::Man => "man",
        }
    }

    fn command(self) -> Command {
        let bare = Command::new(self.as_str());
        // clap would show only the process, as if there were no alternative.
        let one_or_all = || {
            let name = self.as_str();
            own(&format!(
                "jiggler-uring {name} [OPTIONS] <PROCESS>\n       jiggler-uring {name} [OPTIONS] --all"
            ))
        };
        match self {
            Self::Processes => ProcessesArgs::augment_args(bare).after_help(PROCESSES_HELP),
            Self::Top => TopArgs::augment_args(bare).after_help(TOP_HELP),
            Self::Quiet => {
                words::beside(QuietArgs::augment_args(bare).override_usage(one_or_all()), QUIET_HELP)
            }
            Self::Stop => words::beside(StopArgs::augment_args(bare).override_usage(one_or_all()), STOP_HELP),
            Self::Doctor => DoctorArgs::augment_args(bare).after_help(DOCTOR_HELP),
            Self::Web => WebArgs::augment_args(bare).after_help(WEB_HELP),
            Self::Completions => CompletionsArgs::augment_args(bare).after_help(COMPLETIONS_HELP),
            Self::Man => ManArgs::augment_args(bare).after_help(MAN_HELP),
        }
    }

    /// The same with the worker's flags that it takes.
    fn command_with_flags(self) -> Command {
        match self {
            Self::Processes | Self::Top | Self::Quiet | Self::Stop => command::with_redis(self.command()),
            Self::Doctor => {
                let size = [OptionId::Cores, OptionId::Concurrency, OptionId::Queues, OptionId::Require];
                command::with_redis(command::with_flags(self.command(), &size))
            }
            Self::Web => command::with_redis(command::with_flags(self.command(), command::SERVE)),
            Self::Completions | Self::Man => self.command(),
        }
    }
}

/// Adds the subcommands.
pub(super) fn add_to(parent: Command) -> Command {
    parent.subcommands(Name::ALL.map(Name::command_with_flags))
}

/// Reads the configuration that the flags of a command lead to.
type Load<'l> = &'l mut dyn FnMut(&ArgMatches) -> Result<Config, Error>;

/// The order, if it is one of these subcommands.
pub(super) fn parse(matches: &ArgMatches, load: Load<'_>) -> Result<Option<Invocation>, Error> {
    let Some((word, matches)) = matches.subcommand() else { return Ok(None) };
    let Some(name) = Name::ALL.into_iter().find(|name| name.as_str() == word) else { return Ok(None) };
    let order = match name {
        Name::Processes => {
            let ProcessesArgs { json, look } = ProcessesArgs::from_arg_matches(matches)?;
            ProcessOrder::Processes { json, look, redis_url: load(matches)?.redis_url }
        }
        Name::Top => {
            let TopArgs { interval, once, json } = TopArgs::from_arg_matches(matches)?;
            let view = match (json, once) {
                (true, _) => TopView::Json,
                (false, true) => TopView::Once,
                (false, false) => TopView::Live,
            };
            ProcessOrder::Top { view, interval, redis_url: load(matches)?.redis_url }
        }
        Name::Quiet => {
            let QuietArgs { target } = QuietArgs::from_arg_matches(matches)?;
            steer(target, SteerRequest::Quiet, load(matches)?.redis_url)
        }
        Name::Stop => {
            let StopArgs { target, now } = StopArgs::from_arg_matches(matches)?;
            let request = if now { SteerRequest::StopNow } else { SteerRequest::Stop };
            steer(target, request, load(matches)?.redis_url)
        }
        Name::Doctor => ProcessOrder::Doctor {
            json: DoctorArgs::from_arg_matches(matches)?.json,
            config: Box::new(load(matches)?),
        },
        Name::Web => ProcessOrder::Web(Box::new(load(matches)?)),
        Name::Completions => ProcessOrder::Completions(CompletionsArgs::from_arg_matches(matches)?.shell),
        Name::Man => ProcessOrder::Man(ManArgs::from_arg_matches(matches)?.command),
    };
    Ok(Some(Invocation::Process(order)))
}

fn steer(target: TargetArgs, request: SteerRequest, redis_url: Option<GivenUrl>) -> ProcessOrder {
    let patience = if target.no_wait { Patience::Send } else { Patience::Wait };
    // clap has ensured that there is a process or --all.
    let target = target.process.map_or(Target::All, Target::One);
    ProcessOrder::Steer { target, request, patience, redis_url }
}

fn uuid(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty() || text.len() > 12 || !hexadecimal {
        return Err("a process is named by its uuid, of 12 hex digits, or a prefix of it".to_owned());
    }
    Ok(text)
}

fn interval(text: &str) -> Result<Duration, String> {
    let (min, max) = (TOP_INTERVAL_MIN.as_secs_f64(), TOP_INTERVAL_MAX.as_secs_f64());
    match text.parse::<f64>() {
        Ok(seconds) if (min..=max).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("give a number of seconds from {min} to {max}")),
    }
}

const PROCESSES_HELP: &str = "\
Examples:
  jiggler-uring processes
  jiggler-uring processes --json | jq -r '.processes[] | select(.ok | not) | .uuid'

The jobs and the state of a process are as old as its heartbeat (stats_interval, 10 s by default). A quiet Ruby server \
removes its heartbeat, so it is not listed.

Exit status: 0 shown, 1 Redis refused or is away, 2 wrong usage or configuration";

const TOP_HELP: &str = "\
Keys: q, Esc or Ctrl-C quit; ? or h tells the keys, Esc leaves that; arrows, Page Up, Page Down, Home, End scroll, \
sideways too; a shows all queues or only the longest.

Counters, rates and queues are current. A process reports about itself, its shards and its running jobs once a second \
while a `top` is open, otherwise with each heartbeat; the head says how old the oldest report is. A Ruby server keeps to \
its heartbeat. While Redis is away the last state stays on screen and the head says so.

Exit status: 0 quit or shown, 1 Redis refused or is away, 2 wrong usage or configuration";

const QUIET_HELP: &str = "\
The process takes no more jobs and finishes those it runs, as at SIGTSTP. The only way back is a restart.

Examples:
  jiggler-uring quiet 06c7221317f9
  jiggler-uring quiet 06c7 --no-wait
  jiggler-uring quiet --all

Exit status: 0 every process is quiet (with --no-wait: has received the request), 1 one did not receive it or did not \
become quiet in time, there is none, or Redis refused or is away, 2 wrong usage or configuration";

const STOP_HELP: &str = "\
The process stops as at SIGTERM: it takes no more jobs, waits up to its own --shutdown-timeout for those it runs, \
hands back the rest and ends.

Examples:
  jiggler-uring stop 06c7221317f9
  jiggler-uring stop 06c7 --now
  jiggler-uring stop --all --no-wait

Exit status: 0 every process has gone (with --no-wait: has received the request), 1 one did not receive it or did not go \
in time, there is none, or Redis refused or is away, 2 wrong usage or configuration";

const DOCTOR_HELP: &str = "\
Give it the flags of the worker that will run here, and run it as the same user, in the same container or unit. \
Without Redis it still makes the other checks.

Examples:
  jiggler-uring doctor
  jiggler-uring doctor -C config/jiggler.yml -e production --cores 8 --json

Exit status: 0 nothing failed (there may be warnings), 1 a check failed, 2 wrong usage or configuration";

const WEB_HELP: &str = "\
/metrics has the queues, sets and processes of the fleet, for Prometheus; /health/ready fails while Redis does not answer; \
/api/v1/openapi.json describes what there is for programs as JSON. \
A worker serves its own metrics with --web.

Examples:
  jiggler-uring web
  jiggler-uring web --web 0.0.0.0:9394 --web-auth /etc/jiggler-uring/readers

Exit status: 0 ended by a signal, 1 the address is taken, or no Redis runs here, 2 wrong usage or configuration";

const COMPLETIONS_HELP: &str = "\
Examples:
  jiggler-uring completions bash > ~/.local/share/bash-completion/completions/jiggler-uring
  jiggler-uring completions fish > ~/.config/fish/completions/jiggler-uring.fish

Exit status: 0 printed, 1 the output could not be written, 2 wrong usage";

const MAN_HELP: &str = "\
Examples:
  jiggler-uring man > jiggler-uring.1
  jiggler-uring man summary > jiggler-uring-summary.1
  jiggler-uring man | man -l -

Exit status: 0 printed, 1 the output could not be written, 2 wrong usage";

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn order(line: &str) -> Result<ProcessOrder, String> {
        let args = std::iter::once("jiggler-uring").chain(line.split(' ')).map(OsString::from);
        match super::super::parse(args, &|_| None).map_err(|error| error.to_string())? {
            Invocation::Process(order) => Ok(order),
            other => panic!("{line} became {other:?}"),
        }
    }

    #[test]
    fn processes_are_steered_by_uuid_prefix_or_all_together() {
        let steer = |target, request, patience| {
            Ok(ProcessOrder::Steer { target, request, patience, redis_url: None })
        };
        let one = Target::One("06c7".to_owned());
        assert_eq!(order("quiet 06C7"), steer(one.clone(), SteerRequest::Quiet, Patience::Wait));
        assert_eq!(order("stop 06c7 --now --no-wait"), steer(one, SteerRequest::StopNow, Patience::Send));
        assert_eq!(order("stop --all"), steer(Target::All, SteerRequest::Stop, Patience::Wait));
        for line in ["quiet", "quiet 06c7 --all", "quiet --now 06c7", "stop host:1", "stop 06c7221317f90"] {
            assert!(order(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_others_take_what_they_need_and_no_more() {
        assert_eq!(
            order("processes --json --look"),
            Ok(ProcessOrder::Processes { json: true, look: true, redis_url: None })
        );
        let top =
            |view, ms| Ok(ProcessOrder::Top { view, interval: Duration::from_millis(ms), redis_url: None });
        assert_eq!(order("top"), top(TopView::Live, 1_000));
        assert_eq!(order("top --once --interval 0.5"), top(TopView::Once, 500));
        assert_eq!(order("top --json"), top(TopView::Json, 1_000));
        assert!(order("top --interval 0").is_err());
        let Ok(ProcessOrder::Doctor { json: false, config }) = order("doctor --cores 3 -q a,b") else {
            panic!()
        };
        assert_eq!((config.cores, config.queues.as_slice().len()), (Some(3), 2));
        let Ok(ProcessOrder::Web(config)) = order("web --web 9395 --web-open") else { panic!() };
        assert_eq!((config.web.map(|address| address.port()), config.web_open), (Some(9395), true));
        assert!(order("web --cores 2").is_err());
        assert_eq!(order("completions zsh"), Ok(ProcessOrder::Completions(clap_complete::Shell::Zsh)));
        assert_eq!(order("man summary"), Ok(ProcessOrder::Man(Some("summary".to_owned()))));
        assert!(order("completions cobol").is_err() && order("processes --cores 2").is_err());
    }
}
