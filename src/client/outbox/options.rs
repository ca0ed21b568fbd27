//! How an outbox behaves, and what it reports about itself.

use super::super::Dialect;
use crate::limits::{OUTBOX_BYTES, OUTBOX_JOBS, OUTBOX_PATIENCE};
use crate::net::blocking::BlockingOptions;

/// How an outbox behaves.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// The most jobs that may wait. Default: [`OUTBOX_JOBS`].
    pub jobs_max: u64,
    /// The most bytes they may take in the journal. The file may grow to twice that, plus 16 MB, before finished jobs
    /// are cut out of it. Default: [`OUTBOX_BYTES`].
    pub bytes_max: u64,
    /// What an accepted job survives. Default: [`Durability::PowerLoss`].
    pub durability: Durability,
    /// How to connect, and how long Redis may take to answer before it counts as away. Default: [`OUTBOX_PATIENCE`] each.
    pub connection: BlockingOptions,
    /// Whose programs share the Redis. Default: those of `jiggler`.
    pub dialect: Dialect,
}

impl OutboxOptions {
    /// The same for a Redis that programs of this gem share; see [`Client::speaking`](super::super::Client::speaking). What
    /// waits in a journal was written for one gem, so empty it before it is opened for another.
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }
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
            dialect: Dialect::default(),
        }
    }
}

/// What a job in the journal survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The machine going down: each write is forced to the disk (`fdatasync`) before a push returns. Simultaneous
    /// pushes share one.
    #[default]
    PowerLoss,
    /// The program ending, however suddenly: a write goes to the system, which writes it to the disk when it likes.
    ProcessCrash,
}

/// A job that an outbox has accepted.
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
    /// In the journal, from which it goes to Redis when Redis is back.
    Journal,
}

/// The state of an outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// Jobs waiting in the journal.
    pub jobs: u64,
    /// Bytes they take there.
    pub bytes: u64,
    /// Why they wait.
    pub trouble: Option<String>,
    /// Jobs that Redis permanently refused, in the file next to the journal.
    pub rejected: u64,
}
