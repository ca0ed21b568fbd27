//! The values that options decide: queues with priorities, mode, log format, the Redis URL with its secret.
//!
//! Each parses itself from text or rejects it with the rule; where a value came from is the caller's business.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{error::Origin, value::shortened};
use crate::{
    limits::{QUEUE_WEIGHT_MAX, QUEUES_MAX},
    resp::RedisUrl,
    wire::{Dialect, QueueName, QueueNameError},
};

/// What a crash means for a job that was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It runs again; the ack is the last step (P1).
    #[default]
    AtLeastOnce,
    /// It is gone; a job starts at most once (P2).
    AtMostOnce,
}

impl Mode {
    /// The word that flags and files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;

    /// Also accepts the gem's spellings: `at_least_once`, `:at_least_once`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(':').unwrap_or(text).replace('_', "-").as_str() {
            "at-least-once" => Ok(Self::AtLeastOnce),
            "at-most-once" => Ok(Self::AtMostOnce),
            _ => Err(format!("`{text}` is not a mode")),
        }
    }
}

/// What the numbers of queues mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Priorities: a queue is served only while those with higher numbers are empty.
    #[default]
    Strict,
    /// Weights: queues with jobs are served side by side, each in proportion to its number.
    Weighted,
    /// Slots are given to queues, as many to each.
    Even,
    /// One slot to each queue, the rest by the seconds of work that wait in it.
    Adaptive,
    /// The same, but the rest only to queues named `-io`, if there are any.
    AdaptiveIo,
}

impl FromStr for Balance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "strict" => Ok(Self::Strict),
            "weighted" => Ok(Self::Weighted),
            "even" => Ok(Self::Even),
            "adaptive" => Ok(Self::Adaptive),
            "adaptive-io" => Ok(Self::AdaptiveIo),
            _ => Err(format!("`{text}` is no balance")),
        }
    }
}

/// What becomes of a job whose name a process does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// It is left to workers that know it, for a while.
    #[default]
    Leave,
    /// It fails at once, and is retried if it has retries.
    Fail,
}

impl FromStr for Unknown {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "leave" => Ok(Self::Leave),
            "fail" => Ok(Self::Fail),
            _ => Err(format!("`{text}` is neither leave nor fail")),
        }
    }
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people: time, level, message, `key=value`.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl LogFormat {
    /// The word that flags and files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not a log format")),
        }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Starts, stops, outages, failed jobs.
    #[default]
    Info,
    /// Also each job and each decision.
    Debug,
}

impl LogLevel {
    /// The level for the switch `verbose`.
    pub(super) const fn of_verbose(verbose: bool) -> Self {
        if verbose { Self::Debug } else { Self::Info }
    }
}

/// A queue to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// Which queue.
    pub name: QueueName,
    /// The higher number is served first.
    pub priority: i32,
    /// Whether the user wrote the number: the gem's heartbeat shows numbers exactly where they were written.
    pub explicit: bool,
}

impl QueueSpec {
    /// A queue with the gem's default priority, 0.
    #[must_use]
    pub fn plain(name: QueueName) -> Self {
        Self { name, priority: 0, explicit: false }
    }
}

/// Why queues cannot be served as they are named. The user must correct it; a retry never helps.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueuesError {
    /// A name that no queue may have.
    #[error(transparent)]
    Name(#[from] QueueNameError),
    /// A priority that is no whole number of its range.
    #[error(
        "the priority of queue `{name}` is `{given}`, not a whole number from {} to {}",
        i32::MIN,
        i32::MAX
    )]
    Priority {
        /// The queue.
        name: QueueName,
        /// The priority as given, shortened.
        given: String,
    },
    /// A weight out of its range.
    #[error("the weight of queue `{name}` is {given}, not a whole number from 1 to {QUEUE_WEIGHT_MAX}")]
    Weight {
        /// The queue.
        name: QueueName,
        /// The weight as given.
        given: i32,
    },
    /// None at all.
    #[error("no queue is named; name at least one")]
    None,
    /// More than a process serves.
    #[error("{count} queues are too many for one process: at most {QUEUES_MAX}")]
    TooMany {
        /// How many were named.
        count: usize,
    },
    /// One that is named twice.
    #[error("queue `{name}` is named twice; to prefer it write `{name}:1`")]
    Twice {
        /// Which.
        name: QueueName,
    },
}

impl QueueSpec {
    /// Whether it could be the weight of the queue before it.
    fn is_number(&self) -> bool {
        !self.explicit && self.name.as_str().bytes().all(|byte| byte.is_ascii_digit())
    }
}

impl FromStr for QueueSpec {
    type Err = QueuesError;

    /// `name` or `name:priority`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let Some((name, number)) = text.rsplit_once(':') else {
            return Ok(Self::plain(QueueName::new(text)?));
        };
        let name = QueueName::new(name)?;
        match number.parse() {
            Ok(priority) => Ok(Self { name, priority, explicit: true }),
            Err(_) => Err(QueuesError::Priority { name, given: shortened(number).into_owned() }),
        }
    }
}

impl fmt::Display for QueueSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.explicit {
            true => write!(f, "{}:{}", self.name, self.priority),
            false => write!(f, "{}", self.name),
        }
    }
}

/// The queues of a process. Invariant: 1 to [`QUEUES_MAX`], no name twice, in the order the user gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queues {
    specs: Vec<QueueSpec>,
    order: QueueOrder,
}

/// What the numbers of queues mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QueueOrder {
    /// The higher number is served first.
    #[default]
    Priority,
    /// The chance of being first is in proportion to the number.
    Weight,
}

impl Queues {
    /// Checks the number of queues and their names.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn new(specs: Vec<QueueSpec>) -> Result<Self, QueuesError> {
        if specs.is_empty() {
            return Err(QueuesError::None);
        }
        if specs.len() > QUEUES_MAX {
            return Err(QueuesError::TooMany { count: specs.len() });
        }
        for (index, spec) in specs.iter().enumerate() {
            if specs.iter().take(index).any(|earlier| earlier.name == spec.name) {
                return Err(QueuesError::Twice { name: spec.name.clone() });
            }
        }
        Ok(Self { specs, order: QueueOrder::Priority })
    }

    /// As a source names them. A number alone may be a weight, and so come more than once: [`Self::checked`] or
    /// [`Self::read_as_sidekiq`] decides.
    pub(super) fn of_source(specs: Vec<QueueSpec>) -> Result<Self, QueuesError> {
        let named: Vec<QueueSpec> = specs.iter().filter(|spec| !spec.is_number()).cloned().collect();
        if !named.is_empty() || specs.is_empty() {
            Self::new(named)?;
        }
        Ok(Self { specs, order: QueueOrder::Priority })
    }

    /// The same, if they keep all rules as they are.
    pub(super) fn checked(self) -> Result<Self, QueuesError> {
        Self::new(self.specs)
    }

    /// Comma-separated specs: `critical:2,default`.
    ///
    /// # Errors
    /// Like [`Queues::new`], and the first name or priority that is rejected.
    pub fn parse_list(text: &str) -> Result<Vec<QueueSpec>, QueuesError> {
        text.split(',').map(str::parse).collect()
    }

    /// All queues, in the order the user gave.
    #[must_use]
    pub fn as_slice(&self) -> &[QueueSpec] {
        &self.specs
    }

    /// All queues, highest priority first; equal ones keep the user's order.
    #[must_use]
    pub fn by_priority(&self) -> Vec<QueueSpec> {
        let mut specs = self.specs.clone();
        specs.sort_by_key(|spec| std::cmp::Reverse(spec.priority));
        specs
    }

    /// What their numbers mean.
    #[must_use]
    pub const fn order(&self) -> QueueOrder {
        self.order
    }

    /// The same as Sidekiq reads it: `critical,3` is one queue with its weight; without any weight, each queue is served
    /// before all that follow it.
    ///
    /// # Errors
    /// A weight that is not from 1 to [`QUEUE_WEIGHT_MAX`], or the rule that is broken otherwise.
    pub(super) fn read_as_sidekiq(self) -> Result<Self, QueuesError> {
        let mut specs: Vec<QueueSpec> = Vec::with_capacity(self.specs.len());
        for spec in self.specs {
            let is_weight = spec.is_number();
            match specs.last_mut() {
                Some(last) if is_weight && !last.explicit => {
                    // No weight that is allowed has so many digits that this fails.
                    last.priority = spec.name.as_str().parse().unwrap_or(i32::MAX);
                    last.explicit = true;
                }
                _ => specs.push(spec),
            }
        }
        let is_weighted = specs.iter().any(|spec| spec.explicit);
        let count = i32::try_from(specs.len()).unwrap_or(i32::MAX);
        for (spec, rank) in specs.iter_mut().zip((0..count).rev()) {
            match (is_weighted, spec.explicit) {
                (true, true) if !(1..=QUEUE_WEIGHT_MAX).contains(&spec.priority) => {
                    return Err(QueuesError::Weight { name: spec.name.clone(), given: spec.priority });
                }
                (true, true) => {}
                (true, false) => *spec = QueueSpec { priority: 1, explicit: true, ..spec.clone() },
                (false, _) => spec.priority = rank,
            }
        }
        let order = if is_weighted { QueueOrder::Weight } else { QueueOrder::Priority };
        Ok(Self { order, ..Self::new(specs)? })
    }

    /// Whether any priority was written by the user.
    #[must_use]
    pub fn any_explicit(&self) -> bool {
        self.specs.iter().any(|spec| spec.explicit)
    }
}

impl Default for Queues {
    /// Just the gem's default queue.
    fn default() -> Self {
        Self { specs: vec![QueueSpec::plain(QueueName::default())], order: QueueOrder::Priority }
    }
}

/// A Redis URL and where it came from. Its texts hide the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUrl {
    /// Where Redis is.
    pub url: RedisUrl,
    /// The flag, variable or line of a file.
    pub origin: Origin,
    /// Whose programs share it.
    pub dialect: Dialect,
}

impl fmt::Display for GivenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.url, self.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(text: &str) -> Result<Queues, QueuesError> {
        Queues::parse_list(text).and_then(Queues::new)
    }

    #[test]
    fn the_higher_number_comes_first_and_equal_ones_keep_their_order() {
        let queues = queues("low:-1,b,a,high:7").unwrap();
        let order: Vec<String> = queues.by_priority().iter().map(ToString::to_string).collect();
        assert_eq!(order, ["high:7", "b", "a", "low:-1"]);
        assert!(queues.any_explicit());
        assert_eq!(queues.as_slice()[1], QueueSpec::plain(QueueName::new("b").unwrap()));
    }

    #[test]
    fn sidekiqs_forms_of_queues_are_read_read_as_sidekiq() {
        let read = |text: &str| {
            let queues = Queues::parse_list(text).and_then(Queues::of_source).unwrap();
            let queues = queues.read_as_sidekiq().map_err(|error| error.to_string())?;
            let shown: Vec<String> = queues.as_slice().iter().map(ToString::to_string).collect();
            Ok::<_, String>((shown.join(" "), queues.order()))
        };
        assert_eq!(read("critical,3,default"), Ok(("critical:3 default:1".to_owned(), QueueOrder::Weight)));
        assert_eq!(read("a:2,b,7"), Ok(("a:2 b:7".to_owned(), QueueOrder::Weight)));
        assert_eq!(read("a,2,b,2"), Ok(("a:2 b:2".to_owned(), QueueOrder::Weight)));
        assert_eq!(read("a,b"), Ok(("a b".to_owned(), QueueOrder::Priority)));
        let strict = queues("a,b,c").unwrap().read_as_sidekiq().unwrap();
        let ranks: Vec<i32> = strict.by_priority().iter().map(|queue| queue.priority).collect();
        assert_eq!((ranks, strict.any_explicit()), (vec![2, 1, 0], false));
        for (text, part) in [("a,0", "from 1 to"), ("a,5000", "is 5000"), ("a,1001", "is 1001")] {
            assert!(read(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn a_wrong_queue_list_says_which_name_and_why() {
        let check = |text: &str, part: &str| {
            let error = queues(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("a,,b", "empty");
        check("a:x", "`x`");
        check("a:99999999999", "-2147483648");
        check("a:b:1", "':'");
        check("a,b,a", "`a` is named twice");
        check("", "empty");
        let many = |count: usize| (0..count).map(|n| format!("q{n}")).collect::<Vec<_>>().join(",");
        assert!(queues(&many(QUEUES_MAX)).is_ok());
        check(&many(QUEUES_MAX + 1), "at most");
    }

    #[test]
    fn the_gems_spellings_of_a_mode_are_read() {
        for text in ["at-most-once", "at_most_once", ":at_most_once"] {
            assert_eq!(text.parse(), Ok(Mode::AtMostOnce));
        }
        assert!("once".parse::<Mode>().is_err());
        assert_eq!(Mode::AtLeastOnce.to_string().parse(), Ok(Mode::AtLeastOnce));
    }
}
