//! `/job`: one job, with its payload as it is in Redis, and who runs it.
//!
//! It is looked for near the place where it was seen last, or among the newest of each set; at most
//! [`PAGE_EXAMINED_MAX`] entries are examined, and the page links to where to go on.

use std::cell::RefCell;

use askama::Template;
use http::StatusCode;

use super::answer::{Answer, Visit};
use super::ask::{AskError, address};
use super::deed::{Deed, Verb, Way};
use super::desk::Found;
use super::fleet::{Queue, Seen};
use super::frame::{Frame, Page, html};
use super::link::DeskError;
use super::place;
use super::words::{Moment, Text, bytes, count, number, span};
use crate::acts::look::Query;
use crate::acts::pause::Pausable;
use crate::job::history::failures;
use crate::job::{FAILURE_BACKTRACE, FAILURE_HISTORY, Parser};
use crate::limits::{
    PAGE_EXAMINED_MAX, PAGE_MEMBERS_MAX, PAGE_PAYLOAD_BYTES_MAX, PAGE_SKIP_MAX, PAGE_TEXT_CHARS_MAX,
    RUNNING_JID_BYTES, WHY_POSITION_MAX,
};
use crate::store::entries::{Entry, Order, Place, Set};
use crate::view::entry::JobEntry;
use crate::view::filter::Filter;
use crate::view::redacted::{self, Layout, SECRET_WORDS, Shown};
use crate::web::access::Role;
use crate::wire::ListName;

#[derive(Template)]
#[template(path = "job.html", config = "src/web/pages/askama.toml")]
struct Job {
    frame: Frame,
    ways: Vec<Way>,
    /// What it waits for, in sentences.
    why: Vec<String>,
    id: Text,
    entry: Option<Entered>,
    running: Vec<Running>,
    /// Where it was looked for, if it was not found.
    searched: Vec<Searched>,
}

/// The job as it is in a queue or a set.
struct Entered {
    /// Where it is, and what it is called there and its class, if it is a job.
    place: Place,
    entry: Entry,
    id: String,
    name: Option<String>,
    facts: Vec<Fact>,
    /// Why it is no job; empty if it is one.
    trouble: String,
    args: Part,
    raw: Part,
    failures: Vec<Failure>,
    backtrace: String,
}

/// A text, and what of it is not shown.
#[derive(Default)]
struct Part {
    text: String,
    note: String,
}

struct Fact {
    label: String,
    value: String,
    at: Option<Moment>,
}

struct Failure {
    at: Moment,
    attempt: String,
    class: Text,
    message: Text,
}

struct Running {
    cancel: Option<Way>,
    name: Text,
    process: Text,
    host: Text,
    runs_for: String,
}

struct Searched {
    said: String,
    /// The address of the search that goes on; empty: all was examined.
    next: String,
}

/// Entries before the place where a job was seen, which others may have left by now.
const MOVED: u64 = 1_000;

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let ask = &visit.ask;
    let wrong = |name, allowed: String| AskError::Value { name, allowed };
    let id = ask.text("id").ok_or_else(|| wrong("id", "the id of a job".to_owned()))?.trim();
    let near = ask.number("near", PAGE_SKIP_MAX)?.unwrap_or(0);
    let places = match place::read(ask)? {
        None => Set::ALL.map(Place::Set).to_vec(),
        Some(place) => vec![place],
    };
    let known = visit.known().await;
    let mut frame = visit.frame(format!("Job {}", Text::id(id).shown), &known);
    let mut status = known.status();
    let (mut entry, mut searched) = (None, Vec::new());
    if let (Some(seen), None) = (&known.seen, &known.trouble) {
        match search(visit, id, near, places, seen.at).await {
            Ok(found) => (entry, searched) = found,
            Err(trouble) => {
                frame = frame.in_trouble(&trouble, visit.desk);
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    }
    let role = visit.who.role;
    let why = match (&entry, &known.seen) {
        (Some(entry), Some(seen)) => why(visit, entry, seen).await,
        _ => Vec::new(),
    };
    let running: Vec<Running> = known.seen.as_ref().map(|seen| running(seen, id, role)).unwrap_or_default();
    let ways = match (&entry, &known.seen) {
        (Some(entry), Some(seen)) => ways(entry, seen, role),
        _ => Vec::new(),
    };
    if status == StatusCode::OK && entry.is_none() && running.is_empty() {
        status = StatusCode::NOT_FOUND;
    }
    Ok(html(
        status,
        &Job { frame, ways, why, id: Text::cut(id, PAGE_TEXT_CHARS_MAX), entry, running, searched },
    ))
}

async fn search(
    visit: &Visit<'_>,
    id: &str,
    near: u64,
    places: Vec<Place>,
    now: f64,
) -> Result<(Option<Entered>, Vec<Searched>), DeskError> {
    let desk = visit.desk;
    let parser = RefCell::new(desk.parser());
    let mut searched = Vec::new();
    for place in places {
        let query = near_query(&place, id, near);
        let make = |entry: &Entry| entered(&place, entry, &mut parser.borrow_mut(), now);
        let found = desk.look(&query, make).await?;
        searched.push(said(&query, &found, id));
        if let Some(entry) = found.rows.into_iter().next() {
            return Ok((Some(entry), Vec::new()));
        }
    }
    Ok((None, searched))
}

/// The look for a job around the place where it was seen.
pub(super) fn near_query(place: &Place, id: &str, near: u64) -> Query {
    Query {
        place: place.clone(),
        filter: Filter::jid(id),
        skip: near.saturating_sub(MOVED),
        limit: 1,
        examine_max: PAGE_EXAMINED_MAX,
        order: Order::Newest,
        older: None,
        groups: false,
    }
}

fn said(query: &Query, found: &Found<Entered>, id: &str) -> Searched {
    let place = &query.place;
    let reached = found.reached;
    let (word, queue) = place::parameters(place);
    let next = found.next_skip.map(|skip| {
        // The search begins a little before the given place.
        let near = (skip + MOVED).to_string();
        address(Page::Job.path(), &[("place", word), ("queue", &queue), ("id", id), ("near", &near)])
    });
    let from = match query.skip {
        0 => String::new(),
        skip => format!(" from number {} on", number(skip + 1)),
    };
    Searched {
        said: format!(
            "{place}: {} of {} examined{from}",
            number(reached.examined),
            count(reached.total, "entry", "entries")
        ),
        next: next.unwrap_or_default(),
    }
}

fn entered(place: &Place, entry: &Entry, parser: &mut Parser, now: f64) -> Entered {
    let job = JobEntry::new(place, entry, parser);
    let trouble = job.trouble().map(ToString::to_string).unwrap_or_default();
    let members = job.members();
    let member = |name: &str| members.iter().find(|(found, _)| found == name).map(|(_, json)| json.as_str());
    let kept = member(FAILURE_HISTORY).map(failures).unwrap_or_default();
    let failure = |one: &crate::job::history::KeptFailure| Failure {
        at: Moment::of(one.at, now),
        attempt: number(u64::from(one.attempt)),
        class: Text::cell(&one.class),
        message: Text::cell(one.message.lines().next().unwrap_or_default()),
    };
    let backtrace = member(FAILURE_BACKTRACE).and_then(|json| serde_json::from_str::<Vec<String>>(json).ok());
    let backtrace = backtrace.map(|lines| {
        let shown: Vec<&str> = lines.iter().take(PAGE_MEMBERS_MAX).map(String::as_str).collect();
        redacted::lines(&shown.join("\n"), PAGE_TEXT_CHARS_MAX).0
    });
    let (args, raw) = match job.trouble() {
        None => {
            let text = String::from_utf8_lossy(job.bytes());
            (json_part(&job.args(), Layout::Pretty), json_part(&text, Layout::Raw))
        }
        Some(_) => (Part::default(), broken_part(&job)),
    };
    Entered {
        place: place.clone(),
        entry: entry.clone(),
        id: job.id(),
        name: job.name().filter(|_| job.trouble().is_none()),
        facts: facts(place, &job, now),
        trouble,
        args,
        raw,
        failures: kept.iter().take(PAGE_MEMBERS_MAX).map(failure).collect(),
        backtrace: backtrace.unwrap_or_default(),
    }
}

fn json_part(json: &str, layout: Layout) -> Part {
    part(redacted::json(json, layout, PAGE_PAYLOAD_BYTES_MAX))
}

/// The bytes of what is no job.
fn broken_part(job: &JobEntry<'_>) -> Part {
    match redacted::text(job.bytes(), PAGE_PAYLOAD_BYTES_MAX) {
        Some(mut shown) => {
            shown.more += (job.size() as usize).saturating_sub(job.bytes().len());
            part(shown)
        }
        None => Part {
            text: String::new(),
            note: format!(
                "These bytes are not shown: they are no job, so a secret in them cannot be told from the rest, and one of \
                 the words {} is in them. `jiggler-uring show --json` prints them.",
                SECRET_WORDS.join(", ")
            ),
        },
    }
}

fn part(shown: Shown) -> Part {
    let mut notes = Vec::new();
    if shown.more > 0 {
        notes.push(format!(
            "{} not shown here; `jiggler-uring show --json` prints all.",
            count(shown.more as u64, "more byte is", "more bytes are")
        ));
    }
    if shown.hidden > 0 {
        notes.push(format!(
            "{} hidden, by the names of their members.",
            count(shown.hidden as u64, "value is", "values are")
        ));
    }
    Part { text: shown.text, note: notes.join(" ") }
}

fn facts(place: &Place, job: &JobEntry<'_>, now: f64) -> Vec<Fact> {
    let names = job.names();
    let text = |label: &str, value: String| Fact { label: label.to_owned(), value, at: None };
    let long = |value: &str| redacted::lines(value, PAGE_TEXT_CHARS_MAX).0;
    let moment = |label: &str, at: f64| Fact {
        label: label.to_owned(),
        value: String::new(),
        at: Some(Moment::of(at, now)),
    };
    let mut facts = vec![
        text("Job", job.name().map_or_else(|| "–".to_owned(), |name| long(&name))),
        text("Id", long(&job.id())),
        text("Place", place.to_string()),
        text("Queue", long(&ListName::shown(&job.queue()))),
    ];
    if let (Some(score), Place::Set(set)) = (job.score(), place) {
        facts.push(moment(if *set == Set::Dead { "Died" } else { "Due" }, score));
    }
    let of = job.own_retries().map_or_else(|| "those of its worker".to_owned(), number);
    facts.push(text("Retries", format!("{} of {of} used", number(job.attempt()))));
    let first = job.number(names.first_failed_at);
    for (label, at) in
        [("First failed", first), ("Last failed", job.last_failed().filter(|_| first.is_some()))]
    {
        facts.extend(at.map(|at| moment(label, at)));
    }
    for (label, member) in [("Error class", names.error_class), ("Error", names.error_message)] {
        facts.extend(job.text(member).map(|value| text(label, long(&value))));
    }
    facts.push(text("Size", bytes(job.size())));
    facts
}

/// What it waits for, in sentences; empty if that is not known.
async fn why(visit: &Visit<'_>, entry: &Entered, seen: &Seen) -> Vec<String> {
    // Without this the page is of use as well.
    let Ok(answer) = visit.desk.why(&entry.place, &entry.entry).await else { return Vec::new() };
    let mut said: Vec<String> = answer.reasons.into_iter().map(|reason| reason.text).collect();
    if let (Some(nth), Some(of)) = (answer.nth, answer.of) {
        said.push(format!("it is number {} of {} in its queue", number(nth), number(of)));
        let queue = answer.queue.as_ref().and_then(|queue| seen.queues.get(queue));
        if let Some(seconds) = queue.and_then(Queue::drain_s) {
            said.push(format!(
                "at the rate of late its turn comes in {}",
                span(seconds * nth as f64 / of.max(1) as f64)
            ));
        }
    } else if let Some(of) = answer.of {
        said.push(format!("it is not among the next {} of {} jobs", number(WHY_POSITION_MAX), number(of)));
    }
    said
}

/// What may be done to it, and to all of its class.
fn ways(entry: &Entered, seen: &Seen, role: Role) -> Vec<Way> {
    let job = |verb| Deed::Job { verb, places: vec![entry.place.clone()], id: entry.id.clone() };
    let mut deeds = Vec::new();
    if let Place::Set(set) = entry.place {
        deeds.push((job(Verb::Retry), "Retry now"));
        if entry.trouble.is_empty() {
            let (id, near) = (entry.id.clone(), entry.entry.newer);
            let again = Deed::Again { set, id, near, args: None, removes: false };
            deeds.push((again, "Edit and enqueue again"));
        }
        if set != Set::Dead {
            deeds.push((job(Verb::Kill), "Move to dead set"));
        }
    }
    deeds.push((job(Verb::Delete), "Delete"));
    if let Some(name) = &entry.name {
        let class = Pausable::Class(name.clone());
        deeds.push(match seen.paused.classes.contains_key(name) {
            true => (Deed::Resume(class), "Resume class"),
            false => (Deed::Pause(class), "Pause class"),
        });
    }
    deeds.iter().filter_map(|(deed, label)| Way::to(role, deed, label)).collect()
}

/// The processes that say they run it.
fn running(seen: &Seen, jid: &str, role: Role) -> Vec<Running> {
    let start = &jid[..jid.floor_char_boundary(RUNNING_JID_BYTES)];
    let jobs = seen.members.iter().flat_map(|member| member.jobs.iter().map(move |job| (member, job)));
    let of_it = jobs.filter(|(_, job)| job.jid == jid || job.jid == start).take(PAGE_MEMBERS_MAX);
    of_it
        .map(|(member, job)| Running {
            cancel: Way::to(role, &Deed::Cancel { jid: jid.to_owned() }, "Cancel it"),
            name: Text::cell(&job.name),
            process: Text::id(&member.uuid),
            host: Text::cell(&member.host),
            runs_for: job.since.map_or_else(|| "–".to_owned(), |since| span(seen.at - since)),
        })
        .collect()
}
