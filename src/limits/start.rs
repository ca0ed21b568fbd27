//! Limits and defaults of what happens before the first job: options, checks at boot, the private Redis.

use std::time::Duration;

// ---------------------------------------------------------------------------------------------------------------
// Options
// ---------------------------------------------------------------------------------------------------------------

/// The most cores one process may be asked to use: the size of the kernel's own CPU mask (`cpu_set_t`).
pub const CORES_MAX: usize = 1_024;

/// Jobs in flight per core when `--concurrency` is not given. The gem's default for its one core.
pub const CONCURRENCY_PER_CORE: usize = 10;

/// The most jobs in flight per process. Each holds its payload and a task: 100,000 small ones take about 100 MB.
pub const CONCURRENCY_MAX: usize = 100_000;

/// How long a stop waits for running jobs. The gem's default; below the 30 s after which container runtimes kill.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(25);

/// Longest stop timeout that may be set: a day. What runs longer should be split or handed back.
pub const STOP_TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Period of the heartbeat. The gem's default; its page considers a process outdated after twice this period.
pub const STATS_INTERVAL: Duration = Duration::from_secs(10);

/// Longest heartbeat period: the key lives 180 s longer, so a dead process is listed for an hour at most.
pub const STATS_INTERVAL_MAX: Duration = Duration::from_secs(3_600);

/// Mean period of the poller of the retry and scheduled sets. The gem's default.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Longest period of the poller: a due job should not wait longer than an hour.
pub const POLL_INTERVAL_MAX: Duration = Duration::from_secs(3_600);

/// The most entries the dead set may be configured to keep: at 1 KB each this is 10 GB of Redis memory.
pub const DEAD_JOBS_CONFIGURED_MAX: u64 = 10_000_000;

/// Longest time the dead set may be configured to keep an entry: ten years.
pub const DEAD_TIMEOUT_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Largest configuration file in bytes. A real one has a few hundred bytes; this rejects a wrong path early.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Deepest nesting of lists and mappings in it: the YAML loader recurses once per level, and a real file has four.
pub const CONFIG_DEPTH_MAX: usize = 32;

/// Longest name of an environment (`--environment`) in bytes: it appears in log lines.
pub const ENVIRONMENT_BYTES_MAX: usize = 64;

/// The most copies of one job that a single `enqueue --count` may push: ten million small jobs take about 2 GB in
/// Redis.
pub const ENQUEUE_COUNT_MAX: u64 = 10_000_000;

/// Longest job name in bytes that `enqueue` accepts: names appear in log lines and in metrics.
pub const JOB_NAME_BYTES_MAX: usize = 256;

/// Longest delay that `enqueue --in` accepts: ten years. Redis scores are exact to the microsecond far beyond it.
pub const ENQUEUE_DELAY_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

// ---------------------------------------------------------------------------------------------------------------
// Checks at boot
// ---------------------------------------------------------------------------------------------------------------

/// Oldest kernel, as (major, minor): the io_uring operations of glommio are complete from 5.8 on.
pub const KERNEL_MIN: (u32, u32) = (5, 8);

/// First kernel that charges rings to the process's memory instead of to its locked memory.
pub const KERNEL_WITHOUT_MEMLOCK: (u32, u32) = (5, 12);

/// Locked memory glommio requests before it creates an executor, on any kernel.
pub const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// Oldest Redis, as (major, minor): `LMOVE` and `BLMOVE` came with 6.2.
pub const REDIS_MIN: (u32, u32) = (6, 2);

// ---------------------------------------------------------------------------------------------------------------
// The private Redis
// ---------------------------------------------------------------------------------------------------------------

/// How long a private Redis may take from its start, or from the last time it reported loading, to its first answer.
pub const EMBEDDED_START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a private Redis may take to write out its append-only file and exit.
pub const EMBEDDED_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a private Redis may take to answer one question. One that is paused or swapped out is silent, not gone.
pub const EMBEDDED_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause before a private Redis that has died is started again. It doubles each time, up to [`EMBEDDED_RESTART_PAUSE_MAX`].
pub const EMBEDDED_RESTART_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Longest pause of this kind: once the disk has room again, jobs should run within half a minute.
pub const EMBEDDED_RESTART_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A private Redis that ran for so long did not die of its start: the next pause is the shortest again.
pub const EMBEDDED_STEADY: Duration = Duration::from_secs(60);

/// Pause between two checks of a private Redis that is starting or exiting.
pub const EMBEDDED_POLL_PAUSE: Duration = Duration::from_millis(10);

/// How long checking 127.0.0.1:6379 may take; loopback answers or refuses within microseconds.
pub const LOCAL_PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Lines of the private server's log that an error shows.
pub const LOG_TAIL_LINES: usize = 8;

// ---------------------------------------------------------------------------------------------------------------
// The log
// ---------------------------------------------------------------------------------------------------------------

/// Lines waiting for the reader of standard error. Further ones are dropped and counted: a log must not hold up a
/// shard.
pub const LOG_QUEUE_LINES: usize = 16 * 1024;

/// Bytes of the waiting lines: a start in debug with hundreds of failing jobs fits many times over.
pub const LOG_QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes written by one call: what a pipe holds by default.
pub const LOG_BATCH_BYTES: usize = 64 * 1024;

/// How often an ongoing flood reports how many lines were dropped.
pub const LOG_DROPS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a process waits at its end for its last lines to be written. This adds to the time of a stop.
pub const LOG_FLUSH_TIMEOUT: Duration = Duration::from_millis(900);

/// How long it waits for one more line after that wait was in vain.
pub const LOG_FLUSH_AGAIN_TIMEOUT: Duration = Duration::from_millis(100);

/// Time span in which a kind of log line may come as often as given below; after it, the number of further ones is
/// reported.
pub const LOG_FLOOD_SPAN: Duration = Duration::from_secs(10);

/// Lines of one kind that are logged in a span. Enough to see what they have in common; on any usual machine, if all
/// shards report at once that Redis is gone, each one's line is logged.
pub const LOG_SAMPLE_LINES: u32 = 20;

/// The most kinds of lines that are tracked: far more than there are places that log.
pub const LOG_KINDS_MAX: usize = 1_024;

/// The most kinds of failed jobs, by name and class, that are told apart in the log; those beyond are of one kind.
pub const LOG_FAILURE_KINDS_MAX: usize = 256;

/// Frames of a backtrace that are kept unless all are asked for: handler, middleware, and the library between them. A
/// program without symbols does not say which these are.
pub const BACKTRACE_FRAMES_MAX: usize = 40;

/// Bytes of a backtrace that are kept: some hundred frames.
pub const BACKTRACE_BYTES_MAX: usize = 32 * 1024;
