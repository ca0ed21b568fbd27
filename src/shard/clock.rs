//! Unix times of moments, for the figures that name running jobs.

use std::cell::Cell;
use std::time::Instant;

use crate::limits::CLOCK_DRIFT_S;
use crate::time::unix_now;

/// A moment and its Unix time, which others are told by.
#[derive(Debug)]
pub(super) struct Clock(Cell<(Instant, f64)>);

impl Default for Clock {
    fn default() -> Self {
        Self(Cell::new((Instant::now(), unix_now())))
    }
}

impl Clock {
    /// The Unix time of a moment, to the millisecond. The same at each question, or the figures of a process whose jobs
    /// run on would differ for nothing each time; a clock that was set is followed.
    pub(super) fn unix_time(&self, at: Instant) -> f64 {
        let (mut instant, mut unix) = self.0.get();
        let now = (Instant::now(), unix_now());
        if (unix + now.0.duration_since(instant).as_secs_f64() - now.1).abs() > CLOCK_DRIFT_S {
            (instant, unix) = now;
            self.0.set(now);
        }
        let before = instant.saturating_duration_since(at).as_secs_f64();
        let after = at.saturating_duration_since(instant).as_secs_f64();
        ((unix - before + after) * 1e3).round() / 1e3
    }
}
