//! Limits of periodic jobs.

use std::time::Duration;

/// Longest schedule, in bytes: the longest that means anything lists every minute of an hour and every day of a month.
pub const CRON_SCHEDULE_BYTES_MAX: usize = 512;

/// Years in which a schedule must have a tick, or it is refused: a fifth Monday of February comes every 28 years, and around
/// 2100, which is no leap year, after 40. So much of the calendar is walked at most for one next tick, in well under a
/// millisecond.
pub const CRON_YEARS_SEARCHED: i64 = 44;

/// Shortest period of `@every`: a cron expression cannot be more frequent either.
pub const CRON_EVERY_MIN: Duration = Duration::from_secs(1);

/// Longest period of `@every`: ten years, like the longest delay of a job.
pub const CRON_EVERY_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Longest jitter: more would move a tick to another day.
pub const CRON_JITTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Longest name of an entry, in bytes: names are in log lines and tables.
pub const CRON_NAME_BYTES_MAX: usize = 128;

/// Largest entry as it is stored, in bytes. A batch of [`CRON_BATCH`] of them is read at once.
pub const CRON_ENTRY_BYTES_MAX: usize = 16 * 1024;

/// How long a process that has started removes no entry that nobody declares: those that declare it may start with it, and
/// build their registries for longer. Until then such an entry is put off by [`CRON_HOLDERS_AGAIN`].
pub const CRON_HOLDERS_WAIT: Duration = Duration::from_secs(60);

/// By how long each time: its tick is so much late at most once it is declared.
pub const CRON_HOLDERS_AGAIN: Duration = Duration::from_secs(1);

/// Entries whose ticks one call of the script claims, and of which it returns what comes next: Redis is busy for about 1 ms.
pub const CRON_BATCH: usize = 100;

/// Calls of the script in a row, before due jobs have their turn: 10,000 entries that are due at once.
pub const CRON_ROUNDS: usize = 100;

/// Jobs that one entry pushes at once after an outage, and the largest `catch_up`: they arrive in one queue in one step.
pub const CRON_TICKS_MAX: u32 = 100;

/// A tick that is claimed within this time is on time, and is never left out: another process takes the lead of a dead one
/// sooner. What is later is for `catch_up` to decide.
pub const CRON_GRACE: Duration = Duration::from_secs(60);

/// Jobs looked at, at each end of a queue, a set or a list in flight, for the last run of an entry that must not overlap:
/// what is retried comes back at one end of its queue and is taken at the other.
pub const CRON_LIVES_NEAR: usize = 500;

/// Jobs at each end of its queue among which that run is looked for by its bytes: it has not been started.
pub const CRON_LIVES_DEEP: usize = 5000;

/// Jobs among which one call of the script looks by bytes, for all its entries: the rest is for the next call. Where all
/// that may be looked at is there, a call holds Redis up for 15 ms, p90 20 (`perf/runs/2026-12-02-overlap`); so many jobs
/// are a quarter of that.
pub const CRON_LIVES_SEARCHED: usize = 20_000;

/// Bytes of jobs that one call of the script reads in that look: all of them go through Lua. At each set and queue, and in
/// what is in flight from it, up to 16 jobs more.
pub const CRON_LIVES_BYTES: usize = 2 * 1024 * 1024;

/// Commands that one call spends on what waits and what is in flight: two or three for each shard that serves the queue.
/// Those of 400 shards take 5 ms.
pub const CRON_LIVES_CALLS: usize = 2500;

/// Queues that one call looks at: bytes and commands are divided among them, so more would see too little of each.
pub const CRON_LIVES_QUEUES: usize = 4;

/// Pages of a thousand keys that are searched for lists of Ruby servers meanwhile.
pub const CRON_LIVES_PAGES: usize = 10;

/// Calls of the script in which `cron list` looks for the last runs of a page of entries: what is left then is not known.
/// One call looks at [`CRON_LIVES_QUEUES`] queues, so those of a page with as many queues as entries are looked at.
pub const CRON_OUTCOME_ROUNDS: usize = CRON_LIST_PAGE / CRON_LIVES_QUEUES;

/// By how much the clock of a worker that buries a job may be behind that of Redis: the dead set is looked at from so long
/// before the push.
pub const CRON_OUTCOME_SLACK: Duration = Duration::from_secs(3600);

/// Entries of which `summary` says how many are paused and how many are spoilt: it reads all of them.
pub const CRON_SUMMARY_MAX: usize = 10_000;

/// Entries read at once by `cron list`.
pub const CRON_LIST_PAGE: usize = 200;

/// Ticks that `cron list` shows of each entry.
pub const CRON_TICKS_SHOWN: usize = 5;

/// How often an edit of an entry is tried again because somebody else has changed the entry meanwhile.
pub const CRON_EDITS_MAX: usize = 20;

/// How often control looks whether the registry has been built while the process starts: it says what to declare.
pub const CRON_DECLARE_LOOK: Duration = Duration::from_millis(100);

// A leader that dies is followed by another before what it did not claim is late.
const _: () =
    assert!(CRON_GRACE.as_millis() > 2 * super::LEAD_RENEWAL.as_millis() + super::LEAD_SLACK.as_millis());

// The first entry of a call is always looked for.
const _: () = assert!(CRON_LIVES_SEARCHED >= 2 * CRON_LIVES_DEEP && CRON_LIVES_QUEUES > 0);
