//! Bounds of what operators ask from the command line: pages of jobs, searches, acting on many jobs, pushing files.

use std::time::Duration;

use super::{BATCH_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// Jobs on one page of `jobs` when nobody says otherwise: what fits on a screen.
pub const JOBS_LIMIT: usize = 25;

/// Most jobs on one page: at a hundred bytes a row, what a person may still look through.
pub const JOBS_LIMIT_MAX: usize = 1_000;

/// Entries that one call of `jobs` with a filter examines when nobody says otherwise: well under a second, also with
/// payloads of a kilobyte.
pub const JOBS_EXAMINED: u64 = 100_000;

/// Most entries it may be told to examine: some seconds of the time of Redis, shared with others call by call.
pub const JOBS_EXAMINED_MAX: u64 = 100_000_000;

/// Entries that one script call reads: some 1 ms of Redis's time with short payloads.
pub const ENTRIES_PER_CALL: usize = 500;

/// Jobs that one script call acts on: some 2 ms of Redis's time, as each is looked up, moved and taken away.
pub const ACT_JOBS_PER_CALL: usize = 200;

/// Bytes of entries after which such a call stops reading, a single larger entry excepted.
pub const ENTRIES_BYTES_PER_CALL: usize = BATCH_BYTES_MAX;

/// Entries it reads at once: how large they are is known only once they are read, so this many may be read in vain.
pub const ENTRIES_READ_STEP: usize = 50;

/// Bytes that are read of an entry that is larger than a job may be: its first members are there.
pub const ENTRY_HEAD_BYTES: usize = 4 * 1024;

/// Characters of arguments, and of an error, that a row of `jobs` shows.
pub const ROW_TEXT_CHARS_MAX: usize = 60;

/// Longest line of a bulk in bytes: a payload of the largest size, and as much again for white space and escapes.
pub const BULK_LINE_BYTES_MAX: usize = 2 * PAYLOAD_BYTES_MAX;

/// Bytes that a bulk reads from its file at once.
pub const BULK_READ_BYTES: usize = 256 * 1024;

/// Chunks of parsed jobs that may wait while Redis takes another: with one the reading never waits for nothing.
pub const BULK_CHUNKS_MAX: usize = 2;

/// How often the progress of a long command is shown, at most.
pub const COMMAND_PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// A heartbeat key lives for its interval and 180 s after each heartbeat. One with less than this left is late by 30 s,
/// whatever the interval: its process is gone, or hangs.
pub const HEARTBEAT_LIFE_LEFT_MIN: Duration = Duration::from_secs(150);

/// Bytes of what a command has done and could not write to standard output that its final error repeats.
pub const UNTOLD_BYTES_MAX: usize = 4 * 1024;

/// Characters of a text of others that one cell of a table shows: any valid name, as long as it may be, fits.
pub const FOREIGN_CELL_CHARS_MAX: usize = 200;

/// Characters of such a text that an error or a value in the log shows.
pub const FOREIGN_TEXT_CHARS_MAX: usize = 2_000;
