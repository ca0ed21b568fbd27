//! Every bound and every default of the engine, each with its reason.
//!
//! A queue, buffer, batch, page, loop or reply that has a bound finds it here. Nothing else in the crate spells a
//! size or a period as a bare number. Names end in their unit; a [`Duration`] needs none.

use std::time::Duration;

mod clients;
mod fleet;
mod handlers;
mod held;
pub mod io;
mod operate;
mod redis;
mod ruby;
mod start;
mod stop;

pub use clients::*;
pub use fleet::*;
pub use handlers::*;
pub use held::*;
pub use operate::*;
pub use redis::*;
pub use ruby::*;
pub use start::*;
pub use stop::*;

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

/// Longest pause before a retry or a snoozed job's next run: ten years, as for `enqueue --in`. The gem's own formula
/// exceeds it from retry 134 on.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What a pause before a retry is longer at most, as a fraction of it, unless the job's policy says otherwise: enough to
/// take the jobs that failed together apart (16 s become 16 to 17.6 s), and never less than the gem's own pause.
pub const RETRY_JITTER: f64 = 0.1;

/// Time between the stamps of two jobs that one shard settles, at least, in seconds. Members of a set that differ in
/// nothing but their times stay two: of a float of today's size the smallest step is a quarter of this.
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

/// How long the kernel may try to connect over TCP before another attempt is better. It repeats a lost SYN after 1 s and
/// then after 2, 4, ... more: a host that was away would be found the later the longer it was away, and not within 2 s.
pub const TCP_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long Redis may take to answer a call that does not block, before the connection is given up as hung.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// First pause before a reconnect; it doubles up to [`RECONNECT_PAUSE_MAX`], each time with full jitter.
pub const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause before a reconnect: consumption must be back within 2 s of Redis's return.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(1_000);

// ---------------------------------------------------------------------------------------------------------------
// Shards
// ---------------------------------------------------------------------------------------------------------------

/// Most jobs one turn fetches. A script costs Redis 3-4 µs a call, so beyond some hundreds nothing is gained, while a
/// crash re-runs a batch at most. Far below what Lua can unpack (some 8,000).
pub const BATCH_JOBS_MAX: usize = 500;

/// Most bytes of payload one turn fetches, a single larger payload excepted. Redis copies them three times: 1 MiB
/// holds it for some 3 ms, and more in one turn only leaves its caches (perf/runs/2026-12-01-payloads).
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// What of these bytes a shard asks for: Redis tells how much memory a batch takes, up to a quarter more than its payloads.
pub const BATCH_BYTES_FIT: f64 = 0.75;

/// Queues up to which a turn reads what it fetched from the batch lists, each by a command of its own. An empty one costs
/// Redis some 0.3 µs, so beyond this it is cheaper to hand the payloads through the script.
pub const QUEUES_READ_FROM_LISTS_MAX: usize = 16;

/// Turns of one shard that Redis may have at once, when there is a backlog: one it works on and one it finds next, so that
/// neither side waits for the other's wake-up.
pub const TURNS_IN_FLIGHT_MAX: usize = 2;

/// Most jobs a shard holds unstarted: one batch that runs and those on their way.
pub const READ_AHEAD_JOBS_MAX: usize = (1 + TURNS_IN_FLIGHT_MAX) * BATCH_JOBS_MAX;

/// How soon a job that is read ahead must be likely to start, at least once (P8).
pub const READ_AHEAD_HORIZON: Duration = Duration::from_millis(4);

/// The same, at most once: a crash loses what is read ahead, so it is what starts at once.
pub const READ_AHEAD_AT_MOST_ONCE: Duration = Duration::from_millis(1);

/// How long an unstarted job may be held while every slot is taken, before it is handed back (P8).
pub const UNSTARTED_HOLD: Duration = Duration::from_millis(20);

/// A fetch that brings this many jobs, or all it asked for, makes the shard expect more.
pub const BACKLOG_JOBS_MIN: usize = 16;

/// How long an ack waits for a fetch to travel with, when the shard is otherwise idle.
pub const ACK_DELAY: Duration = Duration::from_millis(1);

/// How long the acks of a batch wait for its slowest job, before they are sent one by one: a crash runs that much again.
pub const STRAGGLER_DELAY: Duration = Duration::from_millis(5);

/// How long jobs that do not wait may run one after the other before the shard's other tasks get their turn.
pub const RUN_SLICE: Duration = Duration::from_millis(10);

/// Futures of one handler whose memory is kept for the next ones.
pub const IDLE_FUTURES_MAX: usize = 64;

/// Batches reconciled in one round trip after a lost connection.
pub const RECONCILE_CALLS_MAX: usize = 64;

/// Bytes a waiting connection reads at once; there is one per queue and shard, and it brings one job at a time.
pub const WAIT_CHUNK_BYTES: usize = 8 * 1024;

/// Shortest time one blocking call waits in Redis.
pub const WAIT_TIME_MIN: Duration = Duration::from_secs(20);

/// Commands per second that all waiting connections of an idle process may send together, for the time above.
pub const WAIT_COMMANDS_PER_SECOND_MAX: f64 = 0.1;

/// Pause after an error of a waiting connection, so that one that answers at once, each time, does not spin.
pub const WAIT_ERROR_PAUSE: Duration = Duration::from_millis(500);

/// How often a blocked connection is asked to end its wait before its socket is shut down instead.
pub const UNBLOCK_TRIES_MAX: usize = 50;

/// Pause between two of these.
pub const UNBLOCK_PAUSE: Duration = Duration::from_millis(1);

/// Largest payload, with its envelope, that is read to be buried: what Redis itself allows in one string. Its base64 must
/// fit there too, so above 384 MB a payload cannot be buried and stays in flight.
pub const OVERSIZE_REPLY_BYTES_MAX: usize = 513 * 1024 * 1024;

/// Messages between control and one shard that may wait: a handful in a process's life, and cancellations.
pub const MESH_MESSAGES_MAX: usize = 32;

/// How often control and shards look whether the other has connected, while the process starts.
pub const MESH_CONNECT_PAUSE: Duration = Duration::from_millis(1);

/// A connection over which nothing came for so long is probed by the kernel, and as often again until it is given up.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);

// ---------------------------------------------------------------------------------------------------------------
// Control
// ---------------------------------------------------------------------------------------------------------------

/// How long a process is believed alive after its last renewal, by Redis's clock. With reapers that look every few
/// seconds a killed process's jobs run again within 30 s (P3).
pub const LEASE: Duration = Duration::from_secs(20);

/// Time between two renewals: three may fail before the lease ends.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(5);

/// What a heartbeat key outlives its interval by. The gem's own allowance.
pub const HEARTBEAT_TTL_EXTRA: Duration = Duration::from_secs(180);

/// How long figures that do not change may stay unwritten; below their time to live.
pub const FIGURES_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Time between two looks at whether the shards make progress: no more often than the lease is renewed.
pub const WATCH_PERIOD: Duration = LEASE_RENEWAL;

/// How long an executor may not turn before it counts as stalled. Long for a handler that should have awaited, short
/// against what would make an operator look.
pub const STALLED_AFTER: Duration = Duration::from_secs(5);

/// Bytes control reads at once: status lines and small integers.
pub const CONTROL_CHUNK_BYTES: usize = 4 * 1024;

/// Memory glommio registers with each ring for direct file access, which shards do not use: its minimum. The default of
/// 10 MiB is touched at start and would be most of the process's resident size.
pub const EXECUTOR_IO_BYTES: usize = 64 * 1024;

/// How long an executor may run tasks that wake themselves before it looks at its ring. Long, because an executor whose
/// thread loses its core for so long at a certain place falls asleep over tasks that could run; see [`EXECUTOR_PULSE`].
pub const EXECUTOR_PREEMPT: Duration = Duration::from_millis(500);

/// Period of each of the timers that end an executor's sleep which it should not have begun.
pub const EXECUTOR_PULSE: Duration = Duration::from_secs(1);

/// How many of these there are, evenly spread over the period: an undue sleep, which begins only when the kernel has kept
/// the thread from its core for [`EXECUTOR_PREEMPT`], lasts as long again, or longer if several are swallowed in a
/// row. Each wake-up costs some 70 µs, in this and in two more executors with two cores: four a second were most of
/// what an idle process used.
pub const EXECUTOR_PULSES: u32 = 2;

/// Largest argument the built-in `Fib` takes: some seconds of computing.
pub const FIB_MAX: u64 = 45;

/// Longest the built-in `Sleep` sleeps: a day.
pub const SLEEP_SECONDS_MAX: f64 = 24.0 * 3600.0;

/// How often a process that starts looks whether all its shards work, to tell its service manager; and its shortest time
/// between two signs of life, however short the manager's patience.
pub const NOTIFY_LOOK: Duration = Duration::from_millis(100);

/// What a stop may take beyond its timeout, as the service manager is told: the shards' grace, farewell, the private Redis.
pub const NOTIFY_STOP_EXTRA: Duration = Duration::from_secs(30);

// ---------------------------------------------------------------------------------------------------------------
// Client and summary
// ---------------------------------------------------------------------------------------------------------------

/// Most jobs in one variadic push. At some 0.2 µs each Redis is away for 0.2 ms, no longer than for a fetch.
pub const PUSH_JOBS_MAX: usize = 1_000;

/// Payload bytes after which a variadic push is sent: more saves no time, and Redis holds the command in memory.
pub const PUSH_BYTES_MAX: usize = 1024 * 1024;

/// Batches of one bulk that may be on their way at once: one that Redis works on, one it finds next, and two more for the
/// time that a sleeping side takes to wake. When a connection is lost, so many batches are in doubt.
pub const BULK_BATCHES_IN_FLIGHT_MAX: usize = 4;

/// Longest job id in bytes that a caller may choose; our own have 16. Ids are part of log lines.
pub const JID_BYTES_MAX: usize = 256;

/// Keys that one SCAN call looks at: some 0.3 ms of Redis's time.
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

/// Dead processes a lease renewal names at once; the others come with the next ones.
pub const DEAD_PROCESSES_MAX: usize = 16;

/// Members of the lease set that no process of ours wrote which a process remembers, to say each once and to look past
/// them. Beyond that many, those dead for less long than they wait for an operator.
pub const UNKNOWN_LEASES_MAX: usize = 256;

/// How often a job is put back after the process that had it in flight died. At the next death it goes to the dead set as
/// poison (P4).
pub const RECOVERIES_MAX: u64 = 3;

/// After so many recoveries a job is put back apart from others, so that those who merely were near it when a process died
/// are done before it kills again, and do not share its fate.
pub const SUSPECT_RECOVERIES: u64 = 1;

/// How long a job's recoveries are remembered after the last one: a job that runs for a day must not start at none again
/// each time. Each is a key of some 150 bytes.
pub const RECOVERIES_MEMORY: Duration = Duration::from_secs(72 * 3600);

/// Longest pause between two suspects.
pub const SUSPECT_PAUSE_MAX: Duration = Duration::from_millis(500);

/// How long putting back the suspects of one process takes at most, however many there are: P3 allows 30 s in all, of which
/// the lease and its discovery take up to 25 s.
pub const SUSPECTS_TIME_MAX: Duration = Duration::from_secs(4);

/// Suspects freed in one round trip, when there are so many that each has less than a millisecond.
pub const SUSPECTS_PER_CALL_MAX: usize = 1_000;

/// How long the fence of a reaped shard stays: a process that was paused for longer finds nothing that stops it. Each
/// fence is two short keys a queue.
pub const FENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the fence of a shard that ended in order stays: what is still under way in a connection that it gave up comes
/// later only through a server that was stopped for so long. Each is two short keys a queue, and deploys make many.
pub const LEFT_FENCE: Duration = Duration::from_secs(3_600);

/// Shards and queues a lease may name: what no process of ours exceeds ([`CORES_MAX`], [`QUEUES_MAX`]). A lease that names
/// more was not written by us and is left alone.
pub const LEASE_SHARDS_MAX: usize = CORES_MAX;

/// Due jobs moved from each set by one script call: some 2 ms of Redis's time with short payloads.
pub const DUE_JOBS_MAX: usize = 500;

/// Bytes of payload moved from each set by that call, a single larger one excepted: some 5 ms of Redis's time.
pub const DUE_BYTES_MAX: usize = 1024 * 1024;

/// Most due jobs read at once by that call, which begins with one: so many payloads may be read in vain, beyond the
/// bytes allowed. Pages of 16 cost Redis a fifth more for each job, one of 500 hardly less.
pub const DUE_PAGE_JOBS: usize = 50;

/// How much of a poll interval is cut short at random, at most, so that many processes do not look at one moment.
pub const POLL_JITTER: f64 = 0.2;

/// Shortest time from one look at the sets to the next, unless more is due already: 100 looks a second at most, however
/// fast others add jobs or the clock jumps. A job is moved that much too late at worst.
pub const DUE_PAUSE_MIN: Duration = Duration::from_millis(10);

/// Longest time between two looks of a leader that is told of changes: should the telling fail in a way nobody thought of,
/// jobs are late by that much (or the poll interval, if longer), not for ever.
pub const DUE_LOOK_MAX: Duration = Duration::from_secs(60);

/// Longest time between two renewals of the lead of the pollers. The lead lasts for two of them and
/// [`LEAD_SLACK`]: one may fail. While nobody leads the others move due jobs at their looks, a poll interval apart, so that
/// a lead which outlives its process costs them exactness for as long, and nothing else; each renewal is a command.
pub const LEAD_RENEWAL: Duration = Duration::from_secs(20);

/// Poll intervals between two renewals of the lead, if that is shorter.
pub const LEAD_POLLS: u32 = 4;

/// What the lead outlasts two renewals by: a call that is slow.
pub const LEAD_SLACK: Duration = Duration::from_secs(1);

/// When a due job whose queue's key is no list is due again. Longer than any usual poll interval, so that thousands of
/// such jobs do not take the turns of the others; short enough for whoever mends the key.
pub const DUE_AGAIN: Duration = Duration::from_secs(60);
