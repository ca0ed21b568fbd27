//! When a lease is to be renewed, and what a renewal may rely on. Sans-IO.

use std::time::{Duration, Instant};

use crate::limits::{CALL_TIMEOUT, LEASE, LEASE_RENEWAL};
use crate::store::process::{LeaseTimes, Renewal};

/// The renewals of one lease.
pub(super) struct Renewals {
    due_at: Instant,
    /// When the last one was sent.
    renewed_at: Option<Instant>,
    /// When one of them last asked whose lease has ended.
    asked_at: Option<Instant>,
    /// What the last one reported.
    times: LeaseTimes,
}

impl Renewals {
    /// The first is due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { due_at: now, renewed_at: None, asked_at: None, times: LeaseTimes::default() }
    }

    /// When the next one is due.
    pub(super) fn due_at(&self) -> Instant {
        self.due_at
    }

    /// Whether the lease has ended for lack of a renewal: this process was paused, and so, perhaps, was its whole fleet.
    pub(super) fn lapsed(&self, now: Instant) -> bool {
        self.renewed_at.is_some_and(|renewed_at| now - renewed_at >= LEASE)
    }

    /// What a renewal may rely on over the same connection as the last. Over another one it may rely on nothing: what
    /// happened meanwhile, and to which server, is unknown.
    pub(super) fn known(&self, now: Instant) -> LeaseTimes {
        // By this clock too: Redis's may be adjusted, and a process that was paused should ask rather than guess.
        let lately = |at: Option<Instant>, within: Duration| at.is_some_and(|at| now - at < within);
        let LeaseTimes { ends_ms, none_ends_until_ms } = self.times;
        LeaseTimes {
            ends_ms: if lately(self.renewed_at, 2 * LEASE_RENEWAL) { ends_ms } else { 0 },
            none_ends_until_ms: if lately(self.asked_at, LEASE) { none_ends_until_ms } else { 0 },
        }
    }

    /// Notes the result of a renewal that was sent `now` and relied on `known`.
    pub(super) fn note(&mut self, renewal: &Renewal, known: LeaseTimes, now: Instant) {
        if let Renewal::Renewed { times: told, .. } = renewal {
            if told.none_ends_until_ms != known.none_ends_until_ms {
                self.asked_at = Some(now);
            }
            self.times = *told;
        }
        self.renewed_at = Some(now);
        self.due_at = now + LEASE_RENEWAL;
    }
}

const _: () = assert!(LEASE.as_millis() >= 2 * (LEASE_RENEWAL.as_millis() + CALL_TIMEOUT.as_millis() / 2));

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ends_ms: u64, none_ends_until_ms: u64) -> LeaseTimes {
        LeaseTimes { ends_ms, none_ends_until_ms }
    }

    #[test]
    fn a_renewal_relies_on_the_last_ones_for_as_long_as_they_are_fresh() {
        let start = Instant::now();
        let mut renewals = Renewals::new(start);
        assert_eq!((renewals.due_at(), renewals.lapsed(start)), (start, false));
        assert_eq!(renewals.known(start), LeaseTimes::default());
        // It asked whose lease has ended, because it could rely on nothing.
        let first = Renewal::Renewed { times: told(20, 15), ended: Vec::new() };
        renewals.note(&first, LeaseTimes::default(), start);
        assert_eq!(renewals.due_at(), start + LEASE_RENEWAL);
        let soon = start + LEASE_RENEWAL;
        assert_eq!(renewals.known(soon), told(20, 15));
        // This one did not need to ask.
        let later = start + LEASE - LEASE_RENEWAL;
        let second = Renewal::Renewed { times: told(35, 15), ended: Vec::new() };
        renewals.note(&second, told(20, 15), later);
        assert_eq!(renewals.known(later), told(35, 15));
        assert_eq!(renewals.known(start + LEASE), told(35, 0), "what was asked a lease ago no longer counts");
        assert_eq!(renewals.known(later + 2 * LEASE_RENEWAL), told(0, 0));
        assert!(!renewals.lapsed(start + LEASE) && renewals.lapsed(later + LEASE));
    }
}
