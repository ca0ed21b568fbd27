//! Points in time that futures of one core wait for, kept in one set behind a single timer of its executor.
//!
//! On every turn of its ring, glommio searches all of its timers for the next one due. Each poll of a timer takes
//! another entry there, of which only the last is released: ten thousand requests, each with a timeout, cost tens of
//! microseconds per turn and kept the memory of their tasks until the timeout expired. Here a wait has one entry,
//! released when it ends, and one task sleeps until the earliest of them; that task exists only while someone waits.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use glommio::timer::Timer;

thread_local! {
    static ALARMS: RefCell<Alarms> = RefCell::default();
}

/// A future that becomes ready at a given time.
///
/// # Cancel-safety
/// Safe: dropping it gives up its place.
pub(super) struct Alarm {
    /// `None` for never, because the time is beyond what the clock can represent.
    at: Option<Instant>,
    /// Its number among the waiting alarms, once it has been polled and was not ready.
    place: Option<u64>,
}

/// The waiting alarms of one executor.
#[derive(Default)]
struct Alarms {
    /// The executor they belong to. A thread may run several executors in turn, and an executor's tasks end with it.
    executor: Option<usize>,
    /// By time and number. At most as many as there are waiting futures.
    waiting: BTreeMap<(Instant, u64), Waker>,
    last_place: u64,
    /// The time the keeper sleeps until; `None` if there is no keeper.
    keeper_wakes_at: Option<Instant>,
    /// Wakes the keeper early.
    keeper: Option<Waker>,
}

impl Alarm {
    /// Goes off after this time.
    pub(super) fn after(time: Duration) -> Self {
        Self { at: Instant::now().checked_add(time), place: None }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let now = Instant::now();
        if at <= now {
            self.give_up_place();
            return Poll::Ready(());
        }
        let executor = glommio::executor().id();
        // Dropping these may drop the last handle of a task, and an alarm with it: not while this is borrowed.
        let _left_behind = ALARMS.with_borrow_mut(|alarms| alarms.belong_to(executor));
        let (keeper_is_missing, _replaced) = ALARMS.with_borrow_mut(|alarms| {
            let place = *self.place.get_or_insert_with(|| alarms.next_place());
            let replaced = alarms.wait(at, place, ctx.waker());
            (alarms.need_keeper_at(at), replaced)
        });
        // A new task runs at once, so do not borrow this here either.
        if keeper_is_missing {
            glommio::spawn_local(keep()).detach();
        }
        Poll::Pending
    }
}

impl Alarm {
    fn give_up_place(&mut self) {
        if let (Some(at), Some(place)) = (self.at, self.place.take()) {
            // The set may already be gone when a thread ends with tasks left.
            let _waker = ALARMS.try_with(|alarms| alarms.borrow_mut().waiting.remove(&(at, place)));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.give_up_place();
    }
}

impl Alarms {
    /// Takes out what another executor of this thread left behind.
    fn belong_to(&mut self, executor: usize) -> Option<Self> {
        if self.executor == Some(executor) {
            return None;
        }
        let own = Self { executor: Some(executor), last_place: self.last_place, ..Self::default() };
        Some(std::mem::replace(self, own))
    }

    fn next_place(&mut self) -> u64 {
        self.last_place += 1;
        self.last_place
    }

    /// Registers `waker` for this time, and returns the one it replaces.
    fn wait(&mut self, at: Instant, place: u64, waker: &Waker) -> Option<Waker> {
        match self.waiting.entry((at, place)) {
            Entry::Vacant(empty) => {
                empty.insert(waker.clone());
                None
            }
            Entry::Occupied(taken) if taken.get().will_wake(waker) => None,
            Entry::Occupied(mut taken) => Some(taken.insert(waker.clone())),
        }
    }

    /// Makes sure that the keeper wakes by then. Returns whether a keeper has to be started.
    fn need_keeper_at(&mut self, at: Instant) -> bool {
        match self.keeper_wakes_at.replace(at) {
            None => true,
            Some(earlier) if earlier <= at => {
                self.keeper_wakes_at = Some(earlier);
                false
            }
            Some(_) => {
                if let Some(keeper) = self.keeper.take() {
                    keeper.wake();
                }
                false
            }
        }
    }

    /// Takes what is due. The keeper next sleeps until the first that is not.
    fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let due = self.waiting.extract_if(..=(now, u64::MAX), |_, _| true).map(|(_, waker)| waker).collect();
        self.keeper_wakes_at = self.waiting.first_key_value().map(|((at, _), _)| *at);
        due
    }
}

/// Wakes what is due, until nothing waits.
async fn keep() {
    loop {
        for waker in ALARMS.with_borrow_mut(|alarms| alarms.take_due(Instant::now())) {
            waker.wake();
        }
        let Some(first) = ALARMS.with_borrow(|alarms| alarms.keeper_wakes_at) else { return };
        let mut timer = pin!(Timer::new(first.saturating_duration_since(Instant::now())));
        poll_fn(|ctx| {
            let is_earlier = ALARMS.with_borrow_mut(|alarms| {
                alarms.keeper = Some(ctx.waker().clone());
                alarms.keeper_wakes_at.is_some_and(|at| at < first)
            });
            if is_earlier { Poll::Ready(()) } else { timer.as_mut().poll(ctx).map(drop) }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{self, poll_once};
    use glommio::LocalExecutor;

    use super::*;

    fn waiting() -> usize {
        ALARMS.with_borrow(|alarms| alarms.waiting.len())
    }

    #[test]
    fn a_wait_has_one_place_however_often_it_is_polled_and_gives_it_back() {
        LocalExecutor::default().run(async {
            let mut dropped = Alarm::after(Duration::from_secs(60));
            for _ in 0..10 {
                assert!(poll_once(&mut dropped).await.is_none());
                assert_eq!(waiting(), 1);
            }
            Alarm::after(Duration::from_millis(2)).await;
            assert_eq!(waiting(), 1);
            drop(dropped);
            assert_eq!(waiting(), 0);
        });
    }

    #[test]
    fn an_earlier_alarm_than_the_first_is_in_time_and_all_that_are_due_go_off() {
        LocalExecutor::default().run(async {
            let begun = Instant::now();
            let late = glommio::spawn_local(Alarm::after(Duration::from_millis(40)));
            let early: Vec<_> =
                (1..=3).map(|n| glommio::spawn_local(Alarm::after(Duration::from_millis(n)))).collect();
            for alarm in early {
                alarm.await;
            }
            assert!(begun.elapsed() >= Duration::from_millis(3));
            late.await;
            assert!(begun.elapsed() >= Duration::from_millis(40) && waiting() == 0);
        });
    }

    #[test]
    fn a_thread_may_run_one_executor_after_the_other() {
        for _ in 0..2 {
            LocalExecutor::default().run(async {
                let left = glommio::spawn_local(Alarm::after(Duration::from_secs(3_600)));
                left.detach();
                Alarm::after(Duration::from_millis(1)).await;
            });
        }
    }

    #[test]
    fn what_the_clock_cannot_show_never_comes() {
        LocalExecutor::default().run(async {
            assert!(poll_once(Alarm::after(Duration::MAX)).await.is_none());
            let first = future::or(async { true }, async {
                Alarm::after(Duration::MAX).await;
                false
            });
            assert!(first.await);
        });
    }
}
