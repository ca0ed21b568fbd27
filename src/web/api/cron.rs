//! `cron`: periodic jobs, page by page, as `cron list --json` prints them; and how their table is read.

use bytes::Bytes;
use serde::Serialize;

use super::answer::ApiError;
use crate::limits::{PAGE_ROWS_MAX, PAGE_SKIP_MAX};
use crate::resp::Requests;
use crate::store::cron::outcome::Found;
use crate::store::cron::{self, Row};
use crate::view::periodic::{LastRuns, PeriodicShown};
use crate::web::pages::{Ask, Desk, DeskError, Open, Patience};
use crate::wire::Realm;

/// A page of them, in the order of their names.
#[derive(Serialize)]
struct Page {
    entries: Vec<PeriodicShown>,
    /// How many there are.
    total: usize,
    skip: usize,
    /// Where to continue.
    next_skip: Option<usize>,
}

/// One page. Round trips: the names, what is stored of those on the page, and the look for their last runs.
pub(super) async fn list(desk: &Desk, ask: &Ask) -> Result<Vec<u8>, ApiError> {
    ask.only(&["skip"])?;
    let skip = usize::try_from(ask.number("skip", PAGE_SKIP_MAX)?.unwrap_or(0)).unwrap_or(usize::MAX);
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
    let page = Page { entries, total, skip, next_skip: (end < total).then_some(end) };
    let mut body = serde_json::to_vec(&page).map_err(std::io::Error::from)?;
    body.push(b'\n');
    Ok(body)
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
pub(super) async fn names(
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
pub(super) async fn rows(
    realm: &Realm,
    names: &[Bytes],
    open: &mut Open,
    patience: &Patience,
) -> Result<Vec<Row>, DeskError> {
    let ask = |requests: &mut Requests| cron::ask_rows(realm, names, requests);
    Ok(cron::read_rows(names, &open.call(patience, ask).await?)?)
}
