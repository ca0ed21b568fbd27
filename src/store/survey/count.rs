//! Sizes of sets and values of counters: those that one server has for all queues, and those of the queues of a node.

use serde::Serialize;

use super::{SurveyError, at};
use crate::resp::Reply;
use crate::wire::{Keyspace, realm::RealmKey};

/// Sizes of the sets, and the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Jobs that ran.
    pub processed: u64,
    /// Jobs that failed.
    pub failures: u64,
    /// Entries in the retry set.
    pub retry_jobs: u64,
    /// Entries in the scheduled set.
    pub scheduled_jobs: u64,
    /// Entries in the dead set.
    pub dead_jobs: u64,
}

impl Counts {
    /// Adds those of another server.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            processed: self.processed + other.processed,
            failures: self.failures + other.failures,
            retry_jobs: self.retry_jobs + other.retry_jobs,
            scheduled_jobs: self.scheduled_jobs + other.scheduled_jobs,
            dead_jobs: self.dead_jobs + other.dead_jobs,
        }
    }

    pub(super) const fn of(&mut self, what: RealmKey) -> &mut u64 {
        match what {
            RealmKey::Retries => &mut self.retry_jobs,
            RealmKey::Scheduled => &mut self.scheduled_jobs,
            RealmKey::Dead => &mut self.dead_jobs,
            RealmKey::Processed => &mut self.processed,
            RealmKey::Failures => &mut self.failures,
        }
    }
}

/// The sets and counters of a server that has all keys.
pub(super) const fn shared(keys: Keyspace) -> [(&'static str, RealmKey); 5] {
    let names = keys.names();
    [
        (names.retries, RealmKey::Retries),
        (names.dead, RealmKey::Dead),
        (names.scheduled, RealmKey::Scheduled),
        (names.failures, RealmKey::Failures),
        (names.processed, RealmKey::Processed),
    ]
}

/// The command that reads one.
pub(super) const fn command(what: RealmKey) -> &'static [u8] {
    match what {
        RealmKey::Processed | RealmKey::Failures => b"GET",
        RealmKey::Retries | RealmKey::Scheduled | RealmKey::Dead => b"ZCARD",
    }
}

/// Reads the reply to [`command`]; `None` if there is no such key. Redis deletes a set that becomes empty.
pub(super) fn read(what: RealmKey, key: &str, reply: &Reply) -> Result<Option<u64>, SurveyError> {
    match what {
        RealmKey::Processed | RealmKey::Failures => counter(key, reply),
        RealmKey::Retries | RealmKey::Scheduled | RealmKey::Dead => size(key, reply),
    }
}

/// Reads the size of a set or a list; `None` if it is empty: Redis deletes such a key.
pub(super) fn size(key: &str, reply: &Reply) -> Result<Option<u64>, SurveyError> {
    let size = reply.as_integer().map_err(at(key))?;
    let size = u64::try_from(size).map_err(|_| at(key)(reply.value().instead_of("a size")))?;
    Ok((size > 0).then_some(size))
}

fn counter(key: &str, reply: &Reply) -> Result<Option<u64>, SurveyError> {
    let Some(text) = reply.as_nil_or_bulk().map_err(at(key))? else { return Ok(None) };
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| at(key)(reply.value().instead_of("a decimal counter")))
}

/// A set or counter of a queue of a cluster, and its size as last read.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeySize {
    pub(super) what: RealmKey,
    /// `None` if found but not yet read.
    pub(super) size: Option<u64>,
}

/// The sets and counters of all queues of the node together.
pub(super) fn sum<'s>(sizes: impl IntoIterator<Item = &'s KeySize>) -> Counts {
    let mut counts = Counts::default();
    for KeySize { what, size } in sizes {
        *counts.of(*what) += size.unwrap_or(0);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::{Scope, Survey};
    use super::*;
    use crate::net::blocking::BlockingConnection;
    use crate::own_redis::OwnRedis;
    use crate::resp::Requests;
    use crate::wire::Dialect;

    #[test]
    fn sets_and_counters_of_all_queues_are_added_up_and_figures_are_read_beside_their_heartbeat() {
        let redis = OwnRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        let keys = Dialect::Jiggler.keys(true);
        let heartbeat = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        let figures = keys.figures(heartbeat, "d8625f8721eb");
        redis.run(&[b"SET", heartbeat.as_bytes(), br#"{"heartbeat":1.5,"rss":7,"current_jobs":{}}"#]);
        redis.run(&[b"SET", figures.as_bytes(), br#"{"phase":"quiet","shards":[]}"#]);
        for name in ["a", "b"] {
            let realm = keys.queue_realm(name);
            redis.run(&[b"ZADD", realm.dead.as_bytes(), b"1", b"x", b"2", b"y"]);
            redis.run(&[b"INCRBY", realm.processed.as_bytes(), b"7"]);
            redis.run(&[b"RPUSH", keys.in_flight_index(name, "x", 0).as_bytes(), b"x"]);
        }
        let mut look = |survey: &mut Survey| {
            let mut requests = Requests::new();
            survey.write(&mut requests);
            survey.accept(&conn.call(&requests).unwrap()).unwrap();
        };
        let mut survey = Survey::again(Scope::Everything, keys);
        look(&mut survey);
        assert!(!survey.is_complete(), "found and not read");
        look(&mut survey);
        assert!(survey.is_complete());
        assert_eq!(survey.counts(), Counts { processed: 14, dead_jobs: 4, ..Counts::default() });
        let (_, process) = survey.processes().next().unwrap();
        assert_eq!(process.figures.as_ref().unwrap().phase, "quiet");
        redis.run(&[b"DEL", keys.queue_realm("a").dead.as_bytes()]);
        look(&mut survey);
        assert_eq!(survey.counts(), Counts { processed: 14, dead_jobs: 2, ..Counts::default() });
    }
}
