//! How an outbox behaves, and what it says of itself.

use crate::limits::{OUTBOX_BYTES, OUTBOX_JOBS, OUTBOX_PATIENCE};
use crate::net::blocking::BlockingOptions;

/// How an outbox behaves.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// Most jobs that wait. Default: [`OUTBOX_JOBS`].
    pub jobs_max: u64,
    /// Most bytes that they take in the journal. The file may have twice as many, and 16 MB, before what is done is cut
    /// out of it. Default: [`OUTBOX_BYTES`].
    pub bytes_max: u64,
    /// What a job that was accepted survives. Default: [`Durability::PowerLoss`].
    pub durability: Durability,
    /// How to connect, and how long Redis may take to answer before it counts as away. Default: [`OUTBOX_PATIENCE`] each.
    pub connection: BlockingOptions,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            jobs_max: OUTBOX_JOBS,
            bytes_max: OUTBOX_BYTES,
            durability: Durability::PowerLoss,
            connection: BlockingOptions {
                connect_timeout: OUTBOX_PATIENCE,
                call_timeout: OUTBOX_PATIENCE,
                ..BlockingOptions::default()
            },
        }
    }
}

/// What a job in the journal survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the machine: each write is forced to the disk (`fdatasync`) before a push returns. Pushes of the same
    /// moment share one.
    #[default]
    PowerLoss,
    /// The end of the program, however sudden: a write goes to the system, which brings it to the disk when it likes.
    ProcessCrash,
}

/// A job that an outbox has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Its jid.
    pub jid: String,
    /// Where it is.
    pub place: Place,
}

/// Where an accepted job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In Redis.
    Redis,
    /// In the journal, from where it goes to Redis when that is back.
    Journal,
}

/// How an outbox is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// Jobs that wait in the journal.
    pub jobs: u64,
    /// Bytes they take there.
    pub bytes: u64,
    /// Why they wait.
    pub trouble: Option<String>,
    /// Jobs that Redis refused for good, in the file beside the journal.
    pub rejected: u64,
}
