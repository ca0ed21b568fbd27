//! The one place that turns a job's end into what is reported to Redis: ack, retry set, dead set.

use std::time::{Duration, Instant};

use super::abroad::Retry;
use super::batch::{Batch, JobState};
use super::failures::{self, Failed, Sequel};
use super::ledger::Report;
use super::state::Shard;
use crate::handler::{JobError, JobRef, Outside, Unrun, course};
use crate::job::failure::{CLASS_CANCELLED, CLASS_CHILD_DIED, CLASS_POISON};
use crate::job::history::FailedRun;
use crate::job::left::left_since;
use crate::job::lost::{after_death, child_deaths};
use crate::job::retry::with_default_retries;
use crate::job::{
    self, BadPayload, DeadJob, ErrorInfo, FailureTimes, Fate, Plan, Schema, bury_unparsable, decide, member,
};
use crate::limits::{LEFT_PAUSE_PART, PAUSED_CLASS_PAUSE, RECOVERIES_MAX};
use crate::stats::{LiveRow, Outcome};
use crate::store::turn::{BatchName, Destination, Move};

/// The job ran to its end.
pub(super) fn success(shard: &Shard, batch: &Batch, at: usize) {
    count_processed(shard);
    batch.settle(at, JobState::Owed);
    after_settling(shard, batch);
}

/// The job did not succeed: what its handler asked for, or else its policy, decides where it goes. A job that a runner gives
/// back has not failed.
pub(super) fn failure(shard: &Shard, batch: &Batch, at: usize, failed: &Failed<'_>, error: &JobError) {
    match error.outside() {
        Some(Outside { unrun: Some(why), .. }) => unrun(shard, batch, at, failed, (*why, error)),
        _ => fail(shard, batch, at, failed, error),
    }
}

fn fail(shard: &Shard, batch: &Batch, at: usize, failed: &Failed<'_>, error: &JobError) {
    let (raw, schema) = (batch.payload(at), shard.options().schema);
    let Failed { job, entry, .. } = *failed;
    let JobRef { name, jid, queue, attempt } = job;
    let history = with_default_retries(schema, raw, failed.history, shard.handlers().retries(entry));
    let info = ErrorInfo::new(error.class(), error.message());
    let own_retry_queue = retry_queue(schema, raw);
    let retry_queue = own_retry_queue.as_deref();
    let plan = Plan {
        schema,
        queue,
        retry_queue: retry_queue
            .or(error.outside().and_then(|outside| outside.retry_queue.as_deref()))
            .or(entry.and_then(|entry| entry.retry_queue.as_deref()))
            .unwrap_or(queue),
        course: course(schema, shard.handlers().policy(entry), error, history, fastrand::f64()),
        backtrace: error.backtrace(),
    };
    let row = row(shard, batch, failed);
    let now = shard.ledger().stamp(shard.clock().now());
    let kept = FailedRun { at: now, attempt, error: &info, backtrace: error.backtrace() };
    let fate = decide(raw, history, &plan, &info, FailureTimes::at(now));
    match fate.map(|fate| fate.keeping(shard.handlers().keep(entry), &kept)) {
        Ok(Fate::Retry { at: score, payload }) => {
            failures::tell(shard, raw, job, error, Sequel::Retry);
            row.count(Outcome::Retried);
            if leaves_realm(shard, plan.retry_queue) {
                let retry = Retry { queue: plan.retry_queue.to_owned(), score, payload, counts: true };
                return send_abroad(shard, batch, at, retry);
            }
            count_processed(shard);
            count_failed(shard);
            move_to(shard, batch, at, Destination::Retries, score, payload);
        }
        Ok(Fate::Dead { at: score, payload }) => {
            failures::tell(shard, raw, job, error, Sequel::Death);
            row.count(if error.class() == CLASS_CANCELLED { Outcome::Cancelled } else { Outcome::Dead });
            count_processed(shard);
            count_failed(shard);
            note_death(shard, job, &info);
            move_to(shard, batch, at, Destination::Dead, score, payload);
        }
        Ok(Fate::Snooze { at: score, payload }) => {
            tracing::debug!(queue, name, jid, attempt, until = score, "job snoozed");
            row.count(Outcome::Snoozed);
            if leaves_realm(shard, plan.retry_queue) {
                let retry = Retry { queue: plan.retry_queue.to_owned(), score, payload, counts: false };
                return send_abroad(shard, batch, at, retry);
            }
            shard.ledger().count_no_run();
            move_to(shard, batch, at, Destination::Later, score, payload);
        }
        Ok(Fate::Forgotten) => {
            failures::tell(shard, raw, job, error, Sequel::End);
            row.count(Outcome::Discarded);
            row.forget();
            count_failed(shard);
            success(shard, batch, at);
        }
        Ok(Fate::Discard) => {
            tracing::debug!(queue, name, jid, attempt, %error, "job discarded");
            row.count(Outcome::Discarded);
            success(shard, batch, at);
        }
        // The payload was parsed, so it can be amended; if it could not, its bytes would still be kept.
        Err(reason) => {
            bad(shard, batch, at, &BadPayload::NotJson { detail: reason.to_string() });
        }
    }
}

/// A runner could not run the job, or not to its end. It goes back as if it had not run, and is next in its queue a moment
/// later; unless child after child died with it, or it has started and may not start twice.
fn unrun(shard: &Shard, batch: &Batch, at: usize, failed: &Failed<'_>, (why, error): (Unrun, &JobError)) {
    let JobRef { name, jid, queue, .. } = failed.job;
    let (raw, schema) = (batch.payload(at), shard.options().schema);
    let dead = |class: &'static str, message: String| {
        fail(shard, batch, at, failed, &JobError::dead(JobError::new(class, message)));
    };
    if why != Unrun::Left && !shard.options().at_least_once {
        return dead(CLASS_CHILD_DIED, format!("{}; at most once it does not start again", error.message()));
    }
    if why == Unrun::Lost && child_deaths(raw) >= RECOVERIES_MAX {
        let times = RECOVERIES_MAX + 1;
        let message = format!("{}; child after child died with it, {times} times", error.message());
        return dead(CLASS_POISON, message);
    }
    // A new stamp for each, so jobs of equal bytes stay apart.
    let now = shard.ledger().stamp(shard.clock().now());
    let until = shard.left().until(now, now, fastrand::f64());
    let payload = match why {
        Unrun::Lost => after_death(schema, raw, now, until, queue),
        Unrun::Left | Unrun::Interrupted => job::left::leave(schema, raw, now, until, queue),
    };
    match payload {
        Ok(payload) => {
            tracing::debug!(
                queue,
                name,
                jid,
                until,
                reason = error.message(),
                "a job goes back to its queue"
            );
            row(shard, batch, failed).count(Outcome::Left);
            shard.ledger().count_no_run();
            move_to(shard, batch, at, Destination::Later, until, payload);
        }
        // The payload was parsed, so it can be amended; if it could not, its bytes would still be kept.
        Err(reason) => bad(shard, batch, at, &BadPayload::NotJson { detail: reason.to_string() }),
    }
}

/// No handler has the job's name. It is left to workers that know it for a while: it waits in the retry set, then it is
/// next in its queue. After that it has failed.
pub(super) fn unknown(shard: &Shard, batch: &Batch, at: usize, failed: &Failed<'_>) {
    // Bytes that were buried are nobody's job, under whatever name.
    if let Some(within) = shard.options().leave_unknown
        && failed.job.name != job::bad::NAME
        && leave(shard, batch, at, within, failed)
    {
        return;
    }
    let class = shard.options().schema.unknown_class();
    let error = JobError::new(class, format!("no handler is registered for job {}", failed.job.name));
    failure(shard, batch, at, failed, &error);
}

/// The job has state that only Ruby code can act on, such as the batch it is part of: it is left to that, however long.
pub(super) fn for_ruby(shard: &Shard, batch: &Batch, at: usize, failed: &Failed<'_>) {
    let within = shard.options().schema.leave_for(Duration::MAX);
    if !leave(shard, batch, at, within, failed) {
        unknown(shard, batch, at, failed);
    }
}

/// Leaves a job to other workers. Returns whether it still may be.
fn leave(shard: &Shard, batch: &Batch, at: usize, within: Duration, failed: &Failed<'_>) -> bool {
    let JobRef { name, jid, queue, .. } = failed.job;
    let (raw, schema) = (batch.payload(at), shard.options().schema);
    // A new stamp for each, so jobs of equal bytes stay apart.
    let now = shard.ledger().stamp(shard.clock().now());
    let since = left_since(schema, raw, now, within).unwrap_or(now);
    if now - since >= within.as_secs_f64() {
        return false;
    }
    let until = shard.left().until(now, since, fastrand::f64());
    let Ok(payload) = job::left::leave(schema, raw, since, until, queue) else { return false };
    tracing::debug!(queue, name, jid, until, "the job is left to other workers");
    shard.options().stats.left.add(name, queue);
    shard.tally().other(batch.queue).count(Outcome::Left);
    shard.ledger().count_no_run();
    move_to(shard, batch, at, Destination::Later, until, payload);
    true
}

/// Its class is paused: it waits in the retry set as a job of an unknown name does, and is then next in its queue. That
/// time does not count as time for which it was left to others, and no attempt is used.
pub(super) fn paused(shard: &Shard, batch: &Batch, at: usize, job: JobRef<'_>) {
    let JobRef { name, jid, queue, .. } = job;
    let now = shard.ledger().stamp(shard.clock().now());
    let age = PAUSED_CLASS_PAUSE.as_secs_f64() * LEFT_PAUSE_PART;
    let until = shard.left().until(now, now - age, fastrand::f64());
    let payload = job::left::leave(shard.options().schema, batch.payload(at), now, until, queue);
    // The payload was parsed, so it can be amended; if it could not, its bytes would still be kept.
    let payload = match payload {
        Ok(payload) => payload,
        Err(reason) => return bad(shard, batch, at, &BadPayload::NotJson { detail: reason.to_string() }),
    };
    tracing::debug!(queue, name, jid, until, "jobs of this class are paused");
    shard.tally().other(batch.queue).count(Outcome::Left);
    shard.ledger().count_no_run();
    move_to(shard, batch, at, Destination::Retries, until, payload);
}

/// The payload is not a job: it goes to the dead set with the reason and its bytes.
pub(super) fn bad(shard: &Shard, batch: &Batch, at: usize, reason: &BadPayload) {
    let queue = &*shard.queue(batch.queue).name;
    let raw = batch.payload(at);
    let now = shard.ledger().stamp(shard.clock().now());
    tracing::warn!(queue, bytes = raw.len(), %reason, "a payload is not a job and goes to the dead set");
    let payload = bury_unparsable(shard.options().schema, raw, reason, queue, now);
    count_failed(shard);
    shard.tally().other(batch.queue).count(Outcome::Malformed);
    shard.ledger().count_no_run();
    move_to(shard, batch, at, Destination::Dead, now, payload);
}

/// A job is in the retry set of another realm: it leaves its batch as one that succeeded.
pub(super) fn abroad(shard: &Shard, batch: &Batch, at: usize, counts: bool) {
    if counts {
        count_processed(shard);
        count_failed(shard);
    } else {
        shard.ledger().count_no_run();
    }
    batch.settle(at, JobState::Owed);
    after_settling(shard, batch);
}

/// Every job of the batch is settled: only its ack is left.
pub(super) fn close(shard: &Shard, batch: &Batch) {
    shard.hand().drop_batch(batch);
    if !shard.options().at_least_once {
        return;
    }
    match batch.name {
        // The whole batch list goes, and with it every ack that is owed.
        BatchName::Turn(number) => shard.ledger().add_whole(batch.queue, number),
        // The wait list stays; its jobs are acked one by one.
        BatchName::Wait => ack_singly(shard, batch),
    }
}

/// Moves the acks that waited too long for the rest of their batch into the report.
pub(super) fn stragglers(shard: &Shard, now: Instant) {
    while let Some(batch) = shard.hand().take_straggler(now) {
        if shard.options().at_least_once {
            ack_singly(shard, &batch);
        }
    }
}

/// Redis has this: the death hooks hear of the jobs that it has killed.
pub(super) fn tell_of_deaths(shard: &Shard, report: &Report) {
    for job in report.deaths() {
        shard.handlers().tell_of_death(job);
    }
}

/// Into a set and out of flight, in one step of the next turn.
fn move_to(shard: &Shard, batch: &Batch, at: usize, to: Destination, score: f64, payload: Vec<u8>) {
    let raw = batch.payload(at).clone();
    shard.ledger().add_move(Move { from: (batch.queue, batch.name), raw, to, score, payload });
    batch.settle(at, JobState::Moving);
    after_settling(shard, batch);
}

/// Whether a job that is to be retried in this queue leaves its realm for it.
fn leaves_realm(shard: &Shard, retry_queue: &str) -> bool {
    shard.options().realm.queue().is_some_and(|own| own != retry_queue)
}

/// Ends a running job in the retry set of another realm.
fn send_abroad(shard: &Shard, batch: &Batch, at: usize, retry: Retry) {
    // A batch with a running job is live.
    if let Some(batch) = shard.hand().find(batch) {
        shard.abroad().add(batch, at, retry);
    }
}

/// Where a job that did not succeed is counted.
fn row<'s>(shard: &'s Shard, batch: &Batch, failed: &Failed<'_>) -> &'s LiveRow {
    match failed.entry {
        Some(entry) => shard.tally().row(batch.queue, entry.number as usize),
        None => shard.tally().other(batch.queue),
    }
}

fn count_processed(shard: &Shard) {
    shard.ledger().count_processed();
    shard.options().stats.processed.add(1);
}

fn count_failed(shard: &Shard) {
    shard.ledger().count_failed();
    shard.options().stats.failed.add(1);
}

/// Keeps what the death hooks will receive, until Redis has the job.
fn note_death(shard: &Shard, job: JobRef<'_>, error: &ErrorInfo<'_>) {
    if shard.handlers().hear_of_deaths() {
        shard.ledger().add_death(DeadJob {
            name: job.name.to_owned(),
            jid: job.jid.to_owned(),
            queue: job.queue.to_owned(),
            error_class: error.class.clone().into_owned(),
            error_message: error.stored_message().to_owned(),
        });
    }
}

fn after_settling(shard: &Shard, batch: &Batch) {
    shard.ledger().note_settled();
    if !batch.is_settled() {
        if batch.owed() == 1 {
            shard.hand().owe(batch);
        }
    } else if !batch.is_returning() {
        close(shard, batch);
    }
}

fn ack_singly(shard: &Shard, batch: &Batch) {
    let singles = batch.take_owed().into_iter().map(|payload| (batch.queue, batch.name, payload));
    shard.ledger().add_singles(singles);
}

/// The queue that the producer of this one job named for its retries, if it is a valid one.
fn retry_queue(schema: Schema, raw: &[u8]) -> Option<String> {
    member::<String>(raw, schema.names().retry_queue).filter(|name| schema.may_name_queue(name))
}
