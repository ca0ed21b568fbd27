//! `/queues`: the queues, how many jobs wait in each, how that changes, and who serves them.

use askama::Template;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::answer::Visit;
use super::ask::{AskError, address};
use super::fleet::Queue;
use super::frame::{Frame, Page, Paging, html};
use super::words::{Text, count, number, rate, span};
use crate::limits::{FLEET_QUEUES_MAX, PAGE_ROWS_MAX};
use crate::wire::ListName;

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
}

/// One queue.
pub(super) struct Row {
    pub(super) href: String,
    pub(super) name: Text,
    pub(super) jobs: String,
    pub(super) growth: String,
    pub(super) drain: String,
    pub(super) served: String,
    pub(super) slots: String,
    /// Jobs wait, and nobody serves it.
    pub(super) is_stuck: bool,
}

/// The order of the rows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Longest,
    Name,
}

const ORDERS: [(&str, Order); 2] = [("longest", Order::Longest), ("name", Order::Name)];

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Response<Full<Bytes>>, AskError> {
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
    let rows: Vec<Row> =
        found.iter().skip(skip).take(PAGE_ROWS_MAX).map(|(name, queue)| row(name, queue)).collect();
    let by_name = order == Order::Name;
    let to = |skip: &str| {
        let order = if by_name { "name" } else { "" };
        address(Page::Queues.path(), &[("part", part), ("order", order), ("skip", skip)])
    };
    let left_out = known.seen.as_ref().map_or(0, |seen| seen.queues_count.saturating_sub(FLEET_QUEUES_MAX));
    let left_out = match left_out as u64 {
        0 => String::new(),
        many => format!("{} shorter than all of these are not shown.", count(many, "queue", "queues")),
    };
    let paging = Paging::of((skip, rows.len(), found.len()), ("queue", "queues"), to);
    let part = part.to_owned();
    Ok(html(known.status(), &Queues { frame, part, by_name, rows, paging, left_out }))
}

/// The row of a queue.
pub(super) fn row(name: &str, queue: &Queue) -> Row {
    let growth = match queue.growth {
        None => "–".to_owned(),
        Some(growth) if growth.abs() < 0.05 => "steady".to_owned(),
        Some(growth) if growth > 0.0 => format!("+{} a second", rate(growth)),
        Some(growth) => format!("−{} a second", rate(growth)),
    };
    let drain = queue.drain_s().filter(|_| queue.jobs > 0).map(span);
    Row {
        href: address(Page::Queue.path(), &[("queue", name)]),
        name: Text::cell(&ListName::shown(name)),
        jobs: number(queue.jobs),
        growth,
        drain: drain.unwrap_or_else(|| "–".to_owned()),
        served: match queue.processes {
            0 => "nobody".to_owned(),
            many => count(many, "process", "processes"),
        },
        slots: format!("{} of {}", number(queue.busy), number(queue.slots)),
        is_stuck: queue.jobs > 0 && queue.processes == 0,
    }
}
