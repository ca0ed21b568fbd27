//! Pushing jobs from Rust programs and the command line, like the gem's client does from Ruby.
//!
//! Responsible for making payloads and for the connections that carry them. Nothing is sent twice: after some failures it
//! is not known whether the job was pushed ([`Error`] says which), and pushing again might run it twice.
//!
//! Which client to use: a program with threads takes a [`ClientPool`], a single-threaded one can do with a
//! [`Client`], a program on tokio takes the `TokioClient` (feature `tokio`), and a job that pushes jobs has
//! [`Ctx::enqueue`](crate::Ctx::enqueue). If a push must neither be lost while Redis is away nor be made twice, use
//! an [`Outbox`]. All of them write the same bytes.

mod error;
mod job;
mod journal_error;
mod link;
mod payload;
mod reckoning;
mod registered;
mod router;
// Bulks.
mod flight;
mod spelling;
mod tally;
mod waiting;
// Jobs as structs.
mod fields;
mod typed;
// Code around enqueueing.
mod hooks;
// Many connections, or none for a while.
pub mod outbox;
mod pool;
#[cfg(feature = "tokio")]
mod tokio_bulk;
#[cfg(feature = "tokio")]
mod tokio_client;
#[cfg(feature = "tokio")]
mod tokio_driver;
// From inside a job.
mod line;
mod local;
mod progress;

use std::{
    borrow::{Borrow, Cow},
    fmt,
    time::Duration,
};

#[cfg(feature = "tokio")]
pub use self::tokio_client::{TokioClient, TokioOptions};
pub use self::{
    error::{Error, InvalidJob},
    job::NewJob,
    local::{LocalClient, Pushed},
    outbox::{Outbox, OutboxOptions},
    pool::{ClientPool, PoolOptions, PooledClient},
    progress::Progress,
    typed::{Job, JobType, Push},
};
pub use crate::wire::Dialect;
pub(crate) use hooks::LocalHook;
pub(crate) use spelling::Spelling;
pub(crate) use {flight::Flight, payload::JobText, waiting::Waiting};

use crate::{
    job::Schema,
    net::blocking::BlockingOptions,
    resp::{encode::Requests, url::RedisUrl},
    store::enqueue::{self, When},
    store::{cancel, progress as reports},
    wire::QueueName,
};
use hooks::ClientHook;
use link::Link;

/// A producer with one blocking connection.
///
/// ```no_run
/// use jiggler_uring::client::{Client, NewJob};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut client = Client::connect("redis://localhost:6379/0")?;
/// let jid = client.enqueue(&NewJob::new("ResizeImage", &(42, 640, "png"))?.queue_named("img")?.retries(5)?)?;
/// println!("pushed {jid}");
/// # Ok(())
/// # }
/// ```
pub struct Client {
    // Fixed at construction.
    hooks: Vec<ClientHook>,
    // Changed by calls only.
    link: Link,
    requests: Requests,
    payload: Vec<u8>,
}

impl Client {
    /// Connects to the server of a url such as `redis://:password@host:6379/0` or `unix:///path/to.sock?db=0`.
    ///
    /// # Errors
    /// [`Error::Url`], or [`Error::Connect`] if no connection could be made.
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(&RedisUrl::parse(url)?, BlockingOptions::default())
    }

    /// Connects with a parsed url and your own time-outs.
    ///
    /// # Errors
    /// [`Error::Connect`] if no connection could be made.
    pub fn connect_with(url: &RedisUrl, options: BlockingOptions) -> Result<Self, Error> {
        let mut client = Self::lazy(url, options);
        client.link.open()?;
        Ok(client)
    }

    /// A client that connects at its first call, for a program that must start while Redis is away.
    #[must_use]
    pub fn lazy(url: &RedisUrl, options: BlockingOptions) -> Self {
        Self::lazy_in(Spelling::usual(url), url, options)
    }

    /// The same where it is written so.
    pub(crate) fn lazy_in(spelling: Spelling, url: &RedisUrl, options: BlockingOptions) -> Self {
        let link = Link::new(spelling, url.clone(), options);
        Self { hooks: Vec::new(), link, requests: Requests::new(), payload: Vec::new() }
    }

    /// Connects, for a client that has not yet.
    ///
    /// # Errors
    /// [`Error::Connect`] if no connection comes about.
    pub(crate) fn connect_now(&mut self) -> Result<(), Error> {
        self.link.open()
    }

    /// The same client for a Redis that programs of this gem share, in place of those of `jiggler`: keys and payloads are
    /// theirs.
    ///
    /// ```no_run
    /// use jiggler_uring::Client;
    /// use jiggler_uring::client::Dialect;
    ///
    /// let mut client = Client::connect("redis://localhost:6379")?.speaking(Dialect::Sidekiq);
    /// # Ok::<_, jiggler_uring::client::Error>(())
    /// ```
    ///
    /// Not Sidekiq's in a Redis Cluster: its keys have no hash tags, and Redis refuses each push there.
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.speak(dialect);
        self
    }

    fn speak(&mut self, dialect: Dialect) {
        self.link.speak(Spelling::of(dialect, self.link.url()));
    }

    /// How its payloads are written.
    pub(crate) const fn schema(&self) -> Schema {
        self.link.schema()
    }

    fn set_hooks(&mut self, hooks: Vec<ClientHook>) {
        self.hooks = hooks;
    }

    /// Whether there is no connection, or the last call broke it: the next call connects.
    fn is_down(&self) -> bool {
        self.link.is_down()
    }

    /// Passes every job that is pushed through `hook` first, which may change or refuse it ([`InvalidJob::refused`]).
    /// Several hooks are called in the order they were added.
    ///
    /// ```no_run
    /// use jiggler_uring::Client;
    ///
    /// let client = Client::connect("redis://localhost:6379")?
    ///     .on_enqueue(|job| if job.name().starts_with("Report::") { job.queue_named("reports") } else { Ok(job) });
    /// # Ok::<_, jiggler_uring::client::Error>(())
    /// ```
    #[must_use]
    pub fn on_enqueue(
        mut self,
        hook: impl Fn(NewJob) -> Result<NewJob, InvalidJob> + Send + 'static,
    ) -> Self {
        self.hooks.push(Box::new(hook));
        self
    }

    /// Ends the job with this jid if it is running now, in the database of the url, and returns how many processes
    /// were notified. Where it runs, it is dropped at its next await point and goes to the dead set with class
    /// `JigglerUring::Cancelled`; it is not retried. A job waiting in a queue or a set is left alone, and one that
    /// has ended in the meantime cannot be cancelled. One round trip.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Redis`], [`Error::Lost`].
    pub fn cancel(&mut self, jid: &str) -> Result<u64, Error> {
        self.requests.clear();
        cancel::publish(self.link.keys(), self.link.url().database(), jid, &mut self.requests);
        cancel::told(&self.link.call_one(&self.requests)?).map_err(Error::of_call)
    }

    /// The last progress a job reported; `None` if it has reported none for an hour. One round trip.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Redis`], [`Error::Lost`].
    pub fn progress(&mut self, jid: &str) -> Result<Option<Progress>, Error> {
        self.requests.clear();
        reports::ask(self.link.keys(), jid, &mut self.requests);
        let reply = self.link.call_one(&self.requests)?;
        Progress::reported(&reply)
    }

    /// Pushes a job to be run as soon as a worker is free, and returns its jid. One round trip, atomic.
    ///
    /// # Errors
    /// Each variant of [`Error`] documents whether the job may have been pushed and whether a later attempt may
    /// succeed; after a lost connection the next call reconnects.
    pub fn enqueue<J: Push + ?Sized>(&mut self, job: &J) -> Result<String, Error> {
        self.one(When::Now, &*job.to_push()?)
    }

    /// Schedules a job to be run `delay` from now by Redis's clock, and returns its jid: a clock of this machine that is
    /// wrong makes it neither late nor early. One round trip, atomic; one more for the first of a connection and of each
    /// minute, which asks Redis for its time.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub fn enqueue_in<J: Push + ?Sized>(&mut self, delay: Duration, job: &J) -> Result<String, Error> {
        let due_at = self.due_in(delay)?;
        self.enqueue_at(due_at, job)
    }

    /// Unix time, so much from now by Redis's clock.
    pub(crate) fn due_in(&mut self, delay: Duration) -> Result<f64, Error> {
        Ok(self.link.now()? + delay.as_secs_f64())
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds, and returns its jid. One round trip, atomic. A
    /// time in the past means as soon as a poller checks.
    ///
    /// # Errors
    /// As [`Self::enqueue`], and [`Error::BadTime`] for a time that is not finite.
    pub fn enqueue_at<J: Push + ?Sized>(&mut self, due_at: f64, job: &J) -> Result<String, Error> {
        self.one(When::at(due_at)?, &*job.to_push()?)
    }

    fn one(&mut self, when: When, job: &NewJob) -> Result<String, Error> {
        let (jid, queue) = self.write_payload(job, when)?;
        let push = enqueue::Push { keys: self.link.keys(), queue: &queue, when };
        self.requests.clear();
        push.one(&self.payload, &mut self.requests);
        self.link.name(&queue, &mut self.requests);
        when.read(&self.link.call_first(&self.requests)?).map_err(Error::of_call)?;
        Ok(jid)
    }

    /// Pushes many jobs into their queues, in order, and returns how many. They go in batches of
    /// [`PUSH_JOBS_MAX`](crate::limits::PUSH_JOBS_MAX) jobs or [`PUSH_BYTES_MAX`](crate::limits::PUSH_BYTES_MAX)
    /// bytes of payloads, of which [`BULK_BATCHES_IN_FLIGHT_MAX`](crate::limits::BULK_BATCHES_IN_FLIGHT_MAX) are in
    /// flight at once; atomic only within one queue and batch.
    ///
    /// # Errors
    /// [`Error::Bulk`] says how many jobs were certainly pushed, how many may have been, and why it ended there.
    pub fn enqueue_bulk<J: Borrow<NewJob>>(
        &mut self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        self.bulk(When::Now, jobs)
    }

    /// Schedules many jobs for the same time, and returns how many. Batches and atomicity are as for
    /// [`Self::enqueue_bulk`].
    ///
    /// # Errors
    /// As [`Self::enqueue_bulk`], and [`Error::BadTime`] for a time that is not finite.
    pub fn enqueue_bulk_at<J: Borrow<NewJob>>(
        &mut self,
        due_at: f64,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        self.bulk(When::at(due_at)?, jobs)
    }

    /// Schedules many jobs to be run evenly spread over `over` from now, by Redis's clock and in no particular order, and
    /// returns how many: a herd that would otherwise be due at once. Batches and atomicity are as for
    /// [`Self::enqueue_bulk`].
    ///
    /// # Errors
    /// As [`Self::enqueue_bulk`], and those of asking Redis for its time.
    pub fn enqueue_bulk_spread<J: Borrow<NewJob>>(
        &mut self,
        over: Duration,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        let when = self.when(None, Some(over))?;
        self.bulk(when, jobs)
    }

    /// At this Unix time, or now; if there is an `over`, spread over so long from then on.
    pub(crate) fn when(&mut self, due_at: Option<f64>, over: Option<Duration>) -> Result<When, Error> {
        let Some(over) = over else { return due_at.map_or(Ok(When::Now), When::at) };
        let from = due_at.map_or_else(|| self.link.now(), Ok)?;
        When::at(from)?;
        Ok(When::Over { from, seconds: over.as_secs_f64() })
    }

    /// A bulk whose jobs were written elsewhere: hooks do not see them.
    pub(crate) fn flight(&mut self, when: When) -> Flight<'_> {
        Flight::new(&mut self.link, &mut self.requests, when)
    }

    pub(crate) fn bulk<J: Borrow<NewJob>>(
        &mut self,
        when: When,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        let Self { hooks, link, requests, .. } = self;
        let schema = link.schema();
        let mut flight = Flight::new(link, requests, when);
        let mut batch = flight.batch();
        for job in jobs {
            let added = hooked(hooks, job.borrow())
                .and_then(|job| batch.add(job.queue(), |payload| job.write_one(schema, when, payload)));
            if let Err(error) = added {
                // Jobs accepted before a bad one are still pushed: the count says where it ended.
                flight.send(batch);
                flight.stop(error.into());
                return flight.end();
            }
            if batch.is_full() {
                if !flight.send(batch) {
                    return flight.end();
                }
                batch = flight.batch();
            }
        }
        flight.send(batch);
        flight.end()
    }

    /// Writes the payload; returns its jid, and its queue, which hooks may have changed.
    fn write_payload<'j>(
        &mut self,
        job: &'j NewJob,
        when: When,
    ) -> Result<(String, Cow<'j, QueueName>), Error> {
        self.payload.clear();
        let job = hooked(&self.hooks, job)?;
        let jid = job.write_for(self.link.schema(), when, &mut self.payload)?;
        let queue = match job {
            Cow::Borrowed(job) => Cow::Borrowed(job.queue()),
            Cow::Owned(job) => Cow::Owned(job.queue().clone()),
        };
        Ok((jid, queue))
    }
}

/// The job as the hooks leave it.
fn hooked<'j>(hooks: &[ClientHook], job: &'j NewJob) -> Result<Cow<'j, NewJob>, InvalidJob> {
    if hooks.is_empty() {
        return Ok(Cow::Borrowed(job));
    }
    hooks.iter().try_fold(job.clone(), |job, hook| hook(job)).map(Cow::Owned)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", self.link.url())
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}

impl When {
    /// # Errors
    /// [`Error::BadTime`] for a time that is not finite.
    fn at(due_at: f64) -> Result<Self, Error> {
        if due_at.is_finite() { Ok(Self::At(due_at)) } else { Err(Error::BadTime { due_at }) }
    }
}

#[cfg(test)]
mod tests;
