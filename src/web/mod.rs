//! The executor that shows how the process and its fleet are, over HTTP: metrics and probes for machines, pages for
//! people.
//!
//! ```text
//!  client ──► server (hyper over the ring, bounded) ──► route: host, access, method
//!                                                        ├─ metrics ◄─ counts ◄─ mesh: each shard, when asked
//!                                                        │          ◄─ stats: what shards and control publish
//!                                                        │          ◄─ fleet ◄─ Redis, a connection of its own
//!                                                        ├─ pages   ◄─ Redis, a connection of their own
//!                                                        ├─ api     ◄─ the same
//!                                                        └─ health  ◄─ stats: it answers whatever Redis does
//!                                                                   ◄─ pulse ◄─ Redis, a PING when it is asked
//! ```
//!
//! It has a thread of its own, pinned nowhere: however slow or greedy its clients are, no job and no lease waits for them.
//! With shards and control it meets in the mesh and in what they publish, and writes nothing there; in Redis it changes what
//! people ask for by forms of its pages, over connections of its own.
//!
//! `jiggler-uring web` runs it without shards: then it shows the fleet alone.
//!
//! Not responsible for what is counted (`stats`, `shard::tally`), nor for starting it (`server::web`).

mod access;
mod api;
mod counts;
mod fleet;
mod health;
mod host;
mod kept;
mod machine;
mod metrics;
mod negotiation;
mod options;
mod pages;
mod pulse;
mod route;
mod run;
mod seats;
mod server;
mod state;

pub(crate) use access::Access;
pub use metrics::Scrape;
pub(crate) use options::{Shown, WebOptions, WorkerSide};
pub(crate) use run::run;
