//! `/act`: asks whether something is to be done, with what it will do and to how many, and does it when the form comes back.
//!
//! Asking changes nothing. The role is checked when it is asked and when it is done; the form carries a token that this
//! page has got once, so no other site can send it, and sending it twice does it once. How many match is counted in parts,
//! at most [`PAGE_EXAMINED_MAX`] entries a page, which loads the next part by itself.

use std::time::Instant;

use askama::Template;
use http::StatusCode;

use super::again::{self, Form};
use super::answer::{Answer, Visit, redirect};
use super::ask::{AskError, address};
use super::carry_out::Work;
use super::deed::{Deed, Many};
use super::frame::{Frame, Page, html};
use super::link::DeskError;
use super::tasks::Taken;
use super::wanted::Wanted;
use super::words::{count, number};
use crate::io;
use crate::limits::{PAGE_EXAMINED_MAX, PAGE_SKIP_MAX, PAUSE_TEXT_BYTES_MAX, TASK_ANSWER_WAIT};
use crate::store::entries::Place;

#[derive(Template)]
#[template(path = "act.html", config = "src/web/pages/askama.toml")]
struct Act {
    frame: Frame,
    effect: &'static str,
    /// How many were counted so far; empty: that is not needed.
    counted: String,
    /// Whether all were.
    is_counted: bool,
    /// There is nothing to do.
    is_empty: bool,
    fields: Vec<(&'static str, String)>,
    token: String,
    asks_why: bool,
    /// The job that is to be edited.
    again: Option<Form>,
    is_danger: bool,
    button: String,
    back: String,
}

/// How many jobs match.
#[derive(Default)]
struct Counted {
    many: Option<Many>,
    said: String,
    /// The parameters `skip` and `found` with which counting goes on; `None`: all were counted.
    next: Option<(u64, u64)>,
}

/// The page that asks.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let deed = Deed::read(&visit.ask)?;
    if let Some(refused) = without_role(visit, &deed) {
        return Ok(refused);
    }
    let skip = visit.ask.number("skip", PAGE_SKIP_MAX)?.unwrap_or(0);
    let found = visit.ask.number("found", PAGE_SKIP_MAX)?.unwrap_or(0);
    let known = visit.known().await;
    let mut trouble = None;
    let mut counted = Counted::default();
    if known.trouble.is_none() {
        match counted_for(visit, &deed, skip, found).await {
            Ok(all) => counted = all,
            Err(error) => trouble = Some(error),
        }
    }
    let mut again = None;
    if let (Deed::Again { set, id, near, .. }, None) = (&deed, &known.trouble) {
        match again::form(visit, *set, id, *near).await {
            Ok(Some(form)) => again = Some(form),
            Ok(None) => counted.many = Some(Many::Exactly(0)),
            Err(error) => trouble = Some(error),
        }
    }
    let order = capital(&deed.order(counted.many));
    let mut frame = visit.frame(format!("{order}?"), &known);
    let status = if trouble.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { known.status() };
    if let Some(trouble) = trouble {
        frame = frame.in_trouble(&trouble, visit.desk);
    }
    let fields = deed.parameters();
    if let Some((skip, found)) = counted.next {
        let (skip, found) = (skip.to_string(), found.to_string());
        let mut parameters: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, &**value)).collect();
        parameters.extend([("skip", &*skip), ("found", &*found)]);
        frame.refresh = format!("0; url={}", address(Page::Act.path(), &parameters));
    }
    let is_ready = status == StatusCode::OK && counted.next.is_none();
    let token = if is_ready { visit.offer(&written(&deed)) } else { String::new() };
    let page = Act {
        frame,
        effect: deed.effect(),
        counted: counted.said,
        is_counted: counted.next.is_none(),
        is_empty: counted.next.is_none() && counted.many == Some(Many::Exactly(0)),
        fields,
        token,
        asks_why: matches!(deed, Deed::Pause(_)),
        again,
        is_danger: deed.role() == crate::web::access::Role::Admin,
        button: order,
        back: deed.back(),
    };
    Ok(html(status, &page))
}

/// What the form asks for.
pub(super) async fn post(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let deed = Deed::read(&visit.ask)?;
    if let Some(refused) = without_role(visit, &deed) {
        return Ok(refused);
    }
    let why = visit.ask.text("why").map(str::to_owned);
    if why.as_ref().is_some_and(|why| why.len() > PAUSE_TEXT_BYTES_MAX) {
        let allowed = format!("at most {PAUSE_TEXT_BYTES_MAX} bytes");
        return Err(AskError::Value { name: "why", allowed });
    }
    let known = visit.known().await;
    let (Some(seen), None) = (known.seen, &known.trouble) else {
        let said = "Redis does not answer: nothing was done. Go back and try again.";
        return Ok(visit.refuse(StatusCode::SERVICE_UNAVAILABLE, "Not done", said));
    };
    // From here to the begin nothing waits, so that no other form comes between.
    let desk = visit.desk;
    let (tasks, who) = (desk.tasks(), &visit.who.name);
    let token = visit.ask.text("token").unwrap_or_default();
    match tasks.take(token, who, &written(&deed), Instant::now()) {
        Taken::New => {}
        Taken::Before(task) => return Ok(to_task(task)),
        Taken::Nothing => {
            let said = "This form is not one that this server has just shown to you: nothing was done. Open the page that \
                        asks again.";
            return Ok(visit.refuse(StatusCode::CONFLICT, "Not done", said));
        }
    }
    let task = tasks.begin(who, deed.order(None), deed.back(), token);
    let (source, tasks) = (desk.source().clone(), tasks.clone());
    let work = Work { source, deed, why, seen, task: task.clone(), tasks };
    io::spawn(work.carry_out()).detach();
    task.wait(TASK_ANSWER_WAIT).await;
    Ok(to_task(task.number))
}

fn to_task(number: u64) -> Answer {
    redirect(&address(Page::Task.path(), &[("id", &number.to_string())]))
}

/// A page that says which role it takes, if the reader does not have it.
fn without_role(visit: &Visit<'_>, deed: &Deed) -> Option<Answer> {
    let (needed, own) = (deed.role(), visit.who.role);
    if own >= needed {
        return None;
    }
    let order = deed.order(None);
    tracing::info!(who = visit.who.name, role = own.word(), order, "web: refused to act, for the role");
    let said = format!(
        "To {order} takes the role {}; you are {} with the role {}. Roles stand in the file of --web-auth.",
        needed.word(),
        visit.who.name,
        own.word()
    );
    Some(visit.refuse(StatusCode::FORBIDDEN, "Not allowed", &said))
}

/// The deed as a token is bound to it.
fn written(deed: &Deed) -> String {
    let parameters = deed.parameters();
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, &**value)).collect();
    address("", &parameters)
}

async fn counted_for(visit: &Visit<'_>, deed: &Deed, skip: u64, before: u64) -> Result<Counted, DeskError> {
    let desk = visit.desk;
    let (place, wanted) = match deed {
        Deed::All { set, wanted, .. } => (Place::Set(*set), wanted.clone()),
        Deed::Clear(queue) => (Place::Queue(queue.clone()), Wanted::default()),
        _ => return Ok(Counted::default()),
    };
    if wanted.is_any() {
        let found = desk.look(&wanted.query(&place, 0, 1, 1), |_| ()).await?;
        let many = Some(Many::Exactly(found.reached.total));
        return Ok(Counted { many, ..Counted::default() });
    }
    let query = wanted.query(&place, skip, usize::MAX, PAGE_EXAMINED_MAX);
    let look = desk.look(&query, |_| ()).await?;
    let found = before.saturating_add(look.rows.len() as u64);
    let many = if look.next_skip.is_none() { Many::Exactly(found) } else { Many::AtLeast(found) };
    let said = format!(
        "{} match, of {} of {} examined.",
        count(found, "job", "jobs"),
        number(skip.saturating_add(look.reached.examined)),
        number(look.reached.total)
    );
    Ok(Counted { many: Some(many), said, next: look.next_skip.map(|skip| (skip, found)) })
}

/// With a capital.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
