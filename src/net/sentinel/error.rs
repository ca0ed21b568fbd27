//! Why no sentinel led to a primary.

use thiserror::Error;

/// No sentinel led to a primary.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SentinelError {
    /// None of those that answered watches a primary of this name. Only a change of the url or the sentinels fixes it.
    #[error("none of the sentinels {asked} knows a primary named {primary:?}; check the name in the url")]
    UnknownPrimary {
        /// The name.
        primary: String,
        /// The sentinels.
        asked: String,
    },
    /// Each failed in its own way.
    #[error("no sentinel leads to the primary {primary:?}: {reasons}")]
    NoPrimary {
        /// The name.
        primary: String,
        /// How each failed.
        reasons: String,
        /// Whether trying again may succeed.
        heals: bool,
    },
}

impl SentinelError {
    /// Whether trying again later may succeed without anyone changing anything.
    #[must_use]
    pub const fn may_heal(&self) -> bool {
        match self {
            Self::UnknownPrimary { .. } => false,
            Self::NoPrimary { heals, .. } => *heals,
        }
    }
}
