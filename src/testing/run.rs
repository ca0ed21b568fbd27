//! One run of a job in a test: with the handlers of a registry, and with what a real worker makes of its end.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use crate::client::{self, InvalidJob, LocalClient, NewJob, Push, Pushed};
use crate::handler::{Call, Entry, Handlers, JobError, JobRef, JobResult, Registry, Started, course};
use crate::job::amend::{FieldValue, amend};
use crate::job::failure::{CLASS_BAD_PAYLOAD, CLASS_TIMEOUT, CLASS_UNKNOWN_JOB};
use crate::job::history::FailedRun;
use crate::job::retry::{next_attempt, with_default_retries};
use crate::job::{
    Course, ErrorInfo, FailureTimes, Fate, History, Parser, Plan, Schema, bury_unparsable, decide, member,
};
use crate::timeout::within;
use crate::wire::QueueName;

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
    /// Which retry this run was: 0 for the first run.
    pub attempt: u32,
    /// How many retries the job has, by its payload, its handler or the registry.
    pub retries: u32,
    /// The outcome.
    pub outcome: Outcome,
    /// What it pushed, oldest first; empty with a real Redis, where that is in its queues.
    pub pushed: Vec<Pushed>,
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

    /// The pause before it runs again; `None` if it does not.
    #[must_use]
    pub fn runs_again_after(&self) -> Option<Duration> {
        match self {
            Self::Retry { after, .. } | Self::Snoozed { after } => Some(*after),
            Self::Done | Self::Dead { .. } | Self::Discarded { .. } => None,
        }
    }

    /// Why it failed or was discarded.
    #[must_use]
    pub fn error(&self) -> Option<&JobError> {
        match self {
            Self::Retry { error, .. } | Self::Dead { error } | Self::Discarded { error } => Some(error),
            Self::Done | Self::Snoozed { .. } => None,
        }
    }

    fn of(course: Course, history: History, error: JobError) -> Self {
        match course {
            Course::Retry { after } if next_attempt(history) <= history.retries => {
                Self::Retry { after, error }
            }
            Course::Retry { .. } | Course::Die => Self::Dead { error },
            Course::Snooze { after } => Self::Snoozed { after },
            Course::Discard => Self::Discarded { error },
        }
    }
}

/// The handlers of core 0 in a test, and the state they share.
pub(super) struct Runner<S> {
    state: Rc<S>,
    bench: Bench,
}

impl<S: 'static> Runner<S> {
    /// With the client that jobs push with, which is returned with the registry's hooks.
    pub(super) fn new(registry: Registry<S>, client: LocalClient) -> (Self, LocalClient) {
        let state = registry.state();
        let (bench, client) = Bench::new(registry.into_handlers(), client);
        (Self { state, bench }, client)
    }

    pub(super) fn state(&self) -> &Rc<S> {
        &self.state
    }

    /// The job of this name and these arguments, in the queue that its type names.
    pub(super) fn named<A: Serialize + ?Sized>(&self, name: &str, args: &A) -> NewJob {
        let job = NewJob::new(name, args).and_then(|job| self.bench.in_its_queue(name, job));
        job.unwrap_or_else(|error| cannot_be_pushed(&error))
    }

    /// See [`Bench::run`].
    pub(super) async fn run(&self, queue: &str, payload: &Bytes, now: f64) -> (Run, Option<Fate>) {
        self.bench.run(queue, payload, now).await
    }

    /// Tears down the state, as after the last job of a core.
    pub(super) async fn stop(self) {
        self.bench.stop().await;
    }
}

/// Handlers that run jobs one by one, without a shard: in a test, and for the command `run`.
pub(crate) struct Bench {
    handlers: Handlers,
}

impl Bench {
    /// With the client that jobs push with, which is returned with the registry's hooks.
    pub(crate) fn new(handlers: Handlers, client: LocalClient) -> (Self, LocalClient) {
        let client = handlers.services().attach(0, client);
        (Self { handlers }, client)
    }

    /// The job in the queue that the type of this name has, if it has one.
    ///
    /// # Errors
    /// The type's queue is none.
    pub(crate) fn in_its_queue(&self, name: &str, job: NewJob) -> Result<NewJob, InvalidJob> {
        match self.handlers.find(name).and_then(|entry| entry.queue.as_deref()) {
            Some(queue) => job.queue_named(queue),
            None => Ok(job),
        }
    }

    /// Runs a payload once: parsing, look-up, arguments, middleware, timeout, panics and the verdict on a failure are
    /// those of a worker. Returns what becomes of it besides an ack, at the Unix time `now`.
    pub(crate) async fn run(&self, queue: &str, payload: &Bytes, now: f64) -> (Run, Option<Fate>) {
        let mut run = Run {
            name: String::new(),
            jid: String::new(),
            queue: queue.to_owned(),
            attempt: 0,
            retries: 0,
            outcome: Outcome::Done,
            pushed: Vec::new(),
        };
        let schema = Schema::default();
        let mut parser = Parser::new(schema);
        let parsed = match parser.parse(payload) {
            Ok(parsed) => parsed,
            Err(reason) => {
                run.outcome = Outcome::Dead { error: JobError::new(CLASS_BAD_PAYLOAD, reason.to_string()) };
                let payload = bury_unparsable(schema, payload, &reason, queue, now);
                return (run, Some(Fate::Dead { at: now, payload }));
            }
        };
        let (name, jid) = (parsed.name, parsed.jid.unwrap_or_default());
        name.clone_into(&mut run.name);
        jid.clone_into(&mut run.jid);
        let entry = self.handlers.find(name);
        let default_retries = self.handlers.retries(entry);
        let history = with_default_retries(schema, payload, parsed.history, default_retries);
        let History { attempt, retries, .. } = history;
        (run.attempt, run.retries) = (attempt, retries);
        let result = match entry {
            None => Err(JobError::new(CLASS_UNKNOWN_JOB, format!("no handler is registered for job {name}"))),
            Some(entry) => {
                let (now, args) = (Instant::now(), parsed.args);
                let job = JobRef { name, jid, queue, attempt };
                let call = Call { job, retries, default_retries, payload, now, args };
                started(entry, call).await
            }
        };
        let Err(error) = result else { return (run, None) };
        let course = course(schema, self.handlers.policy(entry), &error, history, fastrand::f64());
        let own_retry_queue =
            member::<String>(payload, schema.names().retry_queue).filter(|name| QueueName::new(name).is_ok());
        let retry_queue = own_retry_queue.as_deref().or(entry.and_then(|entry| entry.retry_queue.as_deref()));
        let plan = Plan { schema, queue, retry_queue: retry_queue.unwrap_or(queue), course, backtrace: None };
        let info = ErrorInfo::new(error.class(), error.message());
        // A payload that was parsed can be amended.
        let kept = FailedRun { at: now, attempt, error: &info, backtrace: error.backtrace() };
        let fate = decide(payload, history, &plan, &info, FailureTimes::at(now)).ok();
        let fate = fate.map(|fate| fate.keeping(self.handlers.keep(entry), &kept));
        run.outcome = Outcome::of(course, history, error);
        (run, fate)
    }

    /// Tears down the state, as after the last job of a core.
    pub(crate) async fn stop(mut self) {
        self.handlers.take_tear_down().run(0).await;
    }
}

/// A job as it is in Redis once it is pushed, after this many failed runs.
///
/// # Errors
/// It cannot be pushed.
pub(crate) async fn payload_of<J: Push + ?Sized>(
    job: &J,
    attempt: u32,
    now: f64,
) -> Result<Option<Pushed>, client::Error> {
    let memory = LocalClient::in_memory();
    memory.enqueue(job).await?;
    let mut pushed = memory.take_pushed().pop();
    if let Some(pushed) = &mut pushed
        && attempt > 0
    {
        let names = Schema::default().names();
        let history = [
            (names.first_failed_at, FieldValue::Float(now)),
            (names.attempt, FieldValue::Count(attempt.into())),
        ];
        // The client has written an object.
        pushed.payload = amend(&pushed.payload, &history).unwrap_or_default();
    }
    Ok(pushed)
}

async fn started(entry: &Entry, call: Call<'_, '_>) -> JobResult {
    match entry.start(call) {
        Started::Done(result) => result,
        Started::Waiting(future) => match entry.timeout {
            None => future.await,
            Some(timeout) => within(timeout, future).await.unwrap_or_else(|| expired(timeout)),
        },
    }
}

fn expired(timeout: Duration) -> JobResult {
    Err(JobError::new(CLASS_TIMEOUT, format!("it ran for longer than its timeout of {timeout:?}")))
}

#[expect(clippy::panic, reason = "for tests only, which it makes fail")]
pub(super) fn cannot_be_pushed(why: &dyn std::fmt::Display) -> ! {
    panic!("the job cannot be pushed: {why}")
}
