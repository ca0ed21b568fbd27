//! The path of a job through its shard without Redis: taken in, parsed, looked up, decoded, polled, settled.
//!
//! For `benches/` and `tests/parts/allocations.rs`, which measure what a shard itself costs. Not part of the API.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::admission::Admission;
use super::batch::Batch;
#[cfg(test)]
use super::ending::cancel_all;
use super::ending::finish;
use super::options::{Balance, ShardOptions};
use super::settle;
use super::state::Shard;
use super::steps::{accept_batch, report, run_next, run_ready};
use crate::handler::{Call, JobRef, JobResult, Registry, Started};
use crate::job::Schema;
use crate::job::parse::Parsed;
use crate::limits::{DEAD_JOBS_MAX, DEAD_TIMEOUT, WAIT_TIME_MIN};
use crate::resp::RedisUrl;
use crate::stats::ShardStats;
use crate::store::turn::{BatchName, Settlement};
use crate::wire::Dialect;

/// A shard without a connection: what it would report to Redis is dropped.
#[doc(hidden)]
pub struct Dispatch {
    shard: Rc<Shard>,
    made_at: Instant,
}

impl Dispatch {
    /// A shard with these handlers and this many slots.
    ///
    /// # Errors
    /// Only through a bug of ours: the url, which it does not use, is valid.
    pub fn new<S: 'static>(registry: Registry<S>, slots: usize) -> Result<Self, crate::resp::url::UrlError> {
        let options = ShardOptions {
            shard: 0,
            uuid: "000000000000".to_owned(),
            url: RedisUrl::parse("unix:///nonexistent/redis.sock")?,
            realm: Dialect::Jiggler.keys(false).shared_realm(),
            schema: Schema::of(Dialect::Jiggler),
            queues: vec![("default".to_owned(), 0)],
            balance: Balance::Strict,
            clocks: Vec::new(),
            slots,
            is_told: false,
            at_least_once: true,
            dead_jobs_max: DEAD_JOBS_MAX,
            dead_timeout: DEAD_TIMEOUT,
            default_retries: None,
            leave_unknown: None,
            block_time: Duration::from_secs(WAIT_TIME_MIN.as_secs()),
            stats: Arc::new(ShardStats::default()),
        };
        let handlers = registry.into_handlers();
        options.stats.current.name_jobs(handlers.names());
        let shard = Rc::new(Shard::new(options, Rc::new(handlers), None));
        Ok(Self { shard, made_at: Instant::now() })
    }

    /// Runs one batch as a turn would bring it. Returns how many of its jobs were settled, and how many of these failed.
    /// Must be called on an executor.
    pub async fn run(&self, payloads: Vec<Bytes>) -> (u64, u64) {
        self.bring(payloads);
        run_ready(&self.shard).await;
        let settled = self.settled();
        (settled.processed, settled.failed)
    }

    /// The same for jobs that do not wait, one after the other without ever yielding: it needs no executor and does the
    /// same work however long it takes, which instruction counts rely on.
    pub fn run_through(&self, payloads: Vec<Bytes>) -> (u64, u64) {
        self.bring(payloads);
        let mut began = Instant::now();
        while let Some(ended) = run_next(&self.shard, began) {
            began = ended;
        }
        let settled = self.settled();
        (settled.processed, settled.failed)
    }

    /// Parses one payload, looks up its handler, decodes the arguments and polls once. Returns whether that ended well.
    pub fn call(&self, payload: &Bytes) -> bool {
        let mut parser = self.shard.parser().borrow_mut();
        let Ok(Parsed { name, jid, history, args, .. }) = parser.parse(payload) else { return false };
        let (jid, queue) = (jid.unwrap_or_default(), &*self.shard.home().name);
        let Some(entry) = self.shard.handlers().find(name) else { return false };
        let (attempt, retries, now) = (history.attempt, history.retries, self.made_at);
        let default_retries = self.shard.handlers().retries(Some(entry));
        let job = JobRef { name, jid, queue, attempt };
        let call = Call { job, retries, default_retries, payload, now, args };
        matches!(entry.start(call), Started::Done(Ok(())))
    }

    /// Takes one batch as a turn would bring it and starts every job of it: they only remain to be settled.
    pub fn started(&self, payloads: Vec<Bytes>) -> StartedBatch {
        let mut jobs = Vec::with_capacity(payloads.len());
        self.bring(payloads);
        while let Some(job) = self.shard.hand().next_job(|_| Admission::Start) {
            jobs.push(job);
        }
        StartedBatch(jobs)
    }

    /// Settles each of these jobs by this result, up to what the next turn would report.
    pub fn settle(&self, started: StartedBatch, result: impl Fn() -> JobResult) -> Settlement {
        for (batch, at) in started.0 {
            finish(&self.shard, &batch, at, result());
        }
        self.settled()
    }

    /// How many jobs the next turn would ask for.
    #[cfg(test)]
    pub(super) fn wanted(&self) -> usize {
        self.shard.appetite().wanted(self.shard.free_slots(), self.shard.hand().unstarted())
    }

    /// How many jobs have not started.
    #[cfg(test)]
    pub(super) fn unstarted(&self) -> usize {
        self.shard.hand().unstarted()
    }

    /// Drops the jobs that wait.
    #[cfg(test)]
    pub(super) async fn cancel_all(&self) {
        cancel_all(&self.shard).await;
    }

    fn bring(&self, payloads: Vec<Bytes>) {
        let number = self.shard.numbers().fresh();
        accept_batch(&self.shard, 0, BatchName::Turn(number), payloads);
    }

    /// What was settled since the last call; as before a turn, settled batches no longer wait for stragglers.
    fn settled(&self) -> Settlement {
        settle::stragglers(&self.shard, self.made_at);
        report(&self.shard).into_settlement()
    }
}

/// Jobs of one batch that run and are not settled.
#[doc(hidden)]
pub struct StartedBatch(Vec<(Rc<Batch>, usize)>);
