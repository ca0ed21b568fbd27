//! Which periodic jobs a worker declares: those of its code and those of its configuration file, without those that it would
//! be given itself and cannot run.
//!
//! Whether another program of the fleet knows a name depends on what runs at this moment, so it is not asked: in a queue
//! that this worker serves, a name is known if a handler or a runner here takes it. What other programs run is declared by
//! them, in a queue of theirs, or added by command.

use std::collections::BTreeSet;

use super::build::Unbuilt;
use crate::config::{Config, PeriodicItem};
use crate::cron::CronEntry;
use crate::foreign::Foreign;
use crate::handler::Handlers;

/// What the configuration says of periodic jobs.
#[derive(Debug)]
pub(super) struct Declared {
    /// Those of the file that can be read.
    of_file: Vec<PeriodicItem>,
    /// The queues that are served here.
    served: BTreeSet<String>,
    /// Whether what cannot be run is left out, and does not keep the worker from starting.
    leaves_out: bool,
}

impl Declared {
    /// That of a configuration. What it refuses is logged, or it would not have been read.
    pub(super) fn of(config: &Config) -> Self {
        for item in &config.periodic {
            if let Err(reason) = &item.entry {
                say_left_out(&item.place, reason);
            }
        }
        let served = config.queues.as_slice().iter().map(|queue| queue.name.as_str().to_owned()).collect();
        let of_file = config.periodic.iter().filter(|item| item.entry.is_ok()).cloned().collect();
        Self { of_file, served, leaves_out: config.ignore_bad_cron }
    }

    /// All that a core declares.
    ///
    /// # Errors
    /// One is declared twice; or, unless told to leave them out, some cannot be run.
    pub(super) fn all(&self, handlers: &Handlers, core: usize) -> Result<Vec<CronEntry>, Unbuilt> {
        let mut all = Vec::with_capacity(handlers.periodic().len() + self.of_file.len());
        let mut reasons = Vec::new();
        let of_code = handlers.periodic().iter().map(|entry| (in_code(entry), entry));
        let of_file =
            self.of_file.iter().filter_map(|item| Some((item.place.clone(), item.entry.as_ref().ok()?)));
        for (place, entry) in of_code.chain(of_file) {
            if all.iter().any(|other: &CronEntry| other.name() == entry.name()) {
                let message =
                    format!("periodic job {} is declared in code, too; give one another name", entry.name());
                return Err(Unbuilt::Mistake { core, message, place });
            }
            let (job, queue) = (entry.job().name(), entry.job().queue().as_str());
            let is_known = handlers.find(job).is_some();
            if !is_known && self.served.contains(queue) {
                let (job, queue) = (Foreign::cell(job), Foreign::cell(queue));
                let reason =
                    format!("no handler here is registered for {job}, and its queue {queue} is served here");
                if self.leaves_out && core == 0 {
                    say_left_out(&place, &reason);
                }
                reasons.push(format!("{place}: {reason}"));
                continue;
            }
            if !is_known && core == 0 {
                let entry = entry.name();
                tracing::warn!(
                    entry,
                    job,
                    queue,
                    place,
                    "a periodic job is declared that others have to run"
                );
            }
            all.push(entry.clone());
        }
        if reasons.is_empty() || self.leaves_out {
            return Ok(all);
        }
        Err(Unbuilt::Unrunnable { reasons: reasons.join("; ") })
    }
}

fn in_code(entry: &CronEntry) -> String {
    format!("code, periodic job `{}`", Foreign::text(entry.name()))
}

fn say_left_out(place: &str, reason: &str) {
    tracing::error!(place, reason, "a periodic job is refused, and left out");
}
