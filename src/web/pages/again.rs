//! The form in which a job is edited before it is pushed as a new one.

use std::cell::RefCell;

use super::answer::Visit;
use super::job::near_query;
use super::link::DeskError;
use super::words::{Text, count};
use crate::job::Parser;
use crate::limits::PAGE_PAYLOAD_BYTES_MAX;
use crate::store::entries::{Entry, Place, Set};
use crate::view::entry::JobEntry;
use crate::view::redacted::{self, Layout};
use crate::web::access::Role;
use crate::wire::ListName;

/// What the form shows.
pub(super) struct Form {
    pub(super) name: Text,
    pub(super) queue: Text,
    /// The arguments; empty: they stay as they are.
    pub(super) args: String,
    /// Why they do.
    pub(super) note: String,
    /// Whether the reader may have the old job deleted.
    pub(super) may_remove: bool,
}

/// The form of this job; `None`: it is not there. Round trips: those of a look.
pub(super) async fn form(
    visit: &Visit<'_>,
    set: Set,
    id: &str,
    near: u64,
) -> Result<Option<Form>, DeskError> {
    let place = Place::Set(set);
    let parser = RefCell::new(visit.desk.parser());
    let may_remove = visit.who.role >= Role::Admin;
    let make = |entry: &Entry| of_job(&place, entry, &mut parser.borrow_mut(), may_remove);
    let found = visit.desk.look(&near_query(&place, id, near), make).await?;
    Ok(found.rows.into_iter().next())
}

fn of_job(place: &Place, entry: &Entry, parser: &mut Parser, may_remove: bool) -> Form {
    let job = JobEntry::new(place, entry, parser);
    let shown = redacted::json(&job.args(), Layout::Pretty, PAGE_PAYLOAD_BYTES_MAX);
    let kept = "so they cannot be changed here: the new job has the same";
    let note = match (&shown, std::str::from_utf8(&entry.bytes)) {
        (shown, _) if shown.hidden > 0 => {
            format!(
                "{} hidden in its arguments, {kept}.",
                count(shown.hidden as u64, "value is", "values are")
            )
        }
        (shown, _) if shown.more > 0 => format!("Its arguments are larger than a page shows, {kept}."),
        (_, Err(_)) => format!("Its arguments have bytes that are no text, {kept}."),
        _ => String::new(),
    };
    Form {
        name: Text::cell(&job.name().unwrap_or_default()),
        queue: Text::cell(&ListName::shown(&job.queue())),
        args: if note.is_empty() { shown.text } else { String::new() },
        note,
        may_remove,
    }
}
