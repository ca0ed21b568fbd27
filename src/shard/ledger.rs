//! What Redis has yet to learn about jobs that have ended, until a turn takes it along; and again, if that turn did not
//! arrive.
//!
//! Invariant: a job's end is in one place, this ledger or the report of one turn, so it is never reported twice.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::job::DeadJob;
use crate::limits::STAMP_STEP_S;
use crate::store::flight::Known;
use crate::store::turn::{BatchName, Move, Settlement};

/// A job that succeeded in a batch that is not finished: queue, batch, payload.
pub(super) type Single = (usize, BatchName, Bytes);

/// What one turn reports to Redis, and what the shard keeps of it until Redis has it.
#[derive(Debug, Default)]
pub(super) struct Report {
    settlement: Settlement,
    /// Jobs among its moves that do not count as processed: snoozed ones, and payloads that were not jobs.
    uncounted: u64,
    /// Jobs among its moves that died, where a death hook wants to know once Redis has them.
    deaths: Vec<DeadJob>,
}

impl Report {
    /// The part of it that is sent.
    pub(super) fn settlement(&self) -> &Settlement {
        &self.settlement
    }

    /// Keeps only what is sent.
    pub(super) fn into_settlement(self) -> Settlement {
        self.settlement
    }

    /// The deaths that Redis has recorded once it has this.
    pub(super) fn deaths(&self) -> &[DeadJob] {
        &self.deaths
    }

    /// Jobs and payloads whose end it reports.
    pub(super) fn ended(&self) -> u64 {
        self.settlement.processed + self.uncounted
    }

    /// Whether there is nothing to report.
    pub(super) fn is_empty(&self) -> bool {
        self.settlement.is_empty()
    }

    /// Adds what was settled later.
    fn append(&mut self, later: &mut Self) {
        self.settlement.append(&mut later.settlement);
        self.uncounted += std::mem::take(&mut later.uncounted);
        self.deaths.append(&mut later.deaths);
    }
}

impl From<Settlement> for Report {
    fn from(settlement: Settlement) -> Self {
        Self { settlement, ..Self::default() }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What the next turn reports.
    next: RefCell<Report>,
    /// Since when it waits.
    since: Cell<Option<Instant>>,
    /// The last [`Self::stamp`].
    stamped: Cell<f64>,
}

impl Ledger {
    /// A job ran to an end.
    pub(super) fn count_processed(&self) {
        self.next.borrow_mut().settlement.processed += 1;
    }

    /// A job failed, or a payload was not a job.
    pub(super) fn count_failed(&self) {
        self.next.borrow_mut().settlement.failed += 1;
    }

    /// What moves did not run to an end: a snoozed job, or a payload that is not a job.
    pub(super) fn count_no_run(&self) {
        self.next.borrow_mut().uncounted += 1;
    }

    /// Notes that the report waits from now on, unless it does already.
    pub(super) fn note_settled(&self) {
        if self.since.get().is_none() {
            self.since.set(Some(Instant::now()));
        }
    }

    /// A job leaves its batch for a set.
    pub(super) fn add_move(&self, job: Move) {
        self.next.borrow_mut().settlement.moves.push(job);
    }

    /// These jobs are acked one by one.
    pub(super) fn add_singles(&self, singles: impl IntoIterator<Item = Single>) {
        self.next.borrow_mut().settlement.singles.extend(singles);
    }

    /// A batch is acked whole.
    pub(super) fn add_whole(&self, queue: usize, number: u64) {
        self.next.borrow_mut().settlement.wholes.push((queue, number));
    }

    /// A job that moves is dead, and a death hook wants to know.
    pub(super) fn add_death(&self, job: DeadJob) {
        self.next.borrow_mut().deaths.push(job);
    }

    /// Takes what there is to report.
    pub(super) fn take(&self) -> Report {
        self.since.set(None);
        self.next.take()
    }

    /// Puts a report that did not arrive before what has gathered since.
    pub(super) fn put_back(&self, mut unsent: Report) {
        let mut next = self.next.borrow_mut();
        unsent.append(&mut next);
        *next = unsent;
    }

    /// Whether there is nothing to report.
    pub(super) fn is_empty(&self) -> bool {
        self.next.borrow().is_empty()
    }

    /// Jobs and payloads whose end is to be reported.
    pub(super) fn ended(&self) -> u64 {
        self.next.borrow().ended()
    }

    /// Since when the report waits; `None` if there is none, or if it was put back and is due.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since.get().filter(|_| !self.is_empty())
    }

    /// How long the report has waited; one that was put back has waited long enough. `None` if there is none.
    pub(super) fn waited(&self, now: Instant) -> Option<Duration> {
        if self.is_empty() {
            return None;
        }
        Some(self.since.get().map_or(Duration::MAX, |since| now.saturating_duration_since(since)))
    }

    /// Whether the next report acks this batch whole.
    pub(super) fn closes(&self, queue: usize, number: u64) -> bool {
        self.next.borrow().settlement.wholes.contains(&(queue, number))
    }

    /// Jobs of this batch that the report moves or acks one by one.
    pub(super) fn jobs_in(&self, queue: usize, name: BatchName) -> usize {
        let settlement = &self.next.borrow().settlement;
        let moves = settlement.moves.iter().filter(|job| job.from == (queue, name)).count();
        moves + settlement.singles.iter().filter(|single| (single.0, single.1) == (queue, name)).count()
    }

    /// Adds what the report knows about a list: jobs that move in the next turn stay until then; jobs that it would ack
    /// are dropped by this call, so they are taken out of it and returned.
    pub(super) fn tell_known(&self, queue: usize, name: BatchName, known: &mut Known) -> Vec<Single> {
        let settlement = &mut self.next.borrow_mut().settlement;
        let moves = settlement.moves.iter().filter(|job| job.from == (queue, name));
        known.keep.extend(moves.map(|job| job.raw.clone()));
        let singles: Vec<_> =
            settlement.singles.extract_if(.., |single| (single.0, single.1) == (queue, name)).collect();
        known.settled.extend(singles.iter().map(|(_, _, payload)| payload.clone()));
        singles
    }

    /// This Unix time, or a later one: later than any stamp before, so that two jobs of equal bytes that fail at the same
    /// moment stay two members.
    pub(super) fn stamp(&self, now: f64) -> f64 {
        let stamp = next_stamp(self.stamped.get(), now);
        self.stamped.set(stamp);
        stamp
    }
}

/// The stamp after `last` at the time `now`.
fn next_stamp(last: f64, now: f64) -> f64 {
    now.max(last + STAMP_STEP_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_differ_though_the_clock_stands_and_so_do_the_times_planned_from_them() {
        let now = 1_795_299_919.812_253_5;
        let stamps: Vec<f64> =
            std::iter::successors(Some(now), |last| Some(next_stamp(*last, now))).take(1_000).collect();
        for pause_s in [0.0, 0.1, 60.0, 1e6 / 3.0] {
            assert!(stamps.windows(2).all(|pair| pair[0] + pause_s < pair[1] + pause_s), "{pause_s}");
        }
        assert_eq!(next_stamp(stamps[999], now + 1.0), now + 1.0, "the clock is caught up with");
    }

    #[test]
    fn a_report_that_did_not_arrive_comes_before_what_was_settled_since() {
        let ledger = Ledger::default();
        ledger.count_processed();
        ledger.add_whole(0, 1);
        let unsent = ledger.take();
        assert!(ledger.is_empty());
        ledger.count_processed();
        ledger.count_failed();
        ledger.count_no_run();
        ledger.add_whole(0, 2);
        ledger.put_back(unsent);
        assert_eq!(ledger.ended(), 3);
        let report = ledger.take();
        let settled = report.settlement();
        assert_eq!((settled.processed, settled.failed), (2, 1));
        assert_eq!(settled.wholes, [(0, 1), (0, 2)]);
    }
}
