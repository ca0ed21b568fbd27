//! What operators have paused: queues and classes of jobs, as they are stored under one key of the database.
//!
//! One text for all, so that every reader has one state, and a change is made to that state or not at all. The key is
//! not there while nothing is paused. A pause that has a last moment is over by itself then, whether or not the key still
//! names it; the next change drops it. The gem does not know the key, and a Ruby server does not heed it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de};

/// Everything that is paused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// Queues, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<String, Pause>,
    /// Classes of jobs, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, Pause>,
}

/// One pause.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pause {
    /// When it began, Unix seconds by the clock of Redis.
    #[serde(default)]
    pub at: f64,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Why, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it is over by itself, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
}

/// The names of what is paused at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PausedNow {
    /// Queues.
    pub queues: BTreeSet<String>,
    /// Classes of jobs.
    pub classes: BTreeSet<String>,
}

impl Pause {
    /// One that programs of others have made: they say neither when nor why.
    #[must_use]
    pub fn of_others() -> Self {
        Self { by: "sidekiq".to_owned(), ..Self::default() }
    }

    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, now: f64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Paused {
    /// Reads what is stored; `None` if there is no key.
    ///
    /// # Errors
    /// If that is not ours.
    pub fn parse(stored: Option<&[u8]>) -> Result<Self, serde_json::Error> {
        // An array of the members in order would do for serde.
        match stored {
            Some(text) if !text.starts_with(b"{") => Err(de::Error::custom("not an object")),
            Some(text) => serde_json::from_slice(text),
            None => Ok(Self::default()),
        }
    }

    /// The text to store; `None`: nothing is paused, so there is no key.
    #[must_use]
    pub fn to_stored(&self) -> Option<String> {
        // Maps of strings and numbers are always JSON.
        (self.count() > 0).then(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// How many pauses it names.
    #[must_use]
    pub fn count(&self) -> usize {
        self.queues.len() + self.classes.len()
    }

    /// The same without the pauses that are over.
    #[must_use]
    pub fn still(mut self, now: f64) -> Self {
        self.queues.retain(|_, pause| pause.holds(now));
        self.classes.retain(|_, pause| pause.holds(now));
        self
    }

    /// What is paused at this moment.
    #[must_use]
    pub fn now(&self, now: f64) -> PausedNow {
        let names = |pauses: &BTreeMap<String, Pause>| {
            pauses.iter().filter(|(_, pause)| pause.holds(now)).map(|(name, _)| name.clone()).collect()
        };
        PausedNow { queues: names(&self.queues), classes: names(&self.classes) }
    }

    /// When the next of those that hold is over.
    #[must_use]
    pub fn next_end(&self, now: f64) -> Option<f64> {
        let all = self.queues.values().chain(self.classes.values());
        all.filter_map(|pause| pause.until).filter(|until| now < *until).min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(until: Option<f64>) -> Pause {
        Pause { at: 1.5, by: "ann@host".to_owned(), why: Some("a bug".to_owned()), until }
    }

    #[test]
    fn what_is_stored_reads_back_and_nothing_is_no_key() {
        let mut paused = Paused::default();
        assert_eq!(paused.to_stored(), None);
        assert_eq!(Paused::parse(None).unwrap(), paused);
        paused.queues.insert("img".to_owned(), pause(None));
        paused.classes.insert("Resize".to_owned(), pause(Some(7.0)));
        let stored = paused.to_stored().unwrap();
        assert_eq!(Paused::parse(Some(stored.as_bytes())).unwrap(), paused);
        for other in ["", "x", "[]", "{\"queues\":[]}", "{\"queues\":{\"a\":7}}"] {
            assert!(Paused::parse(Some(other.as_bytes())).is_err(), "{other}");
        }
        let later = br#"{"queues":{"img":{"at":1,"more":true}},"groups":{}}"#;
        assert_eq!(Paused::parse(Some(later)).unwrap().queues.len(), 1, "a later version has more members");
    }

    #[test]
    fn a_pause_is_over_at_its_end_and_the_next_end_is_that_of_one_that_holds() {
        let mut paused = Paused::default();
        for (name, until) in [("a", None), ("b", Some(7.0)), ("c", Some(9.0))] {
            paused.queues.insert(name.to_owned(), pause(until));
        }
        let names = |now: f64| paused.now(now).queues.into_iter().collect::<String>();
        assert_eq!((names(6.9), names(7.0), names(9.0)), ("abc".to_owned(), "ac".to_owned(), "a".to_owned()));
        assert_eq!([6.9, 7.0, 9.0].map(|now| paused.next_end(now)), [Some(7.0), Some(9.0), None]);
        assert_eq!(paused.clone().still(8.0).count(), 2);
    }
}
