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

use super::{
    database::Database,
    error::Error,
    format::Format,
    groups, hint, job_rows,
    page::{drive, said},
    session::Session,
    table,
};
use crate::{
    acts::look::{Look, Query},
    store::entries::Place,
    time::unix_now,
    view::{
        entry::JobEntry,
        page::{Head, write_json_end},
    },
};

/// Shows jobs. Two round trips to connect, then those of [`Look`], and of an empty queue those of a hint.
///
/// # Errors
/// [`Error::Connect`], [`Error::Script`], [`Error::Output`].
pub(crate) fn jobs(db: &Database, query: &Query, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let mut sessions = Session::open_each(db, std::slice::from_ref(&query.place))?;
    let query = &query.until(sessions.first().map_or_else(unix_now, Session::now));
    if query.groups {
        let whole = Query { limit: usize::MAX, ..query.clone() };
        return groups::groups((&mut sessions, db.schema), &whole, query.limit, format, out);
    }
    let mut look = Look::new(query, db.schema, sessions.len());
    match format {
        Format::Text => {
            text(&mut sessions, &mut look, query, out)?;
            if let Place::Queue(queue) = &query.place
                && look.reached().total == 0
                && let Ok(name) = std::str::from_utf8(queue.as_bytes())
                && let Some(hint) = hint::of_queue(db, name)
            {
                writeln!(out, "note: {hint}")?;
            }
            Ok(())
        }
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
            Head::of(&query.place, total, query.skip).write_json(out)?;
        }
        began = true;
        Ok(JobEntry::new(&query.place, entry, &mut parser).write_json(out)?)
    })?;
    let reached = look.reached();
    if !began {
        Head::of(&query.place, reached.total, query.skip).write_json(out)?;
    }
    write_json_end(reached.examined, look.next_skip(), out)?;
    Ok(())
}

#[cfg(test)]
mod tests;
