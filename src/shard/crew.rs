//! The lanes of one core, in a Redis Cluster: one for each queue, each with its own connections to the node that has the
//! queue's slot, all sharing one core, its handlers and its slots.
//!
//! A lane is a whole shard of one queue; this is what the lanes share, and what each shows the others ([`Seat`]). A lane
//! that does not need slots leaves them to the others: no lane has a fixed share. When slots are short
//!
//! - a lane asks for no more jobs than there are slots that are neither held nor claimed by jobs on their way or waiting
//!   here;
//! - while a lane of higher priority has a backlog, those below ask for nothing;
//! - when a slot comes free, the lanes that want it are woken by priority, equal ones in turn.
//!
//! On one Redis a shard has all its queues to itself, and none of this exists.

use std::cell::Cell;
use std::rc::Rc;

use super::appetite::Appetite;
use super::hand::Hand;
use super::rota::Priorities;
use crate::event::Event;
use crate::limits::{READ_AHEAD_AT_MOST_ONCE, READ_AHEAD_HORIZON};
use crate::stats::ShardStats;

/// What one lane shows the others: what it has at hand, what it wants, and how to wake it.
#[derive(Clone)]
pub(super) struct Seat {
    /// Its priority.
    rank: i32,
    hand: Rc<Hand>,
    appetite: Rc<Appetite>,
    work: Rc<Event>,
}

/// What the lanes of one core share.
pub(super) struct Crew {
    // Fixed at construction.
    slots: usize,
    /// Highest priority first.
    seats: Box<[Seat]>,
    /// Which of the lanes that want a slot is woken first.
    rota: Priorities,
    // Changed by the lanes.
    /// Slots that jobs hold.
    used: Cell<usize>,
    /// Lanes that have lost Redis.
    outages: Cell<usize>,
}

impl Seat {
    /// The seat of a shard of this priority.
    pub(super) fn new(rank: i32, at_least_once: bool) -> Self {
        let horizon = if at_least_once { READ_AHEAD_HORIZON } else { READ_AHEAD_AT_MOST_ONCE };
        Self { rank, hand: Rc::default(), appetite: Rc::new(Appetite::new(horizon)), work: Rc::default() }
    }

    pub(super) fn hand(&self) -> &Hand {
        &self.hand
    }

    pub(super) fn appetite(&self) -> &Appetite {
        &self.appetite
    }

    pub(super) fn work(&self) -> &Event {
        &self.work
    }

    /// Slots that its jobs will take: they wait here or are on their way.
    fn claims(&self) -> usize {
        self.hand.unstarted() + self.appetite.coming()
    }
}

impl Crew {
    /// A crew with this many slots. `seats`: highest priority first.
    pub(super) fn new(slots: usize, seats: Box<[Seat]>) -> Self {
        let ranks: Vec<i32> = seats.iter().map(|seat| seat.rank).collect();
        Self { slots, seats, rota: Priorities::new(&ranks), used: Cell::new(0), outages: Cell::new(0) }
    }

    /// The seat of a lane.
    pub(super) fn seat(&self, lane: usize) -> &Seat {
        &self.seats[lane]
    }

    /// A job starts to wait.
    pub(super) fn take_slot(&self) {
        self.used.set(self.used.get() + 1);
    }

    /// Jobs that waited have ended.
    pub(super) fn give_slots_back(&self, count: usize) {
        self.used.set(self.used.get().saturating_sub(count));
        self.wake_starved();
    }

    /// Slots that no job holds.
    pub(super) fn free_slots(&self) -> usize {
        self.slots.saturating_sub(self.used.get())
    }

    /// Slots for which a lane may ask jobs: the jobs of other lanes that are on their way or wait here each have a claim
    /// on one.
    pub(super) fn free_for(&self, lane: usize) -> usize {
        let claimed: usize = self.others(lane).map(Seat::claims).sum();
        self.free_slots().saturating_sub(claimed)
    }

    /// Whether a lane of higher priority has more jobs than it got.
    pub(super) fn outranks(&self, lane: usize) -> bool {
        let rank = self.seats[lane].rank;
        self.others(lane).any(|other| other.rank > rank && other.appetite.has_backlog())
    }

    fn others(&self, lane: usize) -> impl Iterator<Item = &Seat> {
        self.seats.iter().enumerate().filter(move |(at, _)| *at != lane).map(|(_, seat)| seat)
    }

    /// Wakes the lanes that would ask for jobs.
    pub(super) fn wake_starved(&self) {
        for lane in self.rota.next_order() {
            let seat = &self.seats[lane];
            if seat.appetite.take_starved() {
                seat.work.raise();
            }
        }
    }

    /// Publishes the gauges of all lanes.
    pub(super) fn publish(&self, stats: &ShardStats) {
        stats.running.set(self.used.get() as u64);
        stats.unstarted.set(self.seats.iter().map(|seat| seat.hand.unstarted() as u64).sum());
    }

    pub(super) fn outage_begins(&self, stats: &ShardStats) {
        if self.outages.replace(self.outages.get() + 1) == 0 {
            stats.outage_since.mark();
        }
    }

    pub(super) fn outage_ends(&self, stats: &ShardStats) {
        self.outages.set(self.outages.get().saturating_sub(1));
        if self.outages.get() == 0 {
            stats.outage_since.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crew(ranks: &[i32]) -> Crew {
        Crew::new(4, ranks.iter().map(|rank| Seat::new(*rank, true)).collect())
    }

    #[test]
    fn what_other_lanes_have_asked_for_is_not_asked_for_again() {
        let crew = crew(&[1, 0]);
        crew.seat(0).appetite().ask(3);
        assert_eq!((crew.free_for(0), crew.free_for(1)), (4, 1));
        crew.take_slot();
        assert_eq!((crew.free_slots(), crew.free_for(1)), (3, 0));
    }

    #[test]
    fn a_backlog_keeps_lower_lanes_from_asking_and_no_equal_or_higher_ones() {
        let crew = crew(&[2, 1, 1, 0]);
        crew.seat(1).appetite().expect_more(1, 1);
        let outranked: Vec<bool> = (0..4).map(|lane| crew.outranks(lane)).collect();
        assert_eq!(outranked, [false, false, false, true]);
    }

    #[test]
    fn a_slot_that_comes_free_wakes_those_that_want_one_once() {
        let crew = crew(&[1, 0]);
        crew.seat(1).appetite().starve(true);
        crew.give_slots_back(1);
        let woken = |lane: usize| {
            futures_lite::future::block_on(futures_lite::future::poll_once(crew.seat(lane).work().wait()))
                .is_some()
        };
        assert_eq!((woken(0), woken(1)), (false, true));
        crew.give_slots_back(1);
        assert!(!woken(1));
    }
}
