//! How a process shows itself to its fleet: under which keys, and what it writes there.
//!
//! The gem's readers find a process by the key of its heartbeat, which says who it is and how it is configured; ours find
//! its figures by its uuid, in a cluster by the heartbeat's key. Not for when anything is written, nor for the commands
//! (`store::process`).

use std::time::Duration;

use super::heartbeat::HeartbeatValue;
use super::heartbeat_key::{self, Heartbeat, Poller};
use super::keys::Keyspace;

/// A process as its fleet sees it, with the settings that are part of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    keys: Keyspace,
    uuid: String,
    heartbeat_key: String,
    figures_key: String,
}

impl Presence {
    /// For the process with these parts.
    #[must_use]
    pub fn new(keys: Keyspace, parts: &Heartbeat<'_>) -> Self {
        let heartbeat_key = heartbeat_key::heartbeat(parts);
        let figures_key = keys.figures(&heartbeat_key, parts.uuid);
        Self { keys, uuid: parts.uuid.to_owned(), heartbeat_key, figures_key }
    }

    /// The same process with these settings: how long a stop may take, and whether it moves due jobs.
    #[must_use]
    pub fn with(&self, timeout: Duration, polls: bool) -> Self {
        // It is the key that such parts made.
        let Some(parts) = heartbeat_key::parse_heartbeat(&self.heartbeat_key) else { return self.clone() };
        let poller = if polls { Poller::Enabled } else { Poller::Disabled };
        Self::new(self.keys, &Heartbeat { timeout_s: timeout.as_secs(), poller, ..parts })
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

    /// What a heartbeat says: when it was written, Unix time in seconds, and the resident memory in kB where it is known.
    #[must_use]
    pub fn heartbeat(&self, now: f64, rss_kb: Option<u64>) -> String {
        HeartbeatValue { heartbeat: now, rss_kb }.to_json()
    }
}

#[cfg(test)]
mod tests {
    use redis_protocol::redis_keyslot;

    use super::super::keys::JIGGLER;
    use super::*;

    fn presence(keys: Keyspace, key: &str) -> Presence {
        Presence::new(keys, &heartbeat_key::parse_heartbeat(key).unwrap())
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
}
