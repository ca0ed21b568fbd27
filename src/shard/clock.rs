//! The time that a shard uses: Redis's, as control last read it; and Unix times of moments, for the figures that name
//! running jobs.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use crate::limits::CLOCK_DRIFT_S;
use crate::time::RedisClock;

/// The clock of the server that has the shard's keys.
#[derive(Debug)]
pub(super) struct Clock {
    redis: Arc<RedisClock>,
    /// A moment and its Unix time, from which the times of other moments are computed.
    known: Cell<(Instant, f64)>,
}

impl Clock {
    pub(super) fn new(redis: Arc<RedisClock>) -> Self {
        let known = Cell::new((Instant::now(), redis.now()));
        Self { redis, known }
    }

    /// Unix time now.
    pub(super) fn now(&self) -> f64 {
        self.redis.now()
    }

    /// The Unix time of a moment, to the millisecond. It answers the same each time, or the figures of a process whose
    /// jobs keep running would differ each time for no reason; a clock that was set is followed.
    pub(super) fn unix_time(&self, at: Instant) -> f64 {
        let (mut instant, mut unix) = self.known.get();
        let now = (Instant::now(), self.now());
        if (unix + now.0.duration_since(instant).as_secs_f64() - now.1).abs() > CLOCK_DRIFT_S {
            (instant, unix) = now;
            self.known.set(now);
        }
        let before = instant.saturating_duration_since(at).as_secs_f64();
        let after = at.saturating_duration_since(instant).as_secs_f64();
        ((unix - before + after) * 1e3).round() / 1e3
    }
}
