//! `/periodic`: periodic jobs by name, when each comes next, what became of its last run; and how their table is read.

use askama::Template;
use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::answer::{Answer, Visit};
use super::ask::{AskError, address};
use super::deed::{Deed, Way};
use super::desk::{Desk, Open};
use super::frame::{Frame, Page, html};
use super::link::{DeskError, Patience};
use super::paging::Paging;
use super::words::{Moment, Text, number};
use crate::acts::periodic::Edit;
use crate::limits::{PAGE_ROWS_MAX, PAGE_SKIP_MAX};
use crate::resp::Requests;
use crate::store::cron::outcome::Found;
use crate::store::cron::{self, Row};
use crate::view::periodic::{LastRuns, PeriodicShown};
use crate::web::access::Role;
use crate::wire::Realm;

#[derive(Template)]
#[template(path = "periodic.html", config = "src/web/pages/askama.toml")]
struct Periodic {
    frame: Frame,
    rows: Vec<Entry>,
    paging: Paging,
}

/// One entry.
struct Entry {
    name: Text,
    /// Its schedule in words; empty: it is spoilt.
    schedule: String,
    /// The schedule as it was given.
    expression: String,
    job: Text,
    queue: Text,
    is_paused: bool,
    /// Why what is stored is no entry.
    spoilt: Text,
    next: Option<Moment>,
    last: Option<Last>,
    counts: String,
    ways: Vec<Way>,
}

/// Its last run.
struct Last {
    href: String,
    outcome: &'static str,
    /// `good`, `warning` or `bad`, as in the style sheet; empty: it says nothing about that.
    class: &'static str,
    at: Moment,
    error: Text,
}

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let skip = usize::try_from(visit.ask.number("skip", PAGE_SKIP_MAX)?.unwrap_or(0)).unwrap_or(usize::MAX);
    let known = visit.known().await;
    let mut frame = visit.frame("Periodic jobs", &known);
    let (mut rows, mut paging, mut status) = (Vec::new(), Paging::default(), known.status());
    if let Some(seen) = &known.seen {
        match read(visit.desk, skip).await {
            Ok(listed) => {
                let now = seen.at + seen.read_at.elapsed().as_secs_f64();
                rows = listed.entries.into_iter().map(|entry| row(entry, now, visit.who.role)).collect();
                let to = |skip: &str| address(Page::Periodic.path(), &[("skip", skip)]);
                let shown = (skip, rows.len(), listed.total);
                paging = Paging::of(shown, ("periodic job", "periodic jobs"), to);
            }
            Err(trouble) => {
                frame = frame.in_trouble(&trouble, visit.desk);
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    }
    Ok(html(status, &Periodic { frame, rows, paging }))
}

fn row(shown: PeriodicShown, now: f64, role: Role) -> Entry {
    let moment = |at_ms: i64| Moment::of(at_ms as f64 / 1000.0, now);
    let way = |edit, label| Way::to(role, &Deed::Periodic { edit, name: shown.name.clone() }, label);
    let is_paused = shown.entry.as_ref().is_some_and(|entry| entry.paused);
    let mut ways = Vec::new();
    if shown.entry.is_some() {
        ways.extend(way(Edit::Run, "Run now"));
        ways.extend(if is_paused { way(Edit::Resume, "Resume") } else { way(Edit::Pause, "Pause") });
    }
    ways.extend(way(Edit::Remove, "Remove"));
    let last = shown.last.map(|last| Last {
        href: address(Page::Job.path(), &[("id", &last.jid)]),
        class: match last.outcome {
            "done" => "good",
            "dead" => "bad",
            "retrying" => "warning",
            _ => "",
        },
        outcome: last.outcome,
        at: moment(last.at_ms),
        error: Text::cell(&last.error),
    });
    let left_out = shown.missed + shown.skipped;
    let left_out = if left_out > 0 { format!(", {} left out", number(left_out)) } else { String::new() };
    let entry = shown.entry.as_ref();
    let cell = |text: Option<&String>| Text::cell(text.map_or("", String::as_str));
    Entry {
        name: Text::cell(&shown.name),
        schedule: entry.map_or_else(String::new, |entry| Text::cell(&entry.words).shown),
        expression: entry.map_or_else(String::new, |entry| Text::cell(&entry.schedule).shown),
        job: cell(entry.map(|entry| &entry.job)),
        queue: cell(entry.map(|entry| &entry.queue)),
        is_paused,
        spoilt: cell(shown.spoilt.as_ref()),
        next: shown.next_ms.map(moment),
        last,
        counts: format!("{} pushed{left_out}", number(shown.pushed)),
        ways,
    }
}

/// A page of them, in the order of their names.
#[derive(Debug, Serialize)]
pub(crate) struct PeriodicJobs {
    entries: Vec<PeriodicShown>,
    /// How many there are.
    total: usize,
    skip: usize,
    /// Where to continue.
    next_skip: Option<usize>,
}

/// Reads a page, without secrets. Round trips: the names, what is stored of those on the page, and the look for their last
/// runs.
pub(crate) async fn read(desk: &Desk, skip: usize) -> Result<PeriodicJobs, DeskError> {
    let realm = &desk.source().keys.shared_realm();
    let read = async |open: &mut Open, patience: &Patience| {
        let names = names(realm, open, patience).await?;
        let begin = skip.min(names.len());
        let end = skip.saturating_add(PAGE_ROWS_MAX).min(names.len());
        let rows = match &names[begin..end] {
            [] => Vec::new(),
            some => rows(realm, some, open, patience).await?,
        };
        let found = last_runs(realm, &rows, open, patience).await?;
        Ok((names.len(), end, rows, found))
    };
    let (total, end, rows, found) = desk.with(read).await?;
    let schema = desk.source().schema;
    let shown = |(row, found): (_, &Option<Found>)| PeriodicShown::of(row, found.as_ref(), schema).public();
    let entries = rows.iter().zip(&found).map(shown).collect();
    Ok(PeriodicJobs { entries, total, skip, next_skip: (end < total).then_some(end) })
}

async fn last_runs(
    realm: &Realm,
    rows: &[Row],
    open: &mut Open,
    patience: &Patience,
) -> Result<Vec<Option<Found>>, DeskError> {
    let mut runs = LastRuns::of(rows);
    while runs.has_more() {
        let ask = |requests: &mut Requests| runs.ask(realm, requests);
        match open.call(patience, ask).await?.as_slice() {
            [reply] => runs.note(reply)?,
            _ => return Err(crate::net::Error::Closed.into()),
        }
    }
    Ok(runs.into_found())
}

/// The names of all periodic jobs. One round trip.
pub(crate) async fn names(
    realm: &Realm,
    open: &mut Open,
    patience: &Patience,
) -> Result<Vec<Bytes>, DeskError> {
    let ask = |requests: &mut Requests| cron::ask_names(realm, requests);
    match open.call(patience, ask).await?.as_slice() {
        [reply] => Ok(cron::read_names(reply)?),
        _ => Err(crate::net::Error::Closed.into()),
    }
}

/// What is stored under some of them. One round trip.
pub(crate) async fn rows(
    realm: &Realm,
    names: &[Bytes],
    open: &mut Open,
    patience: &Patience,
) -> Result<Vec<Row>, DeskError> {
    let ask = |requests: &mut Requests| cron::ask_rows(realm, names, requests);
    Ok(cron::read_rows(names, &open.call(patience, ask).await?)?)
}
