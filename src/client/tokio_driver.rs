//! The task that owns the connection of a [`TokioClient`](super::TokioClient).
//!
//! It takes all waiting orders, sends them in one write and reads their replies, so that simultaneous pushes share a
//! round trip. A dropped push drops no read. Nothing is sent twice; an order whose caller stops waiting before it was
//! sent is never sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::mpsc::Receiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Error;
use super::error::same;
use super::registered::Registered;
use super::router::{Failure, Router, Wire};
use crate::limits::{LOCAL_PROBE_IDLE, PUSH_JOBS_MAX};
use crate::net::Backoff;
use crate::net::blocking::BlockingOptions;
use crate::net::tokio_conn::TokioConnection;
use crate::resp::url::RedisUrl;
use crate::resp::{Reply, Requests};
use crate::store::enqueue;
use crate::time::RedisClock;
use crate::wire::{Keyspace, QueueName};

/// Commands of one caller.
pub(super) struct Order {
    pub(super) requests: Requests,
    /// The queues of its pushes, and how keys are spelt there.
    pub(super) queues: Vec<QueueName>,
    pub(super) keys: Keyspace,
    pub(super) ticket: Ticket,
    pub(super) answer: oneshot::Sender<Result<Vec<Reply>, Error>>,
    /// Its share of the bytes that may wait, released when it is answered.
    pub(super) _room: OwnedSemaphorePermit,
}

/// Whether an order was sent. Whichever comes first decides for both: the caller when it stops waiting, or the
/// driver.
#[derive(Clone, Default)]
pub(super) struct Ticket(Arc<AtomicU8>);

const WAITS: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Ticket {
    /// Called by the driver right before it is sent; `false` if it was withdrawn.
    fn send(&self) -> bool {
        self.turn_to(SENT)
    }

    /// Called by the caller; `false` if it was already sent.
    pub(super) fn withdraw(&self) -> bool {
        self.turn_to(WITHDRAWN)
    }

    fn turn_to(&self, state: u8) -> bool {
        self.0.compare_exchange(WAITS, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Sends orders as they arrive until nobody can send any longer.
pub(super) async fn drive(
    url: RedisUrl,
    options: BlockingOptions,
    clock: Arc<RedisClock>,
    mut inbox: Receiver<Order>,
) {
    let router = url.is_cluster().then(|| Router::new(url.clone(), options.clone()));
    let backoff = Backoff::new(fastrand::u64(..));
    let mut line = Line {
        url,
        options,
        clock,
        conn: None,
        router,
        registered: Registered::default(),
        backoff,
        not_before: None,
    };
    let mut orders = Vec::new();
    while inbox.recv_many(&mut orders, PUSH_JOBS_MAX).await > 0 {
        line.exchange(&mut orders).await;
        orders.clear();
    }
}

struct Line {
    url: RedisUrl,
    options: BlockingOptions,
    clock: Arc<RedisClock>,
    /// The connection, and when it last answered.
    conn: Option<(TokioConnection, Instant)>,
    /// In a cluster, the connections to its nodes, used instead of that one.
    router: Option<Router<TokioConnection>>,
    /// What the register of the server was told over this connection.
    registered: Registered,
    backoff: Backoff,
    /// When the next attempt to connect may start.
    not_before: Option<Instant>,
}

impl Wire for TokioConnection {
    type Options = BlockingOptions;

    async fn open(url: &RedisUrl, options: &BlockingOptions) -> Result<Self, crate::net::Error> {
        Self::connect(url, options).await
    }

    async fn exchange(&mut self, requests: &Requests) -> Result<Vec<Reply>, crate::net::Error> {
        self.call(requests).await
    }
}

impl Line {
    /// One round trip for all orders; each receives its own replies, or the failure.
    async fn exchange(&mut self, orders: &mut Vec<Order>) {
        if let Some(router) = self.router.take() {
            return self.exchange_in_cluster(router, orders).await;
        }
        let mut conn = match self.usable_conn().await {
            Ok(conn) => conn,
            Err(error) => return answer(orders, Err(|| Error::Connect(same(&error)))),
        };
        let mut requests = sent(orders);
        let Self { registered, clock, .. } = self;
        for (order, queue) in
            orders.iter().flat_map(|order| order.queues.iter().map(move |queue| (order, queue)))
        {
            registered.name(order.keys, queue, || clock.now(), &mut requests);
        }
        let result = conn.call(&requests).await;
        if result.is_ok() {
            self.conn = Some((conn, Instant::now()));
        }
        answer(orders, result.map_err(|error| move || Error::of_call(same(&error))));
    }

    /// The same over the connections to the nodes involved.
    async fn exchange_in_cluster(&mut self, mut router: Router<TokioConnection>, orders: &mut Vec<Order>) {
        if let Some(not_before) = self.not_before.take() {
            sleep_until(not_before).await;
        }
        let mut all = Requests::new();
        orders.iter().for_each(|order| all.append(&order.requests));
        let prepared = router.prepare(&all).await;
        let result = match prepared {
            Ok(()) => {
                self.backoff.reset();
                let requests = sent(orders);
                router.call(&requests).await
            }
            Err(error) => {
                self.not_before = Some(Instant::now() + self.backoff.pause());
                Err(Failure::NotSent(error))
            }
        };
        self.router = Some(router);
        let told = |failure| {
            move || match &failure {
                Failure::NotSent(error) => Error::Connect(same(error)),
                Failure::Lost(error) => Error::Lost(same(error)),
            }
        };
        answer(orders, result.map_err(told));
    }

    /// The current connection, or a new one. One that has been idle for long is checked first: what is sent over a
    /// dead connection could not be sent again. After a failed attempt, the next one waits a little, and orders wait
    /// with it.
    async fn usable_conn(&mut self) -> Result<TokioConnection, crate::net::Error> {
        if let Some((mut conn, answered_at)) = self.conn.take() {
            if answered_at.elapsed() < LOCAL_PROBE_IDLE {
                return Ok(conn);
            }
            let mut requests = Requests::new();
            enqueue::probe(&mut requests);
            if conn.call(&requests).await.is_ok() {
                return Ok(conn);
            }
        }
        if let Some(not_before) = self.not_before {
            sleep_until(not_before).await;
        }
        match TokioConnection::connect(&self.url, &self.options).await {
            Ok(conn) => {
                // Another server may answer from now on.
                self.clock.mistrust();
                self.registered.forget();
                self.backoff.reset();
                self.not_before = None;
                Ok(conn)
            }
            Err(error) => {
                self.not_before = Some(Instant::now() + self.backoff.pause());
                Err(error)
            }
        }
    }
}

/// What to send: the commands of all orders except withdrawn ones, which are dropped.
fn sent(orders: &mut Vec<Order>) -> Requests {
    let mut requests = Requests::new();
    orders.retain(|order| {
        let sent = order.ticket.send();
        if sent {
            requests.append(&order.requests);
        }
        sent
    });
    requests
}

/// Gives each order its own replies, or the failure. Those of what names queues come last, and are nobody's.
fn answer(orders: &mut Vec<Order>, result: Result<Vec<Reply>, impl Fn() -> Error>) {
    let (replies, failure) = match result {
        Ok(replies) => (replies, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let mut replies = replies.into_iter();
    for Order { requests, answer, .. } in orders.drain(..) {
        let answered = match &failure {
            None => Ok(replies.by_ref().take(requests.len_commands()).collect()),
            Some(failure) => Err(failure()),
        };
        // A caller that has stopped waiting needs no answer.
        let _dropped = answer.send(answered);
    }
}
