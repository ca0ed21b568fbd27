//! The whole program against a real Redis: each test starts the real binary and its own redis-server, does something
//! to them, and reads from Redis what became of the jobs.
//!
//! A test's name is what it proves. It waits for states, never for guesses. When it fails it prints the worker's
//! command line and log and everything in Redis.
//!
//! Each file is one subject; [`harness`] is what they build on, [`chaos`] fails everything at once and counts the
//! jobs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers fail the test that calls them; clippy sees only the functions with #[test]"
)]

use harness::redis_server;
use jiggler_uring::internal;

#[cfg(feature = "tls")]
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
mod harness;
#[path = "../support/own_redis.rs"]
mod own_redis;

mod alone;
mod balance;
mod beside;
mod cases;
mod chaos;
mod cluster;
mod cluster_clients;
#[cfg(feature = "tls")]
mod cluster_line;
mod command_line;
mod crash;
mod cron;
mod cron_beside;
mod cron_cluster;
mod doctor;
mod failover;
mod failures;
mod fleet;
mod hangup;
mod health;
mod heartbeat;
mod history;
mod idle;
mod jobs;
mod lead;
mod loading;
mod long_jobs;
mod many_queues;
mod mixed_fleet;
mod notify;
mod operator_jobs;
mod outage;
mod own_jobs;
mod pace;
#[cfg(feature = "web")]
mod pages;
mod pauses;
mod poison;
mod policies;
mod poller;
mod queues;
mod recovery;
mod register;
mod rights;
mod run_here;
mod runners;
mod runners_bad;
mod runners_ends;
mod runners_errors;
mod runners_found;
mod runners_http;
mod runners_ruby;
mod rusty_sidekiq;
mod sentinel;
mod sidekiq;
mod sidekiq_metrics;
mod steering;
#[cfg(feature = "tls")]
mod tls;
#[cfg(all(feature = "tls", feature = "tokio"))]
mod tls_clients;
mod unknown_names;
#[cfg(feature = "web")]
mod web;
#[cfg(feature = "tokio")]
mod web_app;
mod why;
