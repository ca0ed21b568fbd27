//! What processes tell each other of the slots that they give to their queues: a message, stored nowhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::{SLOTS_NEWS_BYTES_MAX, SLOTS_NEWS_QUEUES_MAX};

/// One process's word, as JSON: `{"uuid":"06c7221317f9","slots":{"mail":3}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotsNews {
    /// The process.
    pub uuid: String,
    /// Slots by queue; what it gives none is not there. Empty when it takes no more jobs.
    pub slots: BTreeMap<String, u64>,
}

impl SlotsNews {
    /// The word of this process. Of more queues than [`SLOTS_NEWS_QUEUES_MAX`] those are left out that have the fewest.
    #[must_use]
    pub fn new<'q>(uuid: &str, slots: impl IntoIterator<Item = (&'q str, u64)>) -> Self {
        let mut slots: Vec<(&str, u64)> = slots.into_iter().filter(|(_, slots)| *slots > 0).collect();
        slots.sort_by_key(|(_, slots)| std::cmp::Reverse(*slots));
        slots.truncate(SLOTS_NEWS_QUEUES_MAX);
        Self {
            uuid: uuid.to_owned(),
            slots: slots.into_iter().map(|(queue, slots)| (queue.to_owned(), slots)).collect(),
        }
    }

    /// The message.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Text and whole numbers always are JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a message; `None` if it is not of ours, or too large.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let news: Self = serde_json::from_slice(text).ok().filter(|_| text.len() <= SLOTS_NEWS_BYTES_MAX)?;
        (news.slots.len() <= SLOTS_NEWS_QUEUES_MAX).then_some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::QUEUE_NAME_BYTES_MAX;

    #[test]
    fn news_reads_back_without_queues_that_have_nothing() {
        let news = SlotsNews::new("06c7221317f9", [("mail", 3), ("bulk", 0)]);
        assert_eq!(news.to_json(), r#"{"uuid":"06c7221317f9","slots":{"mail":3}}"#);
        assert_eq!(SlotsNews::parse(news.to_json().as_bytes()), Some(news));
        for text in ["", "paused", "[]", r#"{"uuid":"x","slots":{"a":-1}}"#] {
            assert_eq!(SlotsNews::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn news_of_many_queues_has_a_bound_and_keeps_those_with_the_most_slots() {
        let name = |at: usize| format!("{at:0>width$}", width = QUEUE_NAME_BYTES_MAX);
        let names: Vec<String> = (0..SLOTS_NEWS_QUEUES_MAX + 100).map(name).collect();
        let news =
            SlotsNews::new("06c7221317f9", names.iter().enumerate().map(|(at, name)| (&**name, at as u64)));
        assert_eq!(news.slots.len(), SLOTS_NEWS_QUEUES_MAX);
        assert!(!news.slots.contains_key(&names[99]) && news.slots.contains_key(&names[100]));
        assert_eq!(SlotsNews::parse(news.to_json().as_bytes()), Some(news));
    }
}
