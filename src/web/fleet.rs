//! The fleet as Redis knows it: queues, sets and processes, read over a connection of its own when somebody asks for it.
//!
//! What was read less than [`FLEET_AGE_MAX`] ago is shown again, so any number of clients costs Redis what one does. A
//! connection that fails is opened again with the next question.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use thiserror::Error;

use crate::io::permits::Permits;
use crate::limits::{
    CONTROL_CHUNK_BYTES, FLEET_AGE_MAX, FLEET_FIRST_LOOKS_MAX, FLEET_QUEUES_MAX, WEB_CONNECTIONS_MAX,
};
use crate::net::{self, ConnOptions, Connection};
use crate::resp::{RedisUrl, ReplyLimits, Requests};
use crate::store::survey::{Counts, Scope, Survey, SurveyError};
use crate::view::member::Member;
use crate::wire::{Keyspace, paused::Paused};

/// What is known of the fleet.
#[derive(Debug, Clone, Default)]
pub(super) struct FleetFacts {
    pub(super) counts: Counts,
    /// The longest, longest first, at most [`FLEET_QUEUES_MAX`].
    pub(super) queues: Vec<(String, u64)>,
    /// What is paused, without what is over.
    pub(super) paused: Paused,
    pub(super) waiting_jobs: u64,
    /// How many processes are in each phase.
    pub(super) phases: BTreeMap<String, u64>,
    pub(super) running_jobs: u64,
    pub(super) slots: u64,
    /// Since the look before.
    pub(super) processed_per_s: Option<f64>,
}

/// Why it is not known now.
#[derive(Debug, Error)]
pub(super) enum FleetError {
    /// There is one for each node, and they would have to be followed.
    #[error("the fleet of a redis cluster is not shown; ask each process, or `jiggler-uring top`")]
    Cluster,
    /// Redis is away.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// It answered something else.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// More ask than connections may be open.
    #[error("too many ask at the same time")]
    Busy,
}

/// See the module.
pub(super) struct Fleet {
    // Fixed.
    url: RedisUrl,
    keys: Keyspace,
    client_name: String,
    // Changed by the one that has the turn.
    turns: Permits,
    open: RefCell<Option<Open>>,
    seen: RefCell<Option<(Instant, Rc<FleetFacts>)>>,
}

struct Open {
    conn: Connection,
    survey: Survey,
    /// Jobs processed, and when that was read.
    processed: Option<(Instant, u64)>,
}

impl Fleet {
    pub(super) fn new(url: RedisUrl, keys: Keyspace, client_name: String) -> Self {
        Self {
            url,
            keys,
            client_name,
            turns: Permits::new(1, WEB_CONNECTIONS_MAX),
            open: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    /// What is known now, or was a moment ago.
    ///
    /// # Cancel-safety
    /// Safe: a connection with an answer under way is closed.
    pub(super) async fn look(&self) -> Result<Rc<FleetFacts>, FleetError> {
        if self.url.is_cluster() {
            return Err(FleetError::Cluster);
        }
        let _turn = self.turns.take().await.map_err(|_| FleetError::Busy)?;
        if let Some((at, facts)) = &*self.seen.borrow()
            && at.elapsed() < FLEET_AGE_MAX
        {
            return Ok(Rc::clone(facts));
        }
        let open = self.open.take();
        let (open, facts) = self.read(open).await?;
        let facts = Rc::new(facts);
        self.seen.replace(Some((Instant::now(), Rc::clone(&facts))));
        self.open.replace(Some(open));
        Ok(facts)
    }

    async fn read(&self, open: Option<Open>) -> Result<(Open, FleetFacts), FleetError> {
        let mut requests = Requests::new();
        if let Some(mut open) = open {
            // It may have been closed while nobody asked.
            if open.look(&mut requests).await.is_ok() {
                let facts = open.facts();
                return Ok((open, facts));
            }
        }
        let options = ConnOptions {
            name: self.client_name.clone(),
            limits: ReplyLimits::default(),
            chunk_bytes: CONTROL_CHUNK_BYTES,
        };
        let conn = Connection::open(&self.url, &options).await?;
        let survey = Survey::again(Scope::Everything, self.keys);
        let mut open = Open { conn, survey, processed: None };
        for _look in 0..FLEET_FIRST_LOOKS_MAX {
            open.look(&mut requests).await?;
            if open.survey.is_complete() {
                break;
            }
        }
        let facts = open.facts();
        Ok((open, facts))
    }
}

impl Open {
    /// One round trip.
    async fn look(&mut self, requests: &mut Requests) -> Result<(), FleetError> {
        requests.clear();
        self.survey.write(requests);
        let replies = self.conn.call(requests).await?;
        Ok(self.survey.accept(&replies)?)
    }

    fn facts(&mut self) -> FleetFacts {
        let counts = self.survey.counts();
        let mut queues: Vec<(String, u64)> = self.survey.queues().collect();
        let waiting_jobs = queues.iter().map(|(_, jobs)| jobs).sum();
        queues.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        queues.truncate(FLEET_QUEUES_MAX);
        let now = Instant::now();
        let before = self.processed.replace((now, counts.processed));
        let processed_per_s = before.map(|(at, processed)| {
            let seconds = now.saturating_duration_since(at).as_secs_f64().max(1e-3);
            counts.processed.saturating_sub(processed) as f64 / seconds
        });
        let paused = self.survey.paused().clone();
        let mut facts =
            FleetFacts { counts, queues, paused, waiting_jobs, processed_per_s, ..FleetFacts::default() };
        for (_, process) in self.survey.processes() {
            let member = Member::of(process);
            if member.died_at.is_none() {
                facts.running_jobs += member.busy;
                facts.slots += member.concurrency;
            }
            *facts.phases.entry(member.phase).or_default() += 1;
        }
        facts
    }
}

impl FleetFacts {
    /// How long it takes to run what waits, at the rate at which jobs ran last; `None` if that is not known or nothing ran.
    pub(super) fn drain_s(&self) -> Option<f64> {
        if self.waiting_jobs == 0 {
            return Some(0.0);
        }
        let rate = self.processed_per_s.filter(|rate| *rate > 0.0)?;
        Some(self.waiting_jobs as f64 / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::testing::block_on;
    use crate::wire::Dialect;

    #[test]
    fn queues_sets_and_processes_are_read_and_again_after_the_connection_was_lost() {
        let redis = OwnRedis::start();
        let keys = Dialect::Jiggler.keys(false);
        for _ in 0..3 {
            redis.run(&[b"LPUSH", keys.queue("long").as_bytes(), b"x", b"y"]);
        }
        redis.run(&[b"LPUSH", keys.queue("short").as_bytes(), b"x"]);
        redis.run(&[b"ZADD", keys.names().dead.as_bytes(), b"1", b"x"]);
        redis.run(&[b"SET", keys.names().processed.as_bytes(), b"7"]);
        let heartbeat = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        redis.run(&[b"SET", heartbeat.as_bytes(), br#"{"heartbeat":1.5,"rss":7,"current_jobs":{}}"#]);
        block_on(async {
            let fleet = Fleet::new(redis.url(), keys, "jiggler-uring:test:web".to_owned());
            let facts = fleet.look().await.unwrap();
            assert_eq!(facts.queues, [("long".to_owned(), 6), ("short".to_owned(), 1)]);
            assert_eq!((facts.waiting_jobs, facts.counts.dead_jobs, facts.counts.processed), (7, 1, 7));
            assert_eq!((facts.slots, facts.phases["running"]), (3, 1));
            assert_eq!(facts.drain_s(), None, "no rate is known yet");
            assert!(Rc::ptr_eq(&facts, &fleet.look().await.unwrap()), "what is known is shown again");
            fleet.seen.replace(None);
            redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]);
            redis.run(&[b"DEL", keys.queue("long").as_bytes(), keys.queue("short").as_bytes()]);
            let facts = fleet.look().await.unwrap();
            assert_eq!((facts.waiting_jobs, facts.drain_s()), (0, Some(0.0)));
        });
    }

    #[test]
    fn the_time_to_drain_follows_from_the_rate() {
        let facts = |waiting_jobs, processed_per_s| FleetFacts {
            waiting_jobs,
            processed_per_s,
            ..FleetFacts::default()
        };
        assert_eq!(facts(100, Some(50.0)).drain_s(), Some(2.0));
        assert_eq!(facts(100, Some(0.0)).drain_s(), None);
        assert_eq!(facts(0, None).drain_s(), Some(0.0));
    }
}
