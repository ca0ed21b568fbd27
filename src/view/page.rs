//! A page of the jobs of a place as JSON: how it begins, and where the next one does.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use crate::store::entries::Place;

/// The members with which the JSON of a page begins.
#[derive(Debug, Serialize)]
pub(crate) struct Head<'p> {
    place: &'static str,
    queue: Option<Cow<'p, str>>,
    total: u64,
    skip: u64,
}

impl<'p> Head<'p> {
    pub(crate) fn of(place: &'p Place, total: u64, skip: u64) -> Self {
        let (place, queue) = match place {
            Place::Queue(queue) => ("queue", Some(queue.exact())),
            Place::Set(set) => (set.word(), None),
        };
        Self { place, queue, total, skip }
    }

    /// Writes all of the page that comes before its jobs, which are written one by one, with commas between.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let head = serde_json::to_string(self)?;
        write!(out, "{},\"jobs\":[", head.trim_end_matches('}'))
    }
}

/// Writes what comes after its jobs. `next_skip`: where to continue; `None`: there is no more.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write_json_end(examined: u64, next_skip: Option<u64>, out: &mut dyn Write) -> io::Result<()> {
    let next = next_skip.map_or_else(|| "null".to_owned(), |skip| skip.to_string());
    writeln!(out, "],\"examined\":{examined},\"next_skip\":{next}}}")
}
