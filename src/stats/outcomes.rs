//! What became of the jobs of one queue and class: a row of what a shard counts.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use super::times::{LiveTimes, Times};

/// How a run of a job ended, or what became of a payload that did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It succeeded.
    Done,
    /// It failed and runs again.
    Retried,
    /// It failed and is in the dead set.
    Dead,
    /// Its handler wanted nothing more to become of it.
    Discarded,
    /// Its handler wanted it to run later.
    Snoozed,
    /// It was cancelled while it ran.
    Cancelled,
    /// Nobody here knows its name, so it was left to other workers; or its class is paused.
    Left,
    /// It was not a job.
    Malformed,
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 8] = [
        Self::Done,
        Self::Retried,
        Self::Dead,
        Self::Discarded,
        Self::Snoozed,
        Self::Cancelled,
        Self::Left,
        Self::Malformed,
    ];

    /// As metrics call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::Left => "left",
            Self::Malformed => "malformed",
        }
    }
}

/// Counted on one thread.
#[derive(Debug, Default)]
pub(crate) struct LiveRow {
    outcomes: [Cell<u64>; Outcome::ALL.len()],
    run: LiveTimes,
    wait: LiveTimes,
    /// Created with the first failure.
    failures: OnceCell<Box<LiveFailures>>,
}

/// What is counted of failures besides.
#[derive(Debug, Default)]
struct LiveFailures {
    run: LiveTimes,
    forgotten: Cell<u64>,
}

impl LiveRow {
    /// A job ended so.
    #[inline]
    pub(crate) fn count(&self, outcome: Outcome) {
        let count = &self.outcomes[outcome as usize];
        count.set(count.get().wrapping_add(1));
    }

    /// A run took this long.
    #[inline]
    pub(crate) fn ran(&self, time: Duration) {
        self.run.add(time);
    }

    /// That run did not succeed.
    #[cold]
    pub(crate) fn failed_after(&self, time: Duration) {
        self.failures().run.add(time);
    }

    /// A job that was discarded had failed, and its payload wanted it to be forgotten.
    pub(crate) fn forget(&self) {
        let forgotten = &self.failures().forgotten;
        forgotten.set(forgotten.get().wrapping_add(1));
    }

    fn failures(&self) -> &LiveFailures {
        self.failures.get_or_init(Box::default)
    }

    /// The last job of a batch started this long after its shard had received it.
    #[inline]
    pub(crate) fn waited(&self, time: Duration) {
        self.wait.add(time);
    }

    /// What was counted so far.
    pub(crate) fn copy(&self) -> Row {
        Row {
            outcomes: self.outcomes.each_ref().map(Cell::get),
            run: self.run.copy(),
            wait: self.wait.copy(),
            failed_run: self.failures.get().map(|failures| Box::new(failures.run.copy())),
            forgotten: self.failures.get().map_or(0, |failures| failures.forgotten.get()),
        }
    }
}

/// What was counted up to some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    outcomes: [u64; Outcome::ALL.len()],
    /// How long runs took.
    pub(crate) run: Times,
    /// How long after it had arrived the last job of a batch started.
    pub(crate) wait: Times,
    /// How long those runs took that did not succeed, if there were any: they are in `run` too.
    pub(crate) failed_run: Option<Box<Times>>,
    /// Discarded jobs that had failed.
    pub(crate) forgotten: u64,
}

impl Row {
    /// How many jobs ended so.
    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// Adds what others have counted.
    #[cfg(any(feature = "web", test))]
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.outcomes.iter_mut().zip(&other.outcomes) {
            *count = count.wrapping_add(*more);
        }
        self.run.merge(&other.run);
        self.wait.merge(&other.wait);
        if let Some(more) = &other.failed_run {
            self.failed_run.get_or_insert_default().merge(more);
        }
        self.forgotten = self.forgotten.wrapping_add(other.forgotten);
    }
}

/// A row with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardRow {
    /// The number of the queue, in the order of the shard's priorities.
    pub(crate) queue: usize,
    /// The number of the job's name in alphabetical order; [`TALLY_CLASSES_MAX`](crate::limits::TALLY_CLASSES_MAX) or more:
    /// of any other.
    pub(crate) class: usize,
    pub(crate) row: Row,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_copied_and_added_up() {
        for (number, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, number, "{}", outcome.as_str());
        }
        let live = LiveRow::default();
        live.count(Outcome::Done);
        live.count(Outcome::Malformed);
        live.ran(Duration::from_secs(1));
        live.waited(Duration::from_secs(2));
        let mut row = live.copy();
        row.merge(&live.copy());
        assert_eq!((row.count(Outcome::Done), row.count(Outcome::Malformed)), (2, 2));
        assert_eq!((row.count(Outcome::Dead), row.run.count(), row.wait.count()), (0, 2, 2));
    }
}
