//! Limits of a stop beyond the time it is given for running jobs.
//!
//! ```text
//! signal                          deadline          + STOP_GRACE   + STOP_END
//!   │ hand back what has not started │ hand back what runs │ farewell │
//!   ├── STOP_PATIENCE per answer ────┤                     │          │
//!   │   (the connection is proved)   ├ STOP_LAST_PATIENCE ─┤ lease    │
//!   │                                ├ heartbeat ──────────┘          │
//! ```
//!
//! Hosts kill after 30 s, and the default timeout is 25.

use std::time::Duration;

/// How long after its deadline a stop has ended, whatever Redis does: shards and farewell. The rest of two seconds is
/// for threads to end and for the last lines of the log.
pub const STOP_END: Duration = Duration::from_millis(1_600);

/// How long a stopping shard keeps trying to reach Redis after its deadline, to hand back and to ack. Time for one call
/// over a connection that died unnoticed since the signal ([`STOP_LAST_PATIENCE`]), and for another connection.
pub const STOP_GRACE: Duration = Duration::from_millis(1_400);

/// How long a shard waits for any one answer once its deadline has passed.
pub const STOP_LAST_PATIENCE: Duration = Duration::from_millis(600);

/// Longest pause of a stopping shard between two attempts to connect, so that it does not sleep through the last ones.
pub const STOP_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long a process whose shards have ended tries to remove its heartbeat and its lease, and its poller to resign; but
/// not beyond [`STOP_END`].
pub const FAREWELL_LIMIT: Duration = Duration::from_millis(1_900);

/// The same if a shard could not reach Redis either: the stop is already late.
pub const FAREWELL_LIMIT_LATE: Duration = Duration::from_millis(800);

/// An attempt at a farewell gets half of the time left, but at least this: another connection may do better.
pub const FAREWELL_TRY_MIN: Duration = Duration::from_millis(200);

/// How long a process that was asked to stop waits for any one answer, or for a first connection if it owes Redis
/// nothing.
pub const STOP_PATIENCE: Duration = Duration::from_secs(2);

const _: () =
    assert!(STOP_GRACE.as_millis() >= 2 * STOP_LAST_PATIENCE.as_millis() + STOP_RETRY_PAUSE.as_millis());
const _: () = assert!(STOP_END.as_millis() > STOP_GRACE.as_millis() && STOP_END.as_millis() < 2_000);
