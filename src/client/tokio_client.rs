//! The client for programs that run on tokio.
//!
//! Our own rather than the crate `redis`: that crate is well maintained, but its errors do not say whether a command
//! was sent, it has its own urls, time-outs and commands, and whatever the other clients learn (TLS, sentinels) would
//! have to be done twice. Given what is shared with them (handshake, pipeline, commands), only a socket and a task
//! remain to be written.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::hooks::SharedHooks;
use super::reckoning;
use super::spelling::Spelling;
use super::tokio_bulk::bulk;
use super::tokio_driver::{Order, Ticket, drive};
use super::{Dialect, Error, InvalidJob, NewJob, Progress, Push, When};
use crate::limits::{CALL_TIMEOUT, PUSH_JOBS_MAX, WAITING_BYTES_MAX};
use crate::net::{self, blocking::BlockingOptions};
use crate::resp::url::RedisUrl;
use crate::resp::{Reply, Requests};
use crate::store::{cancel, enqueue, progress as reports};
use crate::time::RedisClock;
use crate::wire::QueueName;

/// How a client on tokio behaves.
#[derive(Clone, Debug)]
pub struct TokioOptions {
    /// The most time a call may take, from its first poll: waiting for its turn, connecting and the answer together.
    /// Default: [`CALL_TIMEOUT`].
    pub call_timeout: Duration,
    /// How to connect, and how long Redis may take to answer before the connection is given up.
    pub connection: BlockingOptions,
}

impl Default for TokioOptions {
    fn default() -> Self {
        Self { call_timeout: CALL_TIMEOUT, connection: BlockingOptions::default() }
    }
}

/// A producer for programs on tokio: one connection shared by all clones. `Send`, `Sync`, cheap to clone.
///
/// ```no_run
/// use jiggler_uring::{NewJob, TokioClient};
///
/// # async fn example() -> Result<(), jiggler_uring::client::Error> {
/// let client = TokioClient::connect("redis://localhost:6379").await?;
/// let jid = client.enqueue(&NewJob::new("SendMail", &("ada@example.org", "hello"))?.retries(5)?).await?;
/// println!("pushed {jid}");
/// # Ok(())
/// # }
/// ```
///
/// A task owns the connection; whatever is pushed while it waits for Redis goes out together in the next write, so
/// that many requests of a web server cost few round trips. The task belongs to the runtime on which the client was
/// created and ends with it; it also ends with the last clone.
///
/// Nothing is sent twice. A call that fails before it was sent says so ([`Error::Connect`], [`Error::NotSent`]);
/// after that, [`Error::Lost`] says that the outcome is unknown. While Redis is away, each call fails once an attempt
/// to connect has failed; attempts are up to [`RECONNECT_PAUSE_MAX`](crate::limits::RECONNECT_PAUSE_MAX) apart. To
/// push anyway, use an [`Outbox`](super::Outbox).
///
/// # Cancel-safety
/// Every method is safe: a dropped call may or may not have been made, or may still be made, and others are
/// unaffected.
#[derive(Clone)]
pub struct TokioClient {
    // Fixed at construction.
    spelling: Spelling,
    url: Arc<RedisUrl>,
    call_timeout: Duration,
    hooks: SharedHooks,
    // Shared with the driver.
    /// The server's.
    clock: Arc<RedisClock>,
    orders: mpsc::Sender<Order>,
    /// In bytes.
    room: Arc<Semaphore>,
}

impl TokioClient {
    /// Connects to the server of a url.
    ///
    /// # Errors
    /// [`Error::Url`], or [`Error::Connect`] if no connection could be made.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let client = Self::lazy(&RedisUrl::parse(url)?, TokioOptions::default());
        let mut requests = Requests::new();
        enqueue::probe(&mut requests);
        client.call(requests).await?;
        Ok(client)
    }

    /// A client that connects at its first call, for a program that must start while Redis is away.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn lazy(url: &RedisUrl, options: TokioOptions) -> Self {
        let (orders, inbox) = mpsc::channel(PUSH_JOBS_MAX);
        let clock = Arc::new(RedisClock::default());
        tokio::spawn(drive(url.clone(), options.connection, Arc::clone(&clock), inbox));
        Self {
            spelling: Spelling::usual(url),
            url: Arc::new(url.clone()),
            call_timeout: options.call_timeout,
            hooks: SharedHooks::default(),
            clock,
            orders,
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
        }
    }

    /// This handle, and those cloned from it, for a Redis that programs of this gem share; see
    /// [`Client::speaking`](super::Client::speaking).
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.spelling = Spelling::of(dialect, &self.url);
        self
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

    /// Pushes a job to be run as soon as a worker is free, and returns its jid. One round trip, shared with others;
    /// atomic.
    ///
    /// # Errors
    /// Each variant of [`Error`] documents whether the job may have been pushed and whether a later attempt may
    /// succeed.
    pub async fn enqueue<J: Push + ?Sized>(&self, job: &J) -> Result<String, Error> {
        self.one(When::Now, job).await
    }

    /// Schedules a job to be run `delay` from now by Redis's clock, and returns its jid; see
    /// [`Client::enqueue_in`](super::Client::enqueue_in).
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue).
    pub async fn enqueue_in<J: Push + ?Sized>(&self, delay: Duration, job: &J) -> Result<String, Error> {
        let now = self.now().await?;
        self.enqueue_at(now + delay.as_secs_f64(), job).await
    }

    /// Unix time, by the clock of Redis.
    async fn now(&self) -> Result<f64, Error> {
        let mut requests = Requests::new();
        if let Some(asked) = reckoning::ask(&self.clock, &mut requests) {
            reckoning::note(&self.clock, asked, self.call_one(requests).await)?;
        }
        Ok(self.clock.now())
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds, and returns its jid.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), and [`Error::BadTime`] for a time that is not finite.
    pub async fn enqueue_at<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Result<String, Error> {
        self.one(When::at(due_at)?, job).await
    }

    async fn one<J: Push + ?Sized>(&self, when: When, job: &J) -> Result<String, Error> {
        let mut requests = Requests::new();
        let (jid, queue) = {
            let job = self.hooks.apply(job.to_push()?)?;
            let mut payload = Vec::new();
            let jid = job.write_for(self.spelling.schema, when, &mut payload)?;
            let push = enqueue::Push { keys: self.spelling.keys, queue: job.queue(), when };
            push.one(&payload, &mut requests);
            (jid, job.queue().clone())
        };
        let replies = self.submit_pushes(requests, vec![queue]).await?.replies().await?;
        when.read(&only(replies)?).map_err(Error::of_call)?;
        Ok(jid)
    }

    /// Pushes many jobs into their queues, in order, and returns how many. They go in batches of [`PUSH_JOBS_MAX`]
    /// jobs or [`PUSH_BYTES_MAX`](crate::limits::PUSH_BYTES_MAX) bytes of payloads, one prepared while others are in
    /// flight; atomic only within one queue and batch.
    ///
    /// # Errors
    /// [`Error::Bulk`] says how many jobs were certainly pushed, how many may have been, and why it ended there.
    pub async fn enqueue_bulk<J: Borrow<NewJob>>(
        &self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        bulk(self, When::Now, jobs).await
    }

    /// Schedules many jobs for the same time, and returns how many.
    ///
    /// # Errors
    /// As [`enqueue_bulk`](Self::enqueue_bulk), and [`Error::BadTime`] for a time that is not finite.
    pub async fn enqueue_bulk_at<J: Borrow<NewJob>>(
        &self,
        due_at: f64,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        bulk(self, When::at(due_at)?, jobs).await
    }

    /// Schedules many jobs to be run evenly spread over `over` from now; see
    /// [`Client::enqueue_bulk_spread`](super::Client::enqueue_bulk_spread).
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue_bulk_spread<J: Borrow<NewJob>>(
        &self,
        over: Duration,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        let from = self.now().await?;
        bulk(self, When::Over { from, seconds: over.as_secs_f64() }, jobs).await
    }

    /// Ends the job with this jid if it is running now, and returns how many processes were notified; see
    /// [`Client::cancel`](super::Client::cancel).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn cancel(&self, jid: &str) -> Result<u64, Error> {
        let mut requests = Requests::new();
        cancel::publish(self.spelling.keys, self.url.database(), jid, &mut requests);
        cancel::told(&self.call_one(requests).await?).map_err(Error::of_call)
    }

    /// The last progress a job reported; see [`Client::progress`](super::Client::progress).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn progress(&self, jid: &str) -> Result<Option<Progress>, Error> {
        let mut requests = Requests::new();
        reports::ask(self.spelling.keys, jid, &mut requests);
        Progress::reported(&self.call_one(requests).await?)
    }

    async fn call_one(&self, requests: Requests) -> Result<Reply, Error> {
        only(self.call(requests).await?)
    }

    /// Sends commands in their turn and returns their replies, including errors.
    async fn call(&self, requests: Requests) -> Result<Vec<Reply>, Error> {
        self.submit(requests).await?.replies().await
    }

    /// Submits commands to be sent in their turn, once there is room for them.
    async fn submit(&self, requests: Requests) -> Result<Receipt, Error> {
        self.submit_pushes(requests, Vec::new()).await
    }

    /// The same for pushes to these queues.
    pub(super) async fn submit_pushes(
        &self,
        requests: Requests,
        queues: Vec<QueueName>,
    ) -> Result<Receipt, Error> {
        let deadline = Instant::now() + self.call_timeout;
        let ticket = Ticket::default();
        // Also withdrawn when this future is dropped.
        let withdrawing = Withdrawing(ticket.clone());
        let (answer, receiver) = oneshot::channel();
        let submit = async {
            let bytes = requests.as_bytes().len().min(WAITING_BYTES_MAX);
            let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
            // The semaphore is never closed, and a closed channel means the same.
            let stopped = Error::Stopped { may_have_pushed: false };
            let Ok(room) = Arc::clone(&self.room).acquire_many_owned(permits).await else {
                return Err(stopped);
            };
            let order = Order { requests, queues, keys: self.spelling.keys, ticket, answer, _room: room };
            self.orders.send(order).await.map_err(|_| stopped)
        };
        match timeout_at(deadline, submit).await {
            Err(_late) => Err(self.not_sent()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(())) => Ok(Receipt {
                deadline,
                after: self.call_timeout,
                url: Arc::clone(&self.url),
                withdrawing,
                receiver,
            }),
        }
    }

    pub(super) fn hooks(&self) -> &SharedHooks {
        &self.hooks
    }

    pub(super) fn spelling(&self) -> Spelling {
        self.spelling
    }

    pub(super) fn not_sent(&self) -> Error {
        Error::NotSent { after: self.call_timeout }
    }
}

/// The reply to one command, unless it is an error.
fn only(mut replies: Vec<Reply>) -> Result<Reply, Error> {
    // There are as many replies as commands, or an error.
    let only = replies.pop().ok_or(Error::Lost(net::Error::Closed))?;
    only.into_result().map_err(Error::of_call)
}

/// Submitted commands. When dropped, they are withdrawn if not yet sent.
pub(super) struct Receipt {
    deadline: Instant,
    after: Duration,
    url: Arc<RedisUrl>,
    withdrawing: Withdrawing,
    receiver: oneshot::Receiver<Result<Vec<Reply>, Error>>,
}

impl Receipt {
    /// Withdraws the commands; `false` if they were already sent.
    pub(super) fn withdraw(&self) -> bool {
        self.withdrawing.0.withdraw()
    }

    /// Their replies, including errors.
    pub(super) async fn replies(self) -> Result<Vec<Reply>, Error> {
        let Self { deadline, after, url, withdrawing, receiver } = self;
        match timeout_at(deadline, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_dropped)) => Err(Error::Stopped { may_have_pushed: !withdrawing.0.withdraw() }),
            Err(_late) if withdrawing.0.withdraw() => Err(Error::NotSent { after }),
            Err(_late) => {
                let what = format!("call redis at {}", url.place());
                Err(Error::Lost(net::Error::Timeout { what, after }))
            }
        }
    }
}

/// Withdraws an order that has not been sent when its caller stops waiting.
struct Withdrawing(Ticket);

impl Drop for Withdrawing {
    fn drop(&mut self) {
        // An order that was sent or answered must not be withdrawn.
        let _sent = self.0.withdraw();
    }
}

impl fmt::Debug for TokioClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioClient")
            .field("url", &self.url)
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
