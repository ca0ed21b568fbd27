//! Limits on observing and steering the fleet: running jobs, `processes`, `quiet`, `stop`, `top`, `doctor`.

use std::time::Duration;

mod history;

pub use history::*;

/// Running jobs that a process names in its figures, oldest first: about 12 KB. Nobody would read more.
pub const RUNNING_JOBS_SHOWN_MAX: usize = 100;

/// How long the shards may take to name their running jobs before the figures are written without them. A shard
/// answers after its run slice; one that does not is held up by a job, which its mark names.
pub const RUNNING_JOBS_WAIT: Duration = Duration::from_millis(100);

/// How far Redis's clock may deviate, in seconds, before the times of running jobs are based on it anew.
pub const CLOCK_DRIFT_S: f64 = 1.0;

/// From how many seconds on it is told that the clock of a host is not Redis's. Hosts with a time service are within
/// milliseconds; what is shown in whole seconds is wrong from here on.
pub const CLOCK_SKEW_MAX_S: f64 = 1.0;

/// Longest message to a process that is examined, in bytes; ours have eight.
pub const STEER_BYTES_MAX: usize = 64;

/// How long `quiet` waits for a process to report that it is quiet. It does so within milliseconds of receiving the
/// message, unless Redis is slow.
pub const QUIET_WAIT: Duration = Duration::from_secs(15);

/// How much longer `stop` waits than the process itself may wait for its jobs: to hand back, to tear down, to say
/// farewell.
pub const STOP_WAIT_EXTRA: Duration = Duration::from_secs(15);

/// How much longer a process of Sidekiq may take to do what it is asked: it looks with each heartbeat, every ten seconds,
/// and shows it with the next.
pub const STEER_SIGNALS_EXTRA: Duration = Duration::from_secs(25);

/// How often `quiet` and `stop` check whether it has happened.
pub const STEER_LOOK: Duration = Duration::from_millis(200);

/// Shortest and longest time between two refreshes of `top`: ten a second cost a few commands each, and less than one
/// a minute is a job for metrics.
pub const TOP_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// See [`TOP_INTERVAL_MIN`].
pub const TOP_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Queues that `top` shows, longest first.
pub const TOP_QUEUES_MAX: usize = 20;

/// Processes that `top` shows, in order of their uuids.
pub const TOP_PROCESSES_MAX: usize = 100;

/// Refreshes that may pass before `top` shows its first state: the SCAN of a large database continues while it is
/// shown.
pub const TOP_FIRST_LOOKS_MAX: usize = 50;

/// Events that may be waiting for the screen of `top`: keys and states, each handled at once.
pub const TOP_MESSAGES_MAX: usize = 16;

/// How long `top` tries to connect, or waits for an answer, before it reports that Redis is away.
pub const TOP_PATIENCE: Duration = Duration::from_secs(2);

/// How often a process reports about itself while someone watches it: what a person can follow. It costs Redis two SETs of
/// some kilobytes a second for each process.
pub const WATCHED_INTERVAL: Duration = Duration::from_secs(1);

/// How often `top` tells the processes that it watches them.
pub const WATCH_RENEWAL: Duration = Duration::from_millis(900);

/// How long a process believes so after the last message: one may be late or lost.
pub const WATCHED_FOR: Duration = Duration::from_secs(3);

const _: () = assert!(WATCHED_FOR.as_millis() > 2 * WATCHED_INTERVAL.as_millis());
const _: () = assert!(WATCH_RENEWAL.as_millis() < WATCHED_FOR.as_millis() / 2);

/// Columns by which one key moves the screen of `top` sideways.
pub const TOP_SIDE_STEP: usize = 8;

/// Rows of queues that `top` shows at least, and the part of the screen that they take at most, unless all are wanted.
pub const TOP_QUEUES_MIN: usize = 4;
/// See [`TOP_QUEUES_MIN`].
pub const TOP_QUEUES_PART: usize = 4;

/// PINGs whose median `doctor` takes, and time queries of which it takes the fastest.
pub const DOCTOR_PINGS: usize = 9;

/// Round trip to Redis above which `doctor` warns: each fetch is one.
pub const DOCTOR_LATENCY_MAX: Duration = Duration::from_millis(10);

/// Fraction of `maxmemory` in use from which `doctor` warns.
pub const DOCTOR_MEMORY_FULL: f64 = 0.8;

/// Files that each shard has open besides one connection per queue: three rings, event and timer files, with room to
/// spare.
pub const SHARD_FILES: usize = 12;

/// Files that a process has open besides its shards and its jobs: control's connections and rings, the standard ones.
pub const PROCESS_FILES: usize = 64;

/// Connections that control keeps: upkeep, poller, cancellations, with many queues the bell, and for a while the reaper's
/// two and the one that reads what is paused.
pub const CONTROL_CONNECTIONS: usize = 7;

/// Shards that `top` shows: those of the first processes.
pub const TOP_SHARDS_MAX: usize = 200;
