//! jiggler-uring: background jobs on Redis, crash-safe by default, one io_uring executor per core.
//!
//! It speaks the wire format of the Ruby gem `jiggler`: Ruby programs push jobs, this engine runs them, and
//! `Jiggler.summary` still tells the truth. With `--dialect sidekiq` it speaks that of Sidekiq. As a program it runs jobs in
//! Ruby, Python and Node, and has a few harmless ones of its own ([`builtin`]); as a library it runs yours. This page is a
//! guide; [`architecture`] says how it works inside.
//!
//! | chapter | shows |
//! |---|---|
//! | [A first job](#a-first-job) | a worker program, whole |
//! | [Jobs that are structs](#jobs-that-are-structs) | one type for both ends, with its queue, retries and timeout |
//! | [Errors and retries](#errors-and-retries) | `?` with any error, pauses, verdicts, what happens to dead jobs |
//! | [Options and middleware](#options-and-middleware) | what concerns one job, what surrounds all |
//! | [Waiting and blocking](#waiting-and-blocking) | I/O on the ring, several waits at once, work that holds its thread |
//! | [Pushing jobs](#pushing-jobs) | from inside a job, from other programs, while Redis is away |
//! | [Periodic jobs](#periodic-jobs) | once a tick in the whole fleet |
//! | [Testing](#testing) | jobs in a test, without Redis |
//! | [Logging](#logging) | what the worker says, and in which shape |
//! | [Deploying](#deploying) | stopping, upgrading, telling deployments apart |
//! | [Other languages](#other-languages) | jobs in Ruby, Python and Node, or behind HTTP, beside yours |
//! | [Beside Ruby](#beside-ruby) | sharing queues with Ruby programs, of the gem `jiggler` or of Sidekiq |
//!
//! # A first job
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use jiggler_uring::{Ctx, JobError, JobResult, Registry};
//!
//! struct App {
//!     greeting: String,
//! }
//!
//! // Runs for `{"name":"Greet","args":["Ada"],"retries":3,"jid":"0d655a187e214821"}`.
//! async fn greet(ctx: Ctx<App>, name: String, title: Option<String>) -> JobResult {
//!     if name.is_empty() {
//!         return Err(JobError::new("NoName", "whom shall I greet?")); // retried, or dead when it has no retries left
//!     }
//!     println!("{}, {} {name}", ctx.state().greeting, title.unwrap_or_default());
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     jiggler_uring::worker(|_core| async {
//!         let app = App { greeting: "hello".to_owned() };
//!         Registry::new(app).job("Greet", greet)
//!     })
//!     .run() // the whole command line: --cores 8, -q mails:2, enqueue, summary, --help
//! }
//! ```
//!
//! `cargo run` starts the worker, and `cargo run -- enqueue Greet '["Ada"]'` in a second terminal gives it a job. A handler
//! is an async function of up to eight arguments, which are decoded by their types; a missing `Option` at the end is `None`.
//! Wrong arguments and panics fail their job and nothing else. The state (`App`) is built once on each core and needs no
//! lock, because handlers never leave their core; neither they nor the state need be `Send`.
//!
//! # Jobs that are structs
//!
//! [`derive(Job)`](trait@Job) turns a struct into a job. Its fields in their order are the arguments, so Ruby and the
//! command line may push it, too.
//!
//! ```
//! use jiggler_uring::{Job, JobResult, Registry};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Job)]
//! #[job(queue = "mails", retries = 5, timeout = 30)]
//! struct SendMail {
//!     to: String,
//!     subject: String,
//! }
//!
//! async fn send_mail(mail: SendMail) -> JobResult {
//!     println!("{} to {}", mail.subject, mail.to);
//!     Ok(())
//! }
//!
//! let registry = Registry::new(()).job(SendMail::JOB, send_mail); // name and options are those of the type
//! # drop(registry);
//!
//! fn welcome(client: &mut jiggler_uring::Client) -> Result<String, jiggler_uring::client::Error> {
//!     client.enqueue(&SendMail { to: "ada@example.org".to_owned(), subject: "welcome".to_owned() })
//! }
//! # let _ = welcome;
//! ```
//!
//! # Errors and retries
//!
//! A handler returns nothing, or a `Result`. Its error may be any error type, text, a box, an `anyhow::Error`: see
//! [`JobError`], which also says under which class an error is stored. While the job has retries left, it runs again after
//! 16, 31, 96, … seconds, as with the gem, or by a [`RetryPolicy`]; then it goes to the dead set, where a person finds it
//! (`jobs dead`, `retry`). A handler that knows better gives a verdict:
//!
//! ```
//! use std::time::Duration;
//!
//! use jiggler_uring::{JobError, JobResult};
//!
//! async fn import(path: String) -> JobResult {
//!     let text = std::fs::read_to_string(&path)?; // class `io::Error`
//!     let rows: u64 = text.trim().parse().map_err(JobError::classed("BadFile"))?;
//!     match rows {
//!         0 => Err(JobError::snooze(Duration::from_secs(60))), // not there yet; costs no attempt
//!         1..1_000_000 => Ok(()),
//!         _ => Err(JobError::dead(format!("{path} has {rows} rows"))), // no attempt would help
//!     }
//! }
//! # drop(import(String::new()));
//! ```
//!
//! # Options and middleware
//!
//! What concerns one job is given with its handler, by [`options`]; what surrounds every job is
//! [middleware](Registry::middleware).
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use jiggler_uring::{Ctx, JobResult, Next, Registry, RetryPolicy, options};
//!
//! async fn sync(account: u64) -> JobResult {
//!     println!("account {account}");
//!     Ok(())
//! }
//!
//! async fn timed(ctx: Ctx<()>, next: Next) -> JobResult {
//!     let began = Instant::now();
//!     let result = next.await;
//!     println!("{} took {:?}", ctx.job().name, began.elapsed());
//!     result
//! }
//!
//! let every_minute = RetryPolicy::fixed(Duration::from_secs(60)).jitter(0.5);
//! let registry = Registry::new(())
//!     .job("Sync", options(sync).timeout(Duration::from_secs(30)).retry_policy(every_minute))
//!     .middleware(timed)
//!     .on_death(|job| eprintln!("{} {} died: {}", job.name, job.jid, job.error_message));
//! # drop(registry);
//! ```
//!
//! # Waiting and blocking
//!
//! A job that waits costs its core nothing: [`io`] has timers, files, and with cargo features an HTTP client and PostgreSQL,
//! all on the core's own ring. [`io::spawn`] waits for several things at once. A function that computes, or a library that
//! blocks its thread, is registered by [`Registry::blocking`] and runs beside the core; with the feature `tokio`, so does
//! anything that needs that runtime (`Registry::tokio`). Both may push jobs, report progress and read what the registry
//! shares: [`SendCtx`].
//!
//! ```
//! use std::time::Duration;
//!
//! use jiggler_uring::io::{spawn, timer};
//! use jiggler_uring::{JobResult, Registry, SendCtx};
//!
//! async fn both() -> JobResult {
//!     let other = spawn(timer::sleep(Duration::from_millis(20)));
//!     timer::sleep(Duration::from_millis(20)).await;
//!     other.await?; // 20 ms in all
//!     Ok(())
//! }
//!
//! fn checksum(ctx: SendCtx, path: String) -> JobResult {
//!     let bytes = std::fs::read(path)?;
//!     ctx.progress(1, 2, "read");
//!     println!("{:x}", bytes.iter().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte)));
//!     Ok(())
//! }
//!
//! let registry = Registry::new(()).job("Both", both).blocking("Checksum", checksum);
//! # drop(registry);
//! ```
//!
//! # Pushing jobs
//!
//! | from | with |
//! |---|---|
//! | a job | [`Ctx::enqueue`], [`SendCtx::enqueue`]; many at once: [`LocalClient::enqueue_bulk`] of [`Ctx::client`] |
//! | a program without a runtime | [`Client`], [`ClientPool`] |
//! | a program on tokio | `TokioClient` (feature `tokio`) |
//! | a program that must not wait for Redis | [`Outbox`]: it keeps jobs on disk while Redis is away |
//! | a terminal | `enqueue`, `enqueue --bulk` |
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use jiggler_uring::{Client, NewJob};
//!
//! let mut client = Client::connect("redis://127.0.0.1:6379")?;
//! client.enqueue(&NewJob::new("Greet", &("Ada",))?.retries(5)?)?;
//! client.enqueue_in(Duration::from_secs(60), &NewJob::new("Greet", &("Grace",))?.queue_named("mails")?)?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! No client sends a job twice by itself; each error says whether it may heal and whether the job may be in Redis
//! ([`client::Error`]). A job runs at least once, and so may run twice after a crash: let it do nothing the second time.
//!
//! # Periodic jobs
//!
//! ```
//! use jiggler_uring::{JobResult, NewJob, Registry};
//!
//! async fn report(kind: String) -> JobResult {
//!     println!("{kind}");
//!     Ok(())
//! }
//!
//! let job = NewJob::new("Report", &["daily"])?;
//! let registry = Registry::new(()).job("Report", report).cron("0 3 * * *", "Europe/Berlin", job);
//! # drop(registry);
//! # Ok::<_, jiggler_uring::client::InvalidJob>(())
//! ```
//!
//! Redis's clock decides, and one process of the fleet pushes each tick, whichever leads. [`cron`] says what schedules mean,
//! what happens after an outage and at the changes of daylight saving; the file (`cron:`) and `cron add` make entries, too.
//!
//! # Testing
//!
//! [`testing::TestWorker`] runs jobs in the test's thread as a worker would, with arguments, middleware, time-outs and
//! verdicts, but without Redis.
//!
//! ```
//! use jiggler_uring::testing::{TestWorker, block_on};
//! use jiggler_uring::{Ctx, JobResult, NewJob, Registry};
//!
//! async fn sign_up(ctx: Ctx<()>, user: u64) -> JobResult {
//!     if user == 0 {
//!         return Err("user 0 is nobody".into());
//!     }
//!     ctx.enqueue(&NewJob::new("Welcome", &(user,))?).await?;
//!     Ok(())
//! }
//!
//! block_on(async {
//!     let worker = TestWorker::new(Registry::new(()).job("SignUp", sign_up));
//!     assert!(worker.run_named("SignUp", &(7,)).await.outcome.is_done());
//!     assert_eq!(worker.pushed()[0].name, "Welcome");
//!     assert!(worker.run_named("SignUp", &(0,)).await.outcome.is_dead());
//! });
//! ```
//!
//! # Logging
//!
//! The worker logs to standard error, as text or as one JSON object a line (`--log-format json`), at level info or, with
//! `-v`, debug. It uses the crate `tracing`: lines of your handlers appear among its own, and a program that installs its
//! own subscriber before [`Worker::run`] keeps it. [`logging`] shows the lines, their bounds, and how failures are
//! reported elsewhere ([`Registry::on_failure`]).
//!
//! # Deploying
//!
//! - TERM and INT stop the worker: it takes no more jobs, waits `--shutdown-timeout` for those that run, and hands back the
//!   rest. A killed worker loses nothing; another one has its jobs back in their queues within 30 seconds.
//! - [`Worker::name`] and [`Worker::version`] name your program, `--tag` the deployment, such as a git revision:
//!   `processes`, `top` and the log show them, and tell the old workers from the new.
//! - A registry with a mistake ends the worker before it takes a job, with exit code 2 and the line in your program; a
//!   factory that fails, because what it needs is away, with exit code 1, after which a process manager starts it again.
//! - `--web 127.0.0.1:9394` serves metrics for Prometheus and probes (feature `web`, on by default); README lists them.
//! - `doctor` says what kernel, limits and Redis lack; `run NAME` runs one job at once. `packaging/` has systemd and Docker.
//!
//! # Other languages
//!
//! A worker gives the jobs of a runner to child processes, which load an application in Ruby, Python or Node, or posts them
//! to a server; the rest is yours. README, "Jobs in Ruby, Python, Node, or behind HTTP", has the table.
//! ```yaml
//! runners:
//!   thumbnails: {require: thumbnails.py, jobs: "Image::*", timeout: 30}
//!   billing: {url: "http://127.0.0.1:8080/jobs", jobs: "Billing::*", secret_file: billing.key}
//! ```
//!
//! # Beside Ruby
//!
//! With the gem `jiggler`, Ruby programs push with `Greet.enqueue("Ada")`, and jobs pushed from here may run in a Ruby
//! server: the payloads are the gem's, kept byte for byte. Where both kinds of server share a database, set
//! `poller_enabled: false` in the Ruby servers; README says why.
//!
//! With `--dialect sidekiq` (or `dialect:` in the file) the same worker serves the queues of Sidekiq, and
//! [`Client::speaking`] pushes there. Jobs whose class it does not know are left to Ruby. README, "Beside Sidekiq", has what
//! works and what does not.

// For `#[derive(Job)]` in the tests inside this crate.
#[cfg(test)]
extern crate self as jiggler_uring;

// L0 base
mod balance;
mod event;
mod foreign;
mod ids;
mod limits;
mod shutdown;
mod small_file;
mod stats;
mod time;

// L1 formats
mod job;
mod resp;
mod wire;

// L2 transport
mod net;
mod timeout;

// L3 store
mod store;

// L4 api
mod acts;
pub mod client;
pub mod cron;
mod handler;
pub mod io;
mod mesh;
mod view;

// L5 runtime
mod admin;
mod control;
mod runner;
mod shard;
#[cfg(feature = "web")]
mod web;

// L6 process
pub mod architecture;
mod boot;
pub mod builtin;
mod cli;
pub mod config;
mod doctor;
mod embedded;
pub mod logging;
mod server;
pub mod testing;

/// The internals, for this project's own load generator, benches, tests and fuzzers: without any promise.
#[doc(hidden)]
pub mod internal {
    pub use crate::balance::*;
    pub use crate::shard::Dispatch;
    pub mod cli {
        pub use crate::cli::*;
    }
    pub mod job {
        pub use crate::job::*;
    }
    pub mod limits {
        pub use crate::limits::*;
    }
    pub mod net {
        pub use crate::net::*;
    }
    pub mod resp {
        pub use crate::resp::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
    pub mod time {
        pub use crate::time::*;
    }
    #[cfg(feature = "web")]
    pub mod web {
        pub use crate::web::Scrape;
    }
    pub mod wire {
        pub use crate::wire::*;
    }
}

#[cfg(test)]
#[path = "../tests/support/own_redis.rs"]
mod own_redis;
#[cfg(test)]
#[path = "../tests/support/redis_server.rs"]
mod redis_server;
#[cfg(test)]
#[path = "../tests/support/wait.rs"]
mod wait;

#[cfg(feature = "tokio")]
pub use client::TokioClient;
pub use client::{Client, ClientPool, Job, JobType, LocalClient, NewJob, Outbox, Progress};
#[cfg(feature = "tokio")]
pub use handler::TokioHandler;
pub use handler::{
    BlockingHandler, CancelFlag, CompanionPriority, Ctx, Enqueued, Exponential, Handler, IntoJobResult,
    JobError, JobHandler, JobInfo, JobKey, JobResult, Next, NotShared, Registry, Rest, RetryPolicy, SendCtx,
    Verdict, WithOptions, options, yield_if_needed,
};
/// A struct as a job, by its attributes; see the trait [`Job`](trait@Job).
pub use jiggler_uring_derive::Job;
pub use job::failure::{DeadJob, FailedJob};
pub use job::{BadTraceContext, TraceContext};
pub use resp::url::{RedisUrl, UrlError};
pub use server::{Core, IntoRegistry, Worker, worker};

/// The listings of the README, compiled.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
pub mod readme {}
