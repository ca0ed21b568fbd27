//! Limits on how slots are given to queues, and on the pace of their due jobs.

use std::time::Duration;

use super::{QUEUE_NAME_BYTES_MAX, QUEUES_MAX};

/// Time between two looks at the lengths of queues, as in the case study; shorter ones would move slots for what a moment
/// shows.
pub const BALANCE_INTERVAL: Duration = Duration::from_secs(1);

/// How much of the way to what a queue should have is gone with one look: half, so that a burst of one second moves half of
/// what it would move if it lasted, and 94 % of a lasting change is made after four looks. Several processes that see the
/// same queue do not all rush to it.
pub const BALANCE_STEP: f64 = 0.5;

/// How much of the way the processes of a fleet go together, with one look, towards giving each queue what it is due: a
/// quarter, so that they come to rest without a swing although what each knows of the others is up to two looks old.
pub const BALANCE_FLEET_STEP: f64 = 0.25;

/// An assignment that is nearer than this to what each queue should have stays as it is: slots do not wander for parts of
/// one.
pub const BALANCE_SLACK: f64 = 0.75;

/// In which part of its target a queue's backlog is to be done: what comes while slots move is then in time, too.
pub const BALANCE_TARGET_PART: f64 = 0.5;

/// Longest target a queue may state, in seconds: a day.
pub const BALANCE_TARGET_MAX_S: u64 = 86_400;

/// Longest time between two messages in which a process tells others what it gives its queues: as between two heartbeats.
pub const SLOTS_NEWS_PERIOD: Duration = Duration::from_secs(10);

/// What was told counts for so many such times: two messages may be lost.
pub const SLOTS_NEWS_KEPT: u32 = 3;

/// Changes are told with the next look, unless so many others listen that Redis would deliver more than this many messages a
/// second for each of them: then each tells less often.
pub const SLOTS_NEWS_PER_SECOND: usize = 10;

/// Other processes that are listened to. What more of them give does not count.
pub const SLOTS_NEWS_PROCESSES_MAX: usize = 1_000;

/// Queues that one message names: as many as a process serves.
pub const SLOTS_NEWS_QUEUES_MAX: usize = QUEUES_MAX;

/// Longest message that is read: all queues, each byte of each name escaped in JSON, and its number.
pub const SLOTS_NEWS_BYTES_MAX: usize = 256 + SLOTS_NEWS_QUEUES_MAX * (6 * QUEUE_NAME_BYTES_MAX + 32);

/// Slowest pace of due jobs of a queue, in jobs a second: one in a quarter of an hour. With a slower one even a small herd
/// would take days.
pub const PACE_MIN: f64 = 0.001;

/// Fastest: what is due faster than that is no herd that needs a pace.
pub const PACE_MAX: f64 = 10_000.0;
