//! Periodic jobs as they are shown, and the look for what became of their last runs.

use serde::Serialize;
use serde_json::value::RawValue;

use super::entry::error_of;
use super::redacted::{self, Layout};
use crate::cron::edit::{entry_of, name_of};
use crate::cron::{CronEntry, LastRun, Run, first_tick, tick_text};
use crate::job::Schema;
use crate::limits::{CRON_OUTCOME_ROUNDS, CRON_TICKS_SHOWN};
use crate::resp::{self, Reply, Requests};
use crate::store::cron::Row;
use crate::store::cron::outcome::{self, Found, Outcome, Pushed};
use crate::wire::Realm;

/// An entry as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct PeriodicShown {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<EntryShown>,
    /// Why what is stored is no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spoilt: Option<String>,
    /// The next ticks.
    pub(crate) next: Vec<String>,
    /// The first of them, Unix milliseconds.
    #[serde(skip)]
    pub(crate) next_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<RunShown>,
    pub(crate) pushed: u64,
    pub(crate) missed: u64,
    pub(crate) skipped: u64,
    /// The last tick that was left out because the last run lived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_skipped: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct EntryShown {
    pub(crate) schedule: String,
    pub(crate) words: String,
    pub(crate) zone: String,
    pub(crate) job: String,
    pub(crate) args: Box<RawValue>,
    pub(crate) queue: String,
    pub(crate) catch_up: String,
    pub(crate) overlap: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) paused: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct RunShown {
    pub(crate) tick: String,
    pub(crate) at: String,
    pub(crate) jid: String,
    pub(crate) outcome: &'static str,
    /// Why it failed last, if it is to be retried or is dead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) error: String,
    /// When it was pushed, Unix milliseconds.
    #[serde(skip)]
    pub(crate) at_ms: i64,
}

impl PeriodicShown {
    /// A row, and what became of its last run; `None`: that is not known.
    pub(crate) fn of(row: &Row, found: Option<&Found>, schema: Schema) -> Self {
        let run = Run::read(row.run.as_deref());
        let last = run.last.map(|last| RunShown {
            tick: tick_text(last.tick),
            at: tick_text(last.at),
            jid: last.jid,
            outcome: found.map_or(Outcome::Unknown, |found| found.outcome).as_str(),
            error: found.map(|found| error_of(&found.job, schema)).unwrap_or_default(),
            at_ms: last.at,
        });
        let mut shown = Self {
            name: name_of(row),
            entry: None,
            spoilt: None,
            next: Vec::new(),
            next_ms: None,
            last,
            pushed: run.pushed,
            missed: run.missed,
            skipped: run.skipped,
            last_skipped: run.skipped_tick.map(tick_text),
        };
        match entry_of(row) {
            Err(error) => shown.spoilt = Some(error.to_string()),
            Ok(entry) => {
                let mut tick = run.tick.or(row.at).filter(|_| row.at.is_some());
                shown.next_ms = tick;
                while let Some(at) = tick.filter(|_| shown.next.len() < CRON_TICKS_SHOWN) {
                    shown.next.push(tick_text(at));
                    tick = first_tick(&entry, at);
                }
                shown.entry = EntryShown::of(&entry);
            }
        }
        shown
    }

    /// The same for others than operators: values in the arguments whose names speak of a secret are hidden.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "only pages and the api show it"))]
    pub(crate) fn public(mut self) -> Self {
        if let Some(entry) = &mut self.entry {
            let shown = redacted::json(entry.args.get(), Layout::Raw, usize::MAX);
            // What is hidden is replaced by a text, so it stays JSON. If not, nothing is shown.
            entry.args = RawValue::from_string(shown.text).unwrap_or_else(|_| RawValue::NULL.to_owned());
        }
        self
    }
}

impl EntryShown {
    fn of(entry: &CronEntry) -> Option<Self> {
        let schedule = entry.schedule();
        Some(Self {
            schedule: schedule.text().to_owned(),
            words: schedule.in_words(),
            zone: schedule.zone().to_owned(),
            job: entry.job().name().to_owned(),
            args: RawValue::from_string(entry.job().args().to_owned()).ok()?,
            queue: entry.job().queue().as_str().to_owned(),
            catch_up: entry.catches_up().to_string(),
            overlap: entry.overlaps().as_str(),
            origin: entry.origin().as_str(),
            paused: entry.is_paused(),
        })
    }
}

/// The look for the last runs of some rows: in rounds, because one call looks at [`CRON_LIVES_QUEUES`] queues at most.
///
/// [`CRON_LIVES_QUEUES`]: crate::limits::CRON_LIVES_QUEUES
#[derive(Debug)]
pub(crate) struct LastRuns {
    /// What was found, by row.
    found: Vec<Option<Found>>,
    /// Those that are to be looked for.
    left: Vec<Sought>,
    /// Rounds that may follow.
    rounds: usize,
}

/// The last run of a row, where it is to be looked for.
#[derive(Debug)]
struct Sought {
    row: usize,
    queue: String,
    last: LastRun,
}

impl Sought {
    fn pushed(&self) -> Pushed<'_> {
        let LastRun { jid, payload, at, .. } = &self.last;
        Pushed { jid, queue: &self.queue, payload: payload.as_bytes(), at: *at }
    }
}

impl LastRuns {
    /// Those of at most [`CRON_LIST_PAGE`](crate::limits::CRON_LIST_PAGE) rows.
    pub(crate) fn of(rows: &[Row]) -> Self {
        let sought = |(row, stored): (usize, &Row)| {
            let queue = entry_of(stored).ok()?.job().queue().as_str().to_owned();
            Some(Sought { row, queue, last: Run::read(stored.run.as_deref()).last? })
        };
        let mut left: Vec<Sought> = rows.iter().enumerate().filter_map(sought).collect();
        left.sort_by(|one, other| one.queue.cmp(&other.queue));
        Self { found: vec![None; rows.len()], left, rounds: CRON_OUTCOME_ROUNDS }
    }

    /// Whether there is another round.
    pub(crate) const fn has_more(&self) -> bool {
        self.rounds > 0 && !self.left.is_empty()
    }

    /// Appends the question of a round: one command.
    pub(crate) fn ask(&self, realm: &Realm, requests: &mut Requests) {
        let pushed: Vec<Pushed<'_>> = self.left.iter().map(Sought::pushed).collect();
        outcome::ask(realm, &pushed, requests);
    }

    /// Notes the answer.
    ///
    /// # Errors
    /// See [`outcome::read`].
    pub(crate) fn note(&mut self, reply: &Reply) -> Result<(), resp::Error> {
        self.rounds = self.rounds.saturating_sub(1);
        let mut told = outcome::read(reply)?.into_iter();
        let found = &mut self.found;
        self.left.retain(|sought| match told.next().flatten() {
            Some(of_one) => {
                found[sought.row] = Some(of_one);
                false
            }
            None => true,
        });
        Ok(())
    }

    /// What became of the last run of each row; `None`: it has none, or is spoilt, or too much else was to be looked at.
    pub(crate) fn into_found(self) -> Vec<Option<Found>> {
        self.found
    }
}
