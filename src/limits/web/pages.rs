//! Limits of the pages for people.

use std::time::Duration;

/// How long Redis may take for one part of a page, connecting included. A page has at most two, so that one that finds
/// Redis hanging says so within two seconds.
pub const PAGE_REDIS_WAIT: Duration = Duration::from_millis(900);

const _: () = assert!(2 * PAGE_REDIS_WAIT.as_millis() < 2_000);

/// Pages that may wait for the one that is being read from Redis. Each waits no longer than [`PAGE_REDIS_WAIT`] in all.
pub const PAGES_WAITING_MAX: usize = 64;

/// How old the state of the fleet on a page may be: any number of tabs cost Redis what one does.
pub const PAGE_FLEET_AGE_MAX: Duration = Duration::from_secs(1);

/// How long the first page looks through Redis for queues and processes: the rest of a large database is looked through with
/// the next pages.
pub const PAGE_FIRST_LOOKS_WAIT: Duration = Duration::from_millis(400);

/// Processes that pages tell of, in the order of their heartbeat keys. With the jobs that each publishes these are a few
/// megabytes.
pub const PAGE_PROCESSES_MAX: usize = 500;

/// Bytes read from Redis at once: a page of jobs has a few hundred kilobytes, and large payloads megabytes.
pub const PAGE_CHUNK_BYTES: usize = 64 * 1024;

/// Rows of one page.
pub const PAGE_ROWS_MAX: usize = 50;

/// Bytes of entries after which a page of jobs ends early: two of the largest payloads, which Redis needs 50 ms for.
pub const PAGE_ENTRIES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Entries that one page with a filter examines: ten calls, each about 1 ms of Redis's time.
pub const PAGE_EXAMINED_MAX: u64 = 5_000;

/// The most entries before the first of a page: more than any Redis holds, and exact in its scripts.
pub const PAGE_SKIP_MAX: u64 = 1 << 50;

/// Bytes of the query of a page's address: each filter at its longest, percent-encoded, fits.
pub const PAGE_QUERY_BYTES_MAX: usize = 4 * 1024;

/// Parameters in it.
pub const PAGE_PARAMETERS_MAX: usize = 16;

/// Bytes of one parameter: a job name, or a part of a message, of the largest size.
pub const PAGE_PARAMETER_BYTES_MAX: usize = 512;

/// Characters of text in one cell of a table; more is cut.
pub const PAGE_CELL_CHARS_MAX: usize = 60;

/// Characters of the whole text that a cell shows under the pointer.
pub const PAGE_TITLE_CHARS_MAX: usize = 400;

/// Bytes of one payload that a page shows, raw or pretty: what a person may scroll through. `show --json` prints all.
pub const PAGE_PAYLOAD_BYTES_MAX: usize = 32 * 1024;

/// Characters of one member of a payload that a page shows: an error message of the largest stored length is whole.
pub const PAGE_TEXT_CHARS_MAX: usize = crate::limits::ERROR_MESSAGE_CHARS_MAX;

/// Rows of a payload's further members, failures and lines of a backtrace that a page shows, of each.
pub const PAGE_MEMBERS_MAX: usize = 100;

/// Age of the earlier look against which a page compares the lengths of queues: shorter ones tell of chance, ...
pub const TREND_AGE_MIN: Duration = Duration::from_secs(10);

/// ... longer ones of the past.
pub const TREND_AGE_MAX: Duration = Duration::from_secs(300);

/// Seconds of work that may wait, at the rate of late, before a page warns.
pub const BEHIND_S: f64 = 60.0;
