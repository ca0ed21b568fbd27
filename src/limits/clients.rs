//! Limits and defaults of the clients that programs push with: pool, tokio, outbox.

use std::time::Duration;

use super::{PAYLOAD_BYTES_MAX, PUSH_BYTES_MAX};

/// How long a client reckons Redis's clock from one reading of it: one round trip a minute at most, and a server whose clock
/// was set is followed within that time. What two good clocks drift apart meanwhile is a few milliseconds.
pub const CLOCK_KEPT: Duration = Duration::from_secs(60);

// ---------------------------------------------------------------------------------------------------------------
// Pool
// ---------------------------------------------------------------------------------------------------------------

/// Default maximum number of connections in a pool: a push takes about 50 microseconds, so one connection serves
/// 20,000 pushes a second, and a hundred processes with a full pool stay far below Redis's own 10,000 clients.
pub const POOL_CONNECTIONS: usize = 10;

/// How long a caller waits for a pooled connection. A wait this long means that Redis is hanging.
pub const POOL_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a pooled connection may be idle before the next call closes it.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

// ---------------------------------------------------------------------------------------------------------------
// tokio
// ---------------------------------------------------------------------------------------------------------------

/// Payload bytes that may be waiting to be sent in one tokio client, or outbox; further callers wait. A single larger
/// payload takes all of the room.
pub const WAITING_BYTES_MAX: usize = 4 * PUSH_BYTES_MAX;

const _: () = assert!(WAITING_BYTES_MAX < u32::MAX as usize, "they are counted in permits");

// ---------------------------------------------------------------------------------------------------------------
// Outbox
// ---------------------------------------------------------------------------------------------------------------

/// Default maximum number of jobs in an outbox's journal: an hour at 300 jobs a second.
pub const OUTBOX_JOBS: u64 = 1_000_000;

/// Default maximum size of it in bytes: a million jobs of 200 bytes.
pub const OUTBOX_BYTES: u64 = 256 * 1024 * 1024;

/// How long an outbox's connection may take to be made, and how long Redis may take to answer it: pushes that find
/// Redis hanging are kept in the journal after this time. Far above what a loaded Redis takes.
pub const OUTBOX_PATIENCE: Duration = Duration::from_secs(2);

/// How long Redis remembers which of an outbox's jobs it has, after the last one: a job that was pushed without the
/// outbox learning of it, and is pushed again later than that, runs twice. An outbox retries every second, so only a
/// program that is down this long comes that late. A marker has about 150 bytes.
pub const OUTBOX_MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Pause before retrying jobs of the journal that Redis refused for a reason that does not pass by itself.
pub const OUTBOX_REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// Maximum bytes before the payload in a line of a journal: the longest queue name, numbers, an id.
pub const OUTBOX_HEAD_BYTES_MAX: usize = 512;

/// Longest line of a journal in bytes: the largest payload and what comes before it, with room to spare.
pub const OUTBOX_RECORD_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 2 * OUTBOX_HEAD_BYTES_MAX;

/// Bytes of a journal read at once.
pub const OUTBOX_CHUNK_BYTES: usize = 256 * 1024;

/// A journal is rewritten without its finished part once that is this large and more than half of the file.
pub const OUTBOX_COMPACT_BYTES: u64 = 16 * 1024 * 1024;
