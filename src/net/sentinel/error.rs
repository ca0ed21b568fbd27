//! Why no sentinel led to a primary.

use thiserror::Error;

/// No sentinel led to a primary.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SentinelError {
    /// All that answered watch no primary of this name. Heals only if someone changes the url or the sentinels.
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
        /// What became of each.
        reasons: String,
        /// Whether trying again may go better.
        heals: bool,
    },
}

impl SentinelError {
    /// Whether trying again later may go better without anyone changing anything.
    #[must_use]
    pub const fn may_heal(&self) -> bool {
        match self {
            Self::UnknownPrimary { .. } => false,
            Self::NoPrimary { heals, .. } => *heals,
        }
    }
}
