//! How long to wait before the next attempt to connect: doubling, with full jitter.
//!
//! Pure: it returns durations and does not sleep.

use std::time::Duration;

use crate::limits::{RECONNECT_PAUSE_MAX, RECONNECT_PAUSE_MIN};

/// The pauses of one series of attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    ceiling: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// A series that starts at [`RECONNECT_PAUSE_MIN`]. Each seed jitters in its own way, so that shards that lost their
    /// connections at the same moment do not all come back at the same moment.
    pub fn new(seed: u64) -> Self {
        Self { ceiling: RECONNECT_PAUSE_MIN, random: fastrand::Rng::with_seed(seed) }
    }

    /// The next pause: between half of the current ceiling and all of it. The ceiling doubles up to
    /// [`RECONNECT_PAUSE_MAX`].
    pub fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(RECONNECT_PAUSE_MAX);
        ceiling / 2 + (ceiling / 2).mul_f64(self.random.f64())
    }

    /// Ends the series: the connection is up.
    pub fn reset(&mut self) {
        self.ceiling = RECONNECT_PAUSE_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_begin_anew_after_a_reset() {
        let mut backoff = Backoff::new(7);
        let mut ceiling = RECONNECT_PAUSE_MIN;
        for _ in 0..12 {
            let pause = backoff.pause();
            assert!(pause >= ceiling / 2 && pause <= ceiling, "{pause:?} under {ceiling:?}");
            ceiling = (ceiling * 2).min(RECONNECT_PAUSE_MAX);
        }
        backoff.reset();
        assert!(backoff.pause() <= RECONNECT_PAUSE_MIN);
    }

    #[test]
    fn two_seeds_do_not_pause_alike() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..8).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        assert_ne!(pauses(1), pauses(2));
        assert_eq!(pauses(1), pauses(1));
    }
}
