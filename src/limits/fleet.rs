//! Bounds of looking at the fleet and steering it: running jobs, `processes`, `quiet`, `stop`, `top`, `doctor`.

use std::time::Duration;

/// Running jobs that a process names in its figures, the oldest: some 12 KB. More would be read by nobody.
pub const RUNNING_JOBS_SHOWN_MAX: usize = 100;

/// How long the shards may take to name their running jobs before the figures are written without. A shard answers after
/// its run slice; one that does not is held up by a job, which is named by its mark.
pub const RUNNING_JOBS_WAIT: Duration = Duration::from_millis(100);

/// How far the wall clock may be from where it should be before times of running jobs are told by it anew, in seconds.
pub const CLOCK_DRIFT_S: f64 = 1.0;

/// Longest message to a process that is looked at, in bytes; ours have eight.
pub const STEER_BYTES_MAX: usize = 64;

/// How long `quiet` waits until a process says that it is quiet. It is published within milliseconds of being heard, unless
/// Redis is slow.
pub const QUIET_WAIT: Duration = Duration::from_secs(15);

/// What `stop` waits longer than the process itself may wait for its jobs: to hand back, to tear down, to say farewell.
pub const STOP_WAIT_EXTRA: Duration = Duration::from_secs(15);

/// How often `quiet` and `stop` look whether it has happened.
pub const STEER_LOOK: Duration = Duration::from_millis(200);

/// Shortest and longest time between two looks of `top`: ten looks a second are some commands each, and who looks less than
/// once a minute reads metrics.
pub const TOP_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// See [`TOP_INTERVAL_MIN`].
pub const TOP_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Queues that `top` shows, the longest first.
pub const TOP_QUEUES_MAX: usize = 20;

/// Processes that `top` shows, in the order of their uuids.
pub const TOP_PROCESSES_MAX: usize = 100;

/// Looks that may go by before `top` shows its first state: the SCAN of a large database goes on while it is shown.
pub const TOP_FIRST_LOOKS_MAX: usize = 50;

/// Things that may wait for the screen of `top`: keys and states, of which each is dealt with at once.
pub const TOP_MESSAGES_MAX: usize = 16;

/// How long `top` tries to connect, or waits for an answer, before it says that Redis is away.
pub const TOP_PATIENCE: Duration = Duration::from_secs(2);

/// PINGs of which `doctor` takes the median, and questions for the time of which it takes the quickest.
pub const DOCTOR_PINGS: usize = 9;

/// Round trip to Redis above which `doctor` warns: each fetch is one.
pub const DOCTOR_LATENCY_MAX: Duration = Duration::from_millis(10);

/// Difference of the clocks above which `doctor` warns: heartbeats look old, and jobs are late or early by it.
pub const DOCTOR_SKEW_MAX_S: f64 = 1.0;

/// Part of `maxmemory` in use from which `doctor` warns.
pub const DOCTOR_MEMORY_FULL: f64 = 0.8;

/// Files that each shard has open besides one connection a queue: three rings, event and timer files, with room.
pub const SHARD_FILES: usize = 12;

/// Files that a process has open besides its shards and its jobs: control's connections and rings, the standard ones.
pub const PROCESS_FILES: usize = 64;

/// Connections that control keeps: upkeep, poller, cancellations, and for a while the reaper's two.
pub const CONTROL_CONNECTIONS: usize = 5;

/// Shards that `top` shows: those of the first processes.
pub const TOP_SHARDS_MAX: usize = 200;
