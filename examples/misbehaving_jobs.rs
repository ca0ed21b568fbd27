//! A worker whose jobs panic, each in another place, or hog their core. A panic ends its job, which fails like any
//! other; the other jobs and the core's state carry on. A hogged core stands still until the job ends; the log and
//! `summary` report it. One job, `Abort`, takes the whole process down; after the fourth time it goes to the dead set
//! as poison.
//!
//! ```sh
//! cargo run --example misbehaving_jobs -- --cores 1
//! jiggler-uring enqueue PanicAfterAwait --retries 3
//! ```
#![expect(clippy::panic, reason = "panicking is what these jobs are for")]

use std::cell::Cell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiggler_uring::io::timer;
use jiggler_uring::{Ctx, JobError, JobResult, Registry, options};
use serde::{Deserialize, Deserializer};

/// Counts the jobs that ran to completion on this core.
#[derive(Default)]
struct App {
    finished: Cell<u64>,
}

/// An argument that cannot be deserialised without a panic.
struct Trap;

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("in an argument")
    }
}

/// A value that panics when the job is over.
struct Sour;

impl Drop for Sour {
    fn drop(&mut self) {
        panic!("in a drop");
    }
}

async fn panic_at_once() {
    panic!("at once");
}

async fn panic_after_await() {
    timer::sleep(Duration::from_millis(1)).await;
    panic!("after {}", "an await");
}

async fn panic_in_argument(_trap: Trap) {}

async fn abort() {
    std::process::abort();
}

async fn panic_in_drop() {
    let _sour = Sour;
    timer::sleep(Duration::from_millis(1)).await;
}

/// Computes without awaiting: meanwhile nothing else runs on its core.
async fn keep_core(seconds: f64) {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// On a companion thread, where a panic must not end the thread.
fn panic_aside() {
    panic!("on a companion");
}

/// A well-behaved job: `note` may be missing.
async fn count(ctx: Ctx<App>, step: u64, note: Option<String>) -> JobResult {
    let finished = ctx.state().finished.get() + step;
    ctx.state().finished.set(finished);
    match note {
        Some(note) => Err(JobError::new("Counted", format!("{note} {finished}"))),
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    jiggler_uring::worker(|_core| async {
        let registry = Registry::new(App::default())
            .job("PanicAtOnce", panic_at_once)
            .job("PanicAfterAwait", panic_after_await)
            .job("PanicInArgument", panic_in_argument)
            .job("PanicInDrop", panic_in_drop)
            .job("Abort", abort)
            .job("KeepCore", keep_core)
            // Kept in its payload, for `show JID`.
            .blocking("PanicAside", options(panic_aside).history(2).backtrace(60))
            .job("Count", count);
        // A worker that cannot be built ends before it takes a job: 2 for a mistake, 1 for what may heal.
        match std::env::var("MISTAKE").as_deref() {
            Ok("twice") => Ok(registry.job("Count", count)),
            Ok("failure") => Err("no database"),
            _ => Ok(registry),
        }
    })
    .run()
}
