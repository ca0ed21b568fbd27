//! Bounds on how jobs of unknown names are left to other workers.

use std::time::Duration;

/// How long a job is left to workers that know its name before it fails, unless configured: a rolling deploy takes less.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(600);

/// The longest that may be configured: a week.
pub const UNKNOWN_FOR_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The first pauses before a job of an unknown name is back in its queue: short, because another worker probably knows it.
pub const LEFT_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest such pause. A worker that starts to know the name gets the job after half a minute at most.
pub const LEFT_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A pause is this part of the time for which the job has been left already: some 60 looks at each job in ten minutes.
pub const LEFT_PAUSE_PART: f64 = 8.0;

/// By how much a pause is longer or shorter than that, at random: jobs that came together do not stay together.
pub const LEFT_PAUSE_JITTER: f64 = 0.25;

/// Jobs of unknown names that a shard lets come back in a second: what it spends on a queue full of them stays small.
pub const LEFT_JOBS_PER_SECOND: f64 = 500.0;

/// Unknown names that a shard counts one by one; what has others is counted together.
pub const LEFT_NAMES_MAX: usize = 16;

/// Characters of such a name that are kept to be shown.
pub const LEFT_NAME_CHARS_MAX: usize = 100;

/// Unknown names that a process logs. Anyone who can push jobs chooses them.
pub const LEFT_NAMES_SAID_MAX: usize = 64;
