//! Limits of a stop beyond the time it is given for running jobs.

use std::time::Duration;

/// How long a stopping shard keeps trying to reach Redis after its deadline, to hand back and to ack. Longer than
/// [`STOP_PATIENCE`]: a connection that died unnoticed leaves time for another. With [`FAREWELL_LIMIT_LATE`] a stop
/// takes less than 4 s beyond `--timeout`, whatever Redis does: hosts kill after 30 s, and the default timeout is 25.
pub const STOP_GRACE: Duration = Duration::from_secs(3);

/// How long a process whose shards have ended tries to remove its heartbeat and its lease, and its poller to resign.
pub const FAREWELL_LIMIT: Duration = Duration::from_millis(1_900);

/// The same if a shard could not reach Redis either: the stop is already late.
pub const FAREWELL_LIMIT_LATE: Duration = Duration::from_millis(800);

/// How long a process that was asked to stop waits for any one answer, or for a first connection if it owes Redis
/// nothing.
pub const STOP_PATIENCE: Duration = Duration::from_secs(2);
