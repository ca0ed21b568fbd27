//! Every bound and every default of the engine, each with its reason.
//!
//! Every queue, buffer, batch, page, loop or reply that has a bound finds it here. Nothing else in the crate writes a
//! size or a period as a bare number. Names end in their unit; a [`Duration`] needs none.

use std::time::Duration;

mod balance;
mod clients;
mod cron;
mod fleet;
mod handlers;
mod held;
pub mod io;
mod operate;
mod outage;
mod put_back;
mod queues;
mod redis;
mod register;
mod ruby;
pub mod runner;
mod sidekiq;
mod start;
mod stop;
mod unknown;
mod web;

pub use balance::*;
pub use clients::*;
pub use cron::*;
pub use fleet::*;
pub use handlers::*;
pub use held::*;
pub use operate::*;
pub use outage::*;
pub use put_back::*;
pub use queues::*;
pub use redis::*;
pub use register::*;
pub use ruby::*;
pub use sidekiq::*;
pub use start::*;
pub use stop::*;
pub use unknown::*;
pub use web::*;

// ---------------------------------------------------------------------------------------------------------------
// Payloads
// ---------------------------------------------------------------------------------------------------------------

/// Largest payload, in bytes, passed to a handler; a larger one goes to the dead set with its bytes.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Deepest nesting of arrays and objects in a payload, the payload object itself being level 1. The gem runs payloads this
/// deep. A type that recurses over one has 4 KB of a 2 MB stack for each level.
pub const PAYLOAD_DEPTH_MAX: usize = 512;

/// Payload size in bytes up to which a parser keeps its buffers, which take up to six times as much: after a larger
/// payload they are released rather than held forever.
pub const PARSER_KEEP_BYTES: usize = 64 * 1024;

/// Nodes (values and keys, 24 bytes each) up to which a parser keeps its tape. In a payload of numbers, a node takes
/// as little as two bytes, so this is the tape of any payload of [`PARSER_KEEP_BYTES`].
pub const PARSER_KEEP_NODES: usize = PARSER_KEEP_BYTES;

/// Longest `error_message` stored with a failed job, in characters. The gem's own limit.
pub const ERROR_MESSAGE_CHARS_MAX: usize = 10_000;

/// Longest queue name in bytes: names are part of keys, of the heartbeat key and of log lines.
pub const QUEUE_NAME_BYTES_MAX: usize = 128;

/// Most retries a job may ask for. The delay of retry n is n⁴ + 15 s: number 1,000 would wait 31,700 years.
pub const RETRIES_MAX: u32 = 1_000;

/// Longest pause before a retry or the next run of a snoozed job: ten years, as for `enqueue --in`. The gem's own
/// formula exceeds it from retry 134 on.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The most a pause before a retry is lengthened by, as a fraction of it, unless the job's policy says otherwise:
/// enough to spread the jobs that failed together (16 s become 16 to 17.6 s), and never shorter than the gem's own
/// pause.
pub const RETRY_JITTER: f64 = 0.1;

/// Minimum difference between the stamps of two jobs that one shard settles, in seconds. Members of a set that differ
/// only in their times stay distinct: at today's values, the smallest step of a float is a quarter of this.
pub const STAMP_STEP_S: f64 = 1e-6;

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

/// Largest reply in bytes that a connection accepts: a whole batch including one payload of the maximum size.
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Deepest nesting of arrays in a reply. Our scripts reply with three levels; the parser recurses once per level.
pub const REPLY_DEPTH_MAX: usize = 8;

/// Maximum number of elements in all arrays of one reply together: the largest page or batch requested, with room to
/// spare. Counted together, since nesting would multiply a limit on each.
pub const REPLY_ELEMENTS_MAX: usize = 1_000_000;

/// Longest line in a reply (simple string, error, length), in bytes. Redis's own errors are far shorter.
pub const REPLY_LINE_BYTES_MAX: usize = 64 * 1024;

/// Longest number in a reply (integer or length), in bytes: a sign and the 19 digits of an `i64`.
pub const REPLY_NUMBER_BYTES_MAX: usize = 20;

/// Memory a connection keeps for reading when idle, in bytes; the memory of a larger one-off reply is released. Four
/// full reads.
pub const REPLY_BUFFER_KEEP_BYTES: usize = 4 * READ_CHUNK_BYTES;

/// Memory a buffer of commands keeps for later commands, in bytes; larger buffers are released when cleared.
pub const REQUEST_BUFFER_KEEP_BYTES: usize = 256 * 1024;

/// Room for one number in a command, in bytes: 20 digits and a sign, or a float in its shortest form, which has at
/// most 24 characters.
pub const REQUEST_NUMBER_BYTES_MAX: usize = 32;

/// Port of a `redis://` url that names none; Redis's default.
pub const REDIS_PORT_DEFAULT: u16 = 6379;

/// Longest path of a unix socket in bytes: `sun_path` has 108 with the terminating zero.
pub const UNIX_SOCKET_PATH_BYTES_MAX: usize = 107;

/// Bytes of a value that Debug and error texts show: enough to recognise it, without logging a whole payload.
pub const DEBUG_BYTES_MAX: usize = 64;

/// Commands that may be waiting for their replies on one connection.
pub const PIPELINE_COMMANDS_MAX: usize = 100_000;

/// Bytes read from a socket at once. A batch of 500 payloads of 100 bytes fits into one read.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;

/// How long a connection attempt may take, including the handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the kernel may try to connect over TCP before a new attempt is better. It repeats a lost SYN after 1 s
/// and then after 2, 4, ... more: the longer a host was away, the later it would be found, and not within 2 s.
pub const TCP_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long Redis may take to answer a non-blocking call before the connection is given up as hung.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

// ---------------------------------------------------------------------------------------------------------------
// Shards
// ---------------------------------------------------------------------------------------------------------------

/// Maximum number of jobs one turn fetches. A script costs Redis 3-4 µs per call, so beyond a few hundred jobs
/// nothing is gained, while a crash re-runs at most one batch. Far below what Lua can unpack (about 8,000).
pub const BATCH_JOBS_MAX: usize = 500;

/// Maximum bytes of payload one turn fetches, except for a single larger payload. Redis copies them three times: 1
/// MiB occupies it for about 3 ms, and more in one turn only overflows its caches (perf/runs/2026-12-01-payloads).
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The share of these bytes a shard asks for: Redis reports how much memory a batch takes, up to a quarter more than
/// its payloads.
pub const BATCH_BYTES_FIT: f64 = 0.75;

/// Number of queues up to which a turn reads what it fetched from the batch lists, with one command each. An empty
/// list costs Redis about 0.3 µs, so beyond this it is cheaper to pass the payloads through the script.
pub const QUEUES_READ_FROM_LISTS_MAX: usize = 16;

/// Turns of one shard that Redis may have at once when there is a backlog: one it is working on and one that is ready
/// next, so that neither side waits for the other to wake up.
pub const TURNS_IN_FLIGHT_MAX: usize = 2;

/// Maximum number of jobs a shard holds unstarted: one running batch and those in flight.
pub const READ_AHEAD_JOBS_MAX: usize = (1 + TURNS_IN_FLIGHT_MAX) * BATCH_JOBS_MAX;

/// How soon a read-ahead job must be likely to start, in at-least-once mode (P8).
pub const READ_AHEAD_HORIZON: Duration = Duration::from_millis(4);

/// The same in at-most-once mode: a crash loses what was read ahead, so only what starts at once is.
pub const READ_AHEAD_AT_MOST_ONCE: Duration = Duration::from_millis(1);

/// How long an unstarted job may be held while every slot is taken, before it is handed back (P8).
pub const UNSTARTED_HOLD: Duration = Duration::from_millis(20);

/// A fetch that brings this many jobs, or all it asked for, makes the shard expect more.
pub const BACKLOG_JOBS_MIN: usize = 16;

/// How long an ack waits for a fetch to travel with, when the shard is otherwise idle.
pub const ACK_DELAY: Duration = Duration::from_millis(1);

/// How long the acks of a batch wait for its slowest job before they are sent one by one: a crash re-runs that much.
pub const STRAGGLER_DELAY: Duration = Duration::from_millis(5);

/// How long jobs that do not wait may run back to back before the shard's other tasks get their turn.
pub const RUN_SLICE: Duration = Duration::from_millis(10);

/// Futures of one handler whose memory is kept for later ones.
pub const IDLE_FUTURES_MAX: usize = 64;

/// Batches reconciled in one round trip after a lost connection.
pub const RECONCILE_CALLS_MAX: usize = 64;

/// Bytes a waiting connection reads at once; there is one per queue and shard, and it brings one job at a time.
pub const WAIT_CHUNK_BYTES: usize = 8 * 1024;

/// Shortest time one blocking call waits in Redis.
pub const WAIT_TIME_MIN: Duration = Duration::from_secs(20);

/// Commands per second that all waiting connections of an idle process may send together, in the time above.
pub const WAIT_COMMANDS_PER_SECOND_MAX: f64 = 0.1;

/// Pause after an error on a waiting connection, so that a server that always answers at once does not make it spin.
pub const WAIT_ERROR_PAUSE: Duration = Duration::from_millis(500);

/// How often a blocked connection is asked to end its wait before its socket is shut down instead.
pub const UNBLOCK_TRIES_MAX: usize = 50;

/// Pause between two of these attempts.
pub const UNBLOCK_PAUSE: Duration = Duration::from_millis(1);

/// Messages between control and one shard that may be waiting: a handful in a process's life, cancellations, and which
/// queues have jobs.
pub const MESH_MESSAGES_MAX: usize = 32;

/// How often control and shards check whether the other has connected while the process starts.
pub const MESH_CONNECT_PAUSE: Duration = Duration::from_millis(1);

/// A connection with no incoming data for this long is probed by the kernel, then again at this interval until it
/// is given up.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

// ---------------------------------------------------------------------------------------------------------------
// Control
// ---------------------------------------------------------------------------------------------------------------

/// How long a process counts as alive after its last renewal, by Redis's clock. With reapers checking every few
/// seconds, a killed process's jobs run again within 30 s (P3).
pub const LEASE: Duration = Duration::from_secs(20);

/// Time between two renewals: three may fail before the lease ends.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(5);

/// How much a heartbeat key outlives its interval. The gem's own allowance.
pub const HEARTBEAT_TTL_EXTRA: Duration = Duration::from_secs(180);

/// How long unchanged figures may go unwritten; shorter than their time to live.
pub const FIGURES_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Time between two checks that the shards make progress: no more often than the lease is renewed.
pub const WATCH_PERIOD: Duration = LEASE_RENEWAL;

/// How long an executor may go without turning before it counts as stalled. Long for a handler that should have
/// awaited, short compared to what would alert an operator.
pub const STALLED_AFTER: Duration = Duration::from_secs(5);

/// Bytes control reads at once: status lines and small integers.
pub const CONTROL_CHUNK_BYTES: usize = 4 * 1024;

/// Memory glommio registers with each ring for direct file access, which shards do not use: its minimum. The default
/// of 10 MiB is touched at start and would be most of the process's resident size.
pub const EXECUTOR_IO_BYTES: usize = 64 * 1024;

/// How long an executor may run tasks that wake themselves before it checks its ring. Long, because an executor whose
/// thread loses its core for this long at a certain point falls asleep despite runnable tasks; see
/// [`EXECUTOR_PULSE`].
pub const EXECUTOR_PREEMPT: Duration = Duration::from_millis(500);

/// Period of each timer that ends an executor's undue sleep.
pub const EXECUTOR_PULSE: Duration = Duration::from_secs(1);

/// Number of these timers, evenly spread over the period. An undue sleep, which begins only when the kernel has kept
/// the thread off its core for [`EXECUTOR_PREEMPT`], lasts that long again, or longer if several ticks in a row are
/// swallowed. Each wake-up costs about 70 µs, in this executor and in two more with two cores: four per second were
/// most of what an idle process used.
pub const EXECUTOR_PULSES: u32 = 2;

/// How often a starting process checks whether all its shards work, to notify its service manager; also the shortest
/// time between two signs of life, however impatient the manager.
pub const NOTIFY_LOOK: Duration = Duration::from_millis(100);

/// How much longer than its timeout a stop may take, as announced to the service manager: the shards' grace,
/// farewell, the private Redis.
pub const NOTIFY_STOP_EXTRA: Duration = Duration::from_secs(30);

// ---------------------------------------------------------------------------------------------------------------
// Client and summary
// ---------------------------------------------------------------------------------------------------------------

/// Maximum number of jobs in one variadic push. At about 0.2 µs each, Redis is busy for 0.2 ms, no longer than for a
/// fetch.
pub const PUSH_JOBS_MAX: usize = 1_000;

/// Payload bytes after which a variadic push is sent: more saves no time, and Redis holds the command in memory.
pub const PUSH_BYTES_MAX: usize = 1024 * 1024;

/// Batches of one bulk that may be in flight at once: one that Redis works on, one that is ready next, and two more
/// for the time a sleeping side takes to wake. When a connection is lost, this many batches are in doubt.
pub const BULK_BATCHES_IN_FLIGHT_MAX: usize = 4;

/// Longest job id in bytes that a caller may choose; ours have 16. Ids appear in log lines.
pub const JID_BYTES_MAX: usize = 256;

/// Keys examined by one SCAN call: about 0.3 ms of Redis's time.
pub const SCAN_PAGE_KEYS: u64 = 1_000;

/// Most queues, or processes, that a summary lists. Each is a few hundred bytes here.
pub const SURVEY_KEYS_MAX: usize = 100_000;

/// Heartbeats read at once: with a hundred busy jobs of 1 KB in each, a reply has 10 MB.
pub const SURVEY_HEARTBEATS_PER_CALL: usize = 100;

/// Queue lengths read at once.
pub const SURVEY_QUEUES_PER_CALL: usize = 1_000;

// ---------------------------------------------------------------------------------------------------------------
// Recovery and due jobs
// ---------------------------------------------------------------------------------------------------------------

/// Dead processes reported by one lease renewal; the others come with the next ones.
pub const DEAD_PROCESSES_MAX: usize = 16;

/// Members of the lease set not written by our processes that a process remembers, to report each once and skip it
/// afterwards. With more of them, processes that died after those entries ran out wait for an operator.
pub const UNKNOWN_LEASES_MAX: usize = 256;

/// How often a job is put back after the process that had it in flight died. At the next death it goes to the dead
/// set as poison (P4).
pub const RECOVERIES_MAX: u64 = 3;

/// After this many recoveries, a job is put back separately from others, so that jobs that merely happened to be near
/// it when a process died are done before it kills again, and do not share its fate.
pub const SUSPECT_RECOVERIES: u64 = 1;

/// How long a job's recoveries are remembered after the last one: a job that runs for a day must not start from zero
/// each time. Each is a key of about 150 bytes.
pub const RECOVERIES_MEMORY: Duration = Duration::from_secs(72 * 3600);

/// Longest pause between two suspects.
pub const SUSPECT_PAUSE_MAX: Duration = Duration::from_millis(500);

/// The maximum time putting back the suspects of one process takes, however many there are: P3 allows 30 s in total,
/// of which the lease and its discovery take up to 25 s.
pub const SUSPECTS_TIME_MAX: Duration = Duration::from_secs(4);

/// Suspects released in one round trip when there are so many that each has less than a millisecond.
pub const SUSPECTS_PER_CALL_MAX: usize = 1_000;

/// How long the fence of a reaped shard stays: nothing stops a process that was paused for longer. Each fence is two
/// short keys per queue.
pub const FENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the fence of a shard that ended cleanly stays: what is still in flight on a connection it gave up can
/// arrive later than that only through a server that was stopped for so long. Each is two short keys per queue, and
/// deploys make many.
pub const LEFT_FENCE: Duration = Duration::from_secs(3_600);

/// Shards and queues a lease may name: no process of ours exceeds these ([`CORES_MAX`], [`QUEUES_MAX`]). A lease that
/// names more was not written by us and is left alone.
pub const LEASE_SHARDS_MAX: usize = CORES_MAX;

/// Due jobs moved from each set by one script call: about 2 ms of Redis's time with short payloads.
pub const DUE_JOBS_MAX: usize = 500;

/// Bytes of payload moved from each set by that call, except for a single larger one: about 2 ms of Redis's time. More in
/// one call saves nothing, since a call itself costs about 0.03 ms.
pub const DUE_BYTES_MAX: usize = 256 * 1024;

/// Maximum number of due jobs read at once by that call, which starts with one: this many payloads may be read in
/// vain, beyond the bytes allowed. Pages of 16 cost Redis a fifth more per job, one of 500 hardly less.
pub const DUE_PAGE_JOBS: usize = 50;

/// The most a poll interval is shortened by at random, so that many processes do not check at the same moment.
pub const POLL_JITTER: f64 = 0.2;

/// Shortest time between two checks of the sets, unless more is already due: at most 100 checks a second, however
/// fast others add jobs or the clock jumps. In the worst case a job is moved this much too late.
pub const DUE_PAUSE_MIN: Duration = Duration::from_millis(10);

/// Longest time between two checks by a leader that is notified of changes: should that fail, no job is later.
pub const DUE_LOOK_MAX: Duration = Duration::from_secs(60);

/// Longest time between two renewals of the pollers' lead. The lead lasts for two of them and [`LEAD_SLACK`]: one may
/// fail. While nobody leads, each process moves due jobs at its own checks, a poll interval apart. So a lead that
/// outlives its process costs the others precision for that long, and nothing else; each renewal is a command.
pub const LEAD_RENEWAL: Duration = Duration::from_secs(20);

/// Poll intervals between two renewals of the lead, if that is shorter.
pub const LEAD_POLLS: u32 = 4;

/// How much longer than two renewals the lead lasts: one slow call.
pub const LEAD_SLACK: Duration = Duration::from_secs(1);

/// How soon a due job whose queue's key is not a list is due again: later than others, so as not to take their turns.
pub const DUE_AGAIN: Duration = Duration::from_secs(60);
