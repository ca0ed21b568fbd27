//! What a turn reports: the jobs that have ended since the turn before.

use bytes::Bytes;

use super::BatchName;

/// Where a job goes that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The retry set.
    Retries,
    /// The dead set.
    Dead,
}

/// A job that leaves its batch for a set, in one step.
#[derive(Debug, Clone)]
pub struct Move {
    /// Which queue (position in the shard's list) and batch it is in.
    pub from: (usize, BatchName),
    /// The payload as it was fetched.
    pub raw: Bytes,
    /// Which set it goes to.
    pub to: Destination,
    /// Its score there: Unix seconds.
    pub score: f64,
    /// The payload to store.
    pub payload: Vec<u8>,
}

/// What a turn does besides in the same step, for a job that has ended: all of the report, this too, or nothing.
///
/// The script knows no op yet and refuses any: a lock that is given back, a counter of a batch of jobs, a result that is
/// stored will be its first.
#[derive(Debug, Clone)]
pub struct Effect {
    /// Which one, as the script names it.
    pub op: &'static str,
    /// A key in the slot of the shard's first queue.
    pub key: Box<[u8]>,
    /// What the op is given.
    pub arg: Vec<u8>,
}

/// What a turn reports as settled.
#[derive(Debug, Default, Clone)]
pub struct Settlement {
    /// Jobs that ran to an end, failed ones included.
    pub processed: u64,
    /// Jobs that failed, and payloads that were no job.
    pub failed: u64,
    /// Jobs that go to a set.
    pub moves: Vec<Move>,
    /// Jobs that succeeded in a batch that goes on: queue, batch, payload.
    pub singles: Vec<(usize, BatchName, Bytes)>,
    /// Batches of which every job is settled: queue, turn.
    pub wholes: Vec<(usize, u64)>,
    /// What follows from the ends of jobs, besides.
    pub effects: Vec<Effect>,
}

impl Settlement {
    /// Adds what was settled later.
    pub fn append(&mut self, later: &mut Self) {
        self.processed += std::mem::take(&mut later.processed);
        self.failed += std::mem::take(&mut later.failed);
        self.moves.append(&mut later.moves);
        self.singles.append(&mut later.singles);
        self.wholes.append(&mut later.wholes);
        self.effects.append(&mut later.effects);
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.processed == 0
            && self.failed == 0
            && self.moves.is_empty()
            && self.singles.is_empty()
            && self.wholes.is_empty()
            && self.effects.is_empty()
    }
}
