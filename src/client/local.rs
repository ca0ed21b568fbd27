//! The client of one core, for jobs that push jobs.
//!
//! It never leaves its core and needs no lock. In a worker it pushes over its own connection ([`super::line`]); in a
//! test it keeps what is pushed in memory, where the test can read it.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::hooks::LocalHook;
use super::line::{Clock, Line, Order, Receipt};
use super::spelling::Spelling;
use super::tally::Tally;
use super::{Error, NewJob, Progress, Push, When};
use crate::job::{Schema, member};
use crate::limits::{JID_BYTES_MAX, PUSH_JOBS_MAX};
use crate::resp::RedisUrl;
use crate::time::{RedisClock, unix_now};

/// Pushes jobs from a worker's core, or into memory in a test. Cheap to clone.
///
/// ```
/// use jiggler_uring::{LocalClient, NewJob};
///
/// let client = LocalClient::in_memory();
/// futures_lite::future::block_on(async {
///     client.enqueue(&NewJob::new("Resize", &(42, 640))?.queue_named("img")?).await
/// })?;
/// let pushed = client.pushed();
/// assert_eq!((&*pushed[0].name, &*pushed[0].queue, pushed[0].args()), ("Resize", "img", Some((42, 640))));
/// # Ok::<_, jiggler_uring::client::Error>(())
/// ```
#[derive(Clone)]
pub struct LocalClient(Rc<Shared>);

struct Shared {
    hooks: Vec<LocalHook>,
    target: Target,
}

enum Target {
    Redis(Line),
    Memory(RefCell<Memory>),
}

#[derive(Default)]
struct Memory {
    /// Unix time, where a test sets it.
    now: Option<f64>,
    pushed: Vec<Pushed>,
    progress: Vec<(String, Progress)>,
}

/// A job that was pushed into memory.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pushed {
    /// Its name.
    pub name: String,
    /// Its jid.
    pub jid: String,
    /// The queue it would have been pushed into, or moved to once due.
    pub queue: String,
    /// When it is due, Unix time in seconds; `None` for now.
    pub due_at: Option<f64>,
    /// The bytes that would be in Redis.
    pub payload: Vec<u8>,
}

impl Pushed {
    /// Its arguments as a tuple or a `Vec`; `None` if they are not a `T`.
    #[must_use]
    pub fn args<T: DeserializeOwned>(&self) -> Option<T> {
        member(&self.payload, Schema::default().names().args)
    }
}

impl LocalClient {
    /// A client that connects to this server at its first push; `name` is shown by `CLIENT LIST`. It must be used on
    /// an executor of this crate: in a handler, or in what a factory builds for handlers.
    #[must_use]
    pub fn connecting(url: RedisUrl, name: impl Into<String>) -> Self {
        let (spelling, clock) = (Spelling::usual(&url), Clock::Own(Arc::default()));
        Self::with(Target::Redis(Line::new(spelling, url, name.into(), clock)), Vec::new())
    }

    /// The same where it is written so, for a process that knows the clock of this server.
    pub(crate) fn reckoning(spelling: Spelling, url: RedisUrl, name: String, clock: Arc<RedisClock>) -> Self {
        Self::with(Target::Redis(Line::new(spelling, url, name, Clock::Kept(clock))), Vec::new())
    }

    /// A client that keeps what is pushed in memory, for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::with(Target::Memory(RefCell::default()), Vec::new())
    }

    fn with(target: Target, hooks: Vec<LocalHook>) -> Self {
        Self(Rc::new(Shared { hooks, target }))
    }

    /// The same client with hooks, if nothing else holds it; otherwise it is unchanged.
    pub(crate) fn hooked(self, hooks: Vec<LocalHook>) -> Self {
        match Rc::try_unwrap(self.0) {
            Ok(shared) => Self::with(shared.target, hooks),
            Err(shared) => Self(shared),
        }
    }

    /// Pushes a job to be run as soon as a worker is free, and returns its jid. One round trip, shared by
    /// simultaneous pushes; atomic. Waits while [`PUSH_JOBS_MAX`] others are waiting to be sent.
    ///
    /// # Errors
    /// As [`Client::enqueue`](super::Client::enqueue). Nothing is retried.
    ///
    /// # Cancel-safety
    /// Safe: a dropped push may or may not have been made, or may still be made.
    pub async fn enqueue<J: Push + ?Sized>(&self, job: &J) -> Result<String, Error> {
        self.submit(When::Now, &*job.to_push()?).await?.done().await
    }

    /// Schedules a job to be run `delay` from now by Redis's clock, and returns its jid. A worker knows that clock; a
    /// client of one's own asks for it, at its first delay and once a minute.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_in<J: Push + ?Sized>(&self, delay: Duration, job: &J) -> Result<String, Error> {
        if let Target::Redis(line) = &self.0.target {
            line.read_clock().await?;
        }
        self.enqueue_at(self.now() + delay.as_secs_f64(), job).await
    }

    /// How payloads are written here.
    pub(crate) fn schema(&self) -> Schema {
        match &self.0.target {
            Target::Redis(line) => line.schema(),
            Target::Memory(_) => Schema::default(),
        }
    }

    /// Unix time by Redis's clock, as far as that is known.
    pub(crate) fn now(&self) -> f64 {
        match &self.0.target {
            Target::Redis(line) => line.now(),
            Target::Memory(memory) => memory.borrow().now.unwrap_or_else(unix_now),
        }
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds, and returns its jid.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), and [`Error::BadTime`] for a time that is not finite.
    pub async fn enqueue_at<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Result<String, Error> {
        self.submit(When::at(due_at)?, &*job.to_push()?).await?.done().await
    }

    /// Pushes many jobs in order, and returns how many. Each is a separate command; up to [`PUSH_JOBS_MAX`] share a
    /// round trip.
    ///
    /// # Errors
    /// [`Error::Bulk`] says how many jobs were certainly pushed, how many may have been, and why it ended there.
    pub async fn enqueue_bulk<J: Borrow<NewJob>>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        let mut tally = Tally::default();
        let mut jobs = jobs.into_iter();
        loop {
            let mut receipts = Vec::new();
            let mut refused = None;
            for job in jobs.by_ref().take(PUSH_JOBS_MAX) {
                match self.submit(When::Now, job.borrow()).await {
                    Ok(receipt) => receipts.push(receipt),
                    Err(error) => {
                        refused = Some(error);
                        break;
                    }
                }
            }
            let ended = receipts.is_empty();
            for receipt in receipts {
                match receipt.done().await {
                    Ok(_) => tally.pushed(1),
                    Err(error) => tally.missed(0, 1, error),
                }
                tally.end_of_batch(1);
            }
            if let Some(error) = refused {
                tally.stopped(error);
            }
            if ended || tally.has_failed() {
                return tally.end();
            }
        }
    }

    /// What was pushed into memory, oldest first; empty for a client that connects.
    #[must_use]
    pub fn pushed(&self) -> Vec<Pushed> {
        self.memory().map(|memory| memory.borrow().pushed.clone()).unwrap_or_default()
    }

    /// Takes what was pushed into memory, oldest first.
    #[must_use]
    pub fn take_pushed(&self) -> Vec<Pushed> {
        self.memory().map(|memory| std::mem::take(&mut memory.borrow_mut().pushed)).unwrap_or_default()
    }

    /// The progress that jobs reported in memory, with their jids, oldest first.
    #[must_use]
    pub fn progress(&self) -> Vec<(String, Progress)> {
        self.memory().map(|memory| memory.borrow().progress.clone()).unwrap_or_default()
    }

    /// From now on delays of what is pushed into memory count from this Unix time.
    pub(crate) fn set_clock(&self, now: f64) {
        if let Some(memory) = self.memory() {
            memory.borrow_mut().now = Some(now);
        }
    }

    fn memory(&self) -> Option<&RefCell<Memory>> {
        match &self.0.target {
            Target::Memory(memory) => Some(memory),
            Target::Redis(_) => None,
        }
    }

    /// Sends a job's progress without waiting; it is dropped while too much else is waiting.
    pub(crate) fn report(&self, jid: &str, progress: &Progress) {
        if jid.is_empty() || jid.len() > JID_BYTES_MAX {
            return;
        }
        match &self.0.target {
            Target::Redis(line) => {
                line.offer(Order::Report { jid: jid.to_owned(), json: progress.to_json() });
            }
            Target::Memory(memory) => {
                memory.borrow_mut().progress.push((jid.to_owned(), progress.clone()));
            }
        }
    }

    async fn submit(&self, when: When, job: &NewJob) -> Result<Pending, Error> {
        let hooked;
        let job = if self.0.hooks.is_empty() {
            job
        } else {
            hooked = self.0.hooks.iter().try_fold(job.clone(), |job, hook| hook(job))?;
            &hooked
        };
        let mut payload = Vec::new();
        let jid = job.write_for(self.schema(), when, &mut payload)?;
        let queue = job.queue().clone();
        match &self.0.target {
            Target::Redis(line) => {
                let order = Order::Push { queue, when, payload };
                Ok(Pending { jid, receipt: Some(line.submit(order).await) })
            }
            Target::Memory(memory) => {
                let due_at = when.due_at();
                let name = job.name().to_owned();
                let queue = queue.as_str().to_owned();
                memory.borrow_mut().pushed.push(Pushed { name, jid: jid.clone(), queue, due_at, payload });
                Ok(Pending { jid, receipt: None })
            }
        }
    }
}

/// A push in flight.
struct Pending {
    jid: String,
    /// `None` once it has arrived.
    receipt: Option<Receipt>,
}

impl Pending {
    async fn done(self) -> Result<String, Error> {
        if let Some(receipt) = self.receipt {
            receipt.await?;
        }
        Ok(self.jid)
    }
}

#[cfg(test)]
mod tests;
