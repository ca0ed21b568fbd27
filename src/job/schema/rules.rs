//! What the gem of a dialect does with a job that fails, or that nobody here knows: pauses, numbers of retries, and what
//! is kept.

use std::time::Duration;

use super::{Schema, jiggler, sidekiq};
use crate::job::failure::CLASS_UNKNOWN_JOB;

impl Schema {
    /// The gem's own pause before retry `attempt`, from 1, and the longest random addition to it where the gem has one of
    /// its own.
    pub(crate) fn pause(self, attempt: u32) -> (Duration, Option<Duration>) {
        match self {
            Self::Jiggler => (jiggler::pause(attempt), None),
            Self::Sidekiq(_) => sidekiq::pause(attempt),
        }
    }

    /// The retries of a job whose payload names none, where neither program nor operator says a number.
    #[must_use]
    pub(crate) const fn usual_retries(self) -> u32 {
        match self {
            Self::Jiggler => 0,
            Self::Sidekiq(_) => sidekiq::RETRIES,
        }
    }

    /// How long a job of an unknown name is left to other workers, of which `asked` was asked for: where Ruby programs with
    /// classes of their own share the queues, without an end.
    #[must_use]
    pub(crate) const fn leave_for(self, asked: Duration) -> Duration {
        match self {
            Self::Jiggler => asked,
            Self::Sidekiq(_) => sidekiq::LEFT_FOR,
        }
    }

    /// Why jobs of a name are left to other workers, as the log says it once.
    #[must_use]
    pub(crate) const fn why_left(self) -> &'static str {
        match self {
            Self::Jiggler => {
                "no handler of this program has this name; its jobs are left to other workers, and fail if none takes \
                 them in time (--unknown-for)"
            }
            Self::Sidekiq(_) => {
                "jobs of this name are left to ruby: no handler here has it, or they have a batch, a lock or encrypted \
                 arguments"
            }
        }
    }

    /// The payload of a failed job that an operator has run again at once; `None`: as it is. The gem sidekiq does not count
    /// the failure before.
    pub(crate) fn retried_by_hand(self, raw: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Jiggler => None,
            Self::Sidekiq(_) => sidekiq::with_one_retry_less(raw),
        }
    }

    /// Whether the payload itself says until when it is retried, whatever number of retries it has.
    pub(crate) fn retries_by_time(self, raw: &[u8]) -> bool {
        match self {
            Self::Jiggler => false,
            Self::Sidekiq(_) => sidekiq::retry_for(raw).is_some(),
        }
    }

    /// Whether a job that failed at this Unix time may be retried, as far as its payload limits that by time.
    pub(crate) fn is_in_time(self, raw: &[u8], now: f64) -> bool {
        match self {
            Self::Jiggler => true,
            Self::Sidekiq(_) => sidekiq::is_in_time(raw, now),
        }
    }

    /// The retries of a payload that has something else than a whole number there; `None`: it is read as a number all the
    /// same.
    pub(crate) const fn retries_if_no_number(self) -> Option<u32> {
        match self {
            Self::Jiggler => None,
            Self::Sidekiq(_) => Some(sidekiq::RETRIES),
        }
    }

    /// By how much the number of an attempt, 1 for the first retry, is more than the count in the payload.
    pub(crate) const fn attempts_before_count(self) -> u32 {
        match self {
            Self::Jiggler => 0,
            Self::Sidekiq(_) => 1,
        }
    }

    /// Whether a job that failed and is not retried is forgotten, not kept in the dead set.
    pub(crate) fn is_forgotten(self, raw: &[u8]) -> bool {
        match self {
            Self::Jiggler => false,
            Self::Sidekiq(_) => sidekiq::is_forgotten(raw),
        }
    }

    /// Where a failure comes from, as the payload stores it; `None` if it does not ask for it.
    pub(crate) fn backtrace(self, raw: &[u8], backtrace: Option<&str>) -> Option<String> {
        match self {
            Self::Jiggler => None,
            Self::Sidekiq(_) => sidekiq::backtrace(raw, backtrace?),
        }
    }

    /// The class of the failure of a job whose name no handler is registered for.
    #[must_use]
    pub(crate) const fn unknown_class(self) -> &'static str {
        match self {
            Self::Jiggler => CLASS_UNKNOWN_JOB,
            Self::Sidekiq(_) => sidekiq::UNKNOWN_CLASS,
        }
    }
}
