//! `jiggler-uring prune WHAT`: deletes whole queues, sets, counters and process data.
//!
//! What goes and what stays, and why, is in `acts::prune`. This module finds it, asks people and reports to them, and
//! drives the act over a connection to each server that has some of it. If one is away in between, what was deleted until
//! then is reported before the error.

use std::io::Write;

use super::{
    confirm::Confirmation, database::Database, error::Error, nodes, session::Session, table::printable,
    ticker::Ticker,
};
use crate::{
    acts::prune::{Found, Prune, Site, What, named},
    store::{entries::Place, operate::Pruned, survey::Scope},
    view::count::{count, jobs},
    wire::ListName,
};

/// Deletes it and reports what was deleted.
///
/// # Errors
/// [`Error::NobodyToAsk`] before anything is tried; [`Error::NotConfirmed`]; [`Error::Connect`],
/// [`Error::Survey`], [`Error::Script`]; [`Error::Output`].
pub(crate) fn prune(
    db: &Database,
    what: &What,
    confirmation: Confirmation,
    out: &mut dyn Write,
) -> Result<(), Error> {
    confirmation.check("prune")?;
    let mut open = None;
    let found = find(db, what, &mut open)?;
    if !is_agreed(&found, confirmation, out)? {
        return Ok(());
    }
    let mut prune = Prune::new(&found, db.keys);
    let ended = drive(db, &mut prune, open);
    for (pruned, count) in prune.deleted() {
        writeln!(out, "deleted {}", told(pruned, count))?;
    }
    ended?;
    tell_forgotten(&found, prune.forgotten(), out)
}

/// What there is to delete. One round trip for a single queue, or a set that is in one place; otherwise those of a summary.
/// The connection it used stays open for what follows.
fn find(db: &Database, what: &What, open: &mut Option<(Site, Session)>) -> Result<Found, Error> {
    let (place, site) = match what {
        What::Queue(queue) => (Place::Queue(queue.clone()), Site::of_list(queue, db.keys)),
        What::Set(set) if !db.keys.is_cluster() => (Place::Set(*set), Site::Realm(db.keys.shared_realm())),
        _ => return Ok(Found::of(&nodes::survey(db, Scope::Everything)?, what)),
    };
    let mut session = Session::open_site(db, &site)?;
    let jobs = session.size(&place)?;
    *open = Some((site, session));
    Ok(Found::in_place(place, jobs))
}

/// Drives it to its end, over one connection after the other.
fn drive(db: &Database, prune: &mut Prune<'_>, mut open: Option<(Site, Session)>) -> Result<(), Error> {
    let mut ticker = Ticker::new();
    while let Some(site) = prune.site().cloned() {
        let session = match &mut open {
            Some((at, session)) if *at == site => session,
            other => {
                let session = Session::open_site(db, &site)?;
                &mut other.insert((site, session)).1
            }
        };
        session.step(prune)?;
        let progress = prune.progress();
        ticker.tell(|_| format!("pruned {} of {}", progress.done, count(progress.of, "key", "keys")));
    }
    Ok(())
}

/// Reports what is left alone, and asks; `false` if there is nothing to delete.
fn is_agreed(found: &Found, confirmation: Confirmation, out: &mut dyn Write) -> Result<bool, Error> {
    for name in &found.foreign {
        let name = printable(&ListName::shown(name));
        writeln!(out, "left queue {name}, which no worker may be given: `prune queue NAME` deletes it")?;
    }
    if found.is_empty() {
        writeln!(out, "nothing to prune")?;
        return Ok(false);
    }
    confirmation.obtain(&question(found))?;
    Ok(true)
}

/// Reports how many heartbeats were deleted, if there were any.
fn tell_forgotten(found: &Found, forgotten: u64, out: &mut dyn Write) -> Result<(), Error> {
    if !found.heartbeats.is_empty() {
        let living = found.heartbeats.len() as u64 - forgotten;
        let deleted = count(forgotten, "heartbeat of a process that is", "heartbeats of processes that are");
        writeln!(out, "deleted {deleted} gone, left {living} of live ones")?;
    }
    Ok(())
}

fn question(found: &Found) -> String {
    let mut question = "this deletes for good:".to_owned();
    for (pruned, count) in &found.keys {
        question.push_str(&format!("\n  {}", told(pruned, *count)));
    }
    if !found.heartbeats.is_empty() {
        question.push_str("\n  the heartbeats of processes that are gone");
    }
    question
}

fn told(pruned: &Pruned, at: u64) -> String {
    match pruned {
        Pruned::Jobs(place) => format!("{} of {place}", jobs(at)),
        Pruned::Failures | Pruned::Processed => format!("{}, which was at {at}", named(pruned)),
    }
}

#[cfg(test)]
mod tests;
