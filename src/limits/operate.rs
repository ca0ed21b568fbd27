//! Limits on what operators ask for on the command line: pages of jobs, searches, acting on many jobs, pushing files.

use std::time::Duration;

use super::PAYLOAD_BYTES_MAX;

/// Job names that an error lists: a line or two.
pub const NAMES_SHOWN_MAX: usize = 20;

/// Default number of jobs on one page of `jobs`: what fits on a screen.
pub const JOBS_LIMIT: usize = 25;

/// The most jobs on one page: at a hundred bytes a row, what a person can still look through.
pub const JOBS_LIMIT_MAX: usize = 1_000;

/// Default number of entries that one call of `jobs` with a filter examines: well under a second, even with payloads
/// of a kilobyte.
pub const JOBS_EXAMINED: u64 = 100_000;

/// Entries of the sets among which `cancel` looks whether a job waits there and does not run: some milliseconds, because a
/// job that is to end should not run on meanwhile.
pub const CANCEL_EXAMINED: u64 = 10_000;

/// The most entries it may be told to examine: a few seconds of Redis's time, shared with others call by call.
pub const JOBS_EXAMINED_MAX: u64 = 100_000_000;

/// Groups that `jobs --group` tells apart: more are not a summary, and their texts take a few hundred kilobytes.
pub const JOBS_GROUPS_MAX: usize = 1_000;

/// Bytes of a running job's jid that its process publishes.
pub const RUNNING_JID_BYTES: usize = 32;

/// Entries of a queue, from the end at which workers take, among which `why` looks for a job: one call of some milliseconds.
pub const WHY_POSITION_MAX: u64 = 100_000;

/// Over how long `why` measures how fast a queue moves.
pub const WHY_SPAN: Duration = Duration::from_secs(1);

/// How long `show` gives processes that it has told so to report what they run: they do so within
/// [`WATCHED_INTERVAL`](super::WATCHED_INTERVAL) and the time in which shards name their jobs.
pub const SHOW_WAIT: Duration = Duration::from_millis(1_500);

const _: () = assert!(
    SHOW_WAIT.as_millis() > super::WATCHED_INTERVAL.as_millis() + 2 * super::RUNNING_JOBS_WAIT.as_millis()
);

/// Batches of a shard and queue in which `show` looks for a running job, beside its wait list: there are more only where
/// long jobs each hold one, and each may have a megabyte.
pub const SHOW_BATCHES_MAX: usize = 64;

/// Places that `show` names if the job is in none.
pub const SHOW_PLACES_MAX: usize = 8;

/// Characters of one member of a payload that `show` prints: an error message of the largest stored length is whole.
pub const SHOW_TEXT_CHARS_MAX: usize = super::ERROR_MESSAGE_CHARS_MAX;

/// Entries that one script call reads: about 1 ms of Redis's time with short payloads.
pub const ENTRIES_PER_CALL: usize = 500;

/// Jobs that one script call acts on: about 2 ms of Redis's time, as each is looked up, moved and removed.
pub const ACT_JOBS_PER_CALL: usize = 200;

/// Bytes of entries after which such a call stops reading, except for a single larger entry: about 2 ms of Redis's
/// time, as each byte is copied into the script and out of it, and again, and hashed, where jobs are acted on.
pub const ENTRIES_BYTES_PER_CALL: usize = 256 * 1024;

/// The most entries it reads at once. It starts with one and reads as many more as those were small: how large
/// entries are is known only once they have been read.
pub const ENTRIES_READ_STEP: usize = 50;

/// Largest entry that is read whole: a payload of the largest size, buried in base64, with its envelope.
pub const ENTRY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 3 * 4 + 64 * 1024;

/// Bytes read of an entry that is larger: its first members are there.
pub const ENTRY_HEAD_BYTES: usize = 4 * 1024;

/// Largest entry of a set that is named by all of its bytes to a script that acts on it: what one call acts on at once. A
/// larger one is named by its position, score, size and ends, which tell it from all but those that differ in the middle
/// alone: sending, copying, hashing and comparing 8 MB takes Redis longer than moving them.
pub const ENTRY_NAMED_WHOLE_BYTES_MAX: usize = ENTRIES_BYTES_PER_CALL;

/// Characters of arguments, and of an error, that a row of `jobs` shows.
pub const ROW_TEXT_CHARS_MAX: usize = 60;

/// Jids that `enqueue --count` prints by itself; `--ids` prints all.
pub const ENQUEUE_IDS_SHOWN_MAX: u64 = 20;

/// Looks for heartbeats after which `enqueue` gives no hint who could run the job: a page of
/// [`SCAN_PAGE_KEYS`](super::SCAN_PAGE_KEYS) keys each, so some 10 ms, whatever else Redis holds.
pub const HINT_LOOKS_MAX: usize = 50;

/// Queues that such a hint names.
pub const HINT_QUEUES_MAX: usize = 8;

/// Most bytes of job names that a process publishes with its figures, and most names; one that knows more publishes none:
/// half a list would say that it cannot run the rest.
pub const JOB_NAMES_BYTES_MAX: usize = 4 * 1024;

/// See [`JOB_NAMES_BYTES_MAX`].
pub const JOB_NAMES_MAX: usize = 200;

/// Longest line of a bulk in bytes: a payload of the maximum size, and as much again for white space and escapes.
pub const BULK_LINE_BYTES_MAX: usize = 2 * PAYLOAD_BYTES_MAX;

/// Bytes that a bulk reads from its file at once.
pub const BULK_READ_BYTES: usize = 256 * 1024;

/// Chunks of parsed jobs that may be waiting while Redis takes another: with one, the reader never waits
/// unnecessarily.
pub const BULK_CHUNKS_MAX: usize = 2;

/// Minimum time between two updates of a long command's progress display.
pub const COMMAND_PROGRESS_PERIOD: Duration = Duration::from_millis(200);

/// A heartbeat key lives for its interval plus 180 s after each heartbeat. One with less than this left is 30 s late,
/// whatever the interval: its process is gone, or hangs.
pub const HEARTBEAT_LIFE_LEFT_MIN: Duration = Duration::from_secs(150);

/// Bytes of output that a command could not write to standard output and repeats in its final error.
pub const UNTOLD_BYTES_MAX: usize = 4 * 1024;

/// Characters of foreign text shown in one cell of a table: any valid name of maximum length fits.
pub const FOREIGN_CELL_CHARS_MAX: usize = 200;

/// Characters of such a text that an error or a value in the log shows.
pub const FOREIGN_TEXT_CHARS_MAX: usize = 2_000;

/// Queues whose retried jobs are counted one by one: more than a line can name.
pub const RETRIED_QUEUES_MAX: usize = 100;

/// Queues that a report names: the others are counted.
pub const RETRIED_QUEUES_NAMED_MAX: usize = 10;
/// Queues and classes that may be paused at a time: all of it is one text, which every process reads at each change.
pub const PAUSES_MAX: usize = 500;

/// Bytes of why something is paused, and of who paused it: room for a sentence.
pub const PAUSE_TEXT_BYTES_MAX: usize = 300;

/// Bytes of that text which are read: more than [`PAUSES_MAX`] of the longest names and reasons take.
pub const PAUSED_BYTES_MAX: usize = 2 * 1024 * 1024;

/// How long a start waits to learn what is paused. A process that cannot learn it runs all its queues, rather than none.
pub const PAUSED_PATIENCE: Duration = Duration::from_secs(10);

/// For how long a job of a paused class waits at a time before it is looked at again: so long it may wait once the class is
/// resumed. A shard lets no more than [`LEFT_JOBS_PER_SECOND`](super::LEFT_JOBS_PER_SECOND) of them come back in a second.
pub const PAUSED_CLASS_PAUSE: Duration = Duration::from_secs(5);

/// Attempts to change what is paused while others change it too.
pub const PAUSE_EDITS_MAX: usize = 20;

/// The longest time for which control relies on its timer for the end of a pause: clocks may step.
pub const PAUSE_END_LOOK: Duration = Duration::from_secs(60);

// Even if each name were escaped byte by byte in JSON, and the largest allowed.
const _: () = assert!(PAUSES_MAX * (2 * 6 * PAUSE_TEXT_BYTES_MAX) < PAUSED_BYTES_MAX);
