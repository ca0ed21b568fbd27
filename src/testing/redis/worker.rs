//! A worker on a real Redis, inside the test: what it runs, and what becomes of it, passes through the keys and scripts of
//! production.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::super::run::{Run, Runner, cannot_be_pushed};
use crate::client::{LocalClient, Push};
use crate::handler::Registry;
use crate::ids::process_uuid;
use crate::job::{Fate, Schema, member};
use crate::limits::{DEAD_JOBS_MAX, DEAD_TIMEOUT, DRAIN_JOBS_MAX, READ_CHUNK_BYTES};
use crate::net::{ConnOptions, Connection};
use crate::resp::{RedisUrl, Reply, ReplyLimits, Requests};
use crate::store::scripts::{self, Scripts};
use crate::store::turn::{
    self, BatchName, Destination, Move, QueueKeys, Settlement, Turn, TurnContext, TurnReply,
};
use crate::store::{due, enqueue};
use crate::time::unix_now;
use crate::wire::{DEFAULT_QUEUE, Dialect, Keyspace, client_name};

/// How long it may take part in the election of pollers after it has moved a due job.
const LEAD: Duration = Duration::from_secs(1);

/// Runs jobs as [`TestWorker`](crate::testing::TestWorker) does, so a test can assert the same of its [`Run`]s; but they are
/// pushed into a real Redis, in flight there while they run, and end in its retry set or dead set. What jobs push is in
/// its queues. Give it a server of its own, [`PrivateRedis`](super::PrivateRedis): another worker would take its jobs.
///
/// ```no_run
/// use jiggler_uring::testing::{self, PrivateRedis, redis::RedisWorker};
/// use jiggler_uring::{Ctx, JobResult, NewJob, Registry};
///
/// async fn sign_up(ctx: Ctx<()>, user: u64) -> JobResult {
///     ctx.enqueue(&NewJob::new("Welcome", &(user,))?).await?;
///     Ok(())
/// }
///
/// let redis = PrivateRedis::start()?;
/// testing::block_on(async {
///     let mut worker = RedisWorker::new(Registry::new(()).job("SignUp", sign_up), &redis.redis_url()).await;
///     assert!(worker.run_named("SignUp", &(7,)).await.outcome.is_done());
///     assert!(worker.run_next("default").await.is_some_and(|run| run.name == "Welcome"));
/// });
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Its methods panic when Redis fails: a test has nothing else to do then.
pub struct RedisWorker<S = ()> {
    runner: Runner<S>,
    client: LocalClient,
    uuid: String,
    keys: Keyspace,
    conn: Connection,
    scripts: Scripts,
    /// The number of its last turn.
    turn: u64,
    /// What its last run left in the retry set.
    again: Option<Vec<u8>>,
}

impl<S: 'static> RedisWorker<S> {
    /// A worker with these handlers, which are those of core 0, on the server with this url.
    ///
    /// # Panics
    /// If it cannot be reached.
    pub async fn new(registry: Registry<S>, url: &RedisUrl) -> Self {
        let (uuid, keys) = (process_uuid().as_ref().to_owned(), Dialect::default().keys(false));
        let client = LocalClient::connecting(url.clone(), client_name(&uuid, Some(0), "client"));
        let (runner, client) = Runner::new(registry, client);
        let options = ConnOptions {
            name: client_name(&uuid, Some(0), "test"),
            limits: ReplyLimits::default(),
            chunk_bytes: READ_CHUNK_BYTES,
        };
        let mut conn = Connection::open(url, &options).await.unwrap_or_else(|error| failed(&error));
        let mut requests = Requests::new();
        scripts::load(&keys.shared_realm(), &mut requests);
        let replies = conn.call(&requests).await.unwrap_or_else(|error| failed(&error));
        let scripts = Scripts::read(keys.shared_realm(), &replies).unwrap_or_else(|error| failed(&error));
        Self { runner, client, uuid, keys, conn, scripts, turn: 0, again: None }
    }

    /// The state that the handlers share.
    #[must_use]
    pub fn state(&self) -> &Rc<S> {
        self.runner.state()
    }

    /// The client that the handlers push with.
    #[must_use]
    pub fn client(&self) -> &LocalClient {
        &self.client
    }

    /// Pushes a job and runs it, after what waits in its queue already.
    ///
    /// # Panics
    /// If it cannot be pushed, or another worker has taken it.
    pub async fn run<J: Push + ?Sized>(&mut self, job: &J) -> Run {
        let job = job.to_push().unwrap_or_else(|error| cannot_be_pushed(&error));
        let jid = self.client.enqueue(&*job).await.unwrap_or_else(|error| cannot_be_pushed(&error));
        self.run_until(job.queue().as_str(), &jid).await
    }

    /// The same for a job with this name and these arguments; see
    /// [`TestWorker::run_named`](crate::testing::TestWorker::run_named).
    ///
    /// # Panics
    /// As [`run`](Self::run).
    pub async fn run_named<A: Serialize + ?Sized>(&mut self, name: &str, args: &A) -> Run {
        let job = self.runner.named(name, args);
        self.run(&job).await
    }

    /// Pushes a job and runs it, and again as often as its failures and snoozes ask for it, until it is done, dead or
    /// discarded. The pauses take no time: it is made due in the retry set, and moved to its queue as by a poller.
    ///
    /// # Panics
    /// As [`run`](Self::run), and after [`DRAIN_JOBS_MAX`] runs: it never ends.
    pub async fn run_to_end<J: Push + ?Sized>(&mut self, job: &J) -> Vec<Run> {
        let mut runs = vec![self.run(job).await];
        while let Some(payload) = self.again.take() {
            assert!(
                runs.len() < DRAIN_JOBS_MAX,
                "the job has run {DRAIN_JOBS_MAX} times and still has not ended"
            );
            let queue: String =
                member(&payload, Schema::default().names().queue).unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
            let jid = runs.last().map(|run| run.jid.clone()).unwrap_or_default();
            self.make_due(&payload).await;
            runs.push(self.run_until(&queue, &jid).await);
        }
        runs
    }

    /// Takes the job that is next in a queue and runs it; `None` if the queue is empty.
    pub async fn run_next(&mut self, queue: &str) -> Option<Run> {
        let keys = |name: &str| QueueKeys::new(self.keys, name, &self.uuid, 0);
        let context = TurnContext {
            // The first one's index has the number of the last turn.
            queues: [keys(DEFAULT_QUEUE), keys(queue)].into(),
            keep_in_flight: true,
            dead_jobs_max: Cell::new(DEAD_JOBS_MAX),
            dead_timeout_s: Cell::new(DEAD_TIMEOUT.as_secs_f64()),
            looks_at_each: Cell::new(false),
        };
        let replies = self.make_turn(&context, 1, &Settlement::default()).await;
        let fetched = TurnReply::read(&replies, ORDER).unwrap_or_else(|error| failed(&error)).fetched;
        let raw = fetched.into_iter().flat_map(|from| from.payloads).next()?;
        let taken = self.turn;
        let (run, fate) = self.runner.run(queue, &raw, unix_now()).await;
        self.again = match &fate {
            Some(Fate::Retry { payload, .. } | Fate::Snooze { payload, .. }) => Some(payload.clone()),
            _ => None,
        };
        self.make_turn(&context, 0, &settlement(&run, fate, taken, &raw)).await;
        Some(run)
    }

    /// Runs what waits in a queue, and what that pushes into it, until it is empty.
    ///
    /// # Panics
    /// After [`DRAIN_JOBS_MAX`] jobs: something keeps pushing itself forever.
    pub async fn drain(&mut self, queue: &str) -> Vec<Run> {
        let mut runs = Vec::new();
        while let Some(run) = self.run_next(queue).await {
            assert!(runs.len() < DRAIN_JOBS_MAX, "{DRAIN_JOBS_MAX} jobs have run and there are more");
            runs.push(run);
        }
        runs
    }

    /// Tears down the state, as after the last job of a core: see [`Registry::on_stop`].
    pub async fn stop(self) {
        self.runner.stop().await;
    }

    async fn run_until(&mut self, queue: &str, jid: &str) -> Run {
        for _ in 0..DRAIN_JOBS_MAX {
            match self.run_next(queue).await {
                Some(run) if run.jid == jid => return run,
                Some(_) => {}
                None => failed(&"the job is not in its queue; does another worker use this redis?"),
            }
        }
        failed(&format!("{DRAIN_JOBS_MAX} jobs have run before it"))
    }

    async fn make_turn(&mut self, context: &TurnContext, wanted: usize, settled: &Settlement) -> Vec<Reply> {
        self.turn += 1;
        let (number, now) = (self.turn, unix_now());
        let turn = Turn { number, after: 0, wanted, order: ORDER, limits: &[], settled, now };
        let mut requests = Requests::new();
        context.write(&self.scripts, &turn, &mut requests);
        let replies = self.conn.call(&requests).await.unwrap_or_else(|error| failed(&error));
        if let Some(refusal) = turn::refusal(&replies) {
            failed(&refusal);
        }
        replies
    }

    /// Moves a job of the retry set to its queue.
    async fn make_due(&mut self, payload: &[u8]) {
        let mut requests = Requests::new();
        enqueue::retry_in(&self.keys.shared_realm(), &mut requests, 0.0, payload);
        let look = due::DueLook { uuid: &self.uuid, lead: LEAD, may_lead: false, told: None, paces: &[] };
        due::move_due(&self.scripts, look, &mut requests);
        let replies = self.conn.call(&requests).await.unwrap_or_else(|error| failed(&error));
        for reply in replies {
            reply.into_result().unwrap_or_else(|error| failed(&error));
        }
    }
}

/// The queue at hand is the second of its context.
const ORDER: &[usize] = &[1];

/// What a shard would report: see `shard::settle`.
fn settlement(run: &Run, fate: Option<Fate>, taken: u64, raw: &Bytes) -> Settlement {
    let mut settled = Settlement { wholes: vec![(1, taken)], ..Settlement::default() };
    let mut move_to = |to, score, payload| {
        let from = (1, BatchName::Turn(taken));
        settled.moves.push(Move { from, raw: raw.clone(), to, score, payload });
    };
    let (processed, failed) = match fate {
        None | Some(Fate::Discard) => (1, 0),
        Some(Fate::Forgotten) => (1, 1),
        Some(Fate::Snooze { at, payload }) => {
            move_to(Destination::Later, at, payload);
            (0, 0)
        }
        Some(Fate::Retry { at, payload }) => {
            move_to(Destination::Retries, at, payload);
            (1, 1)
        }
        Some(Fate::Dead { at, payload }) => {
            move_to(Destination::Dead, at, payload);
            // What is no job has not run.
            (u64::from(!run.name.is_empty()), 1)
        }
    };
    (settled.processed, settled.failed) = (processed, failed);
    settled
}

#[expect(clippy::panic, reason = "for tests only, which it makes fail")]
fn failed(why: &dyn std::fmt::Display) -> ! {
    panic!("redis does not do what the test needs: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::NewJob;
    use crate::handler::{Ctx, JobError, JobResult, RetryPolicy, options};
    use crate::own_redis::OwnRedis;
    use crate::testing::block_on;

    async fn flaky(ctx: Ctx<Cell<u32>>, kind: String) -> JobResult {
        ctx.state().set(ctx.state().get() + 1);
        match (&*kind, ctx.job().attempt) {
            ("third", 2) => Ok(()),
            ("dead", _) => Err(JobError::dead(JobError::new("Fatal", "no"))),
            ("pushes", _) => {
                ctx.enqueue(&NewJob::new("Flaky", &("third",))?.queue_named("slow")?).await?;
                Ok(())
            }
            _ => Err(JobError::new("Again", kind)),
        }
    }

    #[test]
    fn runs_pass_through_the_keys_of_production_and_say_what_a_test_worker_says() {
        let redis = OwnRedis::start();
        let count = |key: &str| redis.run(&[b"ZCARD", key.as_bytes()]).as_integer().unwrap();
        block_on(async {
            let policy = RetryPolicy::fixed(Duration::from_secs(3_600));
            let registry =
                Registry::new(Cell::new(0)).job("Flaky", options(flaky).retries(2).retry_policy(policy));
            let mut worker = RedisWorker::new(registry, &redis.url()).await;

            let job = NewJob::new("Flaky", &("third",)).unwrap().queue_named("img").unwrap();
            let run = worker.run(&job).await;
            assert_eq!((&*run.queue, run.attempt, run.retries), ("img", 0, 2));
            assert_eq!(run.outcome.runs_again_after(), Some(Duration::from_secs(3_600)));
            assert_eq!(count("jiggler:set:retries"), 1);

            let runs = worker.run_to_end(&job.jid("other").unwrap()).await;
            let attempts: Vec<u32> = runs.iter().map(|run| run.attempt).collect();
            assert!(attempts == [0, 1, 2] && runs[2].outcome.is_done(), "{runs:?}");
            assert!(worker.run_named("Flaky", &("dead",)).await.outcome.is_dead());
            assert_eq!((count("jiggler:set:retries"), count("jiggler:set:dead")), (1, 1));

            assert!(worker.run_named("Flaky", &("pushes",)).await.outcome.is_done());
            assert_eq!(worker.drain("slow").await.len(), 1);
            assert!(worker.run_next("slow").await.is_none());
            assert_eq!(worker.state().get(), 7);
            worker.stop().await;
        });
        let counters =
            [b"MGET".as_slice(), b"jiggler:stats:processed_counter", b"jiggler:stats:failures_counter"];
        assert_eq!(redis.strings(&counters), ["7", "5"]);
        let lists = redis.strings(&[b"KEYS", b"*list*"]);
        assert!(lists.iter().all(|key| key.ends_with(":0")), "only the index is left: {lists:?}");
    }
}
