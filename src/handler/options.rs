//! Options of one job, given together with its handler, so that no line put in between can move them to another job.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use super::blocking::BlockingHandler;
use super::call::Handler;
use super::middleware::{Layer, Next, layer};
#[cfg(feature = "tokio")]
use super::tokio_jobs::TokioHandler;
use super::typed::JobHandler;
use super::{Ctx, IntoJobResult, Registry, RetryPolicy};
use crate::client::Job;
use crate::job::Args;
use crate::job::args::ArgsError;
use crate::limits::RETRIES_MAX;
use crate::wire::QueueName;

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
    /// For more than [`RETRIES_MAX`] retries.
    #[track_caller]
    pub fn retries(mut self, retries: u32) -> Self {
        assert!(retries <= RETRIES_MAX, "{retries} retries are more than the {RETRIES_MAX} allowed");
        self.options.retries = Some(retries);
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
        let checked = QueueName::new(queue).map(drop);
        assert_eq!(checked, Ok(()), "no worker may be given the retry queue {queue:?}");
        self.options.retry_queue = Some(queue.into());
        self
    }

    /// Like [`Registry::middleware`], but around this job alone, inside that of all jobs.
    pub fn middleware<F, Fut>(mut self, function: F) -> Self
    where
        F: Fn(Ctx<S>, Next) -> Fut + 'static,
        Fut: Future<Output: IntoJobResult> + 'static,
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

/// The options of one job; what is not set is the registry's or the default.
#[doc(hidden)]
pub struct JobOptions<S> {
    pub(super) queue: Option<Box<str>>,
    pub(super) retry_queue: Option<Box<str>>,
    pub(super) policy: Option<RetryPolicy>,
    pub(super) retries: Option<u32>,
    pub(super) timeout: Option<Duration>,
    pub(super) layers: Vec<Layer<S>>,
}

impl<S> Default for JobOptions<S> {
    fn default() -> Self {
        Self {
            queue: None,
            retry_queue: None,
            policy: None,
            retries: None,
            timeout: None,
            layers: Vec::new(),
        }
    }
}

impl<S> JobOptions<S> {
    /// Those of a job's type.
    ///
    /// # Panics
    /// If the type asks for what no job may have.
    #[track_caller]
    pub(super) fn of_type<J: Job>() -> Self
    where
        S: 'static,
    {
        let mut options = options::<(), S>(()).retry_policy(J::retry_policy());
        if let Some(retries) = J::RETRIES {
            options = options.retries(retries);
        }
        if let Some(queue) = J::RETRY_QUEUE {
            options = options.retry_queue(queue);
        }
        Self { queue: Some(J::QUEUE.into()), timeout: J::TIMEOUT, ..options.options }
    }

    /// These, and where they are silent the others.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.layers.extend(other.layers);
        Self {
            queue: self.queue.or(other.queue),
            retry_queue: self.retry_queue.or(other.retry_queue),
            policy: self.policy.or(other.policy),
            retries: self.retries.or(other.retries),
            timeout: self.timeout.or(other.timeout),
            layers: self.layers,
        }
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

    async fn nothing() {}

    #[test]
    fn options_are_those_of_the_handler_they_are_given_with() {
        let policy = || RetryPolicy::fixed(Duration::from_secs(3));
        let second = Duration::from_secs(1);
        let registry = Registry::new(())
            .default_timeout(2 * second)
            .job("A", options(nothing).retries(RETRIES_MAX))
            .blocking("B", options(|| {}).retry_queue("later").retry_policy(policy()).timeout(second));
        let handlers = registry.into_handlers();
        let (a, b) = (handlers.find("A").unwrap(), handlers.find("B").unwrap());
        assert_eq!((a.retries, b.retries), (Some(RETRIES_MAX), None));
        assert_eq!((a.retry_queue.as_deref(), b.retry_queue.as_deref()), (None, Some("later")));
        assert_eq!((a.timeout, b.timeout), (Some(2 * second), Some(second)));
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
    }
}
