//! Bounds of what only Sidekiq's programs read.

use std::time::Duration;

/// The largest weight of a queue. A process writes its weights with each heartbeat and adds them up at each turn.
pub const QUEUE_WEIGHT_MAX: i32 = 1_000;

/// Lines of a backtrace that are stored with a failed job which asks for all: more helps nobody.
pub const STORED_BACKTRACE_LINES_MAX: usize = 100;

/// Bytes of them, before they are encoded: each retry carries them along.
pub const STORED_BACKTRACE_BYTES_MAX: usize = 16 * 1024;

/// Running jobs that a process lists for the pages. They show no more on a page either.
pub const WORK_SHOWN_MAX: usize = 100;

/// Bytes of the payload of a listed job: a larger one is listed without its arguments, so that a heartbeat stays small.
pub const WORK_PAYLOAD_BYTES_MAX: usize = 4 * 1024;

/// How long a process counts as living after a heartbeat, in seconds, as the gem has it.
pub const IDENTITY_TTL_S: u64 = 60;

/// A process beats at least this often, whatever `stats_interval` says: two beats in a row may be lost.
pub const IDENTITY_BEAT_MAX: Duration = Duration::from_secs(20);

/// How long the counters of a day are kept, in seconds, as the gem has it: five years.
pub const DAY_COUNTER_TTL_S: u64 = 5 * 365 * 24 * 3_600;

/// How long the sums of a minute, and its histograms, are kept for the page of metrics, in seconds, as the gem has it.
pub const METRICS_MINUTE_TTL_S: u64 = 8 * 3_600;

/// The same for the sums of ten minutes.
pub const METRICS_TEN_MINUTES_TTL_S: u64 = 3 * 24 * 3_600;

/// Lua can unpack some 8,000 values: a class has three sums, each a name and a number.
const _: () = assert!(super::TALLY_CLASSES_MAX * 3 * 2 < 7_000);
