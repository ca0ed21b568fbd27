//! `/retries`, `/scheduled`, `/dead` and `/queue`: jobs, page by page, all or those that match.
//!
//! A page costs what is on it, however many jobs there are. With a filter a part of the entries is examined, at most
//! [`PAGE_EXAMINED_MAX`]; the page says how many, and links to the next part. How they are read: `acts::look`.

use std::cell::RefCell;

use askama::Template;
use http::StatusCode;

use super::answer::{Answer, Visit};
use super::ask::{AskError, address};
use super::deed::{Deed, Verb, Way};
use super::desk::Found;
use super::fleet::Seen;
use super::frame::{Frame, Page, html};
use super::paging::Paging;
use super::place;
use super::wanted::{OLDERS, Wanted};
use super::words::{Moment, Text, count, number};
use crate::acts::look::Query;
use crate::acts::pause::Pausable;
use crate::job::{Parser, bad};
use crate::limits::{PAGE_CELL_CHARS_MAX, PAGE_EXAMINED_MAX, PAGE_ROWS_MAX, PAGE_SKIP_MAX};
use crate::store::entries::{Entry, Order, Place, Set};
use crate::view::entry::JobEntry;
use crate::view::redacted::{self, Layout};
use crate::wire::ListName;

#[derive(Template)]
#[template(path = "jobs.html", config = "src/web/pages/askama.toml")]
struct Jobs {
    frame: Frame,
    ways: Vec<Way>,
    /// The path of the page.
    action: &'static str,
    /// The queue, if it is one's jobs.
    queue: String,
    columns: Columns,
    name: String,
    class: String,
    error: String,
    args: String,
    /// For which queue, in a set.
    from: String,
    olders: Vec<Choice>,
    oldest_first: bool,
    rows: Vec<Row>,
    paging: Paging,
    /// What would be here, if nothing is.
    empty: String,
}

/// Which columns the place has.
#[derive(Clone, Copy)]
struct Columns {
    queue: bool,
    attempts: bool,
    /// What the score says; empty: there is none.
    when: &'static str,
    error: bool,
}

/// A choice of a form.
struct Choice {
    word: &'static str,
    said: &'static str,
    is_chosen: bool,
}

/// One job.
struct Row {
    href: String,
    id: Text,
    name: Text,
    /// It is no job; `name` says why.
    is_broken: bool,
    queue: Text,
    attempts: String,
    when: Option<Moment>,
    error: Text,
    args: Text,
}

/// Orders as addresses name them.
pub(crate) const ORDERS: [(&str, Order); 2] = [("newest", Order::Newest), ("oldest", Order::Oldest)];

/// What the address of such a page asks for.
struct JobsAsk {
    page: Page,
    queue: String,
    wanted: Wanted,
    order: Order,
    skip: u64,
}

impl JobsAsk {
    fn read(visit: &Visit<'_>, queue: String) -> Result<Self, AskError> {
        let ask = &visit.ask;
        Ok(Self {
            page: visit.page,
            queue,
            wanted: Wanted::read(ask)?,
            order: ask.choice("order", &ORDERS)?.unwrap_or(Order::Newest),
            skip: ask.number("skip", PAGE_SKIP_MAX)?.unwrap_or(0),
        })
    }

    /// The address of the same jobs after so many entries.
    fn at(&self, skip: &str) -> String {
        let order = if self.order == Order::Oldest { "oldest" } else { "" };
        let mut parameters = vec![("queue", &*self.queue)];
        parameters.extend(self.wanted.parameters());
        parameters.extend([("order", order), ("skip", skip)]);
        address(self.page.path(), &parameters)
    }
}

/// The page of a queue's jobs.
pub(super) async fn of_queue(visit: &Visit<'_>) -> Result<Answer, AskError> {
    page(visit, Place::Queue(place::queue(&visit.ask)?)).await
}

/// The page of a place.
pub(super) async fn page(visit: &Visit<'_>, place: Place) -> Result<Answer, AskError> {
    // As it is shown, which is read back as it is.
    let queue = match &place {
        Place::Queue(queue) => queue.to_string(),
        Place::Set(_) => String::new(),
    };
    let ask = JobsAsk::read(visit, queue)?;
    let query =
        Query { order: ask.order, ..ask.wanted.query(&place, ask.skip, PAGE_ROWS_MAX, PAGE_EXAMINED_MAX) };
    let known = visit.known().await;
    let mut frame = visit.frame(title(&place), &known);
    let desk = visit.desk;
    let now = known.seen.as_ref().map_or(0.0, |seen| seen.at);
    let mut status = known.status();
    let mut found = None;
    // A Redis that did not answer is not asked again for the same page.
    if known.trouble.is_none() {
        let parser = RefCell::new(desk.parser());
        let make = |entry: &Entry| row(&place, entry, &mut parser.borrow_mut(), now);
        match desk.look(&query, make).await {
            Ok(look) => found = Some(look),
            Err(trouble) => {
                frame = frame.in_trouble(&trouble, desk);
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    }
    let paging = found.as_ref().map_or_else(Paging::default, |found| paging(&ask, &query, found));
    let empty = found.as_ref().map_or_else(String::new, |found| empty(&place, &query, found));
    let chosen = |(word, said, _): (&'static str, &'static str, u64)| Choice {
        word,
        said,
        is_chosen: word == ask.wanted.older,
    };
    let total = found.as_ref().map_or(0, |found| found.reached.total);
    let ways = ways(visit, &place, &ask.wanted, total, known.seen.as_deref());
    let Wanted { name, class, error, args, from, .. } = ask.wanted;
    let page = Jobs {
        frame,
        ways,
        action: visit.page.path(),
        columns: Columns::of(&place),
        olders: OLDERS.map(chosen).into(),
        oldest_first: ask.order == Order::Oldest,
        rows: found.map(|found| found.rows).unwrap_or_default(),
        paging,
        empty,
        queue: ask.queue,
        name,
        class,
        error,
        args,
        from,
    };
    Ok(html(status, &page))
}

/// What may be done to all of them, or to all that match.
fn ways(visit: &Visit<'_>, place: &Place, wanted: &Wanted, total: u64, seen: Option<&Seen>) -> Vec<Way> {
    let mut deeds = Vec::new();
    match place {
        Place::Set(_) if total == 0 => {}
        Place::Set(set) => {
            let any = wanted.is_any();
            let all = |verb| Deed::All { verb, set: *set, wanted: wanted.clone() };
            deeds.push((all(Verb::Retry), if any { "Retry all" } else { "Retry all that match" }));
            if *set != Set::Dead {
                let label = if any { "Move all to dead set" } else { "Move all that match to dead set" };
                deeds.push((all(Verb::Kill), label));
            }
            deeds.push((all(Verb::Delete), if any { "Delete all" } else { "Delete all that match" }));
        }
        Place::Queue(queue) => {
            if let Some(name) = queue.servable() {
                let name = name.as_str().to_owned();
                let is_paused = seen.is_some_and(|seen| seen.paused.queues.contains_key(&name));
                deeds.push(match is_paused {
                    true => (Deed::Resume(Pausable::Queue(name)), "Resume queue"),
                    false => (Deed::Pause(Pausable::Queue(name)), "Pause queue"),
                });
            }
            if total > 0 {
                deeds.push((Deed::Clear(queue.clone()), "Delete all that wait"));
            }
        }
    }
    deeds.iter().filter_map(|(deed, label)| Way::to(visit.who.role, deed, label)).collect()
}

fn title(place: &Place) -> String {
    match place {
        Place::Queue(queue) => format!("Queue {}", Text::cell(&queue.to_string()).shown),
        Place::Set(Set::Retries) => "Retries".to_owned(),
        Place::Set(Set::Scheduled) => "Scheduled".to_owned(),
        Place::Set(Set::Dead) => "Dead".to_owned(),
    }
}

impl Columns {
    fn of(place: &Place) -> Self {
        let none = Self { queue: true, attempts: false, when: "", error: false };
        match place {
            Place::Queue(_) => Self { queue: false, ..none },
            Place::Set(Set::Retries) => Self { attempts: true, when: "Due", error: true, ..none },
            Place::Set(Set::Scheduled) => Self { when: "Due", ..none },
            Place::Set(Set::Dead) => Self { when: "Died", error: true, ..none },
        }
    }
}

/// How a job is linked to: where it is, what it is called, and how far from the newest entry it was.
pub(super) fn job_address(place: &Place, id: &str, newer: u64) -> String {
    let (word, queue) = place::parameters(place);
    let newer = if newer == 0 { String::new() } else { newer.to_string() };
    address(Page::Job.path(), &[("place", word), ("queue", &queue), ("id", id), ("near", &newer)])
}

fn row(place: &Place, entry: &Entry, parser: &mut Parser, now: f64) -> Row {
    let job = JobEntry::new(place, entry, parser);
    let id = job.id();
    let name = job.name();
    let (name, args) = match job.trouble() {
        None => (name.unwrap_or_else(|| "–".to_owned()), args(&job)),
        Some(_) if job.buried_bytes().is_some() => {
            (format!("{} (bytes that are not a job)", bad::NAME), Text::default())
        }
        Some(trouble) => {
            let start = &job.bytes()[..job.bytes().len().min(4 * PAGE_CELL_CHARS_MAX)];
            // The whole of it decides whether it may be shown.
            let shown = redacted::text(job.bytes(), 0).map(|_| String::from_utf8_lossy(start).into_owned());
            let text = shown.unwrap_or_else(|| "[hidden]".to_owned());
            (format!("no job: {trouble}"), Text::cell(&text))
        }
    };
    Row {
        href: job_address(place, &id, entry.newer),
        id: Text::id(&id),
        name: Text::cell(&name),
        is_broken: job.trouble().is_some(),
        queue: Text::cell(&ListName::shown(&job.queue())),
        attempts: match job.own_retries() {
            Some(retries) => format!("{} of {}", number(job.attempt()), number(retries)),
            None => number(job.attempt()),
        },
        when: job.score().map(|score| Moment::of(score, now)),
        error: Text::cell(&job.error()),
        args,
    }
}

fn args(job: &JobEntry<'_>) -> Text {
    let shown = redacted::json(&job.args(), Layout::Raw, 4 * PAGE_CELL_CHARS_MAX);
    Text::cell(&shown.text)
}

fn paging(ask: &JobsAsk, query: &Query, found: &Found<Row>) -> Paging {
    let reached = found.reached;
    let place = &query.place;
    let all = count(reached.total, "job", "jobs");
    let said = if query.filter.is_empty() && query.older.is_none() {
        match reached.examined {
            0 => format!("{all} in {place}"),
            many => format!("{} to {} of {all} in {place}", number(ask.skip + 1), number(ask.skip + many)),
        }
    } else {
        format!(
            "{} found in the {} examined of {all} in {place}, from number {} on",
            number(reached.shown as u64),
            number(reached.examined),
            number(ask.skip + 1)
        )
    };
    Paging {
        said,
        first: if ask.skip > 0 { ask.at("") } else { String::new() },
        next: found.next_skip.map_or_else(String::new, |skip| ask.at(&skip.to_string())),
    }
}

fn empty(place: &Place, query: &Query, found: &Found<Row>) -> String {
    let is_filtered = !query.filter.is_empty() || query.older.is_some();
    match place {
        _ if !found.rows.is_empty() => String::new(),
        _ if is_filtered && found.next_skip.is_some() => {
            "No such job among those that were examined. The link below goes on.".to_owned()
        }
        _ if is_filtered => "No such job here.".to_owned(),
        _ if query.skip > 0 && found.reached.total > 0 => "There are fewer jobs by now.".to_owned(),
        Place::Queue(_) => "No jobs wait here. Jobs land here when a producer pushes them.".to_owned(),
        Place::Set(Set::Retries) => {
            "No jobs to retry. Jobs land here when they fail and have retries left.".to_owned()
        }
        Place::Set(Set::Scheduled) => {
            "No scheduled jobs. Jobs land here when a producer says when they are to run.".to_owned()
        }
        Place::Set(Set::Dead) => "No dead jobs. Jobs land here when their retries are used up.".to_owned(),
    }
}
