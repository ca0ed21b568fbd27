//! `jiggler-uring jobs PLACE`: the jobs of a queue or a set, page by page.
//!
//! A page costs what is on it, however many jobs there are. With a filter the entries are examined one part after the
//! other, at most as many as allowed; then it reports how far it got and where to continue. How they are read:
//! `acts::look`.
//!
//! As JSON one object is written: `place`, `queue`, `total` (entries there), `skip`, `examined`, `jobs` (objects with
//! `queue`, `bytes`, in a set `score`, and `job`, the payload unchanged, or `no_job`, why it is not a job, with `base64`),
//! and `next_skip`: where to continue, or null at the end. Each job is written as it is read, so that large payloads do not
//! accumulate.

use std::io::Write;

use super::{Database, Error, format::Format, job_rows, session::Session, table, ticker::Ticker};
use crate::{
    acts::look::{Look, Query, Reached},
    store::entries::{Entry, Order, Place},
    time::unix_now,
    view::entry::JobEntry,
};

/// Shows jobs. Two round trips to connect, then those of [`Look`].
///
/// # Errors
/// [`Error::Connect`], [`Error::Script`], [`Error::Output`].
pub(crate) fn jobs(db: &Database, query: &Query, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let mut sessions = Session::open_each(db, std::slice::from_ref(&query.place))?;
    let mut look = Look::new(query, db.schema, sessions.len());
    match format {
        Format::Text => text(&mut sessions, &mut look, query, out),
        Format::Json => json(&mut sessions, &mut look, query, out),
    }
}

fn text(
    sessions: &mut [Session],
    look: &mut Look<'_>,
    query: &Query,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let now = sessions.first().map_or_else(unix_now, Session::now);
    let mut parser = look.parser();
    let mut rows = Vec::new();
    drive(sessions, look, |_, entry| {
        rows.push(job_rows::row(&query.place, &JobEntry::new(&query.place, entry, &mut parser), now));
        Ok(())
    })?;
    if !rows.is_empty() {
        table::write(out, job_rows::columns(&query.place), &rows)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", said(query, look))?;
    Ok(())
}

fn json(
    sessions: &mut [Session],
    look: &mut Look<'_>,
    query: &Query,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut parser = look.parser();
    let mut began = false;
    drive(sessions, look, |total, entry| {
        if began {
            out.write_all(b",")?;
        } else {
            write_json_head(query, total, out)?;
        }
        began = true;
        Ok(JobEntry::new(&query.place, entry, &mut parser).write_json(out)?)
    })?;
    let reached = look.reached();
    if !began {
        write_json_head(query, reached.total, out)?;
    }
    let next = look.next_skip().map_or_else(|| "null".to_owned(), |skip| skip.to_string());
    writeln!(out, "],\"examined\":{},\"next_skip\":{next}}}", reached.examined)?;
    Ok(())
}

fn write_json_head(query: &Query, total: u64, out: &mut dyn Write) -> Result<(), Error> {
    let (place, queue) = match &query.place {
        Place::Queue(queue) => ("queue", Some(queue.exact())),
        Place::Set(set) => (set.word(), None),
    };
    let queue = serde_json::to_string(&queue).map_err(std::io::Error::from)?;
    write!(
        out,
        "{{\"place\":\"{place}\",\"queue\":{queue},\"total\":{total},\"skip\":{},\"jobs\":[",
        query.skip
    )?;
    Ok(())
}

/// Runs the look to its end, and passes each job found, with the number of all entries, to `show`.
fn drive(
    sessions: &mut [Session],
    look: &mut Look<'_>,
    mut show: impl FnMut(u64, &Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut ticker = Ticker::new();
    while let Some(session) = look.realm().and_then(|realm| sessions.get_mut(realm)) {
        session.step(look)?;
        for entry in look.take() {
            show(look.reached().total, &entry)?;
        }
        let progress = look.progress();
        ticker.tell(|_| format!("examined {} of {} entries", progress.seen, progress.of));
    }
    Ok(())
}

/// The last line: how many, of how many, and where to continue.
fn said(query: &Query, look: &Look<'_>) -> String {
    let Reached { total, examined, shown, .. } = look.reached();
    let place = &query.place;
    let order = match query.order {
        Order::Newest => "newest first",
        Order::Oldest => "oldest first",
    };
    let mut said = if total == 0 {
        format!("no jobs in {place}")
    } else if examined == 0 {
        format!("nothing there: {place} has {total} jobs")
    } else if query.filter.is_empty() {
        format!("{} to {} of {total} in {place}, {order}", query.skip + 1, query.skip + examined)
    } else {
        format!("{shown} found in {examined} examined of {total} in {place}, {order}")
    };
    if let Some(skip) = look.next_skip() {
        said.push_str(&format!("; continue with --skip {skip}"));
    }
    said
}

#[cfg(test)]
mod tests;
