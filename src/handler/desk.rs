//! What handlers off their shard's thread ask of it: pushes and notes of progress, which the core's client makes for them.
//!
//! One task of the shard serves them in their order; it is started when the first such handler runs.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use futures_lite::StreamExt;
use thiserror::Error;

use crate::client::{self, LocalClient, NewJob, Progress};
use crate::limits::DESK_ORDERS_MAX;

/// What is asked.
enum Errand {
    Push { job: NewJob, due: PushTime, answer: oneshot::Sender<Result<String, client::Error>> },
    Report { jid: Arc<str>, done: u64, total: u64, note: String },
}

/// When a pushed job is to run.
pub(super) enum PushTime {
    Now,
    In(Duration),
    At(f64),
}

/// The end that handlers hold.
#[derive(Clone)]
pub(super) struct Desk {
    orders: mpsc::UnboundedSender<Errand>,
    /// Invariant: at most [`DESK_ORDERS_MAX`], which bounds the channel.
    waiting: Arc<AtomicUsize>,
}

impl Desk {
    /// Starts the task that serves it, on this core's executor.
    pub(super) fn open(client: LocalClient) -> Self {
        let (orders, mut taken) = mpsc::unbounded();
        let waiting = Arc::new(AtomicUsize::new(0));
        let served = Arc::clone(&waiting);
        glommio::spawn_local(async move {
            while let Some(order) = taken.next().await {
                serve(&client, order).await;
                served.fetch_sub(1, Ordering::Relaxed);
            }
        })
        .detach();
        Self { orders, waiting }
    }

    pub(super) fn push(&self, job: NewJob, due: PushTime) -> Enqueued {
        let (answer, result) = oneshot::channel();
        if self.order(Errand::Push { job, due, answer }) {
            Enqueued(Ok(result))
        } else {
            Enqueued(Err(Some(client::Error::NotSent { after: Duration::ZERO })))
        }
    }

    /// A note that finds no room is dropped.
    pub(super) fn report(&self, jid: Arc<str>, done: u64, total: u64, note: &str) {
        let _dropped = self.order(Errand::Report { jid, done, total, note: note.to_owned() });
    }

    /// Returns whether there was room.
    fn order(&self, order: Errand) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < DESK_ORDERS_MAX
            && self.orders.unbounded_send(order).is_ok()
        {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        false
    }
}

async fn serve(client: &LocalClient, order: Errand) {
    match order {
        Errand::Push { job, due, answer } => {
            let pushed = match due {
                PushTime::Now => client.enqueue(&job).await,
                PushTime::In(delay) => client.enqueue_in(delay, &job).await,
                PushTime::At(due_at) => client.enqueue_at(due_at, &job).await,
            };
            // Nobody may be waiting any longer, and that is fine.
            let _unseen = answer.send(pushed);
        }
        Errand::Report { jid, done, total, note } => {
            client.report(&jid, &Progress::new(done, total, &note, client.now()));
        }
    }
}

/// A push that the shard makes for a handler off its thread: await it in a tokio handler, [`wait`](Self::wait) for it in a
/// blocking one. The push is made even if this is dropped.
#[must_use = "whether the job was pushed is in here"]
pub struct Enqueued(Result<oneshot::Receiver<Result<String, client::Error>>, Option<client::Error>>);

impl Enqueued {
    pub(super) fn failed(error: client::Error) -> Self {
        Self(Err(Some(error)))
    }

    /// Blocks this thread until Redis has answered, and returns the jid.
    ///
    /// # Errors
    /// As [`Ctx::enqueue`](super::Ctx::enqueue); [`client::Error::NotSent`] while too many such pushes wait;
    /// [`client::Error::Stopped`] if the shard has ended.
    pub fn wait(self) -> Result<String, client::Error> {
        futures_lite::future::block_on(self)
    }
}

impl Future for Enqueued {
    type Output = Result<String, client::Error>;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = || client::Error::Stopped { may_have_pushed: true };
        match &mut self.0 {
            Ok(result) => Pin::new(result).poll(ctx).map(|result| result.unwrap_or_else(|_| Err(gone()))),
            Err(error) => Poll::Ready(Err(error.take().unwrap_or_else(gone))),
        }
    }
}

/// The parts of a core's state that other threads may read, by type.
#[derive(Clone, Default)]
pub(super) struct SharedParts(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl SharedParts {
    /// Returns whether there was none of this type yet.
    pub(super) fn add<T: Send + Sync + 'static>(&mut self, part: Arc<T>) -> bool {
        self.0.insert(TypeId::of::<T>(), part).is_none()
    }

    pub(super) fn get<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, NotShared> {
        let part = self.0.get(&TypeId::of::<T>()).map(Arc::clone);
        let part = part.and_then(|part| part.downcast().ok());
        part.ok_or(NotShared { type_name: std::any::type_name::<T>() })
    }
}

/// A handler asked for a part of the state that its registry does not share.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the registry shares no {type_name}; give it one with Registry::share")]
pub struct NotShared {
    type_name: &'static str,
}
