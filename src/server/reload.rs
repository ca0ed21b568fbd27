//! Rereads the configuration at SIGHUP: from the same command line, environment and file as at the start.
//!
//! Options that may change while the process runs take effect; others that have changed are named and wait for a restart. A
//! configuration that is rejected changes nothing.

use super::launch::settings;
use crate::boot::logging;
use crate::cli;
use crate::config::Config;
use crate::config::options::{Change, OPTIONS, OptionId};
use crate::control::Reload;

/// How to reread the configuration. `None` if the program made it itself, or there is no file.
pub(super) type Source = Option<fn() -> Result<Config, cli::Error>>;

/// What control calls at SIGHUP; `running` is the configuration in force.
pub(super) fn reload(source: Source, running: &Config) -> Option<Reload> {
    let read = source?;
    let mut running = running.clone();
    Some(Box::new(move || {
        let config = match read() {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "the configuration cannot be reread; the old one stays in force");
                return None;
            }
        };
        tell(&running.differences(&config), &running.different_lists(&config));
        let before = running.log_level;
        running = config.reloaded_into(&running);
        if running.log_level != before && !logging::set_level(running.log_level) {
            tracing::warn!("this program sets up its own log, so the new log level has no effect");
        }
        Some(settings(&running))
    }))
}

fn tell(differences: &[OptionId], lists: &[&'static str]) {
    let names = |change: Change| {
        let specs = OPTIONS.iter().filter(|spec| differences.contains(&spec.id) && spec.change == change);
        specs.map(|spec| spec.key).collect::<Vec<_>>()
    };
    let (changed, waits) = (names(Change::Hangup).join(","), [&names(Change::Restart), lists].concat());
    let shown = if changed.is_empty() { "nothing" } else { &changed };
    tracing::info!(changed = shown, "configuration reread");
    if !waits.is_empty() {
        tracing::warn!(options = waits.join(","), "options that need a restart have changed too");
    }
}
