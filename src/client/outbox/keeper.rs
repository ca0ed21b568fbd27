//! The thread of an outbox: it alone owns the journal, numbers the jobs and decides where each goes.
//!
//! ```text
//!            journal empty                            journal not empty
//!  orders ─► one batch to Redis ──ok──► answered      orders ─► journal ─► answered
//!              │ away, or lost: journal ─► answered     meanwhile its first page to Redis, again and again: ok ─► done,
//!                                                                           refused for good ─► moved aside, done
//! ```
//!
//! So a later push never overtakes waiting jobs. While a batch is in flight to Redis, new orders wait for the next
//! one: one round trip, or one write to the disk, for all of them.

use std::mem;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::Sender;

use super::super::Error;
use super::super::error::same;
use super::super::registered::Registered;
use super::inbox::{Answer, Event, Inbox, Order, Wanted};
use super::journal::{Journal, Page};
use super::parcel::Parcel;
use super::record::Record;
use super::rejected::Rejected;
use super::{OutboxStatus, Place};
use crate::client::journal_error::JournalError;
use crate::ids;
use crate::limits::OUTBOX_REFUSED_PAUSE;
use crate::net::{self, Backoff};
use crate::resp::{RedisErrorKind, Reply, Requests};
use crate::time::unix_now;
use crate::wire::Keyspace;

pub(super) struct Keeper {
    // Fixed at construction.
    inbox: Arc<Inbox>,
    keys: Keyspace,
    /// Marks the numbers assigned from now on: earlier openings have their own.
    opening: String,
    /// To the thread that owns the connection.
    courier: Option<Sender<Requests>>,
    courier_thread: Option<JoinHandle<()>>,
    // Changed by this thread only.
    journal: Journal,
    rejected: Rejected,
    next_number: u64,
    /// What the register of the server was told since Redis last took everything.
    registered: Registered,
    flight: Flight,
    backoff: Backoff,
    /// When the first page is retried; at once if `None`.
    retry_at: Option<Instant>,
    /// Why the journal is not empty.
    trouble: Option<String>,
}

/// What is in flight to Redis.
enum Flight {
    None,
    /// Orders with nothing waiting before them.
    Orders {
        orders: Vec<Order>,
        first_number: u64,
        parcel: Parcel,
    },
    /// The first page of the journal.
    Page {
        page: Page,
        parcel: Parcel,
    },
}

/// What happened to one job of a batch.
enum PushFate<'e> {
    Pushed,
    /// To be kept in the journal.
    Away,
    Refused(&'e Error),
}

/// Notifies everyone waiting for the thread when it ends, for whatever reason.
struct End(Arc<Inbox>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Keeper {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        keys: Keyspace,
        (journal, rejected): (Journal, Rejected),
        courier: Sender<Requests>,
        courier_thread: JoinHandle<()>,
    ) -> Self {
        let keeper = Self {
            inbox,
            keys,
            opening: ids::jid().to_string(),
            courier: Some(courier),
            courier_thread: Some(courier_thread),
            journal,
            rejected,
            next_number: 1,
            registered: Registered::default(),
            flight: Flight::None,
            backoff: Backoff::new(fastrand::u64(..)),
            retry_at: None,
            trouble: None,
        };
        // A caller that asks right after opening sees what was already waiting.
        keeper.publish();
        keeper
    }

    /// Runs until nobody pushes any longer. What is in the journal then stays there for the next opening.
    pub(super) fn run(mut self) {
        let _end = End(Arc::clone(&self.inbox));
        loop {
            self.send_page_if_due();
            match self.inbox.next(self.wanted()) {
                Event::Returned(result) => match mem::replace(&mut self.flight, Flight::None) {
                    Flight::None => {}
                    Flight::Orders { orders, first_number, parcel } => {
                        self.settle_orders(orders, first_number, &parcel, result);
                    }
                    Flight::Page { page, parcel } => self.settle_page(&page, &parcel, result),
                },
                Event::Orders(orders) if self.journal.is_empty() => self.send_orders(orders),
                Event::Orders(orders) => self.keep_orders(orders),
                Event::Due => {}
                Event::Closed => break,
            }
            self.publish();
        }
        // Without orders the courier ends.
        self.courier = None;
        if let Some(thread) = self.courier_thread.take() {
            // It is no more likely to panic than this thread; there is nobody to report to.
            let _ended = thread.join();
        }
    }

    fn wanted(&self) -> Wanted {
        let idle = matches!(self.flight, Flight::None);
        let page_waits = idle && !self.journal.is_empty() && !self.inbox.is_closing();
        Wanted {
            orders: !matches!(self.flight, Flight::Orders { .. }),
            closed: idle,
            until: if page_waits { Some(self.retry_at.unwrap_or_else(Instant::now)) } else { None },
        }
    }

    fn publish(&self) {
        let trouble = if self.journal.is_empty() { None } else { self.trouble.clone() };
        let (jobs, bytes, rejected) = (self.journal.len(), self.journal.bytes(), self.rejected.len());
        self.inbox.publish(OutboxStatus { jobs, bytes, trouble, rejected });
    }

    fn send(&self, requests: Requests) {
        let sent = self.courier.as_ref().is_some_and(|courier| courier.send(requests).is_ok());
        if !sent {
            // It died of a panic.
            self.inbox.give_back(Err(Error::Stopped { may_have_pushed: false }));
        }
    }

    fn send_orders(&mut self, orders: Vec<Order>) {
        let first_number = self.next_number;
        let jobs = orders.iter().flat_map(|order| &order.jobs);
        let mut requests = Requests::new();
        let numbered = (first_number..).zip(jobs).map(|(number, job)| (&*self.opening, number, job));
        let parcel = Parcel::write(self.keys, numbered, &mut requests);
        self.next_number += orders.iter().map(|order| order.jobs.len() as u64).sum::<u64>();
        for queue in orders.iter().flat_map(|order| &order.jobs).filter_map(|job| job.queue.as_ref()) {
            self.registered.name(self.keys, queue, unix_now, &mut requests);
        }
        self.flight = Flight::Orders { orders, first_number, parcel };
        self.send(requests);
    }

    fn settle_orders(
        &mut self,
        orders: Vec<Order>,
        first_number: u64,
        parcel: &Parcel,
        result: Result<Vec<Reply>, Error>,
    ) {
        let (fates, errors) = match result {
            Ok(replies) => parcel.read(&replies),
            Err(error) => (vec![Some(0); parcel.len()], vec![error]),
        };
        let fates = fates.into_iter().map(|fate| match fate {
            None => PushFate::Pushed,
            Some(at) if errors[at].may_heal() => PushFate::Away,
            Some(at) => PushFate::Refused(&errors[at]),
        });
        if let Some(error) = errors.iter().find(|error| error.may_heal()) {
            self.note_trouble(error);
        }
        if errors.is_empty() {
            self.trouble = None;
        }
        let lost = errors.iter().any(Error::may_have_pushed);
        self.settle(orders, first_number, fates, lost);
    }

    /// Puts orders behind what is already waiting.
    fn keep_orders(&mut self, orders: Vec<Order>) {
        let first_number = self.next_number;
        self.next_number += orders.iter().map(|order| order.jobs.len() as u64).sum::<u64>();
        self.settle(orders, first_number, std::iter::repeat_with(|| PushFate::Away), false);
    }

    /// Keeps what has to be kept, in one write, and answers everyone.
    fn settle<'e>(
        &mut self,
        orders: Vec<Order>,
        first_number: u64,
        fates: impl Iterator<Item = PushFate<'e>>,
        may_have_pushed: bool,
    ) {
        let mut lines = Vec::new();
        let mut kept = 0;
        let mut numbered = (first_number..).zip(fates);
        let mut answers = Vec::with_capacity(orders.len());
        for order in orders {
            let mut answer = Answer { accepted: 0, place: Place::Redis, failure: None };
            let mut own_lines = Vec::new();
            let mut own_kept = 0;
            for (job, (number, fate)) in order.jobs.iter().zip(&mut numbered) {
                match fate {
                    PushFate::Pushed => answer.accepted += 1,
                    PushFate::Away => {
                        Record::write(&self.opening, number, job, &mut own_lines);
                        own_kept += 1;
                    }
                    PushFate::Refused(error) => {
                        answer.failure = answer.failure.or_else(|| Some(refused(error)));
                    }
                }
            }
            let bytes = (lines.len() + own_lines.len()) as u64;
            if own_kept == 0 || self.journal.has_room(kept + own_kept, bytes) {
                lines.append(&mut own_lines);
                kept += own_kept;
            } else {
                own_kept = 0;
                answer.failure = Some(self.full(may_have_pushed));
            }
            answers.push((order.answer, answer, own_kept));
        }
        let written = if kept > 0 { self.journal.append(&lines, kept) } else { Ok(()) };
        // A caller that learns a job was kept finds it in the status.
        self.publish();
        for (sender, mut answer, own_kept) in answers {
            match &written {
                Ok(()) => answer.accepted += own_kept,
                Err(cause) if own_kept > 0 => {
                    answer.failure = Some(Error::Outbox { may_have_pushed, cause: cause.again() });
                }
                Err(_) => {}
            }
            if own_kept > 0 {
                answer.place = Place::Journal;
            }
            // A caller that has stopped waiting needs no answer.
            let _dropped = sender.send(answer);
        }
    }

    fn full(&self, may_have_pushed: bool) -> Error {
        let (jobs_max, bytes_max) = self.journal.bounds();
        let (jobs, bytes) = (self.journal.len(), self.journal.bytes());
        Error::OutboxFull { may_have_pushed, jobs, bytes, jobs_max, bytes_max }
    }

    fn send_page_if_due(&mut self) {
        let due = self.retry_at.is_none_or(|at| at <= Instant::now());
        let idle = matches!(self.flight, Flight::None);
        // When the program ends, the rest waits for the next opening, however long it is.
        if !due || !idle || self.journal.is_empty() || self.inbox.is_closing() {
            return;
        }
        let page = match self.journal.page() {
            Ok(page) => page,
            Err(error) => return self.cannot_read(&error),
        };
        let mut requests = Requests::new();
        let jobs = page.records.iter().map(|record| (&*record.opening, record.number, &record.job));
        let parcel = Parcel::write(self.keys, jobs, &mut requests);
        for queue in page.records.iter().filter_map(|record| record.job.queue.as_ref()) {
            self.registered.name(self.keys, queue, unix_now, &mut requests);
        }
        self.flight = Flight::Page { page, parcel };
        self.send(requests);
    }

    fn cannot_read(&mut self, error: &JournalError) {
        tracing::error!(%error, "cannot read the jobs of an outbox; they stay in its journal");
        self.trouble = Some(error.to_string());
        self.retry_at = Some(Instant::now() + OUTBOX_REFUSED_PAUSE);
    }

    fn settle_page(&mut self, page: &Page, parcel: &Parcel, result: Result<Vec<Reply>, Error>) {
        let (fates, errors) = match result {
            Ok(replies) => parcel.read(&replies),
            Err(error) => (vec![Some(0); parcel.len()], vec![error]),
        };
        // An error that does not heal is the one a person should see.
        let waits = |error: &&Error| !is_of_the_job(error);
        if let Some(error) =
            errors.iter().filter(waits).find(|error| !error.may_heal()).or(errors.iter().find(waits))
        {
            self.note_trouble(error);
            let pause = if error.may_heal() { self.backoff.pause() } else { OUTBOX_REFUSED_PAUSE };
            self.retry_at = Some(Instant::now() + pause);
            return;
        }
        if let Some(error) = errors.first()
            && !self.move_aside(page, &fates, error)
        {
            self.retry_at = Some(Instant::now() + OUTBOX_REFUSED_PAUSE);
            return;
        }
        self.backoff.reset();
        self.retry_at = None;
        if let Err(error) = self.journal.done(page) {
            tracing::warn!(%error, "cannot record what was pushed in an outbox; markers in redis prevent duplicates");
        }
        if self.journal.is_empty() {
            self.trouble = None;
            let path = self.journal.path().display();
            tracing::info!(%path, "an outbox is empty again: everything it kept is in redis");
        }
    }

    /// Puts the jobs of a page that Redis refused into the file of rejected jobs. If the record that the page is done
    /// is lost, they are refused again and appear there twice. `false` if they cannot be kept there, and wait.
    fn move_aside(&mut self, page: &Page, fates: &[Option<usize>], error: &Error) -> bool {
        let refused = page.records.iter().zip(fates).filter(|(_, fate)| fate.is_some());
        let refused: Vec<&Record> = refused.map(|(record, _)| record).collect();
        match self.rejected.add(&refused) {
            Ok(true) => {
                let (path, jobs) = (self.rejected.path().display(), refused.len());
                tracing::error!(%path, jobs, %error, "redis permanently refuses jobs of an outbox; moved them aside");
                true
            }
            Ok(false) => {
                self.note_trouble(error);
                self.trouble = Some(format!("{error}; {} is full", self.rejected.path().display()));
                false
            }
            Err(cause) => {
                self.note_trouble(error);
                self.trouble = Some(format!("{error}; {cause}"));
                false
            }
        }
    }

    /// Logs once when the trouble starts, and again when the reason changes.
    fn note_trouble(&mut self, error: &Error) {
        self.registered.forget();
        let (text, path) = (error.to_string(), self.journal.path().display());
        if self.trouble.is_none() {
            tracing::warn!(%path, error = %text, "keeping jobs in the outbox until redis accepts them");
        } else if !error.may_heal() && self.trouble.as_ref() != Some(&text) {
            tracing::error!(%path, error = %text, "redis refuses the first jobs of an outbox; all jobs after them wait");
        }
        self.trouble = Some(text);
    }
}

/// Whether an error concerns only the jobs it was returned for: their queue's key is of another type. Any other
/// error, for example a missing right, would affect every job, and ends when someone fixes it.
fn is_of_the_job(error: &Error) -> bool {
    matches!(error, Error::Redis(net::Error::Redis(error)) if error.kind() == RedisErrorKind::WrongType)
}

/// Copies the error for the next caller whose job it concerns.
fn refused(error: &Error) -> Error {
    match error {
        Error::Connect(cause) => Error::Connect(same(cause)),
        Error::Redis(cause) => Error::Redis(same(cause)),
        Error::Stopped { may_have_pushed } => Error::Stopped { may_have_pushed: *may_have_pushed },
        Error::Lost(cause) => Error::Lost(same(cause)),
        // A call returns no others.
        other => {
            Error::Lost(net::Error::Io { what: other.to_string(), cause: std::io::ErrorKind::Other.into() })
        }
    }
}
