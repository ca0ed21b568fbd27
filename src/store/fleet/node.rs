//! What a survey asks one node of a cluster besides: a command for each key, because no command may name keys of two slots,
//! and the sets and counters of its queues.

use std::collections::BTreeMap;

use super::{Asked, Counts, Kind, Survey, page};
use crate::limits::INSPECT_QUEUES_PER_CALL;
use crate::resp::Requests;
use crate::wire::{
    keys,
    realm::{Realm, RealmKey},
};

/// A set or counter of a queue, and its size as it was last read.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeySize {
    what: RealmKey,
    size: Option<u64>,
}

impl KeySize {
    pub(super) const fn unknown(what: RealmKey) -> Self {
        Self { what, size: None }
    }

    pub(super) const fn is_known(&self) -> bool {
        self.size.is_some()
    }

    const fn kind(self) -> Kind {
        match self.what {
            RealmKey::Processed | RealmKey::Failures => Kind::Counter,
            RealmKey::Retries | RealmKey::Scheduled | RealmKey::Dead => Kind::Size,
        }
    }
}

impl Survey {
    /// Appends the questions for the processes of these heartbeat keys, and for the next page of sets and counters.
    pub(super) fn write_of_node(&mut self, heartbeats: Vec<String>, requests: &mut Requests) {
        for key in heartbeats {
            let uuid = keys::server_uuid(&key).unwrap_or_default();
            requests.command(&[b"GET", key.as_bytes()]);
            requests.command(&[b"GET", Realm::figures(&key, uuid, true).as_bytes()]);
            self.asked.push(Asked::Heartbeat(key.clone()));
            self.asked.push(Asked::FiguresOf(key));
        }
        for key in page(&self.sizes, &mut self.last_size, INSPECT_QUEUES_PER_CALL) {
            let Some(kind) = self.sizes.get(&key).map(|size| size.kind()) else { continue };
            let command: &[u8] = match kind {
                Kind::Counter => b"GET",
                Kind::Size => b"ZCARD",
            };
            requests.command(&[command, key.as_bytes()]);
            self.asked.push(Asked::Size(key, kind));
        }
    }

    /// A set that is empty is no key any more; one that comes back is found anew.
    pub(super) fn accept_size(&mut self, key: &str, size: u64) {
        if size == 0 {
            self.sizes.remove(key);
        } else if let Some(known) = self.sizes.get_mut(key) {
            known.size = Some(size);
        }
    }
}

/// The sets and counters of all queues of the node together.
pub(super) fn sum(sizes: &BTreeMap<String, KeySize>) -> Counts {
    let mut counts = Counts::default();
    for KeySize { what, size } in sizes.values() {
        let sum = match what {
            RealmKey::Retries => &mut counts.retry_jobs,
            RealmKey::Scheduled => &mut counts.scheduled_jobs,
            RealmKey::Dead => &mut counts.dead_jobs,
            RealmKey::Processed => &mut counts.processed,
            RealmKey::Failures => &mut counts.failures,
        };
        *sum += size.unwrap_or(0);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;
    use crate::net::blocking::BlockingConnection;
    use crate::own_redis::OwnRedis;

    #[test]
    fn sets_and_counters_of_all_queues_are_added_up_and_figures_are_read_beside_their_heartbeat() {
        let redis = OwnRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        let heartbeat = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        let figures = Realm::figures(heartbeat, "d8625f8721eb", true);
        redis.run(&[b"SET", heartbeat.as_bytes(), br#"{"heartbeat":1.5,"rss":7,"current_jobs":{}}"#]);
        redis.run(&[b"SET", figures.as_bytes(), br#"{"phase":"quiet","shards":[]}"#]);
        for name in ["a", "b"] {
            let realm = Realm::of_queue(name);
            redis.run(&[b"ZADD", realm.dead.as_bytes(), b"1", b"x", b"2", b"y"]);
            redis.run(&[b"INCRBY", realm.processed.as_bytes(), b"7"]);
            redis.run(&[b"RPUSH", keys::in_flight_index(name, "x", 0).as_bytes(), b"x"]);
        }
        let mut look = |survey: &mut Survey| {
            let mut requests = Requests::new();
            survey.write(&mut requests);
            survey.accept(&conn.call(&requests).unwrap()).unwrap();
        };
        let mut survey = Survey::new(Scope::Node);
        look(&mut survey);
        assert!(!survey.is_complete(), "found and not read");
        look(&mut survey);
        assert!(survey.is_complete());
        assert_eq!(survey.counts(), Counts { processed: 14, dead_jobs: 4, ..Counts::default() });
        let (_, process) = survey.processes().next().unwrap();
        assert_eq!(process.figures.as_ref().unwrap().phase, "quiet");
        redis.run(&[b"DEL", Realm::of_queue("a").dead.as_bytes()]);
        look(&mut survey);
        assert_eq!(survey.counts(), Counts { processed: 14, dead_jobs: 2, ..Counts::default() });
    }
}
