//! What may change while the process runs, and what follows from it. Everything else of a configuration needs a restart.
//!
//! `timeout` and whether there is a poller are part of how the process shows itself, so that changes too; upkeep writes the
//! new form before it removes the old. How settings change: see `reload`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::wire::Presence;

/// The settings in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Time between two heartbeats.
    pub(crate) stats_interval: Duration,
    /// Longest time between two looks at the retry and scheduled sets; `None`: this process leaves them alone.
    pub(crate) poll_interval: Option<Duration>,
    /// How long running jobs may continue after a stop is asked for.
    pub(crate) timeout: Duration,
    /// Entries the dead set keeps.
    pub(crate) dead_jobs_max: u64,
    /// How long an entry stays in the dead set.
    pub(crate) dead_timeout: Duration,
}

/// Reads the configuration again, logs the result, and returns the settings to use; `None`: keep the old ones.
pub(crate) type Reload = Box<dyn FnMut() -> Option<Settings> + Send>;

/// The settings in force, and what follows from them.
pub(super) struct LiveSettings {
    settings: Cell<Settings>,
    /// How the process shows itself with them.
    presence: RefCell<Rc<Presence>>,
    /// Reads the configuration again; absent while it does.
    reload: Cell<Option<Reload>>,
}

impl LiveSettings {
    pub(super) fn new(settings: Settings, presence: Presence, reload: Option<Reload>) -> Self {
        Self {
            settings: Cell::new(settings),
            presence: RefCell::new(Rc::new(presence)),
            reload: Cell::new(reload),
        }
    }

    /// The settings in force.
    pub(super) fn get(&self) -> Settings {
        self.settings.get()
    }

    /// How the process shows itself now.
    pub(super) fn presence(&self) -> Rc<Presence> {
        Rc::clone(&self.presence.borrow())
    }

    /// Whether this is how it shows itself now.
    pub(super) fn is_present_as(&self, presence: &Presence) -> bool {
        **self.presence.borrow() == *presence
    }

    /// Puts these in force; returns the previous ones.
    pub(super) fn replace(&self, settings: Settings) -> Settings {
        let presence = self.presence().with(settings.timeout, settings.poll_interval.is_some());
        self.presence.replace(Rc::new(presence));
        self.settings.replace(settings)
    }

    /// Takes what reads the configuration again, unless a reload is under way or there is no way to read it.
    pub(super) fn take_reload(&self) -> Option<Reload> {
        self.reload.take()
    }

    /// Gives back what [`Self::take_reload`] took.
    pub(super) fn give_back(&self, reload: Reload) {
        self.reload.set(Some(reload));
    }
}
