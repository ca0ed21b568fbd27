//! Jobs that wait at an await point: each becomes a task, and so takes a slot until it ends.

use std::rc::Rc;
use std::time::Instant;

use super::batch::Batch;
use super::ending::finish;
use super::marked::Marked;
use super::slots::RunningJob;
use super::state::Shard;
use crate::stats::Outcome;

/// Gives a waiting job its own task, and so a slot. `None` if it ended at once.
///
/// glommio polls a new task before it returns it: a job that merely yielded has ended by then.
pub(super) fn hold_slot(
    shard: &Rc<Shard>,
    batch: &Rc<Batch>,
    at: usize,
    job: Marked,
    started_at: Instant,
) -> Option<u64> {
    let id = shard.numbers().fresh();
    let mark = job.mark();
    let task = {
        let (shard, batch) = (Rc::clone(shard), Rc::clone(batch));
        glommio::spawn_local(async move {
            // The job's future ends with this statement, whichever way it goes.
            let result = job.await;
            let took = started_at.elapsed();
            shard.appetite().observe_waiting(took, shard.slots().count());
            let row = shard.tally().row(batch.queue, mark.number());
            row.ran(took);
            match result {
                Ok(()) => row.count(Outcome::Done),
                Err(_) => row.failed_after(took),
            }
            shard.slots().end_itself(id);
            finish(&shard, &batch, at, result);
            shard.publish();
            shard.work().raise();
        })
    };
    if shard.slots().ended_at_once(id) {
        task.detach();
        return None;
    }
    shard.slots().hold(id, RunningJob::new(task, (Rc::clone(batch), at), mark, started_at));
    Some(id)
}
