//! Fairness between the jobs of one core: giving way, so that others run and the ring is looked at.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::time::Instant;

use glommio::io::PollableFd;

use crate::limits::RUN_SLICE;

thread_local! {
    /// When a job of this core last gave way here.
    static GAVE_WAY: Cell<Option<Instant>> = const { Cell::new(None) };

    /// A socket that is always writable; nothing is ever written to it.
    static DOOR: RefCell<Option<Rc<PollableFd<UnixDatagram>>>> = const { RefCell::new(None) };
}

/// Lets the other jobs of the core run, and its shard talk to Redis, if none has had the chance for 10 ms
/// ([`RUN_SLICE`]). Costs one reading of the clock otherwise, so a loop may call it in every round.
///
/// ```
/// use jiggler_uring::{JobResult, yield_if_needed};
///
/// async fn checksum(numbers: Vec<u64>) -> JobResult {
///     let mut sum = 0_u64;
///     for chunk in numbers.chunks(1_000) {
///         sum = chunk.iter().fold(sum, |sum, number| sum.rotate_left(5) ^ number);
///         yield_if_needed().await;
///     }
///     println!("{sum:x}");
///     Ok(())
/// }
/// # drop(checksum(Vec::new()));
/// ```
///
/// A job that computes for longer than some milliseconds without a look at this holds its whole core up, and shows as a
/// stall in the log once that lasts a second.
pub async fn yield_if_needed() {
    let now = Instant::now();
    if GAVE_WAY.get().is_some_and(|last| now.duration_since(last) < RUN_SLICE) {
        return;
    }
    GAVE_WAY.set(Some(now));
    give_way().await;
    GAVE_WAY.set(Some(Instant::now()));
}

/// Ends once every task that could run has run and the ring was looked at, or later.
///
/// By way of the ring: it asks whether a socket is writable that always is. A task that merely wakes itself comes back
/// before the ring is looked at, and glommio's timer of no time, or of one that has passed when it is first polled, is
/// ready without waiting at all.
pub(crate) async fn give_way() {
    match door() {
        Some(door) => {
            if door.writable().await.is_err() {
                // Of an executor that has ended; the next call makes one of this executor.
                DOOR.take();
                futures_lite::future::yield_now().await;
            }
        }
        // No descriptor is left. The tasks at least get their turn.
        None => futures_lite::future::yield_now().await,
    }
}

fn door() -> Option<Rc<PollableFd<UnixDatagram>>> {
    DOOR.with_borrow_mut(|door| {
        if door.is_none() {
            *door = UnixDatagram::unbound().ok().and_then(|socket| PollableFd::new(socket).ok()).map(Rc::new);
        }
        door.as_ref().map(Rc::clone)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use glommio::{LocalExecutorBuilder, Placement, timer};

    use super::*;

    /// Computes in rounds, giving way in between, until a timer of another task has fired. How many rounds it took.
    async fn rounds_until_a_timer_fires() -> u64 {
        let fired = Rc::new(Cell::new(false));
        let other = glommio::spawn_local({
            let fired = Rc::clone(&fired);
            async move {
                timer::sleep(Duration::from_millis(1)).await;
                fired.set(true);
            }
        });
        let mut rounds = 0;
        let began = Instant::now();
        while !fired.get() && began.elapsed() < Duration::from_secs(20) {
            give_way().await;
            rounds += 1;
        }
        assert!(fired.get(), "the timer was never looked at");
        other.await;
        rounds
    }

    #[test]
    fn a_task_that_gives_way_lets_timers_fire_though_it_could_always_run() {
        // Twice on one thread: the second executor cannot use the first one's socket.
        for _ in 0..2 {
            let executor = LocalExecutorBuilder::new(Placement::Unbound)
                .preempt_timer(Duration::from_secs(3_600))
                .make()
                .unwrap();
            assert!(executor.run(rounds_until_a_timer_fires()) > 1);
        }
    }

    #[test]
    fn giving_way_is_due_once_a_slice() {
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make().unwrap();
        executor.run(async {
            GAVE_WAY.set(Some(Instant::now()));
            let early = futures_lite::future::poll_once(yield_if_needed()).await;
            let slice_ago = Instant::now().checked_sub(RUN_SLICE).unwrap();
            GAVE_WAY.set(Some(slice_ago));
            let late = futures_lite::future::poll_once(yield_if_needed()).await;
            assert_eq!((early, late), (Some(()), None));
        });
    }
}
