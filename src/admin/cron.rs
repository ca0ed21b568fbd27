//! `jiggler-uring cron`: the table of periodic jobs, and changes of it.
//!
//! In a cluster each entry is in the table of its queue, so it is looked for at each queue there is.

use std::io::Write;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::format::{Format, write_json};
use super::table::printable;
use super::{database::Database, error::Error, hint, nodes};
use crate::cron::edit::{EditError, Put, entry_of, name_of, pause, put, remove, run_now};
use crate::cron::{CronEntry, Run, first_tick, tick_text};
use crate::limits::{CRON_EDITS_MAX, CRON_LIST_PAGE, CRON_TICKS_SHOWN};
use crate::net::blocking::BlockingConnection;
use crate::resp::Requests;
use crate::store::cron::{self, Change, Changed, Row};
use crate::store::survey::Scope;
use crate::view::span::span;
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
/// one for each [`CRON_LIST_PAGE`] entries shown, and one more.
///
/// # Errors
/// [`Error::Cron`], [`Error::CronBusy`]; [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn cron(db: &Database, action: &CronAction, out: &mut dyn Write) -> Result<(), Error> {
    match action {
        CronAction::List(format) => list(db, *format, out),
        CronAction::Add { entry, .. } => {
            let mut table = Table::open(db, db.keys.realm(entry.job().queue().as_str()))?;
            table.act(action, entry.name(), out)?;
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
    let realms = nodes::survey(db, Scope::Everything)?.realms;
    realms.iter().map(|queue| Table::open(db, db.keys.queue_realm(queue))).collect()
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

    /// All rows, by name.
    fn rows(&mut self) -> Result<(Vec<Row>, i64), Error> {
        self.requests.clear();
        cron::change(&self.realm, &[], &mut self.requests);
        cron::ask_names(&self.realm, &mut self.requests);
        let replies = self.conn.call(&self.requests)?;
        let [first, names] = replies.as_slice() else { return Err(crate::net::Error::Closed.into()) };
        let now = cron::read(first)?.now;
        let mut named = Vec::new();
        for name in names.as_array()? {
            named.push(names.slice(name.as_bulk()?));
        }
        named.sort_unstable();
        let mut rows = Vec::with_capacity(named.len());
        for page in named.chunks(CRON_LIST_PAGE) {
            self.requests.clear();
            cron::ask_rows(&self.realm, page, &mut self.requests);
            rows.extend(cron::read_rows(page, &self.conn.call(&self.requests)?)?);
        }
        Ok((rows, now))
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

/// An entry as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<ShownEntry>,
    /// Why what is stored is no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    spoilt: Option<String>,
    /// The next ticks.
    next: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<ShownRun>,
    pushed: u64,
    missed: u64,
    skipped: u64,
}

#[derive(Debug, Serialize)]
struct ShownEntry {
    schedule: String,
    words: String,
    zone: String,
    job: String,
    args: Box<RawValue>,
    queue: String,
    catch_up: String,
    overlap: &'static str,
    origin: &'static str,
    paused: bool,
}

#[derive(Debug, Serialize)]
struct ShownRun {
    tick: String,
    at: String,
    jid: String,
    #[serde(skip)]
    ago_s: f64,
}

#[derive(Serialize)]
struct ShownList {
    entries: Vec<Shown>,
}

impl Shown {
    fn of(row: &Row, now: i64) -> Self {
        let run = Run::read(row.run.as_deref());
        let last = run.last.map(|last| ShownRun {
            tick: tick_text(last.tick),
            at: tick_text(last.at),
            jid: last.jid,
            ago_s: (now - last.at) as f64 / 1000.0,
        });
        let mut shown = Self {
            name: name_of(row),
            entry: None,
            spoilt: None,
            next: Vec::new(),
            last,
            pushed: run.pushed,
            missed: run.missed,
            skipped: run.skipped,
        };
        match entry_of(row) {
            Err(error) => shown.spoilt = Some(error.to_string()),
            Ok(entry) => {
                let mut tick = run.tick.or(row.at).filter(|_| row.at.is_some());
                while let Some(at) = tick.filter(|_| shown.next.len() < CRON_TICKS_SHOWN) {
                    shown.next.push(tick_text(at));
                    tick = first_tick(&entry, at);
                }
                shown.entry = ShownEntry::of(&entry);
            }
        }
        shown
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let name = printable(&self.name);
        let Some(entry) = &self.entry else {
            let spoilt = self.spoilt.as_deref().unwrap_or_default();
            writeln!(out, "{name}: spoilt: {}; add it anew with --replace, or remove it", printable(spoilt))?;
            return Ok(());
        };
        let paused = if entry.paused { ", paused" } else { "" };
        writeln!(out, "{name}: {}{paused}", entry.words)?;
        let (job, args) = (printable(&entry.job), printable(entry.args.get()));
        writeln!(
            out,
            "  job   {job} {args} in {}, from {}, catch up {}, overlap {}",
            entry.queue, entry.origin, entry.catch_up, entry.overlap
        )?;
        let next = if self.next.is_empty() { "never again".to_owned() } else { self.next.join(", ") };
        writeln!(out, "  next  {next}")?;
        let Self { pushed, missed, skipped, .. } = self;
        let counts = format!("{pushed} pushed, {missed} left out, {skipped} skipped");
        match &self.last {
            None => writeln!(out, "  last  never; {counts}")?,
            Some(last) => {
                let (ago, jid) = (span(last.ago_s), printable(&last.jid));
                writeln!(out, "  last  {} ago, for {}, as {jid}; {counts}", ago, last.tick)?;
            }
        }
        Ok(())
    }
}

impl ShownEntry {
    fn of(entry: &CronEntry) -> Option<Self> {
        let schedule = entry.schedule();
        Some(Self {
            schedule: schedule.text().to_owned(),
            words: schedule.in_words(),
            zone: schedule.zone().to_owned(),
            job: entry.job().name().to_owned(),
            args: RawValue::from_string(entry.job().args().to_owned()).ok()?,
            queue: entry.job().queue().as_str().to_owned(),
            catch_up: entry.catches_up().to_string(),
            overlap: entry.overlaps().as_str(),
            origin: entry.origin().as_str(),
            paused: entry.is_paused(),
        })
    }
}

fn list(db: &Database, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let mut entries = Vec::new();
    for mut table in tables(db)? {
        let (rows, now) = table.rows()?;
        entries.extend(rows.iter().map(|row| Shown::of(row, now)));
    }
    match format {
        Format::Json => write_json(&ShownList { entries }, out)?,
        Format::Text if entries.is_empty() => writeln!(out, "there are no periodic jobs")?,
        Format::Text => entries.iter().try_for_each(|entry| entry.write(out))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::database;
    use crate::client::NewJob;
    use crate::own_redis::OwnRedis;

    fn run(redis: &OwnRedis, action: &CronAction) -> Result<String, Error> {
        let mut out = Vec::new();
        cron(&database(redis), action, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn add(name: &str, schedule: &str, replaces: bool) -> CronAction {
        let job = NewJob::new("Report", &["x"]).unwrap().queue_named("img").unwrap();
        let entry = CronEntry::new(name, schedule, "Europe/Berlin", job).unwrap();
        CronAction::Add { entry: Box::new(entry), replaces }
    }

    #[test]
    fn an_entry_is_added_shown_paused_run_and_removed() {
        let redis = OwnRedis::start();
        assert_eq!(run(&redis, &CronAction::List(Format::Text)).unwrap(), "there are no periodic jobs\n");
        let said = run(&redis, &add("nightly", "0 3 * * *", false)).unwrap();
        assert!(said.starts_with("nightly: added, every day at 03:00 Europe/Berlin; first 2"), "{said}");
        let note = "\nnote: no worker is running on this redis: jobs in queue img wait for one\n";
        assert!(said.ends_with(note), "{said}");
        let taken = run(&redis, &add("nightly", "0 4 * * *", false)).unwrap_err();
        assert_eq!(taken.to_string(), "cron nightly: there is one already, from the command");
        run(&redis, &add("nightly", "0 4 * * *", true)).unwrap();

        let name = || "nightly".to_owned();
        assert_eq!(run(&redis, &CronAction::Pause(name())).unwrap(), "nightly: paused\n");
        let text = run(&redis, &CronAction::List(Format::Text)).unwrap();
        assert!(text.starts_with("nightly: every day at 04:00 Europe/Berlin, paused\n"), "{text}");
        assert!(
            text.contains("  job   Report [\"x\"] in img, from command, catch up last, overlap allow\n"),
            "{text}"
        );
        assert!(text.contains("  last  never; 0 pushed, 0 left out, 0 skipped\n"), "{text}");
        run(&redis, &CronAction::Resume(name())).unwrap();

        let said = run(&redis, &CronAction::Run(name())).unwrap();
        let jobs = redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]);
        let jid = said.trim_end().strip_prefix("nightly: pushed as ").unwrap();
        assert!(jobs.len() == 1 && jobs[0].contains(jid), "{jobs:?}");
        let json = run(&redis, &CronAction::List(Format::Json)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let entry = &json["entries"][0];
        assert_eq!((&entry["name"], &entry["pushed"]), (&"nightly".into(), &1.into()));
        assert_eq!(entry["next"].as_array().unwrap().len(), CRON_TICKS_SHOWN);
        assert_eq!(entry["entry"]["words"], "every day at 04:00 Europe/Berlin");
        assert_eq!(entry["last"]["jid"], jid);

        assert_eq!(run(&redis, &CronAction::Remove(name())).unwrap(), "nightly: removed\n");
        for action in [CronAction::Remove(name()), CronAction::Run(name()), CronAction::Pause(name())] {
            let error = run(&redis, &action).unwrap_err();
            assert_eq!(error.to_string(), "cron nightly: there is none", "{action:?}");
        }
        let left = redis.strings(&[b"KEYS", b"jiggler:uring:cron:*"]);
        assert_eq!(left, [""; 0]);
    }

    #[test]
    fn ticks_that_were_late_and_those_that_the_last_run_held_back_are_counted_apart() {
        let redis = OwnRedis::start();
        run(&redis, &add("nightly", "0 3 * * *", false)).unwrap();
        let ran = br#"{"last":{"jid":"j"},"pushed":4,"missed":2,"skipped":3}"#;
        redis.run(&[b"HSET", b"jiggler:uring:cron:runs", b"nightly", ran]);
        let text = run(&redis, &CronAction::List(Format::Text)).unwrap();
        assert!(text.contains(" as j; 4 pushed, 2 left out, 3 skipped\n"), "{text}");
    }

    #[test]
    fn what_is_spoilt_is_shown_with_the_others_and_can_be_replaced() {
        let redis = OwnRedis::start();
        run(&redis, &add("good", "@hourly", false)).unwrap();
        for (name, value) in [("bad\u{1b}[2J", "{"), ("worse", r#"{"schedule":"0 0 30 2 *","job":"J"}"#)] {
            redis.run(&[b"HSET", b"jiggler:uring:cron:entries", name.as_bytes(), value.as_bytes()]);
        }
        let text = run(&redis, &CronAction::List(Format::Text)).unwrap();
        assert!(text.contains("bad\\u{1b}[2J: spoilt: what is stored is not a periodic job"), "{text}");
        assert!(text.contains("worse: spoilt: the schedule `0 0 30 2 *` never comes"), "{text}");
        assert!(text.contains("good: every hour Europe/Berlin\n"), "{text}");
        run(&redis, &add("worse", "@daily", true)).unwrap();
        run(&redis, &CronAction::Remove("bad\u{1b}[2J".to_owned())).unwrap();
        assert!(!run(&redis, &CronAction::List(Format::Text)).unwrap().contains("spoilt"));
    }
}
