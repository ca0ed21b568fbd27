//! The jobs a process can run, by name.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;

use super::pool::{FuturePool, Started, caught};
use super::{Ctx, Handler, JobInfo, RetryPolicy};
use crate::job::{Args, DeadJob};
use crate::limits::RETRIES_MAX;

/// The handlers of one core, by job name, around the state they share.
///
/// Options of one job ([`retry_queue`](Self::retry_queue), [`retry_policy`](Self::retry_policy),
/// [`retries`](Self::retries)) are those of the job registered last.
pub struct Registry<S = ()> {
    state: Rc<S>,
    handlers: Handlers,
    last: String,
}

/// The handlers of one core, the type of their state forgotten.
#[derive(Default)]
pub(crate) struct Handlers {
    by_name: HashMap<Box<str>, Entry, RandomState>,
    on_death: Vec<Box<DeathHook>>,
    /// That of jobs no handler is registered for.
    unknown: RetryPolicy,
}

type DeathHook = dyn Fn(&DeadJob);

/// One registered job.
pub(crate) struct Entry {
    handler: Box<dyn AnyHandler>,
    /// Where its retries go; the queue it came from if none is named.
    pub(crate) retry_queue: Option<Box<str>>,
    /// When they run.
    pub(crate) policy: RetryPolicy,
    /// How many there are if the payload does not say.
    pub(crate) retries: u32,
}

/// What a handler is given of a job, nothing of it copied yet.
pub(crate) struct Call<'a, 'p> {
    pub(crate) name: &'a str,
    pub(crate) jid: &'a str,
    pub(crate) queue: &'a str,
    pub(crate) attempt: u32,
    pub(crate) args: Args<'p>,
}

impl<S: 'static> Registry<S> {
    /// An empty registry around the state of this core.
    pub fn new(state: S) -> Self {
        Self { state: Rc::new(state), handlers: Handlers::default(), last: String::new() }
    }

    /// Registers `handler` under `name`: the job's class name on the Ruby side, for example `Billing::Charge`.
    ///
    /// # Panics
    /// If the name is taken: two handlers for one name are a mistake in the program.
    #[must_use]
    pub fn job<M, H>(mut self, name: &str, handler: H) -> Self
    where
        M: 'static,
        H: Handler<S, M>,
    {
        let bound = Bound { state: Rc::clone(&self.state), handler, pool: FuturePool::new() };
        let entry =
            Entry { handler: Box::new(bound), retry_queue: None, policy: RetryPolicy::gem(), retries: 0 };
        let earlier = self.handlers.by_name.insert(name.into(), entry);
        assert!(earlier.is_none(), "job {name} is registered twice");
        self.last = name.to_owned();
        self
    }

    /// Sends the retries of the job registered last to this queue, as `retry_queue` of the gem's class options does.
    ///
    /// # Panics
    /// If no job is registered yet.
    #[must_use]
    pub fn retry_queue(mut self, queue: &str) -> Self {
        self.last_job("retry_queue").retry_queue = Some(queue.into());
        self
    }

    /// Retries the job registered last by this policy in place of [`RetryPolicy::gem`].
    ///
    /// # Panics
    /// If no job is registered yet.
    #[must_use]
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.last_job("retry_policy").policy = policy;
        self
    }

    /// How many retries a payload of the job registered last has if it names none. Ruby and our own clients always name
    /// a number, 0 by default, and that stands; this is for other producers. A Ruby server does not know of it.
    ///
    /// # Panics
    /// If no job is registered yet, or for more than [`RETRIES_MAX`] retries.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        assert!(retries <= RETRIES_MAX, "{retries} retries are more than the {RETRIES_MAX} allowed");
        self.last_job("retries").retries = retries;
        self
    }

    /// Calls `hook` for each job of this core that went to the dead set: its retries were used up, it had none, or its
    /// handler said [`JobError::dead`](super::JobError::dead). Jobs without a handler are among them; bytes that are no
    /// job are not. Several hooks are called in the order in which they were given.
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
    /// It is called once Redis has said that the job is in the dead set, on the core's own thread between two batches:
    /// it must be quick; to do more, start a task or push a job. A panic in it is logged and changes nothing.
    ///
    /// The dead set is the truth, the hook a message: jobs run at least once, so a job that ran twice may die twice and
    /// be told of twice, and a process that is killed right after Redis's answer tells of nothing.
    #[must_use]
    pub fn on_death(mut self, hook: impl Fn(&DeadJob) + 'static) -> Self {
        self.handlers.on_death.push(Box::new(hook));
        self
    }

    fn last_job(&mut self, option: &str) -> &mut Entry {
        let entry = self.handlers.by_name.get_mut(self.last.as_str());
        match entry {
            Some(entry) => entry,
            #[expect(clippy::panic, reason = "a mistake in the program, found when it starts")]
            None => panic!("{option}(…) comes before any job"),
        }
    }

    /// The names that are registered, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.handlers.by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names.into_iter()
    }

    pub(crate) fn into_handlers(self) -> Handlers {
        self.handlers
    }
}

impl Handlers {
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    /// When a failed job runs again.
    pub(crate) fn policy<'a>(&'a self, entry: Option<&'a Entry>) -> &'a RetryPolicy {
        entry.map_or(&self.unknown, |entry| &entry.policy)
    }

    /// Whether anybody wants to be told of dead jobs.
    pub(crate) fn hear_of_deaths(&self) -> bool {
        !self.on_death.is_empty()
    }

    /// Tells of a job that is in the dead set; nothing of it panics.
    pub(crate) fn tell_of_death(&self, job: &DeadJob) {
        for hook in &self.on_death {
            if let Err(panic) = caught(|| hook(job)) {
                let DeadJob { name, jid, .. } = job;
                tracing::error!(name, jid, panic = panic.message(), "a death hook panicked");
            }
        }
    }
}

impl Entry {
    /// Decodes the arguments, calls the handler and polls its future once; nothing of it panics.
    pub(crate) fn start(&self, call: Call<'_, '_>) -> Started {
        self.handler.start(call)
    }
}

trait AnyHandler {
    fn start(&self, call: Call<'_, '_>) -> Started;
}

struct Bound<S, H: Handler<S, M>, M> {
    state: Rc<S>,
    handler: H,
    pool: FuturePool<H::Future>,
}

impl<S: 'static, M, H: Handler<S, M>> AnyHandler for Bound<S, H, M> {
    fn start(&self, mut call: Call<'_, '_>) -> Started {
        let Call { name, jid, queue, attempt, ref mut args } = call;
        let ctx = || {
            let job = JobInfo { name: name.into(), jid: jid.into(), queue: queue.into(), attempt };
            Ctx::new(Rc::clone(&self.state), job)
        };
        self.pool.start(|| self.handler.call(&ctx, args))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    async fn nothing() {}

    #[test]
    fn options_are_those_of_the_job_registered_last() {
        let policy = || RetryPolicy::fixed(std::time::Duration::from_secs(3));
        let registry = Registry::new(())
            .job("A", nothing)
            .retries(RETRIES_MAX)
            .job("B", nothing)
            .retry_queue("later")
            .retry_policy(policy());
        let handlers = registry.into_handlers();
        let (a, b) = (handlers.find("A").unwrap(), handlers.find("B").unwrap());
        assert_eq!((a.retries, b.retries), (RETRIES_MAX, 0));
        assert_eq!((a.retry_queue.as_deref(), b.retry_queue.as_deref()), (None, Some("later")));
        let shown = |entry| format!("{:?}", handlers.policy(entry));
        let (gem, fixed) = (format!("{:?}", RetryPolicy::gem()), format!("{:?}", policy()));
        assert_eq!([shown(Some(a)), shown(Some(b)), shown(None)], [gem.clone(), fixed, gem]);
    }

    #[test]
    fn options_without_a_job_and_too_many_retries_are_refused() {
        let refused = |build: fn() -> Registry| caught(build).err().unwrap().message().to_owned();
        assert_eq!(refused(|| Registry::new(()).retries(1)), "retries(…) comes before any job");
        assert_eq!(refused(|| Registry::new(()).retry_queue("q")), "retry_queue(…) comes before any job");
        let policy = || Registry::new(()).retry_policy(RetryPolicy::gem());
        assert_eq!(refused(policy), "retry_policy(…) comes before any job");
        let too_many = || Registry::new(()).job("A", nothing).retries(RETRIES_MAX + 1);
        assert_eq!(refused(too_many), "1001 retries are more than the 1000 allowed");
    }

    #[test]
    fn every_death_hook_hears_of_a_death_though_one_panics() {
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
