//! Deleting whole queues, sets, counters and process data, as the gem's cleaner does.
//!
//! Unlike the gem's cleaner it leaves alone whatever runs or lives:
//! - jobs in flight. Those that a living process runs are not its to delete (`cancel` ends one), those of a dead one are
//!   put back into their queue by a reaper, including the Ruby servers' lists; then they can be pruned. The gem's
//!   `prune_all_queues` deletes the lists of its own servers from under the jobs that run.
//! - the heartbeats of living processes. Without one a Ruby requeuer takes the jobs that run there for lost. A process
//!   counts as living until its heartbeat is half a minute late, by Redis's own clock.
//!
//! In a cluster it goes from one queue's realm to the next, and each heartbeat is on some node. What was found in one
//! realm is added to what was found in the others. It may be interrupted in between, and is safe to run again.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{ActProgress, Error, Steps, To};
use crate::{
    foreign::Foreign,
    resp::{Reply, Requests},
    store::{
        entries::{Place, Set},
        operate::{self, Pruned},
        scripts::Scripts,
        survey::Summary,
    },
    wire::{Keyspace, ListName, QueueName, Realm},
};

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The waiting jobs of one queue, which a worker may be given or not.
    Queue(ListName),
    /// The waiting jobs of all queues.
    Queues,
    /// All jobs of a set.
    Set(Set),
    /// The counter of failed jobs.
    Failures,
    /// The counter of jobs that ran.
    Processed,
    /// Heartbeats of processes that are gone.
    Processes,
    /// All of the above.
    All,
}

/// What was found that can be deleted.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// With the number of jobs there, or the value of the counter.
    pub(crate) keys: Vec<(Pruned, u64)>,
    pub(crate) heartbeats: Vec<String>,
    /// Queues that no worker may be given.
    pub(crate) foreign: Vec<String>,
    /// The queues of a cluster that have sets or counters.
    realms: BTreeSet<String>,
}

impl Found {
    /// For a place that has this many jobs.
    pub(crate) fn in_place(place: Place, jobs: u64) -> Self {
        let keys = if jobs > 0 { vec![(Pruned::Jobs(place), jobs)] } else { Vec::new() };
        Self { keys, ..Self::default() }
    }

    pub(crate) fn of(summary: &Summary, what: &What) -> Self {
        let all = *what == What::All;
        let counts = summary.counts;
        let mut found = Self { realms: summary.realms.clone(), ..Self::default() };
        if all || *what == What::Queues {
            for (name, jobs) in &summary.queues {
                match QueueName::new(name) {
                    Ok(queue) => found.keys.push((Pruned::Jobs(Place::Queue(queue.into())), *jobs)),
                    Err(_) => found.foreign.push(name.clone()),
                }
            }
        }
        let sizes = [counts.retry_jobs, counts.scheduled_jobs, counts.dead_jobs];
        let sets = Set::ALL.into_iter().zip(sizes).filter(|(set, _)| all || *what == What::Set(*set));
        found.keys.extend(sets.map(|(set, jobs)| (Pruned::Jobs(Place::Set(set)), jobs)));
        if all || *what == What::Failures {
            found.keys.push((Pruned::Failures, counts.failures));
        }
        if all || *what == What::Processed {
            found.keys.push((Pruned::Processed, counts.processed));
        }
        found.keys.retain(|(_, count)| *count > 0);
        if all || *what == What::Processes {
            found.heartbeats = summary.processes.keys().chain(&summary.unreadable_keys).cloned().collect();
        }
        found
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.heartbeats.is_empty()
    }
}

/// Where a call goes: a session with these scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Site {
    /// The server that has the keys of a realm.
    Realm(Realm),
    /// In a cluster: the node that has this key, which is of no realm.
    Key(Vec<u8>),
}

impl Site {
    /// Where a list is.
    pub(crate) fn of_list(list: &ListName, keys: Keyspace) -> Self {
        match list.servable() {
            Some(queue) => Self::Realm(keys.realm(queue.as_str())),
            None if keys.is_cluster() => Self::Key(keys.list(list)),
            None => Self::Realm(keys.shared_realm()),
        }
    }
}

/// One call.
#[derive(Debug)]
struct Task {
    site: Site,
    deed: Deed,
}

#[derive(Debug)]
enum Deed {
    /// Deletes the key with this number.
    Delete(usize),
    /// Deletes the heartbeat with this number, unless its process lives.
    Forget(usize),
}

/// The act under way. One round trip for each key of each realm, and one for each heartbeat.
#[derive(Debug)]
pub(crate) struct Prune<'f> {
    found: &'f Found,
    tasks: Vec<Task>,
    /// The number of the next one.
    next: usize,
    /// For each key that was found: how much was deleted, once any of its kind is gone.
    counts: Vec<Option<u64>>,
    forgotten: u64,
}

impl<'f> Prune<'f> {
    /// Deletes what was found, on servers with these keys.
    pub(crate) fn new(found: &'f Found, keys: Keyspace) -> Self {
        let mut tasks =
            if keys.is_cluster() { found.tasks_of_cluster(keys) } else { found.tasks_of_one_server(keys) };
        for (number, key) in found.heartbeats.iter().enumerate() {
            let site = if keys.is_cluster() {
                Site::Key(key.clone().into_bytes())
            } else {
                Site::Realm(keys.shared_realm())
            };
            tasks.push(Task { site, deed: Deed::Forget(number) });
        }
        Self { found, tasks, next: 0, counts: vec![None; found.keys.len()], forgotten: 0 }
    }

    /// Where the next call goes; `None`: it is finished.
    pub(crate) fn site(&self) -> Option<&Site> {
        self.tasks.get(self.next).map(|task| &task.site)
    }

    /// What was deleted so far, with the number of jobs there were, or the value of the counter.
    pub(crate) fn deleted(&self) -> impl Iterator<Item = (&'f Pruned, u64)> {
        let keys = self.found.keys.iter().zip(&self.counts);
        keys.filter_map(|((pruned, _), count)| Some((pruned, (*count)?)))
    }

    /// Heartbeats deleted so far.
    pub(crate) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(crate) const fn progress(&self) -> ActProgress {
        let (next, of) = (self.next as u64, self.tasks.len() as u64);
        ActProgress { done: next, seen: next, of }
    }
}

impl Found {
    fn tasks_of_one_server(&self, keys: Keyspace) -> Vec<Task> {
        let task = |number| Task { site: Site::Realm(keys.shared_realm()), deed: Deed::Delete(number) };
        (0..self.keys.len()).map(task).collect()
    }

    /// In each realm that has any of it. What belongs to no single queue is in all of them.
    fn tasks_of_cluster(&self, keys: Keyspace) -> Vec<Task> {
        let mut of_queue: BTreeMap<String, usize> = BTreeMap::new();
        let (mut of_all, mut tasks) = (Vec::new(), Vec::new());
        for (number, (pruned, _)) in self.keys.iter().enumerate() {
            match pruned {
                Pruned::Jobs(Place::Queue(list)) => match list.servable() {
                    Some(queue) => _ = of_queue.insert(queue.as_str().to_owned(), number),
                    None => {
                        tasks.push(Task { site: Site::of_list(list, keys), deed: Deed::Delete(number) });
                    }
                },
                Pruned::Jobs(Place::Set(_)) | Pruned::Failures | Pruned::Processed => of_all.push(number),
            }
        }
        let mut names: BTreeSet<&str> = of_queue.keys().map(String::as_str).collect();
        if !of_all.is_empty() {
            names.extend(self.realms.iter().map(String::as_str));
        }
        let of_realm = |name: &&str| {
            let site = Site::Realm(keys.queue_realm(name));
            let numbers: Vec<usize> = of_queue.get(*name).into_iter().chain(&of_all).copied().collect();
            numbers.into_iter().map(move |number| Task { site: site.clone(), deed: Deed::Delete(number) })
        };
        tasks.extend(names.iter().flat_map(of_realm));
        tasks
    }
}

impl Steps for Prune<'_> {
    fn next(&self, scripts: &Scripts, requests: &mut Requests) -> Option<To> {
        match self.tasks.get(self.next)?.deed {
            Deed::Delete(number) => operate::prune(scripts, &self.found.keys[number].0, requests),
            Deed::Forget(number) => {
                operate::forget_process(scripts, &self.found.heartbeats[number], requests);
            }
        }
        Some(To::Here)
    }

    fn read(&mut self, reply: &Reply) -> Result<(), Error> {
        let Some(task) = self.tasks.get(self.next) else { return Ok(()) };
        let count = operate::read_pruned(reply)?;
        match task.deed {
            Deed::Delete(number) => *self.counts[number].get_or_insert(0) += count,
            Deed::Forget(_) => self.forgotten += count,
        }
        self.next += 1;
        Ok(())
    }

    fn what(&self) -> String {
        match self.tasks.get(self.next).map(|task| &task.deed) {
            None => "prune".to_owned(),
            Some(Deed::Delete(number)) => format!("prune {}", named(&self.found.keys[*number].0)),
            Some(Deed::Forget(number)) => {
                format!("prune process {}", Foreign::cell(&self.found.heartbeats[*number]))
            }
        }
    }
}

/// What a key is called.
pub(crate) fn named(pruned: &Pruned) -> String {
    match pruned {
        Pruned::Jobs(place) => place.to_string(),
        Pruned::Failures => "the counter of failures".to_owned(),
        Pruned::Processed => "the counter of processed jobs".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Dialect;

    #[test]
    fn in_a_cluster_each_realm_is_pruned_of_what_it_may_have() {
        let summary = Summary {
            queues: [("a".to_owned(), 2)].into(),
            realms: ["b".to_owned()].into(),
            counts: crate::store::survey::Counts { dead_jobs: 1, ..Default::default() },
            ..Summary::default()
        };
        let found = Found::of(&summary, &What::All);
        let sites = |is_cluster| -> Vec<(Option<String>, String)> {
            let mut prune = Prune::new(&found, Dialect::Jiggler.keys(is_cluster));
            let mut sites = Vec::new();
            while let Some(Site::Realm(realm)) = prune.site() {
                sites.push((realm.queue().map(str::to_owned), prune.what()));
                prune.next += 1;
            }
            sites
        };
        let at = |realm: Option<&str>, what: &str| (realm.map(str::to_owned), what.to_owned());
        assert_eq!(sites(false), [at(None, "prune queue a"), at(None, "prune the dead set")]);
        assert_eq!(
            sites(true),
            [
                at(Some("a"), "prune queue a"),
                at(Some("a"), "prune the dead set"),
                at(Some("b"), "prune the dead set"),
            ]
        );
        assert!(Found::of(&Summary::default(), &What::All).is_empty());
    }
}
