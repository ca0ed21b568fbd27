//! What control publishes about the process: written by control, read by the executor that shows it.

use super::{Counter, Moment};

/// The published state of control, on its own cache lines.
#[derive(Debug, Default)]
// As for a shard's.
#[repr(align(128))]
pub(crate) struct ControlStats {
    /// When its executor last turned; written by the pulse of that executor.
    pub turned_at: Moment,
    /// When Redis last confirmed the lease, in a cluster any of them.
    pub leased_at: Moment,
    /// The number of a [`LifePhase`].
    phase: Counter,
    /// Jobs of dead processes that it has put back into their queues.
    pub recovered: Counter,
    /// Such jobs that it has found to be poison.
    pub poison: Counter,
}

/// How far a process has got, as shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LifePhase {
    /// The first lease and heartbeat are not written yet.
    Starting,
    /// It fetches jobs.
    Running,
    /// It fetches no more.
    Quiet,
    /// It ends.
    Stopping,
}

impl LifePhase {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 4] = [Self::Starting, Self::Running, Self::Quiet, Self::Stopping];

    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Quiet => "quiet",
            Self::Stopping => "stopping",
        }
    }
}

impl ControlStats {
    /// Publishes the phase; only control may call it.
    pub(crate) fn enter(&self, phase: LifePhase) {
        self.phase.set(phase as u64);
    }

    /// The phase as last published.
    pub(crate) fn phase(&self) -> LifePhase {
        let number = self.phase.get();
        LifePhase::ALL.into_iter().find(|phase| *phase as u64 == number).unwrap_or(LifePhase::Starting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_is_read_as_it_was_published() {
        let stats = ControlStats::default();
        assert_eq!(stats.phase(), LifePhase::Starting);
        for phase in LifePhase::ALL {
            stats.enter(phase);
            assert_eq!(stats.phase(), phase);
        }
    }
}
