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
    /// It, and the queue of its first job.
    first: OnceLock<(Box<str>, Box<str>)>,
    times: Counter,
}

impl LeftJobs {
    /// A job of this name and queue was left to others; only the one writer may call it.
    pub(crate) fn add(&self, name: &str, queue: &str) {
        let shown = cut(name);
        let first = || (shown.into(), cut(queue).into());
        let known = self.names.iter().find(|known| &*known.first.get_or_init(first).0 == shown);
        known.map_or(&self.others, |known| &known.times).add(1);
    }

    /// The names in the order in which they came, each with the queue of its first job and how often a job of it was left
    /// to others.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.names.iter().map_while(|known| {
            let (name, queue) = known.first.get()?;
            Some((&**name, &**queue, known.times.get()))
        })
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
        assert_eq!(left.names().collect::<Vec<_>>(), [("A", "img", 2), ("B", "img", 1), (&*cut, "img", 1)]);
        for number in 0..LEFT_NAMES_MAX {
            left.add(&format!("N{number}"), "mails");
        }
        left.add("B", "mails");
        assert_eq!((left.names().count(), left.others()), (LEFT_NAMES_MAX, 3));
        assert_eq!(left.names().nth(1), Some(("B", "img", 2)));
        assert_eq!(left.names().nth(3), Some(("N0", "mails", 1)));
    }
}
