//! The log: lines on standard error, as text for people or JSON for machines.
//!
//! Standard output is for results. Which events there are is up to each module; how many of them are logged, to
//! [`super::log_levels`]; how a line looks, to [`super::log_lines`]. Logging never waits for the reader of the log
//! ([`super::log_queue`]); a handler that prints by itself may.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing::Level;
use tracing_subscriber::{
    Layer, Registry,
    field::MakeExt,
    filter::{FilterExt, Targets},
    fmt::{
        MakeWriter,
        format::{JsonFields, debug_fn},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

use super::log_floods::{Floods, Sampling, Sum};
use super::log_levels::Levels;
use super::log_lines::{JsonLines, TextLines, write_field};
use super::log_queue::{LogQueue, Notice, Teller};
use crate::config::{LogFormat, LogLevel};
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
    filter: reload::Handle<Targets, Registry>,
    levels: Levels,
    floods: Arc<Floods>,
    queue: Arc<LogQueue>,
}

/// Sends the events of this process to standard error, by a thread that calls `prepare` first: it may have to block
/// signals, because it is created before they are blocked for all. `asked` is what `RUST_LOG` says.
///
/// # Errors
/// No thread can be created.
pub(crate) fn install(
    level: LogLevel,
    asked: Option<&str>,
    format: LogFormat,
    prepare: impl FnOnce() + Send + 'static,
) -> io::Result<Installed> {
    let colour = io::stderr().is_terminal();
    let floods = Arc::new(Floods::new());
    let tell: Teller = Box::new(move |notice| line_of(notice, format, colour));
    let queue = LogQueue::start(Arc::clone(&floods), tell, prepare)?;
    let layer = layer(format, Arc::clone(&queue), colour);
    let (levels, misread) = Levels::of(asked);
    let targets = levels.targets(level);
    floods.heed(&targets);
    let (layer_filter, filter) = reload::Layer::new(targets);
    let sampling = Sampling(Arc::clone(&floods));
    Ok(match Registry::default().with(layer.with_filter(layer_filter.and(sampling))).try_init() {
        Ok(()) => {
            // Nothing else sets it: a second log is refused above.
            let _only_once = LOG.set(Log { filter, levels, floods, queue });
            if let Some(error) = misread {
                tracing::warn!(%error, "RUST_LOG is not obeyed: write a level, or target=level, or several with commas");
            }
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
    let layer = layer(format, Arc::clone(&line), colour);
    tracing::subscriber::with_default(Registry::default().with(layer), || match notice {
        Notice::Dropped(lines) => {
            tracing::warn!(lines, "log lines were dropped while the reader of standard error did not read");
        }
        Notice::More(Sum { level, message, lines, of }) => {
            let (job, class) = of.as_ref().map(|of| (of.job.as_str(), of.class.as_str())).unzip();
            let seconds = LOG_FLOOD_SPAN.as_secs();
            // The level of a callsite is fixed. Fields without a value are left out.
            match *level {
                Level::ERROR => {
                    tracing::error!(lines, job, class, "{message}: {lines} more like it in {seconds} s");
                }
                Level::WARN => {
                    tracing::warn!(lines, job, class, "{message}: {lines} more like it in {seconds} s");
                }
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
    let Some(log) = LOG.get() else { return false };
    let targets = log.levels.targets(level);
    log.floods.heed(&targets);
    log.filter.reload(targets).is_ok()
}

fn layer<S, W>(format: LogFormat, writer: W, colour: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // What cannot be formatted would be reported past the queue.
    let layer =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour).log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let fields = debug_fn(write_field).delimited(" ");
            layer.event_format(TextLines).fmt_fields(fields).boxed()
        }
        LogFormat::Json => {
            layer.with_ansi(false).event_format(JsonLines).fmt_fields(JsonFields::new()).boxed()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::log_floods::Failing;
    use super::*;
    use crate::stats::here::{self, JobHere};

    /// What is logged while this runs.
    fn logged(level: LogLevel, format: LogFormat, run: impl FnOnce()) -> String {
        let lines = Arc::new(Line::default());
        let layer = layer(format, Arc::clone(&lines), false);
        let filter = Levels::of(None).0.targets(level);
        tracing::subscriber::with_default(Registry::default().with(layer.with_filter(filter)), run);
        String::from_utf8(lines.take()).unwrap()
    }

    fn some_lines() {
        tracing::info!(queue = "img", jobs = 3, "taken");
        tracing::debug!("detail");
        tracing::info!(target: "glommio::executor", "chatter");
    }

    /// The members of a line of JSON, with each key as often as it comes.
    fn keys(json: &str) -> Vec<String> {
        struct Keys(Vec<String>);
        impl<'de> serde::Deserialize<'de> for Keys {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = Keys;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                        let mut keys = Vec::new();
                        while let Some((key, _)) = map.next_entry::<String, serde::de::IgnoredAny>()? {
                            keys.push(key);
                        }
                        Ok(Keys(keys))
                    }
                }
                deserializer.deserialize_map(Visitor)
            }
        }
        serde_json::from_str::<Keys>(json).unwrap().0
    }

    #[test]
    fn text_lines_hold_key_and_value() {
        let text = logged(LogLevel::Info, LogFormat::Text, some_lines);
        assert!(text.contains("INFO taken queue=\"img\" jobs=3"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn values_of_others_are_bounded_and_steer_no_terminal() {
        let evil = "a\u{1b}[2J\u{202e}\n";
        let long = "x".repeat(70_000);
        let text = logged(LogLevel::Info, LogFormat::Text, || {
            tracing::warn!(queue = evil, error = %evil, %long, "said {evil}");
        });
        let shown = "a\\u{1b}[2J\\u{202e}\\n";
        assert!(text.contains(&format!("said {shown} queue=\"{shown}\" error={shown} long=xxx")), "{text}");
        assert!(text.ends_with(" more bytes)\n") && text.len() < 3_000, "{text}");
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_on_top() {
        let text = logged(LogLevel::Debug, LogFormat::Json, some_lines);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!((&lines[0]["queue"], &lines[0]["jobs"]), (&"img".into(), &3.into()));
        assert_eq!((&lines[1]["message"], &lines[1]["level"]), (&"detail".into(), &"DEBUG".into()));
    }

    #[test]
    fn values_with_blanks_are_quoted_whatever_they_are() {
        let text = logged(LogLevel::Info, LogFormat::Text, || {
            let (plain, quotes) = ("no blank".to_owned(), r#""a" or "b\""#);
            tracing::info!(error = %plain, %quotes, one = %"word", none = %"", list = ?["a b"], "it is {plain}");
        });
        let expected = r#" INFO it is no blank error="no blank" quotes="\"a\" or \"b\\\"" one=word none="" list="[\"a b\"]""#;
        assert!(text.trim_end().ends_with(expected), "{text}\n{expected}");
    }

    #[test]
    fn json_never_has_a_key_twice() {
        let text = logged(LogLevel::Info, LogFormat::Json, || {
            tracing::info_span!("job", name = "N", jid = "j").in_scope(|| {
                tracing::info!(message = "own", level = 3, target = "moon", spans = 1, timestamp = 0, "said");
            });
        });
        let mut keys = keys(&text);
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), all), (10, 10), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&json["level"], &json["level_"], &json["target_"]),
            (&"INFO".into(), &3.into(), &"moon".into())
        );
        assert_eq!(json["spans"], serde_json::json!([{"name": "job", "name_": "N", "jid": "j"}]));
        assert!(json["message"] == "said" || json["message_"] == "said", "{text}");
    }

    #[test]
    fn lines_of_a_job_name_it_except_where_they_do_so_themselves() {
        let job = JobHere { name: "Mail".to_owned(), jid: "j1".to_owned(), queue: "mails now".to_owned() };
        let told = |format| {
            logged(LogLevel::Info, format, || {
                here::run_for(Some(&Arc::new(job.clone())), || tracing::info!(jid = 7, "sent"));
                tracing::info!("idle");
            })
        };
        let text = told(LogFormat::Text);
        assert!(text.contains(r#"INFO sent jid=7 job="Mail" queue="mails now""#), "{text}");
        assert!(text.ends_with("INFO idle\n"), "{text}");
        let json = told(LogFormat::Json);
        let sent: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&sent["job"], &sent["jid"], &sent["queue"]),
            (&"Mail".into(), &7.into(), &"mails now".into())
        );
        assert!(!json.lines().last().unwrap().contains("queue"), "{json}");
    }

    #[test]
    fn a_backtrace_has_lines_of_its_own_in_text_and_a_member_in_json() {
        let log = |format| {
            logged(LogLevel::Info, format, || {
                tracing::error!(place = "a.rs:1", backtrace = "0: main\n1: \u{1b}[2J", "a job panicked");
            })
        };
        let text = log(LogFormat::Text);
        assert!(
            text.ends_with("a job panicked place=\"a.rs:1\"\n    0: main\n    1: \\u{1b}[2J\n"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&log(LogFormat::Json)).unwrap();
        assert_eq!(json["backtrace"], "0: main\n1: \u{1b}[2J");
    }

    #[test]
    fn what_the_log_reports_about_itself_is_in_its_format() {
        let told = |notice, format| String::from_utf8(line_of(notice, format, false)).unwrap();
        let text = told(&Notice::Dropped(7), LogFormat::Text);
        assert!(text.contains(" WARN log lines were dropped") && text.ends_with(" lines=7\n"), "{text}");
        let of = Some(Failing { job: "Mail".to_owned(), class: "Timeout".to_owned() });
        let more = Sum { level: Level::ERROR, message: "no job".to_owned(), lines: 4_812, of };
        let json = told(&Notice::More(more), LogFormat::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["lines"], &json["level"]), (&4_812.into(), &"ERROR".into()));
        assert_eq!(json["message"], "no job: 4812 more like it in 10 s");
        assert_eq!((&json["job"], &json["class"]), (&"Mail".into(), &"Timeout".into()));
    }
}
