//! The one place that turns a job's end into what Redis is told: ack, retry set, dead set.

use std::rc::Rc;
use std::time::Instant;

use super::batch::{Batch, JobState};
use super::state::Shard;
use crate::handler::JobError;
use crate::job::{BadPayload, ErrorInfo, FailureTimes, History, RetryPolicy, Verdict, bury_unparsable, decide};
use crate::limits::STRAGGLER_DELAY;
use crate::store::turn::{BatchName, Destination, Move};
use crate::time::unix_now;

/// What settling a failure needs to know of its job.
pub(super) struct Failed<'a> {
    pub(super) history: History,
    /// The queue its handler names for retries.
    pub(super) retry_queue: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) jid: &'a str,
}

impl Shard {
    /// The job ran to its end.
    pub(super) fn settle_success(&self, batch: &Batch, at: usize) {
        self.settlement.borrow_mut().processed += 1;
        self.options.stats.processed.add(1);
        batch.settle(at, JobState::Owed);
        self.after_settling(batch);
    }

    /// The job failed: to the retry set or the dead set, as the gem writes it.
    pub(super) fn settle_failure(&self, batch: &Batch, at: usize, failed: &Failed<'_>, error: &JobError) {
        let queue = &*self.queue(batch.queue).name;
        let raw = batch.payload(at);
        let info = ErrorInfo::new(error.class(), error.message());
        let policy = RetryPolicy::gem(failed.retry_queue.unwrap_or(queue));
        let verdict = decide(raw, failed.history, &policy, &info, FailureTimes::at(unix_now()));
        let (to, score, payload) = match verdict {
            Ok(Verdict::Retry { at, payload }) => (Destination::Retries, at, payload),
            Ok(Verdict::Dead { at, payload }) => (Destination::Dead, at, payload),
            // The payload was parsed, so it can be amended; if it could not, its bytes would still be kept.
            Err(reason) => {
                let reason = BadPayload::NotJson { detail: reason.to_string() };
                return self.settle_bad(batch, at, &reason);
            }
        };
        tracing::debug!(
            queue, name = failed.name, jid = failed.jid, attempt = failed.history.attempt,
            retried = to == Destination::Retries, error = %error, "job failed"
        );
        self.settlement.borrow_mut().processed += 1;
        self.options.stats.processed.add(1);
        self.move_to(batch, at, Move {
            from: (batch.queue, batch.name),
            raw: raw.clone(),
            to,
            score,
            payload,
        });
    }

    /// The payload is no job: to the dead set with the reason and its bytes.
    pub(super) fn settle_bad(&self, batch: &Batch, at: usize, reason: &BadPayload) {
        let queue = &*self.queue(batch.queue).name;
        let raw = batch.payload(at);
        let now = unix_now();
        tracing::warn!(queue, bytes = raw.len(), %reason, "a payload is no job and goes to the dead set");
        let payload = bury_unparsable(raw, reason, queue, now);
        self.move_to(batch, at, Move {
            from: (batch.queue, batch.name),
            raw: raw.clone(),
            to: Destination::Dead,
            score: now,
            payload,
        });
    }

    fn move_to(&self, batch: &Batch, at: usize, job: Move) {
        let mut settlement = self.settlement.borrow_mut();
        settlement.failed += 1;
        settlement.moves.push(job);
        drop(settlement);
        self.options.stats.failed.add(1);
        batch.settle(at, JobState::Moving);
        self.after_settling(batch);
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
