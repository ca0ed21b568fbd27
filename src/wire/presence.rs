//! How a process shows itself to its fleet: under which keys, and what it writes there.
//!
//! The gem's readers find a process by the key of its heartbeat, which says who it is and how it is configured; ours find
//! its figures by its uuid, in a cluster by the heartbeat's key. Not for when anything is written, nor for the commands
//! (`store::process`).

use std::time::Duration;

use super::heartbeat::HeartbeatValue;
use super::heartbeat_key::{self, Heartbeat, Poller};
use super::keys::Keyspace;
use super::sidekiq_metrics::MetricsFor;
use super::sidekiq_process::{self, SidekiqProcess};

/// A process as its fleet sees it, with the settings that are part of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    keys: Keyspace,
    uuid: String,
    heartbeat_key: String,
    figures_key: String,
    /// How it looks to Sidekiq's programs, where these share the Redis.
    sidekiq: Option<Box<SidekiqProcess>>,
}

/// What readers of a dialect look at.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'p> {
    /// One key whose name says who the process is.
    Key,
    /// A registry, a hash under the identity that it names, and keys beside that.
    Hash {
        /// The registry.
        registry: &'static str,
        /// What is written there.
        process: &'p SidekiqProcess,
    },
}

impl Presence {
    /// For the process with these parts, in a deployment of this name.
    #[must_use]
    pub fn new(keys: Keyspace, parts: &Heartbeat<'_>, tag: &str) -> Self {
        let sidekiq = keys.names().registries.as_ref().map(|_| Box::new(SidekiqProcess::new(parts, tag)));
        let heartbeat_key = match &sidekiq {
            Some(process) => process.identity.clone(),
            None => heartbeat_key::heartbeat(parts),
        };
        let figures_key = keys.figures(&heartbeat_key, parts.uuid);
        Self { keys, uuid: parts.uuid.to_owned(), heartbeat_key, figures_key, sidekiq }
    }

    /// The same, with metrics for these pages, where other programs read them.
    #[must_use]
    pub fn with_metrics(mut self, metrics: MetricsFor) -> Self {
        if let Some(process) = &mut self.sidekiq {
            process.metrics = metrics;
        }
        self
    }

    /// The uuid of the process whose heartbeat is under that key; `None` if it is no such key.
    #[must_use]
    pub fn uuid_in(keys: Keyspace, key: &str) -> Option<&str> {
        match keys.names().registries {
            Some(_) => sidekiq_process::uuid_of(key),
            None => heartbeat_key::server_uuid(key),
        }
    }

    /// Whether that is the key of the heartbeat of this process.
    #[must_use]
    pub fn is_key_of(keys: Keyspace, key: &str, uuid: &str) -> bool {
        Self::uuid_in(keys, key) == Some(uuid)
    }

    /// The same process with these settings: how long a stop may take, and whether it moves due jobs.
    #[must_use]
    pub fn with(&self, timeout: Duration, polls: bool) -> Self {
        // It is the key that such parts made; to Sidekiq's programs these settings do not show.
        let Some(parts) = heartbeat_key::parse_heartbeat(&self.heartbeat_key) else { return self.clone() };
        let poller = if polls { Poller::Enabled } else { Poller::Disabled };
        Self::new(self.keys, &Heartbeat { timeout_s: timeout.as_secs(), poller, ..parts }, "")
    }

    /// The process: 12 hex digits.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The key of its heartbeat: in a cluster, the node that has its slot is where the process shows itself.
    #[must_use]
    pub fn heartbeat_key(&self) -> &str {
        &self.heartbeat_key
    }

    /// The key of its figures ([`super::figures`]).
    #[must_use]
    pub fn figures_key(&self) -> &str {
        &self.figures_key
    }

    /// How its keys are spelt.
    #[must_use]
    pub const fn keys(&self) -> Keyspace {
        self.keys
    }

    /// What the readers of its dialect look at.
    #[must_use]
    pub fn shape(&self) -> Shape<'_> {
        match (&self.sidekiq, &self.keys.names().registries) {
            (Some(process), Some(registries)) => Shape::Hash { registry: registries.processes, process },
            _ => Shape::Key,
        }
    }

    /// What a heartbeat says: when it was written, Unix time in seconds, and the resident memory in kB where it is known.
    #[must_use]
    pub fn heartbeat(&self, now: f64, rss_kb: Option<u64>) -> String {
        HeartbeatValue { heartbeat: now, rss_kb }.to_json()
    }
}

#[cfg(test)]
mod tests {
    use redis_protocol::redis_keyslot;

    use super::super::keys::{JIGGLER, SIDEKIQ};
    use super::*;

    fn presence(keys: Keyspace, key: &str) -> Presence {
        Presence::new(keys, &heartbeat_key::parse_heartbeat(key).unwrap(), "")
    }

    #[test]
    fn a_key_follows_the_settings_that_are_part_of_it() {
        let key = "jiggler:svr:d8625f8721eb:3:25:default,custom:1:1795299901:8066:host:with:colons";
        let before = presence(JIGGLER, key);
        assert_eq!((before.heartbeat_key(), before.uuid()), (key, "d8625f8721eb"));
        let after = before.with(Duration::from_secs(9), false);
        let expected = "jiggler:svr:d8625f8721eb:3:9:default,custom:0:1795299901:8066:host:with:colons";
        assert_eq!(after.heartbeat_key(), expected);
        assert_eq!(after.figures_key(), before.figures_key());
        assert_eq!(after.with(Duration::from_secs(25), true), before);
    }

    #[test]
    fn figures_hash_with_the_heartbeat_in_a_cluster() {
        let key = "jiggler:svr:0123456789ab:10:25:default,mails:1:1700000000:7:host";
        let presence = presence(JIGGLER.with_cluster(true), key);
        let slot = |key: &str| redis_keyslot(key.as_bytes());
        assert_eq!(slot(presence.figures_key()), slot(presence.heartbeat_key()));
        let moved = presence.with(Duration::from_secs(9), true);
        assert_eq!(slot(moved.figures_key()), slot(moved.heartbeat_key()));
    }

    #[test]
    fn a_process_beside_sidekiq_is_found_by_its_identity_whatever_its_settings() {
        let key = "jiggler:svr:d8625f8721eb:3:25:default,custom:1:1795299901:8066:vm";
        let parts = heartbeat_key::parse_heartbeat(key).unwrap();
        let presence = Presence::new(SIDEKIQ, &parts, "billing");
        assert_eq!(presence.heartbeat_key(), "vm:8066:d8625f8721eb");
        assert_eq!(presence.with(Duration::from_secs(9), false), presence);
        assert!(matches!(presence.shape(), Shape::Hash { registry: "processes", .. }));
        assert!(Presence::is_key_of(SIDEKIQ, "vm:8066:d8625f8721eb", "d8625f8721eb"));
        assert!(!Presence::is_key_of(SIDEKIQ, "vm:8066:d8625f8721eb", "8066"));
        assert!(Presence::is_key_of(JIGGLER, key, "d8625f8721eb"));
    }
}
