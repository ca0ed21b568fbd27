//! The commands the engine sends to Redis, and what it makes of the replies; the only place that names commands.
//!
//! Sans-IO: each function appends to a [`Requests`](crate::resp::Requests) or reads a [`Reply`](crate::resp::Reply);
//! shards, the control executor and blocking callers bring their own connection. Its docs state round trips and what is
//! atomic. Keys are spelt in [`crate::wire::keys`].

pub mod scripts;
// The engine: the turn, everything else that happens to jobs in flight, the process.
pub mod due;
pub mod flight;
pub mod lead;
pub mod lengths;
pub mod metrics;
pub mod process;
pub mod recovery;
pub mod ruby_lists;
pub mod ruby_pollers;
pub mod turn;
pub mod waits;
// Periodic jobs.
pub mod cron;
// The past.
pub mod history;
// Producers and operators.
pub mod audit;
pub mod cancel;
pub mod enqueue;
pub mod entries;
pub mod operate;
pub mod outbox;
pub mod pace;
pub mod paused;
pub mod position;
pub mod progress;
pub mod register;
pub mod server;
pub mod slots;
pub mod steer;
pub mod survey;
// What all of the above need permission for.
pub mod denied;
pub mod rights;
