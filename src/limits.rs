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

/// Payload size in bytes up to which a parser keeps its buffers, which take up to six times as much: after a larger
/// payload they are given back rather than held for ever.
pub const PARSER_KEEP_BYTES: usize = 64 * 1024;

/// Nodes (values and keys, 24 bytes each) up to which a parser keeps its tape. A payload of numbers holds one node in
/// two bytes, so this is the tape of any payload of [`PARSER_KEEP_BYTES`].
pub const PARSER_KEEP_NODES: usize = PARSER_KEEP_BYTES;

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

/// Most elements in one array of a reply: the largest page or batch asked for, with room.
pub const REPLY_ELEMENTS_MAX: usize = 1_000_000;

/// Longest line in a reply (simple string, error, length), in bytes. Redis's own errors are far shorter.
pub const REPLY_LINE_BYTES_MAX: usize = 64 * 1024;

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
