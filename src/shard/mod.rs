//! A shard: one core's executor, its connection, its job slots.
//!
//! ```text
//!            ┌──────────────────────── one glommio executor, one core ────────────────────────┐
//!  control ──► orders (mesh) ──► phases                                                      │
//!            │                        ▼                                                      │
//!  Redis ◄───┼── link ◄── drive: turn (report + fetch) ──► hand ──► steps: admit, start ──► settle ──► ledger
//!        ◄───┼── wait: one blocking connection a queue, while idle ──┘   │       ▲           │
//!            │                                                           └ slots ┘           │
//!            └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Under load [`drive`] makes one round trip per batch and keeps two of them going: it sends a turn, runs the jobs of the
//! previous batch while Redis works, and reads the reply of the turn before. A job that is ready at its first poll is
//! settled on the spot; one that waits becomes a task and holds a slot. When a fetch comes back empty, the shard waits in
//! Redis ([`wait`]); with many queues it waits for control, which hears of changes of all of them ([`sight`]). The life of
//! one job is [`steps`].
//!
//! # Who owns what
//!
//! What a shard keeps is divided into parts ([`state`]), each written only by its own file:
//!
//! | part | what it keeps |
//! |---|---|
//! | `hand` | the batches that are not settled: which jobs are to start, which acks are owed |
//! | `ledger` | what is to be reported to Redis, until a turn takes it along |
//! | `slots` | the jobs that wait at an await point, their deadlines, the share of a lane |
//! | `appetite` | how many jobs to ask for next: the decision is pure, [`appetite`]'s `plan` |
//! | `rota` | in which order a turn serves the queues, how many jobs it takes of each; `turns`: those under way |
//! | `sight` | which queues are believed to have jobs, where there are many |
//! | `waiters` | which waiting connections are armed, which block, whose list is to be swept |
//! | `phases` | the latest phase of a stop that control has ordered |
//! | `numbers`, `clock` | numbers of batches and calls; Unix times of moments |
//! | `abroad`, `held`, `burials`, `complaints` | what waits for another realm, a spoilt key, a burial; what was logged |
//! | `caps` | how many jobs of each queue may hold a slot, if control says so |
//! | `paused` | classes that operators have paused; which queues are, is in the rota |
//! | `left` | how many jobs of unknown names were left to other workers lately |
//! | `tally` | how jobs ended and how long they took, by queue and class |
//!
//! The other files act on these parts and keep nothing. No file imports one that imports it, directly or indirectly:
//! `tests/tidy` holds that.
//!
//! # What it costs
//!
//! Per job on the hot path: one parse on reused buffers, one look-up, one poll, one clock read; no allocation except the
//! handler's own, no log line. Per batch: one `send`, one or two `recv`, a few vectors.
//!
//! In a Redis Cluster each queue is on its own node, so a core runs one such shard for each queue, a lane, and all lanes
//! share its slots and handlers ([`crew`]).
//!
//! # Invariants
//!
//! - Only [`drive`] talks over the shard's connection, so a settlement is never in two calls.
//! - No job starts that was not admitted ([`admission`]).
//! - A job is acked only after it was settled, and settled only after it ran.
//! - No borrow of a cell lives across an await.
//! - What this shard holds unsettled is bounded by slots, read-ahead and one job a waiting connection.

// Values and decisions: pure.
mod admission;
mod batch;
mod caps;
mod options;
mod order;
mod pace;
mod rota;
mod sight;
mod weights;

// The parts of a shard, and the shard they make.
mod abroad;
mod appetite;
mod burials;
mod clock;
mod complaints;
mod crew;
mod deadlines;
mod hand;
mod held;
mod ledger;
mod left;
mod numbers;
mod paused;
mod phases;
mod slots;
mod state;
mod strays;
mod tally;
mod turns;
mod waiters;

// A job's life, and its end.
mod carrier;
mod ending;
mod failures;
mod marked;
mod running;
mod settle;
mod steps;
mod timeouts;

// The connections.
mod denied;
mod link;
mod oversize;
mod sync;
mod unblock;
mod wait;

// The shard's own life, from start to end.
mod drive;
mod fenced;
mod hand_back;
mod lanes;
mod life;
mod named;
mod orders;
mod outage;
mod pausing;
mod second_try;
mod stop;
mod tell;

// What a shard itself costs, for benches and tests.
mod dispatch;

pub use dispatch::Dispatch;
pub(crate) use life::run;
pub(crate) use options::{Balance, ShardOptions, waiters};
