//! The part of a turn's report that could not be done, because a set or a counter is spoilt.

use super::unexpected;
use crate::resp::{Elements, Error, Value};

/// The part of a turn's report that could not be done. Everything else was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Positions in [`super::Settlement::moves`], rising. Their jobs are in the wait lists of their queues now.
    pub moves: Vec<usize>,
    /// Whether [`super::Settlement::processed`] was not counted.
    pub processed: bool,
    /// Whether [`super::Settlement::failed`] was not counted.
    pub failed: bool,
    /// The keys that are not a set, or not a counter.
    pub keys: Vec<String>,
}

impl Held {
    pub(super) fn read(elements: &mut Elements<'_>) -> Result<Self, Error> {
        let parts = (elements.next(), elements.next(), elements.next());
        let (Some(Value::Array(moves)), Some(Value::Integer(counters)), Some(Value::Array(keys))) = parts
        else {
            return Err(unexpected("what a turn could not do", "another shape"));
        };
        let mut held = Self { processed: counters & 1 != 0, failed: counters & 2 != 0, ..Self::default() };
        for at in moves {
            let Value::Integer(at) = at else { return Err(unexpected("the number of a move", at)) };
            held.moves.extend(usize::try_from(at).ok().and_then(|at| at.checked_sub(1)));
        }
        for key in keys {
            let Value::Bulk(key) = key else { return Err(unexpected("a spoilt key", key)) };
            held.keys.push(String::from_utf8_lossy(key).into_owned());
        }
        Ok(held)
    }
}
