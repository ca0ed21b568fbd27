//! What can go wrong while generating load, each with the way out.
//!
//! A retry heals none of these: a benchmark that had to retry is not a measurement. `main` decides the exit code, not
//! this module.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use jiggler_uring::client;

use crate::redis::RedisError;

/// Everything that ends a scenario early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// No server program to start as the private Redis.
    #[error(
        "neither redis-server nor valkey-server is in PATH: install one (Debian and Ubuntu: apt install \
         redis-server; Fedora: dnf install valkey; Arch: pacman -S valkey) or name it with --redis-server"
    )]
    RedisServerMissing,

    /// The private Redis did not start.
    #[error("{program} did not answer within {waited:?}; the end of its log:\n{log}")]
    RedisServerStart {
        /// The program that was started.
        program: PathBuf,
        /// How long loadgen waited for it.
        waited: Duration,
        /// The last lines it wrote.
        log: String,
    },

    /// No PostgreSQL to start as the private one, or no user to run it as.
    #[error(
        "PostgreSQL is missing (initdb and postgres in PATH or below /usr/lib/postgresql, and the user postgres when \
         this runs as root): install it (Debian and Ubuntu: apt install postgresql) or name its programs' folder with \
         --postgres-bin"
    )]
    PostgresMissing,

    /// A server that a scenario needs did not start.
    #[error("the {name} did not start; the end of its log:\n{log}")]
    HelperStart {
        /// Which one.
        name: &'static str,
        /// The last lines it wrote.
        log: String,
    },

    /// A worker run by this program was started with a variable it cannot parse.
    #[error("{variable} is {value:?}; expected a number of connections, a space, and their target")]
    BadVariable {
        /// Its name.
        variable: &'static str,
        /// What it says.
        value: String,
    },

    /// The connections that a scenario wants open before the first job could not be opened.
    #[error("the worker could not open its connections ahead of time: {reason}")]
    WarmUp {
        /// Why not.
        reason: String,
    },

    /// A peer ended on its own.
    #[error("the peer ended with {status} before its work was done; the end of its log:\n{log}")]
    PeerFailed {
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
    },

    /// A peer is alive but gets nowhere.
    #[error("the peer did not finish its work within {waited:?}; the end of its log:\n{log}")]
    PeerStalled {
        /// How long loadgen waited for it.
        waited: Duration,
        /// The last lines it wrote.
        log: String,
    },

    /// Talking to the private Redis failed.
    #[error(transparent)]
    Redis(#[from] RedisError),

    /// Cargo could not build the worker.
    #[error(
        "cargo build --release --bin jiggler-uring ended with {0}; build it by hand or name one with --binary"
    )]
    WorkerBuild(ExitStatus),

    /// Cargo built, but named no executable.
    #[error("cargo named no executable jiggler-uring after its build; name one with --binary")]
    WorkerNotNamed,

    /// The program the user named does not exist.
    #[error("no such program: {0}; build it or omit --binary")]
    ProgramMissing(PathBuf),

    /// The worker ended on its own while it should have been working.
    #[error("the worker ended with {status} before its work was done; the end of its log:\n{log}")]
    WorkerEnded {
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
    },

    /// The worker is alive, but nothing moves.
    #[error("no progress for {waited:?}: {state}; the end of the worker's log:\n{log}")]
    WorkerStalled {
        /// How long nothing moved.
        waited: Duration,
        /// What Redis holds.
        state: String,
        /// The last lines the worker wrote.
        log: String,
    },

    /// The worker was asked to stop and did not exit with 0 in time.
    #[error("the worker ended with {status} after SIGTERM, expected exit code 0; the end of its log:\n{log}")]
    WorkerStop {
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
    },

    /// A child process ignored SIGTERM.
    #[error("{name} did not end within {waited:?} after SIGTERM and was killed")]
    NotStopped {
        /// Which child.
        name: &'static str,
        /// How long loadgen waited for it.
        waited: Duration,
    },

    /// The run ended, but not every job was processed successfully exactly once.
    #[error("the run is not a measurement: {0}")]
    WrongOutcome(String),

    /// The null client got error replies or left jobs behind.
    #[error("the null client's commands failed: {0}")]
    WrongReply(String),

    /// A file, a process or a kernel interface.
    #[error("{what}: {source}")]
    System {
        /// What was tried, on what.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },

    /// A kernel file had an unexpected form.
    #[error("{file} has no readable field {field}")]
    KernelFile {
        /// Which file.
        file: String,
        /// Which field.
        field: &'static str,
    },

    /// A CPU number outside the allowed set.
    #[error("CPU {cpu} is not among the CPUs this process may use ({allowed}); choose one of them")]
    CpuNotAllowed {
        /// The one requested.
        cpu: usize,
        /// The ones available.
        allowed: String,
    },

    /// The worker's histograms could not be created, written or read.
    #[error("latencies: {0}")]
    Latencies(String),

    /// The figures could not be written as CSV.
    #[error("writing results as CSV: {0}")]
    Csv(String),

    /// A plot could not be drawn.
    #[error("drawing a plot: {0}")]
    Plot(String),

    /// The file given to `--compare` is something else.
    #[error("{path} holds no loadgen results ({error}); give a file written by --json or --report")]
    OldResults {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        error: serde_json::Error,
    },

    /// Scenarios of a tour that failed; the others are printed and written.
    #[error("left out for the reasons above: {0}")]
    LeftOut(String),

    /// The library's client could not push.
    #[error("pushing jobs: {0}")]
    Client(#[from] client::Error),

    /// The library rejects a job.
    #[error("making a job: {0}")]
    Job(#[from] client::InvalidJob),

    /// The results could not be written as JSON.
    #[error("writing results as JSON: {0}")]
    Json(#[from] serde_json::Error),

    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An IO error together with what was tried.
    pub(crate) fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { what: what.into(), source: source.into() }
    }
}
