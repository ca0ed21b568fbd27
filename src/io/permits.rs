//! A number of permits that tasks of one executor take in the order in which they asked.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

/// The permits. Cloning gives a handle to the same ones.
#[derive(Clone)]
pub(crate) struct Permits(Rc<Shared>);

/// One permit; given back when dropped.
pub(crate) struct Permit(Rc<Shared>);

/// The maximum number of tasks is already waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyWait(pub(crate) usize);

struct Shared {
    waiting_max: usize,
    free: Cell<usize>,
    /// In the order in which they asked. An entry whose owner is gone stays until its turn or until the list is full.
    waiting: RefCell<VecDeque<Weak<Ticket>>>,
}

/// A place in the line.
struct Ticket {
    /// Whether a permit was handed over; it no longer counts as free then.
    given: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Waits in line; when dropped, leaves the line, or passes on the permit it was given.
struct InLine<'a> {
    shared: &'a Rc<Shared>,
    place: Rc<Ticket>,
}

impl Permits {
    pub(crate) fn new(count: usize, waiting_max: usize) -> Self {
        Self(Rc::new(Shared { waiting_max, free: Cell::new(count), waiting: RefCell::default() }))
    }

    /// Takes a permit, in order.
    ///
    /// # Errors
    /// [`TooManyWait`] carries the limit that was reached.
    ///
    /// # Cancel-safety
    /// Safe: the place in the line is given up, and a permit already handed over goes to the next in line.
    pub(crate) async fn take(&self) -> Result<Permit, TooManyWait> {
        if let Some(permit) = self.try_take() {
            return Ok(permit);
        }
        let place = Rc::new(Ticket { given: Cell::new(false), waker: RefCell::default() });
        self.0.stand_in_line(&place)?;
        let waiting = InLine { shared: &self.0, place };
        poll_fn(|ctx| {
            if waiting.place.given.replace(false) {
                return Poll::Ready(Ok(Permit(Rc::clone(&self.0))));
            }
            *waiting.place.waker.borrow_mut() = Some(ctx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The number of free permits.
    #[cfg(feature = "postgres")]
    pub(crate) fn free(&self) -> usize {
        self.0.free.get()
    }

    /// Takes a permit if one is free and nobody is waiting.
    pub(crate) fn try_take(&self) -> Option<Permit> {
        // While anyone is waiting nothing is free: a returned permit is handed over.
        let free = self.0.free.get().checked_sub(1)?;
        self.0.free.set(free);
        Some(Permit(Rc::clone(&self.0)))
    }
}

impl Shared {
    fn stand_in_line(&self, place: &Rc<Ticket>) -> Result<(), TooManyWait> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.waiting_max {
            waiting.retain(|place| place.strong_count() > 0);
            if waiting.len() >= self.waiting_max {
                return Err(TooManyWait(self.waiting_max));
            }
        }
        waiting.push_back(Rc::downgrade(place));
        Ok(())
    }

    fn give_back(&self) {
        loop {
            let Some(next) = self.waiting.borrow_mut().pop_front() else {
                self.free.set(self.free.get() + 1);
                return;
            };
            if let Some(place) = next.upgrade() {
                place.given.set(true);
                if let Some(waker) = place.waker.borrow_mut().take() {
                    waker.wake();
                }
                return;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.place.given.get() {
            self.shared.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn permits_go_round_in_the_order_of_asking() {
        block_on(async {
            let permits = Permits::new(1, 8);
            let first = permits.take().await.unwrap();
            let mut second = Box::pin(permits.take());
            let mut third = Box::pin(permits.take());
            assert!(poll_once(&mut second).await.is_none() && poll_once(&mut third).await.is_none());
            drop(first);
            assert!(permits.try_take().is_none(), "those who wait come first");
            assert!(poll_once(&mut third).await.is_none());
            let second = poll_once(&mut second).await.unwrap();
            drop(second);
            drop(poll_once(&mut third).await.unwrap());
            assert!(permits.try_take().is_some());
        });
    }

    #[test]
    fn leaving_the_line_loses_no_permit() {
        block_on(async {
            let permits = Permits::new(1, 8);
            let first = permits.take().await.unwrap();
            let mut given = Box::pin(permits.take());
            let mut left = Box::pin(permits.take());
            let mut last = Box::pin(permits.take());
            for wait in [&mut given, &mut left, &mut last] {
                assert!(poll_once(wait).await.is_none());
            }
            drop(left);
            drop(first);
            drop(given);
            assert!(poll_once(&mut last).await.is_some());
            assert_eq!(permits.0.free.get(), 1);
        });
    }

    #[test]
    fn the_line_has_an_end_and_places_that_were_left_do_not_count() {
        block_on(async {
            let permits = Permits::new(0, 2);
            let mut waits: Vec<_> = (0..2).map(|_| Box::pin(permits.take())).collect();
            for wait in &mut waits {
                assert!(poll_once(wait).await.is_none());
            }
            assert_eq!(permits.take().await.err(), Some(TooManyWait(2)));
            waits.pop();
            assert!(poll_once(Box::pin(permits.take())).await.is_none(), "there is a place again");
        });
    }
}
