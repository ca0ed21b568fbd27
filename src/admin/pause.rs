//! `jiggler-uring pause` and `resume`: a queue or a class of jobs that is not to run, in the whole fleet.
//!
//! A change is made from what is stored and only if that is still there, so two operators do not undo each other's.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use super::format::{Format, write_json};
use super::span::{date, moment};
use super::table::{self, Align, printable};
use super::{database::Database, error::Error};
use crate::limits::{PAUSE_EDITS_MAX, PAUSES_MAX};
use crate::net::blocking::BlockingConnection;
use crate::resp::Requests;
use crate::store::{paused, server};
use crate::time::unix_now;
use crate::wire::paused::{Pause, Paused};

/// What is paused or resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pausable {
    /// The queue of this name.
    Queue(String),
    /// All jobs of this name.
    Class(String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PauseAction {
    /// Show what is paused.
    List(Format),
    /// Pause it.
    Pause {
        /// What.
        what: Pausable,
        /// Who asks for it.
        by: String,
        /// Why.
        why: Option<String>,
        /// When it is over by itself, Unix seconds.
        until: Option<f64>,
    },
    /// Let it run again.
    Resume(Pausable),
}

impl Pausable {
    fn name(&self) -> &str {
        match self {
            Self::Queue(name) | Self::Class(name) => name,
        }
    }

    fn among<'p>(&self, paused: &'p mut Paused) -> &'p mut BTreeMap<String, Pause> {
        match self {
            Self::Queue(_) => &mut paused.queues,
            Self::Class(_) => &mut paused.classes,
        }
    }
}

impl std::fmt::Display for Pausable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if matches!(self, Self::Queue(_)) { "queue" } else { "class" };
        write!(f, "{word} {}", printable(self.name()))
    }
}

/// Carries it out. Round trips: one to look, one to change.
///
/// # Errors
/// [`Error::NotPaused`], [`Error::PausesFull`], [`Error::PauseOver`], [`Error::PauseBusy`]; [`Error::Connect`];
/// [`Error::Output`].
pub(crate) fn pause(db: &Database, action: &PauseAction, out: &mut dyn Write) -> Result<(), Error> {
    let mut conn = BlockingConnection::connect(&paused::url(&db.url, db.keys))?;
    if let PauseAction::List(format) = action {
        let (paused, _, now) = look(db, &mut conn)?;
        return list(&paused, now, *format, out);
    }
    for _ in 0..PAUSE_EDITS_MAX {
        let (before, stored, now) = look(db, &mut conn)?;
        let (after, said) = edit(before, action, now)?;
        let mut requests = Requests::new();
        paused::change(db.keys, db.url.database(), stored.as_deref(), &after, &mut requests);
        if let Some(heard) = paused::changed(&conn.call_one(&requests)?)? {
            let told = match heard {
                0 => "no process listens at the moment; each learns it when it starts".to_owned(),
                1 => "1 process was told".to_owned(),
                more => format!("{more} processes were told"),
            };
            writeln!(out, "{said}; {told}")?;
            return Ok(());
        }
    }
    Err(Error::PauseBusy)
}

/// What is paused now, without what is over.
///
/// # Errors
/// [`Error::Connect`].
pub(super) fn paused_now(db: &Database) -> Result<Paused, Error> {
    let mut conn = BlockingConnection::connect(&paused::url(&db.url, db.keys))?;
    let (paused, _, _) = look(db, &mut conn)?;
    Ok(paused)
}

/// What is paused now, what is stored of it, and the time of Redis.
fn look(db: &Database, conn: &mut BlockingConnection) -> Result<(Paused, Option<Vec<u8>>, f64), Error> {
    let mut requests = Requests::new();
    server::ask_clock(&mut requests);
    paused::ask(db.keys, db.url.database(), &mut requests);
    let replies = conn.call(&requests)?;
    let [clock, stored] = replies.as_slice() else { return Err(crate::net::Error::Closed.into()) };
    // A user who may not ask has the clock of its own host.
    let now = server::clock(clock).map_or_else(|_| unix_now(), |clock| clock.as_secs_f64());
    let paused = paused::read(stored)?.still(now);
    Ok((paused, paused::stored(stored)?.map(<[u8]>::to_vec), now))
}

/// What is paused after the action, and what is said of it.
fn edit(mut paused: Paused, action: &PauseAction, now: f64) -> Result<(Paused, String), Error> {
    match action {
        PauseAction::List(_) => Ok((paused, String::new())),
        PauseAction::Resume(what) => match what.among(&mut paused).remove(what.name()) {
            Some(_) => Ok((paused, format!("{what} runs again"))),
            None => Err(Error::NotPaused { what: what.to_string() }),
        },
        PauseAction::Pause { what, by, why, until } => {
            if let Some(until) = until.filter(|until| *until <= now) {
                return Err(Error::PauseOver { what: what.to_string(), ago: moment(until - now) });
            }
            let pauses = what.among(&mut paused);
            let at = pauses.get(what.name()).map_or(now, |before| before.at);
            let pause = Pause { at, by: by.clone(), why: why.clone(), until: *until };
            pauses.insert(what.name().to_owned(), pause);
            if paused.count() > PAUSES_MAX {
                return Err(Error::PausesFull { what: what.to_string() });
            }
            let end = until.map_or_else(String::new, |until| format!(" until {}", date(until, now)));
            Ok((paused, format!("{what} is paused{end}")))
        }
    }
}

/// All pauses, as `--list` shows them.
#[derive(Serialize)]
struct Listed<'p> {
    queues: &'p BTreeMap<String, Pause>,
    classes: &'p BTreeMap<String, Pause>,
}

fn list(paused: &Paused, now: f64, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    if format == Format::Json {
        return write_json(&Listed { queues: &paused.queues, classes: &paused.classes }, out);
    }
    if paused.count() == 0 {
        writeln!(out, "nothing is paused")?;
        return Ok(());
    }
    let columns = [("paused", Align::Left), ("name", Align::Left), ("how", Align::Left)];
    let rows = |word: &str, pauses: &BTreeMap<String, Pause>| {
        let row = |(name, pause): (&String, &Pause)| vec![word.to_owned(), name.clone(), told(pause, now)];
        pauses.iter().map(row).collect::<Vec<_>>()
    };
    let rows = [rows("queue", &paused.queues), rows("class", &paused.classes)].concat();
    table::write(out, &columns, &rows)?;
    Ok(())
}

/// Since when, by whom, until when and why.
pub(super) fn told(pause: &Pause, now: f64) -> String {
    let mut told = format!("since {}", moment(pause.at - now));
    if !pause.by.is_empty() {
        told += &format!(" by {}", printable(&pause.by));
    }
    if let Some(until) = pause.until {
        told += &format!(" until {}", date(until, now));
    }
    if let Some(why) = &pause.why {
        told += &format!(": {}", printable(why));
    }
    told
}

/// A line for each class that is paused.
pub(super) fn write_classes(paused: &Paused, now: f64, out: &mut dyn Write) -> Result<(), Error> {
    for (name, pause) in &paused.classes {
        writeln!(out, "class {} is paused {}", printable(name), told(pause, now))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::database;
    use crate::own_redis::OwnRedis;

    fn class(name: &str) -> Pausable {
        Pausable::Class(name.to_owned())
    }

    fn pausing(what: Pausable, until: Option<f64>) -> PauseAction {
        PauseAction::Pause { what, by: "ann@host".to_owned(), why: Some("a\nbug".to_owned()), until }
    }

    #[test]
    fn what_is_paused_is_listed_with_who_and_why_until_it_is_resumed() {
        let redis = OwnRedis::start();
        let run = |action: &PauseAction| {
            let mut out = Vec::new();
            pause(&database(&redis), action, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        let list = |format| run(&PauseAction::List(format)).unwrap();
        assert_eq!(list(Format::Text), "nothing is paused\n");
        let said = run(&pausing(Pausable::Queue("img".to_owned()), None)).unwrap();
        assert_eq!(
            said,
            "queue img is paused; no process listens at the moment; each learns it when it starts\n"
        );
        run(&pausing(class("Resize"), Some(unix_now() + 3_600.5))).unwrap();
        let text = list(Format::Text);
        assert!(text.contains("queue   img     since 0 s"), "{text}");
        assert!(
            text.contains("by ann@host") && text.contains("in 60 min") && !text.contains("a\nb"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&list(Format::Json)).unwrap();
        assert_eq!(json["queues"]["img"]["why"], "a\nbug");
        run(&PauseAction::Resume(Pausable::Queue("img".to_owned()))).unwrap();
        let again = run(&PauseAction::Resume(Pausable::Queue("img".to_owned()))).unwrap_err();
        assert!(matches!(again, Error::NotPaused { .. }), "{again}");
        run(&PauseAction::Resume(class("Resize"))).unwrap();
        assert_eq!(list(Format::Json), "{\"queues\":{},\"classes\":{}}\n");
        assert!(redis.strings(&[b"KEYS", b"*"]).is_empty());
    }

    #[test]
    fn a_pause_keeps_its_beginning_and_has_to_end_later_than_now() {
        let (first, _) = edit(Paused::default(), &pausing(class("A"), None), 7.0).unwrap();
        let (second, _) = edit(first, &pausing(class("A"), Some(99.0)), 9.0).unwrap();
        assert_eq!((second.classes["A"].at, second.classes["A"].until), (7.0, Some(99.0)));
        let over = edit(second.clone(), &pausing(class("A"), Some(9.0)), 9.0).unwrap_err();
        assert!(matches!(over, Error::PauseOver { .. }) && over.is_usage(), "{over}");
        let mut full = Paused::default();
        for number in 0..PAUSES_MAX {
            full = edit(full, &pausing(class(&number.to_string()), None), 1.0).unwrap().0;
        }
        let full = edit(full, &pausing(class("one more"), None), 1.0).unwrap_err();
        assert!(matches!(full, Error::PausesFull { .. }), "{full}");
    }
}
