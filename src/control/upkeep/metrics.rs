//! What ran of each class since Sidekiq's pages of metrics were last told: at most once a minute, with the first heartbeat
//! in it that has something to tell, and at the end. So a busy process costs Redis little, and a job of an idle one is seen
//! within a heartbeat.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::shards::CountsFor;
use super::super::state::Control;
use crate::limits::TALLY_CLASSES_MAX;
use crate::stats::ShardRow;
use crate::store::metrics::Minute;
use crate::wire::sidekiq_metrics::{ClassRuns, Spelling};

/// What was told, and when.
#[derive(Default)]
pub(super) struct Metrics {
    /// What each shard had counted when it last answered.
    latest: Vec<Option<Rc<[ShardRow]>>>,
    /// What was told of each class.
    told: BTreeMap<Box<str>, ClassRuns>,
    /// How many jobs had been processed then.
    processed: u64,
    /// The minute in which it was last told.
    minute: Option<u64>,
    /// When the last heartbeat was: what is told with the next happened before it, or soon after.
    beat_at: Option<f64>,
}

impl Metrics {
    /// What to tell with a heartbeat at this Unix time; `None`: nothing, or not in this minute.
    ///
    /// # Cancel-safety
    /// Safe: what was not returned is told later.
    pub(super) async fn due(
        &mut self,
        control: &Control,
        spellings: &'static [Spelling],
        now: f64,
    ) -> Option<Minute> {
        let before = self.beat_at.replace(now);
        let minute = now as u64 / 60;
        if spellings.is_empty() || self.minute == Some(minute) || self.is_old(control) {
            return None;
        }
        let counted = control.shards.counted(CountsFor::Beat).await;
        self.note(counted);
        self.take(control, spellings, before.unwrap_or(now)).inspect(|_| self.minute = Some(minute))
    }

    /// What is left to tell at the end: the shards have said it before they ended.
    pub(super) fn last(
        &mut self,
        control: &Control,
        spellings: &'static [Spelling],
        now: f64,
    ) -> Option<Minute> {
        if spellings.is_empty() || self.is_old(control) {
            return None;
        }
        self.note(control.shards.last_counted(CountsFor::Beat));
        self.take(control, spellings, now)
    }

    /// Whether nothing has ended since it was last told.
    fn is_old(&self, control: &Control) -> bool {
        control.processed() == self.processed
    }

    fn note(&mut self, counted: Vec<Option<Rc<[ShardRow]>>>) {
        self.latest.resize(counted.len(), None);
        for (latest, rows) in self.latest.iter_mut().zip(counted) {
            if rows.is_some() {
                *latest = rows;
            }
        }
    }

    /// Before it is known that Redis has it: telling some less after a lost line is better than telling it twice.
    fn take(&mut self, control: &Control, spellings: &'static [Spelling], at: f64) -> Option<Minute> {
        self.processed = control.processed();
        let mut all: BTreeMap<Box<str>, ClassRuns> = BTreeMap::new();
        for (stats, rows) in control.options.stats.iter().zip(&self.latest) {
            // Those beyond have no name of their own.
            for row in rows.iter().flat_map(|rows| rows.iter()).filter(|row| row.class < TALLY_CLASSES_MAX) {
                let (_, class) = stats.names_of(row);
                all.entry(class).or_default().merge(&ClassRuns::of(&row.row));
            }
        }
        let runs: BTreeMap<_, _> = all
            .iter()
            .map(|(class, runs)| {
                (class.clone(), self.told.get(class).map_or_else(|| runs.clone(), |told| runs.since(told)))
            })
            .filter(|(_, runs)| runs.executed > 0)
            .collect();
        self.told = all;
        (!runs.is_empty()).then_some(Minute { at, spellings, runs })
    }
}
