//! Control: the executor that runs no job. It keeps the process's lease and heartbeat, handles signals, and ends the
//! shards.
//!
//! ```text
//! signals ────► steering ──► phase ──► every shard        every shard ──► Ended ──► farewell, exit
//! channels ───► listener ──► steering, and every shard (cancellations)
//!                        └──► paused ──► every shard
//! changes ────► bell ──► the shards that are to fetch, where there are many queues
//!               upkeep: lease every 5 s, heartbeat and figures every stats_interval
//!                 └──► reaper: jobs of processes whose lease has ended ──► poison
//!               poller: due jobs of the retry and scheduled sets  ┐ one process of the fleet
//!               ruby_lists: jobs of dead Ruby servers             ┘ leads (lead)
//! shards ─────► health: whether they make progress ──► figures, notify ──► service manager
//!          └──► stalls: which job holds up its core ──► log
//! ```
//!
//! Each of these is an actor: a file with `spawn`, whose task `run` starts and stops. They share `state`, and reach the
//! shards through `shards`. Imports point one way: this folder has no import cycle.
//!
//! Control shares a core with shard 0 but not its thread: however long a job holds its shard, the kernel runs control, so a
//! busy process never loses its lease (P3). Here, too, each connection is owned by one task.

// What it is given, and what its actors share.
mod actor;
mod dead;
mod duty;
mod options;
mod service_manager;
mod settings;
mod shards;
mod skew;
mod state;
// From start to end.
mod run;
// The process.
mod figures;
mod health;
mod left;
mod link;
mod notify;
mod others;
mod reload;
mod steering;
mod upkeep;
// What it does for running jobs.
mod balancer;
mod bell;
mod listener;
mod paused;
mod stalls;
// What a process does for its fleet.
mod declare;
mod lead;
mod past;
mod poison;
mod poll_times;
mod poller;
mod reaper;
mod ruby_lists;
mod ruby_pollers;
mod ticker;
mod unservable;

pub(crate) use duty::DutyOptions;
pub(crate) use options::{BalanceOptions, ControlOptions, Expected, RubyListTimes, RunOutcome};
pub(crate) use run::run;
pub(crate) use service_manager::ServiceManager;
pub(crate) use settings::{Reload, Settings};
pub(crate) use steering::SIGNALS;
