//! A worker without Redis: jobs run one by one inside the test, what they push stays in memory, and time passes when
//! the test says so.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::run::{Run, Runner, cannot_be_pushed, payload_of};
use crate::client::{LocalClient, Push, Pushed};
use crate::handler::Registry;
use crate::job::{Fate, Schema};
use crate::limits::DRAIN_JOBS_MAX;
use crate::time::unix_now;

/// Runs jobs with the handlers of a registry: payload, lookup, arguments, middleware, timeout, panics and the verdict
/// on a failure are those of a real worker, with one difference: a name without a handler fails at once.
///
/// A run is made once. What is to run again, and what jobs push, waits until the test lets time pass
/// ([`advance`](Self::advance)), asks for all runs of one job ([`run_to_end`](Self::run_to_end)) or takes what was pushed
/// ([`drain`](Self::drain)).
///
/// Use it inside [`block_on`](super::block_on).
pub struct TestWorker<S = ()> {
    runner: Runner<S>,
    client: LocalClient,
    /// What would be in the retry set.
    waiting: RefCell<Vec<Waiting>>,
    /// Unix time here.
    now: Cell<f64>,
}

/// A job that would be in the retry set.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Waiting {
    /// When it is due, Unix time in seconds.
    pub due_at: f64,
    /// The queue it goes to then.
    pub queue: String,
    /// The bytes that would be in Redis.
    pub payload: Vec<u8>,
}

impl<S: 'static> TestWorker<S> {
    /// A worker with these handlers, which are those of core 0.
    pub fn new(registry: Registry<S>) -> Self {
        let (runner, client) = Runner::new(registry, LocalClient::in_memory());
        let now = unix_now();
        client.set_clock(now);
        Self { runner, client, waiting: RefCell::default(), now: Cell::new(now) }
    }

    /// The state that the handlers share.
    #[must_use]
    pub fn state(&self) -> &Rc<S> {
        self.runner.state()
    }

    /// Runs a job as if it had been pushed and fetched: from its queue, with its retries.
    ///
    /// # Panics
    /// If it cannot be pushed at all.
    pub async fn run<J: Push + ?Sized>(&self, job: &J) -> Run {
        self.run_attempt(job, 0).await
    }

    /// Runs a job with this name and these arguments. Its queue is that of its type, if it is registered for
    /// [one](crate::Job::JOB), else `default`; its retries are those of its handler or the registry.
    ///
    /// # Panics
    /// If it cannot be pushed at all.
    pub async fn run_named<A: Serialize + ?Sized>(&self, name: &str, args: &A) -> Run {
        self.run(&self.runner.named(name, args)).await
    }

    /// Runs a job as it is after this many failed runs: its retry number `attempt`.
    ///
    /// # Panics
    /// If it cannot be pushed at all.
    pub async fn run_attempt<J: Push + ?Sized>(&self, job: &J, attempt: u32) -> Run {
        let Pushed { queue, payload, .. } = match payload_of(job, attempt, self.now.get()).await {
            Ok(Some(pushed)) => pushed,
            Ok(None) => cannot_be_pushed(&"it is nowhere"),
            Err(error) => cannot_be_pushed(&error),
        };
        self.run_payload(&queue, &payload).await
    }

    /// Runs a payload as it would be in a queue, for example from a Ruby program.
    pub async fn run_payload(&self, queue: &str, payload: &[u8]) -> Run {
        let before = self.client.pushed().len();
        let (mut run, fate) = self.runner.run(queue, &Bytes::copy_from_slice(payload), self.now.get()).await;
        run.pushed = self.client.pushed().split_off(before);
        if let Some(Fate::Retry { at, payload } | Fate::Snooze { at, payload }) = fate {
            let queue = crate::job::member(&payload, Schema::default().names().queue)
                .unwrap_or_else(|| queue.to_owned());
            self.waiting.borrow_mut().push(Waiting { due_at: at, queue, payload });
        }
        run
    }

    /// Runs a job, and again at the end of each pause that its failures and snoozes ask for, until it is done, dead or
    /// discarded. The pauses take no time here; the worker's clock moves on by them, and nothing else that is due by
    /// then runs.
    ///
    /// # Panics
    /// If it cannot be pushed at all, or after [`DRAIN_JOBS_MAX`] runs: it never ends.
    pub async fn run_to_end<J: Push + ?Sized>(&self, job: &J) -> Vec<Run> {
        let mut runs = vec![self.run(job).await];
        while runs.last().is_some_and(|run| run.outcome.runs_again_after().is_some()) {
            assert!(
                runs.len() < DRAIN_JOBS_MAX,
                "the job has run {DRAIN_JOBS_MAX} times and still has not ended"
            );
            // What its last run has put there.
            let next = self.waiting.borrow_mut().pop();
            let Some(next) = next else { break };
            self.set_clock(self.now.get().max(next.due_at));
            runs.push(self.run_payload(&next.queue, &next.payload).await);
        }
        runs
    }

    /// Lets time pass, and runs what becomes due meanwhile, in the order in which it does: retries, snoozed jobs, and
    /// what jobs push for now or for later. Nothing sleeps.
    ///
    /// # Panics
    /// After [`DRAIN_JOBS_MAX`] jobs: something keeps pushing itself forever.
    pub async fn advance(&self, by: Duration) -> Vec<Run> {
        let until = self.now.get() + by.as_secs_f64();
        let mut runs = Vec::new();
        while let Some(Waiting { due_at, queue, payload }) = self.take_due(until) {
            assert!(runs.len() < DRAIN_JOBS_MAX, "{DRAIN_JOBS_MAX} jobs have run and there are more");
            self.set_clock(self.now.get().max(due_at));
            runs.push(self.run_payload(&queue, &payload).await);
        }
        self.set_clock(until);
        runs
    }

    /// Takes the next job that is due by then.
    fn take_due(&self, until: f64) -> Option<Waiting> {
        let mut waiting = self.waiting.borrow_mut();
        let now = self.now.get();
        waiting.extend(self.client.take_pushed().into_iter().map(|job| Waiting {
            due_at: job.due_at.unwrap_or(now),
            queue: job.queue,
            payload: job.payload,
        }));
        let next = waiting.iter().enumerate().min_by(|one, other| one.1.due_at.total_cmp(&other.1.due_at))?;
        let (at, due_at) = (next.0, next.1.due_at);
        (due_at <= until).then(|| waiting.remove(at))
    }

    fn set_clock(&self, now: f64) {
        self.now.set(now);
        self.client.set_clock(now);
    }

    /// Unix time in seconds here: that of its start, and what [`advance`](Self::advance) and
    /// [`run_to_end`](Self::run_to_end) have added.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.now.get()
    }

    /// What would be in the retry set: failed and snoozed jobs that have not run again, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        self.waiting.borrow().clone()
    }

    /// Runs everything that jobs have pushed, oldest first, whatever the queue and the due time, and what that pushes
    /// in turn, until nothing is left. What is to be retried keeps waiting.
    ///
    /// # Panics
    /// After [`DRAIN_JOBS_MAX`] jobs: something keeps pushing itself forever.
    pub async fn drain(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        loop {
            let pushed = self.client.take_pushed();
            if pushed.is_empty() {
                return runs;
            }
            for Pushed { queue, payload, .. } in pushed {
                assert!(runs.len() < DRAIN_JOBS_MAX, "{DRAIN_JOBS_MAX} jobs have run and there are more");
                runs.push(self.run_payload(&queue, &payload).await);
            }
        }
    }

    /// What jobs have pushed and was not drained, oldest first.
    #[must_use]
    pub fn pushed(&self) -> Vec<Pushed> {
        self.client.pushed()
    }

    /// The client that the handlers push with: to push from the test, or to read the progress that jobs reported.
    #[must_use]
    pub fn client(&self) -> &LocalClient {
        &self.client
    }

    /// Tears down the state, as after the last job of a core: see [`Registry::on_stop`].
    pub async fn stop(self) {
        self.runner.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde::{Deserialize, Serialize};

    use super::super::run::Outcome;
    use super::*;
    use crate::client::{Job, NewJob};
    use crate::handler::{CancelFlag, Ctx, JobError, JobResult, RetryPolicy, options};
    use crate::job::failure::{CLASS_TIMEOUT, CLASS_UNKNOWN_JOB};
    use crate::testing::block_on;

    async fn fails(kind: String) -> JobResult {
        Err(match &*kind {
            "snooze" => JobError::snooze(Duration::from_secs(5)),
            "discard" => JobError::discard(JobError::new("Gone", "away")),
            "dead" => JobError::dead(JobError::new("Fatal", "no")),
            "panic" => panic!("on purpose"),
            _ => JobError::new("Plain", kind),
        })
    }

    async fn countdown(ctx: Ctx<()>, from: u32) -> JobResult {
        ctx.progress(0, 1, "counting");
        if from > 0 {
            ctx.enqueue(&NewJob::new("Countdown", &(from - 1,))?.queue_named("down")?).await?;
        }
        Ok(())
    }

    async fn hangs() {
        std::future::pending::<()>().await;
    }

    fn registry() -> Registry {
        Registry::new(())
            .job("Fails", options(fails).retry_policy(RetryPolicy::fixed(Duration::from_secs(9))))
            .job("Countdown", countdown)
            .job("Hangs", options(hangs).timeout(Duration::from_millis(5)))
    }

    #[test]
    fn every_outcome_is_that_of_a_real_worker() {
        block_on(async {
            let worker = TestWorker::new(registry());
            let run = async |kind: &str, retries: u32| {
                worker.run(&NewJob::new("Fails", &(kind,)).unwrap().retries(retries).unwrap()).await.outcome
            };
            let secs = Duration::from_secs;
            assert!(
                matches!(run("x", 1).await, Outcome::Retry { after, error } if after == secs(9) && error.class() == "Plain")
            );
            assert!(matches!(run("x", 0).await, Outcome::Dead { error } if error.message() == "x"));
            assert!(matches!(run("snooze", 0).await, Outcome::Snoozed { after } if after == secs(5)));
            assert!(
                matches!(run("discard", 3).await, Outcome::Discarded { error } if error.class() == "Gone")
            );
            assert!(matches!(run("dead", 3).await, Outcome::Dead { error } if error.class() == "Fatal"));
            assert!(run("panic", 0).await.error().is_some_and(|error| error.message() == "on purpose"));
            for (name, class) in [("Hangs", CLASS_TIMEOUT), ("Nobody", CLASS_UNKNOWN_JOB)] {
                let run = worker.run_named(name, &()).await;
                assert_eq!(run.outcome.error().map(JobError::class), Some(class));
            }
            let run = worker.run_payload("q", b"no job").await;
            assert!(run.outcome.is_dead() && run.name.is_empty() && run.queue == "q", "{run:?}");
        });
    }

    #[derive(Serialize, Deserialize)]
    struct Welcome {
        user: u64,
    }

    impl Job for Welcome {
        const NAME: &'static str = "Welcome";
        const QUEUE: &'static str = "mails";
        const RETRIES: Option<u32> = Some(4);
    }

    /// Notes the attempts; succeeds in the third, after having put off the second.
    async fn welcome(ctx: Ctx<RefCell<Vec<u32>>>, job: Welcome) -> JobResult {
        let attempt = ctx.job().attempt;
        ctx.state().borrow_mut().push(attempt);
        let runs = ctx.state().borrow().len();
        match (job.user, runs) {
            (7, 1) => Err(JobError::new("Early", "")),
            (7, 2) => Err(JobError::snooze(Duration::from_secs(60))),
            _ => {
                ctx.enqueue_in(Duration::from_secs(600), &NewJob::new("Later", &(job.user,))?).await?;
                Ok(())
            }
        }
    }

    async fn later(ctx: Ctx<RefCell<Vec<u32>>>, user: u64) {
        ctx.state().borrow_mut().push(u32::try_from(user).unwrap());
    }

    fn welcoming() -> TestWorker<RefCell<Vec<u32>>> {
        TestWorker::new(Registry::new(RefCell::default()).job(Welcome::JOB, welcome).job("Later", later))
    }

    #[test]
    fn a_job_runs_in_its_queue_with_its_retries_and_its_state_can_be_read() {
        block_on(async {
            let worker = welcoming();
            for run in [worker.run(&Welcome { user: 1 }).await, worker.run_named("Welcome", &(2,)).await] {
                assert_eq!((&*run.queue, run.attempt), ("mails", 0));
                assert!(run.outcome.is_done());
                let pushed: Vec<&str> = run.pushed.iter().map(|job| &*job.name).collect();
                assert_eq!(pushed, ["Later"], "what this run pushed, not what the other did");
            }
            let run = worker.run_attempt(&Welcome { user: 1 }, 3).await;
            assert_eq!((run.attempt, run.retries), (3, 4));
            assert_eq!(*worker.state().borrow(), [0, 0, 3]);
            // The worker's own number is there for what names none.
            let worker = TestWorker::new(registry().default_retries(6));
            assert_eq!(worker.run_named("Fails", &("x",)).await.retries, 6);
            assert!(worker.run_named("Fails", &("x",)).await.outcome.runs_again_after().is_some());
        });
    }

    #[test]
    fn pauses_pass_when_the_test_says_so() {
        block_on(async {
            let worker = welcoming();
            let began = worker.now();
            let runs = worker.run_to_end(&Welcome { user: 7 }).await;
            assert!(runs.len() == 3 && runs[2].outcome.is_done(), "{runs:?}");
            assert_eq!(*worker.state().borrow(), [0, 1, 1], "a snooze is no attempt");
            assert!((worker.now() - began - 76.0).abs() < 3.0, "16 s and a minute: {}", worker.now() - began);

            assert!(worker.advance(Duration::from_secs(599)).await.is_empty());
            let runs = worker.advance(Duration::from_secs(2)).await;
            assert_eq!(runs.iter().map(|run| &*run.name).collect::<Vec<_>>(), ["Later"]);
            assert!(worker.waiting().is_empty() && worker.pushed().is_empty());

            // A retry of one job, with time, beside what it pushed.
            worker.state().borrow_mut().clear();
            assert!(!worker.run(&Welcome { user: 7 }).await.outcome.is_done());
            let waiting = worker.waiting();
            assert_eq!((waiting.len(), &*waiting[0].queue), (1, "mails"));
            let names: Vec<String> =
                worker.advance(Duration::from_secs(3_600)).await.into_iter().map(|run| run.name).collect();
            assert_eq!(names, ["Welcome", "Welcome", "Later"]);
        });
    }

    #[test]
    fn a_drain_runs_what_jobs_push_until_nothing_is_left() {
        block_on(async {
            let worker = TestWorker::new(registry());
            assert!(worker.run_named("Countdown", &(3,)).await.outcome.is_done());
            assert_eq!(worker.pushed().len(), 1);
            let runs = worker.drain().await;
            assert_eq!(runs.len(), 3);
            assert!(runs.iter().all(|run| run.outcome.is_done() && run.queue == "down"));
            assert!(worker.pushed().is_empty());
            assert_eq!(worker.client().progress().len(), 4);
        });
    }

    #[test]
    fn what_a_job_started_elsewhere_learns_that_the_job_is_over() {
        type Flags = RefCell<Vec<CancelFlag>>;
        async fn asks(ctx: Ctx<Flags>, waits: bool) {
            assert!(
                !ctx.is_cancelled() && ctx.time_left().is_some() && ctx.deadline() > Some(Instant::now())
            );
            ctx.state().borrow_mut().push(ctx.cancel_flag());
            if waits {
                // Like a task that the job has spawned.
                let other = ctx.clone();
                let waiting = glommio::spawn_local(async move { other.cancelled().await });
                ctx.state().borrow_mut().push(ctx.cancel_flag());
                waiting.await;
            }
        }
        block_on(async {
            let seen: Rc<Cell<Option<Rc<Flags>>>> = Rc::default();
            let keep = Rc::clone(&seen);
            let asks = options(asks).timeout(Duration::from_millis(20));
            let registry =
                Registry::new(Flags::default()).job("Asks", asks).on_stop(move |flags| async move {
                    keep.set(Some(flags));
                });
            let worker = TestWorker::new(registry);
            assert!(worker.run_named("Asks", &(false,)).await.outcome.is_done());
            let late = worker.run_named("Asks", &(true,)).await.outcome;
            assert_eq!(late.error().map(JobError::class), Some(CLASS_TIMEOUT));
            worker.stop().await;
            let flags = seen.take().unwrap();
            let set: Vec<bool> = flags.borrow().iter().map(CancelFlag::is_set).collect();
            assert_eq!(set, [false, true, true], "only a job that is dropped early is cancelled");
        });
    }

    #[test]
    fn a_state_is_torn_down_when_the_worker_stops() {
        block_on(async {
            let order = Rc::new(Cell::new(0));
            let note = |expected: u32| {
                let order = Rc::clone(&order);
                async move |state: Rc<u8>| {
                    assert_eq!((*state, order.get()), (7, expected));
                    order.set(expected + 1);
                }
            };
            let panics = async |state: Rc<u8>| assert_eq!(*state, 0, "in one of them");
            let registry = Registry::new(7_u8).on_stop(note(0)).on_stop(panics);
            TestWorker::new(registry.on_stop(note(1))).stop().await;
            assert_eq!(order.get(), 2);
        });
    }
}
