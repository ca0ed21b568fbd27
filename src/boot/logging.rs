//! The log: lines on standard error, as text for people or JSON for machines.
//!
//! Standard output is for results. Which events there are is up to each module; levels come from the configuration alone,
//! so that `RUST_LOG` of a surrounding shell changes nothing. Logging never waits for the reader of the log
//! ([`super::log_queue`]); a handler that prints by itself may.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing::{Level, field::Field};
use tracing_subscriber::{
    Layer, Registry,
    field::MakeExt,
    filter::{FilterExt, Targets},
    fmt::{
        MakeWriter,
        format::{Writer, debug_fn},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use super::log_floods::{Floods, Sampling, Sum};
use super::log_queue::{LogQueue, Notice, Teller};
use crate::config::{LogFormat, LogLevel};
use crate::foreign::Foreign;
use crate::limits::LOG_FLOOD_SPAN;

/// Whether our log was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    /// This call installed it.
    Now,
    /// The program has already installed one; it stays.
    Before,
}

/// How our own log is changed and ended; there is one log per process.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    level: reload::Handle<Targets, Registry>,
    queue: Arc<LogQueue>,
}

/// Sends the events of this process to standard error, by a thread that calls `prepare` first: it may have to block
/// signals, because it is created before they are blocked for all.
///
/// # Errors
/// No thread can be created.
pub(crate) fn install(
    level: LogLevel,
    format: LogFormat,
    prepare: impl FnOnce() + Send + 'static,
) -> io::Result<Installed> {
    let colour = io::stderr().is_terminal();
    let floods = Arc::new(Floods::new());
    let tell: Teller = Box::new(move |notice| line_of(notice, format, colour));
    let queue = LogQueue::start(Arc::clone(&floods), tell, prepare)?;
    let layer = layer(format, Arc::clone(&queue), colour);
    let (filter, level) = reload::Layer::new(targets(level));
    Ok(match Registry::default().with(layer.with_filter(filter.and(Sampling(floods)))).try_init() {
        Ok(()) => {
            // Nothing else sets it: a second log is refused above.
            let _only_once = LOG.set(Log { level, queue });
            Installed::Now
        }
        Err(_) => Installed::Before,
    })
}

/// Waits until everything logged is written, or for a second at most.
pub(crate) fn flush() {
    if let Some(log) = LOG.get() {
        log.queue.flush();
    }
}

/// Standard error for a last message: behind the lines of the log, and like these without waiting. Where no log is
/// installed it is the real one.
#[derive(Debug, Default)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match LOG.get() {
            Some(log) => (&*log.queue).write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        flush();
        Ok(())
    }
}

/// The line of a notice, which bypasses the queue and the filter.
fn line_of(notice: &Notice, format: LogFormat, colour: bool) -> Vec<u8> {
    let line = Arc::new(Line::default());
    let layer = layer(format, Arc::clone(&line), colour).with_filter(targets(LogLevel::Info));
    tracing::subscriber::with_default(Registry::default().with(layer), || match notice {
        Notice::Dropped(lines) => {
            tracing::warn!(lines, "log lines were dropped while the reader of standard error did not read");
        }
        Notice::More(Sum { level, message, lines }) => {
            let seconds = LOG_FLOOD_SPAN.as_secs();
            // The level of a callsite is fixed.
            match *level {
                Level::ERROR => tracing::error!(lines, "{message}: {lines} more like it in {seconds} s"),
                Level::WARN => tracing::warn!(lines, "{message}: {lines} more like it in {seconds} s"),
                _ => tracing::info!(lines, "{message}: {lines} more like it in {seconds} s"),
            }
        }
    });
    line.take()
}

/// A line that is kept.
#[derive(Debug, Default)]
struct Line(Mutex<Vec<u8>>);

impl Line {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for &Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Changes how much is logged from now on. Returns `false` if the log is the program's own, which stays unchanged.
pub(crate) fn set_level(level: LogLevel) -> bool {
    LOG.get().is_some_and(|log| log.level.reload(targets(level)).is_ok())
}

/// The runtime below us is heard only when something is wrong.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    Targets::new().with_default(level).with_target("glommio", Level::WARN)
}

fn layer<S, W>(format: LogFormat, writer: W, colour: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // What cannot be formatted would be reported past the queue.
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let fields = debug_fn(write_field).delimited(" ");
            layer.with_target(false).with_ansi(colour).fmt_fields(fields).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// A field as text: bounded, and safe for a terminal, because its value may be of outside origin.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let text = format!("{value:?}");
    let (name, value) = (field.name(), Foreign::text(&text));
    match (name, writer.has_ansi_escapes()) {
        ("message", _) => write!(writer, "{value}"),
        (_, false) => write!(writer, "{name}={value}"),
        (_, true) => write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(level: LogLevel, format: LogFormat) -> String {
        let lines = Arc::new(Line::default());
        let layer = layer(format, Arc::clone(&lines), false);
        let subscriber = Registry::default().with(layer.with_filter(targets(level)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(queue = "img", jobs = 3, "taken");
            tracing::debug!("detail");
            tracing::info!(target: "glommio::executor", "chatter");
        });
        String::from_utf8(lines.take()).unwrap()
    }

    #[test]
    fn text_lines_hold_key_and_value() {
        let text = logged(LogLevel::Info, LogFormat::Text);
        assert!(text.contains("INFO taken queue=\"img\" jobs=3"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn values_of_others_are_bounded_and_steer_no_terminal() {
        let lines = Arc::new(Line::default());
        let layer = layer(LogFormat::Text, Arc::clone(&lines), false);
        let subscriber = Registry::default().with(layer.with_filter(targets(LogLevel::Info)));
        let evil = "a\u{1b}[2J\u{202e}\n";
        let long = "x".repeat(70_000);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(queue = evil, error = %evil, %long, "said {evil}");
        });
        let text = String::from_utf8(lines.take()).unwrap();
        let shown = "a\\u{1b}[2J\\u{202e}\\n";
        assert!(text.contains(&format!("said {shown} queue=\"{shown}\" error={shown} long=xxx")), "{text}");
        assert!(text.ends_with(" more bytes)\n") && text.len() < 3_000, "{text}");
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_on_top() {
        let text = logged(LogLevel::Debug, LogFormat::Json);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!((&lines[0]["queue"], &lines[0]["jobs"]), (&"img".into(), &3.into()));
        assert_eq!((&lines[1]["message"], &lines[1]["level"]), (&"detail".into(), &"DEBUG".into()));
    }

    #[test]
    fn what_the_log_reports_about_itself_is_in_its_format() {
        let told = |notice, format| String::from_utf8(line_of(notice, format, false)).unwrap();
        let text = told(&Notice::Dropped(7), LogFormat::Text);
        assert!(text.contains(" WARN log lines were dropped") && text.ends_with(" lines=7\n"), "{text}");
        let more = Sum { level: Level::ERROR, message: "no job".to_owned(), lines: 4_812 };
        let json = told(&Notice::More(more), LogFormat::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["lines"], &json["level"]), (&4_812.into(), &"ERROR".into()));
        assert_eq!(json["message"], "no job: 4812 more like it in 10 s");
    }
}
