//! The pulse of an executor: two timers that never end, so that it cannot oversleep.
//!
//! glommio 0.12 parks an executor that found nothing to run. It takes the same answer for "no task is ready" and for "the
//! preemption timer has fired, so none was run": a thread that loses its core between arming that timer and looking at its
//! tasks, for as long as the timer runs, falls asleep over tasks that are ready, and nothing wakes it but the next event of
//! its ring. If that event was to be the doing of one of these tasks, it never comes: workers hung at their start, with
//! ten other processes on their core and a timer of 10 ms.
//!
//! The timer is long now, which makes this rare. The pulse makes it short: an event that always comes. There are two, half
//! a period apart, for the task that may be slept over may be the one that beats.

use std::future::Future;

use glommio::timer::Timer;

use crate::limits::EXECUTOR_PULSE;

/// Runs `work`, on an executor that wakes up at least every [`EXECUTOR_PULSE`].
pub(super) async fn beating<T>(work: impl Future<Output = T>) -> T {
    let beats = [EXECUTOR_PULSE / 2, EXECUTOR_PULSE].map(|first| {
        glommio::spawn_local(async move {
            Timer::new(first).await;
            loop {
                Timer::new(EXECUTOR_PULSE).await;
            }
        })
    });
    let result = work.await;
    for beat in beats {
        beat.cancel().await;
    }
    result
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;

    /// Short enough to have fired, now and then, when the executor looks at its tasks; on a loaded machine the thread is
    /// away for as long as a longer one takes.
    const PREEMPT: Duration = Duration::from_micros(20);

    /// So many times a task is woken by the executor's own ring, and may be slept over.
    const HOPS: usize = 10_000;

    #[test]
    fn an_executor_that_falls_asleep_over_a_ready_task_goes_on() {
        let (done, ended) = mpsc::channel();
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .preempt_timer(PREEMPT)
            .spawn(move || {
                beating(async move {
                    for _ in 0..HOPS {
                        Timer::new(Duration::from_micros(1)).await;
                    }
                    done.send(())
                })
            })
            .unwrap();
        ended.recv_timeout(Duration::from_secs(30)).expect("the executor sleeps over a ready task");
        assert_eq!(executor.join().unwrap(), Ok(()));
    }
}
