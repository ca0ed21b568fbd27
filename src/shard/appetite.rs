//! What a shard wants from Redis: how many jobs its next turn asks for, whether it expects more, whether it waits.
//!
//! One pure function, [`plan`], decides what to do next; the cells around it hold what it and the other lanes of the core
//! know about the shard.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::pace::Pace;
use crate::limits::{ACK_DELAY, BACKLOG_JOBS_MIN};

/// See the module.
#[derive(Debug)]
pub(super) struct Appetite {
    pace: RefCell<Pace>,
    /// The last fetch brought everything that was asked for, so more is probably waiting.
    backlog: Cell<bool>,
    /// The last fetch brought nothing and nothing has come since: the shard waits in Redis.
    idle: Cell<bool>,
    /// Jobs that the turns under way have asked for.
    coming: Cell<usize>,
    /// It would ask for jobs, but there was no slot, or it was another lane's turn to ask.
    starved: Cell<bool>,
    /// A turn is to be made even if there is nothing to report or to fetch.
    must_turn: Cell<bool>,
}

/// What [`plan`] decides by, apart from the pace of the jobs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// The phase allows jobs to be fetched.
    pub(super) fetches: bool,
    /// Jobs wait for a slot in Redis only, or no more can be kept here: no turn asks for any.
    pub(super) waits: bool,
    /// A lane of higher priority has more jobs than it got.
    pub(super) is_outranked: bool,
    /// Turns are under way.
    pub(super) is_under_way: bool,
    /// A turn is requested, whatever it carries.
    pub(super) must_turn: bool,
    /// Slots for which jobs may be asked.
    pub(super) free: usize,
    /// Jobs at hand that have not started, and those that the turns under way have asked for.
    pub(super) ahead: usize,
    /// How long the report has waited; `None` if there is none.
    pub(super) report_waited: Option<Duration>,
}

/// What a shard does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// A turn is due, and asks for this many jobs.
    pub(super) turn: Option<usize>,
    /// It would ask for jobs but cannot: it is to be woken when a slot comes free.
    pub(super) starves: bool,
}

/// Whether a turn is due, and how many jobs it asks for.
fn plan(pace: &Pace, situation: &Situation) -> Plan {
    let Situation { fetches, free, ahead, .. } = *situation;
    let may_ask = fetches && !situation.waits;
    if may_ask {
        let wanted = pace.wanted(free, ahead);
        if wanted > 0 && !situation.is_outranked {
            return Plan { turn: Some(wanted), starves: false };
        }
    }
    // When a shard has nothing to ask for, its acks wait a moment for a fetch to travel with.
    let reports = situation.report_waited.is_some_and(|waited| waited >= ACK_DELAY || !fetches);
    let is_due = !situation.is_under_way && (situation.must_turn || reports);
    Plan { turn: is_due.then_some(0), starves: may_ask }
}

impl Appetite {
    pub(super) fn new(horizon: Duration) -> Self {
        Self {
            pace: RefCell::new(Pace::new(horizon)),
            backlog: Cell::new(false),
            idle: Cell::new(false),
            coming: Cell::new(0),
            starved: Cell::new(false),
            must_turn: Cell::new(false),
        }
    }

    /// A job that did not wait has ended, this long after the one before.
    pub(super) fn observe_run(&self, took: Duration) {
        self.pace.borrow_mut().observe_run(took);
    }

    /// A job that waited took this long, with this many slots side by side.
    pub(super) fn observe_waiting(&self, took: Duration, slots: usize) {
        self.pace.borrow_mut().observe_waiting(took, slots);
    }

    /// A batch came in.
    pub(super) fn observe_batch(&self, jobs: usize, bytes: usize) {
        self.pace.borrow_mut().observe_batch(jobs, bytes);
    }

    /// How many jobs a turn would ask for.
    #[cfg(test)]
    pub(super) fn wanted(&self, free: usize, ahead: usize) -> usize {
        self.pace.borrow().wanted(free, ahead)
    }

    /// Decides what to do next, and remembers whether the shard starves.
    pub(super) fn plan(&self, situation: &Situation) -> Option<usize> {
        let plan = plan(&self.pace.borrow(), situation);
        if plan.starves {
            self.starved.set(true);
        }
        plan.turn
    }

    /// A turn has asked for this many jobs.
    pub(super) fn ask(&self, wanted: usize) {
        self.coming.set(self.coming.get() + wanted);
        self.must_turn.set(false);
    }

    /// The turn that asked for this many jobs was answered, or was refused.
    pub(super) fn answered(&self, wanted: usize) {
        self.coming.set(self.coming.get().saturating_sub(wanted));
    }

    /// Jobs that the turns under way have asked for.
    pub(super) fn coming(&self) -> usize {
        self.coming.get()
    }

    /// Notes what a fetch of `wanted` jobs brought. Returns whether more is likely to wait.
    pub(super) fn expect_more(&self, wanted: usize, brought: usize) -> bool {
        let more = brought >= wanted.min(BACKLOG_JOBS_MIN);
        if more {
            self.backlog.set(true);
        }
        more
    }

    /// Whether more is likely to wait.
    pub(super) fn has_backlog(&self) -> bool {
        self.backlog.get()
    }

    /// Stops expecting more. Returns whether it did expect more.
    pub(super) fn end_backlog(&self) -> bool {
        self.backlog.replace(false)
    }

    /// A lost connection brings nothing more, so nothing is expected.
    pub(super) fn expect_nothing(&self) {
        self.coming.set(0);
        self.backlog.set(false);
    }

    /// Whether the shard waits in Redis.
    pub(super) fn is_idle(&self) -> bool {
        self.idle.get()
    }

    /// A fetch found nothing: from now on the shard waits in Redis.
    pub(super) fn wait(&self) {
        self.idle.set(true);
    }

    /// The next turn looks for jobs, whether or not a waiter waits for them.
    pub(super) fn look(&self) {
        self.idle.set(false);
    }

    /// Notes whether the shard would ask for jobs if it had a slot.
    pub(super) fn starve(&self, starved: bool) {
        self.starved.set(starved);
    }

    /// Whether it starved; clears the mark.
    pub(super) fn take_starved(&self) -> bool {
        self.starved.take()
    }

    /// Whether a turn is to be made, whatever it carries.
    pub(super) fn must_turn(&self) -> bool {
        self.must_turn.get()
    }

    /// Requests a turn, whatever it carries.
    pub(super) fn demand_turn(&self) {
        self.must_turn.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is under way, ten slots are free.
    const CALM: Situation = Situation {
        fetches: true,
        waits: false,
        is_outranked: false,
        is_under_way: false,
        must_turn: false,
        free: 10,
        ahead: 0,
        report_waited: None,
    };
    const SOON: Option<Duration> = Some(Duration::ZERO);
    const LONG: Option<Duration> = Some(ACK_DELAY);

    #[test]
    fn what_to_do_next() {
        let idle = Situation { waits: true, ..CALM };
        let full = Situation { free: 0, ..CALM };
        let quiet = Situation { fetches: false, ..CALM };
        let table: &[(&str, Situation, Option<usize>, bool)] = &[
            ("free slots are asked for", CALM, Some(10), false),
            ("what is ahead has its slots", Situation { ahead: 4, ..CALM }, Some(6), false),
            ("the report travels with the fetch", Situation { report_waited: SOON, ..CALM }, Some(10), false),
            (
                "a turn under way does not keep from asking",
                Situation { is_under_way: true, ..CALM },
                Some(10),
                false,
            ),
            ("no free slot", full, None, true),
            ("another lane's turn to ask", Situation { is_outranked: true, ..CALM }, None, true),
            ("a young report waits for a fetch", Situation { report_waited: SOON, ..full }, None, true),
            ("an old one goes alone", Situation { report_waited: LONG, ..full }, Some(0), true),
            (
                "but not behind another turn",
                Situation { report_waited: LONG, is_under_way: true, ..full },
                None,
                true,
            ),
            ("a turn that is asked for", Situation { must_turn: true, ..full }, Some(0), true),
            (
                "the next one does as well",
                Situation { must_turn: true, is_under_way: true, ..full },
                None,
                true,
            ),
            ("waiting in Redis", idle, None, false),
            ("a report while waiting", Situation { report_waited: LONG, ..idle }, Some(0), false),
            ("quiet", quiet, None, false),
            (
                "when quiet a report waits for nothing",
                Situation { report_waited: SOON, ..quiet },
                Some(0),
                false,
            ),
            ("a fence is looked for when quiet, too", Situation { must_turn: true, ..quiet }, Some(0), false),
        ];
        let pace = Pace::new(Duration::from_millis(4));
        for &(what, situation, turn, starves) in table {
            assert_eq!(plan(&pace, &situation), Plan { turn, starves }, "{what}");
        }
    }

    #[test]
    fn a_fetch_that_brings_what_was_asked_for_or_many_jobs_makes_the_shard_expect_more() {
        let appetite = Appetite::new(Duration::from_millis(4));
        for (wanted, brought, more) in
            [(1, 1, true), (3, 2, false), (500, BACKLOG_JOBS_MIN, true), (500, 0, false)]
        {
            assert_eq!(appetite.expect_more(wanted, brought), more, "{brought} of {wanted}");
        }
        assert!(appetite.end_backlog() && !appetite.has_backlog());
    }
}
