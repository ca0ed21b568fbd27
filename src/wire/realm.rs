//! The keys that a script touches together with those of a queue: sets, counters, leases, lead.
//!
//! On one Redis there is one realm for all queues, whose keys are the gem's where it has them. A Redis Cluster keeps the
//! keys of one hash slot together and no others, so there each queue is a realm of its own: the braces make all of its keys
//! hash as `jiggler:list:<queue>` does, and every script stays one atomic step. The queue's list keeps the gem's name, so
//! plain `LPUSH` producers in any language work; the gem's own readers do not speak cluster, so new names for the rest cost
//! them nothing.

use std::borrow::Cow;

use super::keys::Keyspace;

/// The keys of one realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    keys: Keyspace,
    /// The queue it belongs to; `None`: all queues share it.
    queue: Option<Box<str>>,
    guard: Option<Box<str>>,
    /// Retry set.
    pub retries: Cow<'static, str>,
    /// Scheduled set.
    pub scheduled: Cow<'static, str>,
    /// Dead set.
    pub dead: Cow<'static, str>,
    /// Counter of jobs that ran.
    pub processed: Cow<'static, str>,
    /// Counter of jobs that failed.
    pub failures: Cow<'static, str>,
    /// Leases.
    pub leases: Cow<'static, str>,
    /// Lead of the pollers.
    pub lead: Cow<'static, str>,
    /// The table of periodic jobs.
    pub cron: Box<CronKeys>,
}

/// The keys of the table of periodic jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronKeys {
    /// When each entry is pushed next (zset): member: its name, score: Unix milliseconds by the clock of Redis.
    pub ticks: String,
    /// The entries (hash): by name, JSON.
    pub entries: String,
    /// What they last pushed (hash): by name, JSON.
    pub runs: String,
    /// Which processes declare an entry (hash): by name, uuids separated by spaces.
    pub holders: String,
}

impl CronKeys {
    fn new(key: impl Fn(&str) -> String) -> Self {
        Self { ticks: key("ticks"), entries: key("entries"), runs: key("runs"), holders: key("holders") }
    }
}

/// What follows the tag in the keys of a queue's realm.
const RETRIES: &str = "retries";
const SCHEDULED: &str = "scheduled";
const DEAD: &str = "dead";
const PROCESSED: &str = "processed";
const FAILURES: &str = "failures";
const CRON_ENTRIES: &str = "cron:entries";

impl Keyspace {
    /// The one realm of a Redis outside a cluster.
    #[must_use]
    pub fn shared_realm(self) -> Realm {
        Realm::shared(self)
    }

    /// The realm of one queue of a cluster.
    #[must_use]
    pub fn queue_realm(self, queue: &str) -> Realm {
        Realm::of_queue(self, queue)
    }

    /// The realm that a queue belongs to here.
    #[must_use]
    pub fn realm(self, queue: &str) -> Realm {
        if self.is_cluster() { self.queue_realm(queue) } else { self.shared_realm() }
    }

    /// The scheduled set of the realm that a queue belongs to here.
    #[must_use]
    pub fn scheduled(self, queue: &str) -> Cow<'static, str> {
        if self.is_cluster() {
            self.beside_queue(queue, SCHEDULED).into()
        } else {
            self.names().scheduled.into()
        }
    }
}

impl Realm {
    fn shared(keys: Keyspace) -> Self {
        let names = keys.names();
        Self {
            keys,
            queue: None,
            guard: None,
            retries: Cow::Borrowed(names.retries),
            scheduled: Cow::Borrowed(names.scheduled),
            dead: Cow::Borrowed(names.dead),
            processed: Cow::Borrowed(names.processed),
            failures: Cow::Borrowed(names.failures),
            leases: Cow::Borrowed(names.leases),
            lead: Cow::Borrowed(names.lead),
            cron: Box::new(CronKeys::new(|what| [names.cron_prefix, what].concat())),
        }
    }

    fn of_queue(keys: Keyspace, queue: &str) -> Self {
        let key = |what: &str| keys.beside_queue(queue, what);
        Self {
            keys,
            queue: Some(queue.into()),
            guard: Some(key("guard").into()),
            retries: key(RETRIES).into(),
            scheduled: key(SCHEDULED).into(),
            dead: key(DEAD).into(),
            processed: key(PROCESSED).into(),
            failures: key(FAILURES).into(),
            leases: key("leases").into(),
            lead: key("poller").into(),
            cron: Box::new(CronKeys::new(|what| key(&format!("cron:{what}")))),
        }
    }

    /// How keys are spelt there.
    #[must_use]
    pub const fn keys(&self) -> Keyspace {
        self.keys
    }

    /// The queue it belongs to; `None`: all queues share it.
    #[must_use]
    pub fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// Which moments are taken of queues whose due jobs have a pace (hash): by queue, the first moment with room, Unix
    /// seconds, how many jobs have it, and the pace. There only while some are taken.
    #[must_use]
    pub fn paces(&self) -> Cow<'static, str> {
        match &self.queue {
            Some(queue) => self.keys.beside_queue(queue, "paces").into(),
            None => self.keys.names().paces.into(),
        }
    }

    /// A key of a queue's realm that never exists. A script gets it among its keys: while its slot is being moved to
    /// another node, a node refuses a call with a key that it does not have, before the call begins. Without it a script
    /// whose keys are all still there would begin, and fail half-way at the first key that it creates, or empties and
    /// touches again.
    #[must_use]
    pub fn guard(&self) -> Option<&str> {
        self.guard.as_deref()
    }
}

/// What a key of a queue's realm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RealmKey {
    /// Its retry set.
    Retries,
    /// Its scheduled set.
    Scheduled,
    /// Its dead set.
    Dead,
    /// Its counter of jobs that ran.
    Processed,
    /// Its counter of jobs that failed.
    Failures,
}

/// Reads a key that a search for those of all realms has found: its queue and what it is; `None` if it is not one that is
/// counted.
#[must_use]
pub fn parse_realm_key(keys: Keyspace, key: &str) -> Option<(&str, RealmKey)> {
    let (queue, rest) = keys.parse_beside_queue(key)?;
    let what = match rest {
        RETRIES => RealmKey::Retries,
        SCHEDULED => RealmKey::Scheduled,
        DEAD => RealmKey::Dead,
        PROCESSED => RealmKey::Processed,
        FAILURES => RealmKey::Failures,
        _ => return None,
    };
    Some((queue, what))
}

/// The queue whose periodic jobs are in a key that such a search has found; `None` if it is another key.
#[must_use]
pub fn parse_cron_key(keys: Keyspace, key: &str) -> Option<&str> {
    keys.parse_beside_queue(key).filter(|(_, rest)| *rest == CRON_ENTRIES).map(|(queue, _)| queue)
}

#[cfg(test)]
mod tests {
    use redis_protocol::redis_keyslot;

    use super::super::in_flight;
    use super::super::in_progress::IN_PROGRESS;
    use super::super::keys::{JIGGLER, outbox_marker};
    use super::*;

    fn all(realm: &Realm) -> [&str; 11] {
        let Realm { retries, scheduled, dead, processed, failures, leases, lead, cron, .. } = realm;
        let CronKeys { ticks, entries, runs, holders } = &**cron;
        [retries, scheduled, dead, processed, failures, leases, lead, ticks, entries, runs, holders]
    }

    #[test]
    fn every_key_of_a_queue_hashes_with_its_list() {
        for name in ["default", "a.b-c_1", "mails"] {
            let realm = JIGGLER.queue_realm(name);
            let index = JIGGLER.in_flight_index(name, "0123456789ab", 3);
            let more = [
                in_flight::batch(&index, 7),
                in_flight::wait_list(&index),
                JIGGLER.recoveries_prefix(name) + "j",
                outbox_marker(&JIGGLER.queue(name), "o"),
                outbox_marker(&realm.scheduled, "o"),
                realm.guard().unwrap().to_owned(),
                index,
            ];
            let own = redis_keyslot(JIGGLER.queue(name).as_bytes());
            for key in all(&realm).into_iter().map(str::to_owned).chain(more) {
                assert_eq!(redis_keyslot(key.as_bytes()), own, "{key}");
            }
        }
    }

    #[test]
    fn the_shared_realm_has_the_keys_of_the_gem() {
        assert_eq!(JIGGLER.shared_realm().retries, "jiggler:set:retries");
        assert_eq!(JIGGLER.shared_realm().guard(), None);
        assert_eq!(JIGGLER.realm("q"), JIGGLER.shared_realm());
        let in_cluster = JIGGLER.with_cluster(true);
        assert_eq!(in_cluster.realm("q").queue(), Some("q"));
        for keys in [JIGGLER, in_cluster] {
            assert_eq!(keys.scheduled("q"), keys.realm("q").scheduled);
        }
    }

    #[test]
    fn figures_hash_with_the_heartbeat_in_a_cluster() {
        let heartbeat = "jiggler:svr:0123456789ab:10:25:default,mails:1:1700000000:7:host";
        let figures = JIGGLER.with_cluster(true).figures(heartbeat, "0123456789ab");
        assert_eq!(redis_keyslot(figures.as_bytes()), redis_keyslot(heartbeat.as_bytes()));
        assert_eq!(JIGGLER.figures(heartbeat, "0123456789ab"), "jiggler:uring:process:0123456789ab");
    }

    #[test]
    fn keys_of_a_realm_are_known_again_and_no_others() {
        let realm = JIGGLER.queue_realm("a:b");
        assert_eq!(parse_realm_key(JIGGLER, &realm.dead), Some(("a:b", RealmKey::Dead)));
        assert_eq!(parse_realm_key(JIGGLER, &realm.processed), Some(("a:b", RealmKey::Processed)));
        for key in [&*realm.leases, "{jiggler:list:}:dead", "jiggler:set:dead", "{jiggler:list:a}:dead:x"] {
            assert_eq!(parse_realm_key(JIGGLER, key), None, "{key}");
        }
        assert_eq!(parse_cron_key(JIGGLER, &realm.cron.entries), Some("a:b"));
        assert_eq!(parse_cron_key(JIGGLER, &realm.cron.ticks), None);
        for key in all(&realm) {
            assert!(!key.starts_with(JIGGLER.names().list_prefix) && !key.contains(IN_PROGRESS));
        }
    }
}
