//! `jiggler-uring cron`: the table of periodic jobs, and changes of it.
//!
//! In a cluster each entry is in the table of its queue, so it is looked for at each queue there is.

pub(super) mod overview;
mod shown;

use std::io::Write;

use bytes::Bytes;

use super::format::Format;
use super::table::printable;
use super::{database::Database, error::Error, hint, nodes};
use crate::acts::periodic::{Edit, Edited, Editing, EditingError};
use crate::cron::edit::EditError;
use crate::cron::{CronEntry, first_tick, tick_text};
use crate::limits::CRON_LIST_PAGE;
use crate::net::blocking::BlockingConnection;
use crate::resp::Requests;
use crate::store::cron::{self, Row};
use crate::store::survey::Scope;
use crate::wire::Realm;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CronAction {
    /// Show all entries.
    List(Format),
    /// Change the entry of that name.
    Edit(String, Edit),
}

/// Carries it out; of an entry that was added, says if no living worker could run its jobs. Round trips: four for a change,
/// two or more for each [`CRON_LIST_PAGE`] entries shown, and one more.
///
/// # Errors
/// [`Error::Cron`], [`Error::CronBusy`]; [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn cron(db: &Database, action: &CronAction, out: &mut dyn Write) -> Result<(), Error> {
    match action {
        CronAction::List(format) => shown::list(db, *format, out),
        CronAction::Edit(name, edit @ Edit::Add { entry, replaces }) => {
            let mut elsewhere = elsewhere(db, entry)?;
            if let (false, Some(table)) = (replaces, elsewhere.first()) {
                let queue = table.realm.queue().unwrap_or_default().to_owned();
                let cause = EditError::TakenIn(printable(&queue)).to_string();
                return Err(Error::Cron { name: printable(name), cause });
            }
            let mut table = Table::open(db, db.keys.realm(entry.job().queue().as_str()))?;
            let edited = table.edit(edit, name)?;
            writeln!(out, "{}: {}", printable(name), said(edit, &edited))?;
            // Last: what fails in between leaves two, and no tick is missed.
            for other in &mut elsewhere {
                other.edit(&Edit::Remove, name)?;
            }
            // A worker may come later; the entry is stored all the same.
            if let Some(hint) = hint::of(db, entry.job().name(), entry.job().queue()) {
                writeln!(out, "note: {hint}")?;
            }
            Ok(())
        }
        CronAction::Edit(name, edit) => {
            let absent = || Error::Cron { name: printable(name), cause: EditError::Absent.to_string() };
            let mut is_found = false;
            for mut table in tables(db)? {
                if table.has(name)? {
                    is_found = true;
                    let edited = table.edit(edit, name)?;
                    writeln!(out, "{}: {}", printable(name), said(edit, &edited))?;
                }
            }
            is_found.then_some(()).ok_or_else(absent)
        }
    }
}

/// The tables of other queues of a cluster that have an entry of that name. Elsewhere there is one table.
fn elsewhere<'d>(db: &'d Database, entry: &CronEntry) -> Result<Vec<Table<'d>>, Error> {
    let mut found = Vec::new();
    if db.keys.is_cluster() {
        for mut table in tables(db)? {
            let is_other = table.realm.queue() != Some(entry.job().queue().as_str());
            if is_other && table.has(entry.name())? {
                found.push(table);
            }
        }
    }
    Ok(found)
}

/// The table of one realm.
struct Table<'d> {
    db: &'d Database,
    conn: BlockingConnection,
    realm: Realm,
    requests: Requests,
}

/// All tables: one, or in a cluster one for each queue.
fn tables(db: &Database) -> Result<Vec<Table<'_>>, Error> {
    if !db.keys.is_cluster() {
        return Ok(vec![Table::open(db, db.keys.shared_realm())?]);
    }
    let queues = nodes::survey(db, Scope::Everything)?.periodic;
    queues.iter().map(|queue| Table::open(db, db.keys.queue_realm(queue))).collect()
}

impl<'d> Table<'d> {
    fn open(db: &'d Database, realm: Realm) -> Result<Self, Error> {
        let conn = match realm.queue().map(|queue| db.keys.queue(queue)) {
            Some(key) => BlockingConnection::connect(&db.at_key(key.as_bytes()).url)?,
            None => BlockingConnection::connect(&db.url)?,
        };
        Ok(Self { db, conn, realm, requests: Requests::new() })
    }

    /// Whether there is something under that name; an error names a key that is spoilt. Two round trips.
    fn has(&mut self, name: &str) -> Result<bool, Error> {
        self.now()?;
        let row = self.rows(&[Bytes::copy_from_slice(name.as_bytes())])?.pop();
        Ok(row.is_some_and(|row| row.entry.is_some() || row.at.is_some()))
    }

    /// Changes the entry of that name. Two round trips, more if others change it meanwhile.
    fn edit(&mut self, edit: &Edit, name: &str) -> Result<Edited, Error> {
        let refused = |error| match error {
            EditingError::Edit(cause) => Error::Cron { name: printable(name), cause: cause.to_string() },
            EditingError::Held => Error::CronHeld { name: printable(name) },
            EditingError::Busy => Error::CronBusy { name: printable(name) },
            EditingError::Reply(error) => error.into(),
        };
        let mut editing = Editing::new(edit.clone(), name, self.realm.clone(), self.db.schema);
        self.requests.clear();
        while editing.write(&mut self.requests) {
            editing.read(&self.conn.call(&self.requests)?).map_err(refused)?;
            self.requests.clear();
        }
        editing.edited().cloned().ok_or_else(|| Error::CronBusy { name: printable(name) })
    }

    /// The time of Redis. One round trip.
    fn now(&mut self) -> Result<i64, Error> {
        self.requests.clear();
        cron::change(&self.realm, &[], &mut self.requests);
        Ok(cron::read(&self.conn.call_one(&self.requests)?)?.now)
    }

    /// The names of all entries, in order. One round trip.
    fn names(&mut self) -> Result<Vec<Bytes>, Error> {
        self.requests.clear();
        cron::ask_names(&self.realm, &mut self.requests);
        Ok(cron::read_names(&self.conn.call_one(&self.requests)?)?)
    }

    /// The rows of at most [`CRON_LIST_PAGE`] names. One round trip.
    fn rows(&mut self, names: &[Bytes]) -> Result<Vec<Row>, Error> {
        debug_assert!(names.len() <= CRON_LIST_PAGE, "names are read page by page");
        self.requests.clear();
        cron::ask_rows(&self.realm, names, &mut self.requests);
        Ok(cron::read_rows(names, &self.conn.call(&self.requests)?)?)
    }
}

/// What is said of a change.
fn said(edit: &Edit, edited: &Edited) -> String {
    match (edited, edit) {
        (Edited::Added { now }, Edit::Add { entry, .. }) => {
            let words = entry.schedule().in_words();
            match first_tick(entry, *now) {
                Some(tick) => format!("added, {words}; first {}", tick_text(tick)),
                None => format!("added, {words}; it has no tick left"),
            }
        }
        (Edited::Added { .. }, _) => "added".to_owned(),
        (Edited::Removed { is_declared: false }, _) => "removed".to_owned(),
        (Edited::Removed { is_declared: true }, _) => {
            "removed; a worker that declares it adds it again when it starts, so `cron pause` lasts longer"
                .to_owned()
        }
        (Edited::Paused, _) => "paused".to_owned(),
        (Edited::Resumed, _) => "resumed".to_owned(),
        (Edited::Pushed { jid }, _) => format!("pushed as {jid}"),
    }
}

#[cfg(test)]
mod tests;
