//! Jobs on their way to Redis in one round trip, one command for each target.

use std::collections::HashMap;

use super::super::Error;
use super::record::Job;
use crate::resp::{Reply, Requests};
use crate::store::enqueue::{Push, Target};
use crate::store::outbox::{self, Numbered};
use crate::wire::{Keyspace, QueueName};

/// Which jobs each command carries.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Positions in the list of jobs, for each command.
    groups: Vec<Vec<usize>>,
    jobs: usize,
}

impl Parcel {
    /// Writes the commands for jobs, each with the opening that numbered it and its number. Within one target and
    /// opening they keep their order; a target's openings stay in the order they came.
    pub(super) fn write<'j>(
        keys: Keyspace,
        jobs: impl IntoIterator<Item = (&'j str, u64, &'j Job)>,
        requests: &mut Requests,
    ) -> Self {
        // A scheduled set that all queues share is the same whatever the queue.
        let usual = QueueName::default();
        let mut places: HashMap<(Target<'_>, &str), usize> = HashMap::new();
        let mut shares: Vec<(Push<'_>, &str, Vec<Numbered<'_>>)> = Vec::new();
        let mut parcel = Self { groups: Vec::new(), jobs: 0 };
        for (opening, number, job) in jobs {
            let push = job.push(keys, &usual);
            let at = *places.entry((push.target(), opening)).or_insert_with(|| {
                shares.push((push, opening, Vec::new()));
                parcel.groups.push(Vec::new());
                shares.len() - 1
            });
            shares[at].2.push(Numbered { number, due_at: job.due_at, payload: &job.payload });
            parcel.groups[at].push(parcel.jobs);
            parcel.jobs += 1;
        }
        for (push, opening, share) in &shares {
            push.guarded_by(opening).write(share, requests);
        }
        parcel
    }

    /// How many jobs it carries.
    pub(super) const fn len(&self) -> usize {
        self.jobs
    }

    /// For each job, which of the errors affected it; `None` if Redis has it.
    pub(super) fn read(&self, replies: &[Reply]) -> (Vec<Option<usize>>, Vec<Error>) {
        let mut fates = vec![None; self.jobs];
        let mut errors = Vec::new();
        for (group, reply) in self.groups.iter().zip(replies) {
            if let Err(error) = outbox::pushed(reply) {
                group.iter().for_each(|at| fates[*at] = Some(errors.len()));
                errors.push(Error::of_call(error));
            }
        }
        (fates, errors)
    }
}
