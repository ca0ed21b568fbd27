//! `cron list`: the entries as they are shown, and what became of their last runs.

use std::io::Write;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::format::{Format, write_json};
use super::super::table::printable;
use super::super::{database::Database, error::Error};
use super::{Table, tables};
use crate::cron::edit::{entry_of, name_of};
use crate::cron::{CronEntry, LastRun, Run, first_tick, tick_text};
use crate::job::Schema;
use crate::limits::{CRON_LIST_PAGE, CRON_OUTCOME_ROUNDS, CRON_TICKS_SHOWN};
use crate::store::cron::Row;
use crate::store::cron::outcome::{self, Found, Outcome, Pushed};
use crate::view::entry::{error_of, shortened};
use crate::view::span::span;

/// An entry as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<ShownEntry>,
    /// Why what is stored is no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    spoilt: Option<String>,
    /// The next ticks.
    next: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<ShownRun>,
    pushed: u64,
    missed: u64,
    skipped: u64,
    /// The last tick that was left out because the last run lived.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_skipped: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownEntry {
    schedule: String,
    words: String,
    zone: String,
    job: String,
    args: Box<RawValue>,
    queue: String,
    catch_up: String,
    overlap: &'static str,
    origin: &'static str,
    paused: bool,
}

#[derive(Debug, Serialize)]
struct ShownRun {
    tick: String,
    at: String,
    jid: String,
    outcome: &'static str,
    /// Why it failed last, if it is to be retried or is dead.
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    #[serde(skip)]
    ago_s: f64,
}

#[derive(Serialize)]
struct ShownList {
    entries: Vec<Shown>,
}

impl Shown {
    fn of(row: &Row, now: i64, found: Option<&Found>, schema: Schema) -> Self {
        let run = Run::read(row.run.as_deref());
        let last = run.last.map(|last| ShownRun {
            tick: tick_text(last.tick),
            at: tick_text(last.at),
            jid: last.jid,
            outcome: found.map_or(Outcome::Unknown, |found| found.outcome).as_str(),
            error: found.map(|found| error_of(&found.job, schema)).unwrap_or_default(),
            ago_s: (now - last.at) as f64 / 1000.0,
        });
        let mut shown = Self {
            name: name_of(row),
            entry: None,
            spoilt: None,
            next: Vec::new(),
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
                while let Some(at) = tick.filter(|_| shown.next.len() < CRON_TICKS_SHOWN) {
                    shown.next.push(tick_text(at));
                    tick = first_tick(&entry, at);
                }
                shown.entry = ShownEntry::of(&entry);
            }
        }
        shown
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let name = printable(&self.name);
        let Some(entry) = &self.entry else {
            let spoilt = self.spoilt.as_deref().unwrap_or_default();
            writeln!(out, "{name}: spoilt: {}; add it anew with --replace, or remove it", printable(spoilt))?;
            return Ok(());
        };
        let paused = if entry.paused { ", paused" } else { "" };
        writeln!(out, "{name}: {}{paused}", entry.words)?;
        let (job, args) = (printable(&entry.job), printable(entry.args.get()));
        writeln!(
            out,
            "  job   {job} {args} in {}, from {}, catch up {}, overlap {}",
            entry.queue, entry.origin, entry.catch_up, entry.overlap
        )?;
        let next = if self.next.is_empty() { "never again".to_owned() } else { self.next.join(", ") };
        writeln!(out, "  next  {next}")?;
        let Self { pushed, missed, skipped, .. } = self;
        let counts = format!("{pushed} pushed, {missed} left out, {skipped} skipped");
        match &self.last {
            None => writeln!(out, "  last  never; {counts}")?,
            Some(last) => {
                let (ago, jid) = (span(last.ago_s), printable(&last.jid));
                let ShownRun { tick, outcome, error, .. } = last;
                let error = shortened(error);
                let why = if error.is_empty() { String::new() } else { format!(": {}", printable(&error)) };
                writeln!(out, "  last  {ago} ago, for {tick}, as {jid}: {outcome}{why}; {counts}")?;
            }
        }
        if let Some(tick) = &self.last_skipped {
            writeln!(out, "  skip  the last run still lived at {tick}")?;
        }
        Ok(())
    }
}

impl ShownEntry {
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

/// Writes all entries, with what became of the last run of each.
pub(super) fn list(db: &Database, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let mut entries = Vec::new();
    for mut table in tables(db)? {
        let now = table.now()?;
        for names in table.names()?.chunks(CRON_LIST_PAGE) {
            let rows = table.rows(names)?;
            let found = table.outcomes(&rows)?;
            let shown = |(row, found): (_, &Option<Found>)| Shown::of(row, now, found.as_ref(), db.schema);
            entries.extend(rows.iter().zip(&found).map(shown));
        }
    }
    match format {
        Format::Json => write_json(&ShownList { entries }, out)?,
        Format::Text if entries.is_empty() => writeln!(out, "there are no periodic jobs")?,
        Format::Text => entries.iter().try_for_each(|entry| entry.write(out))?,
    }
    Ok(())
}

/// The last run of a row, where it is to be looked for.
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

impl Table<'_> {
    /// What became of the last run of each row; `None`: it has none, or is spoilt, or too much else was to be looked at. A
    /// round trip for each [`CRON_LIVES_QUEUES`](crate::limits::CRON_LIVES_QUEUES) queues, at most [`CRON_OUTCOME_ROUNDS`].
    fn outcomes(&mut self, rows: &[Row]) -> Result<Vec<Option<Found>>, Error> {
        let mut found = vec![None; rows.len()];
        let sought = |(row, stored): (usize, &Row)| {
            let queue = entry_of(stored).ok()?.job().queue().as_str().to_owned();
            Some(Sought { row, queue, last: Run::read(stored.run.as_deref()).last? })
        };
        let mut left: Vec<Sought> = rows.iter().enumerate().filter_map(sought).collect();
        left.sort_by(|one, other| one.queue.cmp(&other.queue));
        for _ in 0..CRON_OUTCOME_ROUNDS {
            if left.is_empty() {
                break;
            }
            let pushed: Vec<Pushed<'_>> = left.iter().map(Sought::pushed).collect();
            self.requests.clear();
            outcome::ask(&self.realm, &pushed, &mut self.requests);
            let told = outcome::read(&self.conn.call_one(&self.requests)?)?;
            let mut told = told.into_iter();
            left.retain(|sought| match told.next().flatten() {
                Some(of_one) => {
                    found[sought.row] = Some(of_one);
                    false
                }
                None => true,
            });
        }
        Ok(found)
    }
}
