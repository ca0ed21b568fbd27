//! Why an order could not be carried out, and whether the user has to change something.

use std::io;

use thiserror::Error;

use crate::{
    acts::action::DeadSetFull,
    client,
    limits::PAUSES_MAX,
    net, resp,
    store::{entries::Set, survey::SurveyError},
    view::count::count,
};

/// Why an order could not be carried out.
///
/// [`Error::is_usage`] distinguishes mistakes of the user from failures that may pass.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A job is invalid, or could not be pushed.
    #[error("enqueue {name}: {cause}")]
    Enqueue {
        /// The job's name.
        name: String,
        /// Why.
        cause: client::Error,
    },
    /// A job could not be cancelled.
    #[error("cancel {jid}: {cause}")]
    Cancel {
        /// The job's id.
        jid: String,
        /// Why.
        cause: client::Error,
    },
    /// Nobody is listening for cancellations.
    #[error("cancel {jid}: no worker listens; is one running on this redis?")]
    NobodyListens {
        /// The job's id.
        jid: String,
    },
    /// The job is in a set, so it does not run.
    #[error(
        "cancel {jid}: it is in {set}, where nothing runs; `jiggler-uring delete {jid}` removes it{}",
        kill_instead(jid, *set)
    )]
    DoesNotRun {
        /// The job's id.
        jid: String,
        /// Which set.
        set: Set,
    },
    /// A bulk's file cannot be opened.
    #[error("open {file}: {cause}")]
    BulkOpen {
        /// The file.
        file: String,
        /// The system's error.
        cause: io::Error,
    },
    /// Reading a bulk's file failed part-way.
    #[error("read {file}: {cause}; {} pushed", jobs_were(*pushed))]
    BulkRead {
        /// The file.
        file: String,
        /// Jobs pushed before that.
        pushed: u64,
        /// The system's error.
        cause: io::Error,
    },
    /// A line of a bulk is not a job.
    #[error(
        "{file}: line {line}: {reason}; {} pushed: all those before this line and no others",
        jobs_were(*pushed)
    )]
    BulkLine {
        /// The file.
        file: String,
        /// The number of the line; the first is 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
        /// Jobs pushed before that.
        pushed: u64,
    },
    /// Jobs of a bulk could not be pushed.
    #[error(
        "{file}: {cause}; {} certainly pushed: all before line {first}, and perhaps some of lines \
         {first} to {last}, but none behind them",
        jobs_were(*pushed)
    )]
    BulkPush {
        /// The file.
        file: String,
        /// First line of those in doubt.
        first: u64,
        /// Last line of those in doubt.
        last: u64,
        /// Jobs that were certainly pushed.
        pushed: u64,
        /// Why.
        cause: Box<client::Error>,
    },
    /// The order needs consent, but there is no terminal to ask at.
    #[error("{what} asks first, and there is no terminal to ask at: use --yes")]
    NobodyToAsk {
        /// The order.
        what: String,
    },
    /// The answer was not `yes`.
    #[error("not confirmed: nothing was changed")]
    NotConfirmed,
    /// A script could not be loaded or run, or its answer made no sense.
    #[error("{what}: {cause}")]
    Script {
        /// What was to be done.
        what: String,
        /// Why it was not.
        cause: net::Error,
    },
    /// The Redis user lacks a right that the order needs.
    #[error("{cause}; let an administrator run {line}")]
    Denied {
        /// What failed, in Redis's words.
        cause: Box<Error>,
        /// The command that grants the right.
        line: String,
    },
    /// No job with this jid is in the places searched.
    #[error(
        "no job has the jid {jid}; searched: {searched}. For a job in a queue use `delete {jid} --queue NAME`, \
         for a running one `cancel {jid}`"
    )]
    NotFound {
        /// The job's id.
        jid: String,
        /// Where, and in how many entries.
        searched: String,
    },
    /// No job with this jid is where `show` looks.
    #[error(
        "no job has the jid {jid}; searched: {searched}. It has ended, or is not among the longest-running jobs of its process, or \
         is beyond the entries examined: --examine N looks at more, --queue NAME only at one queue"
    )]
    NotShown {
        /// The job's id.
        jid: String,
        /// Where, and in how many entries.
        searched: String,
    },
    /// The job has reported nothing.
    #[error("job {jid} has reported no progress in the last hour")]
    NoProgress {
        /// The job's id.
        jid: String,
    },
    /// What a job has reported could not be read.
    #[error("read the progress of {jid}: {cause}")]
    Progress {
        /// The job's id.
        jid: String,
        /// Why.
        cause: client::Error,
    },
    /// The entry holds more bytes than a worker runs.
    #[error(
        "{jid} holds a payload (raw_base64) that is larger than any worker runs, so it cannot be retried: push a smaller \
         job, and delete it"
    )]
    NoJobToRetry {
        /// The entry's jid.
        jid: String,
    },
    /// Jobs could not be retried.
    #[error("{} where they are: the key {key} of their queue is not a list; fix or remove it", jobs_stay(*jobs))]
    Held {
        /// How many.
        jobs: u64,
        /// The key of such a queue.
        key: String,
    },
    /// Jobs could not be retried.
    #[error(
        "{} where they are: no worker may be given the queue that they name: {reason}; say where \
         they are to run with --queue NAME, or delete them",
        jobs_stay(*jobs)
    )]
    Unservable {
        /// How many.
        jobs: u64,
        /// Why, of one of them.
        reason: String,
    },
    /// The dead set has no room.
    #[error(transparent)]
    DeadSetFull(#[from] DeadSetFull),
    /// There is no process to control.
    #[error("{}; `jiggler-uring processes` lists those that do", no_process(.wanted.as_deref()))]
    NoProcess {
        /// How the uuid had to begin; `None` if any would have done.
        wanted: Option<String>,
    },
    /// The prefix matches more than one process.
    #[error("process `{prefix}` matches {uuids}; give more of it")]
    ManyProcesses {
        /// How the uuid had to begin.
        prefix: String,
        /// Those that do.
        uuids: String,
    },
    /// Not every process did as requested; the output says what each did.
    #[error(
        "{request}: {failed} of {} did not receive the request or have not carried it out",
        count(*of as u64, "process", "processes")
    )]
    Unsteered {
        /// What was requested.
        request: &'static str,
        /// How many did not.
        failed: usize,
        /// Of how many.
        of: usize,
    },
    /// A periodic job is not changed.
    #[error("cron {name}: {cause}")]
    Cron {
        /// Its name.
        name: String,
        /// Why.
        cause: String,
    },
    /// Others change the entry all the time.
    #[error("cron {name}: others change it all the time; try again")]
    CronBusy {
        /// Its name.
        name: String,
    },
    /// The queue of a periodic job has a key of another type.
    #[error("cron {name}: the key of its queue is not a list; fix or remove it")]
    CronHeld {
        /// Its name.
        name: String,
    },
    /// What is to run again is not paused.
    #[error("{what} is not paused; `pause --list` shows what is")]
    NotPaused {
        /// What it is.
        what: String,
    },
    /// A pause would be over at once.
    #[error("{what} is not paused: --until was {ago}")]
    PauseOver {
        /// What was to be paused.
        what: String,
        /// How long ago.
        ago: String,
    },
    /// Too much is paused.
    #[error("{what} is not paused: {PAUSES_MAX} queues and classes are, which is the most; resume some")]
    PausesFull {
        /// What was to be paused.
        what: String,
    },
    /// Others change what is paused all the time.
    #[error("others change what is paused all the time; try again")]
    PauseBusy,
    /// Redis could not be reached.
    #[error(transparent)]
    Connect(#[from] net::Error),
    /// The state could not be read.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The output could not be written, to a closed pipe for example.
    #[error("write the output: {0}")]
    Output(io::Error),
}

impl Error {
    /// Whether the order itself was wrong and nothing was tried.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Enqueue { cause: client::Error::Bulk { enqueued: 0, cause, .. }, .. } => {
                matches!(**cause, client::Error::Job(_))
            }
            Self::Enqueue { cause, .. } => {
                matches!(cause, client::Error::Job(_) | client::Error::Url(_) | client::Error::BadTime { .. })
            }
            Self::BulkOpen { .. }
            | Self::NobodyToAsk { .. }
            | Self::ManyProcesses { .. }
            | Self::PauseOver { .. } => true,
            Self::BulkLine { pushed, .. } => *pushed == 0,
            Self::BulkRead { .. }
            | Self::BulkPush { .. }
            | Self::NotConfirmed
            | Self::Script { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::NotShown { .. }
            | Self::NoProgress { .. }
            | Self::Progress { .. }
            | Self::NoJobToRetry { .. }
            | Self::Held { .. }
            | Self::Unservable { .. }
            | Self::DeadSetFull(_)
            | Self::Cancel { .. }
            | Self::NoProcess { .. }
            | Self::Unsteered { .. }
            | Self::Cron { .. }
            | Self::CronBusy { .. }
            | Self::CronHeld { .. }
            | Self::NotPaused { .. }
            | Self::PausesFull { .. }
            | Self::PauseBusy
            | Self::NobodyListens { .. }
            | Self::DoesNotRun { .. }
            | Self::Connect(_)
            | Self::Survey(_)
            | Self::Output(_) => false,
        }
    }
}

fn jobs_were(number: u64) -> String {
    count(number, "job was", "jobs were")
}

fn jobs_stay(number: u64) -> String {
    count(number, "job stays", "jobs stay")
}

/// What else could be meant by the cancellation of a job that does not run.
fn kill_instead(jid: &str, set: Set) -> String {
    match set {
        Set::Dead => String::new(),
        Set::Retries | Set::Scheduled => format!(", `jiggler-uring kill {jid}` moves it to {}", Set::Dead),
    }
}

fn no_process(wanted: Option<&str>) -> String {
    match wanted {
        Some(prefix) => format!("no process whose uuid begins with `{prefix}` has a heartbeat"),
        None => "no process has a heartbeat".to_owned(),
    }
}

// By hand, because `#[from]` would also make the cause a `source()`, which would then be printed twice.
impl From<resp::Error> for Error {
    fn from(cause: resp::Error) -> Self {
        Self::Connect(cause.into())
    }
}

impl From<io::Error> for Error {
    fn from(cause: io::Error) -> Self {
        Self::Output(cause)
    }
}
