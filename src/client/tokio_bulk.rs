//! Bulks of a [`TokioClient`](super::TokioClient): a batch is prepared while Redis works on those before it.
//!
//! The driver takes all waiting batches and sends them at once; the bulk gets their results in order. After the first
//! failure it submits no more, and those not yet sent are withdrawn.

use std::borrow::{Borrow, Cow};
use std::collections::VecDeque;

use super::tally::Tally;
use super::tokio_client::{Receipt, TokioClient};
use super::waiting::Waiting;
use super::{Error, NewJob, When};
use crate::limits::BULK_BATCHES_IN_FLIGHT_MAX;
use crate::resp::Requests;

/// Pushes many jobs, now or for one time.
pub(super) async fn bulk<J: Borrow<NewJob>>(
    client: &TokioClient,
    when: When,
    jobs: impl IntoIterator<Item = J>,
) -> Result<u64, Error> {
    let mut flight =
        Flight { client, when, sent: VecDeque::new(), spare: Vec::new(), tally: Tally::default() };
    let mut jobs = jobs.into_iter();
    loop {
        let mut batch = flight.spare.pop().unwrap_or_default();
        // Jobs accepted before a bad one are still pushed: the count says where it ended.
        let filled = fill(client, when, &mut jobs, &mut batch);
        let ended = batch.is_empty();
        if !ended {
            flight.send(batch).await;
        }
        if ended || filled.is_err() || flight.tally.has_failed() {
            return flight.end(filled.err()).await;
        }
    }
}

/// Takes as many jobs as one batch carries.
fn fill<J: Borrow<NewJob>>(
    client: &TokioClient,
    when: When,
    jobs: &mut impl Iterator<Item = J>,
    batch: &mut Waiting,
) -> Result<(), Error> {
    let schema = client.spelling().schema;
    while !batch.is_full() {
        let Some(job) = jobs.next() else { break };
        let job = client.hooks().apply(Cow::Borrowed(job.borrow()))?;
        batch.add(job.queue(), |payload| job.write_one(schema, when, payload))?;
    }
    Ok(())
}

/// The batches in flight.
struct Flight<'c> {
    client: &'c TokioClient,
    when: When,
    /// Oldest first.
    /// Invariant: at most [`BULK_BATCHES_IN_FLIGHT_MAX`].
    sent: VecDeque<(Waiting, Receipt)>,
    /// Batches whose memory can be reused.
    spare: Vec<Waiting>,
    tally: Tally,
}

impl Flight<'_> {
    /// Submits a batch, once there is room in flight and unless an earlier one failed.
    async fn send(&mut self, mut batch: Waiting) {
        if self.sent.len() >= BULK_BATCHES_IN_FLIGHT_MAX {
            self.hear_one().await;
        }
        if self.tally.has_failed() {
            return;
        }
        let mut requests = Requests::new();
        batch.write(self.when, self.client.spelling().keys, &mut requests);
        match self.client.submit_pushes(requests, batch.queues().cloned().collect()).await {
            Ok(receipt) => self.sent.push_back((batch, receipt)),
            Err(error) => {
                // In order: what is in flight came before.
                self.hear_all().await;
                batch.fail(error, &mut self.tally);
            }
        }
    }

    async fn end(mut self, stopped: Option<Error>) -> Result<u64, Error> {
        self.hear_all().await;
        if let Some(cause) = stopped {
            self.tally.stopped(cause);
        }
        self.tally.end()
    }

    async fn hear_all(&mut self) {
        while !self.sent.is_empty() {
            self.hear_one().await;
        }
    }

    async fn hear_one(&mut self) {
        let Some((mut batch, receipt)) = self.sent.pop_front() else { return };
        if self.tally.has_failed() && receipt.withdraw() {
            batch.fail(self.client.not_sent(), &mut self.tally);
            return;
        }
        match receipt.replies().await {
            Ok(replies) => batch.settle(self.when, &replies, &mut self.tally),
            Err(error) => batch.fail(error, &mut self.tally),
        }
        self.spare.push(batch);
    }
}
