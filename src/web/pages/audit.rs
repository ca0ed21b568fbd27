//! `/audit`: what people have had done by these pages, of whatever server; and what goes on here.

use std::rc::Rc;

use askama::Template;
use http::StatusCode;

use super::answer::{Answer, Visit};
use super::ask::{AskError, address};
use super::frame::{Frame, Page, html};
use super::paging::Paging;
use super::task;
use super::tasks::Task;
use super::words::{Moment, Text, number};
use crate::limits::{AUDIT_ENTRIES_MAX, AUDIT_TEXT_BYTES_MAX, PAGE_ROWS_MAX};
use crate::store::audit;
use crate::wire::audit::AuditEntry;

#[derive(Template)]
#[template(path = "audit.html", config = "src/web/pages/askama.toml")]
struct Audit {
    frame: Frame,
    under_way: Vec<UnderWay>,
    rows: Vec<Row>,
    paging: Paging,
}

struct UnderWay {
    href: String,
    order: String,
    who: Text,
    progress: String,
}

struct Row {
    at: Moment,
    who: Text,
    order: Text,
    outcome: Text,
    /// As in the style sheet.
    class: &'static str,
    done: String,
    said: Text,
}

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let skip = visit.ask.number("skip", AUDIT_ENTRIES_MAX as u64)?.unwrap_or(0) as usize;
    let known = visit.known().await;
    let (desk, mut frame) = (visit.desk, visit.frame("Audit", &known));
    let mut status = known.status();
    let (mut rows, mut paging) = (Vec::new(), Paging::default());
    if known.trouble.is_none() {
        let keys = desk.source().keys;
        let asked = desk.ask(|requests| audit::ask(keys, skip, PAGE_ROWS_MAX, requests)).await;
        match asked.and_then(|replies| Ok(audit::read(&replies)?)) {
            Ok((entries, all)) => {
                let now = known.seen.as_ref().map_or(0.0, |seen| seen.at);
                rows = entries.iter().map(|entry| row(entry, now)).collect();
                let to = |skip: &str| address(Page::Audit.path(), &[("skip", skip)]);
                paging = Paging::of((skip, rows.len(), all as usize), ("entry", "entries"), to);
            }
            Err(trouble) => {
                frame = frame.in_trouble(&trouble, desk);
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    }
    let shown = |one: Rc<Task>| UnderWay {
        href: task::to(&one),
        order: one.order.clone(),
        who: Text::cell(&one.who),
        progress: task::progress(&one.state()),
    };
    let under_way = desk.tasks().under_way().into_iter().map(shown).collect();
    Ok(html(status, &Audit { frame, under_way, rows, paging }))
}

fn row(entry: &AuditEntry, now: f64) -> Row {
    let class = match &*entry.outcome {
        "done" => "good",
        "failed" => "bad",
        _ => "warning",
    };
    Row {
        at: Moment::of(entry.at, now),
        who: Text::cell(&entry.who),
        order: Text::cut(&entry.order, AUDIT_TEXT_BYTES_MAX),
        outcome: Text::cell(&entry.outcome),
        class,
        done: number(entry.done),
        said: Text::cell(&entry.said),
    }
}
