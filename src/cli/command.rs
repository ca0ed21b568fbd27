//! The clap command: worker flags from the option table, subcommands, examples and exit codes in the help.
//!
//! Values are only text here; `config` parses them, so that a flag and a file reject a value with the same words.

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, builder::ValueParser, error::ErrorKind, parser::ValueSource,
};

use super::orders::{self, CANCEL, CancelArgs, ENQUEUE, EnqueueArgs, SUMMARY, SummaryArgs};
use super::{process_orders, program, words};
use crate::config::{
    Error, Origin, Raw,
    options::{Allowed, DefaultValue, OPTIONS, OptionId, OptionSpec},
    table,
    value::Value,
};

const ABOUT: &str = "Runs background jobs from Redis, one io_uring executor per core, \
                     wire-compatible with the Ruby gem jiggler";

const WORKER_HELP: &str = "\
Examples:
  jiggler-uring                                  Serve the queue `default` on all cores
  jiggler-uring --cores 4 -c 200 -q img:2,mail   Serve `img` before `mail`, 200 jobs in flight
  jiggler-uring -C config/jiggler.yml -e production
  jiggler-uring enqueue Sleep '[0.5]' --count 10
  jiggler-uring summary
  jiggler-uring jobs retries

A flag wins over its variable, the variable over the configuration file, the file over the default. The flags that find \
Redis, --config and --environment belong to every command, and may stand before or after its name.

Without --redis-url and REDIS_URL, the worker uses the server at 127.0.0.1:6379. If nothing listens there, it starts \
a private redis-server (or valkey-server) on a unix socket in ~/.local/state/jiggler-uring, which ends \
with the last worker that uses it.

Signals:
  TERM, INT   Stop: wait up to --shutdown-timeout for running jobs, hand back the rest
              (a second one: hand back at once)
  TSTP        Quiet: take no new jobs, but keep running
  HUP         Reread the configuration file (without one: stop)
  USR1        Log the state of the process, even while Redis, and with it `summary`, is away

Exit status: 0 done, 1 failed while running, 2 wrong usage or configuration";

const ENQUEUE_HELP: &str = "\
Examples:
  jiggler-uring enqueue Noop
  jiggler-uring enqueue Fib '[20]' --count 1000
  jiggler-uring enqueue ResizeImage '[42, 640, \"png\"]' --queue img --retries 5
  jiggler-uring enqueue Sleep '[0.1]' --in 5m
  jiggler-uring enqueue Report --at 2026-12-24T18:00:00Z --member tenant=acme --jid report-2026
  jids=$(jiggler-uring enqueue Fib '[20]' --count 3 --ids)
  jiggler-uring enqueue --bulk jobs.jsonl
  jiggler-uring enqueue Newsletter --bulk readers.jsonl --queue mail --spread 1h
  seq 1000 | sed 's/.*/[&]/' | jiggler-uring enqueue Resize --bulk - --queue img

If no living worker could run the job, as far as they say what they run, a note says so (not for a Redis user with a name, \
who need not have the right to look for workers).

A bulk stops at the first line that is not a job, with all lines before it pushed, and reports which line that is.

Exit status: 0 pushed, 1 Redis refused or is away, or a line of a bulk is not a job and others were pushed, \
2 wrong usage or configuration, or the first line of a bulk is not a job";

const SUMMARY_HELP: &str = "\
Examples:
  jiggler-uring summary
  jiggler-uring summary --json | jq .queues

Exit status: 0 shown, 1 Redis refused or is away, 2 wrong usage or configuration";

const CANCEL_HELP: &str = "\
The job is dropped at its next await point and goes to the dead set with class JigglerUring::Cancelled; it is \
not retried. A job that is not running is left alone; if it is in the retry, scheduled or dead set, that is said, with \
what removes it there.

Examples:
  jiggler-uring cancel 0d655a187e214821

Exit status: 0 sent, 1 it is in a set, no worker is listening, or Redis refused or is away, 2 wrong usage or configuration";

/// The version, with the commit it was built from if known (`packaging/build.rs`).
pub(crate) const VERSION: &str = env!("JIGGLER_URING_VERSION");

/// The options a subcommand needs to find Redis.
const FIND_REDIS: &[OptionId] = &[
    OptionId::RedisUrl,
    OptionId::Dialect,
    OptionId::RedisPasswordFile,
    OptionId::RedisCaFile,
    OptionId::RedisCertFile,
    OptionId::RedisKeyFile,
    OptionId::RedisServerName,
    OptionId::RedisSentinelPasswordFile,
    OptionId::ConfigFile,
    OptionId::Environment,
];

/// What the subcommand that serves metrics takes besides `FIND_REDIS`.
pub(super) const SERVE: &[OptionId] = &[
    OptionId::Web,
    OptionId::WebAuth,
    OptionId::WebPrefix,
    OptionId::WebOpen,
    OptionId::WebReadOnly,
    OptionId::Tag,
    OptionId::Verbose,
    OptionId::LogFormat,
];

/// The whole command line.
pub(super) fn command() -> Command {
    let worker = Command::new(program::name())
        .version(program::version())
        .about(ABOUT)
        // clap's own would show a flag that was guessed at as one that must be given.
        .override_usage(program::own("jiggler-uring [OPTIONS] [COMMAND]"))
        .after_help(WORKER_HELP)
        .after_long_help(format!("{WORKER_HELP}\n\n{}\n\n{}", without_flag(), words::TABLE))
        .args(OPTIONS.iter().filter_map(flag));
    let enqueue = EnqueueArgs::augment_args(Command::new(ENQUEUE)).after_help(ENQUEUE_HELP);
    let summary = SummaryArgs::augment_args(Command::new(SUMMARY)).after_help(SUMMARY_HELP);
    let cancel = words::beside(CancelArgs::augment_args(Command::new(CANCEL)), CANCEL_HELP);
    let commands = [enqueue, summary, cancel].into_iter().chain(orders::job_commands());
    let worker = worker.subcommands(commands.map(with_redis)).subcommand(orders::run_command());
    let whole = process_orders::add_to(worker);
    let whole = whole.mut_args(take_negative).mut_subcommands(|command| command.mut_args(take_negative));
    speak_of_program(whole).mut_subcommands(speak_of_program)
}

/// Examples name the program that is asked.
fn speak_of_program(command: Command) -> Command {
    let own = |text: Option<&clap::builder::StyledStr>| text.map(|text| program::own(&text.to_string()));
    let (short, long) = (own(command.get_after_help()), own(command.get_after_long_help()));
    let command = match short {
        Some(text) => command.after_help(text),
        None => command,
    };
    match long {
        Some(text) => command.after_long_help(text),
        None => command,
    }
}

/// `--count -1` is rejected as a bad number, not as an unknown option.
fn take_negative(arg: Arg) -> Arg {
    let takes_value = arg.get_action().takes_values() && !arg.is_positional();
    if takes_value { arg.allow_negative_numbers(true) } else { arg }
}

/// Whether a flag of the table was given, before the name of a subcommand or, with its own matches, after it.
fn is_given(matches: &ArgMatches, spec: &OptionSpec) -> bool {
    matches.try_contains_id(spec.key).unwrap_or(false)
        && matches.value_source(spec.key) == Some(ValueSource::CommandLine)
}

/// Refuses a flag before the name of a subcommand that does not have it.
///
/// # Errors
/// An error of usage that names the flag and the subcommand.
pub(super) fn check_flags(whole: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, own)) = whole.subcommand() else { return Ok(()) };
    let is_stray = |spec: &&OptionSpec| is_given(whole, spec) && own.try_contains_id(spec.key).is_err();
    match OPTIONS.iter().find(is_stray).and_then(|spec| spec.flag) {
        None => Ok(()),
        Some(flag) => {
            let text = format!(
                "the flag '--{flag}' cannot be used with '{name}': only a worker takes it\n\nFor more information, try \
                 '--help'.\n"
            );
            Err(clap::Error::raw(ErrorKind::ArgumentConflict, text))
        }
    }
}

/// What the flags of one command set. A command without a flag leaves it unset.
pub(super) fn flags(matches: &ArgMatches) -> Result<Raw, Error> {
    let mut raw = Raw::default();
    for spec in OPTIONS {
        let Some(flag) = spec.flag else { continue };
        if !is_given(matches, spec) {
            continue;
        }
        let value = match spec.allowed {
            Allowed::Switch => Value::Switch(matches.get_flag(spec.key)),
            _ => {
                let texts = matches.get_many::<String>(spec.key).into_iter().flatten();
                let mut values: Vec<Value<'_>> = texts.map(|text| Value::Text(text.into())).collect();
                if values.len() == 1 { values.swap_remove(0) } else { Value::List(values) }
            }
        };
        raw.set(spec, &value, Origin::Flag(flag))?;
    }
    Ok(raw)
}

/// The command with the flags by which it finds Redis.
pub(super) fn with_redis(command: Command) -> Command {
    with_flags(command, FIND_REDIS).mut_subcommands(|command| with_flags(command, FIND_REDIS))
}

/// The command with these flags of the worker.
pub(super) fn with_flags(command: Command, ids: &[OptionId]) -> Command {
    let rows = OPTIONS.iter().filter(|spec| ids.contains(&spec.id));
    command.args(rows.filter_map(flag))
}

/// The clap argument of one row, if it has a flag.
fn flag(spec: &'static OptionSpec) -> Option<Arg> {
    let flag = spec.flag?;
    let action = match (spec.id, spec.allowed) {
        (_, Allowed::Switch) => ArgAction::SetTrue,
        (OptionId::Queues, _) => ArgAction::Append,
        _ => ArgAction::Set,
    };
    // The key, not the flag, is clap's id: `enqueue` has its own `--queue`.
    let mut arg = Arg::new(spec.key).long(flag).value_name(spec.value_name).help(help(spec)).action(action);
    if !matches!(spec.allowed, Allowed::Switch) {
        arg = arg.value_parser(ValueParser::string());
    }
    if let Some(short) = spec.short {
        arg = arg.short(short);
    }
    if spec.id == OptionId::PrivateRedis || (FIND_REDIS.contains(&spec.id) && !is_of_file(spec.id)) {
        arg = arg.help_heading("Redis");
    }
    if let Some(gem_key) = spec.gem_key {
        arg = arg.alias(gem_key);
    }
    Some(arg.hide(spec.id == OptionId::Unused))
}

/// Whether it is about the configuration file, not about Redis.
const fn is_of_file(id: OptionId) -> bool {
    matches!(id, OptionId::ConfigFile | OptionId::Environment)
}

/// The options that have no flag, with their variables.
fn without_flag() -> String {
    let mut text = "Options without a flag, set by a variable or in the configuration file:".to_owned();
    for spec in table::rows().filter(|spec| spec.flag.is_none()) {
        let variables: Vec<&str> = spec.variables().collect();
        let default = table::default(spec).replace('`', "");
        text.push_str(&format!("\n  {:<24}  {} [default: {default}]", variables.join(", "), spec.help));
    }
    text
}

fn help(spec: &OptionSpec) -> String {
    let mut help = spec.help.to_owned();
    if let Allowed::Words(words) = spec.allowed {
        help.push_str(&format!(" [{}]", words.join("|")));
    }
    if !matches!(spec.default, DefaultValue::Nothing | DefaultValue::Switch(false)) {
        help.push_str(&format!(" [default: {}]", spec.default));
    }
    // The name alone: a variable may hold a password.
    let variables: Vec<&str> = spec.variables().collect();
    if !variables.is_empty() {
        help.push_str(&format!(" [env: {}]", variables.join(", ")));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        command().debug_assert();
    }

    /// Every row with a flag is in the help with its default and variable, and no flag exists outside the table.
    #[test]
    fn the_help_shows_the_whole_table_and_nothing_else() {
        let command = command();
        let help = command.clone().term_width(10_000).render_long_help().to_string();
        for spec in OPTIONS.iter().filter(|spec| spec.flag.is_some() && spec.id != OptionId::Unused) {
            let flag = format!("--{}", spec.flag.unwrap());
            let entry = help.lines().skip_while(|line| !line.split_whitespace().any(|word| word == flag));
            let entry: String = entry.take(2).collect();
            assert!(entry.contains(&super::help(spec)), "{}: {entry}", spec.key);
        }
        for arg in command.get_arguments() {
            let known = OPTIONS.iter().any(|spec| spec.flag == arg.get_long());
            assert!(known, "{arg} is not in the table");
        }
        for spec in table::rows() {
            let variables: Vec<&str> = spec.variables().collect();
            assert!(help.contains(&variables.join(", ")), "{}: {help}", spec.key);
        }
    }

    #[test]
    fn every_command_that_reaches_redis_finds_it_by_the_same_flags() {
        for subcommand in command().get_subcommands() {
            let name = subcommand.get_name();
            if ["completions", "man", orders::RUN].contains(&name) {
                continue;
            }
            for id in FIND_REDIS {
                let spec = OptionSpec::of(*id).unwrap();
                let arg = subcommand.get_arguments().find(|arg| arg.get_long() == spec.flag);
                let heading = arg.map(Arg::get_help_heading);
                let expected = if is_of_file(*id) { None } else { Some("Redis") };
                assert_eq!(heading, Some(expected), "{name} --{}", spec.flag.unwrap());
            }
        }
    }
}
