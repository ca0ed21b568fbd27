//! Waiting with a limit on a glommio executor: for an [`Event`], or for any future that may be dropped.
//!
//! A read on a live connection may not be dropped: there the socket is shut down instead (`net::conn`).

use std::future::Future;
use std::time::Duration;

use glommio::timer::Timer;

use crate::event::Event;

/// The result of `work`, or `None` if it takes longer than `limit`: it is then dropped at its await point.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let done = async { Some(work.await) };
    let late = async {
        Timer::new(limit).await;
        None
    };
    futures_lite::future::or(done, late).await
}

impl Event {
    /// As [`Event::wait`], for at most `limit`. Returns whether the flag was raised.
    ///
    /// # Cancel-safety
    /// Safe: a flag raised after the drop is seen by the next wait.
    pub(crate) async fn wait_for(&self, limit: Duration) -> bool {
        within(limit, self.wait()).await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use glommio::LocalExecutor;

    use super::*;

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_wait_ends_with_the_flag_or_with_its_time() {
        LocalExecutor::default().run(async {
            let event = Event::default();
            assert!(!event.wait_for(SHORT).await);
            event.raise();
            assert!(event.wait_for(LONG).await);
            assert!(!event.wait_for(SHORT).await, "it was lowered");
            // Even with a limit of almost nothing, a raised flag counts.
            event.raise();
            assert!(event.wait_for(Duration::ZERO).await);
        });
    }

    #[test]
    fn work_that_takes_too_long_is_dropped() {
        LocalExecutor::default().run(async {
            assert_eq!(within(LONG, async { 7 }).await, Some(7));
            assert_eq!(within(SHORT, futures_lite::future::pending::<u8>()).await, None);
        });
    }
}
