//! Queues and sets as addresses name them.

use std::borrow::Cow;

use super::ask::{Ask, AskError};
use crate::store::entries::{Place, Set};
use crate::wire::ListName;

pub(crate) const PLACES: [(&str, Option<Set>); 4] = [
    ("retries", Some(Set::Retries)),
    ("scheduled", Some(Set::Scheduled)),
    ("dead", Some(Set::Dead)),
    ("queue", None),
];

/// The place that an address names; `None`: none.
///
/// # Errors
/// [`AskError::Value`].
pub(crate) fn read(ask: &Ask) -> Result<Option<Place>, AskError> {
    Ok(match ask.choice("place", &PLACES)? {
        None => None,
        Some(Some(set)) => Some(Place::Set(set)),
        Some(None) => Some(Place::Queue(queue(ask)?)),
    })
}

/// The queue that it names.
///
/// # Errors
/// [`AskError::Value`].
pub(crate) fn queue(ask: &Ask) -> Result<ListName, AskError> {
    let wrong = |allowed: String| AskError::Value { name: "queue", allowed };
    let given = ask.text("queue").ok_or_else(|| wrong("the name of a queue".to_owned()))?;
    given.parse().map_err(|error| wrong(format!("another name: {error}")))
}

/// The parameters `place` and `queue` of a place; the second is empty for a set.
pub(super) fn parameters(place: &Place) -> (&'static str, Cow<'_, str>) {
    match place {
        Place::Queue(queue) => ("queue", queue.exact()),
        Place::Set(set) => (set.word(), "".into()),
    }
}
