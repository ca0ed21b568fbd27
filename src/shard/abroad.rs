//! Jobs of a cluster that are to be retried in another queue than their own: its retry set is in another realm, on another
//! node, so no script reaches both.
//!
//! Such a job is copied, then removed: while it is added to the other realm's retry set it still counts as running here, and
//! only when that is done it is acked. Whoever dies in between leaves it in both, so it may run twice; it is never in none.
//! What cannot be added is tried again until the stop's deadline, and then handed back like a job that did not end.
//!
//! Rare, so the connection is opened for each series and given back.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use glommio::timer::Timer;

use super::batch::Batch;
use super::state::Shard;
use crate::event::Event;
use crate::limits::{LOCAL_CHUNK_BYTES, PUSH_JOBS_MAX};
use crate::net::{Backoff, ConnOptions, Connection};
use crate::resp::{Error, ReplyLimits, Requests};
use crate::store::enqueue;
use crate::wire::{Realm, keys};

/// A job that failed, as its retry set is to have it.
pub(super) struct Retry {
    /// The queue it is to be retried in.
    pub(super) queue: String,
    /// When, in Unix seconds.
    pub(super) score: f64,
    /// The payload to store.
    pub(super) payload: Vec<u8>,
    /// Whether it counts as run and failed: a snoozed job does not.
    pub(super) counts: bool,
}

/// A job of a batch, by its position there, and how it is to be retried.
type Waiting = (Rc<Batch>, usize, Rc<Retry>);

/// Those of one lane that wait to be sent.
#[derive(Default)]
pub(super) struct Abroad {
    /// Invariant: each is running in its batch.
    waiting: RefCell<VecDeque<Waiting>>,
    came: Event,
}

impl Abroad {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Forgets them: their batches hand them back. How many.
    pub(super) fn give_up(&self) -> usize {
        self.waiting.take().len()
    }
}

impl Shard {
    /// Whether a job that is to be retried in this queue leaves its realm for it.
    pub(super) fn leaves_realm(&self, retry_queue: &str) -> bool {
        self.options.realm.queue().is_some_and(|own| own != retry_queue)
    }

    /// Has a job that runs end in the retry set of another realm.
    pub(super) fn send_abroad(&self, batch: &Batch, at: usize, retry: Retry) {
        let batch = self.live.borrow().get(&batch.id).map(Rc::clone);
        // A batch with a job that runs is live.
        if let Some(batch) = batch {
            self.abroad.waiting.borrow_mut().push_back((batch, at, Rc::new(retry)));
            self.abroad.came.raise();
        }
    }
}

/// Sends what comes until it is dropped.
pub(super) async fn carry(shard: Rc<Shard>) {
    let mut backoff = Backoff::new(shard.options.shard as u64 + 77);
    loop {
        let Some(queue) = shard.abroad.waiting.borrow().front().map(|(_, _, retry)| retry.queue.clone())
        else {
            shard.abroad.came.wait().await;
            continue;
        };
        match carry_to(&shard, &queue).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                let from = shard.options.realm.queue();
                tracing::warn!(from, queue, %error, "jobs cannot be retried in another queue yet; trying again");
                Timer::new(backoff.pause()).await;
            }
        }
    }
}

/// Sends all that go to one queue, over one connection: one round trip for each [`PUSH_JOBS_MAX`].
async fn carry_to(shard: &Shard, queue: &str) -> Result<(), Error> {
    let options = ConnOptions {
        name: format!("jiggler-uring:{}:{}:abroad", shard.options.uuid, shard.options.shard),
        limits: ReplyLimits::default(),
        chunk_bytes: LOCAL_CHUNK_BYTES,
    };
    let realm = Realm::of_queue(queue);
    let url = shard.options.url.at_key(keys::queue(queue).as_bytes());
    let mut conn = Connection::open(&url, &options).await?;
    loop {
        let jobs: Vec<_> = {
            let waiting = shard.abroad.waiting.borrow();
            let meant = waiting.iter().filter(|(_, _, retry)| retry.queue == queue);
            meant
                .take(PUSH_JOBS_MAX)
                .map(|(batch, at, retry)| (Rc::clone(batch), *at, Rc::clone(retry)))
                .collect()
        };
        if jobs.is_empty() {
            return Ok(());
        }
        let mut requests = Requests::new();
        for (_, _, retry) in &jobs {
            enqueue::retry_in(&realm, &mut requests, retry.score, &retry.payload);
        }
        conn.send(&requests).await?;
        for (batch, at, retry) in jobs {
            enqueue::scheduled(&conn.reply().await?)?;
            let mut waiting = shard.abroad.waiting.borrow_mut();
            let before = waiting.len();
            waiting.retain(|(_, _, other)| !Rc::ptr_eq(other, &retry));
            let still_ours = waiting.len() < before;
            drop(waiting);
            // Given up meanwhile, it is handed back, and runs again in both queues: at least once.
            if still_ours {
                shard.settle_abroad(&batch, at, retry.counts);
                shard.work.raise();
            }
        }
    }
}
