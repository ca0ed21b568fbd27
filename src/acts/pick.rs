//! Acting on one job, by its jid.
//!
//! It is found by walking from the newest entry to the oldest, page by page: the engine adds new entries before the current
//! position of the walk and takes old ones after it, so a job that stays in its place meanwhile is found. A running job is
//! in no set and no queue and is never touched: cancelling is another act.

use super::{
    action::Action,
    batch::{Batch, Outcome},
    scene::Scene,
    size,
    steps::{ActProgress, Error, Steps, To},
};
use crate::{
    job::Parser,
    limits::ENTRIES_PER_CALL,
    resp::{Reply, Requests},
    store::{
        entries::{self, Entry, Order, Page, Place, Window},
        scripts::Scripts,
    },
    view::{entry, filter::Filter},
};

/// The act in one realm, under way. One round trip for each [`ENTRIES_PER_CALL`] entries, then one or two more.
pub(crate) struct Pick<'o> {
    action: Action,
    filter: Filter,
    /// Where to look, in this order.
    places: &'o [Place],
    scene: Scene,
    parser: Parser,
    /// The number of the current place.
    at: usize,
    /// Of its entries.
    progress: ActProgress,
    stage: Stage,
    /// Places that do not have it, and how many entries they have.
    searched: Vec<(Place, u64)>,
}

/// ```text
/// Look ─► Found ─(agreed)─► Act ─► Over
///   ▲                        │
///   └─ taken by others since ┘
/// ```
enum Stage {
    Look,
    /// Waits for consent.
    Found(Entry),
    Act {
        title: String,
        batch: Batch,
    },
    Over(End),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It was acted on.
    Done {
        /// What it is called, for people.
        title: String,
        /// Where it was.
        place: Place,
        /// One job is done.
        outcome: Outcome,
    },
    /// It stays where it is: the key of its queue, this one, is not a list, or is one that no worker may be given.
    Held(String),
    /// It holds more bytes than a worker runs, and was to be retried.
    NoJob,
    /// No place has it.
    NotFound,
}

impl<'o> Pick<'o> {
    /// The act.
    pub(crate) fn new(action: Action, jid: &str, places: &'o [Place], scene: Scene) -> Self {
        Self {
            action,
            filter: Filter::jid(jid),
            places,
            parser: Parser::new(scene.schema),
            scene,
            at: 0,
            progress: ActProgress::default(),
            stage: if places.is_empty() { Stage::Over(End::NotFound) } else { Stage::Look },
            searched: Vec::new(),
        }
    }

    /// The job and its place, once it is found: the caller decides with [`Self::agree`] whether to continue.
    pub(crate) fn found(&self) -> Option<(&Entry, &Place)> {
        match &self.stage {
            Stage::Found(entry) => Some((entry, &self.places[self.at])),
            Stage::Look | Stage::Act { .. } | Stage::Over(_) => None,
        }
    }

    /// Acts on the job that was found.
    pub(crate) fn agree(&mut self) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Look) {
            Stage::Found(entry) => {
                let (scene, schema) = (self.scene.clone(), self.scene.schema);
                let title = entry::title(&entry, schema);
                let place = self.places[self.at].clone();
                Stage::Act { title, batch: Batch::new(self.action.clone(), place, scene, vec![entry]) }
            }
            other => other,
        };
        self.settle_batch();
    }

    /// How it ended, once it has.
    pub(crate) const fn end(&self) -> Option<&End> {
        match &self.stage {
            Stage::Over(end) => Some(end),
            Stage::Look | Stage::Found(_) | Stage::Act { .. } => None,
        }
    }

    /// Places that do not have it, and how many of their entries were looked at.
    pub(crate) fn searched(&self) -> &[(Place, u64)] {
        &self.searched
    }

    /// Entries of the current place.
    pub(crate) const fn progress(&self) -> ActProgress {
        self.progress
    }

    const fn window(&self) -> Window {
        Window { skip: self.progress.seen, count: ENTRIES_PER_CALL, order: Order::Newest }
    }

    fn read_page(&mut self, page: Page) {
        let entries = page.entries.len() as u64;
        self.progress.seen += entries;
        self.progress.of = page.total;
        let mut entries_of_page = page.entries.into_iter();
        let parser = &mut self.parser;
        if let Some(entry) = entries_of_page.find(|entry| self.filter.matches(parser, entry)) {
            let is_unfit = self.action.is_retry() && entry::holds_too_much(&entry, self.scene.schema);
            self.stage = if is_unfit { Stage::Over(End::NoJob) } else { Stage::Found(entry) };
        } else if entries == 0 || self.progress.seen >= page.total {
            // Each page advances by at least one entry, so it ends where the place ends.
            self.pass_on();
        }
    }

    /// Continues with the next place.
    fn pass_on(&mut self) {
        self.searched.push((self.places[self.at].clone(), self.progress.seen));
        self.at += 1;
        self.progress = ActProgress::default();
        self.stage = if self.at < self.places.len() { Stage::Look } else { Stage::Over(End::NotFound) };
    }

    /// Moves on if the outcome for the job is known.
    fn settle_batch(&mut self) {
        let Stage::Act { title, batch } = &self.stage else { return };
        let Some(outcome) = batch.outcome() else { return };
        match (&outcome.held_by, outcome.done) {
            (Some(key), _) => self.stage = Stage::Over(End::Held(key.clone())),
            (None, 1..) => {
                let (title, place) = (title.clone(), self.places[self.at].clone());
                self.stage = Stage::Over(End::Done { title, place, outcome: outcome.clone() });
            }
            // A poller or a worker has taken it since it was seen.
            _ => self.pass_on(),
        }
    }
}

impl Steps for Pick<'_> {
    fn next(&self, scripts: &Scripts, requests: &mut Requests) -> Option<To> {
        match &self.stage {
            Stage::Look => {
                entries::page(scripts, &self.places[self.at], self.window(), requests);
                Some(To::Here)
            }
            Stage::Act { batch, .. } => batch.next(scripts, requests),
            Stage::Found(_) | Stage::Over(_) => None,
        }
    }

    fn read(&mut self, reply: &Reply) -> Result<(), Error> {
        let window = self.window();
        match &mut self.stage {
            Stage::Look => self.read_page(entries::read_page(reply, window)?),
            Stage::Act { batch, .. } => {
                batch.read(reply)?;
                self.settle_batch();
            }
            Stage::Found(_) | Stage::Over(_) => {}
        }
        Ok(())
    }

    fn what(&self) -> String {
        match &self.stage {
            Stage::Act { batch, .. } => batch.what(),
            Stage::Look | Stage::Found(_) | Stage::Over(_) => {
                self.places.get(self.at).map_or_else(String::new, size::what)
            }
        }
    }
}
