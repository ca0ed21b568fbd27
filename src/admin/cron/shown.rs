//! `cron list`: the entries, and what became of their last runs.

use std::io::Write;

use serde::Serialize;

use super::super::format::{Format, write_json};
use super::super::table::printable;
use super::super::{database::Database, error::Error};
use super::{Table, tables};
use crate::limits::CRON_LIST_PAGE;
use crate::store::cron::Row;
use crate::store::cron::outcome::Found;
use crate::view::entry::shortened;
use crate::view::periodic::{LastRuns, PeriodicShown, RunShown};
use crate::view::span::span;

#[derive(Serialize)]
struct Listed {
    entries: Vec<PeriodicShown>,
}

/// Writes an entry. `now`: Unix milliseconds.
fn write(shown: &PeriodicShown, now: i64, out: &mut dyn Write) -> Result<(), Error> {
    let name = printable(&shown.name);
    let Some(entry) = &shown.entry else {
        let spoilt = shown.spoilt.as_deref().unwrap_or_default();
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
    let next = if shown.next.is_empty() { "never again".to_owned() } else { shown.next.join(", ") };
    writeln!(out, "  next  {next}")?;
    let PeriodicShown { pushed, missed, skipped, .. } = shown;
    let counts = format!("{pushed} pushed, {missed} left out, {skipped} skipped");
    match &shown.last {
        None => writeln!(out, "  last  never; {counts}")?,
        Some(last) => {
            let (ago, jid) = (span((now - last.at_ms) as f64 / 1000.0), printable(&last.jid));
            let RunShown { tick, outcome, error, .. } = last;
            let error = shortened(error);
            let why = if error.is_empty() { String::new() } else { format!(": {}", printable(&error)) };
            writeln!(out, "  last  {ago} ago, for {tick}, as {jid}: {outcome}{why}; {counts}")?;
        }
    }
    if let Some(tick) = &shown.last_skipped {
        writeln!(out, "  skip  the last run still lived at {tick}")?;
    }
    Ok(())
}

/// Writes all entries, with what became of the last run of each.
pub(super) fn list(db: &Database, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let mut entries = Vec::new();
    let mut now = 0;
    for mut table in tables(db)? {
        now = table.now()?;
        for names in table.names()?.chunks(CRON_LIST_PAGE) {
            let rows = table.rows(names)?;
            let found = table.outcomes(&rows)?;
            let shown = |(row, found): (_, &Option<Found>)| PeriodicShown::of(row, found.as_ref(), db.schema);
            entries.extend(rows.iter().zip(&found).map(shown));
        }
    }
    match format {
        Format::Json => write_json(&Listed { entries }, out)?,
        Format::Text if entries.is_empty() => writeln!(out, "there are no periodic jobs")?,
        Format::Text => entries.iter().try_for_each(|entry| write(entry, now, out))?,
    }
    Ok(())
}

impl Table<'_> {
    /// What became of the last run of each row. A round trip for each round ([`LastRuns`]).
    fn outcomes(&mut self, rows: &[Row]) -> Result<Vec<Option<Found>>, Error> {
        let mut runs = LastRuns::of(rows);
        while runs.has_more() {
            self.requests.clear();
            runs.ask(&self.realm, &mut self.requests);
            runs.note(&self.conn.call_one(&self.requests)?)?;
        }
        Ok(runs.into_found())
    }
}
