//! What surrounds every page: its name, the health of it all, the tabs; and how it is sent.

use std::rc::Rc;

use askama::Template;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

use super::ask::address;
use super::desk::Desk;
use super::fleet::Seen;
use super::link::DeskError;
use super::verdict::{self, Tone};
use super::words::{Moment, Text, number, span};
use crate::foreign::Foreign;
use crate::limits::PAGE_PARAMETER_BYTES_MAX;

/// How pages look.
pub(super) const STYLE: &str = include_str!("templates/style.css");

/// What changes texts in place.
pub(super) const SCRIPT: &str = include_str!("templates/live.js");

/// The mark of a browser's tab.
pub(super) const ICON: &str = include_str!("templates/icon.svg");

/// Nothing but what this server sends is loaded, nothing in a page is run but that one script, and no page is shown in a
/// frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// A page, or what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Queues,
    /// The jobs of a queue.
    Queue,
    Classes,
    Errors,
    /// The past, and all of it for a spreadsheet.
    History,
    HistoryCsv,
    Processes,
    Busy,
    /// Periodic jobs.
    Periodic,
    Retries,
    Scheduled,
    Dead,
    Job,
    Audit,
    /// Asks whether something is to be done, and does it.
    Act,
    /// How far that is.
    Task,
    /// Stops it.
    Halt,
    /// Changes the colours, and goes back.
    Theme,
    Style,
    Script,
    Icon,
}

/// The colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system has them.
    System,
    Light,
    Dark,
}

/// What all templates show around their page.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) theme: &'static str,
    pub(super) themes: Vec<Link>,
    pub(super) redis: Text,
    pub(super) tag: Text,
    pub(super) health: &'static str,
    pub(super) health_class: &'static str,
    pub(super) tabs: Vec<Link>,
    /// When what is shown was read.
    pub(super) as_of: Option<Moment>,
    /// What is wrong with what is shown; empty if nothing is.
    pub(super) trouble: String,
    /// When the page loads itself again, and from where, as HTML says it; empty: it does not.
    pub(super) refresh: String,
}

/// A link to a page.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) label: String,
    /// How many there are; empty if that is not shown.
    pub(super) count: String,
    pub(super) is_current: bool,
    /// That of the element with the number.
    pub(super) id: String,
}

/// What is known of the fleet as a page is made.
pub(super) struct Known {
    pub(super) seen: Option<Rc<Seen>>,
    /// Why it is not what is now.
    pub(super) trouble: Option<DeskError>,
}

impl Known {
    /// What a page is sent with that shows this.
    pub(super) const fn status(&self) -> StatusCode {
        match self.trouble {
            None => StatusCode::OK,
            Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Page {
    pub(super) const ALL: [Self; 22] = [
        Self::Overview,
        Self::Queues,
        Self::Queue,
        Self::Classes,
        Self::Errors,
        Self::History,
        Self::HistoryCsv,
        Self::Processes,
        Self::Busy,
        Self::Periodic,
        Self::Retries,
        Self::Scheduled,
        Self::Dead,
        Self::Job,
        Self::Audit,
        Self::Act,
        Self::Task,
        Self::Halt,
        Self::Theme,
        Self::Style,
        Self::Script,
        Self::Icon,
    ];

    /// Its path, without the slash.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Queues => "queues",
            Self::Queue => "queue",
            Self::Classes => "classes",
            Self::Errors => "errors",
            Self::History => "history",
            Self::HistoryCsv => "history.csv",
            Self::Processes => "processes",
            Self::Busy => "busy",
            Self::Periodic => "periodic",
            Self::Retries => "retries",
            Self::Scheduled => "scheduled",
            Self::Dead => "dead",
            Self::Job => "job",
            Self::Audit => "audit",
            Self::Act => "act",
            Self::Task => "task",
            Self::Halt => "halt",
            Self::Theme => "theme",
            Self::Style => "style.css",
            Self::Script => "live.js",
            Self::Icon => "icon.svg",
        }
    }

    /// Its address from any other page.
    pub(super) const fn href(self) -> &'static str {
        match self {
            Self::Overview => "./",
            other => other.path(),
        }
    }

    /// The page at a path with its slash.
    pub(super) fn at(path: &str) -> Option<Self> {
        let name = path.strip_prefix('/')?;
        Self::ALL.into_iter().find(|page| page.path() == name)
    }

    /// The tab it is under, and what that is called.
    const fn tab(self) -> Option<&'static str> {
        match self {
            Self::Overview => Some("Overview"),
            Self::Queues => Some("Queues"),
            Self::Classes => Some("Classes"),
            Self::Errors => Some("Errors"),
            Self::History => Some("History"),
            Self::Processes => Some("Processes"),
            Self::Busy => Some("Busy"),
            Self::Periodic => Some("Periodic"),
            Self::Retries => Some("Retries"),
            Self::Scheduled => Some("Scheduled"),
            Self::Dead => Some("Dead"),
            Self::Audit => Some("Audit"),
            Self::Queue
            | Self::HistoryCsv
            | Self::Script
            | Self::Job
            | Self::Act
            | Self::Task
            | Self::Halt
            | Self::Theme
            | Self::Style
            | Self::Icon => None,
        }
    }
}

impl Theme {
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("system", Self::System), ("light", Self::Light), ("dark", Self::Dark)];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// What a browser was told to remember.
    pub(super) fn of_cookie(cookie: Option<&[u8]>) -> Self {
        let cookie = cookie.and_then(|field| std::str::from_utf8(field).ok()).unwrap_or_default();
        let said = cookie.split(';').find_map(|part| part.trim().strip_prefix("theme="));
        let known = Self::WORDS.into_iter().find(|(word, _)| Some(*word) == said);
        known.map_or(Self::System, |(_, theme)| theme)
    }
}

impl Frame {
    /// `here` is the address of the page itself.
    pub(super) fn new(title: String, page: Page, theme: Theme, here: &str, tag: &str, desk: &Desk) -> Self {
        let other = |(word, other): (&'static str, Theme)| Link {
            href: address(
                Page::Theme.path(),
                &[("to", word), ("back", if is_long(here) { "" } else { here })],
            ),
            label: word.to_owned(),
            count: String::new(),
            id: String::new(),
            is_current: other == theme,
        };
        let tabs = Page::ALL.into_iter().filter_map(|tab| {
            let label = tab.tab()?.to_owned();
            let href = tab.href().to_owned();
            Some(Link {
                id: format!("n-{}", tab.path()),
                href,
                label,
                count: String::new(),
                is_current: tab == page,
            })
        });
        Self {
            title,
            theme: theme.word(),
            themes: Theme::WORDS.into_iter().map(other).collect(),
            redis: Text::cell(&desk.redis()),
            tag: Text::cell(tag),
            health: "unknown",
            health_class: Tone::Bad.class(),
            tabs: tabs.collect(),
            as_of: None,
            trouble: String::new(),
            refresh: String::new(),
        }
    }

    /// Of no page.
    pub(super) fn bare(desk: &Desk) -> Self {
        Self::new(String::new(), Page::Overview, Theme::System, "", "", desk)
    }

    /// Adds what is known of the fleet.
    pub(super) fn knowing(mut self, known: &Known, desk: &Desk) -> Self {
        if let Some(seen) = &known.seen {
            let age = seen.read_at.elapsed().as_secs_f64();
            self.as_of = Some(Moment::of(seen.at, seen.at + age));
            if let [worst, ..] = &verdict::findings(seen)[..] {
                (self.health, self.health_class) = (worst.tone.word(), worst.tone.class());
            }
            let counts = &seen.counts;
            let processes = seen.members_count as u64;
            let all = [
                (Page::Queues, seen.queues.len() as u64),
                (Page::Processes, processes),
                (Page::Busy, seen.running_jobs()),
                (Page::Retries, counts.retry_jobs),
                (Page::Scheduled, counts.scheduled_jobs),
                (Page::Dead, counts.dead_jobs),
            ];
            for (page, many) in all {
                for tab in self.tabs.iter_mut().filter(|tab| tab.href == page.href()) {
                    tab.count = number(many);
                }
            }
        }
        if let Some(trouble) = &known.trouble {
            self = self.in_trouble(trouble, desk);
        }
        self
    }

    /// Says what is wrong with what is shown.
    pub(super) fn in_trouble(mut self, trouble: &DeskError, desk: &Desk) -> Self {
        self.trouble = said(trouble, desk);
        (self.health, self.health_class) = ("unknown", Tone::Bad.class());
        self
    }
}

/// Whether an address cannot be a parameter of another.
const fn is_long(address: &str) -> bool {
    address.len() > PAGE_PARAMETER_BYTES_MAX
}

/// Why less is shown than should be, in a sentence.
fn said(trouble: &DeskError, desk: &Desk) -> String {
    let why = Foreign::text(&trouble.to_string()).to_string();
    match (trouble, desk.away()) {
        (DeskError::Late(_) | DeskError::Net(_), Some(away)) => {
            format!("Redis has not answered for {}: {why}.", span(away.as_secs_f64()))
        }
        _ => format!("Redis cannot be read: {why}."),
    }
}

/// A page, ready to be sent.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Response<Full<Bytes>> {
    match page.render() {
        Ok(text) => sent(status, "text/html; charset=utf-8", text.into()),
        // Nothing in a template of ours fails; a page that did would say so.
        Err(error) => {
            tracing::error!(%error, "web: a page cannot be written");
            let said = Bytes::from_static(b"this page cannot be written; the log says why\n");
            sent(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", said)
        }
    }
}

/// An answer with all that keeps browsers from doing more with it than showing it.
pub(super) fn sent(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed(content_type));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, fixed("DENY"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    headers.insert("cross-origin-opener-policy", fixed("same-origin"));
    headers.insert("cross-origin-resource-policy", fixed("same-origin"));
    // `/` is another answer for programs.
    headers.insert(header::VARY, fixed("accept, cookie"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_their_paths_and_no_others() {
        for page in Page::ALL {
            assert_eq!(Page::at(&format!("/{}", page.path())), Some(page));
        }
        for path in ["", "/queues/", "//queues", "/Queues", "/..", "/metrics"] {
            assert_eq!(Page::at(path), None, "{path}");
        }
    }

    #[test]
    fn a_theme_is_remembered_by_the_browser() {
        let theme = |cookie: &str| Theme::of_cookie(Some(cookie.as_bytes()));
        assert_eq!(theme("a=b; theme=dark"), Theme::Dark);
        assert_eq!(theme("theme=light"), Theme::Light);
        assert_eq!(theme("theme=\"><script>"), Theme::System);
        assert_eq!(Theme::of_cookie(Some(&[0xff])), Theme::System);
    }
}
