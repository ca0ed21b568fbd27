//! Bounds and defaults of the clients that programs push with: pool, tokio, outbox.

use std::time::Duration;

use super::{PAYLOAD_BYTES_MAX, PUSH_BYTES_MAX};

// ---------------------------------------------------------------------------------------------------------------
// Pool
// ---------------------------------------------------------------------------------------------------------------

/// Most connections of a pool unless it is told otherwise: a push takes some 50 microseconds, so that one connection
/// serves 20,000 pushes a second, and a hundred processes with a full pool stay far below Redis's own 10,000 clients.
pub const POOL_CONNECTIONS: usize = 10;

/// How long a caller waits for a connection of a pool. What waits so long waits for a Redis that hangs.
pub const POOL_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection of a pool may be idle before the next call closes it.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

// ---------------------------------------------------------------------------------------------------------------
// tokio
// ---------------------------------------------------------------------------------------------------------------

/// Payload bytes that may wait to be sent in one tokio client, or outbox; whoever comes then waits. A single larger
/// payload takes all of the room.
pub const WAITING_BYTES_MAX: usize = 4 * PUSH_BYTES_MAX;

const _: () = assert!(WAITING_BYTES_MAX < u32::MAX as usize, "they are counted in permits");

// ---------------------------------------------------------------------------------------------------------------
// Outbox
// ---------------------------------------------------------------------------------------------------------------

/// Most jobs in the journal of an outbox unless it is told otherwise: an hour at 300 jobs a second.
pub const OUTBOX_JOBS: u64 = 1_000_000;

/// Most bytes in it unless it is told otherwise: a million jobs of 200 bytes.
pub const OUTBOX_BYTES: u64 = 256 * 1024 * 1024;

/// How long the connection of an outbox may take to come about, and how long Redis may take to answer it: pushes that
/// find a Redis that hangs are kept in the journal after so long. Far above what a loaded Redis takes.
pub const OUTBOX_PATIENCE: Duration = Duration::from_secs(2);

/// How long Redis remembers which jobs of an outbox it has, after the last one: a job that was pushed, without the outbox
/// having learnt of it, and that is pushed again later than that, runs twice. An outbox tries again each second, so only
/// a program that is down for so long comes that late. A marker has some 150 bytes.
pub const OUTBOX_MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Pause before jobs of the journal that Redis refused, for a reason that does not go by itself, are tried again.
pub const OUTBOX_REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// What stands before the payload in a line of a journal, at most, in bytes: the longest queue name, numbers, an id.
pub const OUTBOX_HEAD_BYTES_MAX: usize = 512;

/// Longest line of a journal in bytes: the largest payload, and what stands before it with room.
pub const OUTBOX_RECORD_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 2 * OUTBOX_HEAD_BYTES_MAX;

/// Bytes of a journal read at once.
pub const OUTBOX_CHUNK_BYTES: usize = 256 * 1024;

/// A journal is rewritten without what is done once that much of it is done, and it is the larger part.
pub const OUTBOX_COMPACT_BYTES: u64 = 16 * 1024 * 1024;
