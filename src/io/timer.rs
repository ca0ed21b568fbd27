//! Sleeping, bounding a wait, and ticking: any number of waits on one timer of the core's executor.
//!
//! ```
//! use std::time::Duration;
//!
//! use jiggler_uring::JobResult;
//! use jiggler_uring::io::timer::{self, Elapsed};
//!
//! async fn poll_a_partner() -> JobResult {
//!     let mut ticks = timer::interval(Duration::from_secs(1));
//!     for _ in 0..3 {
//!         ticks.tick().await; // the first at once
//!         match timer::timeout(Duration::from_millis(200), ask()).await {
//!             Ok(answer) => return answer,
//!             Err(Elapsed { .. }) => {}
//!         }
//!     }
//!     timer::sleep(Duration::from_millis(50)).await;
//!     Ok(())
//! }
//! # async fn ask() -> JobResult { Ok(()) }
//! # drop(poll_a_partner());
//! ```

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::alarm::Alarm;

/// The time given to [`timeout`] ran out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no result within {after:?}")]
pub struct Elapsed {
    /// The time that passed.
    pub after: Duration,
}

/// Waits without blocking the core. Never wakes early; how late depends on how busy the core is.
///
/// # Cancel-safety
/// Safe: dropping it ends the wait.
pub async fn sleep(time: Duration) {
    Alarm::after(time).await;
}

/// Runs a future for at most `limit`. A result that is ready when the time runs out is still returned.
///
/// # Errors
/// [`Elapsed`] if the time ran out first; the future is dropped at its await point then.
///
/// # Cancel-safety
/// As the future's own.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut alarm = pin!(Alarm::after(limit));
    poll_fn(|ctx| {
        if let Poll::Ready(output) = future.as_mut().poll(ctx) {
            return Poll::Ready(Ok(output));
        }
        alarm.as_mut().poll(ctx).map(|_| Err(Elapsed { after: limit }))
    })
    .await
}

/// Ticks at regular intervals; created by [`interval`].
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    next: Instant,
}

/// Ticks at once and then every `period`.
///
/// # Panics
/// If `period` is zero.
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero");
    Interval { period, next: Instant::now() }
}

impl Interval {
    /// Waits for the next tick. Ticks missed while nobody was waiting are skipped, and the rhythm is kept.
    ///
    /// # Cancel-safety
    /// Safe: a tick whose wait was dropped comes again.
    pub async fn tick(&mut self) {
        let pause = self.next.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            Alarm::after(pause).await;
        }
        let now = Instant::now();
        self.next += self.period;
        if self.next <= now {
            let missed = (now - self.next).as_nanos() / self.period.as_nanos() + 1;
            self.next += self.period.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use glommio::LocalExecutor;

    use super::*;

    #[test]
    fn a_result_in_time_is_given_and_a_late_one_is_not() {
        LocalExecutor::default().run(async {
            assert_eq!(timeout(Duration::from_secs(60), async { 7 }).await, Ok(7));
            // Ready at its first poll, so it is returned even though no time is left.
            assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
            let limit = Duration::from_millis(2);
            assert_eq!(timeout(limit, future::pending::<()>()).await, Err(Elapsed { after: limit }));
        });
    }

    #[test]
    fn ticks_keep_their_rhythm_and_leave_out_what_was_missed() {
        LocalExecutor::default().run(async {
            let period = Duration::from_millis(5);
            let begun = Instant::now();
            let mut ticks = interval(period);
            ticks.tick().await;
            let first = ticks.next;
            ticks.tick().await;
            assert!(begun.elapsed() >= period);
            sleep(period * 5).await;
            ticks.tick().await;
            let since_first = ticks.next - first;
            assert_eq!(since_first.as_nanos() % period.as_nanos(), 0, "{since_first:?}");
            assert!(since_first >= period * 6 && ticks.next > Instant::now() - period, "{since_first:?}");
        });
    }
}
