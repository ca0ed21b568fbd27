//! The log: lines on standard error, as text for people or JSON for machines.
//!
//! Standard output belongs to results. Which events there are is each module's; levels come from the configuration
//! alone, so that `RUST_LOG` of a surrounding shell changes nothing.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use tracing::Level;
use tracing_subscriber::{
    Layer, Registry, filter::Targets, layer::SubscriberExt, registry::LookupSpan, reload,
    util::SubscriberInitExt,
};

use crate::config::{LogFormat, LogLevel};

/// Whether a log of ours was installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    /// This call installed it.
    Now,
    /// The program has installed one before; it stays.
    Before,
}

/// How the level of our own log is changed; there is one log a process.
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Sends the events of this process to standard error.
#[must_use]
pub(crate) fn install(level: LogLevel, format: LogFormat) -> Installed {
    let layer = layer(format, io::stderr, io::stderr().is_terminal());
    let (filter, handle) = reload::Layer::new(targets(level));
    match Registry::default().with(layer.with_filter(filter)).try_init() {
        Ok(()) => {
            // Nobody else sets it: a second log is refused above.
            let _only_once = LEVEL.set(handle);
            Installed::Now
        }
        Err(_) => Installed::Before,
    }
}

/// Changes how much is logged from now on. `false`: the log is the program's own, and stays as it is.
pub(crate) fn set_level(level: LogLevel) -> bool {
    LEVEL.get().is_some_and(|handle| handle.reload(targets(level)).is_ok())
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
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => layer.with_target(false).with_ansi(colour).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LogLevel, format: LogFormat) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = layer(format, move || writer.clone(), false);
        let subscriber = Registry::default().with(layer.with_filter(targets(level)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(queue = "img", jobs = 3, "taken");
            tracing::debug!("detail");
            tracing::info!(target: "glommio::executor", "chatter");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_lines_hold_key_and_value() {
        let text = logged(LogLevel::Info, LogFormat::Text);
        assert!(text.contains("INFO taken queue=\"img\" jobs=3"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
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
}
