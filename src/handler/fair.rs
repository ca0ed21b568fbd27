//! Fairness between the jobs of one core: yielding, so that other jobs run and the ring is checked.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::time::Instant;

use glommio::io::PollableFd;

use crate::limits::RUN_SLICE;

thread_local! {
    /// When a job of this core last yielded here.
    static GAVE_WAY: Cell<Option<Instant>> = const { Cell::new(None) };

    /// A socket that is always writable; nothing is ever written to it.
    static DOOR: RefCell<Option<Rc<PollableFd<UnixDatagram>>>> = const { RefCell::new(None) };
}

/// Lets the core's other jobs run, and its shard talk to Redis, if they have had no chance for 10 ms
/// ([`RUN_SLICE`]). Otherwise it costs one reading of the clock, so a loop may call it in every iteration.
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
/// A job that computes for longer than a few milliseconds without calling this holds up its whole core, and is logged
/// as a stall once that lasts a second.
pub async fn yield_if_needed() {
    let now = Instant::now();
    if GAVE_WAY.get().is_some_and(|last| now.duration_since(last) < RUN_SLICE) {
        return;
    }
    GAVE_WAY.set(Some(now));
    give_way().await;
    GAVE_WAY.set(Some(Instant::now()));
}

/// Resolves once every task that could run has run and the ring was checked, or later.
///
/// Goes through the ring by asking whether a socket that is always writable can be written. A task that merely wakes
/// itself runs again before the ring is checked. glommio's timer, if its time is zero or has passed when it is first
/// polled, is ready without waiting at all.
pub(crate) async fn give_way() {
    match door() {
        Some(door) => {
            if door.writable().await.is_err() {
                // It belonged to an executor that has ended; the next call creates one for this executor.
                DOOR.take();
                futures_lite::future::yield_now().await;
            }
        }
        // Out of file descriptors. At least the other tasks get a turn.
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

    /// Computes in rounds, yielding in between, until another task's timer has fired. Returns the number of rounds.
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
        assert!(fired.get(), "the timer was never checked");
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
