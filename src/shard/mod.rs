//! A shard: one core's executor, its connection, its job slots.
//!
//! ```text
//!            ┌──────────────────────── one glommio executor, one core ────────────────────────┐
//!  control ──► commands (mesh) ──► phase                                                     │
//!            │                        ▼                                                      │
//!  Redis ◄───┼── link ◄── drive: turn (settle + fetch) ──► batches ──► run: slots ──► settle │
//!        ◄───┼── wait: one blocking connection a queue, while idle ──┘   │       ▲           │
//!            │                                                           └ tasks ┘           │
//!            └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Under load [`drive`] makes one round trip per batch and keeps two of them going: it sends a turn, runs the jobs of the
//! batch before while Redis works, and reads the reply of the turn before. A job that is ready at its first poll is settled
//! on the spot; one that waits becomes a task and holds a slot. When a fetch comes back empty, the shard waits in Redis
//! ([`wait`]).
//!
//! Per job on the hot path: one parse on reused buffers, one look-up, one poll, one clock read; no allocation but what
//! the handler makes, no log line. Per batch: one `send`, one or two `recv`, some vectors.
//!
//! In a Redis Cluster each queue is on a node of its own, so a core runs one such shard for each queue, a lane, and all
//! lanes share its slots and handlers ([`crew`]).
//!
//! Invariants:
//! - Only [`drive`] talks over the shard's connection, so a settlement is never in two calls.
//! - A job is acked only after it was settled, and settled only after it ran.
//! - No borrow of a cell lives across an await.
//! - What this shard holds unsettled is bounded by slots, read-ahead and one job a waiting connection.

// In a cluster: lanes, and jobs that are retried in another.
mod abroad;
mod crew;

mod batch;
mod deadlines;
mod denied;
mod drive;
mod fenced;
mod held;
mod life;
mod link;
mod marked;
mod named;
mod orders;
mod outage;
mod oversize;
mod pace;
mod settle;
mod start;
mod state;
mod stop;
mod wait;
// What a shard itself costs, for benches and tests.
mod dispatch;

pub use dispatch::Dispatch;
pub(crate) use life::run;
pub(crate) use state::ShardOptions;
