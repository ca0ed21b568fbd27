//! What control sends a shard: its phase, that it may be fenced, what died elsewhere, and jobs that are to end.

use std::rc::Rc;

use glommio::channels::shared_channel::ConnectedSender;

use super::ending::end_running;
use super::named::name_jobs;
use super::pausing::{cap, pause};
use super::state::Shard;
use super::tell::counted;
use crate::handler::JobError;
use crate::job::failure::CLASS_CANCELLED;
use crate::mesh::{ToControl, ToShard};

/// Carries out what control orders. A shard is one lane, except in a cluster.
pub(super) fn on_message(lanes: &[Rc<Shard>], message: ToShard, control: &ConnectedSender<ToControl>) {
    let Some(shard) = lanes.first() else { return };
    match message {
        ToShard::Phase(phase) => {
            shard.handlers().services().stopping(phase.ends());
            lanes.iter().for_each(|lane| lane.enter(phase));
        }
        ToShard::LookForFence => {
            for lane in lanes {
                lane.appetite().demand_turn();
                lane.work().raise();
            }
        }
        ToShard::Died(job) => shard.handlers().tell_of_death(&job),
        ToShard::Cancel(jid) => {
            lanes.iter().for_each(|lane| cancel(lane, &jid));
            shard.options().stats.cancels_heard.add(1);
        }
        ToShard::Paused(now) => lanes.iter().for_each(|lane| pause(lane, &now)),
        ToShard::Caps(caps) => lanes.iter().for_each(|lane| cap(lane, &caps)),
        // A shard that is told is one lane.
        ToShard::HaveJobs(queues) => shard.hear_of_jobs(&queues),
        ToShard::NameJobs => {
            let running = ToControl::Running { shard: shard.options().shard, jobs: name_jobs(lanes) };
            // One answer at a time is under way, so there is room; if control is gone nobody asks.
            let _control_is_gone = control.try_send(running);
        }
        ToShard::Count => {
            let counted = ToControl::Counted { shard: shard.options().shard, rows: counted(lanes) };
            // As above.
            let _control_is_gone = control.try_send(counted);
        }
        ToShard::DeadBounds { jobs_max, timeout } => {
            for lane in lanes {
                lane.turn_context().dead_jobs_max.set(jobs_max);
                lane.turn_context().dead_timeout_s.set(timeout.as_secs_f64());
            }
        }
    }
}

/// Ends the jobs with this jid that run here: each is dropped at its await point and goes to the dead set. A job that
/// waits in a queue, or for a slot, is left alone.
fn cancel(shard: &Rc<Shard>, jid: &str) {
    // There is no index of jids for this: it is asked a few times a day, and a parse costs some 200 ns.
    for (id, batch, at) in shard.slots().payloads() {
        let is_it = {
            let mut parser = shard.parser().borrow_mut();
            parser.parse(batch.payload(at)).is_ok_and(|parsed| parsed.jid == Some(jid))
        };
        if !is_it {
            continue;
        }
        tracing::info!(jid, shard = shard.options().shard, "a job is cancelled");
        let error = JobError::dead(JobError::new(CLASS_CANCELLED, "it was cancelled while it ran"));
        end_running(shard, id, error);
    }
}
