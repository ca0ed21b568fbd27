//! Limits and periods of the search for the lists of dead Ruby servers.

use std::time::Duration;

/// Shortest and longest time between two checks of the heartbeats and lists of Ruby servers, chosen at random so that
/// processes do not all ask at once who leads. The gem's own requeuer runs as often. A server must be missed twice,
/// so the shorter one must be longer than any usual `stats_interval` (10 s), in which a living server beats again.
pub const RUBY_LISTS_PERIOD_MIN: Duration = Duration::from_secs(60);

/// See [`RUBY_LISTS_PERIOD_MIN`].
pub const RUBY_LISTS_PERIOD_MAX: Duration = Duration::from_secs(120);

/// Longest time from the start of a process to its first question who leads, and twice the shortest: soon, so that a warning
/// comes while somebody still reads the log, and not among the first commands of a start.
pub const RUBY_LISTS_FIRST: Duration = Duration::from_secs(30);

/// Most heartbeats of Ruby servers with a poller that are read to see whether the servers live. One that does is enough for
/// the warning.
pub const RUBY_POLLERS_READ_MAX: usize = 100;

/// How long the checking process keeps the lead without a renewal.
pub const RUBY_LISTS_LEAD: Duration = Duration::from_secs(60);

/// Time between two renewals: two may be late. It also keeps anything between us and Redis from closing the
/// connection as idle, because after a lost connection nothing is known of what happened meanwhile.
pub const RUBY_LISTS_RENEWAL: Duration = Duration::from_secs(20);

/// Pause between two pages of a check, or two batches of a rescue: for ten million keys, or a list of five million
/// jobs, a check takes 100 s, and Redis has 95% of its time for others.
pub const RUBY_LISTS_PAUSE: Duration = Duration::from_millis(10);

/// The most heartbeats and lists of Ruby servers, counted together, that one check remembers: a few megabytes here.
pub const RUBY_KEYS_MAX: usize = 50_000;

/// Jobs that one script call puts back: about 1 ms of Redis's time.
pub const RUBY_RESCUE_JOBS_MAX: usize = 500;
