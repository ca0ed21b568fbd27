//! How work that a job has started elsewhere learns that the job has ended early.
//!
//! A job that is cancelled, timed out or handed back at a stop is dropped at its await point, so the job itself need
//! not be notified. Tasks it has spawned and threads it has started do: they check the flag, or wait for it.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

/// Set once its job has ended early. For another thread that works for the job; checking it is cheap.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Whether nobody is waiting for the work any longer.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a job's context and the owner of its future share.
#[derive(Debug, Default)]
pub(crate) struct CancelState {
    raised: Cell<bool>,
    /// Created on demand: a job that stays on its own core shares nothing with another.
    flag: OnceCell<CancelFlag>,
    waiters: RefCell<Vec<Waker>>,
}

impl CancelState {
    /// The job has ended early.
    pub(crate) fn raise(&self) {
        self.raised.set(true);
        if let Some(flag) = self.flag.get() {
            flag.0.store(true, Ordering::Relaxed);
        }
        let waiters = self.waiters.take();
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.get()
    }

    pub(crate) fn flag(&self) -> CancelFlag {
        let flag = self.flag.get_or_init(CancelFlag::default).clone();
        flag.0.fetch_or(self.raised.get(), Ordering::Relaxed);
        flag
    }

    /// Resolves once it is raised.
    ///
    /// # Cancel-safety
    /// Safe.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|ctx| {
            if self.raised.get() {
                return Poll::Ready(());
            }
            let mut waiters = self.waiters.borrow_mut();
            // One entry per task, however often it is polled.
            if !waiters.iter().any(|waiter| waiter.will_wake(ctx.waker())) {
                waiters.push(ctx.waker().clone());
            }
            Poll::Pending
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once, zip};

    use super::*;

    #[test]
    fn a_flag_is_set_whether_it_was_asked_for_before_or_after() {
        let state = CancelState::default();
        let before = state.flag();
        assert!(!before.is_set() && !state.is_raised());
        state.raise();
        assert!(before.is_set() && state.flag().is_set() && state.is_raised());
    }

    #[test]
    fn waiters_are_woken_once_it_is_raised() {
        block_on(async {
            let state = CancelState::default();
            assert!(poll_once(state.wait()).await.is_none());
            let raise = async { state.raise() };
            zip(zip(state.wait(), state.wait()), raise).await;
            state.wait().await;
        });
    }

    #[test]
    fn a_task_that_is_polled_often_is_remembered_once() {
        block_on(async {
            let state = CancelState::default();
            let mut wait = std::pin::pin!(state.wait());
            for _ in 0..5 {
                assert!(poll_once(&mut wait).await.is_none());
            }
            assert_eq!(state.waiters.borrow().len(), 1);
        });
    }
}
