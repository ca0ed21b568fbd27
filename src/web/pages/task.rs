//! `/task`: how far something is that was set going here, and what it came to; `/halt` stops it.

use askama::Template;
use http::StatusCode;

use super::answer::{Answer, Visit, redirect};
use super::ask::{AskError, address};
use super::frame::{Frame, Page, html};
use super::tasks::{State, Task};
use super::words::{Text, number, span};
use crate::limits::TASK_PAGE_S;
use crate::web::access::Role;

#[derive(Template)]
#[template(path = "task.html", config = "src/web/pages/askama.toml")]
struct TaskPage {
    frame: Frame,
    who: Text,
    since: String,
    /// How far it is; empty: it is over.
    progress: String,
    number: u64,
    /// What stops it; empty: the reader may not.
    token: String,
    /// `good`, `warning` or `bad`, as in the style sheet.
    class: &'static str,
    said: Vec<String>,
    back: String,
}

fn asked(visit: &Visit<'_>) -> Result<u64, AskError> {
    let wrong = || AskError::Value { name: "id", allowed: "the number of something under way".to_owned() };
    visit.ask.number("id", u64::MAX)?.ok_or_else(wrong)
}

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let Some(task) = visit.desk.tasks().find(asked(visit)?) else { return Ok(gone(visit)) };
    let known = visit.known().await;
    let state = task.state();
    let title = match &state {
        State::Ended(_) => "Done",
        State::Waiting | State::Running(_) => "Under way",
    };
    let mut frame = visit.frame(format!("{title}: {}", task.order), &known);
    let (mut class, mut said) = ("good", Vec::new());
    let progress = progress(&state);
    if let State::Ended(report) = state {
        said.extend(report.said);
        if report.is_stopped {
            class = "warning";
            said.push("It was stopped; what was done is done.".to_owned());
        }
        if let Some(failed) = report.failed {
            class = "bad";
            said.push(failed);
        }
    } else {
        frame.refresh = TASK_PAGE_S.to_string();
    }
    let may_stop = visit.who.role >= Role::Operate && !task.is_stopped();
    let page = TaskPage {
        frame,
        who: Text::cell(&task.who),
        since: span(task.began.elapsed().as_secs_f64()),
        progress,
        number: task.number,
        token: if may_stop { task.token.clone() } else { String::new() },
        class,
        said,
        back: task.back.clone(),
    };
    // What is known of the fleet is not what this page is about.
    Ok(html(StatusCode::OK, &page))
}

/// How far it is, in words; empty if it is over.
pub(super) fn progress(state: &State) -> String {
    match state {
        State::Ended(_) => String::new(),
        State::Waiting => "It waits for others.".to_owned(),
        State::Running(progress) if progress.of == 0 => "It goes on.".to_owned(),
        State::Running(progress) => {
            let (done, seen, of) = (number(progress.done), number(progress.seen), number(progress.of));
            format!("{done} done, {seen} of {of} looked at.")
        }
    }
}

/// Stops it.
pub(super) fn stop(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let Some(task) = visit.desk.tasks().find(asked(visit)?) else { return Ok(gone(visit)) };
    if visit.who.role < Role::Operate {
        let said = "To stop something takes the role operate.";
        return Ok(visit.refuse(StatusCode::FORBIDDEN, "Not allowed", said));
    }
    if !task.stop(visit.ask.text("token").unwrap_or_default()) {
        let said = "This form is not one that this server has shown to you: nothing was stopped.";
        return Ok(visit.refuse(StatusCode::CONFLICT, "Not done", said));
    }
    tracing::info!(who = visit.who.name, order = task.order, "web: asked to stop acting");
    Ok(redirect(&to(&task)))
}

/// The address of its page.
pub(super) fn to(task: &Task) -> String {
    address(Page::Task.path(), &[("id", &task.number.to_string())])
}

fn gone(visit: &Visit<'_>) -> Answer {
    let said = "This server keeps no such thing: it ended long ago, or before the server started. The audit log has what it \
                came to.";
    visit.refuse(StatusCode::NOT_FOUND, "Not found", said)
}
