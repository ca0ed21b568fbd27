//! Jobs of a bulk that are waiting to be sent, and Redis's replies to them.

use std::collections::BTreeMap;

use super::payload::{Aim, JobText};
use super::tally::Tally;
use super::{Error, InvalidJob, When};
use crate::job::Schema;
use crate::limits::{PUSH_BYTES_MAX, PUSH_JOBS_MAX};
use crate::resp::{Reply, Requests};
use crate::store::enqueue::{Batch, Push};
use crate::wire::{Keyspace, QueueName};

/// Jobs of a bulk waiting to be sent, by queue. The bounds of one [`Batch`] apply to all of them together.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    lots: BTreeMap<QueueName, Lot>,
    jobs: usize,
    payload_bytes: usize,
    /// Commands behind those of the jobs.
    more_commands: usize,
}

/// The jobs for one queue.
#[derive(Debug, Default)]
struct Lot {
    batch: Batch,
    /// The position of the first of them among all that are waiting.
    first: usize,
}

impl Waiting {
    /// Adds a job given as text.
    ///
    /// # Errors
    /// [`InvalidJob`]; nothing is added in that case.
    pub(crate) fn add_text(
        &mut self,
        schema: Schema,
        queue: &QueueName,
        job: &JobText<'_>,
        later: bool,
    ) -> Result<(), InvalidJob> {
        let aim = Aim { queue, is_later: later };
        self.add(queue, |payload| job.write(schema, aim, payload))
    }

    /// How many jobs are waiting.
    pub(crate) fn len(&self) -> usize {
        self.jobs
    }

    /// Adds the job whose payload `write` appends; adds nothing if that fails.
    pub(super) fn add<E>(
        &mut self,
        queue: &QueueName,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Most bulks use one queue, which is then already there: an entry would clone the name each time.
        let lot = match self.lots.get_mut(queue) {
            Some(lot) => lot,
            None => self.lots.entry(queue.clone()).or_default(),
        };
        if lot.batch.is_empty() {
            lot.first = self.jobs;
        }
        self.payload_bytes += lot.batch.add_with(write)?;
        self.jobs += 1;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.jobs >= PUSH_JOBS_MAX || self.payload_bytes >= PUSH_BYTES_MAX
    }

    /// The queues of the jobs.
    pub(super) fn queues(&self) -> impl Iterator<Item = &QueueName> {
        self.lots.iter().filter(|(_, lot)| !lot.batch.is_empty()).map(|(queue, _)| queue)
    }

    /// Notes that so many commands follow those that [`Self::write`] writes, whose replies are of no use here.
    pub(super) const fn note_more(&mut self, commands: usize) {
        self.more_commands += commands;
    }

    /// How many commands belong to it.
    pub(super) fn len_commands(&self) -> usize {
        self.queues().count() + self.more_commands
    }

    /// Keeps the memory of the queues' batches, unless there are so many queues that most were used only once.
    pub(super) fn clear(&mut self) {
        if self.lots.len() > PUSH_JOBS_MAX {
            self.lots.clear();
        }
        self.lots.values_mut().for_each(|lot| lot.batch.clear());
        self.jobs = 0;
        self.payload_bytes = 0;
        self.more_commands = 0;
    }

    /// Appends one command for each queue.
    pub(super) fn write(&self, when: When, keys: Keyspace, requests: &mut Requests) {
        for (queue, lot) in &self.lots {
            Push { keys, queue, when }.all(&lot.batch, requests);
        }
    }

    /// Records Redis's replies to the commands that [`Self::write`] wrote, and forgets the jobs.
    pub(super) fn settle(&mut self, when: When, replies: &[Reply], tally: &mut Tally) {
        let lots = self.lots.values().filter(|lot| !lot.batch.is_empty());
        for (lot, reply) in lots.zip(replies) {
            match when.read(reply) {
                // The other queues' jobs count even if one queue refuses, since they were pushed.
                Ok(_) => tally.pushed(lot.batch.len()),
                Err(error) => tally.missed(lot.first, lot.batch.len(), Error::of_call(error)),
            }
        }
        tally.end_of_batch(self.jobs);
        self.clear();
    }

    /// Records that sending what [`Self::write`] wrote failed or is in doubt, as `error` says, and forgets the jobs.
    pub(super) fn fail(&mut self, error: Error, tally: &mut Tally) {
        tally.missed(0, self.jobs, error);
        tally.end_of_batch(self.jobs);
        self.clear();
    }
}
