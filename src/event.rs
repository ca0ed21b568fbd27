//! A flag that one task waits for and other tasks of the same executor raise.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A flag with one waiter. Raising it twice before it is seen is the same as once.
#[derive(Debug, Default)]
pub(crate) struct Event {
    raised: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Event {
    /// Raises the flag and wakes the waiter.
    pub(crate) fn raise(&self) {
        self.raised.set(true);
        if let Some(waker) = self.waiter.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits until the flag is raised, and lowers it.
    ///
    /// # Cancel-safety
    /// Safe: a flag raised after the drop is seen by the next wait.
    pub(crate) async fn wait(&self) {
        poll_fn(|ctx| {
            if self.raised.replace(false) {
                return Poll::Ready(());
            }
            *self.waiter.borrow_mut() = Some(ctx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_raised_before_the_wait_is_seen_once() {
        futures_lite::future::block_on(async {
            let event = Event::default();
            event.raise();
            event.raise();
            event.wait().await;
            assert!(futures_lite::future::poll_once(event.wait()).await.is_none());
        });
    }
}
