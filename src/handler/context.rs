//! What a handler may ask of its job and of its core.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::cancel::{CancelFlag, CancelState};
use super::services::Services;
use crate::client::{self, LocalClient, NewJob, Progress, Push};
use crate::job::{TraceContext, fields, member};
use crate::limits::PROGRESS_INTERVAL;

/// What is known of the job that runs.
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
    /// How many retries its payload asks for.
    pub retries: u32,
}

impl JobInfo {
    /// A job of this name of which nothing else is known, for a context of a test's own.
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
    /// When progress was last sent on.
    pub(super) reported: Cell<Option<Instant>>,
}

impl<S> Ctx<S> {
    /// A context of your own making, for calling a handler in a test. What it enqueues stays in memory:
    /// [`LocalClient::pushed`] of [`client`](Self::client) tells.
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

    pub(super) fn of_run(state: Rc<S>, run: Rc<Run>) -> Self {
        Self { state, run }
    }

    /// The state that the factory built for this core.
    pub fn state(&self) -> &Rc<S> {
        &self.state
    }

    /// The job that runs.
    pub fn job(&self) -> &JobInfo {
        &self.run.job
    }

    /// The number of the core it runs on, from 0.
    pub fn shard(&self) -> usize {
        self.run.services.shard()
    }

    /// When its timeout ends it; `None` if it has none.
    pub fn deadline(&self) -> Option<Instant> {
        self.run.deadline
    }

    /// How long it may still run; `None` if it has no timeout.
    pub fn time_left(&self) -> Option<Duration> {
        self.run.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the job is over before its end: cancelled, timed out, or handed back at a stop. Its own future is dropped
    /// then, at its await point; this is for tasks it has spawned.
    pub fn is_cancelled(&self) -> bool {
        self.run.cancel.is_raised()
    }

    /// Ends when the job is over before its end; see [`is_cancelled`](Self::is_cancelled). For a task that works for the
    /// job: `or(work, ctx.cancelled())`.
    ///
    /// # Cancel-safety
    /// Safe.
    pub fn cancelled(&self) -> impl Future<Output = ()> + use<'_, S> {
        self.run.cancel.wait()
    }

    /// The same as a flag that another thread can look at.
    pub fn cancel_flag(&self) -> CancelFlag {
        self.run.cancel.flag()
    }

    /// Whether the process is asked to stop. A long job may note how far it came and ask to run again
    /// ([`JobError::snooze`](super::JobError::snooze)) before it is handed back.
    pub fn is_stopping(&self) -> bool {
        self.run.services.is_stopping()
    }

    /// A member of the payload beyond the usual ones, such as a tenant that a producer notes; `None` if there is none of
    /// that name or it is no `T`. Of duplicates the last counts.
    pub fn member<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        member(&self.run.payload, name)
    }

    /// When the job was pushed, Unix time in seconds, if its producer noted it as `enqueued_at`. The gem's client and ours
    /// do not.
    pub fn enqueued_at(&self) -> Option<f64> {
        self.member(fields::ENQUEUED_AT)
    }

    /// When the job failed for the first time, Unix time in seconds.
    pub fn first_failed_at(&self) -> Option<f64> {
        self.member(fields::STARTED_AT)
    }

    /// When this attempt was due, Unix time in seconds, if it is a retry or was snoozed.
    pub fn due_at(&self) -> Option<f64> {
        self.member(fields::RETRY_AT)
    }

    /// Class and message of the last failure, if there was one.
    pub fn last_error(&self) -> Option<(String, String)> {
        Some((self.member(fields::ERROR_CLASS)?, self.member(fields::ERROR_MESSAGE)?))
    }

    /// The trace this run belongs to, if the payload carries one: the trace's id, and an id of this run's own, which what
    /// it enqueues names as its cause.
    pub fn trace(&self) -> Option<TraceContext> {
        *self.run.trace.get_or_init(|| {
            let text: String = self.member(fields::TRACEPARENT)?;
            Some(text.parse::<TraceContext>().ok()?.child())
        })
    }

    /// The client of this core: pushes jobs without leaving it. For bulks; see [`enqueue`](Self::enqueue).
    pub fn client(&self) -> &LocalClient {
        self.run.services.client()
    }

    /// Pushes a job to be run as soon as a worker is free, and gives its jid. It belongs to the trace of this one.
    ///
    /// Over the core's own connection for this, which is opened at the first push; pushes of one moment travel together.
    ///
    /// # Errors
    /// As [`Client::enqueue`](client::Client::enqueue). A job that fails for it is retried, and pushes again what it had
    /// pushed before: give such jobs a jid of their own, or make them bear it.
    ///
    /// # Cancel-safety
    /// Safe: a push that is dropped has been made, will be made, or is not made.
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

    fn traced<J: Push + ?Sized>(&self, job: &J) -> Result<NewJob, client::Error> {
        let job = job.to_push()?.into_owned();
        Ok(match self.trace() {
            Some(trace) if job.trace().is_none() => job.in_trace(trace),
            _ => job,
        })
    }

    /// Notes how far the job is, for [`Client::progress`](client::Client::progress) to read: `done`
    /// of `total`, and a few words.
    ///
    /// Cheap enough for a loop: at most one note a second and job is sent on, others are dropped, but not one that says
    /// all is done; nothing waits for Redis. The note is kept an hour, whatever becomes of the job. Jobs without a jid
    /// have no progress.
    pub fn progress(&self, done: u64, total: u64, note: &str) {
        let now = Instant::now();
        let recently = |at: Instant| now.duration_since(at) < PROGRESS_INTERVAL;
        if done < total && self.run.reported.get().is_some_and(recently) {
            return;
        }
        self.run.reported.set(Some(now));
        self.client().report(&self.run.job.jid, &Progress::new(done, total, note));
    }
}

impl<S> Clone for Ctx<S> {
    fn clone(&self) -> Self {
        Self { state: Rc::clone(&self.state), run: Rc::clone(&self.run) }
    }
}
