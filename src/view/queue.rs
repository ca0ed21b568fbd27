//! The queues, how many jobs wait in each, how many processes serve it, and what is paused.
//!
//! A queue with jobs that nobody serves is what an operator looks for, so queues that are served but empty are named too.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    store::survey::{Process, Summary},
    wire::{heartbeat_key, paused::Pause},
};

/// A queue.
#[derive(Debug, Default, Serialize, PartialEq)]
pub(crate) struct Queue<'s> {
    pub(crate) name: &'s str,
    /// Waiting ones.
    pub(crate) jobs: u64,
    /// Living processes that serve it.
    pub(crate) processes: u64,
    /// Slots that processes give it, if any gives slots to queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<u64>,
    /// How it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<&'s Pause>,
}

/// All that is paused. As JSON it is what `pause --list --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Pauses<'s> {
    pub(crate) queues: &'s BTreeMap<String, Pause>,
    pub(crate) classes: &'s BTreeMap<String, Pause>,
}

/// All queues, by name. As JSON it is what `queues --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Queues<'s> {
    pub(crate) queues: Vec<Queue<'s>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) paused_classes: &'s BTreeMap<String, Pause>,
}

impl<'s> Queues<'s> {
    pub(crate) fn of(summary: &'s Summary) -> Self {
        let mut queues: BTreeMap<&str, Queue<'_>> = BTreeMap::new();
        for (name, jobs) in &summary.queues {
            queues.entry(name).or_default().jobs = *jobs;
        }
        for process in alive(summary) {
            for served in heartbeat_key::split_queues(&process.queues) {
                queues.entry(served.name).or_default().processes += 1;
            }
            for given in process.figures.iter().flat_map(|figures| &figures.balance) {
                *queues.entry(&given.queue).or_default().slots.get_or_insert(0) += given.slots;
            }
        }
        for (name, pause) in &summary.paused.queues {
            queues.entry(name).or_default().paused = Some(pause);
        }
        let queues = queues.into_iter().map(|(name, queue)| Queue { name, ..queue }).collect();
        Self { queues, paused_classes: &summary.paused.classes }
    }
}

/// Whether a living process serves the queue of this name.
pub(crate) fn is_served(summary: &Summary, name: &str) -> bool {
    let serves = |process: &Process| {
        heartbeat_key::split_queues(&process.queues).iter().any(|served| served.name == name)
    };
    alive(summary).any(serves)
}

fn alive(summary: &Summary) -> impl Iterator<Item = &Process> {
    summary.processes.values().filter(|process| process.died_at.is_none())
}
