//! The register of queues and processes: how often they are named, and how long they stay named.

use std::time::Duration;

/// How often a client names a queue again that it pushes to: a Redis that was flushed knows its queues that soon. One
/// command in ten minutes for each queue and connection costs nothing, and rides with a push.
pub const REGISTER_AGAIN: Duration = Duration::from_secs(600);

/// Queues that a connection of a client remembers to have named. One that pushes to more names them again: with each push in
/// the worst case, which is two commands in a round trip instead of one.
pub const REGISTER_REMEMBERED_MAX: usize = 1_000;

/// How long a queue or a process stays named after it was last named, though there is nothing under its key: much longer
/// than [`REGISTER_AGAIN`], since a client may push to the queue any time and believe it named; and more than any two clocks
/// differ that a job's due time can do with.
pub const REGISTER_KEPT: Duration = Duration::from_secs(3600);

const _: () = assert!(REGISTER_KEPT.as_secs() >= 3 * REGISTER_AGAIN.as_secs());

/// Names added by one command, or taken out by one call: some 0.2 ms of Redis's time.
pub const REGISTER_NAMES_PER_CALL: usize = 500;

/// How long a walk over all keys counts if workers walk: ten million keys take them two minutes, every other minute, so that
/// this long without one means that no worker is left.
pub const REGISTER_WALK_KEPT: Duration = Duration::from_secs(6 * 3600);

/// The same if a command walked because no worker had: in a fleet without workers of ours nobody walks again, and what Ruby
/// processes make meanwhile is found after that long.
pub const REGISTER_LOOK_KEPT: Duration = Duration::from_secs(3600);
