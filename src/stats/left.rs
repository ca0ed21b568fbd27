//! Jobs of unknown names that a shard has left to other workers, by name. One shard writes, control reads; no lock.

use std::sync::OnceLock;

use super::Counter;
use crate::limits::{LEFT_NAME_CHARS_MAX, LEFT_NAMES_MAX};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LeftJobs {
    /// Filled from the front.
    names: [LeftName; LEFT_NAMES_MAX],
    /// Jobs of names beyond those.
    others: Counter,
}

#[derive(Debug, Default)]
struct LeftName {
    name: OnceLock<Box<str>>,
    times: Counter,
}

impl LeftJobs {
    /// A job of this name was left to others; only the one writer may call it.
    pub(crate) fn add(&self, name: &str) {
        let end = name.char_indices().nth(LEFT_NAME_CHARS_MAX).map_or(name.len(), |(at, _)| at);
        let shown = &name[..end];
        let known = self.names.iter().find(|known| &**known.name.get_or_init(|| shown.into()) == shown);
        known.map_or(&self.others, |known| &known.times).add(1);
    }

    /// The names in the order in which they came, with how often a job of each was left to others.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map_while(|known| Some((&**known.name.get()?, known.times.get())))
    }

    /// How often a job of another name was.
    pub(crate) fn others(&self) -> u64 {
        self.others.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_up_to_their_bound_and_cut_to_what_is_shown() {
        let left = LeftJobs::default();
        let long = "é".repeat(LEFT_NAME_CHARS_MAX + 1);
        for name in ["A", "B", "A", &long] {
            left.add(name);
        }
        let cut = "é".repeat(LEFT_NAME_CHARS_MAX);
        assert_eq!(left.names().collect::<Vec<_>>(), [("A", 2), ("B", 1), (&*cut, 1)]);
        for number in 0..LEFT_NAMES_MAX {
            left.add(&format!("N{number}"));
        }
        left.add("B");
        assert_eq!((left.names().count(), left.others()), (LEFT_NAMES_MAX, 3));
        assert_eq!(left.names().nth(1), Some(("B", 2)));
    }
}
