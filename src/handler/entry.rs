//! One registered job: its handler with the state type erased, its options, and how a run of it starts.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::call::Handler;
use super::cancel::CancelState;
use super::context::{Ctx, JobInfo, Run};
use super::error::JobError;
use super::middleware::{Layer, Next};
use super::policy::RetryPolicy;
use super::pool::{FuturePool, Started, caught};
use super::result::Converted;
use super::services::Services;
use crate::job::Args;
use crate::job::args::ArgsError;
use crate::job::failure::CLASS_BAD_ARGUMENTS;
use crate::job::history::Keep;
use crate::job::retry::retries_in;

/// One registered job.
pub(crate) struct Entry {
    pub(super) handler: Box<dyn AnyHandler>,
    /// Its position in the alphabetical order of the names.
    pub(crate) number: u32,
    /// The queue for its retries; if unset, the one it came from.
    pub(crate) retry_queue: Option<Box<str>>,
    /// The queue that its type names, if it is registered as one.
    pub(crate) queue: Option<Box<str>>,
    /// When retries run.
    pub(crate) policy: RetryPolicy,
    /// The number of retries if the payload does not say; unset: the worker's default.
    pub(super) retries: Option<u32>,
    /// How long a run may take.
    pub(crate) timeout: Option<Duration>,
    /// What its payload keeps of its failures.
    pub(crate) keep: Keep,
}

/// Which run of which job: what a span, a failure and a context name. Nothing of it is copied.
#[derive(Clone, Copy)]
pub(crate) struct JobRef<'a> {
    pub(crate) name: &'a str,
    /// Empty if the payload has none.
    pub(crate) jid: &'a str,
    /// The queue it was taken from.
    pub(crate) queue: &'a str,
    /// 0 for the first run.
    pub(crate) attempt: u32,
}

/// What a handler receives about a job; none of it has been copied yet.
pub(crate) struct Call<'a, 'p> {
    pub(crate) job: JobRef<'a>,
    /// As read from the payload.
    pub(crate) retries: u32,
    /// What applies if the payload names none.
    pub(crate) default_retries: u32,
    pub(crate) payload: &'a Bytes,
    /// When the run starts.
    pub(crate) now: Instant,
    pub(crate) args: Args<'p>,
}

impl Entry {
    /// Decodes the arguments, calls the handler and polls its future once; never panics.
    pub(crate) fn start(&self, call: Call<'_, '_>) -> Started {
        self.handler.start(call, self.timeout)
    }
}

pub(super) trait AnyHandler {
    fn start(&self, call: Call<'_, '_>, timeout: Option<Duration>) -> Started;
}

/// What all handlers of one registry share.
pub(super) struct Home<S> {
    pub(super) state: Rc<S>,
    pub(super) services: Rc<Services>,
    /// Middleware around every job, outermost first.
    pub(super) layers: RefCell<Vec<Layer<S>>>,
}

/// A handler and what surrounds it.
pub(super) struct Bound<S, H: Handler<S, M>, M> {
    pub(super) home: Rc<Home<S>>,
    pub(super) handler: H,
    /// Middleware around this job alone, inside that of all jobs.
    pub(super) layers: Vec<Layer<S>>,
    pub(super) pool: FuturePool<H::Future, H::Kind>,
    pub(super) layered: FuturePool<Next, Converted>,
}

impl<S: 'static, M, H: Handler<S, M>> AnyHandler for Bound<S, H, M> {
    fn start(&self, mut call: Call<'_, '_>, timeout: Option<Duration>) -> Started {
        let Call { job, retries, default_retries, payload, now, ref mut args } = call;
        let JobRef { name, jid, queue, attempt } = job;
        // Created when the context is requested.
        let run: OnceCell<Rc<Run>> = OnceCell::new();
        let ctx = || {
            let run = run.get_or_init(|| {
                let schema = self.home.services.client().schema();
                let retries = retries_in(schema, payload, retries, default_retries);
                let job =
                    JobInfo { name: name.into(), jid: jid.into(), queue: queue.into(), attempt, retries };
                Rc::new(Run {
                    job,
                    payload: payload.clone(),
                    deadline: timeout.map(|timeout| now + timeout),
                    services: Rc::clone(&self.home.services),
                    cancel: CancelState::default(),
                    trace: OnceCell::new(),
                    reported: Cell::new(None),
                })
            });
            Ctx::of_run(Rc::clone(&self.home.state), Rc::clone(run))
        };
        let build = || self.handler.call(&ctx, args).map_err(|misfit| bad_arguments(name, &misfit));
        let around = self.home.layers.borrow();
        let watcher = || run.get().map(Rc::clone);
        if around.is_empty() && self.layers.is_empty() {
            return self.pool.start(build, watcher);
        }
        let layered = || {
            let innermost = match caught(build) {
                Ok(Ok(future)) => Next::new(future),
                Ok(Err(error)) | Err(error) => Next::failed(error),
            };
            let layers = around.iter().chain(&self.layers).rev();
            Ok(layers.fold(innermost, |next, layer| next.within(layer, ctx())))
        };
        self.layered.start(layered, watcher)
    }
}

fn bad_arguments(name: &str, misfit: &ArgsError) -> JobError {
    JobError::new(CLASS_BAD_ARGUMENTS, format!("{name}: {misfit}"))
}
