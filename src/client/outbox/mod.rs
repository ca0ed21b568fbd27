//! Pushes that outlast an outage of Redis: a journal on the disk of the producer.
//!
//! Reading order: [`record`] and [`lines`] are the format, [`journal`] the file, [`inbox`] what comes, [`parcel`] what goes
//! to Redis, [`keeper`] the thread between them. A second thread has the connection, so that a Redis that hangs holds up no
//! write to the journal.

mod error;
mod inbox;
mod journal;
mod keeper;
mod lines;
mod parcel;
mod record;

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use futures_channel::oneshot;
use futures_lite::future::block_on;

pub use self::error::JournalError;
use self::inbox::{Answer, Inbox, Order};
use self::journal::Journal;
use self::keeper::Keeper;
use self::record::Job;
use super::hooks::SharedHooks;
use super::link::Link;
use super::{Error, InvalidJob, NewJob, Push, When};
use crate::limits::{OUTBOX_BYTES, OUTBOX_JOBS, OUTBOX_PATIENCE, PUSH_BYTES_MAX, PUSH_JOBS_MAX};
use crate::resp::Requests;
use crate::resp::blocking::BlockingOptions;
use crate::resp::url::RedisUrl;
use crate::store::outbox::Target;
use crate::time;

/// How an outbox behaves.
#[derive(Clone, Debug)]
pub struct OutboxOptions {
    /// Most jobs that wait. Default: [`OUTBOX_JOBS`].
    pub jobs_max: u64,
    /// Most bytes that they take in the journal. The file may have twice as many, and 16 MB, before what is done is cut
    /// out of it. Default: [`OUTBOX_BYTES`].
    pub bytes_max: u64,
    /// What a job that was accepted survives. Default: [`Durability::PowerLoss`].
    pub durability: Durability,
    /// How to connect, and how long Redis may take to answer before it counts as away. Default: [`OUTBOX_PATIENCE`] each.
    pub connection: BlockingOptions,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        Self {
            jobs_max: OUTBOX_JOBS,
            bytes_max: OUTBOX_BYTES,
            durability: Durability::PowerLoss,
            connection: BlockingOptions {
                connect_timeout: OUTBOX_PATIENCE,
                call_timeout: OUTBOX_PATIENCE,
                ..BlockingOptions::default()
            },
        }
    }
}

/// What a job in the journal survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the machine: each write is forced to the disk (`fdatasync`) before a push returns. Pushes of the same
    /// moment share one.
    #[default]
    PowerLoss,
    /// The end of the program, however sudden: a write goes to the system, which brings it to the disk when it likes.
    ProcessCrash,
}

/// A job that an outbox has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Its jid.
    pub jid: String,
    /// Where it is.
    pub place: Place,
}

/// Where an accepted job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In Redis.
    Redis,
    /// In the journal, from where it goes to Redis when that is back.
    Journal,
}

/// How an outbox is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// Jobs that wait in the journal.
    pub jobs: u64,
    /// Bytes they take there.
    pub bytes: u64,
    /// Why they wait.
    pub trouble: Option<String>,
}

/// A producer that accepts jobs while Redis is away. Cheap to clone; for threads and for tasks of any runtime.
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
/// While Redis answers, pushes go to it. When it does not, they go to a journal, a file beside the program; a thread brings
/// them to Redis in their order once it is back. As long as jobs wait there, later ones go behind them, so that none
/// overtakes another.
///
/// # What it promises
///
/// - A job that was accepted is in Redis or in the journal, and survives what [`Durability`] says. A program that was
///   killed brings it to Redis when it opens the journal again.
/// - It is pushed **once**, also if the answer to its first attempt was lost: every push goes with a number, and Redis keeps
///   the last one beside the queue, changed in one step with it (`{jiggler:list:<queue>}:outbox:<id>`). Redis forgets it
///   [`OUTBOX_MEMORY`](crate::limits::OUTBOX_MEMORY) (30 days) after the last push: a program that went down between a push
///   and its note of it, and comes back later than that, makes that push again. So it does if somebody deletes these keys,
///   or lets Redis evict them.
/// - What Redis refuses for a reason that does not go by itself (`WRONGTYPE`, a wrong password) is no outage: the push
///   fails and nothing is kept. If it happens to jobs of the journal they wait, with all behind them, and
///   [`status`](Self::status) and the log say why.
/// - When the journal is full a push fails with [`Error::OutboxFull`].
/// - Of a push that failed, [`Error::may_have_pushed`] says whether Redis may have it all the same.
///
/// A push waits [`OUTBOX_PATIENCE`] for a connection and as long for an answer, once; from then on those that come are kept
/// at once, until Redis is back. Each process needs a journal of its own, on a local file system: a second one is refused.
/// It costs two threads, which sleep while nothing is pushed.
#[derive(Clone)]
pub struct Outbox {
    handle: Arc<Handle>,
    hooks: SharedHooks,
}

/// What all clones share; the last one ends the thread.
struct Handle {
    inbox: Arc<Inbox>,
    path: PathBuf,
    is_cluster: bool,
    thread: Option<JoinHandle<()>>,
}

impl Outbox {
    /// Opens the journal at a path, or makes it, for the server of a url; beside it comes a file of that name with `.lock`.
    /// It does not connect yet, unless jobs wait from before.
    ///
    /// # Errors
    /// [`Error::Url`]; [`Error::Outbox`]: the journal cannot be opened, is damaged, or is in use.
    pub fn open(path: impl AsRef<Path>, url: &str) -> Result<Self, Error> {
        Self::open_with(path, &RedisUrl::parse(url)?, OutboxOptions::default())
    }

    /// Opens it with a parsed url and options.
    ///
    /// # Errors
    /// [`Error::Outbox`].
    pub fn open_with(path: impl AsRef<Path>, url: &RedisUrl, options: OutboxOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |cause| Error::Outbox { may_have_pushed: false, cause };
        let journal = Journal::open(path, &options).map_err(failed)?;
        let inbox = Arc::new(Inbox::default());
        let spawned = |cause| failed(JournalError::io("start a thread for", path, cause));
        let (courier, requests) = crossbeam_channel::bounded::<Requests>(1);
        let courier_thread = Builder::new().name("outbox-redis".to_owned()).spawn({
            let (inbox, mut link) = (Arc::clone(&inbox), Link::new(url.clone(), options.connection));
            move || requests.iter().for_each(|requests| inbox.give_back(link.call(&requests)))
        });
        let keeper = Keeper::new(Arc::clone(&inbox), journal, courier, courier_thread.map_err(spawned)?);
        let thread = Builder::new().name("outbox".to_owned()).spawn(move || keeper.run()).map_err(spawned)?;
        let is_cluster = url.is_cluster();
        let handle = Handle { inbox, path: path.to_owned(), is_cluster, thread: Some(thread) };
        Ok(Self { handle: Arc::new(handle), hooks: SharedHooks::default() })
    }

    /// Has every job that this handle, or one cloned from it, pushes go through `hook` first; see
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
    /// [`Error::Job`]; what Redis refuses; [`Error::OutboxFull`]; [`Error::Outbox`]: the journal cannot be written.
    pub fn enqueue<J: Push + ?Sized>(&self, job: &J) -> Result<Accepted, Error> {
        block_on(self.enqueue_async(job))
    }

    /// Schedules a job to be run `delay` from now by this machine's clock, whenever it comes to Redis.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub fn enqueue_in<J: Push + ?Sized>(&self, delay: Duration, job: &J) -> Result<Accepted, Error> {
        block_on(self.enqueue_in_async(delay, job))
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds. One that comes to Redis later is due at once.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), and [`Error::BadTime`] for a time that is not finite.
    pub fn enqueue_at<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Result<Accepted, Error> {
        block_on(self.enqueue_at_async(due_at, job))
    }

    /// Pushes many jobs in their order, and says how many were accepted; up to [`PUSH_JOBS_MAX`] share a round trip, or
    /// a write to the journal.
    ///
    /// # Errors
    /// [`Error::Bulk`] says how many were accepted and why it ended there.
    pub fn enqueue_bulk<J: Borrow<NewJob>>(&self, jobs: impl IntoIterator<Item = J>) -> Result<u64, Error> {
        block_on(self.enqueue_bulk_async(jobs))
    }

    /// As [`enqueue`](Self::enqueue), for async code on any runtime.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel-safety
    /// Safe: a push that is dropped has been accepted, will be, or is not made.
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
        self.enqueue_at_async(time::unix_now() + delay.as_secs_f64(), job).await
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
        let mut accepted = 0;
        let failed = |enqueued, cause| Error::Bulk { enqueued, cause: Box::new(cause) };
        let mut jobs = jobs.into_iter();
        loop {
            let (mut chunk, mut bytes) = (Vec::new(), 0);
            let mut bad = None;
            while chunk.len() < PUSH_JOBS_MAX && bytes < PUSH_BYTES_MAX {
                let Some(job) = jobs.next() else { break };
                match self.payload(When::Now, Cow::Borrowed(job.borrow())) {
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
                let answer = self.submit(chunk).await.map_err(|cause| failed(accepted, cause))?;
                accepted += answer.accepted;
                if let Some(cause) = answer.failure {
                    return Err(failed(accepted, cause));
                }
            }
            match bad {
                Some(cause) => return Err(failed(accepted, cause)),
                None if ended => return Ok(accepted),
                None => {}
            }
        }
    }

    /// How many jobs wait in the journal, and why.
    #[must_use]
    pub fn status(&self) -> OutboxStatus {
        self.handle.inbox.status()
    }

    /// Waits until no job waits in the journal, before a program ends for example; `false` if that takes longer than
    /// `timeout`. Nothing is lost then: the next opening goes on.
    #[must_use]
    pub fn flush(&self, timeout: Duration) -> bool {
        self.handle.inbox.wait_emptied(timeout)
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
        let jid = job.write_for(when, &mut payload)?;
        let (target, due_at) = match when {
            When::Now => (Target::Queue(job.queue().clone()), None),
            When::At(due_at) if self.handle.is_cluster => {
                (Target::ScheduledFor(job.queue().clone()), Some(due_at))
            }
            When::At(due_at) => (Target::Scheduled, Some(due_at)),
        };
        Ok((jid, Job { target, due_at, payload }))
    }

    async fn submit(&self, jobs: Vec<Job>) -> Result<Answer, Error> {
        let (answer, receipt) = oneshot::channel();
        self.handle.inbox.submit(Order { jobs, answer }).await?;
        // The thread answers everything it takes, unless it dies of a fault.
        receipt.await.map_err(|_| Error::Stopped { may_have_pushed: true })
    }
}

impl Drop for Handle {
    /// Waits until what was ordered is settled: as long as one attempt at Redis may take.
    fn drop(&mut self) {
        self.inbox.close();
        if let Some(thread) = self.thread.take() {
            // It told all who waited, if it died.
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
