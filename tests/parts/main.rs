//! The parts of the engine, each against its real counterpart or every history it can go through; the whole program
//! is tested in `tests/engine`.
//!
//! One binary for all of them: each additional one links everything again. Each file or folder is one subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what fails, fails it; and clippy sees only the functions with #[test]"
)]

use jiggler_uring::internal;

// What they build on.
#[path = "../support/certificates.rs"]
#[cfg(feature = "tls")]
mod certificates;
mod executor;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[path = "../support/own_redis.rs"]
mod own_redis;
#[path = "../support/postgres_server.rs"]
#[cfg(feature = "postgres")]
mod postgres_server;
#[path = "../engine/harness/redis.rs"]
#[allow(dead_code, reason = "the tests of the whole program use all of it")]
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
#[path = "../engine/harness/spelling.rs"]
#[allow(dead_code, reason = "the tests of the whole program use all of it")]
mod spelling;
#[path = "../support/wait.rs"]
mod wait;

// Formats.
mod fuzz_cases;
mod golden;
mod golden_sidekiq;

// What the engine builds on.
mod conn;
mod runtime_pins;

// The protocol: its scripts one by one and with each call in them refused, random histories, every history of a small world.
mod cron_fleet;
mod lease;
mod model;
mod protocol;
mod protocol_model;
mod reap;
mod register;
mod script_faults;

// What users of the library call.
mod allocations;
mod client;
mod files;
#[cfg(all(feature = "http", feature = "tls"))]
mod http;
#[cfg(all(feature = "postgres", feature = "tls"))]
mod postgres;
mod signatures;
