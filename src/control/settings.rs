//! What may change while the process runs, and what follows from it. Everything else of a configuration needs a restart.
//!
//! `timeout` and whether there is a poller are part of the heartbeat's key, so that changes too; upkeep writes the new one
//! before it takes the old one away. How the settings change: see `reload`.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::wire::heartbeat_key::{self, Poller};

/// The settings in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Time between two heartbeats.
    pub(crate) stats_interval: Duration,
    /// Longest time between two looks at the retry and scheduled sets; `None`: this process leaves them alone.
    pub(crate) poll_interval: Option<Duration>,
    /// How long running jobs may go on after a stop is asked for.
    pub(crate) timeout: Duration,
    /// Entries the dead set keeps.
    pub(crate) dead_jobs_max: u64,
    /// How long an entry stays in the dead set.
    pub(crate) dead_timeout: Duration,
}

/// Reads the configuration again, logs what came of it, and gives the settings to use; `None`: the old ones stay.
pub(crate) type Reload = Box<dyn FnMut() -> Option<Settings> + Send>;

/// The settings in force, and what follows from them.
pub(super) struct LiveSettings {
    settings: Cell<Settings>,
    /// The heartbeat key that goes with them.
    heartbeat_key: RefCell<String>,
    /// Reads the configuration again; gone while it does.
    reload: Cell<Option<Reload>>,
}

impl LiveSettings {
    pub(super) fn new(settings: Settings, heartbeat_key: &str, reload: Option<Reload>) -> Self {
        Self {
            settings: Cell::new(settings),
            heartbeat_key: RefCell::new(heartbeat_key.to_owned()),
            reload: Cell::new(reload),
        }
    }

    /// The settings in force.
    pub(super) fn get(&self) -> Settings {
        self.settings.get()
    }

    /// The heartbeat key in force.
    pub(super) fn heartbeat_key(&self) -> String {
        self.heartbeat_key.borrow().clone()
    }

    /// Whether `key` is the heartbeat key in force.
    pub(super) fn is_heartbeat_key(&self, key: &str) -> bool {
        *self.heartbeat_key.borrow() == key
    }

    /// Puts these in force; the ones before.
    pub(super) fn replace(&self, settings: Settings) -> Settings {
        let key = rekeyed(&self.heartbeat_key.borrow(), &settings);
        self.heartbeat_key.replace(key);
        self.settings.replace(settings)
    }

    /// What reads the configuration again, unless it is under way or there is none.
    pub(super) fn take_reload(&self) -> Option<Reload> {
        self.reload.take()
    }

    /// Gives back what [`Self::take_reload`] took.
    pub(super) fn give_back(&self, reload: Reload) {
        self.reload.set(Some(reload));
    }
}

/// The heartbeat key of the same process with these settings.
fn rekeyed(key: &str, settings: &Settings) -> String {
    let Some(parts) = heartbeat_key::parse_heartbeat(key) else { return key.to_owned() };
    let poller = if settings.poll_interval.is_some() { Poller::Enabled } else { Poller::Disabled };
    heartbeat_key::heartbeat(&heartbeat_key::Heartbeat {
        timeout_s: settings.timeout.as_secs(),
        poller,
        ..parts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_follows_the_settings_that_are_part_of_it() {
        let settings = Settings {
            stats_interval: Duration::from_secs(1),
            poll_interval: None,
            timeout: Duration::from_secs(9),
            dead_jobs_max: 1,
            dead_timeout: Duration::from_secs(1),
        };
        let key = "jiggler:svr:d8625f8721eb:3:25:default,custom:1:1795299901:8066:host:with:colons";
        let expected = "jiggler:svr:d8625f8721eb:3:9:default,custom:0:1795299901:8066:host:with:colons";
        assert_eq!(rekeyed(key, &settings), expected);
        assert_eq!(rekeyed("jiggler:svr:odd", &settings), "jiggler:svr:odd");
    }
}
