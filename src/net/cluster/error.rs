//! Why no node of a cluster led to the primary of a slot.

use thiserror::Error;

/// No node led to a primary of the slot.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterError {
    /// The servers that were asked belong to no cluster. Only a change of the url or the servers fixes it.
    #[error(
        "{asked} is not a node of a redis cluster; write redis:// or rediss:// in place of redis+cluster://"
    )]
    NoCluster {
        /// Which servers reported it.
        asked: String,
    },
    /// None could be asked, or the servers they named could not be reached.
    #[error("no node of the cluster leads to the primary of slot {slot}: {reasons}")]
    NoPrimary {
        /// The slot; -1 for any.
        slot: i32,
        /// What each node answered, or why it could not be asked.
        reasons: String,
        /// Whether trying again may succeed: a fail-over takes a few seconds.
        heals: bool,
    },
}

impl ClusterError {
    /// Whether trying again later may succeed without anyone changing anything.
    #[must_use]
    pub const fn may_heal(&self) -> bool {
        match self {
            Self::NoCluster { .. } => false,
            Self::NoPrimary { heals, .. } => *heals,
        }
    }
}
