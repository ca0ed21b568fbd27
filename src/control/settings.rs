//! What may change while the process runs, and how it does: SIGHUP has the server read its configuration again.
//!
//! The reading is the server's, and goes on away from this thread: a file on a network drive must not hold up the lease.
//! What comes of it is these settings; everything else of a configuration needs a restart, which the server says.
//!
//! `timeout` and whether there is a poller are part of the heartbeat's key, so that changes too; upkeep writes the new one
//! before it takes the old one away.

use std::time::Duration;

use super::Control;
use crate::mesh::ToShard;
use crate::wire::keys::{self, Poller};

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

impl Control {
    /// Has the configuration read again, and lives by it. Without a way to do so, `false`.
    pub(super) async fn reload(&self) -> bool {
        let Some(mut reload) = self.reload.take() else { return false };
        if let Some(notifier) = &self.notifier {
            notifier.tell_reload();
        }
        let (reload, settings) = glommio::executor()
            .spawn_blocking(move || {
                let settings = reload();
                (reload, settings)
            })
            .await;
        self.reload.set(Some(reload));
        if let Some(settings) = settings {
            self.live_by(settings).await;
        }
        if let Some(notifier) = &self.notifier {
            notifier.tell_reloaded(self);
        }
        true
    }

    async fn live_by(&self, settings: Settings) {
        let before = self.settings.replace(settings);
        if before == settings {
            return;
        }
        let key = rekeyed(&self.heartbeat_key.borrow(), &settings);
        self.heartbeat_key.replace(key);
        // Upkeep looks at its interval and its key, the poller at its own interval.
        self.wake_upkeep();
        let Settings { dead_jobs_max: jobs_max, dead_timeout: timeout, .. } = settings;
        if (before.dead_jobs_max, before.dead_timeout) != (jobs_max, timeout) {
            self.send_all(&ToShard::DeadBounds { jobs_max, timeout }).await;
        }
    }
}

/// The heartbeat key of the same process with these settings.
fn rekeyed(key: &str, settings: &Settings) -> String {
    let Some(parts) = keys::parse_heartbeat(key) else { return key.to_owned() };
    let poller = if settings.poll_interval.is_some() { Poller::Enabled } else { Poller::Disabled };
    keys::heartbeat(&keys::Heartbeat { timeout_s: settings.timeout.as_secs(), poller, ..parts })
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
