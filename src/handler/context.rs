//! What a handler can learn about its job and ask of its core.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::cancel::{CancelFlag, CancelState};
use super::services::Services;
use crate::client::{self, LocalClient, NewJob, Progress, Push};
#[cfg(feature = "http")]
use crate::job::args::array_span;
use crate::job::{Schema, TraceContext, member};
use crate::limits::PROGRESS_INTERVAL;

/// What is known about the running job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobInfo {
    /// The job's name, for example `SendMail`.
    pub name: String,
    /// The job's id; empty if the payload carries none.
    pub jid: String,
    /// The queue it was taken from.
    pub queue: String,
    /// 0 on the first run, 1 on the first retry, and so on.
    pub attempt: u32,
    /// How many retries it has: the number in its payload, or else that of its handler or the worker's default.
    pub retries: u32,
}

impl JobInfo {
    /// A job with this name and nothing else known, for a context built in a test.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// The optional first parameter of a handler: the state of its core and the job it runs.
///
/// It is cheap to clone and stays on its core (it is not `Send`).
pub struct Ctx<S> {
    state: Rc<S>,
    run: Rc<Run>,
}

/// One run of one job.
pub(crate) struct Run {
    // Fixed when it starts.
    pub(super) job: JobInfo,
    pub(super) payload: Bytes,
    pub(super) deadline: Option<Instant>,
    pub(super) services: Rc<Services>,
    // Changed by the job and by the owner of its future.
    pub(super) cancel: CancelState,
    pub(super) trace: OnceCell<Option<TraceContext>>,
    /// When progress was last sent.
    pub(super) reported: Cell<Option<Instant>>,
}

impl<S> Ctx<S> {
    /// A context of your own, for calling a handler in a test. What it enqueues stays in memory: read it with
    /// [`LocalClient::pushed`] on [`client`](Self::client).
    pub fn new(state: Rc<S>, job: JobInfo) -> Self {
        let run = Run {
            job,
            payload: Bytes::new(),
            deadline: None,
            services: Rc::default(),
            cancel: CancelState::default(),
            trace: OnceCell::new(),
            reported: Cell::new(None),
        };
        Self { state, run: Rc::new(run) }
    }

    /// What the handlers of this core share besides their state.
    pub(super) fn services(&self) -> &Services {
        &self.run.services
    }

    pub(super) fn of_run(state: Rc<S>, run: Rc<Run>) -> Self {
        Self { state, run }
    }

    /// The state that the factory built for this core.
    pub fn state(&self) -> &Rc<S> {
        &self.state
    }

    /// The running job.
    pub fn job(&self) -> &JobInfo {
        &self.run.job
    }

    /// The number of the core it runs on, from 0.
    pub fn shard(&self) -> usize {
        self.run.services.shard()
    }

    /// The deadline set by its timeout; `None` if it has none.
    pub fn deadline(&self) -> Option<Instant> {
        self.run.deadline
    }

    /// How much longer it may run; `None` if it has no timeout.
    pub fn time_left(&self) -> Option<Duration> {
        self.run.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the job has ended early: cancelled, timed out, or handed back at a stop. Its own future is dropped at
    /// its await point when that happens; this is for tasks it has spawned.
    pub fn is_cancelled(&self) -> bool {
        self.run.cancel.is_raised()
    }

    /// Resolves when the job has ended early; see [`is_cancelled`](Self::is_cancelled). For a task that works for the
    /// job: `or(work, ctx.cancelled())`.
    ///
    /// # Cancel-safety
    /// Safe.
    pub fn cancelled(&self) -> impl Future<Output = ()> + use<'_, S> {
        self.run.cancel.wait()
    }

    /// The same, as a flag that another thread can check.
    pub fn cancel_flag(&self) -> CancelFlag {
        self.run.cancel.flag()
    }

    /// Whether the process has been asked to stop. A long job may record how far it got and ask to run again
    /// ([`JobError::snooze`](super::JobError::snooze)) before it is handed back.
    pub fn is_stopping(&self) -> bool {
        self.run.services.is_stopping()
    }

    /// Whether the jobs that are dropped now are no longer this process's: they may run elsewhere at once.
    pub(crate) fn is_handed_back(&self) -> bool {
        self.run.services.is_handing_back()
    }

    /// The job's payload, byte for byte as it lay in Redis. For what no type can hold, such as text that is not UTF-8. Empty
    /// in a context that a test made.
    pub fn payload(&self) -> &[u8] {
        &self.run.payload
    }

    /// A member of the payload beyond the usual ones, such as a tenant recorded by the producer; `None` if there is
    /// no such member or it is not a `T`. The last of duplicates wins.
    pub fn member<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        member(&self.run.payload, name)
    }

    /// When the job was pushed, Unix time in seconds, if its producer set `enqueued_at`. Neither the gem's client nor
    /// ours does.
    pub fn enqueued_at(&self) -> Option<f64> {
        self.time(self.schema().names().enqueued_at)
    }

    /// When the job first failed, Unix time in seconds.
    pub fn first_failed_at(&self) -> Option<f64> {
        self.time(self.schema().names().first_failed_at)
    }

    /// When this attempt was due, Unix time in seconds, if it is a retry or was snoozed.
    pub fn due_at(&self) -> Option<f64> {
        self.time(self.schema().names().retry_at)
    }

    /// Class and message of the last failure, if any.
    pub fn last_error(&self) -> Option<(String, String)> {
        let names = self.schema().names();
        Some((self.member(names.error_class)?, self.member(names.error_message)?))
    }

    /// The trace this run belongs to, if the payload carries one: the trace's id and an id for this run, which jobs
    /// it enqueues name as their cause.
    pub fn trace(&self) -> Option<TraceContext> {
        *self.run.trace.get_or_init(|| {
            let text: String = self.member(self.schema().names().traceparent)?;
            Some(text.parse::<TraceContext>().ok()?.child())
        })
    }

    /// The client of this core: pushes jobs without leaving it. Use it for bulk pushes; see
    /// [`enqueue`](Self::enqueue).
    pub fn client(&self) -> &LocalClient {
        self.run.services.client()
    }

    /// Pushes a job to be run as soon as a worker is free, and returns its jid. It belongs to the same trace as this
    /// job.
    ///
    /// Uses a dedicated connection of the core, opened at the first push; pushes made at the same time travel
    /// together.
    ///
    /// # Errors
    /// As [`Client::enqueue`](client::Client::enqueue). A job that fails because of such an error is retried and
    /// repeats its earlier pushes: give those jobs fixed jids, or make them idempotent.
    ///
    /// # Cancel-safety
    /// Safe: a dropped push may or may not have been made, or may still be made.
    pub async fn enqueue<J: Push + ?Sized>(&self, job: &J) -> Result<String, client::Error> {
        self.client().enqueue(&self.traced(job)?).await
    }

    /// Schedules a job to be run `delay` from now; see [`enqueue`](Self::enqueue).
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_in<J: Push + ?Sized>(
        &self,
        delay: Duration,
        job: &J,
    ) -> Result<String, client::Error> {
        self.client().enqueue_in(delay, &self.traced(job)?).await
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds; see [`enqueue`](Self::enqueue).
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), and [`client::Error::BadTime`].
    pub async fn enqueue_at<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Result<String, client::Error> {
        self.client().enqueue_at(due_at, &self.traced(job)?).await
    }

    /// The array of its arguments, as it lies in the payload.
    #[cfg(feature = "http")]
    pub(crate) fn raw_args(&self) -> Option<&[u8]> {
        self.payload().get(array_span(self.schema(), self.payload())?)
    }

    /// How its payload is written.
    fn schema(&self) -> Schema {
        self.client().schema()
    }

    fn time(&self, name: &str) -> Option<f64> {
        self.schema().time_of(&self.run.payload, name)
    }

    fn traced<J: Push + ?Sized>(&self, job: &J) -> Result<NewJob, client::Error> {
        let job = job.to_push()?.into_owned();
        Ok(match self.trace() {
            Some(trace) if job.trace().is_none() => job.in_trace(trace),
            _ => job,
        })
    }

    /// Records the job's progress for [`Client::progress`](client::Client::progress) to read: `done` of `total`, and
    /// a few words.
    ///
    /// Cheap enough for a loop: at most one note per second and job is sent, the others are dropped, except one that
    /// reports completion; nothing waits for Redis. The note is kept for an hour, whatever happens to the job. Jobs
    /// without a jid have no progress.
    pub fn progress(&self, done: u64, total: u64, note: &str) {
        let now = Instant::now();
        let recently = |at: Instant| now.duration_since(at) < PROGRESS_INTERVAL;
        if done < total && self.run.reported.get().is_some_and(recently) {
            return;
        }
        self.run.reported.set(Some(now));
        let client = self.client();
        client.report(&self.run.job.jid, &Progress::new(done, total, note, client.now()));
    }
}

impl<S> Clone for Ctx<S> {
    fn clone(&self) -> Self {
        Self { state: Rc::clone(&self.state), run: Rc::clone(&self.run) }
    }
}
