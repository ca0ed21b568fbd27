//! Why Redis cannot be used, distinguished as far as an operator would act differently.
//!
//! Responsible for the names, and for when a log reports them. [`crate::net`] knows which error has which cause.

use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::limits::CAUSE_AGAIN;

/// One for each thing that somebody might have to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// Nobody answers there, or the connection was lost.
    Gone,
    /// The password, or the user, is refused, or one is missing.
    Password,
    /// The user lacks a right.
    Denied,
    /// It loads its data, is busy with a script, has lost its primary, or its cluster is down.
    NotNow,
    /// It accepts no more connections.
    Full,
    /// It is a replica.
    Replica,
    /// It accepts no writes: its memory is full, or its disk.
    NoWrites,
    /// It does not know a command.
    NoCommand,
    /// It has no such database.
    NoDatabase,
    /// The connection cannot be encrypted as it should be.
    Tls,
    /// Nobody who was asked knows where it is: sentinels, or nodes of a cluster.
    NotFound,
    /// Something else: its own words say what.
    Refused,
    /// A cause that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Cause {
    /// All except [`Self::Unknown`], in the order of their numbers.
    const ALL: [Self; 12] = [
        Self::Gone,
        Self::Password,
        Self::Denied,
        Self::NotNow,
        Self::Full,
        Self::Replica,
        Self::NoWrites,
        Self::NoCommand,
        Self::NoDatabase,
        Self::Tls,
        Self::NotFound,
        Self::Refused,
    ];

    /// Its number, for publishing; [`Self::of_number`] reads it.
    #[must_use]
    pub fn number(self) -> u64 {
        let at = Self::ALL.iter().position(|cause| *cause == self);
        at.map_or(0, |at| at as u64 + 1)
    }

    /// The cause with this number; no cause has 0.
    #[must_use]
    pub fn of_number(number: u64) -> Option<Self> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        Self::ALL.get(at).copied()
    }

    /// It as a clause: "redis is gone".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "redis is gone",
            Self::Password => "redis refuses this worker's password",
            Self::Denied => "redis denies this worker's user a right",
            Self::NotNow => "redis cannot serve now",
            Self::Full => "redis accepts no more connections",
            Self::Replica => "this redis is not a primary",
            Self::NoWrites => "redis accepts no writes",
            Self::NoCommand => "redis does not know a command",
            Self::NoDatabase => "redis has no such database",
            Self::Tls => "redis cannot be reached over tls",
            Self::NotFound => "redis cannot be found",
            Self::Refused => "redis refuses",
            Self::Unknown => "redis is unusable",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was logged about one outage. Sans-IO.
///
/// A cause is logged when it is new. A cause that was logged before, and returns after another, is logged again only after
/// [`CAUSE_AGAIN`]: a server whose failures alternate would otherwise cost a line per attempt.
#[derive(Debug, Default)]
pub struct Causes {
    /// The last cause that was logged, and when.
    last: Option<(Cause, Instant)>,
    /// All that were logged, one bit each, by number.
    said: u64,
}

impl Causes {
    /// Notes that another attempt failed for this cause. Returns whether to log it.
    pub fn are_news(&mut self, cause: Cause, now: Instant) -> bool {
        let bit = 1 << cause.number();
        if let Some((last, at)) = self.last
            && (last == cause || (self.said & bit != 0 && now.duration_since(at) < CAUSE_AGAIN))
        {
            return false;
        }
        self.last = Some((cause, now));
        self.said |= bit;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_cause_has_a_number_and_words_of_its_own() {
        for (at, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!((cause.number(), Cause::of_number(cause.number())), (at as u64 + 1, Some(cause)));
            assert!(Cause::ALL[..at].iter().all(|other| other.as_str() != cause.as_str()), "{cause}");
        }
        assert_eq!((Cause::of_number(0), Cause::of_number(13)), (None, None));
        assert_eq!(serde_json::from_str::<Cause>(r#""on-fire""#).unwrap(), Cause::Unknown);
    }

    #[test]
    fn a_cause_is_said_when_it_changes_and_not_at_each_attempt() {
        use Cause::{Gone, NotNow, Password};
        let start = Instant::now();
        let mut causes = Causes::default();
        let mut check = |after_s: u64, cause, said| {
            assert_eq!(
                causes.are_news(cause, start + Duration::from_secs(after_s)),
                said,
                "{after_s}: {cause}"
            );
        };
        check(0, Gone, true);
        check(1, Gone, false);
        check(2, Password, true);
        check(3, Gone, false);
        check(4, NotNow, true);
        check(5, Password, false);
        let later = 4 + CAUSE_AGAIN.as_secs();
        check(later, Gone, true);
        check(later + 1, Gone, false);
    }
}
