//! Options of one job, given together with its handler, so that no line put in between can move them to another job.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use super::blocking::BlockingHandler;
use super::call::Handler;
use super::context::Ctx;
use super::job_options::{JobOptions, checked_backtrace, checked_history, checked_queue, checked_retries};
use super::middleware::{Next, layer};
use super::policy::RetryPolicy;
use super::registry::Registry;
use super::result::IntoJobResult;
#[cfg(feature = "tokio")]
use super::tokio_jobs::TokioHandler;
use super::typed::JobHandler;
use crate::job::Args;
use crate::job::args::ArgsError;

/// A handler with options, in the place of the handler alone: made by [`options`].
#[must_use = "it is a handler: register it"]
pub struct WithOptions<H, S> {
    handler: H,
    options: JobOptions<S>,
}

/// Begins the options of one job; the result is registered in place of the handler, by every way of registering one.
///
/// ```
/// use std::time::Duration;
///
/// use jiggler_uring::{Registry, RetryPolicy, options};
///
/// async fn greet(_name: String) {}
/// async fn sync(_account: u64) {}
/// fn resize(_path: String) {}
///
/// let registry = Registry::new(())
///     .job("Greet", greet)
///     .job("Sync", options(sync).timeout(Duration::from_secs(30)).retry_policy(RetryPolicy::fixed(Duration::from_secs(5))))
///     .blocking("Resize", options(resize).retries(3));
/// # drop(registry);
/// ```
pub fn options<H, S>(handler: H) -> WithOptions<H, S> {
    WithOptions { handler, options: JobOptions::default() }
}

impl<H, S: 'static> WithOptions<H, S> {
    /// Ends a run that takes longer than this: its future is dropped at its await point, and the job has failed with class
    /// `JigglerUring::Timeout`, to be retried by its policy. Overrides
    /// [`Registry::default_timeout`]; without either, a job may run forever.
    ///
    /// A job that never awaits cannot be ended; it is logged as a stall.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// How many retries a payload of this job gets if it names none. A number in the payload takes precedence: Ruby's
    /// client always names one, 0 by default, ours only if told. A Ruby server ignores this and reads a missing number as
    /// 0. Without either, [`Registry::default_retries`] holds.
    ///
    /// # Panics
    /// For more than [`RETRIES_MAX`](crate::limits::RETRIES_MAX) retries.
    #[track_caller]
    pub fn retries(mut self, retries: u32) -> Self {
        self.options.retries = Some(checked_retries(retries));
        self
    }

    /// Retries this job by this policy instead of [`RetryPolicy::gem`].
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.options.policy = Some(policy);
        self
    }

    /// Sends the retries of this job to this queue, like `retry_queue` in the gem's class options.
    ///
    /// # Panics
    /// If no worker may be given a queue of this name: what it holds could never run.
    #[track_caller]
    pub fn retry_queue(mut self, queue: &str) -> Self {
        self.options.retry_queue = Some(checked_queue(queue));
        self
    }

    /// Keeps the last failures of this job in its payload, at most so many, for `show JID`: each with its time, attempt,
    /// class and the start of its message, as `failure_history`. A Ruby server passes it on unchanged. 0: none, which is the
    /// default, as with the gem.
    ///
    /// # Panics
    /// For more than [`HISTORY_FAILURES_MAX`](crate::limits::HISTORY_FAILURES_MAX).
    #[track_caller]
    pub fn history(mut self, failures: usize) -> Self {
        self.options.keep.failures = Some(checked_history(failures));
        self
    }

    /// Keeps as many lines of the last failure's backtrace in the payload, as `failure_backtrace`, if it has one: a panic if
    /// `RUST_BACKTRACE` is set, an error that was given one ([`JobError::with_backtrace`](super::JobError::with_backtrace)).
    /// 0: none, which is the default.
    ///
    /// # Panics
    /// For more than [`HISTORY_BACKTRACE_LINES_MAX`](crate::limits::HISTORY_BACKTRACE_LINES_MAX).
    #[track_caller]
    pub fn backtrace(mut self, lines: usize) -> Self {
        self.options.keep.backtrace_lines = Some(checked_backtrace(lines));
        self
    }

    /// Like [`Registry::middleware`], but around this job alone, inside that of all jobs.
    pub fn middleware<F, Fut, K>(mut self, function: F) -> Self
    where
        F: Fn(Ctx<S>, Next) -> Fut + 'static,
        Fut: Future<Output: IntoJobResult<K>> + 'static,
        K: 'static,
    {
        self.options.layers.push(layer(function));
        self
    }
}

impl<H, S> fmt::Debug for WithOptions<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobOptions { retry_queue, policy, retries, timeout, .. } = &self.options;
        f.debug_struct("WithOptions")
            .field("retry_queue", retry_queue)
            .field("policy", policy)
            .field("retries", retries)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}

/// Marks a handler with options.
#[doc(hidden)]
pub struct Configured<M>(M);

impl<S, M, H> Handler<S, Configured<M>> for WithOptions<H, S>
where
    S: 'static,
    H: Handler<S, M>,
{
    type Kind = H::Kind;
    type Future = H::Future;

    fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Self::Future, ArgsError> {
        self.handler.call(ctx, args)
    }

    fn take_options(&mut self) -> JobOptions<S> {
        std::mem::take(&mut self.options).or(self.handler.take_options())
    }
}

impl<S, J, M, H> JobHandler<S, J, Configured<M>> for WithOptions<H, S>
where
    S: 'static,
    H: JobHandler<S, J, M>,
{
    type Kind = H::Kind;
    type Future = H::Future;

    fn call_with(&self, ctx: &dyn Fn() -> Ctx<S>, job: J) -> Self::Future {
        self.handler.call_with(ctx, job)
    }

    fn take_options(&mut self) -> JobOptions<S> {
        std::mem::take(&mut self.options).or(self.handler.take_options())
    }
}

impl<S, M, H> BlockingHandler<S, Configured<M>> for WithOptions<H, S>
where
    S: 'static,
    H: BlockingHandler<S, M>,
{
    #[track_caller]
    fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S> {
        self.handler.register(name, self.options.or(options), registry)
    }
}

#[cfg(feature = "tokio")]
impl<S, M, H> TokioHandler<S, Configured<M>> for WithOptions<H, S>
where
    S: 'static,
    H: TokioHandler<S, M>,
{
    #[track_caller]
    fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S> {
        self.handler.register(name, self.options.or(options), registry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::caught;
    use super::*;
    use crate::job::history::Keep;
    use crate::limits::{HISTORY_BACKTRACE_LINES_MAX, HISTORY_FAILURES_MAX, RETRIES_MAX};

    async fn nothing() {}

    #[test]
    fn options_are_those_of_the_handler_they_are_given_with() {
        let policy = || RetryPolicy::fixed(Duration::from_secs(3));
        let second = Duration::from_secs(1);
        let registry = Registry::new(())
            .default_timeout(2 * second)
            .default_history(3)
            .default_backtrace(20)
            .job("A", options(nothing).retries(RETRIES_MAX).backtrace(9))
            .blocking(
                "B",
                options(|| {}).retry_queue("later").retry_policy(policy()).timeout(second).history(0),
            );
        let handlers = registry.into_handlers();
        let (a, b) = (handlers.find("A").unwrap(), handlers.find("B").unwrap());
        assert_eq!((a.retries, b.retries), (Some(RETRIES_MAX), None));
        assert_eq!((a.retry_queue.as_deref(), b.retry_queue.as_deref()), (None, Some("later")));
        assert_eq!((a.timeout, b.timeout), (Some(2 * second), Some(second)));
        let kept = |failures, backtrace_lines| Keep { failures, backtrace_lines };
        assert_eq!((a.keep, b.keep), (kept(Some(3), Some(9)), kept(Some(0), Some(20))));
        let shown = |entry| format!("{:?}", handlers.policy(entry));
        let (gem, fixed) = (format!("{:?}", RetryPolicy::gem()), format!("{:?}", policy()));
        assert_eq!([shown(Some(a)), shown(Some(b)), shown(None)], [gem.clone(), fixed, gem]);
    }

    #[test]
    fn what_no_job_may_have_is_refused() {
        let refused = |build: fn() -> Registry| caught(build).err().unwrap().message().to_owned();
        let too_many = || Registry::new(()).job("A", options(nothing).retries(RETRIES_MAX + 1));
        assert_eq!(refused(too_many), "1001 retries are more than the 1000 allowed");
        let no_queue = || Registry::new(()).job("A", options(nothing).retry_queue("a:b"));
        assert!(refused(no_queue).contains("no worker may be given the retry queue \"a:b\""));
        let history = || Registry::new(()).default_history(HISTORY_FAILURES_MAX + 1);
        assert_eq!(refused(history), "a history of 51 failures is more than the 50 allowed");
        let lines =
            || Registry::new(()).job("A", options(nothing).backtrace(HISTORY_BACKTRACE_LINES_MAX + 1));
        assert_eq!(refused(lines), "a backtrace of 501 lines is more than the 500 allowed");
    }
}
