//! Which jobs run here: control asks for them when it writes the figures of the process.
//!
//! Only jobs that wait at an await point can be named: one that holds the core prevents the question from being answered,
//! and control names it by its mark instead. Nothing is kept for this except the mark and the start of each waiting job.

use std::rc::Rc;
use std::time::Instant;

use super::batch::Batch;
use super::state::Shard;
use crate::limits::{RUNNING_JOBS_SHOWN_MAX, WORK_PAYLOAD_BYTES_MAX};
use crate::stats::JobMark;
use crate::wire::figures::RunningJob;

/// The waiting jobs of all lanes, oldest first, up to the number that is shown.
pub(super) fn name_jobs(lanes: &[Rc<Shard>]) -> Vec<RunningJob> {
    if let [shard] = lanes {
        return name_jobs_of(shard);
    }
    let mut jobs: Vec<RunningJob> = lanes.iter().flat_map(|lane| name_jobs_of(lane)).collect();
    jobs.sort_by(|one, other| one.since.total_cmp(&other.since));
    jobs.truncate(RUNNING_JOBS_SHOWN_MAX);
    jobs
}

fn name_jobs_of(shard: &Shard) -> Vec<RunningJob> {
    let options = shard.options();
    let shows_payloads = options.schema.shows_payloads();
    let name = |(mark, started_at, batch, at): (JobMark, Instant, Rc<Batch>, usize)| {
        let (mut queue, mut payload) = (String::new(), String::new());
        if shows_payloads {
            queue = shard.queue(batch.queue).name.as_ref().to_owned();
            let text = batch.payload(at);
            if text.len() <= WORK_PAYLOAD_BYTES_MAX {
                payload = String::from_utf8_lossy(text).into_owned();
            }
        }
        RunningJob {
            shard: options.shard,
            name: options.stats.current.name(&mark).to_owned(),
            jid: mark.jid(),
            since: shard.clock().unix_time(started_at),
            queue,
            payload,
        }
    };
    shard.slots().oldest(RUNNING_JOBS_SHOWN_MAX).into_iter().map(name).collect()
}
