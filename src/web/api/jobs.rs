//! `jobs/{place}` and `groups/{place}`: jobs of a set or a queue, page by page or counted, as `jobs --json` prints them.

use std::cell::RefCell;
use std::io;

use super::answer::ApiError;
use crate::acts::look::Query;
use crate::limits::{PAGE_EXAMINED_MAX, PAGE_PAYLOAD_BYTES_MAX, PAGE_ROWS_MAX, PAGE_SKIP_MAX};
use crate::store::entries::{Entry, Order, Place, Set};
use crate::view::entry::JobEntry;
use crate::view::groups::{Grouped, Groups};
use crate::view::page::{Head, write_json_end};
use crate::web::pages::{Ask, AskError, Desk, ORDERS, PLACES, Wanted, queue_asked};

/// One page.
pub(super) async fn list(desk: &Desk, place: &str, ask: &Ask) -> Result<Vec<u8>, ApiError> {
    let place = read_place(place, ask)?;
    ask.only(parameters(&place))?;
    let skip = ask.number("skip", PAGE_SKIP_MAX)?.unwrap_or(0);
    let order = ask.choice("order", &ORDERS)?.unwrap_or(Order::Newest);
    let wanted = Wanted::read(ask)?;
    let query = Query { order, ..wanted.query(&place, skip, PAGE_ROWS_MAX, PAGE_EXAMINED_MAX) };
    // The clock of Redis is that of the last look at the fleet, for filters by age.
    desk.fleet().await?;
    let parser = RefCell::new(desk.parser());
    let row = |entry: &Entry| -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let job = JobEntry::new(&place, entry, &mut parser.borrow_mut());
        job.write_public_json(PAGE_PAYLOAD_BYTES_MAX, &mut out)?;
        Ok(out)
    };
    let found = desk.look(&query, row).await?;
    let mut body = Vec::new();
    Head::of(&place, found.reached.total, skip).write_json(&mut body)?;
    for (number, row) in found.rows.into_iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&row?);
    }
    write_json_end(found.reached.examined, found.next_skip, &mut body)?;
    Ok(body)
}

/// The jobs of a place by name and error, as `jobs PLACE --group --json` prints them: of those that are examined, the
/// largest groups.
pub(super) async fn groups(desk: &Desk, place: &str, ask: &Ask) -> Result<Vec<u8>, ApiError> {
    let place = read_place(place, ask)?;
    ask.only(parameters(&place))?;
    let skip = ask.number("skip", PAGE_SKIP_MAX)?.unwrap_or(0);
    let order = ask.choice("order", &ORDERS)?.unwrap_or(Order::Newest);
    let wanted = Wanted::read(ask)?;
    let most = usize::try_from(PAGE_EXAMINED_MAX).unwrap_or(usize::MAX);
    let query = Query { order, ..wanted.query(&place, skip, most, PAGE_EXAMINED_MAX) };
    // The clock of Redis is that of the last look at the fleet, for filters by age.
    desk.fleet().await?;
    let (groups, parser) = (RefCell::new(Groups::default()), RefCell::new(desk.parser()));
    let add = |entry: &Entry| {
        groups.borrow_mut().add(&JobEntry::new(&place, entry, &mut parser.borrow_mut()));
    };
    let found = desk.look(&query, add).await?;
    let (mut groups, mut others) = groups.into_inner().sorted();
    others += groups.split_off(groups.len().min(PAGE_ROWS_MAX)).iter().map(|group| group.jobs).sum::<u64>();
    let head = Head::of(&place, found.reached.total, skip);
    let (examined, next_skip) = (found.reached.examined, found.next_skip);
    let mut body = serde_json::to_vec(&Grouped { head, examined, next_skip, groups, others })
        .map_err(io::Error::from)?;
    body.push(b'\n');
    Ok(body)
}

fn read_place(word: &str, ask: &Ask) -> Result<Place, AskError> {
    let place = PLACES.iter().find(|(found, _)| *found == word).map(|(_, set)| *set);
    let allowed = || PLACES.map(|(word, _)| word).join(", ");
    match place.ok_or_else(|| AskError::Value { name: "place", allowed: allowed() })? {
        Some(set) => Ok(Place::Set(set)),
        None => queue_asked(ask).map(Place::Queue),
    }
}

/// Those that mean anything there.
const fn parameters(place: &Place) -> &'static [&'static str] {
    match place {
        Place::Queue(_) => &["queue", "skip", "order", "name", "args"],
        Place::Set(Set::Scheduled) => &["skip", "order", "name", "args", "from"],
        Place::Set(Set::Retries | Set::Dead) => {
            &["skip", "order", "name", "args", "from", "class", "error", "older"]
        }
    }
}
