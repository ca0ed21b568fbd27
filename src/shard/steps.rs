//! The life of a job in its shard, as a list of steps: take, admit, start, settle, report.
//!
//! ```text
//! accept_batch    take: what a fetch brought is at hand
//! run_next        admit the job that is next, start it, and settle it if it does not wait
//!   └ hold_slot   one that waits holds a slot until its own end, or one from outside: `ending` settles it
//! report          what is settled leaves with the next turn
//! ```

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use super::admission::admit;
use super::batch::Batch;
use super::failures::Failed;
use super::ledger::Report;
use super::marked::{Marked, open_span};
use super::running::hold_slot;
use super::settle;
use super::state::Shard;
use super::timeouts::end_after;
use crate::handler::{Call, JobRef, Started, give_way};
use crate::job::parse::Parsed;
use crate::limits::RUN_SLICE;
use crate::stats::{JobMark, LiveRow, Outcome};
use crate::store::turn::BatchName;

/// Takes a batch: from now on its jobs wait to be admitted.
pub(super) fn accept_batch(shard: &Shard, queue: usize, name: BatchName, payloads: Vec<Bytes>) {
    let count = payloads.len();
    if count == 0 {
        return;
    }
    let bytes: usize = payloads.iter().map(Bytes::len).sum();
    shard.appetite().observe_batch(count, bytes);
    shard.options().stats.fetched.add(count as u64);
    shard.options().stats.fetched_bytes.add(bytes as u64);
    let batch = Batch::new(shard.numbers().fresh(), queue, name, payloads, Instant::now());
    shard.hand().take(batch, count);
}

/// Starts the jobs at hand while they are admitted. Returns whether any was started.
///
/// Jobs that do not wait run here, one after the other; the executor's other tasks get their turn in between.
pub(super) async fn run_ready(shard: &Rc<Shard>) -> bool {
    let mut before = Instant::now();
    let mut slice_began = before;
    let mut started = 0_usize;
    while let Some(now) = run_next(shard, before) {
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
        shard.slots().wake_starved_lanes();
    }
    started > 0
}

/// Starts the next job if it is admitted: the moment when it had ended, or begun to wait. `None` if none was admitted.
pub(super) fn run_next(shard: &Rc<Shard>, began: Instant) -> Option<Instant> {
    let (batch, at) = shard.hand().next_job(|batch| {
        let caps = shard.slots().caps();
        admit(shard.free_slots(), || caps.are_set() && caps.is_full(batch.queue))
    })?;
    let ended = start(shard, &batch, at, began);
    // The end of one job is the start of the next: one clock read a job.
    let now = Instant::now();
    if let Some((row, end)) = ended {
        let took = now - began;
        shard.appetite().observe_run(took);
        row.ran(took);
        if end == End::Failed {
            row.failed_after(took);
        }
    }
    Some(now)
}

/// How a job ended at its first poll.
#[derive(PartialEq, Eq)]
enum End {
    Well,
    Failed,
}

/// Polls a job for the first time. Returns where it is counted if that ended it, in which case it is settled: how long a
/// waiting job takes is known when it ends, and its first poll says nothing about when its slot will be free.
fn start<'s>(shard: &'s Rc<Shard>, batch: &Rc<Batch>, at: usize, now: Instant) -> Option<(&'s LiveRow, End)> {
    let payload = batch.payload(at);
    // The parser's buffers belong to this job until its first poll is over; that poll cannot reach back here, because
    // jobs start nowhere else.
    let mut parser = shard.parser().borrow_mut();
    let Parsed { name, jid, history, is_for_ruby, args, .. } = match parser.parse(payload) {
        Ok(parsed) => parsed,
        Err(reason) => {
            settle::bad(shard, batch, at, &reason);
            return Some((shard.tally().other(batch.queue), End::Well));
        }
    };
    let (options, queue, attempt) = (shard.options(), &*shard.queue(batch.queue).name, history.attempt);
    let job = JobRef { name, jid: jid.unwrap_or_default(), queue, attempt };
    if is_for_ruby {
        settle::for_ruby(shard, batch, at, &Failed { job, history, entry: None });
        return Some((shard.tally().other(batch.queue), End::Well));
    }
    if shard.paused().stops(name) {
        settle::paused(shard, batch, at, job);
        return Some((shard.tally().other(batch.queue), End::Well));
    }
    let Some(entry) = shard.handlers().find(name) else {
        settle::unknown(shard, batch, at, &Failed { job, history, entry: None });
        return Some((shard.tally().other(batch.queue), End::Well));
    };
    let row = shard.tally().row(batch.queue, entry.number as usize);
    // Once a batch: for each job it would cost as much as everything else that is counted.
    if batch.unstarted() == 0 {
        row.waited(now.saturating_duration_since(batch.came_at));
    }
    let span = open_span(job, options.shard);
    let mark = JobMark::new(entry.number, shard.queue_number(batch.queue), job.jid);
    let retries = history.retries;
    let default_retries = shard.handlers().retries(Some(entry));
    let call = Call { job, retries, default_retries, payload, now, args };
    options.stats.current.begin(&mark, now);
    let started = span.in_scope(|| entry.start(call));
    options.stats.current.end();
    let end = match started {
        Started::Done(Ok(())) => {
            row.count(Outcome::Done);
            settle::success(shard, batch, at);
            End::Well
        }
        Started::Done(Err(error)) => {
            settle::failure(shard, batch, at, &Failed { job, history, entry: Some(entry) }, &error);
            End::Failed
        }
        Started::Waiting(future) => {
            // Its next poll is part of the spawn, and may end it, which needs the parser.
            drop(parser);
            let id = hold_slot(shard, batch, at, Marked::new(future, mark, span, shard), now);
            if let (Some(id), Some(timeout)) = (id, entry.timeout) {
                end_after(shard, id, now, timeout);
            }
            return None;
        }
    };
    Some((row, end))
}

/// Takes what is settled, for a turn to report.
pub(super) fn report(shard: &Shard) -> Report {
    shard.ledger().take()
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

    /// However quick its first poll was, its slot comes free only when it ends, and nobody knows when.
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

    /// glommio polls a spawned task at once, when the shard has not yet noted that the job waits.
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

    /// The third job stays at hand: the slots refuse it for now.
    #[test]
    fn a_job_that_is_not_admitted_keeps_its_place_until_a_slot_is_free() {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make().unwrap();
        executor.run(async {
            let dispatch = Dispatch::new(Registry::new(()).job("Waits", waits), 1).unwrap();
            let job = |name| Bytes::from(format!(r#"{{"name":"{name}","args":[]}}"#));
            assert_eq!(dispatch.run(vec![job("Waits"), job("Unknown"), job("Unknown")]).await, (0, 0));
            assert_eq!(dispatch.unstarted(), 2);
            dispatch.cancel_all().await;
            assert_eq!(dispatch.run(Vec::new()).await, (2, 2));
            assert_eq!(dispatch.unstarted(), 0);
        });
    }
}
