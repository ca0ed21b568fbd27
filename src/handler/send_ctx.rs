//! What a handler off its shard's thread can learn about its job.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cancel::CancelFlag;
use super::context::{Ctx, JobInfo};
use super::desk::{Desk, Enqueued, NotShared, PushTime, SharedParts};
use crate::client::{self, NewJob, Push};
use crate::job::TraceContext;
use crate::limits::PROGRESS_INTERVAL;

/// The optional first parameter of a [`blocking`](super::Registry::blocking) handler, and of one on the tokio
/// runtime: the job it runs. Unlike [`Ctx`] it moves between threads, and so has no access to the core's state, except the
/// parts that its registry [shares](super::Registry::share).
///
/// ```
/// use std::sync::Arc;
///
/// use jiggler_uring::{JobResult, NewJob, Registry, SendCtx};
///
/// struct Rates {
///     euro: f64,
/// }
///
/// fn convert(ctx: SendCtx, amounts: Vec<f64>) -> JobResult {
///     let rates = ctx.part::<Rates>()?;
///     let total = amounts.len() as u64;
///     let mut sum = 0.0;
///     for (done, amount) in (0..).zip(&amounts) {
///         ctx.progress(done, total, "converting");
///         sum += amount * rates.euro;
///     }
///     ctx.enqueue(&NewJob::new("Book", &(sum,))?).wait()?; // in a tokio handler: `.await?`
///     Ok(())
/// }
///
/// let registry = Registry::new(()).share(Arc::new(Rates { euro: 1.08 })).blocking("Convert", convert);
/// # drop(registry);
/// ```
#[derive(Clone)]
pub struct SendCtx {
    // Fixed when the job starts.
    job: Arc<JobInfo>,
    deadline: Option<Instant>,
    cancel: CancelFlag,
    trace: Option<TraceContext>,
    /// `None` in a context that a test made.
    desk: Option<Desk>,
    parts: Arc<SharedParts>,
    started: Instant,
    /// Milliseconds after the start at which progress was last sent, plus one; 0: never. Shared by all clones.
    reported: Arc<AtomicU64>,
}

impl SendCtx {
    /// A context of your own, for calling a handler in a test.
    pub fn new(job: JobInfo) -> Self {
        Self {
            job: Arc::new(job),
            deadline: None,
            cancel: CancelFlag::default(),
            trace: None,
            desk: None,
            parts: Arc::default(),
            started: Instant::now(),
            reported: Arc::default(),
        }
    }

    pub(super) fn of<S>(ctx: &Ctx<S>) -> Self {
        let services = ctx.services();
        Self {
            deadline: ctx.deadline(),
            cancel: ctx.cancel_flag(),
            trace: ctx.trace(),
            desk: Some(services.desk().clone()),
            parts: services.parts(),
            ..Self::new(ctx.job().clone())
        }
    }

    /// Pushes a job through the client of the core, as [`Ctx::enqueue`] does, and returns what to wait for: `.wait()?` in a
    /// blocking handler, `.await?` in one on the tokio runtime.
    ///
    /// In a context that a test made ([`new`](Self::new)) there is no core, and the push fails. Run the handler in a
    /// [`TestWorker`](crate::testing::TestWorker).
    pub fn enqueue<J: Push + ?Sized>(&self, job: &J) -> Enqueued {
        self.push(job, PushTime::Now)
    }

    /// Schedules a job to be run `delay` from now; see [`enqueue`](Self::enqueue).
    pub fn enqueue_in<J: Push + ?Sized>(&self, delay: Duration, job: &J) -> Enqueued {
        self.push(job, PushTime::In(delay))
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds; see [`enqueue`](Self::enqueue).
    pub fn enqueue_at<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Enqueued {
        self.push(job, PushTime::At(due_at))
    }

    fn push<J: Push + ?Sized>(&self, job: &J, due: PushTime) -> Enqueued {
        let Some(desk) = &self.desk else {
            return Enqueued::failed(client::Error::Stopped { may_have_pushed: false });
        };
        match job.to_push() {
            Ok(job) => desk.push(self.traced(job.into_owned()), due),
            Err(error) => Enqueued::failed(error.into()),
        }
    }

    fn traced(&self, job: NewJob) -> NewJob {
        match self.trace {
            Some(trace) if job.trace().is_none() => job.in_trace(trace),
            _ => job,
        }
    }

    /// Records the job's progress; see [`Ctx::progress`]. It waits for nothing, and at most one note a second is sent,
    /// except one that reports completion.
    pub fn progress(&self, done: u64, total: u64, note: &str) {
        let Some(desk) = &self.desk else { return };
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let last = self.reported.load(Ordering::Relaxed);
        let recently = last > 0 && u128::from(now.saturating_sub(last)) < PROGRESS_INTERVAL.as_millis();
        if done < total && recently {
            return;
        }
        self.reported.store(now, Ordering::Relaxed);
        desk.report(Arc::from(self.job.jid.as_str()), done, total, note);
    }

    /// A part of the state that the registry shares.
    ///
    /// # Errors
    /// [`NotShared`], if it shares none of this type.
    pub fn part<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, NotShared> {
        self.parts.get()
    }

    /// The running job.
    pub fn job(&self) -> &JobInfo {
        &self.job
    }

    /// The deadline set by its timeout; `None` if it has none.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How much longer it may run; `None` if it has no timeout.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether nobody is waiting for the result any longer: the job was cancelled, timed out, or handed back at a
    /// stop to run again elsewhere. A thread cannot be interrupted, so long work should check this from time to time,
    /// and return.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_set()
    }
}

impl fmt::Debug for SendCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendCtx")
            .field("job", &self.job)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{JobResult, Registry};
    use crate::testing::{TestWorker, block_on};

    struct Rates {
        euro: u64,
    }

    #[expect(clippy::needless_pass_by_value, reason = "a handler owns its arguments")]
    fn convert(ctx: SendCtx, amounts: Vec<u64>) -> JobResult {
        let rates = ctx.part::<Rates>()?;
        let total = amounts.len() as u64;
        for (done, amount) in (1..).zip(&amounts) {
            ctx.progress(done, total, "converting");
            ctx.enqueue(&NewJob::new("Book", &(amount * rates.euro,))?).wait()?;
        }
        ctx.enqueue_in(Duration::from_secs(60), &NewJob::new("Close", &())?).wait()?;
        Ok(())
    }

    #[test]
    fn a_blocking_job_pushes_reports_progress_and_reads_what_is_shared() {
        block_on(async {
            let registry = Registry::new(()).share(Arc::new(Rates { euro: 3 })).blocking("Convert", convert);
            let worker = TestWorker::new(registry);
            let run = worker.run(&NewJob::new("Convert", &([1, 2, 4],)).unwrap().jid("j").unwrap()).await;
            assert!(run.outcome.is_done(), "{run:?}");
            let pushed = worker.pushed();
            let args: Vec<Option<[u64; 1]>> = pushed.iter().map(client::Pushed::args).collect();
            assert_eq!(args, [Some([3]), Some([6]), Some([12]), None]);
            // The first and the last: those in between came within a second.
            let notes: Vec<u64> = worker.client().progress().iter().map(|(_, note)| note.done).collect();
            assert_eq!(notes, [1, 3]);
        });
    }

    #[test]
    fn what_is_not_shared_and_a_core_that_is_not_there_are_errors() {
        let ctx = SendCtx::new(JobInfo::named("Alone"));
        let error = ctx.part::<Rates>().map(drop).unwrap_err().to_string();
        assert!(error.contains("Rates; give it one with Registry::share"), "{error}");
        let error = ctx.enqueue(&NewJob::new("Book", &(1,)).unwrap()).wait().unwrap_err();
        assert!(!error.may_have_pushed(), "{error}");
    }
}
