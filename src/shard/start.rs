//! Starting jobs: parse, look up, call, and settle what is ready at once.

use std::rc::Rc;
use std::time::Instant;

use glommio::Task;

use super::batch::Batch;
use super::marked::{JobSpan, Marked};
use super::settle::Failed;
use super::state::Shard;
use crate::handler::{Call, JobError, JobResult, Started, give_way};
use crate::job::failure::CLASS_UNKNOWN_JOB;
use crate::job::parse::Parsed;
use crate::limits::RUN_SLICE;
use crate::stats::JobMark;

/// Starts the jobs at hand while there are free slots. Whether any was started.
///
/// Jobs that do not wait run here, one after the other; the executor's other tasks get their turn in between.
pub(super) async fn run_ready(shard: &Rc<Shard>) -> bool {
    let mut before = Instant::now();
    let mut slice_began = before;
    let mut started = 0_usize;
    while let Some(now) = start_next(shard, before) {
        before = now;
        started += 1;
        if now - slice_began >= RUN_SLICE {
            give_way().await;
            before = Instant::now();
            slice_began = before;
        }
    }
    if started > 0 {
        shard.publish();
        shard.wake_starved_lanes();
    }
    started > 0
}

/// Starts one job if there is a slot for it: the moment when it had ended, or begun to wait. `None`: there was none.
pub(super) fn start_next(shard: &Rc<Shard>, began: Instant) -> Option<Instant> {
    if shard.free_slots() == 0 {
        return None;
    }
    let (batch, at) = next_job(shard)?;
    shard.unstarted.set(shard.unstarted.get() - 1);
    let ended = run_one(shard, &batch, at, began);
    // The end of one job is the start of the next: one clock read a job.
    let now = Instant::now();
    if ended {
        shard.pace.borrow_mut().observe_run(now - began);
    }
    Some(now)
}

pub(super) fn next_job(shard: &Shard) -> Option<(Rc<Batch>, usize)> {
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

/// Polls a job for the first time. Whether that ended it: what one that waits takes is known when it ends, and its first
/// poll says nothing of when its slot will be free.
fn run_one(shard: &Rc<Shard>, batch: &Rc<Batch>, at: usize, now: Instant) -> bool {
    let payload = batch.payload(at);
    // The parser's buffers are this job's until its first poll is over; that poll cannot reach back here, for jobs start
    // nowhere else.
    let mut parser = shard.parser.borrow_mut();
    let Parsed { name, jid, history, args, .. } = match parser.parse(payload) {
        Ok(parsed) => parsed,
        Err(reason) => {
            shard.settle_bad(batch, at, &reason);
            return true;
        }
    };
    let jid = jid.unwrap_or_default();
    let Some(entry) = shard.handlers.find(name) else {
        let error = JobError::new(CLASS_UNKNOWN_JOB, format!("no handler is registered for job {name}"));
        let failed = Failed { history, entry: None, name, jid };
        shard.settle_failure(batch, at, &failed, &error);
        return true;
    };
    let queue = &*shard.queue(batch.queue).name;
    let attempt = history.attempt;
    let span = JobSpan { name, jid, queue, attempt, shard: shard.options.shard }.open();
    let mark = JobMark::new(entry.number, jid);
    let call = Call { name, jid, queue, attempt, retries: history.retries, payload, now, args };
    let current = &shard.options.stats.current;
    current.begin(&mark, now);
    let started = span.in_scope(|| entry.start(call));
    current.end();
    match started {
        Started::Done(Ok(())) => {
            shard.settle_success(batch, at);
            true
        }
        Started::Done(Err(error)) => {
            let failed = Failed { history, entry: Some(entry), name, jid };
            shard.settle_failure(batch, at, &failed, &error);
            true
        }
        Started::Waiting(future) => {
            // Its next poll is part of the spawn, and may end it, which takes the parser.
            drop(parser);
            let id = spawn(shard, batch, at, Marked::new(future, mark, span, shard), now);
            if let (Some(id), Some(timeout)) = (id, entry.timeout) {
                shard.end_at(id, now, timeout);
            }
            false
        }
    }
}

/// A job that waits: its task, and where its payload is.
pub(super) struct RunningJob {
    pub(super) task: Task<()>,
    pub(super) batch: Rc<Batch>,
    pub(super) at: usize,
    pub(super) mark: JobMark,
    pub(super) started_at: Instant,
    /// When its time is over.
    pub(super) deadline: Option<Instant>,
}

/// Gives a job that waits a task of its own, and so a slot. `None`: it ended at once.
///
/// glommio polls a new task before it gives it out: a job that merely gave way has ended by then.
fn spawn(shard: &Rc<Shard>, batch: &Rc<Batch>, at: usize, job: Marked, started_at: Instant) -> Option<u64> {
    let id = shard.fresh_id();
    let mark = job.mark();
    let task = {
        let (shard, batch) = (Rc::clone(shard), Rc::clone(batch));
        glommio::spawn_local(async move {
            // The job's future ends with this statement, whichever way it goes.
            let result = job.await;
            shard.pace.borrow_mut().observe_waiting(started_at.elapsed(), shard.options.slots);
            match shard.tasks.borrow_mut().remove(&id) {
                Some(running) => {
                    shard.no_deadline(id, running.deadline);
                    // Dropping one's own task would cancel it.
                    running.task.detach();
                    shard.give_slots_back(1);
                }
                None => shard.ended_at_once.set(id),
            }
            finish(&shard, &batch, at, result);
            shard.publish();
            shard.work.raise();
        })
    };
    if shard.ended_at_once.get() == id {
        task.detach();
        return None;
    }
    let running = RunningJob { task, batch: Rc::clone(batch), at, mark, started_at, deadline: None };
    shard.tasks.borrow_mut().insert(id, running);
    shard.take_slot();
    Some(id)
}

/// Ends a job that waits, from outside: it is dropped at its await point and has failed with this error.
pub(super) fn end_running(shard: &Shard, id: u64, error: JobError) {
    let Some(RunningJob { task, batch, at, deadline, .. }) = shard.tasks.borrow_mut().remove(&id) else {
        return;
    };
    shard.no_deadline(id, deadline);
    shard.give_slots_back(1);
    // The task is never polled again, so the job is over now, though its future is dropped a moment later.
    drop(task);
    finish(shard, &batch, at, Err(error));
    shard.publish();
    shard.work.raise();
}

/// Settles a job that had waited.
pub(super) fn finish(shard: &Shard, batch: &Batch, at: usize, result: JobResult) {
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
    let tasks: Vec<_> = shard.tasks.borrow_mut().drain().map(|(_, running)| running.task).collect();
    let count = tasks.len();
    shard.give_slots_back(count);
    for task in tasks {
        // `None`: it was still running.
        let _ended_meanwhile = task.cancel().await;
    }
    shard.publish();
    count
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_lite::future::yield_now;
    use glommio::{LocalExecutorBuilder, Placement};

    use crate::handler::{JobError, JobResult, Registry};
    use crate::shard::Dispatch;

    async fn gives_way(fails: bool) -> JobResult {
        yield_now().await;
        if fails { Err(JobError::new("Asked", "to fail")) } else { Ok(()) }
    }

    async fn waits() {
        std::future::pending::<()>().await;
    }

    /// However quick its first poll was, its slot comes free when it ends, which nobody knows.
    #[test]
    fn nothing_is_read_ahead_of_jobs_that_wait_in_every_slot() {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make().unwrap();
        executor.run(async {
            let dispatch = Dispatch::new(Registry::new(()).job("Waits", waits), 2).unwrap();
            assert_eq!(dispatch.wanted(), 2);
            let job = || Bytes::from_static(br#"{"name":"Waits","args":[]}"#);
            assert_eq!(dispatch.run(vec![job(), job()]).await, (0, 0));
            assert_eq!(dispatch.wanted(), 0);
        });
    }

    /// glommio polls what is spawned at once, when the shard has not noted yet that the job waits.
    #[test]
    fn a_job_that_ends_at_its_second_poll_gives_its_slot_back() {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make().unwrap();
        executor.run(async {
            let dispatch = Dispatch::new(Registry::new(()).job("GivesWay", gives_way), 2).unwrap();
            let job = |fails| Bytes::from(format!(r#"{{"name":"GivesWay","args":[{fails}]}}"#));
            for _ in 0..3 {
                let settled = dispatch.run(vec![job(true), job(false), job(true)]).await;
                assert_eq!(settled, (3, 2));
            }
        });
    }
}
