//! Code around the running of jobs: it sees a job, may end it before it starts, and sees how it ended.
//!
//! Handlers without middleware pay nothing for it; with it, each layer costs one box per job.

use std::future::{Future, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::context::Ctx;
use super::error::{JobError, JobResult};
use super::pool::caught;
use super::result::IntoJobResult;

type BoxedRun = Pin<Box<dyn Future<Output = JobResult>>>;

/// The rest of a job's run: the inner middleware and, innermost, the handler. Await it to run it; drop it to skip it.
///
/// It never panics: a panic further in becomes its error, as it will be stored with the job. So do arguments that do
/// not fit.
#[must_use = "a job whose run is dropped does not run"]
pub struct Next {
    /// `None` once the run has ended.
    run: Option<BoxedRun>,
}

/// One piece of middleware.
pub(super) type Layer<S> = Rc<dyn Fn(Ctx<S>, Next) -> BoxedRun>;

/// Makes a layer from a user's function.
pub(super) fn layer<S, F, Fut, K>(function: F) -> Layer<S>
where
    F: Fn(Ctx<S>, Next) -> Fut + 'static,
    Fut: Future<Output: IntoJobResult<K>> + 'static,
    K: 'static,
{
    Rc::new(move |ctx, next| {
        let run = function(ctx, next);
        Box::pin(async move { run.await.into_job_result() })
    })
}

impl Next {
    pub(super) fn new<F, K>(future: F) -> Self
    where
        F: Future<Output: IntoJobResult<K>> + 'static,
        K: 'static,
    {
        Self { run: Some(Box::pin(async move { future.await.into_job_result() })) }
    }

    pub(super) fn failed(error: JobError) -> Self {
        Self { run: Some(Box::pin(ready(Err(error)))) }
    }

    /// The same, wrapped in a layer.
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::handler::{Registry, options};
    use crate::testing::{TestWorker, block_on};

    type Log = RefCell<Vec<String>>;

    async fn work(ctx: Ctx<Log>, kind: String) -> JobResult {
        ctx.state().borrow_mut().push("work".to_owned());
        match &*kind {
            "panic" => panic!("in it"),
            "wait" => futures_lite::future::yield_now().await,
            "fail" => return Err(JobError::new("Failed", "as asked")),
            _ => {}
        }
        Ok(())
    }

    /// A layer that records when it starts and how what is inside it ended.
    fn noting(name: &'static str) -> impl Fn(Ctx<Log>, Next) -> BoxedRun {
        move |ctx, next| {
            Box::pin(async move {
                ctx.state().borrow_mut().push(name.to_owned());
                let result = next.await;
                let ended = format!(
                    "{name} {}",
                    result.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned())
                );
                ctx.state().borrow_mut().push(ended);
                result
            })
        }
    }

    #[track_caller]
    fn check(name: &str, kind: &str, expected: &[&str]) {
        let state = Rc::new(RefCell::new(None));
        let keep = Rc::clone(&state);
        let registry = Registry::new(Log::default())
            .middleware(noting("outer"))
            .job(
                "Other",
                options(work).middleware(|_: Ctx<Log>, _next: Next| async {
                    Err(JobError::new("Refused", "not today"))
                }),
            )
            .job("Work", options(work).middleware(noting("own")))
            .middleware(noting("inner"))
            .on_stop(move |log| async move {
                *keep.borrow_mut() = Some(log);
            });
        block_on(async {
            let worker = TestWorker::new(registry);
            let _run = worker.run_named(name, &(kind,)).await;
            worker.stop().await;
        });
        let log = state.take().unwrap();
        assert_eq!(*log.borrow(), expected);
    }

    #[test]
    fn layers_wrap_a_job_in_their_order_and_see_how_it_ended() {
        for (kind, ended) in [("", "done"), ("wait", "done"), ("fail", "Failed: as asked")] {
            let line = |name: &str| format!("{name} {ended}");
            let after = [line("own"), line("inner"), line("outer")];
            check("Work", kind, &["outer", "inner", "own", "work", &after[0], &after[1], &after[2]]);
        }
    }

    #[test]
    fn a_panic_is_an_error_to_the_layers_around_it_and_wrong_arguments_are_too() {
        let panicked = ["own", "inner", "outer"].map(|name| format!("{name} JigglerUring::Panic: in it"));
        check("Work", "panic", &["outer", "inner", "own", "work", &panicked[0], &panicked[1], &panicked[2]]);
        let registry =
            Registry::new(()).job("None", async || {}).middleware(async |_: Ctx<()>, next: Next| {
                let error = next.await.unwrap_err();
                Err::<(), _>(JobError::new("Seen", error.message()))
            });
        block_on(async {
            let run = TestWorker::new(registry).run_named("None", &(1,)).await;
            let error = run.outcome.error().unwrap();
            assert_eq!(error.message(), "None: too many arguments: expected at most 0, got 1");
        });
    }

    #[test]
    fn a_layer_that_drops_the_rest_leaves_the_job_out() {
        check("Other", "", &["outer", "inner", "inner Refused: not today", "outer Refused: not today"]);
    }
}
