//! Pushing jobs from Rust programs and the command line, as the gem's client does from Ruby.
//!
//! Responsible for making payloads and for one blocking connection. It retries nothing: after a failed call it is not
//! known whether the job was pushed, and pushing again might run it twice.

mod error;
mod job;

use std::{borrow::Borrow, collections::BTreeMap, time::Duration};

pub use self::{
    error::{Error, InvalidJob},
    job::NewJob,
};
use crate::{
    ids,
    limits::{PUSH_BYTES_MAX, PUSH_JOBS_MAX},
    resp::{
        self,
        blocking::{BlockingConnection, BlockingOptions},
        encode::Requests,
        reply::Reply,
        url::RedisUrl,
    },
    store::enqueue::{self, Batch},
    time,
    wire::QueueName,
};

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
#[derive(Debug)]
pub struct Client {
    // Fixed at construction.
    url: RedisUrl,
    options: BlockingOptions,
    // Changed by calls only.
    conn: BlockingConnection,
    requests: Requests,
    payload: Vec<u8>,
}

impl Client {
    /// Connects to the server of a url such as `redis://:password@host:6379/0` or `unix:///path/to.sock?db=0`.
    ///
    /// # Errors
    /// [`Error::Url`], or [`Error::Redis`] if no connection comes about.
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(&RedisUrl::parse(url)?, BlockingOptions::default())
    }

    /// Connects with a parsed url and time-outs of one's own.
    ///
    /// # Errors
    /// [`Error::Redis`] if no connection comes about.
    pub fn connect_with(url: &RedisUrl, options: BlockingOptions) -> Result<Self, Error> {
        let conn = BlockingConnection::connect_with(url, &options)?;
        Ok(Self { url: url.clone(), options, conn, requests: Requests::new(), payload: Vec::new() })
    }

    /// Pushes a job to be run as soon as a worker is free, and gives its jid. One round trip, atomic.
    ///
    /// # Errors
    /// [`Error::Job`]: nothing was sent. [`Error::Redis`]: see [`resp::Error`] for whether the job may have been
    /// pushed; the next call connects anew if it must.
    pub fn enqueue(&mut self, job: &NewJob) -> Result<String, Error> {
        let jid = self.write_payload(job, When::Now)?;
        self.requests.clear();
        enqueue::push(&mut self.requests, job.queue(), &self.payload);
        enqueue::pushed(&self.call_one()?)?;
        Ok(jid)
    }

    /// Schedules a job to be run `delay` from now by this machine's clock, and gives its jid. One round trip, atomic.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub fn enqueue_in(&mut self, delay: Duration, job: &NewJob) -> Result<String, Error> {
        self.enqueue_at(time::unix_now() + delay.as_secs_f64(), job)
    }

    /// Schedules a job to be run at `due_at`, Unix time in seconds, and gives its jid. One round trip, atomic. A time
    /// in the past means as soon as a poller looks.
    ///
    /// # Errors
    /// As [`Self::enqueue`], and [`Error::BadTime`] for a time that is not finite.
    pub fn enqueue_at(&mut self, due_at: f64, job: &NewJob) -> Result<String, Error> {
        let jid = self.write_payload(job, When::at(due_at)?)?;
        self.requests.clear();
        enqueue::schedule(&mut self.requests, due_at, &self.payload);
        enqueue::scheduled(&self.call_one()?)?;
        Ok(jid)
    }

    /// Pushes many jobs, into their queues in their order, and says how many. One round trip for each
    /// [`PUSH_JOBS_MAX`] jobs or [`PUSH_BYTES_MAX`] bytes of payloads, atomic within one queue and round trip only.
    ///
    /// # Errors
    /// [`Error::Bulk`] says how many jobs were certainly pushed and why it ended there.
    pub fn enqueue_bulk<J: Borrow<NewJob>>(
        &mut self,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        self.bulk(When::Now, jobs)
    }

    /// Schedules many jobs for the same time, and says how many. Round trips and atomicity are those of
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

    fn bulk<J: Borrow<NewJob>>(
        &mut self,
        when: When,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        let mut enqueued = 0;
        self.bulk_counted(when, jobs, &mut enqueued)
            .map(|()| enqueued)
            .map_err(|cause| Error::Bulk { enqueued, cause: Box::new(cause) })
    }

    fn bulk_counted<J: Borrow<NewJob>>(
        &mut self,
        when: When,
        jobs: impl IntoIterator<Item = J>,
        enqueued: &mut u64,
    ) -> Result<(), Error> {
        let mut waiting = Waiting::default();
        for job in jobs {
            let job = job.borrow();
            // What was accepted before a bad job is pushed all the same: the count says where it ended.
            if let Err(error) = self.write_payload(job, when) {
                self.send(when, &mut waiting, enqueued)?;
                return Err(error);
            }
            waiting.add(job.queue(), &self.payload);
            if waiting.is_full() {
                self.send(when, &mut waiting, enqueued)?;
            }
        }
        self.send(when, &mut waiting, enqueued)
    }

    /// Sends what waits, in one round trip, and counts it.
    fn send(&mut self, when: When, waiting: &mut Waiting, enqueued: &mut u64) -> Result<(), Error> {
        if waiting.jobs == 0 {
            return Ok(());
        }
        self.requests.clear();
        for (queue, batch) in &waiting.batches {
            match when {
                When::Now => batch.push(&mut self.requests, queue),
                When::At(due_at) => batch.schedule(&mut self.requests, due_at),
            }
        }
        self.reconnect_if_broken()?;
        let replies = self.conn.call(&self.requests)?;
        let mut failure = None;
        for (batch, reply) in waiting.batches.values().filter(|batch| !batch.is_empty()).zip(&replies) {
            let result = match when {
                When::Now => enqueue::pushed(reply),
                When::At(_) => enqueue::scheduled(reply),
            };
            match result {
                Ok(_) => *enqueued += batch.len() as u64,
                // The other queues' jobs count, since they were pushed.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        waiting.clear();
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    fn write_payload(&mut self, job: &NewJob, when: When) -> Result<String, Error> {
        let jid = job.chosen_jid().map_or_else(|| ids::jid().to_string(), str::to_owned);
        self.payload.clear();
        match when {
            When::Now => job.write(&jid, &mut self.payload)?,
            When::At(_) => job.write_scheduled(&jid, &mut self.payload)?,
        }
        Ok(jid)
    }

    fn call_one(&mut self) -> Result<Reply, resp::Error> {
        self.reconnect_if_broken()?;
        self.conn.call_one(&self.requests)
    }

    fn reconnect_if_broken(&mut self) -> Result<(), resp::Error> {
        if self.conn.is_broken() {
            self.conn = BlockingConnection::connect_with(&self.url, &self.options)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum When {
    Now,
    /// Unix time in seconds; finite.
    At(f64),
}

impl When {
    fn at(due_at: f64) -> Result<Self, Error> {
        if due_at.is_finite() { Ok(Self::At(due_at)) } else { Err(Error::BadTime { due_at }) }
    }
}

/// Jobs of a bulk that wait to be sent, by queue. The bounds of one [`Batch`] hold for all of them together.
#[derive(Debug, Default)]
struct Waiting {
    batches: BTreeMap<QueueName, Batch>,
    jobs: usize,
    payload_bytes: usize,
}

impl Waiting {
    fn add(&mut self, queue: &QueueName, payload: &[u8]) {
        match self.batches.get_mut(queue) {
            Some(batch) => batch.add(payload),
            None => self.batches.entry(queue.clone()).or_default().add(payload),
        }
        self.jobs += 1;
        self.payload_bytes += payload.len();
    }

    fn is_full(&self) -> bool {
        self.jobs >= PUSH_JOBS_MAX || self.payload_bytes >= PUSH_BYTES_MAX
    }

    /// Keeps the memory of the queues' batches, unless there are so many queues that most were used once.
    fn clear(&mut self) {
        if self.batches.len() > PUSH_JOBS_MAX {
            self.batches.clear();
        }
        self.batches.values_mut().for_each(Batch::clear);
        self.jobs = 0;
        self.payload_bytes = 0;
    }
}

#[cfg(test)]
mod tests;
