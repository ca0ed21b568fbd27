//! The jobs a process can run, by name.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::companions::Companions;
use super::entry::{AnyHandler, Bound, Entry, Home};
use super::handlers::Handlers;
use super::middleware::{Layer, Next, layer};
use super::pool::FuturePool;
use super::typed::Whole;
use super::{Ctx, Handler, IntoJobResult, JobHandler, RetryPolicy};
use crate::client::{InvalidJob, Job, NewJob};
use crate::job::{DeadJob, FailedJob};
use crate::limits::RETRIES_MAX;
use crate::wire::QueueName;

/// The handlers of one core, by job name, around the state they share.
///
/// Options for one job ([`retry_queue`](Self::retry_queue), [`retry_policy`](Self::retry_policy),
/// [`retries`](Self::retries), [`timeout`](Self::timeout), [`job_middleware`](Self::job_middleware)) apply to the
/// most recently registered job.
pub struct Registry<S = ()> {
    home: Rc<Home<S>>,
    handlers: Handlers,
    last: String,
    /// Middleware of the most recently registered job.
    last_layers: Option<Rc<RefCell<Vec<Layer<S>>>>>,
    /// The threads of blocking handlers.
    pub(super) companions: Rc<Companions>,
    /// The program's own runtime, if it has supplied one.
    #[cfg(feature = "tokio")]
    pub(super) tokio: Option<tokio::runtime::Handle>,
}

impl<S: 'static> Registry<S> {
    /// An empty registry around the state of this core.
    pub fn new(state: S) -> Self {
        let home = Home { state: Rc::new(state), services: Rc::default(), layers: RefCell::default() };
        let handlers = Handlers::new(Rc::clone(&home.services));
        Self {
            home: Rc::new(home),
            handlers,
            last: String::new(),
            last_layers: None,
            companions: Rc::default(),
            #[cfg(feature = "tokio")]
            tokio: None,
        }
    }

    /// Registers `handler` under `name`: the job's class name on the Ruby side, for example `Billing::Charge`.
    ///
    /// # Panics
    /// If the name is taken: two handlers for one name are a bug in the program.
    #[must_use]
    pub fn job<M, H>(mut self, name: &str, handler: H) -> Self
    where
        M: 'static,
        H: Handler<S, M>,
    {
        let layers: Rc<RefCell<Vec<Layer<S>>>> = Rc::default();
        let bound = Bound {
            home: Rc::clone(&self.home),
            handler,
            layers: Rc::clone(&layers),
            pool: FuturePool::new(),
            layered: FuturePool::new(),
        };
        self.last_layers = Some(layers);
        self.add(name, Box::new(bound))
    }

    /// Registers the handler of a job that is a struct, under the name of its type and with that type's options: see
    /// [`Job`].
    ///
    /// # Panics
    /// If the name is taken, or the type asks for more than [`RETRIES_MAX`] retries.
    #[must_use]
    pub fn handle<J, M, H>(self, handler: H) -> Self
    where
        J: Job + DeserializeOwned + 'static,
        M: 'static,
        H: JobHandler<S, J, M>,
    {
        let mut registry = self.job(J::NAME, Whole { handler, job: PhantomData });
        if let Some(retries) = J::RETRIES {
            registry = registry.retries(retries);
        }
        registry.last_job("handle").queue = Some(J::QUEUE.into());
        match J::RETRY_QUEUE {
            Some(queue) => registry.retry_queue(queue),
            None => registry,
        }
    }

    fn add(mut self, name: &str, handler: Box<dyn AnyHandler>) -> Self {
        let earlier = self.handlers.by_name.insert(name.into(), Entry::new(handler));
        assert!(earlier.is_none(), "job {name} is registered twice");
        self.last = name.to_owned();
        self
    }

    /// Sends the retries of the most recently registered job to this queue, like `retry_queue` in the gem's class
    /// options.
    ///
    /// # Panics
    /// If no job is registered yet, or no worker may be given a queue of this name: what it holds could never run.
    #[must_use]
    pub fn retry_queue(mut self, queue: &str) -> Self {
        let checked = QueueName::new(queue).map(drop);
        assert_eq!(checked, Ok(()), "no worker may be given the retry queue of job {}", self.last);
        self.last_job("retry_queue").retry_queue = Some(queue.into());
        self
    }

    /// Retries the most recently registered job by this policy instead of [`RetryPolicy::gem`].
    ///
    /// # Panics
    /// If no job is registered yet.
    #[must_use]
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.last_job("retry_policy").policy = policy;
        self
    }

    /// How many retries a payload of the most recently registered job gets if it names none. A number in the payload
    /// takes precedence: Ruby's client always names one, 0 by default, ours only if told. A Ruby server ignores this
    /// and reads a missing number as 0.
    ///
    /// # Panics
    /// If no job is registered yet, or for more than [`RETRIES_MAX`] retries.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        assert!(retries <= RETRIES_MAX, "{retries} retries are more than the {RETRIES_MAX} allowed");
        self.last_job("retries").retries = Some(retries);
        self
    }

    /// The number of retries of every job in this registry without one of its own, in payload or registry; 0 unless
    /// set. `--default-retries` overrides it. See [`retries`](Self::retries).
    ///
    /// # Panics
    /// For more than [`RETRIES_MAX`] retries.
    #[must_use]
    pub fn default_retries(mut self, retries: u32) -> Self {
        assert!(retries <= RETRIES_MAX, "{retries} retries are more than the {RETRIES_MAX} allowed");
        self.handlers.default_retries = retries;
        self
    }

    /// Ends a run of the most recently registered job that takes longer than this: its future is dropped at its await
    /// point, and the job has failed with class `JigglerUring::Timeout`, to be retried by its policy. Overrides
    /// [`default_timeout`](Self::default_timeout); without either, a job may run forever.
    ///
    /// A job that never awaits cannot be ended; it is logged as a stall.
    ///
    /// # Panics
    /// If no job is registered yet.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.last_job("timeout").timeout = Some(timeout);
        self
    }

    /// The timeout of every job in this registry without one of its own; see [`timeout`](Self::timeout).
    #[must_use]
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.handlers.default_timeout = Some(timeout);
        self
    }

    /// Wraps `function` around every job of this registry, whether registered before or after. It receives the job's
    /// context and the rest of the run, which it awaits, or drops to skip the job; what it returns is what the job
    /// returns. The first one added is the outermost.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use jiggler_uring::{Ctx, Next, Registry};
    ///
    /// async fn resize(_id: u64) {}
    ///
    /// let registry = Registry::new(()).job("Resize", resize).middleware(async |ctx: Ctx<()>, next: Next| {
    ///     let began = Instant::now();
    ///     let result = next.await;
    ///     println!("{} took {:?}: {result:?}", ctx.job().name, began.elapsed());
    ///     result
    /// });
    /// # drop(registry);
    /// ```
    ///
    /// It sees every kind of failure except two: a job without a handler has nothing to wrap, and a run that is ended
    /// from outside (timeout, cancellation, stop) is dropped together with it. By then the handler's arguments have
    /// been decoded and its function called; an `async fn` does nothing until it is awaited.
    #[must_use]
    pub fn middleware<F, Fut>(self, function: F) -> Self
    where
        F: Fn(Ctx<S>, Next) -> Fut + 'static,
        Fut: Future<Output: IntoJobResult> + 'static,
    {
        self.home.layers.borrow_mut().push(layer(function));
        self
    }

    /// Like [`middleware`](Self::middleware), but only around the most recently registered job, inside that of all
    /// jobs.
    ///
    /// # Panics
    /// If no job is registered yet.
    #[must_use]
    pub fn job_middleware<F, Fut>(self, function: F) -> Self
    where
        F: Fn(Ctx<S>, Next) -> Fut + 'static,
        Fut: Future<Output: IntoJobResult> + 'static,
    {
        match &self.last_layers {
            Some(layers) => layers.borrow_mut().push(layer(function)),
            None => no_job_yet("job_middleware"),
        }
        self
    }

    /// Passes every job that a handler pushes ([`Ctx::enqueue`]) through `hook` first, which may change or refuse it
    /// ([`InvalidJob::refused`]). [`Client::on_enqueue`](crate::Client::on_enqueue) does the same for other programs.
    #[must_use]
    pub fn on_enqueue(self, hook: impl Fn(NewJob) -> Result<NewJob, InvalidJob> + 'static) -> Self {
        self.home.services.hook(Box::new(hook));
        self
    }

    /// Runs `function` on each core after its last job, to flush or close what the state holds. It has
    /// [`TEAR_DOWN_TIMEOUT`](crate::limits::TEAR_DOWN_TIMEOUT) for that. Errors, panics and overruns are logged.
    /// Several functions run in the order they were added.
    #[must_use]
    pub fn on_stop<F, Fut>(mut self, function: F) -> Self
    where
        F: FnOnce(Rc<S>) -> Fut + 'static,
        Fut: Future<Output: IntoJobResult> + 'static,
    {
        let state = Rc::clone(&self.home.state);
        self.handlers.on_stop.push(Box::new(move || {
            let run = function(state);
            Box::pin(async move { run.await.into_job_result() })
        }));
        self
    }

    /// Calls `hook` for each job of this core that went to the dead set: its retries were used up, it had none, or
    /// its handler returned [`JobError::dead`](super::JobError::dead). That includes jobs without a handler, but not
    /// bytes that are not a job. Several hooks are called in the order they were added.
    ///
    /// ```
    /// use jiggler_uring::{JobError, JobResult, Registry};
    ///
    /// async fn charge(order: u64) -> JobResult {
    ///     Err(JobError::new("CardDeclined", format!("order {order}")))
    /// }
    ///
    /// let registry = Registry::new(()).job("Charge", charge).on_death(|job| {
    ///     eprintln!("{} {} died: {}: {}", job.name, job.jid, job.error_class, job.error_message);
    /// });
    /// # drop(registry);
    /// ```
    ///
    /// It is called once Redis has confirmed that the job is in the dead set, on the core's own thread between two
    /// batches: it must be quick; to do more, start a task or push a job. A panic in it is logged and has no other
    /// effect.
    ///
    /// The dead set is the truth, the hook a notification: jobs run at least once, so a job that ran twice may die
    /// twice and be reported twice, and a process killed right after Redis's answer reports nothing.
    #[must_use]
    pub fn on_death(mut self, hook: impl Fn(&DeadJob) + 'static) -> Self {
        self.handlers.on_death.push(Box::new(hook));
        self
    }

    /// Calls `hook` for each run on this core that failed, whether the job will be retried or dies: for error reporters.
    /// That includes panics, timeouts, cancellations and jobs without a handler; not a job that was snoozed or discarded,
    /// nor bytes that are not a job. Several hooks are called in the order they were added.
    ///
    /// ```
    /// use jiggler_uring::{JobError, JobResult, Registry};
    ///
    /// async fn charge(order: u64) -> JobResult {
    ///     Err(JobError::new("CardDeclined", format!("order {order}")))
    /// }
    ///
    /// let registry = Registry::new(()).job("Charge", charge).on_failure(|job| {
    ///     if job.attempt > 0 || !job.will_be_retried {
    ///         eprintln!("{} {} {}: {}", job.name, job.jid, job.error_class, job.error_message);
    ///     }
    /// });
    /// # drop(registry);
    /// ```
    ///
    /// It is called on the core's own thread when the run has ended, before Redis knows of it: it must be quick; to do
    /// more, start a task or a thread. A panic in it is logged and has no other effect. After a crash a job may run, and
    /// fail, once more. What comes here of jobs that die is in the dead set a moment later; [`on_death`](Self::on_death)
    /// is called then, also for jobs that are buried as poison, of which no run has failed.
    #[must_use]
    pub fn on_failure(mut self, hook: impl Fn(&FailedJob<'_>) + 'static) -> Self {
        self.handlers.on_failure.push(Box::new(hook));
        self
    }

    fn last_job(&mut self, option: &str) -> &mut Entry {
        let entry = self.handlers.by_name.get_mut(self.last.as_str());
        match entry {
            Some(entry) => entry,
            None => no_job_yet(option),
        }
    }

    /// The registered names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.handlers.by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// The state that its handlers share.
    pub(crate) fn state(&self) -> Rc<S> {
        Rc::clone(&self.home.state)
    }

    pub(crate) fn into_handlers(self) -> Handlers {
        self.handlers.complete()
    }
}

#[expect(clippy::panic, reason = "a mistake in the program, found when it starts")]
fn no_job_yet(option: &str) -> ! {
    panic!("{option}(…) comes before any job")
}

#[cfg(test)]
mod tests {
    use super::super::JobError;
    use super::super::pool::caught;
    use super::*;

    async fn nothing() {}

    #[test]
    fn options_are_those_of_the_job_registered_last() {
        let policy = || RetryPolicy::fixed(Duration::from_secs(3));
        let registry = Registry::new(())
            .job("A", nothing)
            .retries(RETRIES_MAX)
            .job("B", nothing)
            .retry_queue("later")
            .retry_policy(policy());
        let handlers = registry.into_handlers();
        let (a, b) = (handlers.find("A").unwrap(), handlers.find("B").unwrap());
        assert_eq!([Some(a), Some(b), None].map(|entry| handlers.retries(entry)), [RETRIES_MAX, 0, 0]);
        assert_eq!((a.retry_queue.as_deref(), b.retry_queue.as_deref()), (None, Some("later")));
        let shown = |entry| format!("{:?}", handlers.policy(entry));
        let (gem, fixed) = (format!("{:?}", RetryPolicy::gem()), format!("{:?}", policy()));
        assert_eq!([shown(Some(a)), shown(Some(b)), shown(None)], [gem.clone(), fixed, gem]);
    }

    #[test]
    fn the_job_names_its_retries_before_the_operator_and_the_operator_before_the_program() {
        let registry =
            || Registry::new(()).default_retries(4).job("Own", nothing).retries(2).job("Any", nothing);
        let retries = |configured| {
            let mut handlers = registry().into_handlers();
            handlers.set_default_retries(configured);
            ["Own", "Any", "Unknown"].map(|name| handlers.retries(handlers.find(name)))
        };
        assert_eq!(retries(None), [2, 4, 4]);
        assert_eq!(retries(Some(7)), [2, 7, 7]);
        assert_eq!(retries(Some(0)), [2, 0, 0]);
    }

    #[test]
    fn options_without_a_job_and_too_many_retries_are_refused() {
        let refused = |build: fn() -> Registry| caught(build).err().unwrap().message().to_owned();
        assert_eq!(refused(|| Registry::new(()).retries(1)), "retries(…) comes before any job");
        assert_eq!(refused(|| Registry::new(()).retry_queue("q")), "retry_queue(…) comes before any job");
        let policy = || Registry::new(()).retry_policy(RetryPolicy::gem());
        assert_eq!(refused(policy), "retry_policy(…) comes before any job");
        for too_many in [
            || Registry::new(()).job("A", nothing).retries(RETRIES_MAX + 1),
            || Registry::new(()).default_retries(RETRIES_MAX + 1),
        ] {
            assert_eq!(refused(too_many), "1001 retries are more than the 1000 allowed");
        }
    }

    #[test]
    fn every_failure_hook_is_called_even_if_one_panics() {
        let heard: Rc<RefCell<Vec<String>>> = Rc::default();
        let hook = |name: &'static str| {
            let heard = Rc::clone(&heard);
            move |job: &FailedJob<'_>| {
                heard.borrow_mut().push(format!("{name} {} {:?}", job.jid, job.backtrace))
            }
        };
        let handlers = Registry::new(())
            .on_failure(hook("first"))
            .on_failure(|job| panic!("no {}", job.name))
            .on_failure(hook("last"))
            .into_handlers();
        let error = JobError::new("E", "m").with_backtrace("0: main");
        handlers.tell_of_failure(&FailedJob {
            name: "N",
            jid: "j",
            queue: "q",
            attempt: 1,
            will_be_retried: true,
            error_class: error.class(),
            error_message: error.message(),
            backtrace: error.backtrace(),
            payload: b"{}",
        });
        assert_eq!(*heard.borrow(), [r#"first j Some("0: main")"#, r#"last j Some("0: main")"#]);
    }

    #[test]
    fn every_death_hook_is_called_even_if_one_panics() {
        let heard: Rc<RefCell<Vec<String>>> = Rc::default();
        let hook = |name: &'static str| {
            let heard = Rc::clone(&heard);
            move |job: &DeadJob| heard.borrow_mut().push(format!("{name} {} {}", job.name, job.jid))
        };
        let silent = Registry::new(()).into_handlers();
        let handlers = Registry::new(())
            .on_death(hook("first"))
            .on_death(|job| panic!("no {}", job.name))
            .on_death(hook("last"))
            .into_handlers();
        assert_eq!((silent.hear_of_deaths(), handlers.hear_of_deaths()), (false, true));
        let text = String::from;
        handlers.tell_of_death(&DeadJob {
            name: text("N"),
            jid: text("j"),
            queue: text("q"),
            error_class: text("E"),
            error_message: text("m"),
        });
        assert_eq!(*heard.borrow(), ["first N j", "last N j"]);
    }
}
