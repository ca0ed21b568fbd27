//! Limits on what is counted for metrics, and on the HTTP server that shows them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::LEASE;

mod pages;
pub use pages::*;

// ---------------------------------------------------------------------------------------------------------------
// Counting
// ---------------------------------------------------------------------------------------------------------------

/// Job names that are counted by name, the first in alphabetical order, so that all shards and processes of a program count
/// the same; all others are counted together. Prometheus keeps some 20 series of each.
pub const TALLY_CLASSES_MAX: usize = 500;

/// Pairs of queue and job name that one shard counts apart: 4 MB.
pub const TALLY_ROWS_MAX: usize = 2_048;

/// Questions how much a shard has counted that may be under way: one is, and a channel needs room for its end.
pub const COUNTS_MESSAGES_MAX: usize = 2;

/// How long the shards may take to answer. One that does not is held up by a job: its previous answer is shown.
pub const COUNTS_WAIT: Duration = Duration::from_millis(250);

// ---------------------------------------------------------------------------------------------------------------
// The server
// ---------------------------------------------------------------------------------------------------------------

/// Where `jiggler-uring web` serves unless it is told: the port that Ruby's exporters for job servers use.
pub const WEB_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9394);

/// Files that the server has open besides its connections: its rings, its sockets, its connections to Redis, of which each
/// act that is under way has two.
pub const WEB_FILES: usize = 16;

const _: () = assert!(WEB_FILES >= 12 + 2 * TASKS_RUNNING_MAX);

/// Connections that are open at the same time. Twenty scrapers, probes and people need fewer by far; a connection takes
/// some 20 KB. At the bound the one that has been without a request for longest makes room.
pub const WEB_CONNECTIONS_MAX: usize = 256;

/// Connections that wait in the kernel to be accepted.
pub const WEB_BACKLOG: i32 = 256;

/// How long a connection may take from being opened, or from one request, to the end of its next: slow clients are cut off.
pub const WEB_EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How often connections are looked through for such clients.
pub const WEB_SWEEP_PERIOD: Duration = Duration::from_secs(1);

/// Largest head of a request in bytes: browsers send less than 2 KB, and hyper's buffers are no smaller than this.
pub const WEB_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Most fields in the head of a request.
pub const WEB_HEADERS_MAX: usize = 64;

/// Pause after a connection could not be accepted, for lack of files or memory: the next attempt would fail as well.
pub const WEB_ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How old an answer may be that is given again: any number of scrapers cost what one does.
pub const WEB_ANSWER_AGE_MAX: Duration = Duration::from_millis(500);

/// Largest file of users and tokens in bytes: hundreds of lines.
pub const WEB_AUTH_BYTES_MAX: u64 = 64 * 1024;

/// Shortest bearer token in characters: 16 of base64 are 96 bits, beyond guessing over a network.
pub const WEB_TOKEN_CHARS_MIN: usize = 16;

/// Names and passwords that were found right and are not hashed again: a hash takes some 50 ms of the server's thread.
pub const WEB_KNOWN_USERS_MAX: usize = 64;

/// Longest path under which a proxy passes requests on, in bytes.
pub const WEB_PREFIX_BYTES_MAX: usize = 200;

/// How long after a wrong password no unknown one is looked at: guessing may not take the server's time, nor go fast.
pub const WEB_GUESS_PAUSE: Duration = Duration::from_secs(1);

/// Costs of bcrypt hashes that are accepted: a higher one would hold the server up for seconds at each new user.
pub const WEB_BCRYPT_COST_MAX: u32 = 12;

/// How long a lease may be without renewal before the process counts as not ready: others take its jobs from then on.
pub const READY_LEASE_AGE_MAX: Duration = LEASE;

/// How long an outage of Redis may last before a process counts as not ready: a restart of Redis should not take all
/// processes out of service.
pub const READY_OUTAGE_MAX: Duration = Duration::from_secs(3);

/// How long a probe waits for Redis to answer a PING before it reports what is known: less than the second that
/// orchestrators give a probe unless told otherwise.
pub const READY_PING_WAIT: Duration = Duration::from_millis(700);

/// How old the latest PING may be before a probe sends another: any number of askers cost Redis one command a second.
pub const READY_PING_AGE_MAX: Duration = Duration::from_secs(1);

// ---------------------------------------------------------------------------------------------------------------
// The fleet
// ---------------------------------------------------------------------------------------------------------------

/// How old the state of the fleet may be that is shown: a look costs Redis about a millisecond.
pub const FLEET_AGE_MAX: Duration = Duration::from_secs(2);

/// Looks of the first answer: the SCAN of a large database continues with the next.
pub const FLEET_FIRST_LOOKS_MAX: usize = 50;

/// Queues of which one call tells the next job: Redis is busy for some tenths of a millisecond.
pub const WAITS_QUEUES: usize = 100;

/// Bytes of such a job that are told: a payload without large arguments.
pub const WAITS_JOB_BYTES: usize = 4096;

/// Queues that are shown one by one, the longest.
pub const FLEET_QUEUES_MAX: usize = 1_000;
