//! The fuzz targets: one module each, with a function that takes any bytes and panics if a promise is broken.
//!
//! Two callers share them: the fuzzers, which search for bytes that break one, and `tests/parts/fuzz_cases.rs`, which
//! replays the corpus and every case ever found. They reach the engine only by its public names.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a library for the fuzzers and a module of a test; what fails here is the finding"
)]

pub mod config;
pub mod cron;
pub mod keys;
pub mod replies;
pub mod resp;
pub mod url;
// Payloads: reading and writing.
pub mod amend;
pub mod payload;

mod members;
