//! The handlers of one core by name, as its shard uses them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::entry::Entry;
use super::error::{JobError, JobResult};
use super::gate::Gate;
use super::middleware::Next;
use super::policy::RetryPolicy;
use super::pool::caught;
use super::routes::{Pattern, Route, Routes};
use super::services::Services;
use crate::cron::CronEntry;
use crate::job::history::Keep;
use crate::job::{DeadJob, FailedJob};
use crate::limits::{JOB_NAMES_BYTES_MAX, JOB_NAMES_MAX, TEAR_DOWN_TIMEOUT};
use crate::timeout::within;

/// The handlers of one core, with the state type erased.
pub(crate) struct Handlers {
    pub(super) by_name: HashMap<Box<str>, Entry, RandomState>,
    /// Jobs of runners whose names are not known one by one.
    routes: Routes,
    /// Whether they make way for a runner that takes every name.
    pub(super) yields: bool,
    gate: Rc<Gate>,
    pub(super) on_death: Vec<Box<DeathHook>>,
    pub(super) on_failure: Vec<Box<FailureHook>>,
    pub(super) on_stop: Vec<StopHook>,
    pub(super) default_timeout: Option<Duration>,
    pub(super) default_keep: Keep,
    /// The retries of a job for which neither its payload nor its entry names a number.
    pub(super) default_retries: Option<u32>,
    pub(super) periodic: Vec<CronEntry>,
    services: Rc<Services>,
    /// The policy for jobs without a registered handler.
    unknown: RetryPolicy,
}

type DeathHook = dyn Fn(&DeadJob);

type FailureHook = dyn Fn(&FailedJob<'_>);

/// Starts tearing down the state.
pub(crate) type StopHook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = JobResult>>>>;

impl Handlers {
    pub(super) fn new(services: Rc<Services>) -> Self {
        Self {
            by_name: HashMap::default(),
            routes: Routes::default(),
            yields: false,
            gate: Rc::default(),
            on_death: Vec::new(),
            on_failure: Vec::new(),
            on_stop: Vec::new(),
            default_timeout: None,
            default_keep: Keep::default(),
            default_retries: None,
            periodic: Vec::new(),
            services,
            unknown: RetryPolicy::gem(),
        }
    }

    /// Finishes registration.
    pub(super) fn complete(mut self) -> Self {
        let mut entries: Vec<_> = self.by_name.iter_mut().collect();
        entries.sort_unstable_by_key(|(name, _)| &***name);
        let entries = entries.into_iter().map(|(_, entry)| entry).chain(self.routes.entries());
        for (number, entry) in (0..).zip(entries) {
            entry.number = number;
            entry.timeout = entry.timeout.or(self.default_timeout);
            entry.keep = entry.keep.or(self.default_keep);
        }
        self
    }

    /// Adds the jobs of runners. One whose exact name a handler has takes its place: the configuration says so.
    pub(crate) fn with_routes(mut self, routes: Vec<Route>) -> Self {
        if self.yields && routes.iter().any(|route| route.pattern.takes_all()) {
            self.by_name.clear();
        }
        for route in &routes {
            if let Some(name) = route.pattern.exact() {
                self.by_name.remove(name);
            }
        }
        self.routes.add(routes);
        self.complete()
    }

    /// Closed while no job should be fetched.
    pub(crate) fn gate(&self) -> &Rc<Gate> {
        &self.gate
    }

    /// More work to do after the last job.
    pub(crate) fn before_end(&mut self, hook: StopHook) {
        self.on_stop.push(hook);
    }

    /// The names in alphabetical order, then the patterns of runners: the order of the entries' numbers.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names.extend(self.routes.patterns().map(Pattern::as_str));
        names
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.by_name.len() + self.routes.patterns().count()
    }

    /// The names that a process publishes: all of them, or none if they are too many, or a runner takes names that nobody
    /// can list.
    pub(crate) fn published_names(&self) -> Option<Vec<String>> {
        if self.routes.patterns().any(|pattern| pattern.exact().is_none()) {
            return None;
        }
        let names = self.names();
        let bytes: usize = names.iter().map(|name| name.len()).sum();
        let fits = names.len() <= JOB_NAMES_MAX && bytes <= JOB_NAMES_BYTES_MAX;
        fits.then(|| names.into_iter().map(str::to_owned).collect())
    }

    /// The periodic jobs that it declares.
    pub(crate) fn periodic(&self) -> &[CronEntry] {
        &self.periodic
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).or_else(|| self.routes.find(name))
    }

    /// What the handlers share besides their state.
    pub(crate) fn services(&self) -> &Rc<Services> {
        &self.services
    }

    /// What the operator has set, which goes before the program's own default; and what holds without either.
    pub(crate) fn set_default_retries(&mut self, configured: Option<u32>, usual: u32) {
        self.default_retries = configured.or(self.default_retries).or(Some(usual));
    }

    /// How many retries a job has if its payload names no number.
    pub(crate) fn retries(&self, entry: Option<&Entry>) -> u32 {
        entry.and_then(|entry| entry.retries).or(self.default_retries).unwrap_or(0)
    }

    /// What is kept of a job's failures.
    pub(crate) fn keep(&self, entry: Option<&Entry>) -> Keep {
        entry.map_or(self.default_keep, |entry| entry.keep)
    }

    /// When a failed job runs again.
    pub(crate) fn policy<'a>(&'a self, entry: Option<&'a Entry>) -> &'a RetryPolicy {
        entry.map_or(&self.unknown, |entry| &entry.policy)
    }

    /// Whether any hook wants to be called for dead jobs.
    pub(crate) fn hear_of_deaths(&self) -> bool {
        !self.on_death.is_empty()
    }

    /// Calls the hooks for a job in the dead set; never panics.
    pub(crate) fn tell_of_death(&self, job: &DeadJob) {
        for hook in &self.on_death {
            if let Err(panic) = caught(|| hook(job)) {
                let DeadJob { name, jid, .. } = job;
                tracing::error!(name, jid, panic = panic.message(), "a death hook panicked");
            }
        }
    }

    /// Calls the hooks for a run that failed; never panics.
    pub(crate) fn tell_of_failure(&self, job: &FailedJob<'_>) {
        for hook in &self.on_failure {
            if let Err(panic) = caught(|| hook(job)) {
                let FailedJob { name, jid, .. } = job;
                tracing::error!(name, jid, panic = panic.message(), "a failure hook panicked");
            }
        }
    }

    /// Takes the work to do after the last job of this core has run.
    pub(crate) fn take_tear_down(&mut self) -> TearDown {
        TearDown(std::mem::take(&mut self.on_stop))
    }
}

/// The work to do on a core after its last job.
#[derive(Default)]
pub(crate) struct TearDown(Vec<StopHook>);

impl TearDown {
    /// Does it in order, within [`TEAR_DOWN_TIMEOUT`] in total; never panics.
    pub(crate) async fn run(self, shard: usize) {
        if self.0.is_empty() {
            return;
        }
        let work = async {
            for begin in self.0 {
                let ended = match caught(begin) {
                    Ok(run) => Next::new(run).await,
                    Err(panic) => Err(panic),
                };
                if let Err(error) = ended {
                    tracing::error!(shard, %error, "tearing down the state of a core failed");
                }
            }
        };
        if within(TEAR_DOWN_TIMEOUT, work).await.is_none() {
            let error = JobError::new("Late", format!("it took longer than {TEAR_DOWN_TIMEOUT:?}"));
            tracing::error!(shard, %error, "tearing down the state of a core failed");
        }
    }
}
