//! What `summary` says of periodic jobs.

use std::collections::BTreeSet;
use std::io::Write;

use super::super::error::Error;
use super::super::{database::Database, table::printable};
use super::Table;
use crate::limits::{CRON_LIST_PAGE, CRON_SUMMARY_MAX};
use crate::net;
use crate::resp::RedisErrorKind;
use crate::view::gem_summary::Periodic;
use crate::view::span::moment;

/// Reads it: `None` if there are no periodic jobs, or the user may not read them. `queues`: those of a cluster that have
/// some. Round trips for each table: one, and one for each [`CRON_LIST_PAGE`] entries.
///
/// # Errors
/// [`Error::Connect`]
pub(crate) fn overview(db: &Database, queues: &BTreeSet<String>) -> Result<Option<Periodic>, Error> {
    let realms = if db.keys.is_cluster() {
        queues.iter().map(|queue| db.keys.queue_realm(queue)).collect()
    } else {
        vec![db.keys.shared_realm()]
    };
    let mut periodic = Periodic::default();
    for realm in realms {
        let read = Table::open(db, realm).and_then(|mut table| add(&mut table, &mut periodic));
        match read {
            Err(Error::Connect(net::Error::Redis(error))) if error.kind() == RedisErrorKind::NoPerm => {
                return Ok(None);
            }
            // One spoilt key does not hide all the rest.
            Err(Error::Connect(net::Error::Redis(error))) if error.kind() == RedisErrorKind::WrongType => {
                periodic.trouble = Some(format!("{error}; `cron list` names the key"));
            }
            read => read?,
        }
    }
    Ok((periodic.entries > 0 || periodic.trouble.is_some()).then_some(periodic))
}

fn add(table: &mut Table<'_>, periodic: &mut Periodic) -> Result<(), Error> {
    let names = table.names()?;
    periodic.entries += names.len();
    let names = &names[..names.len().min(CRON_SUMMARY_MAX)];
    for page in names.chunks(CRON_LIST_PAGE) {
        periodic.note(&table.rows(page)?);
    }
    Ok(())
}

/// Writes it as a line. `now` is Unix time in seconds.
///
/// # Errors
/// [`Error::Output`]
pub(crate) fn write(periodic: &Periodic, now: f64, out: &mut dyn Write) -> Result<(), Error> {
    let Periodic { entries, paused, spoilt, next, trouble } = periodic;
    let counts = [(*paused, "paused"), (*spoilt, "spoilt, which `cron list` names")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
    let next = next.as_ref().map_or_else(String::new, |next| {
        let in_s = (next.at_ms as f64 / 1000.0 - now).max(0.0);
        format!(", next {} {}", printable(&next.name), moment(in_s))
    });
    let trouble = trouble
        .as_ref()
        .map_or_else(String::new, |trouble| format!("; their table cannot be read: {}", printable(trouble)));
    writeln!(out, "periodic jobs: {entries}{counts}{next}{trouble}")?;
    Ok(())
}
