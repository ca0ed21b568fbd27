//! `/queues`: the queues, how many jobs wait in each, how that changes, and who serves them.

use std::fmt::Write as _;

use askama::Template;

use super::answer::{Answer, Visit};
use super::ask::{AskError, address};
use super::deed::{Deed, Way};
use super::fleet::{Queue, Seen};
use super::frame::{Frame, Page, html};
use super::paging::Paging;
use super::words::{Moment, Text, count, number, rate, span};
use crate::acts::pause::Pausable;
use crate::limits::{FLEET_QUEUES_MAX, PAGE_ELEMENT_NAME_BYTES_MAX, PAGE_ROWS_MAX};
use crate::wire::ListName;
use crate::wire::paused::Pause;

#[derive(Template)]
#[template(path = "queues.html", config = "src/web/pages/askama.toml")]
struct Queues {
    frame: Frame,
    /// What names contain.
    part: String,
    by_name: bool,
    rows: Vec<Row>,
    paging: Paging,
    /// Queues with jobs that are not among them.
    left_out: String,
    classes: Vec<PausedClass>,
}

/// A class of jobs that is paused.
struct PausedClass {
    name: Text,
    said: String,
    way: Option<Way>,
}

/// One queue.
pub(super) struct Row {
    /// Begins the ids of its cells; empty: they have none.
    pub(super) id: String,
    pub(super) href: String,
    pub(super) name: Text,
    pub(super) jobs: String,
    pub(super) growth: String,
    pub(super) drain: String,
    pub(super) served: String,
    pub(super) slots: String,
    /// Jobs wait, and nobody serves it.
    pub(super) is_stuck: bool,
    /// Since when it is paused, by whom and why; empty: it is not.
    pub(super) paused: String,
    pub(super) way: Option<Way>,
}

/// The order of the rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Longest,
    Name,
}

const ORDERS: [(&str, Order); 2] = [("longest", Order::Longest), ("name", Order::Name)];

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let ask = &visit.ask;
    let order = ask.choice("order", &ORDERS)?.unwrap_or(Order::Longest);
    let part = ask.visible("part")?;
    let skip = ask.number("skip", 2 * FLEET_QUEUES_MAX as u64)?.unwrap_or(0) as usize;
    let known = visit.known().await;
    let frame = visit.frame("Queues", &known);
    let mut found: Vec<(&String, &Queue)> = known.seen.iter().flat_map(|seen| &seen.queues).collect();
    found.retain(|(name, _)| name.contains(part));
    if order == Order::Longest {
        found.sort_by(|one, other| other.1.jobs.cmp(&one.1.jobs).then_with(|| one.0.cmp(other.0)));
    }
    let rows: Vec<Row> = found
        .iter()
        .skip(skip)
        .take(PAGE_ROWS_MAX)
        .filter_map(|(name, queue)| Some(row(name, queue, known.seen.as_deref()?, visit)))
        .collect();
    let by_name = order == Order::Name;
    let to = |skip: &str| {
        let order = if by_name { "name" } else { "" };
        address(Page::Queues.path(), &[("part", part), ("order", order), ("skip", skip)])
    };
    let left_out = known.seen.as_ref().map_or(0, |seen| seen.queues_count.saturating_sub(FLEET_QUEUES_MAX));
    let left_out = match left_out as u64 {
        0 => String::new(),
        many => format!(
            "{} not shown.",
            count(many, "queue shorter than all of these is", "queues shorter than all of these are")
        ),
    };
    let classes = known.seen.iter().flat_map(|seen| {
        seen.paused.classes.iter().map(|(name, pause)| PausedClass {
            name: Text::cell(name),
            said: told(pause, seen.at),
            way: Way::to(visit.who.role, &Deed::Resume(Pausable::Class(name.clone())), "Resume"),
        })
    });
    let classes = classes.collect();
    let paging = Paging::of((skip, rows.len(), found.len()), ("queue", "queues"), to);
    let part = part.to_owned();
    Ok(html(known.status(), &Queues { frame, part, by_name, rows, paging, left_out, classes }))
}

/// The row of a queue.
pub(super) fn row(name: &str, queue: &Queue, seen: &Seen, visit: &Visit<'_>) -> Row {
    let pause = seen.paused.queues.get(name);
    let what = Pausable::Queue(name.to_owned());
    let way = match pause {
        Some(_) => Way::to(visit.who.role, &Deed::Resume(what), "Resume"),
        None => Way::to(visit.who.role, &Deed::Pause(what), "Pause"),
    };
    let [(_, jobs), (_, growth), (_, drain), (_, slots)] = changing(queue);
    Row {
        href: address(Page::Queue.path(), &[("queue", name)]),
        name: Text::cell(&ListName::shown(name)),
        id: element(name).unwrap_or_default(),
        jobs,
        growth,
        drain,
        served: match queue.processes {
            0 => "nobody".to_owned(),
            many => count(many, "process", "processes"),
        },
        slots,
        paused: pause.map_or_else(String::new, |pause| told(pause, seen.at)),
        way,
        is_stuck: queue.jobs > 0 && queue.processes == 0,
    }
}

/// What begins the ids of the cells of a queue; `None`: its name is too long.
pub(super) fn element(name: &str) -> Option<String> {
    (name.len() <= PAGE_ELEMENT_NAME_BYTES_MAX).then(|| format!("q-{}", hex(name.as_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The cells that change, by the ends of their ids.
pub(super) fn changing(queue: &Queue) -> [(&'static str, String); 4] {
    let growth = match queue.growth {
        None => "–".to_owned(),
        Some(growth) if growth.abs() < 0.05 => "steady".to_owned(),
        Some(growth) if growth > 0.0 => format!("+{} a second", rate(growth)),
        Some(growth) => format!("−{} a second", rate(growth)),
    };
    let drain = queue.drain_s().filter(|_| queue.jobs > 0).map(span);
    [
        ("jobs", number(queue.jobs)),
        ("growth", growth),
        ("drain", drain.unwrap_or_else(|| "–".to_owned())),
        ("slots", format!("{} of {}", number(queue.busy), number(queue.slots))),
    ]
}

/// "paused 3 min ago by ann until …: why".
fn told(pause: &Pause, now: f64) -> String {
    let mut told = format!("paused {}", Moment::of(pause.at, now).relative);
    if !pause.by.is_empty() {
        told += &format!(" by {}", Text::cell(&pause.by).shown);
    }
    if let Some(until) = pause.until {
        told += &format!(", over {}", Moment::of(until, now).relative);
    }
    if let Some(why) = &pause.why {
        told += &format!(": {}", Text::cell(why).shown);
    }
    told
}
