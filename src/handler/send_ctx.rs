//! What a handler off its shard's thread can learn about its job.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CancelFlag, Ctx, JobInfo};

/// The optional first parameter of a [`blocking`](super::Registry::blocking) handler, and of one on the tokio
/// runtime: the job it runs. Unlike [`Ctx`] it moves between threads, and so has no access to the core's state.
#[derive(Clone, Debug)]
pub struct SendCtx {
    job: Arc<JobInfo>,
    deadline: Option<Instant>,
    cancel: CancelFlag,
}

impl SendCtx {
    /// A context of your own, for calling a handler in a test.
    pub fn new(job: JobInfo) -> Self {
        Self { job: Arc::new(job), deadline: None, cancel: CancelFlag::default() }
    }

    pub(super) fn of<S>(ctx: &Ctx<S>) -> Self {
        Self { job: Arc::new(ctx.job().clone()), deadline: ctx.deadline(), cancel: ctx.cancel_flag() }
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
