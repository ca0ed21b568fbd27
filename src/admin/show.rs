//! `jiggler-uring show JID [--json]`: everything that is known about one job: its payload with every member, where it is,
//! how it failed, what it has reported, and which process runs it.
//!
//! It is searched for in the retry, scheduled and dead sets and then in the queues, or in one queue, entry by entry, at most
//! as many as allowed; a running job is in none of them, and is known only by what the processes say: the longest-running
//! of each. Its payload is then looked for among what that shard has in flight. If it is nowhere, the processes are told
//! that they are watched, and heard once more after [`SHOW_WAIT`].
//!
//! As JSON one object is written: `jid`, `place` (`in flight` if it runs; null if its payload is nowhere), `found` (as one
//! of `jobs` in `jobs --json`), `progress`, `running` (a list of process, host, pid, shard, name, since), and if its queue
//! or its class is paused `queue_paused`, `class_paused` (at, by, why, until).

mod in_flight;

use std::io::Write;

use super::{
    database::Database, error::Error, format::Format, nodes, paused::paused_now, progress, session::Session,
    table::printable, ticker::Ticker,
};
use crate::view::span::{date, span};
use crate::view::why::told;
use crate::{
    acts::look::{Look, Query},
    client::Progress,
    foreign::neutral,
    job::{
        FAILURE_BACKTRACE, FAILURE_HISTORY, MemberNames, Parser, Schema,
        history::{KeptFailure, failures},
    },
    limits::{SHOW_PLACES_MAX, SHOW_TEXT_CHARS_MAX, SHOW_WAIT, TOP_PROCESSES_MAX},
    net::blocking::BlockingConnection,
    resp::Requests,
    store::{
        entries::{Entry, Order, Place, Set},
        steer,
        survey::{Scope, Summary},
    },
    view::{
        count::{count, entries},
        entry::JobEntry,
        filter::Filter,
        shown::{IN_FLIGHT, JobShown, Running, pauses_of, running},
    },
    wire::{
        ListName,
        paused::{Pause, Paused},
    },
};

/// Which job, and where to look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its id.
    pub jid: String,
    /// Only in this queue.
    pub queue: Option<ListName>,
    /// Most entries to examine.
    pub examine_max: u64,
}

/// What was found out.
struct Shown {
    schema: Schema,
    found: Option<(Place, Entry)>,
    /// It is not in that queue, but in flight from it.
    is_in_flight: bool,
    progress: Option<Progress>,
    running: Vec<Running>,
    paused: Paused,
    now: f64,
}

/// Looks for the job and writes what is known about it. Round trips: those of a summary, those of a
/// [`Look`] at each place, two for its progress, and those of [`in_flight::payload`] for one that runs.
///
/// # Errors
/// [`Error::NotShown`]; [`Error::Connect`], [`Error::Survey`], [`Error::Script`], [`Error::Progress`]; [`Error::Output`].
pub(crate) fn show(db: &Database, wanted: &Wanted, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let scope = if wanted.queue.is_some() { Scope::Processes } else { Scope::Everything };
    let mut fleet = nodes::survey(db, scope)?;
    let mut searched = Vec::new();
    let found = find(db, places(wanted, &fleet), (&wanted.jid, wanted.examine_max), &mut searched)?;
    let progress = progress::reported(db, &wanted.jid)?.map(|(progress, _)| progress);
    let running_now = running(&fleet, &wanted.jid);
    let mut shown = Shown {
        schema: db.schema,
        found,
        is_in_flight: false,
        progress,
        running: running_now,
        paused: Paused::default(),
        now: fleet.at,
    };
    if shown.found.is_none() && shown.running.is_empty() && tell_processes(db, &fleet)? {
        std::thread::sleep(SHOW_WAIT);
        fleet = nodes::survey(db, Scope::Processes)?;
        (shown.running, shown.now) = (running(&fleet, &wanted.jid), fleet.at);
    }
    if shown.found.is_none() && shown.progress.is_none() && shown.running.is_empty() {
        return Err(nowhere(&wanted.jid, searched));
    }
    if shown.found.is_none() {
        shown.found = in_flight::payload(db, &fleet, &shown.running, &wanted.jid)?;
        shown.is_in_flight = shown.found.is_some();
    }
    shown.paused = paused_now(db)?;
    match format {
        Format::Text => text(&wanted.jid, &shown, out),
        Format::Json => json(&wanted.jid, &shown, out),
    }
}

/// That it was found in none of these places.
pub(super) fn nowhere(jid: &str, mut searched: Vec<String>) -> Error {
    let more = searched.len().saturating_sub(SHOW_PLACES_MAX);
    searched.truncate(SHOW_PLACES_MAX);
    let more = if more > 0 {
        format!(" and {}", count(more as u64, "more queue", "more queues"))
    } else {
        String::new()
    };
    Error::NotShown { jid: printable(jid), searched: searched.join(", ") + &more }
}

/// Tells our processes that they are watched, so that they report what runs now. Returns whether any was told.
pub(super) fn tell_processes(db: &Database, fleet: &Summary) -> Result<bool, Error> {
    let mut requests = Requests::new();
    let ours = fleet.processes.values().filter(|process| process.figures.is_some());
    let ours: Vec<&str> = ours.take(TOP_PROCESSES_MAX).map(|process| process.uuid.as_str()).collect();
    if ours.is_empty() {
        return Ok(false);
    }
    for uuid in ours {
        steer::watch(db.keys, db.url.database(), uuid, &mut requests);
    }
    let replies = BlockingConnection::connect(&steer::url(&db.url, db.keys))?.call(&requests)?;
    // A user who may not tell them is shown what they said last.
    Ok(replies.iter().any(|reply| steer::heard(reply).unwrap_or(false)))
}

/// The first entry with the jid in these places, among so many entries, and its place. Places that were looked at in vain
/// are noted.
pub(super) fn find(
    db: &Database,
    places: impl IntoIterator<Item = Place>,
    (jid, examine_max): (&str, u64),
    searched: &mut Vec<String>,
) -> Result<Option<(Place, Entry)>, Error> {
    let mut left = examine_max;
    // One Redis is one realm: a connection serves all places.
    let mut shared =
        (!db.keys.is_cluster()).then(|| Session::open(db, db.keys.shared_realm())).transpose()?;
    for place in places {
        let mut own = Vec::new();
        let sessions = match &mut shared {
            Some(session) => std::slice::from_mut(session),
            None => {
                own.extend(Session::open_each(db, std::slice::from_ref(&place))?);
                own.as_mut_slice()
            }
        };
        let query = Query {
            place: place.clone(),
            filter: Filter::jid(jid),
            skip: 0,
            limit: 1,
            examine_max: left,
            order: Order::Newest,
            older: None,
            groups: false,
        };
        let mut look = Look::new(&query, db.schema, sessions.len());
        if let Some(entry) = look_at(sessions, &mut look)? {
            return Ok(Some((place, entry)));
        }
        let reached = look.reached();
        searched.push(format!("{place} ({} of {} examined)", reached.examined, entries(reached.total)));
        left -= reached.examined.min(left);
        if left == 0 {
            break;
        }
    }
    Ok(None)
}

/// Where to look, in this order.
pub(super) fn places(wanted: &Wanted, fleet: &Summary) -> Vec<Place> {
    if let Some(queue) = &wanted.queue {
        return vec![Place::Queue(queue.clone())];
    }
    let queues = fleet.queues.keys().filter_map(|name| name.parse().ok()).map(Place::Queue);
    Set::ALL.into_iter().map(Place::Set).chain(queues).collect()
}

fn look_at(sessions: &mut [Session], look: &mut Look<'_>) -> Result<Option<Entry>, Error> {
    let mut ticker = Ticker::new();
    while let Some(session) = look.realm().and_then(|realm| sessions.get_mut(realm)) {
        session.step(look)?;
        if let Some(entry) = look.take().into_iter().next() {
            return Ok(Some(entry));
        }
        let progress = look.progress();
        ticker.tell(|_| format!("examined {} of {}", progress.seen, entries(progress.of)));
    }
    Ok(None)
}

fn json(jid: &str, shown: &Shown, out: &mut dyn Write) -> Result<(), Error> {
    let Shown { schema, found, is_in_flight, progress, running, paused, .. } = shown;
    let (found, is_in_flight) = (found.as_ref().map(|(place, entry)| (place, entry)), *is_in_flight);
    JobShown { jid, found, is_in_flight, progress: progress.as_ref(), running, paused }
        .write_json(&mut Parser::new(*schema), out)?;
    Ok(())
}

fn text(jid: &str, shown: &Shown, out: &mut dyn Write) -> Result<(), Error> {
    if let Some((place, entry)) = &shown.found {
        let place_text = if shown.is_in_flight { IN_FLIGHT.to_owned() } else { place.to_string() };
        let job = JobEntry::new(place, entry, &mut Parser::new(shown.schema));
        entry_text((place, &place_text), &job, shown.now, out)?;
    } else {
        line(out, "jid", jid)?;
        line(out, "place", "in no queue and no set that was looked at")?;
    }
    if let Some(progress) = &shown.progress {
        line(out, "progress", &progress::text(progress, shown.now))?;
    }
    for (label, pause) in pauses(shown).into_iter().flatten() {
        line(out, label, &told(pause, shown.now))?;
    }
    for run in &shown.running {
        let Running { process, host, pid, shard, name, since } = run;
        let shard = shard.map_or_else(String::new, |shard| format!(" shard {shard}"));
        let long = since.map_or_else(String::new, |since| format!(", for {}", span(shown.now - since)));
        line(out, "runs", &format!("{name} in process {process}{shard} (pid {pid} on {host}){long}"))?;
    }
    Ok(())
}

/// How the queue and the class of the job are paused.
fn pauses(shown: &Shown) -> [Option<(&'static str, &Pause)>; 2] {
    let Some((place, entry)) = &shown.found else { return [None, None] };
    let [queue, class] =
        pauses_of(&JobEntry::new(place, entry, &mut Parser::new(shown.schema)), &shown.paused);
    [queue.map(|pause| ("queue paused", pause)), class.map(|pause| ("class paused", pause))]
}

/// Members that have a line of their own, in another order than in the payload.
fn known(names: &MemberNames) -> [&'static str; 11] {
    [
        names.name,
        names.jid,
        names.queue,
        names.args,
        names.retries,
        names.attempt,
        names.first_failed_at,
        names.retried_at,
        names.error_class,
        names.error_message,
        FAILURE_HISTORY,
    ]
}

fn entry_text(
    (place, place_text): (&Place, &str),
    job: &JobEntry<'_>,
    now: f64,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let names = job.names();
    line(out, "job", job.name().as_deref().unwrap_or("-"))?;
    line(out, "jid", &job.id())?;
    line(out, "place", place_text)?;
    line(out, "queue", &ListName::shown(&job.queue()))?;
    if let (Some(score), Place::Set(set)) = (job.score(), place) {
        line(out, if *set == Set::Dead { "died" } else { "due" }, &date(score, now))?;
    }
    if let Some(trouble) = job.trouble() {
        line(out, "no job", &trouble.to_string())?;
    }
    line(out, "bytes", &job.size().to_string())?;
    let retries =
        job.own_retries().map_or_else(|| "those of its worker".to_owned(), |retries| retries.to_string());
    line(out, "retries", &format!("{retries}, at attempt {}", job.attempt()))?;
    if let Some(first) = job.number(names.first_failed_at) {
        line(out, "first failed", &date(first, now))?;
        line(out, "last failed", &date(job.last_failed().unwrap_or(first), now))?;
    }
    for (label, member) in [("error class", names.error_class), ("error", names.error_message)] {
        if let Some(text) = job.text(member) {
            line(out, label, &text)?;
        }
    }
    let members = job.members();
    if let Some((_, value)) = members.iter().find(|(name, _)| name == FAILURE_HISTORY) {
        history(value, now, out)?;
    }
    line(out, "args", &job.args())?;
    let known = known(names);
    for (name, value) in members {
        match (name.as_str(), serde_json::from_str::<Vec<String>>(&value)) {
            (name, _) if known.contains(&name) => {}
            (FAILURE_BACKTRACE, Ok(lines)) => line(out, "backtrace", &lines.join("\n"))?,
            (FAILURE_BACKTRACE, Err(_)) => {}
            // A backtrace of Ruby, for example.
            (name, Ok(lines)) if lines.len() > 1 => line(out, name, &lines.join("\n"))?,
            (name, _) => line(out, name, &value)?,
        }
    }
    Ok(())
}

/// The failures that were kept, one a line.
fn history(value: &str, now: f64, out: &mut dyn Write) -> Result<(), Error> {
    let of_one = |one: KeptFailure| {
        let KeptFailure { at, attempt, class, message } = one;
        let message = message.lines().next().unwrap_or_default();
        format!("{}, attempt {attempt}: {class}: {message}", date(at, now))
    };
    let lines: Vec<String> = failures(value).into_iter().map(of_one).collect();
    if lines.is_empty() { Ok(()) } else { line(out, "failures", &lines.join("\n")) }
}

/// Columns before the values: the longest label of ours, and two blanks.
const LABEL_WIDTH: usize = 14;

/// Writes a label and a text, whose further lines are indented. Nothing in it steers a terminal.
fn line(out: &mut dyn Write, label: &str, text: &str) -> Result<(), Error> {
    let end = text.char_indices().nth(SHOW_TEXT_CHARS_MAX).map(|(end, _)| end);
    let shown = neutral(&text[..end.unwrap_or(text.len())]);
    let indent = format!("\n{:LABEL_WIDTH$}", "");
    let more =
        end.map_or_else(String::new, |end| format!("… ({} more bytes: --json has all)", text.len() - end));
    let label = printable(label);
    writeln!(out, "{label:<12}  {}{more}", shown.trim_end_matches('\n').replace('\n', &indent))?;
    Ok(())
}

#[cfg(test)]
mod tests;
