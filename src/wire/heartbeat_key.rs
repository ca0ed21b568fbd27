//! The key under which a process, the gem's or ours, is found: it says who the process is, in ten parts.
//!
//! Not for the value under it ([`super::heartbeat`]).

use std::fmt;

/// What every heartbeat key starts with. There is no registry of processes: the gem finds them by `SCAN`.
pub const SERVER_PREFIX: &str = "jiggler:svr:";

/// The ten parts of a heartbeat key, `jiggler:svr:<uuid>:<concurrency>:<timeout>:<queues>:<poller>:<started_at>:
/// <pid>:<hostname>`. [`fmt::Display`] writes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'k> {
    /// The process: 12 hex digits.
    pub uuid: &'k str,
    /// Jobs the process runs at once.
    pub concurrency: u64,
    /// Seconds a stopping process waits for its jobs.
    pub timeout_s: u64,
    /// Queue names joined by commas; with explicit priorities the numbers are interleaved: `low,0,mid,1`.
    pub queues: &'k str,
    /// Whether the process moves due jobs.
    pub poller: Poller,
    /// Unix time of the start, in seconds.
    pub started_at: u64,
    /// Process id.
    pub pid: u32,
    /// Host name: the only part that may contain colons.
    pub hostname: &'k str,
}

/// Whether a process moves due jobs from the retry and scheduled sets to their queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poller {
    /// It does: `1` in the key.
    Enabled,
    /// It does not: `0` in the key.
    Disabled,
}

impl fmt::Display for Heartbeat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(!self.uuid.contains(':'), "a colon would shift the parts: {}", self.uuid);
        debug_assert!(!self.queues.contains(':'), "a colon would shift the parts: {}", self.queues);
        let poller = match self.poller {
            Poller::Enabled => 1,
            Poller::Disabled => 0,
        };
        write!(f, "{SERVER_PREFIX}{}:{}:{}:{}", self.uuid, self.concurrency, self.timeout_s, self.queues)?;
        write!(f, ":{poller}:{}:{}:{}", self.started_at, self.pid, self.hostname)
    }
}

/// The heartbeat key of a process.
#[must_use]
pub fn heartbeat(parts: &Heartbeat<'_>) -> String {
    parts.to_string()
}

/// Reads a heartbeat key, a Ruby server's or ours; `None` when it is not one.
#[must_use]
pub fn parse_heartbeat(key: &str) -> Option<Heartbeat<'_>> {
    let mut parts = key.strip_prefix(SERVER_PREFIX)?.splitn(8, ':');
    Some(Heartbeat {
        uuid: parts.next()?,
        concurrency: parts.next()?.parse().ok()?,
        timeout_s: parts.next()?.parse().ok()?,
        queues: parts.next()?,
        poller: match parts.next()? {
            "1" => Poller::Enabled,
            "0" => Poller::Disabled,
            _ => return None,
        },
        started_at: parts.next()?.parse().ok()?,
        pid: parts.next()?.parse().ok()?,
        hostname: parts.next()?,
    })
}

/// A queue name, with its priority if the heartbeat key has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedQueue<'k> {
    /// The queue's name.
    pub name: &'k str,
    /// Its priority: a higher number is served first.
    pub priority: Option<u64>,
}

/// Writes the `queues` part of a heartbeat key.
#[must_use]
pub fn join_queues(queues: &[ServedQueue<'_>]) -> String {
    let parts: Vec<String> = queues
        .iter()
        .map(|queue| match queue.priority {
            Some(priority) => format!("{},{priority}", queue.name),
            None => queue.name.to_owned(),
        })
        .collect();
    parts.join(",")
}

/// Reads the `queues` part of a heartbeat key. The gem interleaves either all priorities or none, so if every second part
/// is a number these are priorities; a plain list in which every second queue is *named* by a number is misread.
#[must_use]
pub fn split_queues(queues: &str) -> Vec<ServedQueue<'_>> {
    let parts: Vec<&str> = queues.split(',').filter(|part| !part.is_empty()).collect();
    let priorities: Option<Vec<u64>> =
        parts.iter().skip(1).step_by(2).map(|part| part.parse().ok()).collect();
    match priorities {
        Some(priorities) if !parts.is_empty() && parts.len().is_multiple_of(2) => parts
            .iter()
            .step_by(2)
            .zip(priorities)
            .map(|(name, priority)| ServedQueue { name, priority: Some(priority) })
            .collect(),
        _ => parts.iter().map(|name| ServedQueue { name, priority: None }).collect(),
    }
}

/// The uuid in a key under [`SERVER_PREFIX`], whatever follows it: a server whose key has a format that [`parse_heartbeat`]
/// does not know is alive all the same. `None` when it is not such a key.
#[must_use]
pub fn server_uuid(key: &str) -> Option<&str> {
    key.strip_prefix(SERVER_PREFIX)?.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeat_keys_of_the_gem_round_trip() {
        for key in [
            "jiggler:svr:d8625f8721eb:3:25:default,custom,custom_retries:1:1795299901:8066:vm",
            "jiggler:svr:aaaaaaaaaaaa:10:25:default:1:1700000000:1:host:with:colons",
            "jiggler:svr:c08ba406f627:3:25:low,0,mid,1:0:1795300285:15055:vm",
        ] {
            let parts = parse_heartbeat(key).unwrap();
            assert_eq!(heartbeat(&parts), key);
        }
        let parts = parse_heartbeat("jiggler:svr:aaaaaaaaaaaa:10:25:default:1:1700000000:1:host:with:colons")
            .unwrap();
        assert_eq!(parts.uuid, "aaaaaaaaaaaa");
        assert_eq!((parts.concurrency, parts.timeout_s, parts.queues), (10, 25, "default"));
        assert_eq!((parts.poller, parts.started_at, parts.pid), (Poller::Enabled, 1_700_000_000, 1));
        assert_eq!(parts.hostname, "host:with:colons");
    }

    #[test]
    fn a_server_is_known_by_its_uuid_whatever_else_its_key_says() {
        for (key, uuid) in [
            ("jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm", Some("d8625f8721eb")),
            ("jiggler:svr:d8625f8721eb:of another version", Some("d8625f8721eb")),
            ("jiggler:svr:d8625f8721eb", Some("d8625f8721eb")),
            ("jiggler:list:default", None),
        ] {
            assert_eq!(server_uuid(key), uuid, "{key}");
        }
    }

    #[test]
    fn keys_that_are_no_heartbeat_are_refused() {
        for key in [
            "",
            "jiggler:svr:",
            "jiggler:list:default",
            "jiggler:svr:a:1:25:q:2:1:1:h",
            "jiggler:svr:a:1:25:q:1:1:1",
        ] {
            assert_eq!(parse_heartbeat(key), None, "{key}");
        }
    }

    #[test]
    fn queues_carry_priorities_only_when_they_are_interleaved() {
        let plain = split_queues("default,custom,custom_retries");
        assert_eq!(
            plain.iter().map(|queue| queue.name).collect::<Vec<_>>(),
            ["default", "custom", "custom_retries"]
        );
        assert!(plain.iter().all(|queue| queue.priority.is_none()));
        let ranked =
            [ServedQueue { name: "low", priority: Some(0) }, ServedQueue { name: "mid", priority: Some(1) }];
        assert_eq!(split_queues("low,0,mid,1"), ranked);
        assert_eq!(join_queues(&ranked), "low,0,mid,1");
        assert_eq!(join_queues(&plain), "default,custom,custom_retries");
        assert_eq!(split_queues(""), []);
    }
}
