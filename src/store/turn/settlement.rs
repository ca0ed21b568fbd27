//! What a turn reports: the jobs that have ended since the previous turn.

use bytes::Bytes;

use super::BatchName;

/// Where a job goes that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The retry set.
    Retries,
    /// The dead set.
    Dead,
    /// Where jobs wait that have not failed: the retry set, or in the dialect of Sidekiq the schedule, because its page of
    /// retries shows failures.
    Later,
}

/// A job that leaves its batch for a set, in one step.
#[derive(Debug, Clone)]
pub struct Move {
    /// Which queue (position in the shard's list) and batch it is in.
    pub from: (usize, BatchName),
    /// The payload as fetched.
    pub raw: Bytes,
    /// Which set it goes to.
    pub to: Destination,
    /// Its score there: Unix seconds.
    pub score: f64,
    /// The payload to store.
    pub payload: Vec<u8>,
}

/// What a turn also does, in the same step, for a job that has ended: all of the report including this, or nothing.
///
/// The script knows no op yet and refuses any: releasing a lock, counting down a batch of jobs and storing a result will be
/// the first.
#[derive(Debug, Clone)]
pub struct Effect {
    /// Which one, as the script names it.
    pub op: &'static str,
    /// A key in the slot of the shard's first queue.
    pub key: Box<[u8]>,
    /// What is passed to the op.
    pub arg: Vec<u8>,
}

/// What a turn reports as settled.
#[derive(Debug, Default, Clone)]
pub struct Settlement {
    /// Jobs that ran to an end, including failed ones.
    pub processed: u64,
    /// Jobs that failed, and payloads that were not a job.
    pub failed: u64,
    /// Jobs that go to a set.
    pub moves: Vec<Move>,
    /// Jobs that succeeded in a batch that continues: queue, batch, payload.
    pub singles: Vec<(usize, BatchName, Bytes)>,
    /// Batches whose jobs are all settled: queue, turn.
    pub wholes: Vec<(usize, u64)>,
    /// What else follows from the ends of jobs.
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

    /// The queues that it concerns, by their positions; each as often as it comes up.
    pub fn queues(&self) -> impl Iterator<Item = usize> + '_ {
        let moves = self.moves.iter().map(|one| one.from.0);
        let singles = self.singles.iter().map(|(queue, ..)| *queue);
        moves.chain(singles).chain(self.wholes.iter().map(|(queue, _)| *queue))
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
