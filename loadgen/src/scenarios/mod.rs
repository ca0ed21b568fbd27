//! The scenarios: each starts a private Redis, measures one thing, and returns one outcome.
//!
//! To add one: a file with its `Options` (a clap `Args`) and `run`, its `mod` line, and its line in the list below.

// What the scenarios share.
mod drain;
mod paced;
mod peers;
mod repeat;
mod scene;
// No-op jobs through the real worker: the published table.
pub(crate) mod noop;
// The same under other conditions: persistence, distance, queues, failures.
pub(crate) mod conditions;
// The most Redis can serve with the same commands.
pub(crate) mod limit;
// What a worker with nothing to do costs.
pub(crate) mod idle;
// Jobs that compute.
pub(crate) mod cpu;
// How long jobs wait to start.
pub(crate) mod latency;
// The same alongside long jobs.
pub(crate) mod mixed;
// Pushing with the library's client.
pub(crate) mod enqueue;
// Jobs that append to a file.
pub(crate) mod file;
// Jobs that make HTTP requests.
pub(crate) mod http;
// Jobs that query PostgreSQL.
pub(crate) mod pg;
// Memory over many jobs.
pub(crate) mod soak;
// Scheduled jobs: how fast they are moved, how late they start.
pub(crate) mod due;
// What happens to a killed worker's jobs.
pub(crate) mod recovery;
// How soon jobs run again after Redis was away.
pub(crate) mod outage;
// How slots are shared among queues, without a worker.
pub(crate) mod simulate;

use std::thread;
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::keys;
use crate::progress::Progress;
use crate::redis::Client;
use crate::report::Outcome;
use crate::worker::Worker;

/// How long a worker may take to publish its heartbeat.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two checks for the heartbeat.
const HEARTBEAT_POLL: Duration = Duration::from_millis(20);

/// Turns the list into the subcommands and what runs them.
macro_rules! scenarios {
    ($($(#[$about:meta])* $variant:ident in $module:ident;)*) => {
        /// The scenarios.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Scenario {
            $($(#[$about])* $variant($module::Options),)*
        }

        impl Scenario {
            /// Measures.
            ///
            /// # Errors
            /// Redis or a worker cannot be started, a run failed, or an interrupt.
            pub(crate) fn run(&self, session: &Session) -> Result<Outcome, Error> {
                match self {
                    $(Self::$variant(options) => $module::run(options, session),)*
                }
            }
        }
    };
}

scenarios! {
    /// Drain no-op jobs with the real worker: the published table, and the rate compared with Redis's limit
    Noop in noop;
    /// The same jobs one at a time, with a disk, a network, many queues, failures, another shard
    Conditions in conditions;
    /// What this Redis serves to a client that sends the engine's commands and does nothing else
    Limit in limit;
    /// What a worker without jobs costs: CPU, memory, Redis commands
    Idle in idle;
    /// Fibonacci numbers the slow way, on one core and on two
    Cpu in cpu;
    /// Push with the library's client: one by one, and in bulk
    Enqueue in enqueue;
    /// Append a line to a file in each job: the published table
    File in file;
    /// An HTTP request of 0.2 s in each job: the published table
    Http in http;
    /// `SELECT pg_sleep(0.1)` on a real PostgreSQL in each job: the published table
    Pg in pg;
    /// A worker's memory over 10,000,000 jobs
    Soak in soak;
    /// Enqueue to start at given rates: p50, p90, p99, p99.9, max, corrected for coordinated omission
    Latency in latency;
    /// Short jobs alongside long ones: whether one waits behind the other
    Mixed in mixed;
    /// Move due jobs, and start jobs that others schedule: jobs per second, and how late
    Due in due;
    /// Kill a worker with jobs in flight: seconds until another has started them again, lost, duplicated
    Recovery in recovery;
    /// Take Redis away from a worker and give it back: seconds until jobs run again
    Outage in outage;
    /// Share slots among queues in virtual time: strict, weighted, even, adaptive, with targets
    Simulate in simulate;
}

/// What every scenario needs from the terminal.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whether the user wants to stop.
    pub(crate) interrupt: Interrupt,
    /// The bar.
    pub(crate) progress: Progress,
}

impl Session {
    /// Takes over the signals; draws nothing yet.
    ///
    /// # Errors
    /// The kernel refuses the handlers.
    pub(crate) fn begin() -> Result<Self, Error> {
        Ok(Self { interrupt: Interrupt::install()?, progress: Progress::new() })
    }
}

/// Waits until this many workers have published their heartbeat.
///
/// # Errors
/// They did not in time, Redis does not answer, or an interrupt.
fn wait_for_heartbeats(
    client: &mut Client,
    workers: &mut [&mut Worker],
    session: &Session,
) -> Result<(), Error> {
    let deadline = Instant::now() + HEARTBEAT_TIMEOUT;
    loop {
        let seen = client.scan(keys::HEARTBEAT_PATTERN)?.len();
        if seen >= workers.len() {
            return Ok(());
        }
        session.interrupt.check()?;
        for worker in workers.iter_mut() {
            worker.check_alive()?;
        }
        if Instant::now() > deadline {
            let state = format!("{seen} of {} keys {}", workers.len(), keys::HEARTBEAT_PATTERN);
            let log = workers.last().map(|worker| worker.log_tail()).unwrap_or_default();
            return Err(Error::WorkerStalled { waited: HEARTBEAT_TIMEOUT, state, log });
        }
        thread::sleep(HEARTBEAT_POLL);
    }
}
