//! Why Redis cannot be worked with, as far as an operator would do something else about it.
//!
//! Responsible for the names, and for when a log says them. Which error has which cause, [`crate::net`] knows.

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
    /// It takes no more connections.
    Full,
    /// It is a replica.
    Replica,
    /// It takes no writes: its memory is full, or its disk.
    NoWrites,
    /// It does not know a command.
    NoCommand,
    /// It has no such database.
    NoDatabase,
    /// The connection cannot be encrypted as it should be.
    Tls,
    /// Nobody who was asked leads to it: sentinels, or nodes of a cluster.
    NotFound,
    /// Something else: its own words say it.
    Refused,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Cause {
    /// All but the one that only others have, in the order of their numbers.
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

    /// Its number, to be published; [`Self::of_number`] reads it.
    #[must_use]
    pub fn number(self) -> u64 {
        let at = Self::ALL.iter().position(|cause| *cause == self);
        at.map_or(0, |at| at as u64 + 1)
    }

    /// The cause of this number; none has 0.
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
            Self::Full => "redis takes no more connections",
            Self::Replica => "this redis is no primary",
            Self::NoWrites => "redis takes no writes",
            Self::NoCommand => "redis does not know a command",
            Self::NoDatabase => "redis has no such database",
            Self::Tls => "redis cannot be reached over tls",
            Self::NotFound => "nobody leads to redis",
            Self::Refused => "redis refuses",
            Self::Unknown => "redis is of no use",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was said of one outage. Sans-IO.
///
/// A cause is said when it is new. One that was said before, and comes again after another, is said again only after
/// [`CAUSE_AGAIN`]: a server that fails now so and now so would else be a line an attempt.
#[derive(Debug, Default)]
pub struct Causes {
    /// The last that was said, and when.
    last: Option<(Cause, Instant)>,
    /// All that were said, a bit each, by their number.
    said: u64,
}

impl Causes {
    /// Another attempt has failed for this cause: whether that is to be said.
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
