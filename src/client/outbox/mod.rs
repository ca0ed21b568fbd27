//! Pushes that survive an outage of Redis: a journal on the producer's disk.
//!
//! Reading order: `record` and `lines` are the format, `journal` the file, `rejected` the file for what Redis
//! refuses, `inbox` what arrives, `parcel` what goes to Redis, `keeper` the thread between them. A second thread owns
//! the connection, so that a hanging Redis does not hold up writes to the journal.

mod inbox;
mod journal;
mod keeper;
mod lines;
mod options;
mod parcel;
mod record;
mod rejected;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use futures_channel::oneshot;
use futures_lite::future::block_on;

use self::inbox::{Answer, Inbox, Order};
use self::journal::Journal;
use self::keeper::Keeper;
pub use self::options::{Accepted, Durability, OutboxOptions, OutboxStatus, Place};
use self::record::Job;
use self::rejected::Rejected;
use super::hooks::SharedHooks;
pub use super::journal_error::JournalError;
use super::link::Link;
use super::spelling::Spelling;
use super::{Error, InvalidJob, NewJob, Push, When};
use crate::limits::{PUSH_BYTES_MAX, PUSH_JOBS_MAX};
use crate::resp::Requests;
use crate::resp::url::RedisUrl;
use crate::time::RedisClock;

/// A producer that accepts jobs while Redis is away. Cheap to clone; for threads and for tasks on any runtime.
///
/// ```no_run
/// use jiggler_uring::{NewJob, Outbox};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let outbox = Outbox::open("/var/lib/shop/outbox", "redis://localhost:6379")?;
/// let accepted = outbox.enqueue(&NewJob::new("SendInvoice", &[42])?.retries(5)?)?;
/// println!("{} is in {:?}", accepted.jid, accepted.place);
/// # Ok(())
/// # }
/// ```
///
/// While Redis answers, pushes go to it. When it does not, they go to a journal, a local file; a thread sends them to
/// Redis in order once it is back. While jobs are waiting there, later ones queue up behind them, so that none
/// overtakes another.
///
/// # What it promises
///
/// - An accepted job is in Redis or in the journal, and survives what [`Durability`] says. A killed program pushes it
///   to Redis when it opens the journal again.
/// - It is pushed **once**, even if the answer to its first attempt was lost: every push carries a number, and Redis
///   keeps the last one alongside the queue, changed in one step with it (`{jiggler:list:<queue>}:outbox:<id>`).
///   Redis forgets it [`OUTBOX_MEMORY`](crate::limits::OUTBOX_MEMORY) (30 days) after the last push: a program that
///   went down between a push and recording it, and comes back later than that, repeats that push. So it does if
///   somebody deletes these keys, or lets Redis evict them.
/// - A refusal by Redis that does not pass by itself (`WRONGTYPE`, a wrong password) is not an outage: the push fails
///   and nothing is kept. Jobs in the journal whose queue's key is not a list are moved aside so that they do not
///   hold up the others: into a file next to the journal, with `.rejected` added to its name, which is also a
///   journal. To push them once the key is fixed, open that file as an outbox while this one is closed. It may hold
///   as many jobs and bytes as the journal; beyond that, and after any other refusal (a missing right), they wait,
///   along with everything after them. [`status`](Self::status) and the log say which, how many and why. A job whose
///   first attempt was answered, but whose answer was lost before the key went wrong, may be pushed twice this way.
/// - When the journal is full, a push fails with [`Error::OutboxFull`].
/// - If a push fails, [`Error::may_have_pushed`] says whether Redis may have it anyway.
///
/// A push waits [`OUTBOX_PATIENCE`](crate::limits::OUTBOX_PATIENCE) for a connection and as long for an answer, once;
/// from then on new pushes are kept at once, until Redis is back. Each process needs its own journal, on a local file
/// system: a second process is refused. It costs two threads, which sleep while nothing is pushed.
#[derive(Clone)]
pub struct Outbox {
    handle: Arc<Handle>,
    hooks: SharedHooks,
}

/// What all clones share; dropping the last one ends the thread.
struct Handle {
    inbox: Arc<Inbox>,
    path: PathBuf,
    spelling: Spelling,
    /// Redis's.
    clock: Arc<RedisClock>,
    thread: Option<JoinHandle<()>>,
}

impl Outbox {
    /// Opens the journal at a path, creating it if needed, for the server of a url; next to it, a file of that name
    /// with `.lock` is created. It does not connect yet, unless jobs are already waiting.
    ///
    /// # Errors
    /// [`Error::Url`]; [`Error::Outbox`] if the journal cannot be opened, is damaged, or is in use.
    pub fn open(path: impl AsRef<Path>, url: &str) -> Result<Self, Error> {
        Self::open_with(path, &RedisUrl::parse(url)?, OutboxOptions::default())
    }

    /// Opens it with a parsed url and options.
    ///
    /// # Errors
    /// [`Error::Outbox`].
    pub fn open_with(path: impl AsRef<Path>, url: &RedisUrl, options: OutboxOptions) -> Result<Self, Error> {
        let (path, spelling) = (path.as_ref(), Spelling::of(options.dialect, url));
        let failed = |cause| Error::Outbox { may_have_pushed: false, cause };
        let journal = Journal::open(path, &options).map_err(failed)?;
        let rejected = Rejected::open(path, &options).map_err(failed)?;
        let inbox = Arc::new(Inbox::default());
        let spawned = |cause| failed(JournalError::io("start a thread for", path, cause));
        let (courier, requests) = crossbeam_channel::bounded::<Requests>(1);
        let mut link = Link::new(spelling, url.clone(), options.connection);
        let clock = Arc::clone(link.clock());
        let courier_thread = Builder::new().name("outbox-redis".to_owned()).spawn({
            let inbox = Arc::clone(&inbox);
            move || {
                for requests in requests {
                    let replies = link.call(&requests);
                    let answers = replies.is_ok();
                    inbox.give_back(replies);
                    if answers {
                        // If that fails, so will the next push, and be told.
                        let _maybe = link.read_clock();
                    }
                }
            }
        });
        let files = (journal, rejected);
        let keeper =
            Keeper::new(Arc::clone(&inbox), spelling.keys, files, courier, courier_thread.map_err(spawned)?);
        let thread = Builder::new().name("outbox".to_owned()).spawn(move || keeper.run()).map_err(spawned)?;
        let handle = Handle { inbox, path: path.to_owned(), spelling, clock, thread: Some(thread) };
        Ok(Self { handle: Arc::new(handle), hooks: SharedHooks::default() })
    }

    /// Passes every job that this handle, or a clone of it, pushes through `hook` first; see
    /// [`Client::on_enqueue`](super::Client::on_enqueue).
    #[must_use]
    pub fn on_enqueue(
        mut self,
        hook: impl Fn(NewJob) -> Result<NewJob, InvalidJob> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.add(hook);
        self
    }

    /// Pushes a job, or keeps it until it can be pushed.
    ///
    /// # Errors
    /// [`Error::Job`]; an error from Redis; [`Error::OutboxFull`]; [`Error::Outbox`] if the journal cannot be
    /// written.
    pub fn enqueue<J: Push + ?Sized>(&self, job: &J) -> Result<Accepted, Error> {
        block_on(self.enqueue_async(job))
    }

    /// Schedules a job to be run `delay` from now, whenever it reaches Redis: by Redis's clock as far as it is known, which
    /// it is once anything was pushed; before that by the clock of this host. Redis is asked for its time behind a push,
    /// once a minute at most, so that no push waits for it.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_in<J: Push + ?Sized>(&self, delay: Duration, job: &J) -> Result<Accepted, Error> {
        block_on(self.enqueue_in_async(delay, job))
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds. If it reaches Redis later than that, it is due at
    /// once.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), and [`Error::BadTime`] for a time that is not finite.
    pub fn enqueue_at<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Result<Accepted, Error> {
        block_on(self.enqueue_at_async(due_at, job))
    }

    /// Pushes many jobs in order, and returns how many were accepted; up to [`PUSH_JOBS_MAX`] share a round trip, or
    /// a write to the journal.
    ///
    /// # Errors
    /// [`Error::Bulk`] says how many were accepted and why it ended there.
    pub fn enqueue_bulk<J: Borrow<NewJob>>(&self, jobs: impl IntoIterator<Item = J>) -> Result<u64, Error> {
        block_on(self.enqueue_bulk_async(jobs))
    }

    /// Schedules many jobs to be run at `due_at`, Unix time in seconds; as [`enqueue_bulk`](Self::enqueue_bulk).
    ///
    /// # Errors
    /// As there, and [`Error::BadTime`].
    pub fn enqueue_bulk_at<J: Borrow<NewJob>>(
        &self,
        due_at: f64,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        block_on(self.enqueue_bulk_at_async(due_at, jobs))
    }

    /// As [`enqueue`](Self::enqueue), for async code on any runtime.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel-safety
    /// Safe: a dropped push may or may not have been accepted, or may still be.
    pub async fn enqueue_async<J: Push + ?Sized>(&self, job: &J) -> Result<Accepted, Error> {
        self.one(When::Now, job.to_push()?).await
    }

    /// As [`enqueue_in`](Self::enqueue_in), for async code on any runtime.
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue_in_async<J: Push + ?Sized>(
        &self,
        delay: Duration,
        job: &J,
    ) -> Result<Accepted, Error> {
        self.enqueue_at_async(self.handle.clock.now() + delay.as_secs_f64(), job).await
    }

    /// As [`enqueue_at`](Self::enqueue_at), for async code on any runtime.
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue_at_async<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Result<Accepted, Error> {
        self.one(When::at(due_at)?, job.to_push()?).await
    }

    /// As [`enqueue_bulk`](Self::enqueue_bulk), for async code on any runtime.
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue_bulk_async<J: Borrow<NewJob>>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        self.many(When::Now, jobs).await
    }

    /// As [`enqueue_bulk_at`](Self::enqueue_bulk_at), for async code on any runtime.
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue_bulk_at_async<J: Borrow<NewJob>>(
        &self,
        due_at: f64,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        self.many(When::at(due_at)?, jobs).await
    }

    /// How many jobs are waiting in the journal, and why.
    #[must_use]
    pub fn status(&self) -> OutboxStatus {
        self.handle.inbox.status()
    }

    /// Waits until the journal is empty, for example before a program ends; `false` if that takes longer than
    /// `timeout`. Nothing is lost in that case: the next opening continues.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        self.handle.inbox.wait_emptied(timeout)
    }

    async fn many<J: Borrow<NewJob>>(
        &self,
        when: When,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        let mut accepted = 0;
        let mut jobs = jobs.into_iter();
        loop {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            let mut bad = None;
            while chunk.len() < PUSH_JOBS_MAX && bytes < PUSH_BYTES_MAX {
                let Some(job) = jobs.next() else { break };
                match self.payload(when, Cow::Borrowed(job.borrow())) {
                    Ok((_, job)) => {
                        bytes += job.payload.len();
                        chunk.push(job);
                    }
                    Err(error) => {
                        bad = Some(error);
                        break;
                    }
                }
            }
            let ended = chunk.is_empty();
            if !ended {
                let (before, offered) = (accepted, chunk.len() as u64);
                let cause = match self.submit(chunk).await {
                    Ok(answer) => {
                        accepted += answer.accepted;
                        answer.failure
                    }
                    Err(cause) => Some(cause),
                };
                if let Some(cause) = cause {
                    let missed = offered.saturating_sub(accepted - before);
                    let in_doubt = if cause.may_have_pushed() { missed } else { 0 };
                    return Err(ended_early(accepted, before, in_doubt, cause));
                }
            }
            match bad {
                Some(cause) => return Err(ended_early(accepted, accepted, 0, cause)),
                None if ended => return Ok(accepted),
                None => {}
            }
        }
    }

    async fn one(&self, when: When, job: Cow<'_, NewJob>) -> Result<Accepted, Error> {
        let (jid, job) = self.payload(when, job)?;
        let answer = self.submit(vec![job]).await?;
        match answer.failure {
            Some(error) => Err(error),
            None => Ok(Accepted { jid, place: answer.place }),
        }
    }

    fn payload(&self, when: When, job: Cow<'_, NewJob>) -> Result<(String, Job), Error> {
        let job = self.hooks.apply(job)?;
        let mut payload = Vec::new();
        let jid = job.write_for(self.handle.spelling.schema, when, &mut payload)?;
        let is_needed = when == When::Now || self.handle.spelling.keys.is_cluster();
        let queue = is_needed.then(|| job.queue().clone());
        Ok((jid, Job { queue, due_at: when.due_at(), payload }))
    }

    async fn submit(&self, jobs: Vec<Job>) -> Result<Answer, Error> {
        let (answer, receipt) = oneshot::channel();
        self.handle.inbox.submit(Order { jobs, answer }).await?;
        // The thread answers everything it takes, unless it dies of a bug.
        receipt.await.map_err(|_| Error::Stopped { may_have_pushed: true })
    }
}

/// If not all jobs of a chunk were accepted, it is not known which were: only earlier chunks count as leading.
fn ended_early(enqueued: u64, leading: u64, in_doubt: u64, cause: Error) -> Error {
    Error::Bulk { enqueued, leading, in_doubt, cause: Box::new(cause) }
}

impl Drop for Handle {
    /// Waits until outstanding orders are settled: as long as one attempt at Redis may take.
    fn drop(&mut self) {
        self.inbox.close();
        if let Some(thread) = self.thread.take() {
            // If it died, it has notified everyone who was waiting.
            let _ended = thread.join();
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("path", &self.handle.path)
            .field("status", &self.status())
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
