//! A page of jobs, however it is shown: reading it, and what is said below it.

use super::{error::Error, session::Session, ticker::Ticker};
use crate::{
    acts::look::{Look, Query, Reached},
    store::entries::{Entry, Order},
    view::count::{entries, jobs},
};

/// Runs the look to its end, and passes each job found, with the number of all entries, to `show`.
pub(super) fn drive(
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
        ticker.tell(|_| format!("examined {} of {}", progress.seen, entries(progress.of)));
    }
    Ok(())
}

/// The last line: how many, of how many, and where to continue.
pub(super) fn said(query: &Query, look: &Look<'_>) -> String {
    let Reached { total, examined, shown, .. } = look.reached();
    let place = &query.place;
    let order = match query.order {
        Order::Newest => "newest first",
        Order::Oldest => "oldest first",
    };
    let mut said = if query.groups && total > 0 {
        format!("{} of {examined} examined of {total} in {place}", jobs(shown as u64))
    } else if total == 0 {
        format!("no jobs in {place}")
    } else if examined == 0 {
        format!("nothing there: {place} has {}", jobs(total))
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
