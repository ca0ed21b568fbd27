//! Which jobs run here: what control asks for when it writes the figures of the process.
//!
//! Only jobs that wait at an await point can be named: one that holds the core keeps this from being asked, and control
//! names it by its mark instead. Nothing is kept for the question but the mark and the start of each waiting job.

use std::rc::Rc;
use std::time::Instant;

use super::state::Shard;
use crate::limits::{CLOCK_DRIFT_S, RUNNING_JOBS_SHOWN_MAX};
use crate::time::unix_now;
use crate::wire::figures::RunningJob;

/// The jobs of all lanes that wait, the oldest first, up to the number that is shown.
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
    let tasks = shard.tasks.borrow();
    // Numbers are given out in the order of the starts.
    let mut ids: Vec<u64> = tasks.keys().copied().collect();
    if ids.len() > RUNNING_JOBS_SHOWN_MAX {
        ids.select_nth_unstable(RUNNING_JOBS_SHOWN_MAX);
        ids.truncate(RUNNING_JOBS_SHOWN_MAX);
    }
    ids.sort_unstable();
    let current = &shard.options.stats.current;
    let job = |id: &u64| {
        let running = tasks.get(id)?;
        Some(RunningJob {
            shard: shard.options.shard,
            name: current.name(&running.mark).to_owned(),
            jid: running.mark.jid(),
            since: unix_time(shard, running.started_at),
        })
    };
    ids.iter().filter_map(job).collect()
}

/// The Unix time of a moment, to the millisecond. The same at each question, or the figures of a process whose jobs run on
/// would differ for nothing each time; a clock that was set is followed.
fn unix_time(shard: &Shard, at: Instant) -> f64 {
    let (mut instant, mut unix) = shard.clock.get();
    let now = (Instant::now(), unix_now());
    if (unix + now.0.duration_since(instant).as_secs_f64() - now.1).abs() > CLOCK_DRIFT_S {
        (instant, unix) = now;
        shard.clock.set(now);
    }
    let before = instant.saturating_duration_since(at).as_secs_f64();
    let after = at.saturating_duration_since(instant).as_secs_f64();
    ((unix - before + after) * 1e3).round() / 1e3
}
