//! `jiggler-uring why JID`: where a job is, and what it waits for.
//!
//! It is searched for as `show` does. What keeps it waiting is put together from what operators have paused, what the
//! processes say of themselves, and its place in its queue; the rate is measured over [`WHY_SPAN`].
//!
//! As JSON one object is written: `jid`, `place` (null if it is in none), `queue`, `name`, and `reasons`, a list of `what`
//! (one word) and `text`; for a job in a queue that was found there `nth`, `of` and, if any were taken meanwhile, `seconds`
//! until it is taken at that rate.

use std::io::Write;

use super::{
    database::Database,
    error::Error,
    format::{Format, write_json},
    show::{Wanted, find, nowhere, places, tell_processes},
    table::printable,
};
use crate::{
    limits::{RECOVERIES_MAX, SHOW_WAIT, WHY_POSITION_MAX, WHY_SPAN},
    net::blocking::BlockingConnection,
    resp::Requests,
    store::{
        entries::{Entry, Place, Set},
        pace,
        position::{self, Position},
        survey::Scope,
    },
    view::count::{count, jobs},
    view::{shown::running, span::span, why::Answer},
    wire::ListName,
};

/// Looks for the job and says what it waits for. Round trips: those of `show`, two more for one in a queue,
/// one for one that is to come to a queue later.
///
/// # Errors
/// As `show`.
pub(crate) fn why(db: &Database, wanted: &Wanted, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let mut fleet = super::nodes::survey(db, Scope::Everything)?;
    let mut searched = Vec::new();
    let found = find(db, places(wanted, &fleet), (&wanted.jid, wanted.examine_max), &mut searched)?;
    let mut runs = running(&fleet, &wanted.jid);
    if found.is_none() && runs.is_empty() && tell_processes(db, &fleet)? {
        std::thread::sleep(SHOW_WAIT);
        fleet = super::nodes::survey(db, Scope::Everything)?;
        runs = running(&fleet, &wanted.jid);
    }
    let mut answer = Answer { jid: wanted.jid.clone(), ..Answer::default() };
    answer.note_runs(&runs, fleet.at);
    match &found {
        Some((place, entry)) => {
            let waits = answer.note_place(&fleet, place, entry, db.schema);
            match place {
                Place::Queue(queue) => in_queue(db, queue, entry, waits, &mut answer)?,
                Place::Set(Set::Scheduled | Set::Retries) => paced(db, entry, fleet.at, &mut answer)?,
                Place::Set(Set::Dead) => {}
            }
        }
        None if runs.is_empty() => return Err(nowhere(&wanted.jid, searched)),
        None => {}
    }
    match format {
        Format::Json => write_json(&answer, out),
        Format::Text => text(&answer, found.as_ref().map(|(place, _)| place), out),
    }
}

fn text(answer: &Answer, place: Option<&Place>, out: &mut dyn Write) -> Result<(), Error> {
    let (name, queue) = (answer.name.as_deref().unwrap_or("-"), answer.queue.as_deref().unwrap_or("-"));
    let (name, queue) = (printable(name), ListName::shown(queue));
    match place {
        Some(Place::Queue(_)) => writeln!(out, "{name} waits in queue {queue}")?,
        Some(Place::Set(set)) => writeln!(out, "{name} is in {set}, for queue {queue}")?,
        None => writeln!(out, "{name} runs")?,
    }
    for reason in &answer.reasons {
        writeln!(out, "- {}", reason.text)?;
    }
    Ok(())
}

/// Whether it was put off to keep the pace of its queue.
fn paced(db: &Database, entry: &Entry, now: f64, answer: &mut Answer) -> Result<(), Error> {
    let (Some(score), Some(queue)) = (entry.score, answer.queue.clone()) else { return Ok(()) };
    let mut conn = BlockingConnection::connect(&db.at_key(db.keys.queue(&queue).as_bytes()).url)?;
    let mut requests = Requests::new();
    pace::ask(db.keys, &queue, &mut requests);
    // A user who may not ask is told less.
    let replies = conn.call(&requests)?;
    if let Some(moments) = replies.first().and_then(|reply| pace::read(reply).ok().flatten()) {
        answer.note_pace(&moments, score, now);
    }
    Ok(())
}

/// Where it is in its queue, how fast that moves, and how often it was recovered.
fn in_queue(
    db: &Database,
    queue: &ListName,
    entry: &Entry,
    waits_for_nothing: bool,
    answer: &mut Answer,
) -> Result<(), Error> {
    let mut conn = BlockingConnection::connect(&db.at_key(&db.keys.list(queue)).url)?;
    let mut requests = Requests::new();
    position::ask_recoveries(db.keys, &queue.exact(), &answer.jid, &mut requests);
    // A user who may not ask is told less.
    let recovered = position::read_recoveries(&conn.call_one(&requests)?).unwrap_or(0);
    if recovered > 0 {
        let deaths = count(recovered, "death of a process", "deaths of processes");
        let text = format!("it was in flight at {deaths}; it may survive {RECOVERIES_MAX}");
        answer.add("recovered", text);
    }
    let Some(Position { nth, of }) = position(db, &mut conn, queue, entry)? else {
        answer.add(
            "position-unknown",
            "its place in the queue cannot be told: it is too large, or this user may not ask",
        );
        return Ok(());
    };
    (answer.nth, answer.of) = (nth, Some(of));
    let Some(first) = nth else {
        let text = format!("it is not among the next {WHY_POSITION_MAX} of {}", jobs(of));
        answer.add("position-unknown", text);
        return Ok(());
    };
    std::thread::sleep(WHY_SPAN);
    let Some(next) = position(db, &mut conn, queue, entry)?.and_then(|position| position.nth) else {
        answer.add("taken", "it has been taken just now");
        return Ok(());
    };
    let taken = first.saturating_sub(next);
    let place = format!("it is number {next} of {of} in its queue");
    answer.nth = Some(next);
    if taken == 0 {
        let more = if waits_for_nothing { "; nothing shows why" } else { "" };
        answer.add("position", format!("{place}, of which none was taken in {} s{more}", WHY_SPAN.as_secs()));
        return Ok(());
    }
    let seconds = next as f64 * WHY_SPAN.as_secs_f64() / taken as f64;
    answer.seconds = Some(seconds);
    answer.add("position", format!("{place}, of which {taken}/s are taken: in about {}", span(seconds)));
    Ok(())
}

/// `None`: it cannot be asked for.
fn position(
    db: &Database,
    conn: &mut BlockingConnection,
    queue: &ListName,
    entry: &Entry,
) -> Result<Option<Position>, Error> {
    if !entry.is_whole() {
        return Ok(None);
    }
    let mut requests = Requests::new();
    position::ask(db.keys, queue, &entry.bytes, &mut requests);
    match conn.call(&requests)?.as_slice() {
        [found, length] => Ok(position::read(found, length).ok()),
        _ => Ok(None),
    }
}
