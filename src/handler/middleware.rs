//! Code around the running of jobs: it sees the job, may end it before it begins, and sees how it ended.
//!
//! Handlers without middleware cost nothing for it; with it, one box a layer and job.

use std::future::{Future, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::pool::caught;
use super::{Ctx, IntoJobResult, JobError, JobResult};

type BoxedRun = Pin<Box<dyn Future<Output = JobResult>>>;

/// The rest of a job's run: the middleware further in, and innermost the handler. Await it to run it; drop it to leave it
/// out.
///
/// It never panics: a panic further in is its error, as it will be stored with the job. So are arguments that do not fit.
#[must_use = "a job whose run is dropped does not run"]
pub struct Next {
    /// `None` once it has ended.
    run: Option<BoxedRun>,
}

/// One piece of middleware.
pub(super) type Layer<S> = Rc<dyn Fn(Ctx<S>, Next) -> BoxedRun>;

/// Makes a layer of a user's function.
pub(super) fn layer<S, F, Fut>(function: F) -> Layer<S>
where
    F: Fn(Ctx<S>, Next) -> Fut + 'static,
    Fut: Future<Output: IntoJobResult> + 'static,
{
    Rc::new(move |ctx, next| {
        let run = function(ctx, next);
        Box::pin(async move { run.await.into_job_result() })
    })
}

impl Next {
    pub(super) fn new<F>(future: F) -> Self
    where
        F: Future<Output: IntoJobResult> + 'static,
    {
        Self { run: Some(Box::pin(async move { future.await.into_job_result() })) }
    }

    pub(super) fn failed(error: JobError) -> Self {
        Self { run: Some(Box::pin(ready(Err(error)))) }
    }

    /// The same with a layer around it.
    pub(super) fn within<S>(self, layer: &Layer<S>, ctx: Ctx<S>) -> Self {
        match caught(|| layer(ctx, self)) {
            Ok(run) => Self { run: Some(run) },
            Err(panic) => Self::failed(panic),
        }
    }
}

impl Future for Next {
    type Output = JobResult;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<JobResult> {
        let Some(run) = self.run.as_mut() else {
            return Poll::Ready(Err(JobError::new("Bug", "a finished job was polled again")));
        };
        let result = match caught(|| run.as_mut().poll(ctx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(panic) => Err(panic),
        };
        // Its destructor is user code too.
        let run = self.run.take();
        Poll::Ready(caught(move || drop(run)).and(result))
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            let _panic_of_a_job_nobody_waits_for = caught(move || drop(run));
        }
    }
}
