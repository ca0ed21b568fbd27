//! The messages between control and the shards: closed sets over bounded channels.
//!
//! Neither side touches the other's state. Counters go another way: see [`crate::stats`]. What a shard has counted by queue
//! and class is in its own memory, and goes over a link of its own ([`counts`]).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use glommio::channels::shared_channel::{
    ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender, new_bounded,
};
use glommio::timer::Timer;

use crate::job::DeadJob;
use crate::limits::{MESH_CONNECT_PAUSE, MESH_MESSAGES_MAX};
use crate::shutdown::Phase;
use crate::stats::ShardRow;
use crate::wire::figures::RunningJob;
use crate::wire::paused::PausedNow;

#[cfg_attr(not(feature = "web"), allow(dead_code, reason = "nobody asks"))]
mod counts;

#[cfg(feature = "web")]
pub(crate) use counts::Asker;
#[cfg(feature = "web")]
pub(crate) use counts::counts_link;
pub(crate) use counts::{CountsEnd, CountsReader};

/// From control to a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToShard {
    /// The phase the process is in now. The first one also means: the heartbeat is published, start.
    Phase(Phase),
    /// This process was taken for dead, or control's connection was lost: a shard that asks Redis finds the fence, or
    /// notices that its own connection is lost too.
    LookForFence,
    /// A job died, but not on a shard: the death hooks are to run for it.
    Died(Box<DeadJob>),
    /// The job with this jid is to end, if it runs here. At most
    /// [`CANCELS_UNHEARD_MAX`](crate::limits::CANCELS_UNHEARD_MAX) of these wait, so that phases always find room.
    Cancel(Arc<str>),
    /// This is paused from now on, and nothing else.
    Paused(Arc<PausedNow>),
    /// From now on each queue of the core has at most this many slots, in their order. At most one a second.
    Caps(Arc<[usize]>),
    /// These queues, by their number, have jobs as far as control knows. At most
    /// [`BELL_UNHEARD_MAX`](crate::limits::BELL_UNHEARD_MAX) of these wait.
    HaveJobs(Arc<[usize]>),
    /// Which jobs run? Answered by [`ToControl::Running`]; one question at a time, so that phases always find room.
    NameJobs,
    /// What has been counted so far? Answered by [`ToControl::Counted`]; one question at a time.
    Count,
    /// From now on the dead set is kept within these bounds.
    DeadBounds {
        /// Entries it keeps.
        jobs_max: u64,
        /// How long an entry stays.
        timeout: Duration,
    },
}

/// From a shard to control.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ToControl {
    /// The shard has ended and no longer holds anything, or has left its jobs to the reaper.
    Ended {
        /// Which one.
        shard: usize,
        /// How.
        how: Ending,
    },
    /// The jobs that wait at an await point, oldest first, at most
    /// [`RUNNING_JOBS_SHOWN_MAX`](crate::limits::RUNNING_JOBS_SHOWN_MAX).
    Running {
        /// Of which shard.
        shard: usize,
        /// The jobs.
        jobs: Vec<RunningJob>,
    },
    /// The shard waits for jobs, which its counters say too: this wakes control.
    Waits,
    /// What a shard has counted since it started: when it is asked, and before it ends.
    Counted {
        /// Which one.
        shard: usize,
        /// By queue and class.
        rows: Vec<ShardRow>,
    },
}

/// How a shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything settled or handed back.
    Clean,
    /// Redis could not be reached before the deadline: this many jobs are left in flight, for a reaper to find.
    LeftBehind {
        /// Unsettled jobs and unsent acks.
        jobs: usize,
    },
    /// Redis could not be reached, and nothing was owed to it. What it may still hold of the shard (an empty index, a job
    /// whose delivery was lost) is for a reaper to find.
    Unheard,
    /// Its in-flight jobs were taken over by another process: it was believed dead.
    Fenced,
    /// The state of its handlers could not be built.
    NoState,
}

/// Control's end of its link to one shard.
pub(crate) struct ControlEnd {
    to_shard: SharedSender<ToShard>,
    from_shard: SharedReceiver<ToControl>,
}

/// A shard's end of its link to control.
pub(crate) struct ShardEnd {
    from_control: SharedReceiver<ToShard>,
    to_control: SharedSender<ToControl>,
    /// Who wants to know what it has counted, if anybody does.
    counts: Option<CountsEnd>,
}

impl ControlEnd {
    /// Binds this end to control's executor, once the shard has bound its own.
    pub(crate) async fn connect(self) -> (ConnectedSender<ToShard>, ConnectedReceiver<ToControl>) {
        let Self { to_shard, from_shard } = self;
        awake(async { (to_shard.connect().await, from_shard.connect().await) }).await
    }
}

impl ShardEnd {
    /// With somebody who wants to know what the shard has counted.
    #[cfg(feature = "web")]
    pub(crate) fn counted_for(mut self, counts: CountsEnd) -> Self {
        self.counts = Some(counts);
        self
    }

    /// Who wants to know what the shard has counted.
    pub(crate) fn take_counts(&mut self) -> Option<CountsEnd> {
        self.counts.take()
    }

    /// Binds this end to the shard's executor, once control has bound its own.
    pub(crate) async fn connect(self) -> (ConnectedReceiver<ToShard>, ConnectedSender<ToControl>) {
        let Self { from_control, to_control, counts: _ } = self;
        // In the order in which control connects, or each would wait for the other's second channel.
        awake(async { (from_control.connect().await, to_control.connect().await) }).await
    }
}

/// Keeps the executor from sleeping while it waits for its peer. Nothing else happens on its ring at that time, and the
/// peer's connecting does not wake it, so both could sleep for ever. Once connected, messages do wake it.
async fn awake<T>(connecting: impl Future<Output = T>) -> T {
    let ticking = glommio::spawn_local(async {
        loop {
            Timer::new(MESH_CONNECT_PAUSE).await;
        }
    });
    let connected = connecting.await;
    ticking.cancel().await;
    connected
}

/// The two ends of a new link. Full channels make the sender wait; both sides read theirs at all times.
pub(crate) fn link() -> (ControlEnd, ShardEnd) {
    let (to_shard, from_control) = new_bounded(MESH_MESSAGES_MAX);
    let (to_control, from_shard) = new_bounded(MESH_MESSAGES_MAX);
    (ControlEnd { to_shard, from_shard }, ShardEnd { from_control, to_control, counts: None })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;

    /// Long enough for an executor with nothing to do to fall asleep.
    const ASLEEP: Duration = Duration::from_millis(50);

    /// Links two executors, one of which comes late, and sends a message each way.
    fn check(control_pause: Duration, shard_pause: Duration) {
        let (control, shard) = link();
        let control = LocalExecutorBuilder::new(Placement::Unbound)
            .spawn(move || async move {
                Timer::new(control_pause).await;
                let (to_shard, from_shard) = control.connect().await;
                assert!(to_shard.send(ToShard::Phase(Phase::Quiet)).await.is_ok());
                from_shard.recv().await
            })
            .unwrap();
        let shard = LocalExecutorBuilder::new(Placement::Unbound)
            .spawn(move || async move {
                Timer::new(shard_pause).await;
                let (from_control, to_control) = shard.connect().await;
                let heard = from_control.recv().await;
                assert!(to_control.send(ToControl::Ended { shard: 0, how: Ending::Clean }).await.is_ok());
                heard
            })
            .unwrap();
        assert_eq!(shard.join().unwrap(), Some(ToShard::Phase(Phase::Quiet)));
        assert_eq!(control.join().unwrap(), Some(ToControl::Ended { shard: 0, how: Ending::Clean }));
    }

    #[test]
    fn an_end_that_comes_late_finds_the_other_awake() {
        check(ASLEEP, Duration::ZERO);
        check(Duration::ZERO, ASLEEP);
        check(Duration::ZERO, Duration::ZERO);
    }
}
