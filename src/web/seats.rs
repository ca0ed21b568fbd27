//! The connections that are open: how many, and since when each has been without a new request.
//!
//! One rule cuts off all that are slow or greedy: a connection has [`WEB_EXCHANGE_TIMEOUT`] for each exchange, from when it
//! was opened or its last request began, whether it is its head that drips, its answer that is not read, or nothing that
//! happens at all. And when there are too many, the one that has been so for longest makes room for the next.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use crate::event::Event;
use crate::limits::{WEB_CONNECTIONS_MAX, WEB_EXCHANGE_TIMEOUT};

/// All of them.
#[derive(Default)]
pub(super) struct Seats {
    open: RefCell<BTreeMap<u64, Rc<Seat>>>,
    last: Cell<u64>,
}

/// One connection.
pub(super) struct Seat {
    /// When it was opened, or its last request began.
    since: Cell<Instant>,
    /// Raised when it is cut off.
    cut: Event,
}

/// A connection's place, given up when dropped.
pub(super) struct Taken {
    seats: Rc<Seats>,
    number: u64,
    seat: Rc<Seat>,
}

impl Seats {
    /// A place for a connection that was opened now.
    pub(super) fn take(self: &Rc<Self>, now: Instant) -> Taken {
        if self.open.borrow().len() >= WEB_CONNECTIONS_MAX {
            self.cut_longest();
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        let seat = Rc::new(Seat { since: Cell::new(now), cut: Event::default() });
        self.open.borrow_mut().insert(number, Rc::clone(&seat));
        Taken { seats: Rc::clone(self), number, seat }
    }

    fn cut_longest(&self) {
        let mut open = self.open.borrow_mut();
        let longest = open.iter().min_by_key(|(_, seat)| seat.since.get()).map(|(number, _)| *number);
        if let Some(seat) = longest.and_then(|number| open.remove(&number)) {
            seat.cut.raise();
        }
    }

    /// Cuts off those whose time is over.
    pub(super) fn cut_late(&self, now: Instant) {
        let is_late =
            |seat: &Rc<Seat>| now.saturating_duration_since(seat.since.get()) >= WEB_EXCHANGE_TIMEOUT;
        self.open.borrow_mut().retain(|_, seat| {
            let late = is_late(seat);
            if late {
                seat.cut.raise();
            }
            !late
        });
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open.borrow().len()
    }
}

impl Taken {
    /// The connection.
    pub(super) fn seat(&self) -> Rc<Seat> {
        Rc::clone(&self.seat)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.seats.open.borrow_mut().remove(&self.number);
    }
}

impl Seat {
    /// A request begins.
    pub(super) fn begin(&self, now: Instant) {
        self.since.set(now);
    }

    /// Waits until the connection is cut off.
    ///
    /// # Cancel-safety
    /// As [`Event::wait`].
    pub(super) async fn is_cut(&self) {
        self.cut.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn is_cut(taken: &Taken) -> bool {
        let seat = taken.seat();
        block_on(poll_once(seat.is_cut())).is_some()
    }

    #[test]
    fn the_connection_that_was_without_a_request_for_longest_makes_room() {
        let (seats, start) = (Rc::new(Seats::default()), Instant::now());
        let taken: Vec<Taken> =
            (0..WEB_CONNECTIONS_MAX as u64).map(|at| seats.take(start + Duration::from_millis(at))).collect();
        taken[0].seat().begin(start + Duration::from_secs(1));
        let new = seats.take(start + Duration::from_secs(2));
        assert_eq!(seats.count(), WEB_CONNECTIONS_MAX);
        let cut: Vec<usize> = (0..taken.len()).filter(|at| is_cut(&taken[*at])).collect();
        assert_eq!(cut, [1]);
        assert!(!is_cut(&new));
        drop(taken);
        assert_eq!(seats.count(), 1);
    }

    #[test]
    fn a_connection_without_a_new_request_is_cut_off_after_its_time() {
        let (seats, start) = (Rc::new(Seats::default()), Instant::now());
        let (slow, busy) = (seats.take(start), seats.take(start));
        busy.seat().begin(start + Duration::from_secs(1));
        seats.cut_late(start + WEB_EXCHANGE_TIMEOUT);
        assert!(is_cut(&slow) && !is_cut(&busy));
        assert_eq!(seats.count(), 1);
    }
}
