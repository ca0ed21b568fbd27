//! What of a turn's report could not be done, because a set or a counter is spoilt.

use crate::resp::{Elements, Value};

/// What of a turn's report could not be done. All else was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Positions in [`super::Settlement::moves`], rising. Their jobs lie in the wait lists of their queues now.
    pub moves: Vec<usize>,
    /// Whether [`super::Settlement::processed`] was not counted.
    pub processed: bool,
    /// Whether [`super::Settlement::failed`] was not counted.
    pub failed: bool,
    /// The keys that are no set, or no counter.
    pub keys: Vec<String>,
}

impl Held {
    pub(super) fn read(elements: &mut Elements<'_>) -> Result<Self, String> {
        let parts = (elements.next(), elements.next(), elements.next());
        let (Some(Value::Array(moves)), Some(Value::Integer(counters)), Some(Value::Array(keys))) = parts
        else {
            return Err(format!("a turn held {parts:?}"));
        };
        let mut held = Self { processed: counters & 1 != 0, failed: counters & 2 != 0, ..Self::default() };
        for at in moves {
            let Value::Integer(at) = at else { return Err(format!("a turn held the move {at:?}")) };
            held.moves.extend(usize::try_from(at).ok().and_then(|at| at.checked_sub(1)));
        }
        for key in keys {
            let Value::Bulk(key) = key else { return Err(format!("a turn named the key {key:?}")) };
            held.keys.push(String::from_utf8_lossy(key).into_owned());
        }
        Ok(held)
    }
}
