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
    /// Where the first job of it was.
    queue: OnceLock<Box<str>>,
    times: Counter,
}

impl LeftJobs {
    /// A job of this name and queue was left to others; only the one writer may call it.
    pub(crate) fn add(&self, name: &str, queue: &str) {
        let shown = cut(name);
        // The queue first: a reader that sees the name finds its queue.
        let is_named = |known: &&LeftName| match known.name.get() {
            Some(name) => **name == *shown,
            None => {
                known.queue.get_or_init(|| cut(queue).into());
                &**known.name.get_or_init(|| shown.into()) == shown
            }
        };
        self.names.iter().find(is_named).map_or(&self.others, |known| &known.times).add(1);
    }

    /// The names in the order in which they came, with how often a job of each was left to others.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map_while(|known| Some((&**known.name.get()?, known.times.get())))
    }

    /// The queue in which the first job of this name was found.
    pub(crate) fn queue_of(&self, name: &str) -> Option<&str> {
        let known = self.names.iter().find(|known| known.name.get().is_some_and(|known| **known == *name))?;
        known.queue.get().map(|queue| &**queue)
    }

    /// How often a job of another name was.
    pub(crate) fn others(&self) -> u64 {
        self.others.get()
    }
}

/// As much of a text as is shown.
fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(LEFT_NAME_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_up_to_their_bound_and_cut_to_what_is_shown() {
        let left = LeftJobs::default();
        let long = "é".repeat(LEFT_NAME_CHARS_MAX + 1);
        for name in ["A", "B", "A", &long] {
            left.add(name, "img");
        }
        let cut = "é".repeat(LEFT_NAME_CHARS_MAX);
        assert_eq!(left.names().collect::<Vec<_>>(), [("A", 2), ("B", 1), (&*cut, 1)]);
        for number in 0..LEFT_NAMES_MAX {
            left.add(&format!("N{number}"), "mails");
        }
        left.add("B", "mails");
        assert_eq!((left.names().count(), left.others()), (LEFT_NAMES_MAX, 3));
        assert_eq!(left.names().nth(1), Some(("B", 2)));
        assert_eq!((left.queue_of("B"), left.queue_of("N1")), (Some("img"), Some("mails")), "the first one");
        assert_eq!(left.queue_of("nobody"), None);
    }
}
