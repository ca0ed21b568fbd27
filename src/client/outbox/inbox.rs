//! What waits for the thread of an outbox: orders of those who push, and the answer of Redis.
//!
//! Bounded in jobs and bytes: whoever comes when it is full waits, on any runtime or none.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use futures_channel::oneshot::Sender;

use super::super::Error;
use super::record::Job;
use super::{OutboxStatus, Place};
use crate::limits::{PUSH_BYTES_MAX, PUSH_JOBS_MAX, WAITING_BYTES_MAX};
use crate::resp::Reply;

/// Jobs that belong together, and who waits for what becomes of them.
pub(in crate::client) struct Order {
    pub(in crate::client) jobs: Vec<Job>,
    pub(in crate::client) answer: Sender<Answer>,
}

/// What became of an order.
pub(in crate::client) struct Answer {
    /// Jobs that were pushed or kept.
    pub(in crate::client) accepted: u64,
    /// Where they are: in the journal, if any is there.
    pub(in crate::client) place: Place,
    /// Why others were not, if any.
    pub(in crate::client) failure: Option<Error>,
}

impl Order {
    fn bytes(&self) -> usize {
        self.jobs.iter().map(|job| job.payload.len()).sum()
    }
}

#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Told when something comes for the thread.
    came: Condvar,
    /// Told when the journal has become empty.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    /// Invariant: at most [`PUSH_JOBS_MAX`] jobs and [`WAITING_BYTES_MAX`] bytes, the last order excepted.
    orders: VecDeque<Order>,
    jobs: usize,
    bytes: usize,
    /// Who waits for room.
    crowd: Vec<Waker>,
    /// What Redis answered to the one batch that is under way.
    returned: Option<Result<Vec<Reply>, Error>>,
    /// Nobody will push any more.
    closing: bool,
    /// The thread has ended, in whatever way.
    ended: bool,
    status: OutboxStatus,
}

/// What the thread is to do next.
pub(super) enum Event {
    /// Redis has answered, or the connection failed.
    Returned(Result<Vec<Reply>, Error>),
    /// As many orders as one batch takes.
    Orders(Vec<Order>),
    /// The time has come that was asked for.
    Due,
    /// Nobody will push any more, and no order waits.
    Closed,
}

/// Which events are wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) orders: bool,
    pub(super) closed: bool,
    pub(super) until: Option<Instant>,
}

impl Inbox {
    /// Leaves an order, once there is room.
    ///
    /// # Errors
    /// [`Error::Stopped`], if the thread has ended.
    ///
    /// # Cancel-safety
    /// Safe: it has left the order or it has not.
    pub(super) async fn submit(&self, order: Order) -> Result<(), Error> {
        let mut order = Some(order);
        poll_fn(|ctx| {
            let mut state = self.lock();
            if state.ended {
                return Poll::Ready(Err(Error::Stopped { may_have_pushed: false }));
            }
            if state.jobs >= PUSH_JOBS_MAX || state.bytes >= WAITING_BYTES_MAX {
                state.crowd.push(ctx.waker().clone());
                return Poll::Pending;
            }
            if let Some(order) = order.take() {
                state.jobs += order.jobs.len();
                state.bytes += order.bytes();
                state.orders.push_back(order);
                self.came.notify_one();
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Hands the answer of Redis over.
    pub(super) fn give_back(&self, result: Result<Vec<Reply>, Error>) {
        self.lock().returned = Some(result);
        self.came.notify_one();
    }

    /// Nobody will push any more.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.came.notify_one();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// The thread ends; who still waits for it is told.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let (orders, crowd) = (std::mem::take(&mut state.orders), std::mem::take(&mut state.crowd));
        drop(state);
        drop(orders);
        crowd.into_iter().for_each(Waker::wake);
        self.emptied.notify_all();
    }

    /// Waits for one of the events that are wanted; an answer always is.
    pub(super) fn next(&self, wanted: Wanted) -> Event {
        let mut state = self.lock();
        loop {
            if let Some(returned) = state.returned.take() {
                return Event::Returned(returned);
            }
            if wanted.orders && !state.orders.is_empty() {
                let (orders, crowd) = state.take_orders();
                drop(state);
                crowd.into_iter().for_each(Waker::wake);
                return Event::Orders(orders);
            }
            if wanted.closed && state.closing && state.orders.is_empty() {
                return Event::Closed;
            }
            state = match wanted.until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Event::Due,
                Some(left) => self.came.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.came.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    pub(super) fn publish(&self, status: OutboxStatus) {
        let empty = status.jobs == 0;
        self.lock().status = status;
        if empty {
            self.emptied.notify_all();
        }
    }

    pub(super) fn status(&self) -> OutboxStatus {
        self.lock().status.clone()
    }

    /// Waits until the journal is empty; `false` if that takes too long.
    pub(super) fn wait_emptied(&self, timeout: Duration) -> bool {
        let waits = |state: &mut State| state.status.jobs > 0 && !state.ended;
        let waited = self.emptied.wait_timeout_while(self.lock(), timeout, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.status.jobs == 0
    }

    /// A panic while the lock was held left nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take_orders(&mut self) -> (Vec<Order>, Vec<Waker>) {
        let (mut jobs, mut bytes) = (0, 0);
        let mut count = 0;
        for order in &self.orders {
            jobs += order.jobs.len();
            if count > 0 && (jobs > PUSH_JOBS_MAX || bytes >= PUSH_BYTES_MAX) {
                break;
            }
            bytes += order.bytes();
            count += 1;
        }
        let orders: Vec<Order> = self.orders.drain(..count).collect();
        self.jobs -= orders.iter().map(|order| order.jobs.len()).sum::<usize>();
        self.bytes -= bytes;
        (orders, std::mem::take(&mut self.crowd))
    }
}
