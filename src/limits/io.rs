//! Limits and defaults of the I/O that handlers do ([`crate::io`]) and of the threads alongside a shard.

use std::time::Duration;

// ---------------------------------------------------------------------------------------------------------------
// Streams and names
// ---------------------------------------------------------------------------------------------------------------

/// Bytes read from a stream at once: what hyper and tokio-postgres read into, and small enough for the stack.
pub const STREAM_CHUNK_BYTES: usize = 8 * 1024;

/// Sockets that the kernel reports at once, whose tasks then run before it is asked again: the cost of one call is
/// small by then, and what they touch still fits in the caches.
pub const READINESS_EVENTS_MAX: usize = 256;

/// Pause after the kernel failed to report which sockets are ready, for which lack of memory is the only reason.
pub const READINESS_PAUSE: Duration = Duration::from_millis(100);

/// Addresses of a name that are tried in turn, so that a long list of dead ones comes to an end.
pub const ADDRESSES_MAX: usize = 8;

/// Names whose addresses a core remembers.
pub const RESOLVED_NAMES_MAX: usize = 256;

/// How long the addresses of a name are trusted. The system's resolver does not say how long they are valid.
pub const RESOLVED_AGE_MAX: Duration = Duration::from_secs(30);

// ---------------------------------------------------------------------------------------------------------------
// HTTP
// ---------------------------------------------------------------------------------------------------------------

/// How long a connection may take to open, TLS included.
pub const HTTP_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take from its start to the last byte of its body.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer body in bytes that is kept in memory.
pub const HTTP_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest answer head in bytes; common servers send 8 KB at most, some cookies and tokens need more.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most connections of one client on one core: a machine has about 28,000 ports for one address.
pub const HTTP_CONNECTIONS_MAX: usize = 16 * 1024;

/// Requests that may wait for one of these connections.
pub const HTTP_WAITING_MAX: usize = 64 * 1024;

/// Idle connections a client keeps to one origin.
pub const HTTP_IDLE_PER_ORIGIN_MAX: usize = 256;

/// Idle connections a client keeps in total.
pub const HTTP_IDLE_MAX: usize = 1_024;

/// Connections opened concurrently ahead of time, so that they fit in the backlog of a server's listener.
pub const HTTP_WARM_UP_AT_ONCE: usize = 64;

/// How long an idle connection is kept: below the 60 s and 75 s after which common servers close theirs.
pub const HTTP_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

// ---------------------------------------------------------------------------------------------------------------
// PostgreSQL
// ---------------------------------------------------------------------------------------------------------------

/// Connections of one pool on one core. A server accepts 100 by default, so eight cores leave it some.
pub const POSTGRES_CONNECTIONS_MAX: usize = 10;

/// Connections opened concurrently ahead of time: the server starts a process for each.
pub const POSTGRES_WARM_UP_AT_ONCE: usize = 8;

/// Jobs that may wait for a connection of one pool.
pub const POSTGRES_WAITING_MAX: usize = 16 * 1024;

/// How long a job waits for a connection of the pool.
pub const POSTGRES_WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take to open, including TLS and authentication.
pub const POSTGRES_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may take to finish what a job left undone before its connection is given up.
pub const POSTGRES_SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept.
pub const POSTGRES_IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Prepared statements kept with a connection; each takes a few kilobytes of the server's memory.
pub const POSTGRES_STATEMENTS_MAX: usize = 256;

// ---------------------------------------------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------------------------------------------

/// Largest file in bytes that is read into memory as a whole.
pub const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes read or written at once for whole files: the memory it takes in addition to the file's bytes.
pub const FILE_PIECE_BYTES: usize = 1024 * 1024;

/// Bytes that appends to one file may collect while a write is in progress; further ones wait, except for a single
/// larger append. Twice this is the memory of a file.
pub const APPEND_BATCH_BYTES_MAX: usize = 1024 * 1024;

// ---------------------------------------------------------------------------------------------------------------
// Companions
// ---------------------------------------------------------------------------------------------------------------

/// Default number of companion threads per core. Blocking libraries mostly wait, so there are several; computing
/// gains nothing from more.
pub const COMPANION_THREADS: usize = 4;

/// The most companion threads per core.
pub const COMPANION_THREADS_MAX: usize = 512;

/// Jobs handed to the companions of a core and not finished; further ones wait on the shard, in order.
pub const COMPANION_QUEUE_JOBS_MAX: usize = 1_024;

/// Jobs that may wait on a shard for its companions: each holds a slot, and nobody gives a core more of those.
pub const COMPANION_WAITING_MAX: usize = 1024 * 1024;
