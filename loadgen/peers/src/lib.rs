//! What the peer programs have in common: their arguments, and the two marks by which loadgen times them.
//!
//! `PROGRAM enqueue URL JOBS` fills the queue; `PROGRAM work URL CONCURRENCY JOBS` runs that many no-op jobs, prints
//! `first NANOSECONDS` at the start of the first and `last NANOSECONDS` at the end of the last (monotonic clock), and
//! goes on until it is ended.

use std::env;
use std::error::Error;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::time::{ClockId, clock_gettime};

/// What to do.
#[derive(Debug, Clone)]
pub enum Order {
    /// Fill the queue.
    Enqueue {
        /// Of Redis.
        url: String,
        /// How many.
        jobs: u64,
    },
    /// Run jobs.
    Work {
        /// Of Redis.
        url: String,
        /// Jobs in flight.
        concurrency: usize,
        /// After how many to print the last mark.
        jobs: u64,
    },
}

impl Order {
    /// Reads the program's arguments.
    ///
    /// # Errors
    /// They are not as the crate's head says.
    pub fn read() -> Result<Self, Box<dyn Error>> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["enqueue", url, jobs] => Ok(Self::Enqueue { url: url.to_owned(), jobs: jobs.parse()? }),
            ["work", url, concurrency, jobs] => {
                Ok(Self::Work { url: url.to_owned(), concurrency: concurrency.parse()?, jobs: jobs.parse()? })
            }
            _ => Err("expected: enqueue URL JOBS | work URL CONCURRENCY JOBS".into()),
        }
    }
}

static DONE: AtomicU64 = AtomicU64::new(0);
static EXPECTED: OnceLock<u64> = OnceLock::new();

/// How many jobs there are; to be called before the first.
pub fn expect(jobs: u64) {
    EXPECTED.get_or_init(|| jobs);
}

/// One job has run.
pub fn done() {
    let number = DONE.fetch_add(1, Ordering::Relaxed) + 1;
    if number == 1 {
        mark("first");
    }
    if EXPECTED.get() == Some(&number) {
        mark("last");
    }
}

fn mark(name: &str) {
    match clock_gettime(ClockId::CLOCK_MONOTONIC) {
        Ok(now) => println!("{name} {}", std::time::Duration::from(now).as_nanos()),
        Err(errno) => eprintln!("no clock: {errno}"),
    }
}
