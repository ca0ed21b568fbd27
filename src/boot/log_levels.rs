//! Which events are logged: by the configuration, and by `RUST_LOG`.
//!
//! What `RUST_LOG` says of a target holds for that target. Everything else is logged at the level that it names without a
//! target, or else at `info`; with `--verbose` at `debug` at least.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};

use crate::config::LogLevel;
use crate::stats::here::JOB_SPAN;

/// What `RUST_LOG` asks for.
#[derive(Debug, Default)]
pub(super) struct Levels {
    asked: Targets,
}

impl Levels {
    /// Reads the variable; what cannot be read asks for nothing, and is returned as an error.
    pub(super) fn of(variable: Option<&str>) -> (Self, Option<ParseError>) {
        let text = variable.map(str::trim).filter(|text| !text.is_empty());
        match text.map(str::parse).transpose() {
            Ok(asked) => (Self { asked: asked.unwrap_or_default() }, None),
            Err(error) => (Self::default(), Some(error)),
        }
    }

    /// What is logged at this level of the configuration.
    pub(super) fn targets(&self, configured: LogLevel) -> Targets {
        let configured = match configured {
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        let everything = match self.asked.default_level() {
            Some(asked) if configured == LevelFilter::INFO => asked,
            Some(asked) => configured.max(asked),
            None => configured,
        };
        // The runtime below us is heard only when something is wrong.
        Targets::new()
            .with_default(everything)
            .with_target("glommio", LevelFilter::WARN)
            .with_targets(self.asked.iter())
            .with_target(JOB_SPAN, LevelFilter::OFF)
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn check(variable: &str, configured: LogLevel, target: &str, logged: Option<Level>) {
        let (levels, error) = Levels::of(Some(variable));
        assert!(error.is_none(), "{variable}: {error:?}");
        let targets = levels.targets(configured);
        let all = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        let most = all.into_iter().rfind(|level| targets.would_enable(target, level));
        assert_eq!(most, logged, "RUST_LOG={variable} {configured:?} {target}");
    }

    #[test]
    fn a_target_is_logged_as_asked_and_all_else_at_the_level_without_one() {
        use LogLevel::{Debug, Info};
        for (variable, configured, target, logged) in [
            ("", Info, "app", Some(Level::INFO)),
            ("", Debug, "app", Some(Level::DEBUG)),
            ("warn", Info, "app", Some(Level::WARN)),
            ("warn", Debug, "app", Some(Level::DEBUG)),
            ("trace", Info, "app", Some(Level::TRACE)),
            ("trace", Debug, "app", Some(Level::TRACE)),
            ("app=trace", Info, "app::mails", Some(Level::TRACE)),
            ("app=trace", Info, "other", Some(Level::INFO)),
            ("error,app=debug", Info, "jiggler_uring", Some(Level::ERROR)),
            ("app=off", Debug, "app", None),
            ("trace", Info, "glommio", Some(Level::WARN)),
            ("glommio=debug", Info, "glommio", Some(Level::DEBUG)),
            ("trace", Debug, JOB_SPAN, None),
            ("jiggler_uring::failures=error", Info, "jiggler_uring::failures", Some(Level::ERROR)),
        ] {
            check(variable, configured, target, logged);
        }
    }

    #[test]
    fn what_cannot_be_read_asks_for_nothing() {
        let (levels, error) = Levels::of(Some("app=loud"));
        assert!(error.is_some());
        assert!(levels.targets(LogLevel::Info).would_enable("app", &Level::INFO));
    }
}
