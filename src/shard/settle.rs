//! The one place that turns a job's end into what Redis is told: ack, retry set, dead set.

use std::rc::Rc;
use std::time::Instant;

use super::abroad::Retry;
use super::batch::{Batch, JobState};
use super::state::Shard;
use crate::handler::{Entry, JobError, course};
use crate::job::fields;
use crate::job::retry::with_default_retries;
use crate::job::{
    BadPayload, DeadJob, ErrorInfo, FailureTimes, Fate, History, Plan, bury_unparsable, decide, member,
};
use crate::limits::STRAGGLER_DELAY;
use crate::store::turn::{BatchName, Destination, Move, Settlement};
use crate::wire::QueueName;

/// What settling a job that did not succeed needs to know of it.
pub(super) struct Failed<'a> {
    pub(super) history: History,
    /// How it is registered; `None`: it is not.
    pub(super) entry: Option<&'a Entry>,
    pub(super) name: &'a str,
    pub(super) jid: &'a str,
}

impl Shard {
    /// The job ran to its end.
    pub(super) fn settle_success(&self, batch: &Batch, at: usize) {
        self.count_processed();
        batch.settle(at, JobState::Owed);
        self.after_settling(batch);
    }

    /// The job did not succeed: what its handler asked for, else its policy, decides where it goes.
    pub(super) fn settle_failure(&self, batch: &Batch, at: usize, failed: &Failed<'_>, error: &JobError) {
        let queue = &*self.queue(batch.queue).name;
        let raw = batch.payload(at);
        let Failed { entry, name, jid, .. } = *failed;
        let history = with_default_retries(raw, failed.history, entry.map_or(0, |entry| entry.retries));
        let info = ErrorInfo::new(error.class(), error.message());
        let own_retry_queue = retry_queue(raw);
        let retry_queue = own_retry_queue.as_ref().map(QueueName::as_str);
        let plan = Plan {
            queue,
            retry_queue: retry_queue
                .or(entry.and_then(|entry| entry.retry_queue.as_deref()))
                .unwrap_or(queue),
            course: course(self.handlers.policy(entry), error, history, fastrand::f64()),
        };
        let attempt = history.attempt;
        match decide(raw, history, &plan, &info, FailureTimes::at(self.stamp())) {
            Ok(Fate::Retry { at: score, payload }) => {
                tracing::debug!(queue, name, jid, attempt, retried = true, %error, "job failed");
                if self.leaves_realm(plan.retry_queue) {
                    let retry = Retry { queue: plan.retry_queue.to_owned(), score, payload, counts: true };
                    return self.send_abroad(batch, at, retry);
                }
                self.count_processed();
                self.count_failed();
                self.move_to(batch, at, Destination::Retries, score, payload);
            }
            Ok(Fate::Dead { at: score, payload }) => {
                tracing::debug!(queue, name, jid, attempt, retried = false, %error, "job failed");
                self.count_processed();
                self.count_failed();
                self.note_death(queue, failed, &info);
                self.move_to(batch, at, Destination::Dead, score, payload);
            }
            Ok(Fate::Snooze { at: score, payload }) => {
                tracing::debug!(queue, name, jid, attempt, until = score, "job snoozed");
                if self.leaves_realm(plan.retry_queue) {
                    let retry = Retry { queue: plan.retry_queue.to_owned(), score, payload, counts: false };
                    return self.send_abroad(batch, at, retry);
                }
                self.settlement.borrow_mut().uncounted += 1;
                self.move_to(batch, at, Destination::Retries, score, payload);
            }
            Ok(Fate::Discard) => {
                tracing::debug!(queue, name, jid, attempt, %error, "job discarded");
                self.settle_success(batch, at);
            }
            // The payload was parsed, so it can be amended; if it could not, its bytes would still be kept.
            Err(reason) => {
                self.settle_bad(batch, at, &BadPayload::NotJson { detail: reason.to_string() });
            }
        }
    }

    /// The payload is no job: to the dead set with the reason and its bytes.
    pub(super) fn settle_bad(&self, batch: &Batch, at: usize, reason: &BadPayload) {
        let queue = &*self.queue(batch.queue).name;
        let raw = batch.payload(at);
        let now = self.stamp();
        tracing::warn!(queue, bytes = raw.len(), %reason, "a payload is no job and goes to the dead set");
        let payload = bury_unparsable(raw, reason, queue, now);
        self.count_failed();
        self.settlement.borrow_mut().uncounted += 1;
        self.move_to(batch, at, Destination::Dead, now, payload);
    }

    /// Into a set and out of flight, in one step of the next turn.
    fn move_to(&self, batch: &Batch, at: usize, to: Destination, score: f64, payload: Vec<u8>) {
        let raw = batch.payload(at).clone();
        let job = Move { from: (batch.queue, batch.name), raw, to, score, payload };
        self.settlement.borrow_mut().moves.push(job);
        batch.settle(at, JobState::Moving);
        self.after_settling(batch);
    }

    /// A job is in the retry set of another realm: it leaves its batch as one that succeeded.
    pub(super) fn settle_abroad(&self, batch: &Batch, at: usize, counts: bool) {
        if counts {
            self.count_processed();
            self.count_failed();
        } else {
            self.settlement.borrow_mut().uncounted += 1;
        }
        batch.settle(at, JobState::Owed);
        self.after_settling(batch);
    }

    fn count_processed(&self) {
        self.settlement.borrow_mut().processed += 1;
        self.options.stats.processed.add(1);
    }

    fn count_failed(&self) {
        self.settlement.borrow_mut().failed += 1;
        self.options.stats.failed.add(1);
    }

    /// Keeps what the death hooks will be told, until Redis has the job.
    fn note_death(&self, queue: &str, failed: &Failed<'_>, error: &ErrorInfo<'_>) {
        if self.handlers.hear_of_deaths() {
            self.settlement.borrow_mut().deaths.push(DeadJob {
                name: failed.name.to_owned(),
                jid: failed.jid.to_owned(),
                queue: queue.to_owned(),
                error_class: error.class.clone().into_owned(),
                error_message: error.stored_message().to_owned(),
            });
        }
    }

    /// Redis has these: whoever wants to hear of dead jobs is told.
    pub(super) fn tell_of_deaths(&self, settled: &Settlement) {
        for job in &settled.deaths {
            self.handlers.tell_of_death(job);
        }
    }

    fn after_settling(&self, batch: &Batch) {
        if self.settled_at.get().is_none() {
            self.settled_at.set(Some(Instant::now()));
        }
        if !batch.is_settled() {
            if batch.owed() == 1 {
                let batch = self.live.borrow().get(&batch.id).map(Rc::clone);
                self.owing.borrow_mut().extend(batch.map(|batch| (batch, Instant::now())));
            }
        } else if !batch.is_returning() {
            self.close(batch);
        }
    }

    /// Every job of the batch is settled: what is left is its ack.
    pub(super) fn close(&self, batch: &Batch) {
        self.live.borrow_mut().remove(&batch.id);
        if !self.options.at_least_once {
            return;
        }
        match batch.name {
            // The batch list goes whole, and with it every ack that is owed.
            BatchName::Turn(number) => self.settlement.borrow_mut().wholes.push((batch.queue, number)),
            // The wait list stays; its jobs are acked one by one.
            BatchName::Wait => self.ack_singly(batch),
        }
    }

    fn ack_singly(&self, batch: &Batch) {
        let singles = batch.take_owed().into_iter().map(|payload| (batch.queue, batch.name, payload));
        self.settlement.borrow_mut().singles.extend(singles);
    }

    /// Moves the acks that waited too long for the rest of their batch into the settlement.
    pub(super) fn settle_stragglers(&self, now: Instant) {
        loop {
            let batch = {
                let mut owing = self.owing.borrow_mut();
                let Some((batch, since)) = owing.front() else { return };
                if !batch.is_settled() && now.saturating_duration_since(*since) < STRAGGLER_DELAY {
                    return;
                }
                owing.pop_front()
            };
            if let Some((batch, _)) = batch
                && !batch.is_settled()
                && self.options.at_least_once
            {
                self.ack_singly(&batch);
            }
        }
    }
}

/// The queue that the producer of this one job named for its retries, if it is one.
fn retry_queue(raw: &[u8]) -> Option<QueueName> {
    QueueName::new(&member::<String>(raw, fields::RETRY_QUEUE)?).ok()
}
