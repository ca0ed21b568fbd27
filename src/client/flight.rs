//! The batches of a bulk in flight: one is written while Redis works on those before it.
//!
//! This lets client and Redis work at the same time; with one round trip per batch they would take turns. Batches are
//! sent and answered in order. After the first failure no more are sent, but the answers to those in flight are still
//! read, so that the result of the bulk is exact.

use std::collections::VecDeque;

use super::When;
use super::link::Link;
use super::tally::Tally;
use super::waiting::Waiting;
use crate::limits::BULK_BATCHES_IN_FLIGHT_MAX;
use crate::resp::Requests;

/// One bulk over one connection; its owner fills and sends the batches.
pub(crate) struct Flight<'l> {
    link: &'l mut Link,
    requests: &'l mut Requests,
    when: When,
    /// Oldest first.
    /// Invariant: at most [`BULK_BATCHES_IN_FLIGHT_MAX`].
    sent: VecDeque<Waiting>,
    /// Batches whose memory can be reused.
    spare: Vec<Waiting>,
    tally: Tally,
}

impl<'l> Flight<'l> {
    pub(super) fn new(link: &'l mut Link, requests: &'l mut Requests, when: When) -> Self {
        Self { link, requests, when, sent: VecDeque::new(), spare: Vec::new(), tally: Tally::default() }
    }

    /// An empty batch.
    pub(crate) fn batch(&mut self) -> Waiting {
        self.spare.pop().unwrap_or_default()
    }

    /// Sends a batch once there is room in flight. `false` if it or an earlier one failed and no more may be sent.
    pub(crate) fn send(&mut self, mut batch: Waiting) -> bool {
        if batch.is_empty() {
            self.spare.push(batch);
            return !self.tally.has_failed();
        }
        if self.sent.len() >= BULK_BATCHES_IN_FLIGHT_MAX {
            self.hear_one();
        }
        if self.tally.has_failed() {
            return false;
        }
        self.requests.clear();
        batch.write(self.when, self.link.keys(), self.requests);
        let named = batch.queues().map(|queue| self.link.name(queue, self.requests)).sum();
        batch.note_more(named);
        // Only while no replies are owed: replacing the connection would lose them.
        let opened = if self.sent.is_empty() { self.link.open() } else { Ok(()) };
        match opened.and_then(|()| self.link.send(self.requests)) {
            Ok(()) => self.sent.push_back(batch),
            Err(error) => {
                // In order: what is in flight came before.
                self.hear_all();
                batch.fail(error, &mut self.tally);
            }
        }
        !self.tally.has_failed()
    }

    /// Records that the bulk ends here, and not for lack of jobs.
    pub(super) fn stop(&mut self, cause: super::Error) {
        self.hear_all();
        self.tally.stopped(cause);
    }

    /// Reads Redis's answers to everything in flight. `false` if something failed and no more may be sent.
    pub(crate) fn settle(&mut self) -> bool {
        self.hear_all();
        !self.tally.has_failed()
    }

    /// Jobs that Redis has confirmed.
    pub(crate) fn enqueued(&self) -> u64 {
        self.tally.enqueued()
    }

    /// Reads Redis's answers to everything in flight, and returns the result of the bulk.
    pub(crate) fn end(mut self) -> Result<u64, super::Error> {
        self.hear_all();
        self.tally.end()
    }

    fn hear_all(&mut self) {
        while !self.sent.is_empty() {
            self.hear_one();
        }
    }

    fn hear_one(&mut self) {
        let Some(mut batch) = self.sent.pop_front() else { return };
        match self.link.receive(batch.len_commands()) {
            Ok(replies) => batch.settle(self.when, &replies, &mut self.tally),
            Err(error) => batch.fail(super::Error::of_sent(error), &mut self.tally),
        }
        self.spare.push(batch);
    }
}
