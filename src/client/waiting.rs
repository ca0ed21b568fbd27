//! Jobs of a bulk that wait to be sent, and what Redis says to them.

use std::collections::BTreeMap;

use super::{Error, When};
use crate::limits::{PUSH_BYTES_MAX, PUSH_JOBS_MAX};
use crate::resp::{self, Reply, Requests};
use crate::store::enqueue::{self, Batch};
use crate::wire::{QueueName, Realm};

/// Jobs of a bulk that wait to be sent, by queue. The bounds of one [`Batch`] hold for all of them together.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    batches: BTreeMap<QueueName, Batch>,
    jobs: usize,
    payload_bytes: usize,
}

impl Waiting {
    pub(super) fn add(&mut self, queue: &QueueName, payload: &[u8]) {
        match self.batches.get_mut(queue) {
            Some(batch) => batch.add(payload),
            None => self.batches.entry(queue.clone()).or_default().add(payload),
        }
        self.jobs += 1;
        self.payload_bytes += payload.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.jobs >= PUSH_JOBS_MAX || self.payload_bytes >= PUSH_BYTES_MAX
    }

    /// Keeps the memory of the queues' batches, unless there are so many queues that most were used once.
    pub(super) fn clear(&mut self) {
        if self.batches.len() > PUSH_JOBS_MAX {
            self.batches.clear();
        }
        self.batches.values_mut().for_each(Batch::clear);
        self.jobs = 0;
        self.payload_bytes = 0;
    }

    /// Appends one command for each queue.
    pub(super) fn write(&self, when: When, is_cluster: bool, requests: &mut Requests) {
        for (queue, batch) in &self.batches {
            match when {
                When::Now => batch.push(requests, queue),
                When::At(due_at) => {
                    let realm = Realm::of(queue.as_str(), is_cluster);
                    batch.schedule_in(&realm, requests, due_at);
                }
            }
        }
    }

    /// Reads the replies to what [`Self::write`] wrote, counts the jobs that were pushed and forgets all.
    pub(super) fn settle(&mut self, when: When, replies: &[Reply], enqueued: &mut u64) -> Result<(), Error> {
        let mut failure = None;
        for (batch, reply) in self.batches.values().filter(|batch| !batch.is_empty()).zip(replies) {
            let result = match when {
                When::Now => enqueue::pushed(reply),
                When::At(_) => enqueue::scheduled(reply),
            };
            match result {
                Ok(_) => *enqueued += batch.len() as u64,
                // The other queues' jobs count, since they were pushed.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        self.clear();
        failure.map_or(Ok(()), |error: resp::Error| Err(Error::of_call(error)))
    }
}
