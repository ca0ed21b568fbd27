//! Bounds of what one call puts back of jobs in flight, and of how large payloads are buried.

/// Jobs of a dead shard that one call puts back: about 5 ms of Redis's time, as each has its recoveries counted.
pub const REAP_JOBS_MAX: usize = 500;

/// Bytes of payload it puts back, except for a single larger one: they are copied into the script and out of it, and short
/// payloads are decoded for their jid, which takes up to 10 ms for this many.
pub const REAP_BYTES_MAX: usize = 128 * 1024;

/// Bytes of payload that one call hands back, except for a single larger one: about 2 ms of Redis's time.
pub const HAND_BACK_BYTES_MAX: usize = 256 * 1024;

/// Bytes that one dead entry holds in base64, which must also fit into one Redis string (512 MB): a larger payload is
/// buried in two entries. Both go in one command, which is below the gigabyte that Redis accepts from a client at once.
pub const BURIED_PART_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Largest payload, including its envelope, that is read to be buried: what Redis itself allows in one string.
pub const OVERSIZE_REPLY_BYTES_MAX: usize = 513 * 1024 * 1024;
