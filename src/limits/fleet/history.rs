//! Limits of what is kept of the past.

use std::time::Duration;

/// Minutes are kept this long: a weekend.
pub const HISTORY_MINUTES_KEPT: Duration = Duration::from_secs(72 * 3_600);

/// Hours are kept this long.
pub const HISTORY_HOURS_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Days are kept this long: five years.
pub const HISTORY_DAYS_KEPT: Duration = Duration::from_secs(5 * 366 * 86_400);

/// Pairs of queue and class in one minute, hour or day; the rest are counted together. In memory they take about 600 bytes
/// each, in Redis about 20.
pub const HISTORY_PAIRS_MAX: usize = 8_192;

/// Entries that wait while Redis is away: an hour. Then they are given up.
pub const HISTORY_PENDING_MAX: usize = 60;

/// How long the shards may take to say what they have counted. One that does not answer is held up by a job; what it has
/// counted comes with a later minute.
pub const HISTORY_SHARDS_WAIT: Duration = Duration::from_secs(1);

/// How long writing a minute may take in all before it is tried with the next.
pub const HISTORY_CALL_MAX: Duration = Duration::from_secs(10);

/// The same at the end of the process, which must not wait for history.
pub const HISTORY_LAST_CALL_MAX: Duration = Duration::from_millis(500);

/// The processes of a fleet write at different times within this much after a minute has ended.
pub const HISTORY_SPREAD: Duration = Duration::from_secs(5);

/// A minute is closed when it has been over for this long: all processes have written theirs, a slow one included.
pub const HISTORY_CLOSED_AFTER: Duration = Duration::from_secs(90);

/// Hours and days that one process puts together in one minute. More than one is due only where nobody has run.
pub const HISTORY_ROLLED_MAX: usize = 4;

/// How far back a process looks for days that were not put together.
pub const HISTORY_DAYS_BACK: u64 = 7;

/// Entries of minutes in one page: 16 processes fill one in a quarter of an hour.
pub const HISTORY_PAGE: usize = 250;

/// Pages of one hour: 100 processes for an hour fill 24 of them. What comes after is not read.
pub const HISTORY_PAGES_MAX: usize = 100;

/// Hours or days asked for in one round trip.
pub const HISTORY_UNITS_PER_CALL: usize = 100;

/// First pages of hours asked for in one round trip.
pub const HISTORY_LISTS_PER_CALL: usize = 8;

/// Slices that are shown at most: the days of five years.
pub const HISTORY_SLICES_MAX: u64 = 4_400;
