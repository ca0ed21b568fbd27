//! Bounds of how Redis is reached: TLS, sentinels, secrets in files.

use std::time::Duration;

/// Port of a sentinel whose url names none. Redis's own.
pub const SENTINEL_PORT_DEFAULT: u16 = 26_379;

/// Most sentinels a url may name. Three or five are what anyone runs; each that is down may cost a connect time-out.
pub const SENTINELS_MAX: usize = 16;

/// Longest name under which sentinels watch a primary, in bytes: it is part of error texts and log lines.
pub const SENTINEL_PRIMARY_BYTES_MAX: usize = 128;

/// How long one sentinel may take to answer, besides the connect. They hold their answer in memory; a sentinel that
/// is slower than this is passed over.
pub const SENTINEL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a port that failed as one of the other kind does, plain or TLS, may take to prove it. It answers at once if it
/// is one, and if not this delays the error.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Largest file of certificates or keys that is read, in bytes: the bundle of a whole system has a quarter of it.
pub const TLS_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Settings of TLS that a thread keeps, so that files are read again only if they have changed. One for each Redis that a
/// program speaks to; beyond that the oldest is dropped.
pub const TLS_CONFIGS_KEPT_MAX: usize = 4;

/// Plain bytes that TLS takes at once before what they became is written out: four records of the largest size.
pub const TLS_SEND_BYTES: usize = 64 * 1024;

/// Longest password in a file, in bytes. Redis's own limit on an inline command is far above, any real password far
/// below.
pub const SECRET_FILE_BYTES_MAX: u64 = 4 * 1024;

/// Slots of a Redis Cluster. Redis's own.
pub const CLUSTER_SLOTS: u16 = 16_384;

/// Most nodes a url of a cluster may name: they are asked for all others, and each that is down may cost a connect time-out.
pub const CLUSTER_SEEDS_MAX: usize = 16;

/// Most nodes that are asked at one connect: those of the url, and those they name. A node that is behind the times names a
/// primary that is gone; more than a few of these say that there is none now.
pub const CLUSTER_NODES_ASKED_MAX: usize = 24;

/// Most primaries of a cluster that the command line looks at: Redis's own advice is a thousand nodes at most.
pub const CLUSTER_PRIMARIES_MAX: usize = 1_000;
