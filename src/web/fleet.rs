//! The fleet as Redis knows it: queues, sets and processes, read over a connection of its own when somebody asks for it.
//!
//! What was read less than [`FLEET_AGE_MAX`] ago is shown again, so any number of clients costs Redis what one does. A
//! connection that fails is opened again with the next question.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Instant;

use thiserror::Error;

use crate::io::permits::Permits;
use crate::job::Schema;
use crate::limits::{
    CONTROL_CHUNK_BYTES, FLEET_AGE_MAX, FLEET_FIRST_LOOKS_MAX, FLEET_QUEUES_MAX, WAITS_QUEUES,
    WEB_CONNECTIONS_MAX,
};
use crate::net::{self, ConnOptions, Connection};
use crate::resp::{self, RedisErrorKind, RedisUrl, ReplyLimits, Requests};
use crate::store::survey::{Counts, Scope, Survey, SurveyError};
use crate::store::waits::{self, NextDue, NextJob};
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
    pub(super) due: NextDue,
    /// Slots by queue, of processes that give their slots to queues.
    pub(super) queue_slots: BTreeMap<String, u64>,
    /// For each of these queues that has jobs: how long the one that is next has waited, in seconds ([`Next::age_s`]).
    pub(super) oldest: Vec<(String, f64)>,
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
    schema: Schema,
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
    /// The job of each queue that is next.
    nexts: BTreeMap<String, Next>,
    due: NextDue,
}

/// The job of a queue that is taken next.
struct Next {
    /// Of its bytes, as far as they are told, and their number.
    print: u64,
    /// Since when it is known to be next.
    seen: Instant,
    /// When it was pushed, by its payload.
    pushed_at: Option<f64>,
}

impl Next {
    /// How long it has waited; where its payload does not say, at least so long as it is known to be next. `now`: Unix time.
    fn age_s(&self, now: f64) -> f64 {
        let seen_s = self.seen.elapsed().as_secs_f64();
        self.pushed_at.map_or(seen_s, |at| (now - at).max(0.0))
    }
}

impl Fleet {
    pub(super) fn new(url: RedisUrl, keys: Keyspace, schema: Schema, client_name: String) -> Self {
        Self {
            url,
            keys,
            schema,
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
                let queues = open.longest();
                open.look_at_next(&queues, (self.keys, self.schema), &mut requests).await?;
                let facts = open.facts(queues);
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
        let mut open =
            Open { conn, survey, processed: None, nexts: BTreeMap::new(), due: NextDue::default() };
        for _look in 0..FLEET_FIRST_LOOKS_MAX {
            open.look(&mut requests).await?;
            if open.survey.is_complete() {
                break;
            }
        }
        let queues = open.longest();
        open.look_at_next(&queues, (self.keys, self.schema), &mut requests).await?;
        let facts = open.facts(queues);
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

    /// Looks which jobs are next in these queues. One round trip, of one call for each [`WAITS_QUEUES`].
    async fn look_at_next(
        &mut self,
        queues: &[(String, u64)],
        (keys, schema): (Keyspace, Schema),
        requests: &mut Requests,
    ) -> Result<(), FleetError> {
        requests.clear();
        // Without queues, too: the sets are asked for.
        let (first, more) = queues.split_at(queues.len().min(WAITS_QUEUES));
        for some in std::iter::once(first).chain(more.chunks(WAITS_QUEUES)) {
            waits::ask(keys, some.iter().map(|(name, _)| name.as_str()), requests);
        }
        let replies = self.conn.call(requests).await?;
        let mut before = std::mem::take(&mut self.nexts);
        let mut names = queues.iter().map(|(name, _)| name);
        for reply in &replies {
            let (due, found) = match waits::read(reply) {
                // A user who may not ask is told less.
                Err(resp::Error::Redis(error)) if error.kind() == RedisErrorKind::NoPerm => return Ok(()),
                read => read.map_err(net::Error::from)?,
            };
            self.due = due;
            for (job, name) in found.into_iter().zip(&mut names) {
                let Some(job) = job else { continue };
                let print = print(&job);
                let is_whole = job.size == job.head.len() as u64;
                let fresh = || Next {
                    print,
                    seen: Instant::now(),
                    pushed_at: schema.time_of(job.head, schema.names().enqueued_at).filter(|_| is_whole),
                };
                let known = before.remove(name).filter(|known| known.print == print);
                self.nexts.insert(name.clone(), known.unwrap_or_else(fresh));
            }
        }
        Ok(())
    }

    /// The longest queues, longest first.
    fn longest(&self) -> Vec<(String, u64)> {
        let mut queues: Vec<(String, u64)> = self.survey.queues().collect();
        queues.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        queues.truncate(FLEET_QUEUES_MAX);
        queues
    }

    /// `queues`: the longest.
    fn facts(&mut self, queues: Vec<(String, u64)>) -> FleetFacts {
        let counts = self.survey.counts();
        let waiting_jobs = self.survey.queues().map(|(_, jobs)| jobs).sum();
        let at = self.survey.now();
        let oldest = self.nexts.iter().map(|(name, next)| (name.clone(), next.age_s(at))).collect();
        let due = self.due;
        let now = Instant::now();
        let before = self.processed.replace((now, counts.processed));
        let processed_per_s = before.map(|(at, processed)| {
            let seconds = now.saturating_duration_since(at).as_secs_f64().max(1e-3);
            counts.processed.saturating_sub(processed) as f64 / seconds
        });
        let paused = self.survey.paused().clone();
        let mut facts = FleetFacts {
            counts,
            queues,
            paused,
            waiting_jobs,
            processed_per_s,
            due,
            oldest,
            ..FleetFacts::default()
        };
        for (_, process) in self.survey.processes() {
            let member = Member::of(process);
            if member.died_at.is_none() {
                facts.running_jobs += member.busy;
                facts.slots += member.concurrency;
                for given in member.balance {
                    *facts.queue_slots.entry(given.queue).or_default() += given.slots;
                }
            }
            *facts.phases.entry(member.phase).or_default() += 1;
        }
        facts
    }
}

/// Tells one job from another.
fn print(job: &NextJob<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (job.head, job.size).hash(&mut hasher);
    hasher.finish()
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
        redis.run(&[b"LPUSH", keys.queue("short").as_bytes(), br#"{"name":"J","enqueued_at":9.5}"#]);
        redis.run(&[b"ZADD", keys.names().retries.as_bytes(), b"9.5", b"x"]);
        redis.run(&[b"ZADD", keys.names().dead.as_bytes(), b"1", b"x"]);
        redis.run(&[b"SET", keys.names().processed.as_bytes(), b"7"]);
        let heartbeat = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        redis.run(&[b"SET", heartbeat.as_bytes(), br#"{"heartbeat":1.5,"rss":7,"current_jobs":{}}"#]);
        block_on(async {
            let fleet = Fleet::new(redis.url(), keys, Schema::Jiggler, "jiggler-uring:test:web".to_owned());
            let facts = fleet.look().await.unwrap();
            assert_eq!(facts.queues, [("long".to_owned(), 6), ("short".to_owned(), 1)]);
            assert_eq!((facts.waiting_jobs, facts.counts.dead_jobs, facts.counts.processed), (7, 1, 7));
            assert_eq!((facts.slots, facts.phases["running"]), (3, 1));
            assert_eq!(facts.drain_s(), None, "no rate is known yet");
            assert_eq!(facts.due, NextDue { retries: Some(9.5), scheduled: None });
            let ages: BTreeMap<&str, f64> = facts.oldest.iter().map(|(name, age)| (&**name, *age)).collect();
            assert!((1e9..3e9).contains(&ages["short"]) && ages["long"] < 60.0, "{ages:?}");
            assert!(Rc::ptr_eq(&facts, &fleet.look().await.unwrap()), "what is known is shown again");
            // The same job is next at a later look: it has waited at least since then.
            fleet.seen.replace(None);
            let later = fleet.look().await.unwrap();
            assert!(later.oldest[0].1 > facts.oldest[0].1, "{:?}", later.oldest);
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
