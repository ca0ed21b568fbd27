//! `jiggler-uring jobs PLACE`: the jobs of a queue or a set, page by page.
//!
//! A page costs what is on it, however many jobs there are. With a filter the entries are examined one part after the
//! other, at most as many as allowed; then it says how far it came and where to go on. A page is a part of a place at the
//! moment of each call: jobs that come or go meanwhile shift what follows. In a cluster a set is that of one queue after the
//! other, in the order of their names.
//!
//! As JSON one object is written: `place`, `queue`, `total` (entries there), `skip`, `examined`, `jobs` (objects with
//! `queue`, `bytes`, in a set `score`, and `job`, the payload as it is, or `no_job`, why it is none, with `base64`), and
//! `next_skip`: where to go on, or null at the end. Each job is written as it is read, so that large payloads do not gather.

use std::io::Write;

use super::{
    Error,
    format::Format,
    job_rows,
    session::{Joined, Session},
    table,
    ticker::Ticker,
};
use crate::{
    job::Parser,
    limits::ENTRIES_PER_CALL,
    resp::url::RedisUrl,
    store::entries::{Entry, Order, Place, Window},
    time,
    view::{entry::JobEntry, filter::Filter},
};

/// Which jobs to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where they lie.
    pub place: Place,
    /// Which ones.
    pub filter: Filter,
    /// Entries to skip first.
    pub skip: u64,
    /// Most jobs to show.
    pub limit: usize,
    /// Most entries to examine, with a filter.
    pub examine_max: u64,
    /// Which come first.
    pub order: Order,
}

/// How far a look came.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Reached {
    /// Entries of the place.
    total: u64,
    examined: u64,
    shown: usize,
    /// Whether it came to the end of the place.
    end: bool,
}

/// Shows jobs. Two round trips to connect, then one for each [`ENTRIES_PER_CALL`] entries or
/// [`ENTRIES_BYTES_PER_CALL`](crate::limits::ENTRIES_BYTES_PER_CALL) bytes.
///
/// # Errors
/// [`Error::Connect`], [`Error::NoScripts`], [`Error::Script`], [`Error::Output`].
pub(crate) fn jobs(url: &RedisUrl, query: &Query, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let places = std::slice::from_ref(&query.place);
    let mut sessions = Session::open_each(url, places)?;
    let mut session = Joined::new(&mut sessions, &query.place)?;
    match format {
        Format::Text => text(&mut session, query, out),
        Format::Json => json(&mut session, query, out),
    }
}

fn text(session: &mut Joined<'_>, query: &Query, out: &mut dyn Write) -> Result<(), Error> {
    let now = time::unix_now();
    let mut rows = Vec::new();
    let reached = look(session, query, |_, parser, entry| {
        rows.push(job_rows::row(&query.place, &JobEntry::new(&query.place, entry, parser), now));
        Ok(())
    })?;
    if !rows.is_empty() {
        table::write(out, job_rows::columns(&query.place), &rows)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", said(query, reached))?;
    Ok(())
}

fn json(session: &mut Joined<'_>, query: &Query, out: &mut dyn Write) -> Result<(), Error> {
    let mut began = false;
    let reached = look(session, query, |total, parser, entry| {
        if began {
            out.write_all(b",")?;
        } else {
            write_json_head(query, total, out)?;
        }
        began = true;
        Ok(JobEntry::new(&query.place, entry, parser).write_json(out)?)
    })?;
    if !began {
        write_json_head(query, reached.total, out)?;
    }
    let next = query.next_skip(reached).map_or_else(|| "null".to_owned(), |skip| skip.to_string());
    writeln!(out, "],\"examined\":{},\"next_skip\":{next}}}", reached.examined)?;
    Ok(())
}

fn write_json_head(query: &Query, total: u64, out: &mut dyn Write) -> Result<(), Error> {
    let (place, queue) = match &query.place {
        Place::Queue(queue) => ("queue", Some(queue.as_str())),
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

/// Examines entries until enough are found, and hands those that are meant, with the number of all, to `show`.
fn look(
    session: &mut Joined<'_>,
    query: &Query,
    mut show: impl FnMut(u64, &mut Parser, &Entry) -> Result<(), Error>,
) -> Result<Reached, Error> {
    let mut parser = Parser::new();
    let mut ticker = Ticker::new();
    let mut reached = Reached::default();
    let examine_max = if query.filter.is_empty() { query.limit as u64 } else { query.examine_max };
    while reached.examined < examine_max && reached.shown < query.limit {
        let wanted = (examine_max - reached.examined).min(ENTRIES_PER_CALL as u64);
        let window =
            Window { skip: query.skip + reached.examined, count: wanted as usize, order: query.order };
        let page = session.page(window)?;
        reached.total = page.total;
        for entry in &page.entries {
            reached.examined += 1;
            if query.filter.matches(&mut parser, entry) {
                show(page.total, &mut parser, entry)?;
                reached.shown += 1;
                if reached.shown == query.limit {
                    break;
                }
            }
        }
        reached.end = query.skip + reached.examined >= page.total;
        if reached.end || page.entries.is_empty() {
            break;
        }
        ticker.tell(|_| format!("examined {} of {} entries", reached.examined, page.total));
    }
    Ok(reached)
}

impl Query {
    fn next_skip(&self, reached: Reached) -> Option<u64> {
        (!reached.end).then_some(self.skip + reached.examined)
    }
}

/// What the last line says: how many, of how many, and where to go on.
fn said(query: &Query, reached: Reached) -> String {
    let Reached { total, examined, shown, .. } = reached;
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
    if let Some(skip) = query.next_skip(reached) {
        said.push_str(&format!("; go on with --skip {skip}"));
    }
    said
}

#[cfg(test)]
mod tests;
