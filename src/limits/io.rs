//! Bounds and defaults of the I/O that handlers do ([`crate::io`]) and of the threads beside a shard.

use std::time::Duration;

// ---------------------------------------------------------------------------------------------------------------
// Streams and names
// ---------------------------------------------------------------------------------------------------------------

/// Bytes read from a stream at once: what hyper and tokio-postgres read into, and little enough for the stack.
pub const STREAM_CHUNK_BYTES: usize = 8 * 1024;

/// Sockets that the kernel is asked about at once, whose tasks then run before it is asked again: what one call costs is
/// little by then, and what they touch still fits the caches.
pub const READINESS_EVENTS_MAX: usize = 256;

/// Pause after the kernel refused to say which sockets are ready, which it has no reason for but a want of memory.
pub const READINESS_PAUSE: Duration = Duration::from_millis(100);

/// Addresses of a name that are tried one after the other, so that a long list of dead ones ends.
pub const ADDRESSES_MAX: usize = 8;

/// Names a core remembers the addresses of.
pub const RESOLVED_NAMES_MAX: usize = 256;

/// How long the addresses of a name are believed. The system's resolver does not say how long they are valid.
pub const RESOLVED_AGE_MAX: Duration = Duration::from_secs(30);

// ---------------------------------------------------------------------------------------------------------------
// HTTP
// ---------------------------------------------------------------------------------------------------------------

/// How long a connection may take to open, TLS included.
pub const HTTP_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take from its start to the last byte of its body.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest body of an answer in bytes that is kept in memory.
pub const HTTP_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest head of an answer in bytes; common servers send 8 KB at most, some cookies and tokens need more.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most connections of one client, one core: ports to one address are some 28,000 on a machine.
pub const HTTP_CONNECTIONS_MAX: usize = 16 * 1024;

/// Requests that may wait for one of these connections.
pub const HTTP_WAITING_MAX: usize = 64 * 1024;

/// Idle connections a client keeps to one origin.
pub const HTTP_IDLE_PER_ORIGIN_MAX: usize = 256;

/// Idle connections a client keeps in all.
pub const HTTP_IDLE_MAX: usize = 1_024;

/// Connections opened side by side ahead of time, so that the backlog of a server's listener holds them.
pub const HTTP_WARM_UP_AT_ONCE: usize = 64;

/// How long an idle connection is kept: below the 60 s and 75 s after which common servers close theirs.
pub const HTTP_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

// ---------------------------------------------------------------------------------------------------------------
// PostgreSQL
// ---------------------------------------------------------------------------------------------------------------

/// Connections of one pool, one core. A server takes 100 by default, so eight cores leave it some.
pub const POSTGRES_CONNECTIONS_MAX: usize = 10;

/// Connections opened side by side ahead of time: the server starts a process for each.
pub const POSTGRES_WARM_UP_AT_ONCE: usize = 8;

/// Jobs that may wait for a connection of one pool.
pub const POSTGRES_WAITING_MAX: usize = 16 * 1024;

/// How long a job waits for a connection of the pool.
pub const POSTGRES_WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may take to open, TLS and authentication included.
pub const POSTGRES_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may take to end what a job left undone before its connection is given up.
pub const POSTGRES_SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection is kept.
pub const POSTGRES_IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// Prepared statements kept with a connection; each takes some kilobytes of the server's memory.
pub const POSTGRES_STATEMENTS_MAX: usize = 256;

// ---------------------------------------------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------------------------------------------

/// Largest file in bytes that is read into memory as a whole.
pub const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes read or written at once when a whole file is: what it takes beside the file's bytes.
pub const FILE_PIECE_BYTES: usize = 1024 * 1024;

/// Bytes that appends to one file may gather while a write is under way; further ones wait,
/// a single larger append excepted. Twice this is the memory of a file.
pub const APPEND_BATCH_BYTES_MAX: usize = 1024 * 1024;

// ---------------------------------------------------------------------------------------------------------------
// Companions
// ---------------------------------------------------------------------------------------------------------------

/// Companion threads of a core unless the program says otherwise. Blocking libraries mostly wait, so there are several;
/// computing gains nothing from more.
pub const COMPANION_THREADS: usize = 4;

/// Most companion threads of a core.
pub const COMPANION_THREADS_MAX: usize = 512;

/// Jobs handed to the companions of a core and not done; further ones wait on the shard, in order.
pub const COMPANION_QUEUE_JOBS_MAX: usize = 1_024;

/// Jobs that may wait on a shard for its companions: each holds a slot, and nobody gives a core more of those.
pub const COMPANION_WAITING_MAX: usize = 1024 * 1024;
