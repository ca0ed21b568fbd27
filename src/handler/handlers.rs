//! The handlers of one core, found by name, as its shard uses them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::entry::Entry;
use super::pool::caught;
use super::services::Services;
use super::{JobError, JobResult, Next, RetryPolicy};
use crate::job::DeadJob;
use crate::limits::TEAR_DOWN_TIMEOUT;
use crate::timeout::within;

/// The handlers of one core, the type of their state forgotten.
pub(crate) struct Handlers {
    pub(super) by_name: HashMap<Box<str>, Entry, RandomState>,
    pub(super) on_death: Vec<Box<DeathHook>>,
    pub(super) on_stop: Vec<StopHook>,
    pub(super) default_timeout: Option<Duration>,
    services: Rc<Services>,
    /// That of jobs no handler is registered for.
    unknown: RetryPolicy,
}

type DeathHook = dyn Fn(&DeadJob);

/// Begins the tear-down of the state.
pub(super) type StopHook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = JobResult>>>>;

impl Handlers {
    pub(super) fn new(services: Rc<Services>) -> Self {
        Self {
            by_name: HashMap::default(),
            on_death: Vec::new(),
            on_stop: Vec::new(),
            default_timeout: None,
            services,
            unknown: RetryPolicy::gem(),
        }
    }

    /// Nothing more will be registered.
    pub(super) fn complete(mut self) -> Self {
        let mut entries: Vec<_> = self.by_name.iter_mut().collect();
        entries.sort_unstable_by_key(|(name, _)| &***name);
        for (number, (_, entry)) in (0..).zip(entries) {
            entry.number = number;
            entry.timeout = entry.timeout.or(self.default_timeout);
        }
        self
    }

    /// The names in alphabetical order: that of the entries' numbers.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.by_name.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    /// What the handlers share besides their state.
    pub(crate) fn services(&self) -> &Rc<Services> {
        &self.services
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

    /// Takes what is to be done when the last job of this core has run.
    pub(crate) fn take_tear_down(&mut self) -> TearDown {
        TearDown(std::mem::take(&mut self.on_stop))
    }
}

/// What is to be done on a core after its last job.
#[derive(Default)]
pub(crate) struct TearDown(Vec<StopHook>);

impl TearDown {
    /// Does it, one after the other, within [`TEAR_DOWN_TIMEOUT`] altogether; nothing of it panics.
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
                    tracing::error!(shard, %error, "the state of a core was not torn down as it should");
                }
            }
        };
        if within(TEAR_DOWN_TIMEOUT, work).await.is_none() {
            let error = JobError::new("Late", format!("it took longer than {TEAR_DOWN_TIMEOUT:?}"));
            tracing::error!(shard, %error, "the state of a core was not torn down as it should");
        }
    }
}
