//! `jiggler-uring pause` and `resume`: a queue or a class of jobs that is not to run, in the whole fleet.
//!
//! How a change is made is in `acts::pause`; this module drives it over a connection and reports.

use std::collections::BTreeMap;
use std::io::Write;

use super::format::{Format, write_json};
use super::table::{self, Align, printable};
use super::{database::Database, error::Error, hint, paused::look};
use crate::acts::pause::{Changed, Pausable, PauseChange, PauseError, Pausing};
use crate::net::blocking::BlockingConnection;
use crate::resp::Requests;
use crate::store::paused;
use crate::view::count::count;
use crate::view::queue::Pauses;
use crate::view::span::{date, moment};
use crate::view::why::told;
use crate::wire::paused::{Pause, Paused};

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PauseAction {
    /// Show what is paused.
    List(Format),
    /// Pause something, or let it run again.
    Change(PauseChange),
}

/// Carries it out, and says if no process serves a queue that is paused. Round trips: one to look, one to change, and those
/// of the hint.
///
/// # Errors
/// [`Error::NotPaused`], [`Error::PausesFull`], [`Error::PauseOver`], [`Error::PauseBusy`]; [`Error::Connect`];
/// [`Error::Output`].
pub(crate) fn pause(db: &Database, action: &PauseAction, out: &mut dyn Write) -> Result<(), Error> {
    let mut conn = BlockingConnection::connect(&paused::url(&db.url, db.keys))?;
    let change = match action {
        PauseAction::List(format) => {
            let found = look(db, &mut conn)?;
            let now = found.now;
            return list(&found.all(), now, *format, out);
        }
        PauseAction::Change(change) => change,
    };
    let mut pausing = Pausing::new(change.clone(), db.keys, db.url.database());
    let mut requests = Requests::new();
    while pausing.write(&mut requests) {
        pausing.read(&conn.call(&requests)?).map_err(refused)?;
        requests.clear();
    }
    let Some(Changed { heard, now }) = pausing.changed() else { return Err(Error::PauseBusy) };
    let told = match heard {
        0 => "no process listens at the moment; each learns it when it starts".to_owned(),
        some => count(some, "process was told", "processes were told"),
    };
    let said = match change {
        PauseChange::Resume(what) => format!("{what} runs again"),
        PauseChange::Pause { what, until, .. } => {
            let end = until.map_or_else(String::new, |end| format!(" until {}", date(end.at(now), now)));
            format!("{what} is paused{end}")
        }
    };
    writeln!(out, "{said}; {told}")?;
    if let PauseChange::Pause { what: Pausable::Queue(queue), .. } = change
        && let Some(hint) = hint::of_queue(db, queue)
    {
        writeln!(out, "note: {hint}")?;
    }
    Ok(())
}

fn refused(error: PauseError) -> Error {
    match error {
        PauseError::NotPaused { what } => Error::NotPaused { what: what.to_string() },
        PauseError::Over { what, away } => Error::PauseOver { what: what.to_string(), ago: moment(away) },
        PauseError::Full { what } => Error::PausesFull { what: what.to_string() },
        PauseError::Busy => Error::PauseBusy,
        PauseError::Reply(cause) => cause.into(),
    }
}

/// Shows all pauses.
fn list(paused: &Paused, now: f64, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    if format == Format::Json {
        return write_json(&Pauses { queues: &paused.queues, classes: &paused.classes }, out);
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

/// A line for each class that is paused.
pub(super) fn write_classes(paused: &Paused, now: f64, out: &mut dyn Write) -> Result<(), Error> {
    for (name, pause) in &paused.classes {
        writeln!(out, "class {} is paused {}", printable(name), told(pause, now))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::acts::pause::PauseEnd;
    use crate::admin::test_database::database;
    use crate::own_redis::OwnRedis;
    use crate::time::unix_now;

    fn class(name: &str) -> Pausable {
        Pausable::Class(name.to_owned())
    }

    fn pausing(what: Pausable, until: Option<PauseEnd>) -> PauseAction {
        let (by, why) = ("ann@host".to_owned(), Some("a\nbug".to_owned()));
        PauseAction::Change(PauseChange::Pause { what, by, why, until })
    }

    fn resuming(what: Pausable) -> PauseAction {
        PauseAction::Change(PauseChange::Resume(what))
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
        for end in [PauseEnd::At(unix_now() + 3_600.5), PauseEnd::In(Duration::from_millis(3_600_500))] {
            let said = run(&pausing(class("Resize"), Some(end))).unwrap();
            assert!(said.contains(", in 60 min;"), "{said}");
        }
        let text = list(Format::Text);
        assert!(text.contains("queue   img     since 0 s"), "{text}");
        assert!(
            text.contains("by ann@host") && text.contains("in 60 min") && !text.contains("a\nb"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&list(Format::Json)).unwrap();
        assert_eq!(json["queues"]["img"]["why"], "a\nbug");
        run(&resuming(Pausable::Queue("img".to_owned()))).unwrap();
        let again = run(&resuming(Pausable::Queue("img".to_owned()))).unwrap_err();
        assert!(matches!(again, Error::NotPaused { .. }), "{again}");
        run(&resuming(class("Resize"))).unwrap();
        assert_eq!(list(Format::Json), "{\"queues\":{},\"classes\":{}}\n");
        assert!(redis.strings(&[b"KEYS", b"*"]).is_empty());
    }
}
