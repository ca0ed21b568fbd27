//! From a request to its page.

use std::time::Instant;

use askama::Template;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

use super::ask::{Ask, AskError};
use super::desk::Desk;
use super::frame::{Frame, ICON, Known, Page, SCRIPT, STYLE, Theme, html, sent};
use super::{act, audit, errors, history, job, jobs, overview, periodic, processes, queues, task};
use crate::store::entries::{Place, Set};
use crate::web::access::Who;

pub(super) type Answer = Response<Full<Bytes>>;

/// What a page depends on.
pub(crate) struct Request<'r> {
    /// Who asks.
    pub(crate) who: &'r Who,
    /// What the deployment is called; empty if it is not.
    pub(crate) tag: &'r str,
    pub(crate) path: &'r str,
    pub(crate) query: &'r str,
    pub(crate) accept: Option<&'r [u8]>,
    pub(crate) cookie: Option<&'r [u8]>,
}

/// What each page is made from.
pub(super) struct Visit<'v> {
    pub(super) desk: &'v Desk,
    tag: &'v str,
    pub(super) who: &'v Who,
    pub(super) page: Page,
    pub(super) ask: Ask,
    theme: Theme,
    /// The address of the page from another one.
    here: String,
}

/// A page that says why it cannot be shown.
#[derive(Template)]
#[template(path = "refused.html", config = "src/web/pages/askama.toml")]
struct Refused {
    frame: Frame,
    why: String,
}

/// Answers it, if it asks for a page; `None`: it asks for something else, or is not of a browser.
pub(crate) async fn answer(desk: &Desk, request: &Request<'_>) -> Option<Answer> {
    let page = match Page::at(request.path) {
        Some(page) => page,
        None if takes_html(request.accept) => return Some(nowhere(desk, request)),
        None => return None,
    };
    if page == Page::Overview && !takes_html(request.accept) {
        return None;
    }
    let theme = Theme::of_cookie(request.cookie);
    let here = match request.query {
        "" => page.href().to_owned(),
        query => format!("{}?{query}", page.href()),
    };
    let read = Ask::read(request.query);
    let (ask, refused) = match read {
        Ok(ask) => (ask, None),
        Err(error) => (Ask::default(), Some(error)),
    };
    // What is not read is not linked to either.
    let here = if refused.is_some() { page.href().to_owned() } else { here };
    let visit = Visit { desk, tag: request.tag, who: request.who, page, ask, theme, here };
    Some(match refused {
        Some(error) => visit.misunderstood(&error),
        None => visit.answer().await.unwrap_or_else(|error| visit.misunderstood(&error)),
    })
}

/// What a browser is told at an address where there is nothing.
fn nowhere(desk: &Desk, request: &Request<'_>) -> Answer {
    let (page, theme) = (Page::Overview, Theme::of_cookie(request.cookie));
    let (ask, here) = (Ask::default(), page.href().to_owned());
    let visit = Visit { desk, tag: request.tag, who: request.who, page, ask, theme, here };
    visit.refuse(StatusCode::NOT_FOUND, "Not found", "There is no page at this address.")
}

/// Whether forms are sent to this path.
pub(crate) fn takes_form(path: &str) -> bool {
    matches!(Page::at(path), Some(Page::Act | Page::Halt))
}

/// Answers a form that was sent to such a path.
pub(crate) async fn answer_form(desk: &Desk, request: &Request<'_>, form: &str) -> Option<Answer> {
    let page = Page::at(request.path)?;
    let theme = Theme::of_cookie(request.cookie);
    let visit = |ask| Visit {
        desk,
        tag: request.tag,
        who: request.who,
        page,
        ask,
        theme,
        here: Page::Overview.href().to_owned(),
    };
    let done = match Ask::read_form(form) {
        Err(error) => return Some(visit(Ask::default()).misunderstood(&error)),
        Ok(ask) => {
            let visit = visit(ask);
            let done = match page {
                Page::Act => act::post(&visit).await,
                Page::Halt => task::stop(&visit),
                _ => return None,
            };
            done.unwrap_or_else(|error| visit.misunderstood(&error))
        }
    };
    Some(done)
}

/// Sends a browser to another page here.
pub(super) fn redirect(to: &str) -> Answer {
    let mut answer = sent(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", Bytes::new());
    if let Ok(to) = HeaderValue::from_str(to) {
        answer.headers_mut().insert(header::LOCATION, to);
    }
    answer
}

impl Visit<'_> {
    async fn answer(&self) -> Result<Answer, AskError> {
        Ok(match self.page {
            Page::Overview => overview::page(self).await?,
            Page::Queues => queues::page(self).await?,
            Page::Processes => processes::page(self).await?,
            Page::Busy => processes::busy(self).await?,
            Page::Periodic => Box::pin(periodic::page(self)).await?,
            Page::Queue => jobs::of_queue(self).await?,
            Page::Retries => jobs::page(self, Place::Set(Set::Retries)).await?,
            Page::Scheduled => jobs::page(self, Place::Set(Set::Scheduled)).await?,
            Page::Dead => jobs::page(self, Place::Set(Set::Dead)).await?,
            // Some have large futures, which the others need not hold.
            Page::Job => Box::pin(job::page(self)).await?,
            Page::Audit => audit::page(self).await?,
            Page::Act => act::page(self).await?,
            Page::Task => task::page(self).await?,
            // Only for forms.
            Page::Halt => redirect(Page::Audit.href()),
            Page::Theme => self.change_theme()?,
            Page::Errors => errors::page(self).await?,
            Page::Classes => history::classes(self).await?,
            Page::History => history::page(self).await?,
            Page::HistoryCsv => history::csv(self).await?,
            Page::Script => kept(sent(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT.into())),
            Page::Style => kept(sent(StatusCode::OK, "text/css; charset=utf-8", STYLE.into())),
            Page::Icon => kept(sent(StatusCode::OK, "image/svg+xml", ICON.into())),
        })
    }

    /// What is known of the fleet.
    pub(super) async fn known(&self) -> Known {
        self.desk.known().await
    }

    /// The frame of the page.
    pub(super) fn frame(&self, title: impl Into<String>, known: &Known) -> Frame {
        let frame = Frame::new(title.into(), self.page, self.theme, &self.here, self.tag, self.desk);
        frame.knowing(known, self.desk)
    }

    fn misunderstood(&self, error: &AskError) -> Answer {
        self.refuse(StatusCode::BAD_REQUEST, "Not understood", &format!("{error}."))
    }

    /// A page that says why nothing was done.
    pub(super) fn refuse(&self, status: StatusCode, title: &str, why: &str) -> Answer {
        let frame =
            Frame::new(title.to_owned(), self.page, self.theme, self.page.href(), self.tag, self.desk);
        html(status, &Refused { frame, why: why.to_owned() })
    }

    /// A token with which the reader may have this done, once.
    pub(super) fn offer(&self, deed: &str) -> String {
        self.desk.tasks().offer(&self.who.name, deed, Instant::now())
    }

    /// Tells the browser to remember the colours, and sends it back.
    fn change_theme(&self) -> Result<Answer, AskError> {
        let to = self.ask.choice("to", &Theme::WORDS)?.unwrap_or(Theme::System);
        let age = if to == Theme::System { 0 } else { THEME_AGE_S };
        let cookie = format!("theme={}; Max-Age={age}; SameSite=Strict; HttpOnly", to.word());
        let back = self.ask.text("back").filter(|back| is_page(back)).unwrap_or(Page::Overview.href());
        let mut answer = redirect(back);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(answer)
    }
}

/// How long a browser remembers the colours: a year.
const THEME_AGE_S: u64 = 365 * 86_400;

/// Whether a text is the address of a page here, and of nothing elsewhere.
fn is_page(address: &str) -> bool {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    Page::ALL.iter().any(|page| page.href() == path) && query.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a client takes HTML, as browsers say first of all.
fn takes_html(accept: Option<&[u8]>) -> bool {
    accept.is_some_and(|field| field.windows(9).any(|part| part.eq_ignore_ascii_case(b"text/html")))
}

/// What is the same for as long as this program runs may be kept for a while.
fn kept(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    headers.remove(header::VARY);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_leads_to_a_page_here() {
        for back in ["./", "dead", "dead?skip=50&name=a%20b", "queues?"] {
            assert!(is_page(back), "{back}");
        }
        let elsewhere =
            ["//evil.example", "https://evil.example", "/\\evil", "dead?a b", "dead?\r\nx", "../dead", ""];
        for back in elsewhere {
            assert!(!is_page(back), "{back}");
        }
    }
}
