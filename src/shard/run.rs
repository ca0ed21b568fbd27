//! Starting jobs: parse, look up, call, and settle what is ready at once.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::batch::Batch;
use super::settle::Failed;
use super::state::Shard;
use crate::handler::{Call, JobError, JobFuture, JobResult, Started};
use crate::job::failure::CLASS_UNKNOWN_JOB;
use crate::limits::RUN_SLICE;

/// Starts the jobs at hand while there are free slots. Whether any was started.
///
/// Jobs that do not wait run here, one after the other; the executor's other tasks get their turn in between.
pub(super) async fn run_ready(shard: &Rc<Shard>) -> bool {
    let mut before = Instant::now();
    let mut slice_began = before;
    let mut started = 0_usize;
    while shard.free_slots() > 0 {
        let Some((batch, at)) = next_job(shard) else { break };
        shard.unstarted.set(shard.unstarted.get() - 1);
        run_one(shard, &batch, at, before);
        // The end of one job is the start of the next: one clock read a job.
        let now = Instant::now();
        shard.pace.borrow_mut().observe_run(now - before);
        before = now;
        started += 1;
        if now - slice_began >= RUN_SLICE {
            // A timer, not a yield: a task that is ready again at once comes back before the ring is looked at.
            Timer::new(Duration::ZERO).await;
            before = Instant::now();
            slice_began = before;
        }
    }
    if started > 0 {
        shard.publish();
    }
    started > 0
}

fn next_job(shard: &Shard) -> Option<(Rc<Batch>, usize)> {
    let mut ready = shard.ready.borrow_mut();
    loop {
        let batch = ready.front()?;
        if let Some(at) = batch.start_next() {
            let batch = Rc::clone(batch);
            if batch.unstarted() == 0 {
                ready.pop_front();
            }
            return Some((batch, at));
        }
        ready.pop_front();
    }
}

fn run_one(shard: &Rc<Shard>, batch: &Rc<Batch>, at: usize, now: Instant) {
    let payload = batch.payload(at);
    // The parser's buffers are this job's until its first poll is over; that poll cannot reach back here, for jobs start
    // nowhere else.
    let mut parser = shard.parser.borrow_mut();
    let parsed = match parser.parse(payload) {
        Ok(parsed) => parsed,
        Err(reason) => return shard.settle_bad(batch, at, &reason),
    };
    let history = parsed.history;
    let Some(entry) = shard.handlers.find(parsed.name) else {
        let error =
            JobError::new(CLASS_UNKNOWN_JOB, format!("no handler is registered for job {}", parsed.name));
        let failed = Failed { history, entry: None, name: parsed.name, jid: parsed.jid.unwrap_or_default() };
        return shard.settle_failure(batch, at, &failed, &error);
    };
    let (name, jid) = (parsed.name, parsed.jid.unwrap_or_default());
    let queue = &shard.queue(batch.queue).name;
    let call = Call { name, jid, queue, attempt: history.attempt, args: parsed.args };
    match entry.start(call) {
        Started::Done(Ok(())) => shard.settle_success(batch, at),
        Started::Done(Err(error)) => {
            let failed = Failed { history, entry: Some(entry), name, jid };
            shard.settle_failure(batch, at, &failed, &error);
        }
        Started::Waiting(future) => spawn(shard, batch, at, future, now),
    }
}

/// Gives a job that waits a task of its own, and so a slot.
fn spawn(shard: &Rc<Shard>, batch: &Rc<Batch>, at: usize, future: JobFuture, started_at: Instant) {
    let id = shard.fresh_id();
    let task = {
        let (shard, batch) = (Rc::clone(shard), Rc::clone(batch));
        glommio::spawn_local(async move {
            let result = future.await;
            shard.pace.borrow_mut().observe_waiting(started_at.elapsed(), shard.options.slots);
            if let Some(task) = shard.tasks.borrow_mut().remove(&id) {
                // Dropping one's own task would cancel it.
                task.detach();
            }
            finish(&shard, &batch, at, result);
            shard.publish();
            shard.work.raise();
        })
    };
    shard.tasks.borrow_mut().insert(id, task);
}

/// Settles a job that had waited.
fn finish(shard: &Shard, batch: &Batch, at: usize, result: JobResult) {
    let Err(error) = result else { return shard.settle_success(batch, at) };
    let mut parser = shard.parser.borrow_mut();
    match parser.parse(batch.payload(at)) {
        Ok(parsed) => {
            let entry = shard.handlers.find(parsed.name);
            let jid = parsed.jid.unwrap_or_default();
            let failed = Failed { history: parsed.history, entry, name: parsed.name, jid };
            shard.settle_failure(batch, at, &failed, &error);
        }
        // It parsed when it started, so this is not reached; if it were, the payload would still be kept.
        Err(reason) => shard.settle_bad(batch, at, &reason),
    }
}

/// Cancels every job that waits: its future is dropped at its await point. The jobs stay unsettled.
pub(super) async fn cancel_all(shard: &Shard) -> usize {
    let tasks: Vec<_> = shard.tasks.borrow_mut().drain().map(|(_, task)| task).collect();
    let count = tasks.len();
    for task in tasks {
        // `None`: it was still running.
        let _ended_meanwhile = task.cancel().await;
    }
    shard.publish();
    count
}
