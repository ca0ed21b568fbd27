//! Pausing and resuming a queue or a class of jobs in the whole fleet.
//!
//! A change is made from what is stored and only if that is still there, so two operators do not undo each other's.

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use crate::foreign::Foreign;
use crate::limits::{PAUSE_EDITS_MAX, PAUSES_MAX};
use crate::resp::{self, Reply, Requests};
use crate::store::{paused, server};
use crate::time::unix_now;
use crate::wire::Keyspace;
use crate::wire::paused::{Pause, Paused};

/// What is paused or resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pausable {
    /// The queue of this name.
    Queue(String),
    /// All jobs of this name.
    Class(String),
}

/// When a pause is over by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PauseEnd {
    /// At this Unix time.
    At(f64),
    /// So long after it began, by the clock of Redis.
    In(Duration),
}

impl PauseEnd {
    /// Unix seconds; `now`: when it begins.
    pub(crate) fn at(self, now: f64) -> f64 {
        match self {
            Self::At(at) => at,
            Self::In(span) => now + span.as_secs_f64(),
        }
    }
}

/// A change of what is paused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PauseChange {
    /// Pause it.
    Pause {
        /// What.
        what: Pausable,
        /// Who asks for it.
        by: String,
        /// Why.
        why: Option<String>,
        /// When it is over by itself, if it is.
        until: Option<PauseEnd>,
    },
    /// Let it run again.
    Resume(Pausable),
}

/// Why nothing is changed. For the user to mend, except for [`PauseError::Busy`] and [`PauseError::Reply`].
#[derive(Debug, Error)]
pub(crate) enum PauseError {
    /// It is not paused, so it cannot be resumed.
    #[error("{what} is not paused")]
    NotPaused { what: Pausable },
    /// Its end has passed already.
    #[error("{what}: the pause would have ended {} s ago", -.away)]
    Over {
        what: Pausable,
        /// How far away its end is, in seconds; below 0.
        away: f64,
    },
    /// So many are paused that there is no room.
    #[error("{what}: {PAUSES_MAX} queues and classes are paused already")]
    Full { what: Pausable },
    /// Others have changed it each time.
    #[error("others keep changing what is paused")]
    Busy,
    /// Redis refused, or answered nonsense.
    #[error(transparent)]
    Reply(#[from] resp::Error),
}

impl Pausable {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Class(name) => name,
        }
    }

    fn among<'p>(&self, paused: &'p mut Paused) -> &'p mut BTreeMap<String, Pause> {
        match self {
            Self::Queue(_) => &mut paused.queues,
            Self::Class(_) => &mut paused.classes,
        }
    }
}

impl std::fmt::Display for Pausable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if matches!(self, Self::Queue(_)) { "queue" } else { "class" };
        write!(f, "{word} {}", Foreign::cell(self.name()))
    }
}

impl PauseChange {
    /// What is paused or resumed.
    pub(crate) const fn what(&self) -> &Pausable {
        match self {
            Self::Pause { what, .. } | Self::Resume(what) => what,
        }
    }

    /// What is paused after it.
    fn of(&self, mut paused: Paused, now: f64) -> Result<Paused, PauseError> {
        let what = self.what();
        let pauses = what.among(&mut paused);
        match self {
            Self::Resume(_) => match pauses.remove(what.name()) {
                Some(_) => Ok(paused),
                None => Err(PauseError::NotPaused { what: what.clone() }),
            },
            Self::Pause { by, why, until, .. } => {
                let until = until.map(|end| end.at(now));
                if let Some(until) = until.filter(|until| *until <= now) {
                    return Err(PauseError::Over { what: what.clone(), away: until - now });
                }
                let at = pauses.get(what.name()).map_or(now, |before| before.at);
                let pause = Pause { at, by: by.clone(), why: why.clone(), until };
                pauses.insert(what.name().to_owned(), pause);
                if paused.count() > PAUSES_MAX {
                    return Err(PauseError::Full { what: what.clone() });
                }
                Ok(paused)
            }
        }
    }
}

/// What is paused, as it was read.
#[derive(Debug)]
pub(crate) struct Look {
    /// Without what is over.
    pub(crate) paused: Paused,
    /// The queues that programs of others have paused.
    of_others: BTreeMap<String, Pause>,
    stored: Option<Vec<u8>>,
    /// Unix time by the clock of Redis; a user who may not ask for it has the clock of its own host.
    pub(crate) now: f64,
}

impl Look {
    /// Appends the question. One round trip.
    pub(crate) fn write(keys: Keyspace, database: u32, requests: &mut Requests) {
        server::ask_clock(requests);
        paused::ask(keys, database, requests);
        paused::ask_of_others(keys, requests);
    }

    /// Reads the replies to [`Self::write`].
    ///
    /// # Errors
    /// If what is stored is not ours.
    pub(crate) fn read(replies: &[Reply]) -> Result<Self, resp::Error> {
        let [clock, stored, of_others @ ..] = replies else {
            return Err(resp::Error::Unexpected { expected: "two replies", got: replies.len().to_string() });
        };
        let of_others = of_others.first().map(paused::read_of_others).unwrap_or_default();
        let now = server::clock(clock).map_or_else(|_| unix_now(), |clock| clock.as_secs_f64());
        let paused = paused::read(stored)?.still(now);
        Ok(Self { paused, of_others, stored: paused::stored(stored)?.map(<[u8]>::to_vec), now })
    }

    /// What is paused, by ours and by programs of others.
    pub(crate) fn all(mut self) -> Paused {
        self.paused.queues.extend(self.of_others);
        self.paused
    }
}

/// The change under way: while [`Self::write`] has something to ask, send it and pass the replies to [`Self::read`]. Two
/// round trips, and two more each time that others come first.
#[derive(Debug)]
pub(crate) struct Pausing {
    change: PauseChange,
    keys: Keyspace,
    database: u32,
    edits: usize,
    /// Unix time by the clock of Redis, as last read.
    now: f64,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Look,
    Put { stored: Option<Vec<u8>>, after: Paused },
    Over(Changed),
}

/// What became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Changed {
    /// Processes that have heard of it. The others learn it when they start, or when they listen again.
    pub(crate) heard: u64,
    /// Unix time by the clock of Redis.
    pub(crate) now: f64,
}

impl Pausing {
    pub(crate) const fn new(change: PauseChange, keys: Keyspace, database: u32) -> Self {
        Self { change, keys, database, edits: 0, now: 0.0, stage: Stage::Look }
    }

    /// Appends what is to be asked next; `false`: nothing is.
    pub(crate) fn write(&self, requests: &mut Requests) -> bool {
        match &self.stage {
            Stage::Look => Look::write(self.keys, self.database, requests),
            Stage::Put { stored, after } => {
                paused::change(self.keys, self.database, stored.as_deref(), after, requests);
            }
            Stage::Over(_) => return false,
        }
        true
    }

    /// Reads the replies to [`Self::write`].
    ///
    /// # Errors
    /// [`PauseError`].
    pub(crate) fn read(&mut self, replies: &[Reply]) -> Result<(), PauseError> {
        match &self.stage {
            Stage::Look => {
                let look = Look::read(replies)?;
                self.now = look.now;
                let after = self.change.of(look.paused, look.now)?;
                self.stage = Stage::Put { stored: look.stored, after };
            }
            Stage::Put { .. } => {
                let reply = replies.first().map(paused::changed).transpose()?.flatten();
                self.edits += 1;
                self.stage = match reply {
                    Some(heard) => Stage::Over(Changed { heard, now: self.now }),
                    None if self.edits >= PAUSE_EDITS_MAX => return Err(PauseError::Busy),
                    None => Stage::Look,
                };
            }
            Stage::Over(_) => {}
        }
        Ok(())
    }

    /// What became of it, once that is known.
    pub(crate) const fn changed(&self) -> Option<Changed> {
        match self.stage {
            Stage::Over(changed) => Some(changed),
            Stage::Look | Stage::Put { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pausing(name: &str, until: Option<f64>) -> PauseChange {
        let (what, why) = (Pausable::Class(name.to_owned()), Some("a bug".to_owned()));
        PauseChange::Pause { what, by: "ann@host".to_owned(), why, until: until.map(PauseEnd::At) }
    }

    #[test]
    fn a_pause_of_a_span_ends_by_the_clock_of_redis() {
        assert_eq!(PauseEnd::In(Duration::from_secs(90)).at(7.5), 97.5);
        assert_eq!(PauseEnd::At(90.0).at(7.5), 90.0);
    }

    #[test]
    fn a_pause_keeps_its_beginning_and_has_to_end_later_than_now() {
        let first = pausing("A", None).of(Paused::default(), 7.0).unwrap();
        let second = pausing("A", Some(99.0)).of(first, 9.0).unwrap();
        assert_eq!((second.classes["A"].at, second.classes["A"].until), (7.0, Some(99.0)));
        let over = pausing("A", Some(9.0)).of(second.clone(), 9.0).unwrap_err();
        assert!(matches!(over, PauseError::Over { .. }), "{over}");
        let other = PauseChange::Resume(Pausable::Queue("A".to_owned())).of(second, 9.0).unwrap_err();
        assert_eq!(other.to_string(), "queue A is not paused");
        let mut full = Paused::default();
        for number in 0..PAUSES_MAX {
            full = pausing(&number.to_string(), None).of(full, 1.0).unwrap();
        }
        let full = pausing("one more", None).of(full, 1.0).unwrap_err();
        assert!(matches!(full, PauseError::Full { .. }), "{full}");
    }
}
