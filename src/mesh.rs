//! What control and the shards say to each other: closed sets of messages over bounded channels.
//!
//! Neither side touches the other's state. Counters go another way: see [`crate::stats`].

use glommio::channels::shared_channel::{SharedReceiver, SharedSender, new_bounded};

use crate::limits::MESH_MESSAGES_MAX;
use crate::shutdown::Phase;

/// From control to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToShard {
    /// The phase the process is in now. The first one also means: the heartbeat is published, begin.
    Phase(Phase),
}

/// From a shard to control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToControl {
    /// The shard has ended and holds nothing any more, or has left its jobs to the reaper.
    Ended {
        /// Which one.
        shard: usize,
        /// How.
        how: Ending,
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
    /// Its in-flight jobs were taken over by another process: it was believed dead.
    Fenced,
    /// The state of its handlers could not be built.
    NoState,
}

/// Control's end of its link to one shard.
pub(crate) struct ControlEnd {
    pub(crate) to_shard: SharedSender<ToShard>,
    pub(crate) from_shard: SharedReceiver<ToControl>,
}

/// A shard's end of its link to control.
pub(crate) struct ShardEnd {
    pub(crate) from_control: SharedReceiver<ToShard>,
    pub(crate) to_control: SharedSender<ToControl>,
}

/// The two ends of a new link. Full channels make the sender wait; both sides read theirs at all times.
pub(crate) fn link() -> (ControlEnd, ShardEnd) {
    let (to_shard, from_control) = new_bounded(MESH_MESSAGES_MAX);
    let (to_control, from_shard) = new_bounded(MESH_MESSAGES_MAX);
    (ControlEnd { to_shard, from_shard }, ShardEnd { from_control, to_control })
}
