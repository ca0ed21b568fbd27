//! What waits for the thread of an outbox: orders from callers, and Redis's answers.
//!
//! Bounded in jobs and bytes: when it is full, callers wait, on any runtime or none.

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

/// Jobs that belong together, and the caller waiting for their outcome.
pub(in crate::client) struct Order {
    pub(in crate::client) jobs: Vec<Job>,
    pub(in crate::client) answer: Sender<Answer>,
}

/// The outcome of an order.
pub(in crate::client) struct Answer {
    /// Jobs that were pushed or kept.
    pub(in crate::client) accepted: u64,
    /// Where they are: in the journal, if any of them is.
    pub(in crate::client) place: Place,
    /// Why the others were not, if any.
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
    /// Notified when something arrives for the thread.
    came: Condvar,
    /// Notified when the journal has become empty.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    /// Invariant: at most [`PUSH_JOBS_MAX`] jobs and [`WAITING_BYTES_MAX`] bytes, not counting the last order.
    orders: VecDeque<Order>,
    jobs: usize,
    bytes: usize,
    /// Tasks waiting for room.
    crowd: Vec<Waker>,
    /// Redis's answer to the one batch in flight.
    returned: Option<Result<Vec<Reply>, Error>>,
    /// Nobody will push any longer.
    closing: bool,
    /// The thread has ended, for whatever reason.
    ended: bool,
    status: OutboxStatus,
}

/// What the thread should do next.
pub(super) enum Event {
    /// Redis has answered, or the connection failed.
    Returned(Result<Vec<Reply>, Error>),
    /// As many orders as one batch takes.
    Orders(Vec<Order>),
    /// The requested time has come.
    Due,
    /// Nobody will push any longer, and no order is waiting.
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
    /// Safe: either it has left the order or it has not.
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

    /// Hands over Redis's answer.
    pub(super) fn give_back(&self, result: Result<Vec<Reply>, Error>) {
        self.lock().returned = Some(result);
        self.came.notify_one();
    }

    /// Nobody will push any longer.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.came.notify_one();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// The thread is ending; callers still waiting for it are notified.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let (orders, crowd) = (std::mem::take(&mut state.orders), std::mem::take(&mut state.crowd));
        drop(state);
        drop(orders);
        crowd.into_iter().for_each(Waker::wake);
        self.emptied.notify_all();
    }

    /// Waits for one of the wanted events; an answer is always wanted.
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
