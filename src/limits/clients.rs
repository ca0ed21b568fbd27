//! Bounds and defaults of the clients that programs push with.

use std::time::Duration;

/// How long Redis remembers which jobs of an outbox it has, after the last one: a job that was pushed, without the outbox
/// having learnt of it, and that is pushed again later than that, runs twice. An outbox tries again each second, so only
/// a program that is down for so long comes that late. A marker has some 150 bytes.
pub const OUTBOX_MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);
