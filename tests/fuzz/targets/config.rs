//! The configuration file: any bytes are read or refused with their line, and what is accepted means the same when it
//! is written out plainly and read again.
//!
//! The file goes through the whole load, like a worker's. Not here: the url in it (`url`).

use std::cell::OnceCell;
use std::fmt::Write;
use std::fs;

use jiggler_uring::config::options::{Allowed, OptionId, OptionSpec};
use jiggler_uring::config::value::Value;
use jiggler_uring::config::{Config, Error, LogLevel, Origin, Raw};
use jiggler_uring::internal::limits::QUEUES_MAX;
use tempfile::{Builder, NamedTempFile};

/// The most an error may print: a few lines of a terminal.
const ERROR_BYTES_MAX: usize = 2_000;

thread_local! {
    /// The file that is written and loaded over and over.
    static FILE: OnceCell<NamedTempFile> = const { OnceCell::new() };
}

/// Checks one file, alone and together with a named environment.
pub fn run(data: &[u8]) {
    for environment in [None, Some("production")] {
        match load(data, environment) {
            Ok(config) => check_config(data, &config, environment),
            Err(error) => check_error(data, &error),
        }
    }
}

fn load(data: &[u8], environment: Option<&str>) -> Result<Config, Error> {
    FILE.with(|file| {
        let path = file.get_or_init(in_memory).path();
        fs::write(path, data).unwrap();
        let spec = OptionSpec::of(OptionId::ConfigFile).unwrap();
        let mut flags = Raw::default();
        flags.set(spec, &Value::Text(path.to_string_lossy()), Origin::Flag("config"))?;
        Config::load(flags, &|name| environment.filter(|_| name == "APP_ENV").map(Into::into))
    })
}

/// A file in memory where possible: a disk would make each case wait.
fn in_memory() -> NamedTempFile {
    let mut builder = Builder::new();
    builder.suffix(".yml");
    builder.tempfile_in("/dev/shm").or_else(|_| builder.tempfile()).unwrap()
}

/// An error names a line of the file, and the file has that line.
fn check_error(data: &[u8], error: &Error) {
    let text = error.to_string();
    assert!(text.contains(".yml"), "an error names the file: {text}");
    assert!(text.len() <= ERROR_BYTES_MAX, "people must be able to read an error: {text}");
    let line = match error {
        Error::BadValue { origin: Origin::File { line, .. }, .. }
        | Error::UnknownKey { line, .. }
        | Error::KeyTwice { line, .. }
        | Error::Syntax { line, .. }
        | Error::Erb { line, .. }
        | Error::TooDeep { line, .. }
        | Error::Shape { line, .. } => *line,
        Error::NotUnicode { .. } => {
            assert!(std::str::from_utf8(data).is_err());
            return;
        }
        other => panic!("neither line nor encoding: {other:?}"),
    };
    // A lone carriage return ends a line of YAML too; the end of the file is after the last line.
    let lines = 2 + data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    assert!((1..=lines).contains(&line), "line {line} of {lines}: {text}");
}

/// Every value is within the bounds of its option, and unchanged when it is written out plainly and read again.
fn check_config(data: &[u8], config: &Config, environment: Option<&str>) {
    assert!(!format!("{config:?} {:?}", config.unused_note()).is_empty());
    assert!((1..=QUEUES_MAX).contains(&config.queues.as_slice().len()));
    let poll_s = config.poll_interval.as_secs_f64();
    let numbers = [
        (OptionId::Cores, config.cores.map(|cores| cores as f64)),
        (OptionId::Concurrency, config.concurrency.map(|jobs| jobs as f64)),
        (OptionId::Timeout, Some(config.timeout.as_secs_f64())),
        (OptionId::StatsInterval, Some(config.stats_interval.as_secs_f64())),
        (OptionId::PollInterval, Some(poll_s)),
        (OptionId::MaxDeadJobs, Some(config.max_dead_jobs as f64)),
        (OptionId::DeadTimeout, Some(config.dead_timeout.as_secs_f64())),
    ];
    for (id, number) in numbers {
        let (Allowed::Number { min, max } | Allowed::Decimal { min, max }) =
            OptionSpec::of(id).unwrap().allowed
        else {
            panic!("{id:?} has no bounds")
        };
        let within = |number: f64| (min as f64..=max as f64).contains(&number);
        assert!(number.is_none_or(within), "{id:?}: {number:?}");
    }
    // Only Ruby runs ERB, so a plain file cannot contain what looks like it.
    let plain = plain(config);
    if !plain.contains("<%") {
        let again = load(plain.as_bytes(), environment).unwrap_or_else(|error| panic!("{error} in: {plain}"));
        let config = Config { redis_url: None, unused: Vec::new(), runners: Vec::new(), ..config.clone() };
        assert_eq!(again, config, "{} was written as {plain}", data.escape_ascii());
    }
}

/// A file that means the same as `config`, except for the url, whose password cannot be read back, and the runners.
fn plain(config: &Config) -> String {
    let mut file = String::new();
    let mut say = |key: &str, value: &dyn std::fmt::Display| writeln!(file, "{key}: {value}").unwrap();
    if let Some(cores) = config.cores {
        say("cores", &cores);
    }
    if let Some(concurrency) = config.concurrency {
        say("concurrency", &concurrency);
    }
    let queues: Vec<String> = config.queues.as_slice().iter().map(ToString::to_string).collect();
    say("queues", &quoted(&queues.join(",")));
    say("timeout", &config.timeout.as_secs());
    say("environment", &quoted(&config.environment));
    say("mode", &config.mode);
    say("verbose", &(config.log_level == LogLevel::Debug));
    say("log_format", &config.log_format.as_str());
    say("stats_interval", &config.stats_interval.as_secs());
    say("poller_enabled", &config.poller_enabled);
    say("poll_interval", &config.poll_interval.as_secs_f64());
    say("max_dead_jobs", &config.max_dead_jobs);
    say("dead_timeout", &config.dead_timeout.as_secs());
    file
}

/// Text in YAML's double quotes, which take JSON's escapes.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
