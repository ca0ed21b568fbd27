//! Bounds of what is said and done while Redis, or one connection to it, is away.

use std::time::Duration;

/// First pause before a reconnect; it doubles up to [`RECONNECT_PAUSE_MAX`], each time with full jitter.
pub const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause before a reconnect: consumption must be back within 2 s of Redis's return.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(1_000);

/// How long nothing must have come over a connection before its end is taken for one of idleness, and looked for before
/// something is sent: Redis's own `timeout` is in whole seconds, and balancers' rules are longer.
pub const IDLE_MIN: Duration = Duration::from_secs(1);

/// How soon a cause of an outage that was logged, and comes again after another, is logged again.
pub const CAUSE_AGAIN: Duration = Duration::from_secs(60);

/// How often it is logged that connections were closed while they were idle: once, and this much later if it goes on.
pub const IDLE_CLOSES_TOLD: Duration = Duration::from_secs(3_600);

/// Pause after a right was denied and the server cannot tell which is missing, nor when it is back. It doubles with each
/// such denial, up to [`DENIED_PAUSE_MAX`].
pub const DENIED_PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause of this kind: the administrator who restores the right should see jobs run within half a minute.
pub const DENIED_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long after the last such denial the next one is the first again. Longer than the longest pause.
pub const DENIED_FORGOTTEN: Duration = Duration::from_secs(120);

const _: () = assert!(DENIED_FORGOTTEN.as_secs() > 2 * DENIED_PAUSE_MAX.as_secs());

/// How often a process whose last heartbeat said that a shard is in trouble looks, in its own memory, whether it still is:
/// the end of an outage is to show at once, not with the next heartbeat.
pub const TROUBLE_LOOK: Duration = Duration::from_millis(500);
