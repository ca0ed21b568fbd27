//! Bounds of what handlers may do and of what surrounds them: progress, cancellation, stalls, the client of a core.

use std::time::Duration;

use super::MESH_MESSAGES_MAX;

/// How long the tear-down of a core's state may take, after its last job. Within what container runtimes leave after the
/// usual stop timeout.
pub const TEAR_DOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the progress of one job is sent on, at most: often enough for a person who looks.
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a job's progress is kept after it last said something.
pub const PROGRESS_TTL: Duration = Duration::from_secs(3_600);

/// Longest note beside a job's progress in characters: a line on a screen.
pub const PROGRESS_NOTE_CHARS_MAX: usize = 200;

/// Bytes the client of a core reads at once: it is answered with small integers.
pub const LOCAL_CHUNK_BYTES: usize = 4 * 1024;

/// After so long without a push the client of a core asks Redis whether the connection still stands. Well below the
/// shortest `timeout` after which servers and proxies are usually told to close idle connections.
pub const LOCAL_PROBE_IDLE: Duration = Duration::from_secs(5);

/// Cancellations that one shard may have been told of and not heard, because a job holds it up. Further ones are dropped:
/// whoever asked can ask again. Leaves room for the phases of a process's life.
pub const CANCELS_UNHEARD_MAX: u64 = 16;

const _: () = assert!(CANCELS_UNHEARD_MAX < MESH_MESSAGES_MAX as u64);

/// How long a poll of a job may take before it is called a stall: the other jobs of its core wait meanwhile.
pub const STALL_AFTER: Duration = Duration::from_secs(1);

/// How often control looks whether a shard comes back from its job.
pub const STALL_LOOK: Duration = Duration::from_secs(1);

/// How long the connection that listens for cancellations may hear nothing before it is opened anew. A peer that vanished
/// without a word is noticed sooner, by [`KEEPALIVE_IDLE`](super::KEEPALIVE_IDLE).
pub const CANCEL_SILENCE_MAX: Duration = Duration::from_secs(3_600);

/// Pause before it is tried again to listen after Redis has refused it: a matter of rights that a person has to change.
pub const CANCEL_REFUSED_PAUSE: Duration = Duration::from_secs(60);

/// Jobs that one drain of a test worker runs: beyond it something pushes itself for ever.
pub const DRAIN_JOBS_MAX: usize = 100_000;
