//! The findings of a survey that has come to its end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Counts, Process};
use crate::wire::paused::Paused;

/// The state at one moment, or nearly so: it is read in several round trips, and jobs move meanwhile.
#[derive(Debug, Default)]
pub struct Summary {
    /// When it was finished, Unix time by the clock of Redis; of several nodes that of the first.
    pub at: f64,
    /// Sizes of the sets, and the counters.
    pub counts: Counts,
    /// What is paused; in a cluster it is read apart.
    pub paused: Paused,
    /// Waiting jobs by queue name, written as [`ListName::exact`](crate::wire::ListName::exact) writes it.
    pub queues: BTreeMap<String, u64>,
    /// Processes that have a heartbeat, by its whole key.
    pub processes: BTreeMap<String, Process>,
    /// Keys that look like heartbeats but are not: an operator will want to find who wrote them.
    pub unreadable_keys: BTreeSet<String>,
    /// Queues of a cluster that have sets or counters, with jobs or without.
    pub realms: BTreeSet<String>,
    /// Queues of a cluster that have periodic jobs.
    pub periodic: BTreeSet<String>,
}

impl Summary {
    /// Adds the findings of another node.
    pub fn add(&mut self, other: Self) {
        if self.at == 0.0 {
            self.at = other.at;
        }
        self.counts = self.counts.and(other.counts);
        self.queues.extend(other.queues);
        self.processes.extend(other.processes);
        self.unreadable_keys.extend(other.unreadable_keys);
        self.realms.extend(other.realms);
        self.periodic.extend(other.periodic);
    }
}
