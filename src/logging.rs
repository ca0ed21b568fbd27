//! Logging: what a worker writes to standard error, how much of it, and how to have failures reported elsewhere.
//!
//! # Lines
//!
//! Standard output is for results; the log goes to standard error, as text or, with `--log-format json`, as JSON.
//!
//! ```text
//! 2026-12-01T21:42:01.123456Z  WARN a job failed and will be retried job="SendMail" jid="0d655a187e214821" \
//!     queue="mails" attempt=0 class="Timeout" error="no answer in 5 s"
//! ```
//!
//! A value with a blank is quoted, so that a line can be taken apart at its blanks. As JSON each line is one object with
//! `timestamp`, `level`, `message`, `target` and the fields of the event on top, and `spans`, if the program opened any. No
//! key comes twice: a field that is called like one of these gets an underscore at its end (`level_`).
//!
//! # What jobs log
//!
//! Whatever a handler logs with [`tracing`](https://docs.rs/tracing) ends with `job`, `jid` and `queue` of its job, except
//! where the line has such a field of its own; of a jid the first 32 bytes. That holds for async handlers, for
//! [`blocking`](crate::Registry::blocking) ones and for those on the tokio runtime; not for tasks and threads that a
//! handler starts by itself. It costs a job that logs nothing nothing.
//!
//! Lines of handlers are never held back. What a handler prints by itself, with `eprintln!`, may make it wait for the
//! reader of standard error; the log does not.
//!
//! # Failures
//!
//! | what happened | level | message |
//! |---|---|---|
//! | a job failed, and will be retried | WARN | `a job failed and will be retried` |
//! | a job failed, and has no retries left or wants none | ERROR | `a job failed and goes to the dead set` |
//! | a payload is not a job | WARN | `a payload is not a job and goes to the dead set` |
//! | a job was in flight when four processes died | ERROR | `a job goes to the dead set as poison: …` |
//! | a handler panicked; its failure follows | ERROR | `a job panicked` |
//!
//! The first two say `job`, `jid`, `queue`, `attempt` (0 is the first run), `class` and `error`, and have the target
//! `jiggler_uring::failures`. A panic says where it was, and has a `backtrace` if `RUST_BACKTRACE` is set; its core stands
//! still while the symbols of a large program are read for that.
//!
//! Of each kind of line, and of failures that is each job and class of error, 20 pass in 10 s; the rest are counted, and one
//! line says how many there were:
//!
//! ```text
//! 2026-12-01T21:42:11.123456Z  WARN a job failed and will be retried: 4812 more like it in 10 s lines=4812 \
//!     job="SendMail" class="Timeout"
//! ```
//!
//! With `--verbose` each failure is logged, and what became of snoozed and discarded jobs.
//!
//! # How much
//!
//! `info` is the usual level, `debug` that of `--verbose` (`-v`, or `verbose: true`, which may change with SIGHUP).
//! `RUST_LOG` says more: a level, or `target=level`, or several of these with commas between them.
//!
//! - What `RUST_LOG` says of a target holds for that target, whatever else is said.
//! - Everything else is logged at the level that `RUST_LOG` names without a target, or at `info`;
//! - with `--verbose` at `debug` at least.
//!
//! ```sh
//! RUST_LOG=warn worker                          # quiet: no line about its start
//! RUST_LOG=my_app=debug worker                  # the rest stays at info
//! RUST_LOG=jiggler_uring::failures=error worker # deaths, but no retries
//! RUST_LOG=warn worker -v                       # -v goes before a level without a target
//! ```
//!
//! # Reporting failures elsewhere
//!
//! [`Registry::on_failure`](crate::Registry::on_failure) is called for every run that failed, and
//! [`Registry::on_death`](crate::Registry::on_death) for every job that is in the dead set:
//!
//! ```
//! use jiggler_uring::{JobError, JobResult, Registry};
//!
//! async fn charge(order: u64) -> JobResult {
//!     Err(JobError::new("CardDeclined", format!("order {order}")))
//! }
//!
//! let (reports, to_be_sent) = std::sync::mpsc::channel();
//! let registry = Registry::new(()).job("Charge", charge).on_failure(move |job| {
//!     let title = format!("{} failed: {}: {}", job.name, job.error_class, job.error_message);
//!     // It must be quick: another thread sends them.
//!     let _nobody_sends_any_more = reports.send((title, job.backtrace.map(str::to_owned)));
//! });
//! # drop((registry, to_be_sent));
//! ```
//!
//! The backtrace is that of a panic, if `RUST_BACKTRACE` is set, or one that the error was given
//! ([`JobError::with_backtrace`](crate::JobError::with_backtrace)).
//!
//! # A log of your own
//!
//! A program that installs a subscriber before [`run`](crate::Worker::run) keeps it; then neither level nor format of this
//! page apply, and nothing is held back. Each poll of a job is in a span `job` with `name`, `jid`, `queue`, `attempt` and
//! `shard`, at level debug and with the target `jiggler_uring::job`: listen to that target to have them on every line. It
//! costs as much as a short job.
