//! The stages in which a process ends.
//!
//! ```text
//! Running ──TSTP──► Quiet ──TERM──► Stopping { deadline } ──second signal──► Stopping { deadline: now }
//!    └────────────────TERM───────────────▲
//! ```

use std::time::Instant;

/// What a shard may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Fetch and run.
    Running,
    /// Fetch nothing more; what runs keeps running.
    Quiet,
    /// As quiet; what still runs at the deadline is handed back, and the shard ends.
    Stopping {
        /// When running jobs are given up.
        deadline: Instant,
    },
}

impl Phase {
    /// Whether jobs may be fetched.
    pub(crate) fn fetches(self) -> bool {
        self == Self::Running
    }

    /// Whether the shard ends once nothing is left to do.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Self::Stopping { .. })
    }

    /// When running jobs are given up.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Stopping { deadline } => Some(deadline),
            Self::Running | Self::Quiet => None,
        }
    }

    /// Whether running jobs are given up now.
    pub(crate) fn is_over(self, now: Instant) -> bool {
        matches!(self, Self::Stopping { deadline } if deadline <= now)
    }
}
