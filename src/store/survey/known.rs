//! What a survey knows of the queues, or of the processes, of a database.

use std::collections::{BTreeMap, BTreeSet};

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// It was found and not yet read.
    #[default]
    Unread,
    /// What was read last.
    Is(T),
    /// Nothing is under its key, though a set names it.
    Gone,
}

/// All of them, by their keys, which are Redis's own and need not be UTF-8.
#[derive(Debug)]
pub(super) struct Known<T> {
    pub(super) found: BTreeMap<Vec<u8>, Found<T>>,
    /// What the set that names them has named, if the survey goes round: only then it remembers what is named in vain.
    rounds: Option<Box<Rounds>>,
}

#[derive(Debug, Default)]
struct Rounds {
    last: BTreeSet<Vec<u8>>,
    this: BTreeSet<Vec<u8>>,
}

impl<T> Known<T> {
    pub(super) fn new(goes_round: bool) -> Self {
        Self { found: BTreeMap::new(), rounds: goes_round.then(Box::default) }
    }

    /// What is there, as it was last read.
    pub(super) fn read(&self) -> impl Iterator<Item = (&[u8], &T)> {
        self.found.iter().filter_map(|(key, found)| match found {
            Found::Is(value) => Some((key.as_slice(), value)),
            Found::Unread | Found::Gone => None,
        })
    }

    pub(super) fn read_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.found.values_mut().filter_map(|found| match found {
            Found::Is(value) => Some(value),
            Found::Unread | Found::Gone => None,
        })
    }

    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut T> {
        match self.found.get_mut(key)? {
            Found::Is(value) => Some(value),
            Found::Unread | Found::Gone => None,
        }
    }

    pub(super) fn all_read(&self) -> bool {
        !self.found.values().any(|found| matches!(found, Found::Unread))
    }

    /// Notes a key that was found, by a set that names it or among all keys.
    pub(super) fn note(&mut self, key: Vec<u8>, is_named: bool) {
        if is_named && let Some(rounds) = &mut self.rounds {
            rounds.this.insert(key.clone());
        }
        self.found.entry(key).or_default();
    }

    /// Notes what was read under a key; `None`: nothing.
    pub(super) fn set(&mut self, key: Vec<u8>, value: Option<T>) {
        let is_named = |rounds: &Rounds| rounds.this.contains(&key) || rounds.last.contains(&key);
        let found = match value {
            Some(value) => Found::Is(value),
            None if self.rounds.as_deref().is_some_and(is_named) => Found::Gone,
            None => {
                self.found.remove(&key);
                return;
            }
        };
        self.found.insert(key, found);
    }

    /// Notes that the set was read to its end: what it no longer names and is not there is forgotten.
    pub(super) fn came_round(&mut self) {
        let Some(rounds) = &mut self.rounds else { return };
        rounds.last = std::mem::take(&mut rounds.this);
        self.found.retain(|key, found| !matches!(found, Found::Gone) || rounds.last.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_set_names_in_vain_is_remembered_as_long_as_it_does() {
        let mut known = Known::new(true);
        for key in ["named", "found"] {
            known.note(key.into(), key == "named");
        }
        assert!(!known.all_read());
        known.came_round();
        known.set("named".into(), None::<u64>);
        known.set("found".into(), None);
        assert!(known.all_read() && known.read().count() == 0);
        assert_eq!(known.found.keys().collect::<Vec<_>>(), [b"named"]);
        known.set("named".into(), Some(3));
        assert_eq!(known.read().collect::<Vec<_>>(), [(&b"named"[..], &3)]);
        known.set("named".into(), None);
        known.came_round();
        assert!(known.found.is_empty());
    }

    #[test]
    fn a_survey_that_ends_remembers_nothing_of_it() {
        let mut known = Known::new(false);
        known.note("named".into(), true);
        known.set("named".into(), None::<u64>);
        assert!(known.found.is_empty());
    }
}
