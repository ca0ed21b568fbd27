//! Limits on what handlers may do and on what surrounds them: progress, cancellation, stalls, the client of a core.

use std::time::Duration;

use super::MESH_MESSAGES_MAX;

/// How long the tear-down of a core's state may take, after its last job. Fits into what container runtimes allow
/// after the usual stop timeout.
pub const TEAR_DOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Minimum time between two notes of one job's progress: often enough for a person watching.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a job's progress is kept after its last report.
pub const PROGRESS_TTL: Duration = Duration::from_secs(3_600);

/// Longest note with a job's progress, in characters: a line on a screen.
pub const PROGRESS_NOTE_CHARS_MAX: usize = 200;

/// Bytes the client of a core reads at once: its answers are small integers.
pub const LOCAL_CHUNK_BYTES: usize = 4 * 1024;

/// After this long without a push, the client of a core checks with Redis whether the connection still works. Well
/// below the shortest `timeout` after which servers and proxies are usually configured to close idle connections.
pub const LOCAL_PROBE_IDLE: Duration = Duration::from_secs(1);

/// Cancellations that one shard may have been sent without receiving them, because a job holds it up. Further ones
/// are dropped: the caller can ask again. Leaves room for the phases of a process's life.
pub const CANCELS_UNHEARD_MAX: u64 = 16;

const _: () = assert!(CANCELS_UNHEARD_MAX < MESH_MESSAGES_MAX as u64);

/// How long a poll of a job may take before it counts as a stall: the other jobs of its core wait meanwhile.
pub const STALL_AFTER: Duration = Duration::from_secs(1);

/// How often control checks whether a shard has returned from its job.
pub const STALL_LOOK: Duration = Duration::from_secs(1);

/// How long the connection that listens for cancellations may receive nothing before it is reopened. A peer that
/// vanished silently is noticed sooner, through [`KEEPALIVE_IDLE`](super::KEEPALIVE_IDLE).
pub const CANCEL_SILENCE_MAX: Duration = Duration::from_secs(3_600);

/// Pause before listening is tried again after Redis refused it: a matter of rights that a person has to change.
pub const CANCEL_REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Jobs that one drain of a test worker runs: beyond this, something keeps pushing itself forever.
pub const DRAIN_JOBS_MAX: usize = 100_000;

/// Most failures of a job that its payload keeps: it is written anew at each, and read by people.
pub const HISTORY_FAILURES_MAX: usize = 50;

/// Longest message kept of each, in characters: a line or two. The last one is stored in full beside.
pub const HISTORY_MESSAGE_CHARS_MAX: usize = 200;

/// Longest class kept of each, in characters.
pub const HISTORY_CLASS_CHARS_MAX: usize = 100;

/// Largest entry that is kept, in bytes; a longer one was written by others. Ours fit, with every character escaped.
pub const HISTORY_ENTRY_BYTES_MAX: usize = 4 * 1024;

const _: () = assert!(
    6 * (HISTORY_MESSAGE_CHARS_MAX + HISTORY_CLASS_CHARS_MAX) + 512 <= HISTORY_ENTRY_BYTES_MAX,
    "an escape has six bytes, a number up to 309"
);

/// Most lines of a backtrace that a payload keeps.
pub const HISTORY_BACKTRACE_LINES_MAX: usize = 500;

/// Longest class read off an error's `Debug` text, in bytes: a column of a table.
pub const ERROR_CLASS_BYTES_MAX: usize = 64;

/// Pushes and notes of handlers off their shard's thread that may wait for it. Each handler waits for its own, so this many
/// come only of tokio handlers that push side by side.
pub const DESK_ORDERS_MAX: usize = 4_096;

/// What the names of companion threads have after that of their shard: metrics count them by it. The kernel keeps 15 bytes
/// of a name, which are enough for a hundred shards.
pub const COMPANION_NAME_PART: &str = "-aside";

/// Largest argument of the built-in `Fib`: a few seconds of computing.
pub const FIB_MAX: u64 = 45;

/// Longest the built-in `Sleep` sleeps: a day.
pub const SLEEP_SECONDS_MAX: f64 = 24.0 * 3600.0;
