//! The batches of a bulk that are on their way: one is written while Redis works on those before it.
//!
//! Client and Redis so work at the same time and not in turn, which a batch a round trip would make them do. Batches are
//! sent and answered in their order. After the first failure no more are sent; those on their way are heard to their end, so
//! that what is said of the bulk is exact.

use std::collections::VecDeque;

use super::When;
use super::link::Link;
use super::tally::Tally;
use super::waiting::Waiting;
use crate::limits::BULK_BATCHES_IN_FLIGHT_MAX;
use crate::resp::Requests;

/// One bulk over one connection, whose owner fills batches and sends them.
pub(crate) struct Flight<'l> {
    link: &'l mut Link,
    requests: &'l mut Requests,
    when: When,
    /// Oldest first.
    /// Invariant: at most [`BULK_BATCHES_IN_FLIGHT_MAX`].
    sent: VecDeque<Waiting>,
    /// Batches whose memory can be used again.
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

    /// Sends a batch, once there is room on the way. `false`: this one or one before it failed, and no more are to be sent.
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
        batch.write(self.when, self.link.url().is_cluster(), self.requests);
        // Only while nothing is owed: a connection that is replaced takes what is owed with it.
        let opened = if self.sent.is_empty() { self.link.open() } else { Ok(()) };
        match opened.and_then(|()| self.link.send(self.requests)) {
            Ok(()) => self.sent.push_back(batch),
            Err(error) => {
                // In their order: what is on its way came before.
                self.hear_all();
                batch.fail(error, &mut self.tally);
            }
        }
        !self.tally.has_failed()
    }

    /// Notes that the bulk ends here, though not for want of jobs.
    pub(super) fn stop(&mut self, cause: super::Error) {
        self.hear_all();
        self.tally.stopped(cause);
    }

    /// Hears what Redis says to all that is on its way. `false`: something failed, and no more are to be sent.
    pub(crate) fn settle(&mut self) -> bool {
        self.hear_all();
        !self.tally.has_failed()
    }

    /// Jobs that Redis has said to have.
    pub(crate) fn enqueued(&self) -> u64 {
        self.tally.enqueued()
    }

    /// Hears what Redis says to all that is on its way, and says how the bulk went.
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
