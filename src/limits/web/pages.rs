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

/// Bytes of the arguments of a job in a form: twice what a page shows of them, which is indented.
pub const PAGE_ARGS_BYTES_MAX: usize = 2 * PAGE_PAYLOAD_BYTES_MAX;

/// Bytes of a form: such arguments, of which each byte may take three, and the rest.
pub const PAGE_FORM_BYTES_MAX: usize = 3 * PAGE_ARGS_BYTES_MAX + PAGE_QUERY_BYTES_MAX;

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

/// Seconds of one step of the overview's finest charts.
pub const RECENT_STEP_S: u64 = 20;

/// Looks that are kept for them: a thousand seconds.
pub const RECENT_LOOKS_MAX: usize = 50;

/// Queues of each of which the length is kept, the longest: some kilobytes each look.
pub const RECENT_QUEUES_MAX: usize = 20;

/// Queues that a chart shows apart, those that were longest; all others are one line. More lines are not told apart.
pub const CHART_QUEUES_MAX: usize = 4;

/// Seconds between two looks after which nothing is said of the time between.
pub const RECENT_GAP_S: u64 = 60;

/// Seconds of work that may wait, at the rate of late, before a page warns.
pub const BEHIND_S: f64 = 60.0;

// ---------------------------------------------------------------------------------------------------------------
// What people have done
// ---------------------------------------------------------------------------------------------------------------

/// How long Redis may take for one step of an act: a busy one is waited for, a hanging one ends the act.
pub const TASK_REDIS_WAIT: Duration = Duration::from_secs(10);

/// How long a form waits for the end of what it has begun, before it shows how far that is.
pub const TASK_ANSWER_WAIT: Duration = Duration::from_secs(1);

/// How often a page that shows something under way loads itself again, in seconds.
pub const TASK_PAGE_S: u64 = 1;

/// Acts that run at the same time: each keeps Redis busy for some milliseconds of every ten.
pub const TASKS_RUNNING_MAX: usize = 2;

/// Acts that wait for those.
pub const TASKS_WAITING_MAX: usize = 30;

/// Acts whose pages are kept: more than can be under way, and some kilobytes each.
pub const TASKS_KEPT_MAX: usize = 64;

const _: () = assert!(TASKS_RUNNING_MAX + TASKS_WAITING_MAX < TASKS_KEPT_MAX);

/// Pages that ask whether something is to be done and are still good: a few hundred bytes each.
pub const OFFERS_MAX: usize = 1_000;

/// How long such a page is good.
pub const OFFER_AGE_MAX: Duration = Duration::from_secs(3_600);

/// Entries of the audit log: some megabytes at most.
pub const AUDIT_ENTRIES_MAX: usize = 5_000;

/// Bytes of one text in such an entry.
pub const AUDIT_TEXT_BYTES_MAX: usize = 500;

// ---------------------------------------------------------------------------------------------------------------
// What changes on open pages
// ---------------------------------------------------------------------------------------------------------------

/// How often open pages are told what has changed.
pub const LIVE_PERIOD: Duration = Duration::from_secs(1);

/// Open tabs: fewer than connections, so that others get in.
pub const LIVE_TABS_MAX: usize = 200;

const _: () = assert!(LIVE_TABS_MAX < crate::limits::WEB_CONNECTIONS_MAX);

/// Events that wait for one tab: it is that many seconds behind, and gets the latest state instead.
pub const LIVE_EVENTS_MAX: usize = 4;

/// How long one answer goes on before the browser asks again: its connection would be cut off later.
pub const LIVE_STREAM_MAX: Duration = Duration::from_secs(25);

const _: () = assert!(LIVE_STREAM_MAX.as_secs() + 2 < crate::limits::WEB_EXCHANGE_TIMEOUT.as_secs());

/// Bytes of the name of a queue whose row changes in place.
pub const PAGE_ELEMENT_NAME_BYTES_MAX: usize = 100;

/// Pairs of class and queue of which a page adds up the past.
pub const PAGE_CLASSES_MAX: usize = 2_000;

/// Kinds of errors that a page tells apart.
pub const ERROR_GROUPS_MAX: usize = 2 * crate::limits::JOBS_GROUPS_MAX;

/// How old what is kept of the past may be on a page: it changes once a minute, and a large fleet's takes many calls.
pub const PAGE_HISTORY_AGE_MAX: Duration = Duration::from_secs(10);

/// Queues in which the API looks for one job: each takes a round trip.
pub const API_SHOW_QUEUES_MAX: usize = 100;

/// Spans of the past that are kept so: one for each that the pages offer, and one more. A span that is asked for besides
/// takes the place of the oldest.
pub const PAGE_PASTS_MAX: usize = 8;

/// Rows by queue and class in one answer about the past: up to 300 bytes each.
pub const API_HISTORY_ROWS_MAX: usize = 5_000;

/// Running jobs in one answer about processes: some 200 bytes each.
pub const API_RUNNING_JOBS_MAX: usize = 5_000;

/// Time between two looks that fail after which they are not one outage: nobody has looked meanwhile.
pub const PAGE_AWAY_GAP_MAX: Duration = Duration::from_secs(10);
