//! `jiggler-uring cron`: the table of periodic jobs, and changes of it.
//!
//! In a cluster each entry is in the table of its queue, so it is looked for at each queue there is.

pub(super) mod overview;
mod shown;

use std::io::{self, Write};

use bytes::Bytes;

use super::format::Format;
use super::table::printable;
use super::{database::Database, error::Error, hint, nodes};
use crate::cron::edit::{EditError, Put, entry_of, pause, put, remove, run_now};
use crate::cron::{CronEntry, first_tick, tick_text};
use crate::limits::{CRON_EDITS_MAX, CRON_LIST_PAGE};
use crate::net::blocking::BlockingConnection;
use crate::resp::Requests;
use crate::store::cron::{self, Change, Changed, Row};
use crate::store::survey::Scope;
use crate::wire::Realm;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum CronAction {
    /// Show all entries.
    List(Format),
    /// Store an entry, in place of any other if it replaces.
    Add {
        /// The entry.
        entry: Box<CronEntry>,
        /// Whether it may take another's place.
        replaces: bool,
    },
    /// Remove the entry of that name.
    Remove(String),
    /// Let its ticks pass without a push.
    Pause(String),
    /// Let them push again.
    Resume(String),
    /// Push its job now.
    Run(String),
}

/// Carries it out; of an entry that was added, says if no living worker could run its jobs. Round trips: two for a change,
/// two or more for each [`CRON_LIST_PAGE`] entries shown, and one more.
///
/// # Errors
/// [`Error::Cron`], [`Error::CronBusy`]; [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn cron(db: &Database, action: &CronAction, out: &mut dyn Write) -> Result<(), Error> {
    match action {
        CronAction::List(format) => shown::list(db, *format, out),
        CronAction::Add { entry, .. } => {
            let mut elsewhere = elsewhere(db, entry)?;
            if let (CronAction::Add { replaces: false, .. }, Some(table)) = (action, elsewhere.first()) {
                let queue = table.realm.queue().unwrap_or_default().to_owned();
                let cause = EditError::TakenIn(printable(&queue)).to_string();
                return Err(Error::Cron { name: printable(entry.name()), cause });
            }
            let mut table = Table::open(db, db.keys.realm(entry.job().queue().as_str()))?;
            table.act(action, entry.name(), out)?;
            // Last: what fails in between leaves two, and no tick is missed.
            for other in &mut elsewhere {
                other.act(&CronAction::Remove(entry.name().to_owned()), entry.name(), &mut io::sink())?;
            }
            // A worker may come later; the entry is stored all the same.
            if let Some(hint) = hint::of(db, entry.job().name(), entry.job().queue()) {
                writeln!(out, "note: {hint}")?;
            }
            Ok(())
        }
        CronAction::Remove(name)
        | CronAction::Pause(name)
        | CronAction::Resume(name)
        | CronAction::Run(name) => {
            let absent = || Error::Cron { name: printable(name), cause: EditError::Absent.to_string() };
            let mut is_found = false;
            for mut table in tables(db)? {
                let (row, _) = table.row(name)?;
                if row.entry.is_some() || row.at.is_some() {
                    is_found = true;
                    table.act(action, name, out)?;
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
            if is_other && table.row(entry.name())?.0.entry.is_some() {
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

    /// The row of that name, and the time of Redis. One round trip.
    fn row(&mut self, name: &str) -> Result<(Row, i64), Error> {
        let names = [Bytes::copy_from_slice(name.as_bytes())];
        self.requests.clear();
        cron::change(&self.realm, &[], &mut self.requests);
        cron::ask_rows(&self.realm, &names, &mut self.requests);
        let replies = self.conn.call(&self.requests)?;
        let (first, rest) = replies.split_first().ok_or(crate::net::Error::Closed)?;
        let now = cron::read(first)?.now;
        let row = cron::read_rows(&names, rest)?.pop().ok_or(crate::net::Error::Closed)?;
        Ok((row, now))
    }

    /// Makes a change. One round trip.
    fn send(&mut self, change: Change<'_>) -> Result<Changed, Error> {
        self.requests.clear();
        cron::change(&self.realm, &[change], &mut self.requests);
        let table = cron::read(&self.conn.call_one(&self.requests)?)?;
        Ok(table.changed.first().copied().unwrap_or(Changed::Not))
    }

    /// Changes the row of that name, from what is stored; again if that has changed meanwhile.
    fn act(&mut self, action: &CronAction, name: &str, out: &mut dyn Write) -> Result<(), Error> {
        let refused = |cause: EditError| Error::Cron { name: printable(name), cause: cause.to_string() };
        for _ in 0..CRON_EDITS_MAX {
            let (row, now) = self.row(name)?;
            let (entry, jid);
            let (change, said) = match action {
                CronAction::Add { entry, replaces } => {
                    let put = put(&row, Put { entry, holder: None, replaces: *replaces }, now);
                    (put.map_err(refused)?, added(entry, now))
                }
                CronAction::Remove(_) => (remove(&row).map_err(refused)?, "removed".to_owned()),
                CronAction::Pause(_) => (pause(&row, true, now).map_err(refused)?, "paused".to_owned()),
                CronAction::Resume(_) => (pause(&row, false, now).map_err(refused)?, "resumed".to_owned()),
                CronAction::Run(_) | CronAction::List(_) => {
                    entry = entry_of(&row).map_err(refused)?;
                    let change;
                    (change, jid) = run_now(&row, &entry, self.db.schema, now).map_err(refused)?;
                    (change, format!("pushed as {jid}"))
                }
            };
            match self.send(change)? {
                Changed::Not | Changed::Later => {}
                Changed::Held => return Err(Error::CronHeld { name: printable(name) }),
                Changed::Done | Changed::Forgotten | Changed::Skipped => {
                    writeln!(out, "{}: {said}", printable(name))?;
                    return Ok(());
                }
            }
        }
        Err(Error::CronBusy { name: printable(name) })
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

/// What is said of an entry that was added.
fn added(entry: &CronEntry, now: i64) -> String {
    let words = entry.schedule().in_words();
    match first_tick(entry, now) {
        Some(tick) => format!("added, {words}; first {}", tick_text(tick)),
        None => format!("added, {words}; it has no tick left"),
    }
}

#[cfg(test)]
mod tests;
