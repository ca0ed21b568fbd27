//! A worker without Redis: jobs run one by one inside the test, and what they push stays in memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::client::{LocalClient, NewJob, Push, Pushed};
use crate::handler::{Call, Handlers, JobError, JobResult, Registry, Started, course};
use crate::job::failure::{CLASS_BAD_PAYLOAD, CLASS_TIMEOUT, CLASS_UNKNOWN_JOB};
use crate::job::retry::{next_attempt, with_default_retries};
use crate::job::{Course, History, Parser, Schema};
use crate::limits::DRAIN_JOBS_MAX;
use crate::timeout::within;

/// Runs jobs with the handlers of a registry, once each: payload, lookup, arguments, middleware, timeout, panics and
/// the verdict on a failure are those of a real worker. Retries are reported, not made.
///
/// Use it inside [`block_on`](super::block_on).
pub struct TestWorker {
    handlers: Handlers,
    client: LocalClient,
}

/// One run of a job.
#[derive(Debug)]
#[non_exhaustive]
pub struct Run {
    /// The job's name; empty if the payload is not a job.
    pub name: String,
    /// The job's id; empty if the payload carries none.
    pub jid: String,
    /// The queue it was taken from.
    pub queue: String,
    /// The outcome.
    pub outcome: Outcome,
}

/// What a real worker would have done after a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Acked: the job is done.
    Done,
    /// Into the retry set.
    Retry {
        /// When it would run again.
        after: Duration,
        /// Why it failed.
        error: JobError,
    },
    /// Into the dead set.
    Dead {
        /// Why it failed.
        error: JobError,
    },
    /// Into the retry set, to run again as if it had not run.
    Snoozed {
        /// When it would run again.
        after: Duration,
    },
    /// Acked, without having succeeded.
    Discarded {
        /// Why.
        error: JobError,
    },
}

impl Outcome {
    /// Whether the job succeeded.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Whether it would be in the dead set.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        matches!(self, Self::Dead { .. })
    }

    /// Why it failed or was discarded.
    #[must_use]
    pub fn error(&self) -> Option<&JobError> {
        match self {
            Self::Retry { error, .. } | Self::Dead { error } | Self::Discarded { error } => Some(error),
            Self::Done | Self::Snoozed { .. } => None,
        }
    }
}

impl TestWorker {
    /// A worker with these handlers, which are those of core 0.
    pub fn new<S: 'static>(registry: Registry<S>) -> Self {
        let client = LocalClient::in_memory();
        let handlers = registry.into_handlers();
        let client = handlers.services().attach(0, client);
        Self { handlers, client }
    }

    /// Runs a job as if it had been pushed and fetched.
    ///
    /// # Panics
    /// If it cannot be pushed at all.
    pub async fn run<J: Push + ?Sized>(&self, job: &J) -> Run {
        let queue = LocalClient::in_memory();
        if let Err(error) = queue.enqueue(job).await {
            cannot_be_pushed(&error);
        }
        match queue.take_pushed().pop() {
            Some(Pushed { queue, payload, .. }) => self.run_payload(&queue, &payload).await,
            None => cannot_be_pushed(&"it is nowhere"),
        }
    }

    /// Runs a job with this name and these arguments, from the queue `default` and without retries.
    ///
    /// # Panics
    /// If it cannot be pushed at all.
    pub async fn run_named<A: Serialize + ?Sized>(&self, name: &str, args: &A) -> Run {
        match NewJob::new(name, args) {
            Ok(job) => self.run(&job).await,
            Err(error) => cannot_be_pushed(&error),
        }
    }

    /// Runs a payload as it would be in a queue, for example from a Ruby program.
    pub async fn run_payload(&self, queue: &str, payload: &[u8]) -> Run {
        let payload = Bytes::copy_from_slice(payload);
        let mut run =
            Run { name: String::new(), jid: String::new(), queue: queue.to_owned(), outcome: Outcome::Done };
        let schema = Schema::default();
        let mut parser = Parser::new(schema);
        let parsed = match parser.parse(&payload) {
            Ok(parsed) => parsed,
            Err(reason) => {
                run.outcome = Outcome::Dead { error: JobError::new(CLASS_BAD_PAYLOAD, reason.to_string()) };
                return run;
            }
        };
        let (name, jid, history) = (parsed.name, parsed.jid.unwrap_or_default(), parsed.history);
        name.clone_into(&mut run.name);
        jid.clone_into(&mut run.jid);
        let History { attempt, retries, .. } = history;
        let entry = self.handlers.find(name);
        let result = match entry {
            None => Err(JobError::new(CLASS_UNKNOWN_JOB, format!("no handler is registered for job {name}"))),
            Some(entry) => {
                let (now, args) = (Instant::now(), parsed.args);
                let call = Call { name, jid, queue, attempt, retries, payload: &payload, now, args };
                match entry.start(call) {
                    Started::Done(result) => result,
                    Started::Waiting(future) => match entry.timeout {
                        None => future.await,
                        Some(timeout) => within(timeout, future).await.unwrap_or_else(|| expired(timeout)),
                    },
                }
            }
        };
        if let Err(error) = result {
            let default = entry.map_or(0, |entry| entry.retries);
            let history = with_default_retries(schema, &payload, history, default);
            let course = course(self.handlers.policy(entry), &error, history, fastrand::f64());
            run.outcome = outcome(course, history, error);
        }
        run
    }

    /// Runs everything that jobs have pushed, oldest first, whatever the queue and the due time, and what that pushes
    /// in turn, until nothing is left.
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
    pub async fn stop(mut self) {
        self.handlers.take_tear_down().run(0).await;
    }
}

fn outcome(course: Course, history: History, error: JobError) -> Outcome {
    match course {
        Course::Retry { after } if next_attempt(history) <= history.retries => {
            Outcome::Retry { after, error }
        }
        Course::Retry { .. } | Course::Die => Outcome::Dead { error },
        Course::Snooze { after } => Outcome::Snoozed { after },
        Course::Discard => Outcome::Discarded { error },
    }
}

fn expired(timeout: Duration) -> JobResult {
    Err(JobError::new(CLASS_TIMEOUT, format!("it ran for longer than its timeout of {timeout:?}")))
}

#[expect(clippy::panic, reason = "for tests only, which it makes fail")]
fn cannot_be_pushed(why: &dyn std::fmt::Display) -> ! {
    panic!("the job cannot be pushed: {why}")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::handler::{CancelFlag, Ctx, RetryPolicy};
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
            .job("Fails", fails)
            .retry_policy(RetryPolicy::fixed(Duration::from_secs(9)))
            .job("Countdown", countdown)
            .job("Hangs", hangs)
            .timeout(Duration::from_millis(5))
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
                let run = worker.run_named(name, &[(); 0]).await;
                assert_eq!(run.outcome.error().map(JobError::class), Some(class));
            }
            let run = worker.run_payload("q", b"no job").await;
            assert!(run.outcome.is_dead() && run.name.is_empty() && run.queue == "q", "{run:?}");
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
        type Flags = std::cell::RefCell<Vec<CancelFlag>>;
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
            let registry = Registry::new(Flags::default()).job("Asks", asks);
            let registry = registry.timeout(Duration::from_millis(20)).on_stop(move |flags| async move {
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
