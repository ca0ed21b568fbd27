//! Every bound and every default of the engine, each with its reason.
//!
//! A queue, buffer, batch, page, loop or reply that has a bound finds it here. Nothing else in the crate spells a
//! size or a period as a bare number. Names end in their unit; a [`Duration`] needs none.

use std::time::Duration;

// ---------------------------------------------------------------------------------------------------------------
// Payloads
// ---------------------------------------------------------------------------------------------------------------

/// Largest payload, in bytes, that is handed to a handler; a larger one goes to the dead set with its bytes.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Deepest nesting of arrays and objects in a payload, the payload object itself being level 1. Ruby's own JSON
/// parser stops at 100 by default; recursion over a value this deep fits any stack.
pub const PAYLOAD_DEPTH_MAX: usize = 128;

/// Longest `error_message` that is stored with a failed job, in characters. The gem's own bound.
pub const ERROR_MESSAGE_CHARS_MAX: usize = 10_000;

/// Longest queue name in bytes: names are part of keys, of the heartbeat key and of log lines.
pub const QUEUE_NAME_BYTES_MAX: usize = 128;

/// Most queues one process may serve: each shard keeps one blocking connection per queue while it is idle.
pub const QUEUES_MAX: usize = 64;

/// Most retries a job may ask for. The delay of retry n is n⁴ + 15 s: number 1,000 would wait 31,700 years.
pub const RETRIES_MAX: u32 = 1_000;

// ---------------------------------------------------------------------------------------------------------------
// Sets the gem shares with us
// ---------------------------------------------------------------------------------------------------------------

/// Entries the dead set keeps; older ones are trimmed when one is added. The gem's default.
pub const DEAD_JOBS_MAX: u64 = 10_000;

/// How long an entry stays in the dead set. The gem's default: 180 days.
pub const DEAD_TIMEOUT: Duration = Duration::from_secs(180 * 24 * 3600);

// ---------------------------------------------------------------------------------------------------------------
// RESP connections
// ---------------------------------------------------------------------------------------------------------------

/// Largest reply in bytes that a connection accepts: a whole batch with a payload of the largest size in it.
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Deepest nesting of arrays in a reply. Our scripts answer with three levels; the parser recurses once a level.
pub const REPLY_DEPTH_MAX: usize = 8;

/// Most elements in all arrays of one reply together: the largest page or batch asked for, with room. Counted
/// together, since nesting would multiply a bound on each.
pub const REPLY_ELEMENTS_MAX: usize = 1_000_000;

/// Longest line in a reply (simple string, error, length), in bytes. Redis's own errors are far shorter.
pub const REPLY_LINE_BYTES_MAX: usize = 64 * 1024;

/// Longest number in a reply (integer or length), in bytes: a sign and the 19 digits of an `i64`.
pub const REPLY_NUMBER_BYTES_MAX: usize = 20;

/// Memory a connection keeps for reading when idle, in bytes; a one-off larger reply is given back. Four full reads.
pub const REPLY_BUFFER_KEEP_BYTES: usize = 4 * READ_CHUNK_BYTES;

/// Memory a buffer of commands keeps for the next ones, in bytes; larger ones are given back when cleared.
pub const REQUEST_BUFFER_KEEP_BYTES: usize = 256 * 1024;

/// Room for one number in a command, in bytes: 20 digits and a sign, or a float in its shortest form, which has at
/// most 24 characters.
pub const REQUEST_NUMBER_BYTES_MAX: usize = 32;

/// Port of a `redis://` url that names none. Redis's own.
pub const REDIS_PORT_DEFAULT: u16 = 6379;

/// Longest path of a unix socket in bytes: `sun_path` has 108 with the closing zero.
pub const UNIX_SOCKET_PATH_BYTES_MAX: usize = 107;

/// Bytes of a value that Debug and error texts show: enough to recognise it, not a payload in a log.
pub const DEBUG_BYTES_MAX: usize = 64;

/// Commands that may wait for their replies on one connection.
pub const PIPELINE_COMMANDS_MAX: usize = 100_000;

/// Bytes read from a socket at once. A batch of 500 payloads of 100 bytes fits into one read.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;

/// How long a connection attempt, the handshake included, may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long Redis may take to answer a call that does not block, before the connection is given up as hung.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// First pause before a reconnect; it doubles up to [`RECONNECT_PAUSE_MAX`], each time with full jitter.
pub const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause before a reconnect: consumption must be back within 2 s of Redis's return.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(1_000);

// ---------------------------------------------------------------------------------------------------------------
// Client and summary
// ---------------------------------------------------------------------------------------------------------------

/// Most jobs in one variadic push. At some 0.2 µs each Redis is away for 0.2 ms, no longer than for a fetch.
pub const PUSH_JOBS_MAX: usize = 1_000;

/// Payload bytes after which a variadic push is sent: more saves no time, and Redis holds the command in memory.
pub const PUSH_BYTES_MAX: usize = 1024 * 1024;

/// Longest job name in bytes: names are part of log lines and of metrics.
pub const JOB_NAME_BYTES_MAX: usize = 256;

/// Longest job id in bytes that a caller may choose; our own have 16. Ids are part of log lines.
pub const JID_BYTES_MAX: usize = 256;

/// Keys that one SCAN call looks at: some 0.3 ms of Redis's time.
pub const SCAN_PAGE_KEYS: u64 = 1_000;

/// Most queues, or processes, that a summary lists. Each is a few hundred bytes here.
pub const INSPECT_KEYS_MAX: usize = 100_000;

/// Heartbeats read at once: with a hundred busy jobs of 1 KB in each, a reply has 10 MB.
pub const INSPECT_HEARTBEATS_PER_CALL: usize = 100;

/// Queue lengths read at once.
pub const INSPECT_QUEUES_PER_CALL: usize = 1_000;
