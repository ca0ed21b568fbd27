//! Limits on how Redis is reached: TLS, sentinels, secrets in files.

use std::time::Duration;

/// Port of a sentinel whose url names none; Redis's default.
pub const SENTINEL_PORT_DEFAULT: u16 = 26_379;

/// The most sentinels a url may name. Nobody runs more than three or five; each that is down may cost a connect
/// time-out.
pub const SENTINELS_MAX: usize = 16;

/// Longest name under which sentinels watch a primary, in bytes: it appears in error texts and log lines.
pub const SENTINEL_PRIMARY_BYTES_MAX: usize = 128;

/// How long one sentinel may take to answer, not counting the connect. They hold their answer in memory; a sentinel
/// slower than this is skipped.
pub const SENTINEL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a port that failed as plain or TLS may take to prove that it is the other kind. If it is, it answers at
/// once; if not, this delays the error.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Largest file of certificates or keys that is read, in bytes: a whole system's bundle is a quarter of it.
pub const TLS_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// TLS settings that a thread keeps, so that files are re-read only if they have changed. One for each Redis that a
/// program talks to; beyond that the oldest is dropped.
pub const TLS_CONFIGS_KEPT_MAX: usize = 4;

/// Plain bytes that TLS accepts at once before the encrypted ones are written out: four records of the maximum size.
pub const TLS_SEND_BYTES: usize = 64 * 1024;

/// Longest password in a file, in bytes. Redis's own limit on an inline command is far higher, any real password far
/// shorter.
pub const SECRET_FILE_BYTES_MAX: u64 = 4 * 1024;

/// Slots of a Redis Cluster, fixed by Redis.
pub const CLUSTER_SLOTS: u16 = 16_384;

/// The most nodes a cluster url may name: they are asked for all others, and each that is down may cost a connect
/// time-out.
pub const CLUSTER_SEEDS_MAX: usize = 16;

/// The most nodes asked during one connect: those of the url, and those they name. A node that is out of date names a
/// primary that is gone; more than a few of these mean that there is none now.
pub const CLUSTER_NODES_ASKED_MAX: usize = 24;

/// The most primaries of a cluster that the command line looks at: Redis's own advice is a thousand nodes at most.
pub const CLUSTER_PRIMARIES_MAX: usize = 1_000;
