//! The jobs a process can run, by name.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;

use super::pool::{FuturePool, Started};
use super::{Ctx, Handler, JobInfo};
use crate::job::Args;

/// The handlers of one core, by job name, around the state they share.
///
/// Options such as [`retry_queue`](Self::retry_queue) are those of the job registered last.
pub struct Registry<S = ()> {
    state: Rc<S>,
    handlers: Handlers,
    last: String,
}

/// The handlers of one core, the type of their state forgotten.
#[derive(Default)]
pub(crate) struct Handlers {
    by_name: HashMap<Box<str>, Entry, RandomState>,
}

/// One registered job.
pub(crate) struct Entry {
    handler: Box<dyn AnyHandler>,
    /// Where its retries go; the queue it came from if none is named.
    pub(crate) retry_queue: Option<Box<str>>,
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
        let entry = Entry { handler: Box::new(bound), retry_queue: None };
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
        let entry = self.handlers.by_name.get_mut(self.last.as_str());
        assert!(entry.is_some(), "retry_queue({queue}) comes before any job");
        if let Some(entry) = entry {
            entry.retry_queue = Some(queue.into());
        }
        self
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
