//! What people have set going here: each is a task of this executor, which goes on when its page is closed.
//!
//! ```text
//!  confirm page: offer ──► a token, once, for this deed and this person
//!  form: take ──► begin a task, or the one that was begun with that token
//! ```
//!
//! Not responsible for what a task does (`work`).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq as _;

use crate::acts::ActProgress;
use crate::event::Event;
use crate::io::permits::{Permit, Permits, TooManyWait};
use crate::limits::{OFFER_AGE_MAX, OFFERS_MAX, TASKS_KEPT_MAX, TASKS_RUNNING_MAX, TASKS_WAITING_MAX};

/// See the module.
pub(super) struct Tasks {
    turns: Permits,
    last: Cell<u64>,
    /// The latest last.
    ///
    /// Invariant: at most [`TASKS_KEPT_MAX`].
    kept: RefCell<VecDeque<Rc<Task>>>,
    /// The same, at most [`OFFERS_MAX`].
    offers: RefCell<VecDeque<Offer>>,
}

/// One task.
pub(super) struct Task {
    // Fixed.
    pub(super) number: u64,
    /// Who has begun it.
    pub(super) who: String,
    /// What is done.
    pub(super) order: String,
    /// Where it was asked for.
    pub(super) back: String,
    /// What its page shows to those who may stop it.
    pub(super) token: String,
    pub(super) began: Instant,
    // Changed by the task.
    state: RefCell<State>,
    ended: Event,
    // Changed by who stops it.
    is_stopped: Cell<bool>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Others come first.
    Waiting,
    Running(ActProgress),
    Ended(Report),
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Jobs, or whatever it was, that were acted on.
    pub(super) done: u64,
    /// What happened, in sentences.
    pub(super) said: Vec<String>,
    /// Why it ended before its end.
    pub(super) failed: Option<String>,
    /// Whether somebody has stopped it.
    pub(super) is_stopped: bool,
}

/// A deed that a page has offered.
struct Offer {
    token: String,
    who: String,
    /// The deed, as its parameters.
    deed: String,
    at: Instant,
    /// The task that was begun with it.
    task: Option<u64>,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// A task may be begun.
    New,
    /// This one was.
    Before(u64),
    /// Nothing: it is not one, is too old, or was for something else.
    Nothing,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            turns: Permits::new(TASKS_RUNNING_MAX, TASKS_WAITING_MAX),
            last: Cell::default(),
            kept: RefCell::default(),
            offers: RefCell::default(),
        }
    }
}

impl Tasks {
    /// A token with which this person may have this done, once. Empty if there is no randomness: then nothing can be done.
    pub(super) fn offer(&self, who: &str, deed: &str, now: Instant) -> String {
        let token = token();
        let mut offers = self.offers.borrow_mut();
        if offers.len() >= OFFERS_MAX {
            offers.pop_front();
        }
        let (who, deed) = (who.to_owned(), deed.to_owned());
        offers.push_back(Offer { token: token.clone(), who, deed, at: now, task: None });
        token
    }

    /// What a token is good for.
    pub(super) fn take(&self, token: &str, who: &str, deed: &str, now: Instant) -> Taken {
        let mut found = Taken::Nothing;
        for offer in &*self.offers.borrow() {
            let is_young = now.saturating_duration_since(offer.at) < OFFER_AGE_MAX;
            if is_same(&offer.token, token) && offer.who == who && offer.deed == deed && is_young {
                found = offer.task.map_or(Taken::New, Taken::Before);
            }
        }
        found
    }

    /// A new task, with the token that was good for it.
    pub(super) fn begin(&self, who: &str, order: String, back: String, offered: &str) -> Rc<Task> {
        let number = self.last.get() + 1;
        self.last.set(number);
        for offer in self.offers.borrow_mut().iter_mut().filter(|offer| offer.token == offered) {
            offer.task = Some(number);
        }
        let task = Rc::new(Task {
            number,
            who: who.to_owned(),
            order,
            back,
            token: token(),
            began: Instant::now(),
            state: RefCell::new(State::Waiting),
            ended: Event::default(),
            is_stopped: Cell::default(),
        });
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= TASKS_KEPT_MAX {
            // One that goes on goes on without its page.
            let ended = kept.iter().position(|task| task.is_over()).unwrap_or(0);
            kept.remove(ended);
        }
        kept.push_back(Rc::clone(&task));
        task
    }

    /// The task of this number, if it is kept.
    pub(super) fn find(&self, number: u64) -> Option<Rc<Task>> {
        self.kept.borrow().iter().find(|task| task.number == number).cloned()
    }

    /// Those that go on, the latest first.
    pub(super) fn under_way(&self) -> Vec<Rc<Task>> {
        self.kept.borrow().iter().rev().filter(|task| !task.is_over()).cloned().collect()
    }

    /// Waits until a task may run.
    ///
    /// # Errors
    /// [`TooManyWait`].
    pub(super) async fn turn(&self) -> Result<Permit, TooManyWait> {
        self.turns.take().await
    }
}

impl Task {
    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn progress(&self, progress: ActProgress) {
        self.state.replace(State::Running(progress));
    }

    pub(super) fn end(&self, report: Report) {
        self.state.replace(State::Ended(report));
        self.ended.raise();
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(*self.state.borrow(), State::Ended(_))
    }

    /// Waits for its end, for so long at most. For the page that has begun it, alone.
    pub(super) async fn wait(&self, limit: Duration) {
        self.ended.wait_for(limit).await;
    }

    /// Makes it end before its next step, if this is its token.
    pub(super) fn stop(&self, token: &str) -> bool {
        let may = is_same(&self.token, token);
        if may {
            self.is_stopped.set(true);
        }
        may
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.get()
    }
}

/// 128 bits of the system's randomness, in hexadecimal; empty if it has none.
fn token() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether these are the same token. One that is empty is none.
fn is_same(one: &str, other: &str) -> bool {
    !one.is_empty() && bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once_for_what_it_was_offered_for() {
        let (tasks, now) = (Tasks::default(), Instant::now());
        let token = tasks.offer("ann", "do=delete", now);
        assert_eq!(token.len(), 32);
        for (token, who, deed, at) in [
            ("", "ann", "do=delete", now),
            ("0123", "ann", "do=delete", now),
            (&*token, "bob", "do=delete", now),
            (&*token, "ann", "do=delete&place=dead", now),
            (&*token, "ann", "do=delete", now + OFFER_AGE_MAX),
        ] {
            assert_eq!(tasks.take(token, who, deed, at), Taken::Nothing, "{token} {who} {deed}");
        }
        assert_eq!(tasks.take(&token, "ann", "do=delete", now), Taken::New);
        let task = tasks.begin("ann", "delete".to_owned(), "dead".to_owned(), &token);
        assert_eq!(tasks.take(&token, "ann", "do=delete", now), Taken::Before(task.number));
        assert!(!task.stop("") && !task.stop(&token) && !task.is_stopped());
        assert!(task.stop(&task.token) && task.is_stopped());
    }

    #[test]
    fn offers_and_tasks_are_bounded_and_what_goes_on_is_kept_longest() {
        let (tasks, now) = (Tasks::default(), Instant::now());
        let first = tasks.offer("ann", "x", now);
        (0..OFFERS_MAX).for_each(|_| drop(tasks.offer("ann", "x", now)));
        assert_eq!(tasks.take(&first, "ann", "x", now), Taken::Nothing);
        assert_eq!(tasks.offers.borrow().len(), OFFERS_MAX);
        let begin = || tasks.begin("ann", String::new(), String::new(), "");
        let goes_on = begin();
        for _ in 0..2 * TASKS_KEPT_MAX {
            begin().end(Report::default());
        }
        assert_eq!(tasks.kept.borrow().len(), TASKS_KEPT_MAX);
        assert!(tasks.find(goes_on.number).is_some() && tasks.under_way().len() == 1);
    }
}
