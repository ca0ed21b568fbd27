//! Looking at the jobs of a queue or a set, page by page, at all of them or only at those that match.
//!
//! A page is a part of a place at the moment of each call: jobs that come or go meanwhile shift what follows. In a cluster
//! a set is read one queue after the other, in the order of their names.

use std::time::Duration;

use super::{
    size,
    steps::{ActProgress, Error, Steps, To},
};
use crate::{
    job::{Parser, Schema},
    limits::ENTRIES_PER_CALL,
    resp::{Reply, Requests},
    store::{
        entries::{self, Entry, Order, Page, Place, Set, Window},
        scripts::Scripts,
    },
    view::filter::{Before, Filter, Moment},
};

/// Which jobs to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where they are.
    pub place: Place,
    /// Which ones.
    pub filter: Filter,
    /// Entries to skip first.
    pub skip: u64,
    /// Most jobs to show.
    pub limit: usize,
    /// Most entries to examine.
    pub examine_max: u64,
    /// Which come first.
    pub order: Order,
    /// Only failed jobs that are older than this.
    pub older: Option<Duration>,
    /// Whether they are counted in groups instead of listed.
    pub groups: bool,
}

impl Query {
    /// The same, with its age turned into the latest moment, at this Unix time.
    #[must_use]
    pub fn until(&self, now: f64) -> Self {
        let mut query = self.clone();
        query.filter.before = self.older.map(|older| {
            let unix_ms = ((now - older.as_secs_f64()) * 1e3) as i64;
            let died = self.place == Place::Set(Set::Dead);
            Before { unix_ms, moment: if died { Moment::Died } else { Moment::FirstFailed } }
        });
        query
    }
}

/// How far a look got.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Entries of the place.
    pub(crate) total: u64,
    pub(crate) examined: u64,
    pub(crate) shown: usize,
    /// Whether it reached the end of the place.
    pub(crate) is_end: bool,
}

/// The look under way. One round trip for each [`ENTRIES_PER_CALL`] entries or
/// [`ENTRIES_BYTES_PER_CALL`](crate::limits::ENTRIES_BYTES_PER_CALL) bytes; if there are several realms, one more for each.
///
/// Between two steps the caller should take the jobs that were found ([`Self::take`]), so that large payloads do not pile
/// up.
pub(crate) struct Look<'q> {
    query: &'q Query,
    parser: Parser,
    /// How many entries each realm has, as last seen.
    sizes: Vec<u64>,
    /// Realms whose size is known. That of a single one is not needed.
    sized: usize,
    reached: Reached,
    found: Vec<Entry>,
    is_over: bool,
}

impl<'q> Look<'q> {
    /// A parser of such entries.
    pub(crate) fn parser(&self) -> Parser {
        Parser::new(self.parser.schema())
    }

    /// A look at the place in this many realms.
    pub(crate) fn new(query: &'q Query, schema: Schema, realms: usize) -> Self {
        let sized = if realms == 1 { 1 } else { 0 };
        Self {
            query,
            parser: Parser::new(schema),
            sizes: vec![u64::MAX; realms],
            sized,
            // Without a realm there are no entries.
            reached: Reached { is_end: realms == 0, ..Reached::default() },
            found: Vec::new(),
            is_over: realms == 0,
        }
    }

    /// The number of the realm to ask next; `None`: the look is over.
    pub(crate) fn realm(&self) -> Option<usize> {
        if self.is_over {
            None
        } else if self.sized < self.sizes.len() {
            Some(self.sized)
        } else {
            Some(self.place().0)
        }
    }

    /// The jobs found since the last call.
    pub(crate) fn take(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.found)
    }

    pub(crate) const fn reached(&self) -> Reached {
        self.reached
    }

    pub(crate) const fn progress(&self) -> ActProgress {
        ActProgress { done: self.reached.shown as u64, seen: self.reached.examined, of: self.reached.total }
    }

    /// How many entries to skip in order to continue; `None`: it reached the end.
    pub(crate) fn next_skip(&self) -> Option<u64> {
        (!self.reached.is_end).then_some(self.query.skip + self.reached.examined)
    }

    fn examine_max(&self) -> u64 {
        let page = if self.query.filter.is_empty() { self.query.limit as u64 } else { u64::MAX };
        page.min(self.query.examine_max)
    }

    /// The realm of the next entry, and how many entries to skip there.
    fn place(&self) -> (usize, u64) {
        let mut skip = self.query.skip + self.reached.examined;
        let mut at = 0;
        while at + 1 < self.sizes.len() && skip >= self.sizes[at] {
            skip -= self.sizes[at];
            at += 1;
        }
        (at, skip)
    }

    fn window(&self) -> Window {
        let wanted = self.examine_max().saturating_sub(self.reached.examined).min(ENTRIES_PER_CALL as u64);
        Window { skip: self.place().1, count: wanted as usize, order: self.query.order }
    }

    fn read_page(&mut self, page: Page) {
        let (at, _) = self.place();
        self.sizes[at] = page.total;
        let total = self.sizes.iter().sum();
        self.reached.total = total;
        let is_empty = page.entries.is_empty();
        for entry in page.entries {
            self.reached.examined += 1;
            if self.query.filter.matches(&mut self.parser, &entry) {
                self.found.push(entry);
                self.reached.shown += 1;
                if self.reached.shown == self.query.limit {
                    break;
                }
            }
        }
        self.reached.is_end = self.query.skip + self.reached.examined >= total;
        let is_enough = self.reached.examined >= self.examine_max() || self.reached.shown >= self.query.limit;
        self.is_over = self.reached.is_end || is_empty || is_enough;
    }
}

impl Steps for Look<'_> {
    fn next(&self, scripts: &Scripts, requests: &mut Requests) -> Option<To> {
        if self.is_over {
            return None;
        }
        if self.sized < self.sizes.len() {
            size::write(&self.query.place, scripts, requests);
        } else {
            entries::page(scripts, &self.query.place, self.window(), requests);
        }
        Some(To::Here)
    }

    fn read(&mut self, reply: &Reply) -> Result<(), Error> {
        if self.sized < self.sizes.len() {
            self.sizes[self.sized] = size::read(reply)?;
            self.sized += 1;
        } else {
            self.read_page(entries::read_page(reply, self.window())?);
        }
        Ok(())
    }

    fn what(&self) -> String {
        size::what(&self.query.place)
    }
}
