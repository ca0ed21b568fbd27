//! Which seats of a core have a child that takes jobs; it opens and closes the core's gate.

use std::cell::RefCell;
use std::rc::Rc;

use crate::handler::Gate;

/// See the module.
pub(super) struct Board {
    gate: Rc<Gate>,
    lanes: RefCell<Vec<Row>>,
}

/// One lane.
struct Row {
    takes_all: bool,
    seats: Vec<Seat>,
}

/// What a seat has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// No child that takes jobs.
    Empty,
    /// A child.
    Taken,
    /// A child that takes no more jobs; its successor, a fork, is there before a job that waits for it goes back.
    Passing,
}

impl Board {
    pub(super) fn new(gate: &Rc<Gate>) -> Rc<Self> {
        Rc::new(Self { gate: Rc::clone(gate), lanes: RefCell::default() })
    }

    /// Adds a lane with so many seats. Returns its place.
    pub(super) fn add(&self, takes_all: bool, seats: usize) -> usize {
        self.lanes.borrow_mut().push(Row { takes_all, seats: vec![Seat::Empty; seats] });
        self.decide();
        self.lanes.borrow().len() - 1
    }

    /// Notes what a seat of a lane has now.
    pub(super) fn set(&self, place: usize, seat: usize, has: Seat) {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(old) = lanes.get_mut(place).and_then(|lane| lane.seats.get_mut(seat)) {
            *old = has;
        }
        drop(lanes);
        self.decide();
    }

    /// Nothing is fetched while the runner of every name has no child, or no runner has one.
    fn decide(&self) {
        let lanes = self.lanes.borrow();
        let is_down = |lane: &Row| lane.seats.iter().all(|seat| *seat == Seat::Empty);
        let closed = lanes.iter().all(is_down) || lanes.iter().any(|lane| lane.takes_all && is_down(lane));
        self.gate.set_closed(closed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_open_while_a_child_passes_its_seat_on_and_closed_while_nobody_takes_jobs() {
        let gate = Rc::new(Gate::default());
        let board = Board::new(&gate);
        let (all, some) = (board.add(true, 1), board.add(false, 2));
        let table = [
            (some, 0, Seat::Taken, true),
            (all, 0, Seat::Taken, false),
            (all, 0, Seat::Passing, false),
            (all, 0, Seat::Taken, false),
            (some, 0, Seat::Empty, false),
            (all, 0, Seat::Passing, false),
            (all, 0, Seat::Empty, true),
        ];
        for (place, seat, has, closed) in table {
            board.set(place, seat, has);
            assert_eq!(gate.is_closed(), closed, "{place} {seat} {has:?}");
        }
    }
}
