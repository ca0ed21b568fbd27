//! Acting on all jobs of a set, or on all with a name.
//!
//! They are taken from the oldest to the newest, in batches of one script call each, at most as many as there were at the
//! start: what a retried job leaves when it fails again comes last and is not taken for one of them. It may be abandoned
//! between two batches: what was done is done. With a name, if others take entries away meanwhile, it may miss as many: run
//! it again to find these.

use super::{
    action::Action,
    batch::{Batch, Outcome},
    scene::Scene,
    size,
    steps::{ActProgress, Error, Steps, To},
};
use crate::{
    job::Parser,
    limits::ACT_JOBS_PER_CALL,
    resp::{Reply, Requests},
    store::{
        entries::{self, Entry, Order, Page, Place, Set, Window},
        scripts::Scripts,
    },
    view::{entry, filter::Filter},
};

/// What to do, and with which jobs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mission {
    pub(crate) action: Action,
    pub(crate) set: Set,
    pub(crate) filter: Filter,
}

/// What became of all the jobs that were meant.
#[derive(Debug, Default, Clone)]
pub(crate) struct Swept {
    pub(crate) outcome: Outcome,
    /// Entries that hold more bytes than a worker runs, so that they were not retried.
    pub(crate) unfit: u64,
}

impl Swept {
    pub(crate) fn add(&mut self, other: &Self) {
        self.outcome.add(&other.outcome);
        self.unfit += other.unfit;
    }
}

/// The act in one realm, under way. Two round trips for each [`ACT_JOBS_PER_CALL`] entries, or for each
/// [`ENTRIES_BYTES_PER_CALL`](crate::limits::ENTRIES_BYTES_PER_CALL) bytes; one more for each if the dead set must have
/// room.
pub(crate) struct Sweep<'o> {
    order: &'o Mission,
    place: Place,
    scene: Scene,
    /// Entries there were at the beginning.
    total: u64,
    parser: Parser,
    examined: u64,
    /// What was not acted on: it stays at the old end and is skipped from then on.
    kept: u64,
    /// The batch that is acted on, and how many entries were read with it.
    batch: Option<(Batch, u64)>,
    swept: Swept,
}

impl<'o> Sweep<'o> {
    /// Acts on what is meant among the `total` oldest entries.
    pub(crate) fn new(order: &'o Mission, scene: Scene, total: u64) -> Self {
        Self {
            order,
            place: Place::Set(order.set),
            parser: Parser::new(scene.schema),
            scene,
            total,
            examined: 0,
            kept: 0,
            batch: None,
            swept: Swept::default(),
        }
    }

    /// What became of those acted on so far.
    pub(crate) const fn swept(&self) -> &Swept {
        &self.swept
    }

    pub(crate) const fn progress(&self) -> ActProgress {
        ActProgress { done: self.swept.outcome.done, seen: self.examined, of: self.total }
    }

    const fn is_over(&self) -> bool {
        self.examined >= self.total
    }

    fn window(&self) -> Window {
        let count = (self.total - self.examined).min(ACT_JOBS_PER_CALL as u64) as usize;
        Window { skip: self.kept, count, order: Order::Oldest }
    }

    fn read_page(&mut self, page: Page) {
        if page.entries.is_empty() {
            // The place has fewer entries by now.
            self.examined = self.total;
            return;
        }
        let entries = page.entries.len() as u64;
        self.examined += entries;
        let filter = &self.order.filter;
        let mut jobs: Vec<Entry> =
            page.entries.into_iter().filter(|entry| filter.matches(&mut self.parser, entry)).collect();
        let (meant, schema) = (jobs.len(), self.scene.schema);
        jobs.retain(|entry| !self.order.action.is_retry() || !entry::holds_too_much(entry, schema));
        self.swept.unfit += (meant - jobs.len()) as u64;
        if jobs.is_empty() {
            self.kept += entries;
        } else {
            let (place, scene) = (self.place.clone(), self.scene.clone());
            let batch = Batch::new(self.order.action.clone(), place, scene, jobs);
            self.batch = Some((batch, entries));
        }
    }
}

impl Steps for Sweep<'_> {
    fn next(&self, scripts: &Scripts, requests: &mut Requests) -> Option<To> {
        if let Some((batch, _)) = &self.batch {
            return batch.next(scripts, requests);
        }
        if self.is_over() {
            return None;
        }
        entries::page(scripts, &self.place, self.window(), requests);
        Some(To::Here)
    }

    fn read(&mut self, reply: &Reply) -> Result<(), Error> {
        let Some((batch, entries)) = &mut self.batch else {
            self.read_page(entries::read_page(reply, self.window())?);
            return Ok(());
        };
        batch.read(reply)?;
        if let Some(outcome) = batch.outcome() {
            self.kept += *entries - outcome.done - outcome.gone;
            self.swept.outcome.add(outcome);
            self.batch = None;
        }
        Ok(())
    }

    fn what(&self) -> String {
        self.batch.as_ref().map_or_else(|| size::what(&self.place), |(batch, _)| batch.what())
    }
}
