//! `/live`: what changes on open pages, as server-sent events: the texts of elements, by their ids.
//!
//! ```text
//!  desk: the fleet, once a second ──► snapshot ──► what has changed, once ──► a copy for each tab
//! ```
//!
//! One task looks while a tab is open, and none does otherwise. A tab that does not keep up misses events and then gets all
//! of the latest. An answer ends before its connection would be cut off; a browser asks again by itself. Pages are whole
//! without this: it changes what they show, and adds nothing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde::Serialize;

use super::desk::Desk;
use super::frame::Frame as Outline;
use super::{overview, queues};
use crate::io::{self, timer};
use crate::limits::{LIVE_EVENTS_MAX, LIVE_PERIOD, LIVE_STREAM_MAX, LIVE_TABS_MAX, PAGE_ROWS_MAX};

/// What each element says.
type Snapshot = BTreeMap<String, Said>;

/// The text of an element, and its class, if that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Said(Option<String>, Option<String>);

/// The open tabs.
#[derive(Default)]
pub(crate) struct Live {
    tabs: RefCell<Vec<Weak<Tab>>>,
    /// What they were told last; empty: the task does not run.
    last: RefCell<Option<Snapshot>>,
    is_looking: Cell<bool>,
}

/// One tab.
struct Tab {
    // Fixed.
    opened: Instant,
    // Changed by the task.
    events: RefCell<VecDeque<Bytes>>,
    is_over: Cell<bool>,
    /// It did not keep up: it gets all of the latest when there is room again.
    is_behind: Cell<bool>,
    // Changed by its answer.
    waker: RefCell<Option<Waker>>,
}

/// The answer to one tab.
pub(crate) struct Events(Rc<Tab>);

impl Live {
    /// The answer to a new tab; `None`: there are too many.
    pub(crate) fn open(self: &Rc<Self>, desk: &Rc<Desk>) -> Option<Events> {
        let tab = Rc::new(Tab {
            opened: Instant::now(),
            events: RefCell::default(),
            is_over: Cell::default(),
            // It has missed all so far.
            is_behind: Cell::new(true),
            waker: RefCell::default(),
        });
        let mut tabs = self.tabs.borrow_mut();
        tabs.retain(|tab| tab.strong_count() > 0);
        if tabs.len() >= LIVE_TABS_MAX {
            return None;
        }
        tabs.push(Rc::downgrade(&tab));
        // The task begins at once.
        drop(tabs);
        if !self.is_looking.replace(true) {
            io::spawn(look(Rc::clone(self), Rc::clone(desk))).detach();
        }
        Some(Events(tab))
    }

    /// Tells all tabs what has changed. Whether any is left.
    fn tell(&self, snapshot: Snapshot, now: Instant) -> bool {
        let last = self.last.replace(None).unwrap_or_default();
        let changed: BTreeMap<&String, &Said> =
            snapshot.iter().filter(|(id, said)| last.get(*id) != Some(said)).collect();
        let delta = (!changed.is_empty()).then(|| event(&changed));
        let mut whole = None;
        self.tabs.borrow_mut().retain(|tab| {
            let Some(tab) = tab.upgrade() else { return false };
            if now.saturating_duration_since(tab.opened) >= LIVE_STREAM_MAX {
                tab.is_over.set(true);
            } else if tab.events.borrow().len() >= LIVE_EVENTS_MAX {
                tab.is_behind.set(true);
            } else if tab.is_behind.replace(false) {
                let event = whole.get_or_insert_with(|| event(&snapshot.iter().collect())).clone();
                tab.events.borrow_mut().push_back(event);
            } else if let Some(delta) = &delta {
                tab.events.borrow_mut().push_back(delta.clone());
            }
            if let Some(waker) = tab.waker.borrow_mut().take() {
                waker.wake();
            }
            !tab.is_over.get()
        });
        self.last.replace(Some(snapshot));
        !self.tabs.borrow().is_empty()
    }
}

/// Looks once a period while any tab is open.
async fn look(live: Rc<Live>, desk: Rc<Desk>) {
    let looking = Looking(live);
    while looking.0.tell(snapshot(&desk).await, Instant::now()) {
        timer::sleep(LIVE_PERIOD).await;
    }
}

/// Says when dropped that nobody looks.
struct Looking(Rc<Live>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.last.replace(None);
        self.0.is_looking.set(false);
    }
}

/// An event as it goes over the line.
fn event(said: &BTreeMap<&String, &Said>) -> Bytes {
    // Texts always are JSON, on one line.
    let json = serde_json::to_string(said).unwrap_or_default();
    // A browser whose connection ends asks again after this many milliseconds.
    format!("retry: 1000\ndata: {json}\n\n").into()
}

/// What the elements of all pages say now.
async fn snapshot(desk: &Desk) -> Snapshot {
    let known = desk.known().await;
    let mut said = Snapshot::new();
    let mut text = |id: &str, text: String| _ = said.insert(id.to_owned(), Said(Some(text), None));
    let frame = Outline::bare(desk).knowing(&known, desk);
    text(
        "as-of",
        match (&known.trouble, &frame.as_of) {
            (None, _) => "live".to_owned(),
            (Some(_), Some(as_of)) => format!("as of {}", as_of.relative),
            (Some(_), None) => "not read yet".to_owned(),
        },
    );
    text("health-word", frame.health.to_owned());
    for tab in frame.tabs.iter().filter(|tab| !tab.count.is_empty()) {
        text(&tab.id, tab.count.clone());
    }
    if let Some(seen) = &known.seen {
        for (number, figure) in overview::figures(seen).into_iter().enumerate() {
            text(&format!("f-{number}"), figure.value);
            text(&format!("f-{number}-note"), figure.note);
        }
        for (name, queue) in seen.longest(PAGE_ROWS_MAX) {
            let Some(id) = queues::element(name) else { continue };
            for (column, value) in queues::changing(queue) {
                text(&format!("{id}-{column}"), value);
            }
        }
    }
    let class = Said(None, Some(format!("health {}", frame.health_class)));
    said.insert("health".to_owned(), class);
    said
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let tab = &self.0;
        if let Some(event) = tab.events.borrow_mut().pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(event))));
        }
        if tab.is_over.get() {
            return Poll::Ready(None);
        }
        tab.waker.replace(Some(ctx.waker().clone()));
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn tab(live: &Live, opened: Instant) -> Events {
        let tab = Rc::new(Tab {
            opened,
            events: RefCell::default(),
            is_over: Cell::default(),
            is_behind: Cell::new(true),
            waker: RefCell::default(),
        });
        live.tabs.borrow_mut().push(Rc::downgrade(&tab));
        Events(tab)
    }

    fn snapshot(number: usize) -> Snapshot {
        let said = |text: String| Said(Some(text), None);
        [("a".to_owned(), said("same".to_owned())), ("b".to_owned(), said(number.to_string()))].into()
    }

    /// All that has come; `None`: nothing, `Some("")`: the end.
    fn next(events: &mut Events) -> Option<String> {
        let frame = block_on(poll_once(std::future::poll_fn(|ctx| Pin::new(&mut *events).poll_frame(ctx))))?;
        Some(frame.map_or_else(String::new, |frame| {
            String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap()
        }))
    }

    #[test]
    fn a_tab_gets_everything_first_and_then_what_changes() {
        let (live, start) = (Live::default(), Instant::now());
        let (mut one, mut other) = (tab(&live, start), tab(&live, start));
        assert!(next(&mut one).is_none());
        assert!(live.tell(snapshot(1), start));
        let whole = "retry: 1000\ndata: {\"a\":[\"same\",null],\"b\":[\"1\",null]}\n\n";
        assert_eq!((next(&mut one).as_deref(), next(&mut other).as_deref()), (Some(whole), Some(whole)));
        assert!(live.tell(snapshot(1), start) && next(&mut one).is_none(), "nothing has changed");
        live.tell(snapshot(2), start);
        assert_eq!(next(&mut one).as_deref(), Some("retry: 1000\ndata: {\"b\":[\"2\",null]}\n\n"));
        // One that does not keep up gets all of the latest when it does.
        (3..3 + 2 * LIVE_EVENTS_MAX).for_each(|number| _ = live.tell(snapshot(number), start));
        assert_eq!(other.0.events.borrow().len(), LIVE_EVENTS_MAX);
        while next(&mut other).is_some() {}
        live.tell(snapshot(1), start);
        assert_eq!(next(&mut other).as_deref(), Some(whole));
        drop(other);
        let late = start + LIVE_STREAM_MAX;
        assert!(live.tell(snapshot(1), late - Duration::from_millis(1)));
        while next(&mut one).is_some() {}
        assert!(!live.tell(snapshot(1), late), "none is left");
        assert_eq!(next(&mut one).as_deref(), Some(""), "it asks again");
    }
}
