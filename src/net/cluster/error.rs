//! Why no node of a cluster led to the primary of a slot.

use thiserror::Error;

/// No node led to a primary of the slot.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterError {
    /// The servers that were asked belong to no cluster. Heals only if someone changes the url or the servers.
    #[error(
        "{asked} is no node of a redis cluster; write redis:// or rediss:// in place of redis+cluster://"
    )]
    NoCluster {
        /// Who said so.
        asked: String,
    },
    /// None could be asked, or what they named could not be had.
    #[error("no node of the cluster leads to the primary of slot {slot}: {reasons}")]
    NoPrimary {
        /// The slot; -1 for any.
        slot: i32,
        /// What each that was asked said, or why it could not be asked.
        reasons: String,
        /// Whether trying again may go better: a fail-over takes some seconds.
        heals: bool,
    },
}

impl ClusterError {
    /// Whether trying again later may go better without anyone changing anything.
    #[must_use]
    pub const fn may_heal(&self) -> bool {
        match self {
            Self::NoCluster { .. } => false,
            Self::NoPrimary { heals, .. } => *heals,
        }
    }
}
