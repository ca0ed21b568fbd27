//! How jobs that waited end: by themselves, by a timeout or a cancellation, or because the shard drops them.

use super::batch::Batch;
use super::failures::Failed;
use super::settle;
use super::state::Shard;
use crate::handler::{JobError, JobRef, JobResult};

/// Settles a job that had waited.
pub(super) fn finish(shard: &Shard, batch: &Batch, at: usize, result: JobResult) {
    let Err(error) = result else { return settle::success(shard, batch, at) };
    let mut parser = shard.parser().borrow_mut();
    match parser.parse(batch.payload(at)) {
        Ok(parsed) => {
            let (name, history) = (parsed.name, parsed.history);
            let (queue, attempt) = (&*shard.queue(batch.queue).name, history.attempt);
            let job = JobRef { name, jid: parsed.jid.unwrap_or_default(), queue, attempt };
            let failed = Failed { job, history, entry: shard.handlers().find(name) };
            settle::failure(shard, batch, at, &failed, &error);
        }
        // It parsed when it started, so this is not reached; if it were, the payload would still be kept.
        Err(reason) => settle::bad(shard, batch, at, &reason),
    }
}

/// Ends a waiting job from outside: it is dropped at its await point and fails with this error.
pub(super) fn end_running(shard: &Shard, id: u64, error: JobError) {
    let Some(job) = shard.slots().take(id) else { return };
    let (mark, started_at) = job.mark();
    let (task, batch, at) = job.into_parts();
    // The task is never polled again, so the job is over now, though its future is dropped a moment later.
    drop(task);
    let (row, took) = (shard.tally().row(batch.queue, mark.number()), started_at.elapsed());
    row.ran(took);
    row.failed_after(took);
    finish(shard, &batch, at, Err(error));
    shard.publish();
    shard.work().raise();
}

/// Cancels every waiting job: its future is dropped at its await point. The jobs stay unsettled. Returns how many.
pub(super) async fn cancel_all(shard: &Shard) -> usize {
    let tasks = shard.slots().take_all();
    let count = tasks.len();
    let services = shard.handlers().services();
    services.handing_back(true);
    for task in tasks {
        // `None`: it was still running.
        let _ended_meanwhile = task.cancel().await;
    }
    services.handing_back(false);
    shard.publish();
    count
}
