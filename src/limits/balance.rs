//! Limits on how slots are given to queues.

use std::time::Duration;

/// Time between two looks at the lengths of queues, as in the case study; shorter ones would move slots for what a moment
/// shows.
pub const BALANCE_INTERVAL: Duration = Duration::from_secs(1);

/// How much of the way to what a queue should have is gone with one look: half, so that a burst of one second moves half of
/// what it would move if it lasted, and 94 % of a lasting change is made after four looks. Several processes that see the
/// same queue do not all rush to it.
pub const BALANCE_STEP: f64 = 0.5;

/// An assignment that is nearer than this to what each queue should have stays as it is: slots do not wander for parts of
/// one.
pub const BALANCE_SLACK: f64 = 0.75;

/// In which part of its target a queue's backlog is to be done: what comes while slots move is then in time, too.
pub const BALANCE_TARGET_PART: f64 = 0.5;

/// Longest target a queue may state, in seconds: a day.
pub const BALANCE_TARGET_MAX_S: u64 = 86_400;
