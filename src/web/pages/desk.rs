//! What pages read from Redis, over a connection of their own.
//!
//! One page reads at a time; those that wait, wait no longer than Redis may take in all ([`PAGE_REDIS_WAIT`]), so a Redis
//! that hangs makes no line. The state of the fleet is kept for a moment: any number of tabs cost Redis what one does.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::fleet::Seen;
use super::frame::Known;
use super::link::{DeskError, Link, Patience, Source};
use super::tasks::Tasks;
use super::trend::Trends;
use crate::acts::look::{Look, Query, Reached};
use crate::io::permits::{Permit, Permits};
use crate::job::{Parser, Schema};
use crate::limits::{
    PAGE_AWAY_GAP_MAX, PAGE_ENTRIES_BYTES_MAX, PAGE_FIRST_LOOKS_WAIT, PAGE_FLEET_AGE_MAX,
    PAGE_HISTORY_AGE_MAX, PAGE_PASTS_MAX, PAGE_REDIS_WAIT, PAGES_WAITING_MAX,
};
use crate::resp::{RedisUrl, Reply, Requests};
use crate::store::entries::{Entry, Place, Set};
use crate::store::survey::{Scope, Summary, Survey};
use crate::store::{pace, position};
use crate::view::history::Span;
use crate::view::why::Answer;
use crate::wire::Keyspace;
use crate::wire::history::Slice;

/// See the module.
pub(crate) struct Desk {
    // Fixed.
    source: Source,
    tasks: Rc<Tasks>,
    // Changed by the one that has the turn.
    turns: Permits,
    open: RefCell<Option<Open>>,
    trends: RefCell<Trends>,
    // Changed by each page.
    /// The past, as it was read a moment ago: one for each span that pages offer.
    pasts: RefCell<Vec<(Span, Instant, Rc<Slices>)>>,
    seen: RefCell<Option<Rc<Seen>>>,
    away_since: Cell<Option<Instant>>,
    /// When a look failed last.
    failed_at: Cell<Option<Instant>>,
}

/// The connection, and what it has seen of the fleet.
pub(crate) struct Open {
    link: Link,
    survey: Survey,
}

/// The past, by the number of the minute, hour or day.
pub(super) type Slices = BTreeMap<u64, Slice>;

/// What a look at jobs has found.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) reached: Reached,
    /// Where to continue; `None`: there is no more.
    pub(crate) next_skip: Option<u64>,
}

impl Desk {
    pub(crate) fn new(url: RedisUrl, keys: Keyspace, schema: Schema, client_name: String) -> Self {
        Self {
            source: Source { url, keys, schema, client_name },
            tasks: Rc::new(Tasks::default()),
            turns: Permits::new(1, PAGES_WAITING_MAX),
            open: RefCell::default(),
            trends: RefCell::default(),
            pasts: RefCell::default(),
            seen: RefCell::default(),
            away_since: Cell::default(),
            failed_at: Cell::default(),
        }
    }

    /// Where it reads, without the password.
    pub(super) fn redis(&self) -> String {
        self.source.url.to_string()
    }

    /// The database.
    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// What was set going here.
    pub(super) const fn tasks(&self) -> &Rc<Tasks> {
        &self.tasks
    }

    /// A parser of what is read here.
    pub(crate) fn parser(&self) -> Parser {
        Parser::new(self.source.schema)
    }

    /// The latest state of the fleet that was read, however old.
    pub(super) fn last_seen(&self) -> Option<Rc<Seen>> {
        self.seen.borrow().clone()
    }

    /// How things went of late, as far as pages have looked.
    pub(super) fn trends(&self) -> Ref<'_, Trends> {
        self.trends.borrow()
    }

    /// For how long Redis has not answered.
    pub(super) fn away(&self) -> Option<Duration> {
        self.away_since.get().map(|since| since.elapsed())
    }

    /// What is known of the fleet; if Redis does not answer, what was known last.
    pub(super) async fn known(&self) -> Known {
        match self.fleet().await {
            Ok(seen) => Known { seen: Some(seen), trouble: None },
            Err(trouble) => {
                tracing::debug!(error = %trouble, "web: a page cannot be read");
                Known { seen: self.last_seen(), trouble: Some(trouble) }
            }
        }
    }

    /// What is kept of the past, slice by slice. Round trips: one for each hundred hours or days, one for each eight hours
    /// of minutes.
    ///
    /// # Cancel-safety
    /// As [`Self::fleet`].
    pub(crate) async fn history(&self, span: &Span) -> Result<Rc<Slices>, DeskError> {
        if let Some(slices) = self.past(span) {
            return Ok(slices);
        }
        let patience = Patience::of(PAGE_REDIS_WAIT);
        let work = async {
            let _turn = self.turn(&patience).await?;
            let read = async |open: &mut Open| {
                let mut reading = span.reading(self.source.keys, open.survey.now());
                let mut requests = Requests::new();
                while reading.write(&mut requests) {
                    let replies = open.link.call(&patience, |asked| asked.append(&requests)).await?;
                    reading.accept(&replies)?;
                    requests.clear();
                }
                Ok(Rc::new(reading.finish().0))
            };
            let slices = self.with_open(&patience, read).await?;
            let mut pasts = self.pasts.borrow_mut();
            pasts.retain(|(kept, ..)| kept != span);
            if pasts.len() >= PAGE_PASTS_MAX {
                pasts.remove(0);
            }
            pasts.push((span.clone(), Instant::now(), Rc::clone(&slices)));
            Ok(slices)
        };
        self.note(work.await)
    }

    /// The same, if it was read a moment ago. What is older is forgotten.
    fn past(&self, span: &Span) -> Option<Rc<Slices>> {
        let mut pasts = self.pasts.borrow_mut();
        pasts.retain(|(_, at, _)| at.elapsed() < PAGE_HISTORY_AGE_MAX);
        pasts.iter().find(|(kept, ..)| kept == span).map(|(.., slices)| Rc::clone(slices))
    }

    /// The state of the fleet, now or a moment ago.
    ///
    /// # Cancel-safety
    /// Safe: a connection with an answer under way is closed.
    pub(crate) async fn fleet(&self) -> Result<Rc<Seen>, DeskError> {
        if let Some(seen) = self.fresh() {
            return Ok(seen);
        }
        let patience = Patience::of(PAGE_REDIS_WAIT);
        let work = async {
            let _turn = self.turn(&patience).await?;
            // The one before may have read it.
            if let Some(seen) = self.fresh() {
                return Ok(seen);
            }
            let look = async |open: &mut Open| {
                open.look(&patience).await?;
                Ok(Seen::of(&open.survey))
            };
            let seen = self.with_open(&patience, look).await?;
            let seen = Rc::new(self.trends.borrow_mut().note(seen, Instant::now()));
            self.seen.replace(Some(Rc::clone(&seen)));
            Ok(seen)
        };
        self.note(work.await)
    }

    fn fresh(&self) -> Option<Rc<Seen>> {
        let seen = self.seen.borrow();
        seen.as_ref().filter(|seen| seen.read_at.elapsed() < PAGE_FLEET_AGE_MAX).cloned()
    }

    /// Looks at jobs, and makes a row of each as it is read, so that large payloads do not pile up. It ends early after
    /// [`PAGE_ENTRIES_BYTES_MAX`].
    ///
    /// # Cancel-safety
    /// As [`Self::fleet`].
    pub(crate) async fn look<T>(
        &self,
        query: &Query,
        row: impl Fn(&Entry) -> T,
    ) -> Result<Found<T>, DeskError> {
        let patience = Patience::of(PAGE_REDIS_WAIT);
        let work = async {
            let _turn = self.turn(&patience).await?;
            let read = async |open: &mut Open| {
                let query = &query.until(open.survey.now());
                let mut look = Look::new(query, self.source.schema, 1);
                let (mut rows, mut bytes) = (Vec::new(), 0);
                while bytes < PAGE_ENTRIES_BYTES_MAX && open.link.step(&mut look, &patience).await? {
                    for entry in look.take() {
                        bytes += entry.bytes.len();
                        rows.push(row(&entry));
                    }
                }
                Ok(Found { rows, reached: look.reached(), next_skip: look.next_skip() })
            };
            self.with_open(&patience, read).await
        };
        self.note(work.await)
    }

    /// What is known of the fleet now, or was a moment ago, as commands see it. No round trip if [`Self::fleet`] has just
    /// looked.
    ///
    /// # Cancel-safety
    /// As [`Self::fleet`].
    pub(crate) async fn summary(&self) -> Result<Summary, DeskError> {
        self.fleet().await?;
        self.with(async |open, _| Ok(open.survey.summary())).await
    }

    /// Does some work over the connection; again over another one if that was lost.
    ///
    /// # Cancel-safety
    /// As [`Self::fleet`].
    pub(crate) async fn with<T>(
        &self,
        work: impl AsyncFn(&mut Open, &Patience) -> Result<T, DeskError>,
    ) -> Result<T, DeskError> {
        let patience = Patience::of(PAGE_REDIS_WAIT);
        let work = async {
            let _turn = self.turn(&patience).await?;
            self.with_open(&patience, async |open: &mut Open| work(open, &patience).await).await
        };
        self.note(work.await)
    }

    /// Asks one thing: one round trip.
    ///
    /// # Cancel-safety
    /// As [`Self::fleet`].
    pub(super) async fn ask(&self, write: impl Fn(&mut Requests)) -> Result<Vec<Reply>, DeskError> {
        let patience = Patience::of(PAGE_REDIS_WAIT);
        let work = async {
            let _turn = self.turn(&patience).await?;
            let ask = async |open: &mut Open| open.link.call(&patience, &write).await;
            self.with_open(&patience, ask).await
        };
        self.note(work.await)
    }

    /// What a job waits for. One round trip, unless it is dead.
    ///
    /// # Cancel-safety
    /// As [`Self::fleet`].
    pub(crate) async fn why(&self, place: &Place, entry: &Entry) -> Result<Answer, DeskError> {
        let patience = Patience::of(PAGE_REDIS_WAIT);
        let Source { keys, schema, .. } = self.source;
        let work = async {
            let _turn = self.turn(&patience).await?;
            let ask = async |open: &mut Open| {
                let mut answer = Answer::default();
                let fleet = open.survey.summary();
                let now = fleet.at;
                answer.note_place(&fleet, place, entry, schema);
                if let Place::Queue(queue) = place
                    && entry.is_whole()
                {
                    let write = |requests: &mut Requests| position::ask(keys, queue, &entry.bytes, requests);
                    let replies = open.link.call(&patience, write).await?;
                    // A user who may not ask is told less.
                    if let [found, length] = replies.as_slice()
                        && let Ok(position) = position::read(found, length)
                    {
                        (answer.nth, answer.of) = (position.nth, Some(position.of));
                    }
                }
                let set = matches!(place, Place::Set(Set::Scheduled | Set::Retries));
                if let (true, Some(score), Some(queue)) = (set, entry.score, answer.queue.clone()) {
                    let write = |requests: &mut Requests| pace::ask(keys, &queue, requests);
                    let replies = open.link.call(&patience, write).await?;
                    if let Some(moments) = replies.first().and_then(|reply| pace::read(reply).ok().flatten())
                    {
                        answer.note_pace(&moments, score, now);
                    }
                }
                Ok(answer)
            };
            self.with_open(&patience, ask).await
        };
        self.note(work.await)
    }

    async fn turn(&self, patience: &Patience) -> Result<Permit, DeskError> {
        if self.source.url.is_cluster() {
            return Err(DeskError::Cluster);
        }
        patience.wait(async { self.turns.take().await.map_err(|_| DeskError::Busy) }).await
    }

    /// Notes since when Redis has not answered.
    fn note<T>(&self, done: Result<T, DeskError>) -> Result<T, DeskError> {
        match &done {
            Err(DeskError::Late(_) | DeskError::Net(_)) => {
                // What failed long ago says nothing about the time in which nobody asked.
                let is_same = self.failed_at.get().is_some_and(|at| at.elapsed() < PAGE_AWAY_GAP_MAX);
                // One that was late has been waited for.
                let waited =
                    if matches!(done, Err(DeskError::Late(_))) { PAGE_REDIS_WAIT } else { Duration::ZERO };
                let begun = || Instant::now().checked_sub(waited).unwrap_or_else(Instant::now);
                let since = self.away_since.get().filter(|_| is_same).unwrap_or_else(begun);
                self.away_since.set(Some(since));
                self.failed_at.set(Some(Instant::now()));
            }
            Ok(_) => self.away_since.set(None),
            Err(_) => {}
        }
        done
    }

    /// Works with the open connection, or with a new one: the open one may have been closed while nobody asked.
    async fn with_open<T>(
        &self,
        patience: &Patience,
        work: impl AsyncFn(&mut Open) -> Result<T, DeskError>,
    ) -> Result<T, DeskError> {
        let open = self.open.take();
        if let Some(mut open) = open {
            match work(&mut open).await {
                Err(DeskError::Net(_)) => {}
                // Its answer may still come.
                late @ Err(DeskError::Late(_)) => return late,
                done => {
                    self.open.replace(Some(open));
                    return done;
                }
            }
        }
        let mut open = self.connect(patience).await?;
        let done = work(&mut open).await;
        if !matches!(done, Err(DeskError::Net(_) | DeskError::Late(_))) {
            self.open.replace(Some(open));
        }
        done
    }

    async fn connect(&self, patience: &Patience) -> Result<Open, DeskError> {
        let link = Link::open(&self.source, patience).await?;
        let mut open = Open { link, survey: Survey::again(Scope::Everything, self.source.keys) };
        let began = Instant::now();
        while !open.survey.is_complete() && began.elapsed() < PAGE_FIRST_LOOKS_WAIT {
            open.look(patience).await?;
        }
        Ok(open)
    }
}

impl Open {
    /// One round trip: what `write` appends, and the replies.
    pub(crate) async fn call(
        &mut self,
        patience: &Patience,
        write: impl FnOnce(&mut Requests),
    ) -> Result<Vec<Reply>, DeskError> {
        self.link.call(patience, write).await
    }

    /// One look at the fleet: one round trip.
    async fn look(&mut self, patience: &Patience) -> Result<(), DeskError> {
        let survey = &mut self.survey;
        let replies = self.link.call(patience, |requests| _ = survey.write(requests)).await?;
        Ok(self.survey.accept(&replies)?)
    }
}
