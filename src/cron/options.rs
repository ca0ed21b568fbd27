//! What an entry says besides its schedule and its job, as far as each is a word.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::CronError;
use super::error::shown;
use crate::limits::CRON_TICKS_MAX;

/// What becomes of ticks that nobody could claim in time, because Redis or all workers were away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last of them runs, late.
    #[default]
    Last,
    /// So many of the last of them run, late, and at most [`CRON_TICKS_MAX`].
    All(u32),
}

impl fmt::Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Last => f.write_str("last"),
            Self::All(most) => write!(f, "all:{most}"),
        }
    }
}

impl FromStr for CatchUp {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let most = |text: &str| text.parse().ok().filter(|most| (1..=CRON_TICKS_MAX).contains(most));
        match text {
            "none" => Ok(Self::None),
            "last" => Ok(Self::Last),
            _ => text
                .strip_prefix("all:")
                .and_then(most)
                .map(Self::All)
                .ok_or_else(|| CronError::CatchUp { text: shown(text) }),
        }
    }
}

/// What becomes of a tick while the job of the last one still lives: waits in its queue, runs, or waits for a retry.
///
/// The script that pushes decides it, by what is in Redis at that instant; so it holds for jobs that servers of the gem
/// `jiggler` run, too, and whatever crashes. It does not see a run that is in no key of Redis, because its worker runs it at
/// most once, or because a Sidekiq process runs it; one that was retried into another queue, or pushed before the entry got
/// another queue; one that is in the middle of more than a thousand jobs of the retry or the scheduled set, or, if it still
/// waits, of ten thousand in its queue; one that was retried, behind a few hundred kilobytes of other jobs; one at a process
/// behind several hundred shards that serve its queue; and one of a Ruby server among more than ten thousand keys. Such a
/// run counts as ended. One that is in the dead set has ended, too.
///
/// The look costs Redis a fraction of a millisecond in a small database, and up to 20 beside long queues and sets, large
/// payloads or hundreds of shards (measured on an idle machine): at each tick of an entry that asks for it, once for all
/// that are due together in up to four queues; more are looked for in further calls, between which others have their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is pushed all the same.
    #[default]
    Allow,
    /// It passes without a push. After an outage at most one tick is caught up with.
    Skip,
}

impl Overlap {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Skip => "skip",
        }
    }
}

impl FromStr for Overlap {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        match text {
            "allow" => Ok(Self::Allow),
            "skip" => Ok(Self::Skip),
            _ => Err(CronError::Overlap { text: shown(text) }),
        }
    }
}

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// An operator added it: it stays until an operator removes it.
    #[default]
    Command,
    /// Processes declare it, in code: it goes with the last of them.
    Code,
    /// Processes declare it, in their configuration file: it goes with the last of them.
    File,
}

impl Origin {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Code => "code",
            Self::File => "file",
        }
    }
}
