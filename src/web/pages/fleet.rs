//! The fleet at one look, as pages need it: cut to bounds, with who serves which queue.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::acts::action::caps_of;
use crate::limits::{FLEET_QUEUES_MAX, PAGE_PROCESSES_MAX};
use crate::store::operate::DeadSetCaps;
use crate::store::survey::{Counts, Survey};
use crate::view::member::Member;
use crate::wire::heartbeat_key::split_queues;
use crate::wire::paused::Paused;

/// See the module.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(super) read_at: Instant,
    /// Unix seconds by the clock of Redis, as all times here.
    pub(super) at: f64,
    pub(super) counts: Counts,
    /// By name: those that hold jobs, the longest [`FLEET_QUEUES_MAX`], and those that are served.
    pub(super) queues: BTreeMap<String, Queue>,
    /// Those that hold jobs.
    pub(super) queues_count: usize,
    pub(super) waiting_jobs: u64,
    /// In the order of their heartbeat keys, at most [`PAGE_PROCESSES_MAX`].
    pub(super) members: Vec<Member>,
    pub(super) members_count: usize,
    /// Jobs processed and failed a second of late; `None` until that is known.
    pub(super) rates: Option<(f64, f64)>,
    /// What operators have paused.
    pub(super) paused: Paused,
    /// What the dead set keeps by the workers; `None`: none of them says.
    pub(super) dead_caps: Option<DeadSetCaps>,
}

/// A queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Queue {
    pub(super) jobs: u64,
    /// Living processes that take jobs from it.
    pub(super) processes: u64,
    /// Their slots, which they share among their queues.
    pub(super) slots: u64,
    /// How many of these run a job.
    pub(super) busy: u64,
    /// By how many jobs a second it has grown of late; `None` until that is known.
    pub(super) growth: Option<f64>,
}

impl Seen {
    pub(super) fn of(survey: &Survey) -> Self {
        let mut lengths: Vec<(String, u64)> = survey.queues().collect();
        let (queues_count, waiting_jobs) = (lengths.len(), lengths.iter().map(|(_, jobs)| jobs).sum());
        lengths.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        lengths.truncate(FLEET_QUEUES_MAX);
        let processes: Vec<_> = survey.processes().collect();
        let members: Vec<Member> =
            processes.iter().take(PAGE_PROCESSES_MAX).map(|(_, process)| Member::of(process)).collect();
        let mut queues: BTreeMap<String, Queue> =
            lengths.into_iter().map(|(name, jobs)| (name, Queue { jobs, ..Queue::default() })).collect();
        // At most as many as may be paused.
        for name in survey.paused().queues.keys() {
            queues.entry(name.clone()).or_default();
        }
        for member in members.iter().filter(|member| takes_jobs(member)) {
            for served in split_queues(&member.queues) {
                // What is served by so many processes is bounded, too.
                if queues.len() >= 2 * FLEET_QUEUES_MAX && !queues.contains_key(served.name) {
                    continue;
                }
                let queue = queues.entry(served.name.to_owned()).or_default();
                queue.processes += 1;
                queue.slots += member.concurrency;
                queue.busy += member.busy;
            }
        }
        Self {
            read_at: Instant::now(),
            at: survey.now(),
            counts: survey.counts(),
            queues,
            queues_count,
            waiting_jobs,
            members_count: processes.len(),
            members,
            rates: None,
            paused: survey.paused().clone(),
            dead_caps: caps_of(processes.iter().map(|(_, process)| *process)),
        }
    }

    /// Processes that live and take jobs.
    pub(super) fn working(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| takes_jobs(member))
    }

    /// The longest queues, the longest first.
    pub(super) fn longest(&self, most: usize) -> impl Iterator<Item = (&String, &Queue)> {
        let mut longest: Vec<_> = self.queues.iter().collect();
        longest.sort_by(|one, other| other.1.jobs.cmp(&one.1.jobs).then_with(|| one.0.cmp(other.0)));
        longest.into_iter().take(most)
    }

    /// Jobs that run, as far as processes tell.
    pub(super) fn running_jobs(&self) -> u64 {
        self.members.iter().map(|member| member.busy).sum()
    }
}

fn takes_jobs(member: &Member) -> bool {
    member.died_at.is_none() && member.phase == "running"
}

#[cfg(test)]
impl Seen {
    /// A look at this time that has found so many jobs in a queue, and so many that have run.
    pub(super) fn sample(at: f64, jobs: u64, processed: u64) -> Self {
        let queue = Queue { jobs, ..Queue::default() };
        Self {
            read_at: Instant::now(),
            at,
            counts: Counts { processed, ..Counts::default() },
            queues: [("mail".to_owned(), queue)].into(),
            queues_count: 1,
            waiting_jobs: jobs,
            members: Vec::new(),
            members_count: 0,
            rates: None,
            paused: Paused::default(),
            dead_caps: None,
        }
    }
}
