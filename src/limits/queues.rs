//! Limits on how many queues a process serves, and how it learns that one of them has jobs.

use std::time::Duration;

/// Most queues one process may serve. Their names are part of its lease, and with 128 shards of its recovery: beyond this
/// these become the larger part of what it does.
pub const QUEUES_MAX: usize = 1_000;

/// Most queues one process may serve in a Redis Cluster, where each core has a connection for each of them.
pub const CLUSTER_QUEUES_MAX: usize = 64;

/// Number of queues up to which each shard waits for each of them with a blocking connection of its own, which is the
/// quickest. Beyond it one connection of the process is told which queues change.
pub const WAITERS_QUEUES_MAX: usize = 8;

/// Queues that a turn takes jobs from while it gets what it asks for: each is one more command, of about 0.3 µs.
pub const TURN_QUEUES_FEW: usize = 4;

/// Queues that a turn takes jobs from once it did not: the next ones are likely to have few jobs as well.
pub const TURN_QUEUES_MANY: usize = 64;

/// How long a shard that was told of jobs has to fetch them before another that waits is told as well. A few round trips.
pub const BELL_PATIENCE: Duration = Duration::from_millis(2);

/// A process whose turn it is not, among those that wait for the jobs of a queue, looks this much later for each that comes
/// before it: by then the job is gone.
pub const BELL_STEP: Duration = Duration::from_millis(2);

/// How much later the last one looks at most: processes before it may be busy.
pub const BELL_LATE_MAX: Duration = Duration::from_millis(10);

/// While all shards are busy, how often they are told which queues have got jobs: that is how late a queue of higher
/// priority is seen.
pub const BELL_PACE: Duration = Duration::from_millis(20);

/// The same for a queue that had jobs before, for each of those: so a process asks for 2,000 lengths a second at most.
pub const BELL_PACE_EACH: Duration = Duration::from_micros(500);

/// How often the length of every queue is looked at whether or not it was said to change, and who else listens. At least
/// three heartbeats.
pub const BELL_LOOK: Duration = Duration::from_secs(60);

/// The same where Redis does not tell what changes.
pub const BELL_LOOK_DEAF: Duration = Duration::from_secs(1);

/// Lengths asked for in one call.
pub const BELL_PAGE: usize = 250;

/// Messages about queues that a shard may have been sent without receiving them, because a job holds it up.
pub const BELL_UNHEARD_MAX: u64 = 4;

/// Processes that listen, as far as one reckons with them: beyond, the order among them is of no use.
pub const BELL_PROCESSES_MAX: usize = 1_000;

/// Pushes of Redis of which a connection keeps the content: one for each queue, and those that came while they were asked
/// for anew.
pub const PUSHES_KEPT_MAX: usize = 2 * QUEUES_MAX;

const _: () = assert!(BELL_UNHEARD_MAX + super::CANCELS_UNHEARD_MAX < super::MESH_MESSAGES_MAX as u64);
