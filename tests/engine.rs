//! The whole program against a real Redis: each test starts the real binary and a redis-server of its own, does
//! something to them, and reads from Redis what became of the jobs.
//!
//! A test's name is what it proves. It waits for states, never for guesses. When it fails it prints the worker's command
//! line and log and everything that lies in Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers fail the test they stand in; clippy sees only the functions with #[test]"
)]

#[cfg(feature = "tls")]
#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/fault_proxy.rs"]
mod fault_proxy;
#[path = "engine/harness/mod.rs"]
mod harness;

#[path = "engine/bad_payloads.rs"]
mod bad_payloads;
#[path = "engine/beside.rs"]
mod beside;
#[path = "engine/cluster.rs"]
mod cluster;
#[path = "engine/cluster_clients.rs"]
mod cluster_clients;
#[cfg(feature = "tls")]
#[path = "engine/cluster_line.rs"]
mod cluster_line;
#[path = "engine/command_line.rs"]
mod command_line;
#[path = "engine/crash.rs"]
mod crash;
#[path = "engine/doctor.rs"]
mod doctor;
#[path = "engine/failover.rs"]
mod failover;
#[path = "engine/faults.rs"]
mod faults;
#[path = "engine/files.rs"]
mod files;
#[path = "engine/fleet.rs"]
mod fleet;
#[path = "engine/foreign.rs"]
mod foreign;
#[path = "engine/hangup.rs"]
mod hangup;
#[path = "engine/health.rs"]
mod health;
#[path = "engine/heartbeat.rs"]
mod heartbeat;
#[path = "engine/idle.rs"]
mod idle;
#[path = "engine/jobs.rs"]
mod jobs;
#[path = "engine/lead.rs"]
mod lead;
#[path = "engine/loading.rs"]
mod loading;
#[path = "engine/log_reader.rs"]
mod log_reader;
#[path = "engine/long_jobs.rs"]
mod long_jobs;
#[path = "engine/mixed_fleet.rs"]
mod mixed_fleet;
#[path = "engine/notify.rs"]
mod notify;
#[path = "engine/operator_jobs.rs"]
mod operator_jobs;
#[path = "engine/outage.rs"]
mod outage;
#[path = "engine/own_jobs.rs"]
mod own_jobs;
#[path = "engine/poison.rs"]
mod poison;
#[path = "engine/policies.rs"]
mod policies;
#[path = "engine/poller.rs"]
mod poller;
#[path = "engine/queues.rs"]
mod queues;
#[path = "engine/recovery.rs"]
mod recovery;
#[path = "engine/refusals.rs"]
mod refusals;
#[path = "engine/rights.rs"]
mod rights;
#[path = "engine/secrets.rs"]
mod secrets;
#[path = "engine/sentinel.rs"]
mod sentinel;
#[path = "engine/steering.rs"]
mod steering;
#[path = "engine/stop.rs"]
mod stop;
#[cfg(feature = "tls")]
#[path = "engine/tls.rs"]
mod tls;
#[cfg(all(feature = "tls", feature = "tokio"))]
#[path = "engine/tls_clients.rs"]
mod tls_clients;
#[path = "engine/web_app.rs"]
#[cfg(feature = "tokio")]
mod web_app;
