//! The jobs a process can run, by name.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::call::Handler;
use super::companions::Companions;
use super::context::Ctx;
use super::entry::{Bound, Entry, Home};
use super::handlers::Handlers;
use super::job_options::{JobOptions, checked_backtrace, checked_history, checked_retries};
use super::key::JobKey;
use super::middleware::{Next, layer};
use super::pool::FuturePool;
use super::result::IntoJobResult;
use crate::client::{InvalidJob, NewJob};
use crate::cron::{CronEntry, Origin};
use crate::job::{DeadJob, FailedJob};

/// The handlers of one core, by job name, around the state they share.
///
/// What concerns one job alone (timeout, retries, middleware) is given with its handler: [`options`](super::options). A
/// mistake in a registry, such as a name that is taken, ends the worker before it takes its first job, with exit code 2 and
/// the line at which it was made.
pub struct Registry<S = ()> {
    home: Rc<Home<S>>,
    handlers: Handlers,
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
            companions: Rc::default(),
            #[cfg(feature = "tokio")]
            tokio: None,
        }
    }

    /// Registers `handler` under its name, the job's class name on the Ruby side, for example `Billing::Charge`; or, for a
    /// job that is a struct, under that type, whose name and options it gets: see [`Job`](crate::Job). Options given with
    /// the handler go before those of the type.
    ///
    /// ```
    /// use jiggler_uring::{Job, Registry};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize, Job)]
    /// #[job(queue = "images")]
    /// struct Resize {
    ///     id: u64,
    ///     width: u32,
    /// }
    ///
    /// async fn resize(job: Resize) {
    ///     println!("{} to {}", job.id, job.width);
    /// }
    /// async fn purge(id: u64) {
    ///     println!("{id}");
    /// }
    ///
    /// let registry = Registry::new(()).job(Resize::JOB, resize).job("Purge", purge);
    /// # drop(registry);
    /// ```
    ///
    /// # Panics
    /// If the name is taken: two handlers for one name are a bug in the program. If the type asks for more than
    /// [`RETRIES_MAX`](crate::limits::RETRIES_MAX) retries.
    #[must_use]
    #[track_caller]
    pub fn job<K, H, M>(self, key: K, handler: H) -> Self
    where
        K: JobKey<S, H, M>,
    {
        let name = key.name().to_owned();
        let (handler, options) = key.bind(handler);
        self.add::<K::Shape, _>(&name, handler, options)
    }

    #[track_caller]
    pub(super) fn add<M, H>(mut self, name: &str, handler: H, options: JobOptions<S>) -> Self
    where
        M: 'static,
        H: Handler<S, M>,
    {
        let JobOptions { queue, retry_queue, policy, retries, timeout, keep, layers } = options;
        let home = Rc::clone(&self.home);
        let bound = Bound { home, handler, layers, pool: FuturePool::new(), layered: FuturePool::new() };
        let entry = Entry {
            handler: Box::new(bound),
            number: 0,
            queue,
            retry_queue,
            policy: policy.unwrap_or_default(),
            retries,
            timeout,
            keep,
        };
        let earlier = self.handlers.by_name.insert(name.into(), entry);
        assert!(earlier.is_none(), "job {name} is registered twice");
        self
    }

    /// Makes way for a runner that takes every name: these jobs are there for want of others.
    pub(crate) fn yielding(mut self) -> Self {
        self.handlers.yields = true;
        self
    }

    /// The number of retries of every job in this registry without one of its own, in payload or registry; 0 unless
    /// set. `--default-retries` overrides it. See [`WithOptions::retries`](super::WithOptions::retries).
    ///
    /// # Panics
    /// For more than [`RETRIES_MAX`](crate::limits::RETRIES_MAX) retries.
    #[must_use]
    #[track_caller]
    pub fn default_retries(mut self, retries: u32) -> Self {
        self.handlers.default_retries = Some(checked_retries(retries));
        self
    }

    /// The timeout of every job in this registry without one of its own; see
    /// [`WithOptions::timeout`](super::WithOptions::timeout).
    #[must_use]
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
        self.handlers.default_timeout = Some(timeout);
        self
    }

    /// How many failures the payloads of this registry's jobs keep; see
    /// [`WithOptions::history`](super::WithOptions::history).
    ///
    /// # Panics
    /// For more than [`HISTORY_FAILURES_MAX`](crate::limits::HISTORY_FAILURES_MAX).
    #[must_use]
    #[track_caller]
    pub fn default_history(mut self, failures: usize) -> Self {
        self.handlers.default_keep.failures = Some(checked_history(failures));
        self
    }

    /// How many lines of a backtrace they keep; see [`WithOptions::backtrace`](super::WithOptions::backtrace).
    ///
    /// # Panics
    /// For more than [`HISTORY_BACKTRACE_LINES_MAX`](crate::limits::HISTORY_BACKTRACE_LINES_MAX).
    #[must_use]
    #[track_caller]
    pub fn default_backtrace(mut self, lines: usize) -> Self {
        self.handlers.default_keep.backtrace_lines = Some(checked_backtrace(lines));
        self
    }

    /// Declares a periodic job: `job` is pushed at each tick of the schedule, once in the whole fleet, whichever of its
    /// processes runs. It is called what its job is called; for another name, and more options, see
    /// [`periodic`](Self::periodic).
    ///
    /// ```
    /// use jiggler_uring::{NewJob, Registry};
    ///
    /// async fn report(kind: String) {
    ///     println!("{kind}");
    /// }
    ///
    /// let job = NewJob::new("Report", &["daily"])?;
    /// let registry = Registry::new(()).job("Report", report).cron("0 3 * * *", "Europe/Berlin", job);
    /// # drop(registry);
    /// # Ok::<_, jiggler_uring::client::InvalidJob>(())
    /// ```
    ///
    /// # Panics
    /// If the schedule, the zone or the job is refused ([`CronError`](crate::cron::CronError)), or the name is declared
    /// already.
    #[must_use]
    #[track_caller]
    pub fn cron(self, schedule: &str, zone: &str, job: NewJob) -> Self {
        let name = job.name().to_owned();
        let entry = CronEntry::new(&name, schedule, zone, job);
        let refused = entry.as_ref().err().map(ToString::to_string);
        assert!(refused.is_none(), "periodic job {name}: {}", refused.unwrap_or_default());
        match entry {
            Ok(entry) => self.periodic(entry),
            Err(_) => self,
        }
    }

    /// Declares a periodic job. It is stored when a worker starts and takes the place of the one that the last deployment
    /// declared under its name, whose next tick it keeps if the schedule is the same. It goes when no process declares it
    /// any more. A worker that serves its queue and has no handler for its job does not start.
    ///
    /// # Panics
    /// If its name is declared already.
    #[must_use]
    #[track_caller]
    pub fn periodic(mut self, entry: CronEntry) -> Self {
        let is_new = self.handlers.periodic.iter().all(|other| other.name() != entry.name());
        assert!(is_new, "periodic job {} is declared twice; give one of them another name", entry.name());
        self.handlers.periodic.push(entry.with_origin(Origin::Code));
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
    /// A run that snoozes or is discarded returns an `Err`, too: [`JobError::verdict`](crate::JobError::verdict) tells these
    /// from failures.
    ///
    /// It sees every kind of failure except two: a job without a handler has nothing to wrap, and a run that is ended
    /// from outside (timeout, cancellation, stop) is dropped together with it. By then the handler's arguments have
    /// been decoded and its function called; an `async fn` does nothing until it is awaited.
    #[must_use]
    pub fn middleware<F, Fut, K>(self, function: F) -> Self
    where
        F: Fn(Ctx<S>, Next) -> Fut + 'static,
        Fut: Future<Output: IntoJobResult<K>> + 'static,
        K: 'static,
    {
        self.home.layers.borrow_mut().push(layer(function));
        self
    }

    /// Passes every job that a handler pushes ([`Ctx::enqueue`]) through `hook` first, which may change or refuse it
    /// ([`InvalidJob::refused`]). [`Client::on_enqueue`](crate::Client::on_enqueue) does the same for other programs.
    #[must_use]
    pub fn on_enqueue(self, hook: impl Fn(NewJob) -> Result<NewJob, InvalidJob> + 'static) -> Self {
        self.home.services.hook(Box::new(hook));
        self
    }

    /// Lets handlers off this core's thread read a part of the state: [`SendCtx::part`](super::SendCtx::part) finds it by
    /// its type. The same `Arc` may be in the state, for the handlers on the core.
    ///
    /// # Panics
    /// If there is a part of this type already.
    #[must_use]
    #[track_caller]
    pub fn share<T: Send + Sync + 'static>(self, part: Arc<T>) -> Self {
        let is_first = self.home.services.share(part);
        assert!(is_first, "a {} is shared twice", std::any::type_name::<T>());
        self
    }

    /// Runs `function` on each core after its last job, to flush or close what the state holds. It has
    /// [`TEAR_DOWN_TIMEOUT`](crate::limits::TEAR_DOWN_TIMEOUT) for that. Errors, panics and overruns are logged.
    /// Several functions run in the order they were added.
    #[must_use]
    pub fn on_stop<F, Fut, K>(mut self, function: F) -> Self
    where
        F: FnOnce(Rc<S>) -> Fut + 'static,
        Fut: Future<Output: IntoJobResult<K>> + 'static,
        K: 'static,
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

#[cfg(test)]
mod tests {
    use super::super::JobError;
    use super::super::options::options;
    use super::super::pool::caught;
    use super::*;
    use crate::limits::RETRIES_MAX;

    #[test]
    fn the_job_names_its_retries_before_the_operator_and_the_operator_before_the_program() {
        let retries = |configured| {
            let registry = Registry::new(()).default_retries(4);
            let registry = registry.job("Own", options(async || {}).retries(2)).job("Any", async || {});
            let mut handlers = registry.into_handlers();
            handlers.set_default_retries(configured, 0);
            ["Own", "Any", "Unknown"].map(|name| handlers.retries(handlers.find(name)))
        };
        assert_eq!(retries(None), [2, 4, 4]);
        assert_eq!(retries(Some(7)), [2, 7, 7]);
        assert_eq!(retries(Some(0)), [2, 0, 0]);
    }

    #[test]
    fn too_many_retries_and_a_name_that_is_taken_are_refused() {
        let too_many = || Registry::new(()).default_retries(RETRIES_MAX + 1);
        assert_eq!(caught(too_many).err().unwrap().message(), "1001 retries are more than the 1000 allowed");
        let twice = || Registry::new(()).job("A", async || {}).blocking("A", || {});
        assert_eq!(caught(twice).err().unwrap().message(), "job A is registered twice");
    }

    #[test]
    fn every_failure_hook_is_called_even_if_one_panics() {
        let heard: Rc<RefCell<Vec<String>>> = Rc::default();
        let hook = |name: &'static str| {
            let heard = Rc::clone(&heard);
            move |job: &FailedJob<'_>| {
                heard.borrow_mut().push(format!("{name} {} {:?}", job.jid, job.backtrace));
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
