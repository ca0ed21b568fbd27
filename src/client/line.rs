//! The connection over which the jobs of one core push: opened at the first push, used by one task, shared by all.
//!
//! A caller that pushes leaves an order and awaits its receipt. A task takes all waiting orders, sends them at once
//! and reads their replies; it ends when none are waiting. So a dropped push drops no read, and an idle core has an
//! idle connection and no task. Nothing is sent twice: after a failure it is not known whether Redis ran what was
//! sent.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::Error;
use super::error::same;
use super::registered::Registered;
use super::router::{Failure, Router, Wire};
use super::spelling::Spelling;
use crate::job::Schema;
use crate::limits::{CLOCK_KEPT, LOCAL_CHUNK_BYTES, LOCAL_PROBE_IDLE, PUSH_BYTES_MAX, PUSH_JOBS_MAX};
use crate::net::{self, ConnOptions, Connection};
use crate::resp::{self, RedisUrl, Reply, ReplyLimits, Requests};
use crate::store::enqueue::{self, Push, When};
use crate::store::{progress, server};
use crate::time::{Asked, RedisClock};
use crate::wire::{Keyspace, QueueName};

/// What to send to Redis.
pub(super) enum Order {
    /// A job for a queue.
    Push { queue: QueueName, when: When, payload: Vec<u8> },
    /// A job's progress.
    Report { jid: String, json: String },
    /// It is to tell its time, which this clock is set by; asked when it is sent.
    Time { clock: Arc<RedisClock>, asked: Cell<Asked> },
}

/// The clock of the server.
pub(super) enum Clock {
    /// Read over this connection.
    Own(Arc<RedisClock>),
    /// Kept by others.
    Kept(Arc<RedisClock>),
}

/// A connection, if already opened, and what waits for it.
pub(super) struct Line(Rc<State>);

struct State {
    spelling: Spelling,
    url: RedisUrl,
    name: String,
    clock: Clock,
    /// What waits to be sent, oldest first.
    /// Invariant: at most [`PUSH_JOBS_MAX`].
    waiting: RefCell<VecDeque<(Order, Option<Rc<Arrival>>)>>,
    waiting_bytes: Cell<usize>,
    /// Tasks waiting for room in the queue.
    crowd: RefCell<Vec<Waker>>,
    /// The connection while no task is using it, and since when.
    conn: RefCell<Option<(Connection, Instant)>>,
    /// In a cluster, the connections to its nodes, used instead of that one.
    router: RefCell<Option<Router<Connection>>>,
    /// What the register of the server was told over this connection.
    registered: RefCell<Registered>,
    /// Whether a task is running.
    at_work: Cell<bool>,
}

impl Wire for Connection {
    type Options = ConnOptions;

    async fn open(url: &RedisUrl, options: &ConnOptions) -> Result<Self, net::Error> {
        Self::open(url, options).await
    }

    async fn exchange(&mut self, requests: &Requests) -> Result<Vec<Reply>, net::Error> {
        self.call(requests).await
    }
}

/// The outcome of an order.
#[derive(Default)]
struct Arrival {
    result: Cell<Option<Result<(), Error>>>,
    waker: Cell<Option<Waker>>,
}

/// Resolves when Redis has answered.
pub(super) struct Receipt(Rc<Arrival>);

impl Future for Receipt {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.0.result.take() {
            return Poll::Ready(result);
        }
        self.0.waker.set(Some(ctx.waker().clone()));
        Poll::Pending
    }
}

impl Arrival {
    fn note(&self, result: Result<(), Error>) {
        self.result.set(Some(result));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Order {
    fn bytes(&self) -> usize {
        match self {
            Self::Push { payload, .. } => payload.len(),
            Self::Report { json, .. } => json.len(),
            Self::Time { .. } => 0,
        }
    }

    fn write(&self, keys: Keyspace, requests: &mut Requests) {
        match self {
            Self::Push { queue, when, payload } => {
                Push { keys, queue, when: *when }.one(payload, requests);
            }
            Self::Report { jid, json } => progress::report(keys, jid, json, requests),
            Self::Time { asked, .. } => {
                server::ask_clock(requests);
                asked.set(Asked::now());
            }
        }
    }

    fn read(&self, reply: &Reply) -> Result<(), resp::Error> {
        match self {
            Self::Push { when, .. } => when.read(reply).map(drop),
            Self::Report { .. } => reply.as_ok(),
            Self::Time { clock, asked } => {
                match server::clock(reply) {
                    Ok(told) => _ = clock.learn(asked.get(), told),
                    Err(_) => clock.note_refused(),
                }
                Ok(())
            }
        }
    }
}

impl Line {
    pub(super) fn new(spelling: Spelling, url: RedisUrl, name: String, clock: Clock) -> Self {
        Self(Rc::new(State {
            spelling,
            url,
            name,
            clock,
            waiting: RefCell::default(),
            waiting_bytes: Cell::new(0),
            crowd: RefCell::default(),
            conn: RefCell::default(),
            router: RefCell::default(),
            registered: RefCell::default(),
            at_work: Cell::new(false),
        }))
    }

    /// How payloads are written there.
    pub(super) fn schema(&self) -> Schema {
        self.0.spelling.schema
    }

    /// Unix time by the clock of the server, as far as that is known.
    pub(super) fn now(&self) -> f64 {
        match &self.0.clock {
            Clock::Own(clock) | Clock::Kept(clock) => clock.now(),
        }
    }

    /// Reads the clock of the server, if that is its own to do and was not done lately.
    ///
    /// # Cancel-safety
    /// Safe: the question is asked, or not.
    pub(super) async fn read_clock(&self) -> Result<(), Error> {
        let Clock::Own(clock) = &self.0.clock else { return Ok(()) };
        if clock.is_fresh(CLOCK_KEPT) {
            return Ok(());
        }
        let order = Order::Time { clock: Arc::clone(clock), asked: Cell::new(Asked::now()) };
        match self.submit(order).await.await {
            // No job was sent.
            Err(Error::Lost(cause)) => Err(Error::Connect(cause)),
            answered => answered,
        }
    }

    /// Leaves an order, once there is room.
    pub(super) async fn submit(&self, order: Order) -> Receipt {
        let state = &*self.0;
        poll_fn(|ctx| {
            if state.has_room() {
                return Poll::Ready(());
            }
            state.crowd.borrow_mut().push(ctx.waker().clone());
            Poll::Pending
        })
        .await;
        let arrival = Rc::new(Arrival::default());
        self.leave(order, Some(Rc::clone(&arrival)));
        Receipt(arrival)
    }

    /// Leaves an order that nobody waits for, if there is room.
    pub(super) fn offer(&self, order: Order) {
        if self.0.has_room() {
            self.leave(order, None);
        }
    }

    fn leave(&self, order: Order, arrival: Option<Rc<Arrival>>) {
        let state = &self.0;
        state.waiting_bytes.set(state.waiting_bytes.get() + order.bytes());
        state.waiting.borrow_mut().push_back((order, arrival));
        if !state.at_work.replace(true) {
            glommio::spawn_local(work(Rc::clone(state))).detach();
        }
    }
}

/// Sends what is waiting, until nothing is.
async fn work(state: Rc<State>) {
    loop {
        let orders = state.take_waiting();
        if orders.is_empty() {
            state.at_work.set(false);
            return;
        }
        state.exchange(orders).await;
    }
}

impl State {
    fn has_room(&self) -> bool {
        self.waiting.borrow().len() < PUSH_JOBS_MAX && self.waiting_bytes.get() < PUSH_BYTES_MAX
    }

    fn take_waiting(&self) -> VecDeque<(Order, Option<Rc<Arrival>>)> {
        self.waiting_bytes.set(0);
        let orders = self.waiting.take();
        self.crowd.take().into_iter().for_each(Waker::wake);
        orders
    }

    /// One round trip for all orders; each receives its own reply, or the failure.
    async fn exchange(&self, orders: VecDeque<(Order, Option<Rc<Arrival>>)>) {
        if self.url.is_cluster() {
            return self.exchange_in_cluster(orders).await;
        }
        let mut conn = match self.usable_conn().await {
            Ok(conn) => conn,
            Err(error) => return tell_all(orders, || Error::Connect(same(&error))),
        };
        let mut requests = Requests::new();
        orders.iter().for_each(|(order, _)| order.write(self.spelling.keys, &mut requests));
        let named = self.name(&orders, &mut requests);
        let mut failure = conn.send(&requests).await.err();
        for (order, arrival) in orders {
            let result = match &failure {
                None => match conn.reply().await {
                    Ok(reply) => order.read(&reply).map_err(Error::of_call),
                    Err(error) => {
                        let told = same(&error);
                        failure = Some(error);
                        Err(Error::of_call(told))
                    }
                },
                Some(error) => Err(Error::of_call(same(error))),
            };
            tell(arrival, result);
        }
        for _reply in 0..named {
            if failure.is_none() {
                failure = conn.reply().await.err();
            }
        }
        if failure.is_none() {
            *self.conn.borrow_mut() = Some((conn, Instant::now()));
        }
    }

    /// Appends what names the queues of these pushes. Returns how many replies follow theirs.
    fn name(&self, orders: &VecDeque<(Order, Option<Rc<Arrival>>)>, requests: &mut Requests) -> usize {
        let (Clock::Own(clock) | Clock::Kept(clock)) = &self.clock;
        let mut registered = self.registered.borrow_mut();
        let queues = orders.iter().filter_map(|(order, _)| match order {
            Order::Push { queue, .. } => Some(queue),
            Order::Report { .. } | Order::Time { .. } => None,
        });
        queues.map(|queue| registered.name(self.spelling.keys, queue, || clock.now(), requests)).sum()
    }

    /// The same over the connections to the nodes involved.
    async fn exchange_in_cluster(&self, orders: VecDeque<(Order, Option<Rc<Arrival>>)>) {
        // Kept by this call; there is only one at a time.
        let kept = self.router.take();
        let mut router = kept.unwrap_or_else(|| Router::new(self.url.clone(), self.options()));
        let mut requests = Requests::new();
        orders.iter().for_each(|(order, _)| order.write(self.spelling.keys, &mut requests));
        match router.call(&requests).await {
            Ok(replies) => {
                for ((order, arrival), reply) in orders.into_iter().zip(replies) {
                    tell(arrival, order.read(&reply).map_err(Error::of_call));
                }
            }
            Err(Failure::NotSent(error)) => tell_all(orders, || Error::Connect(same(&error))),
            Err(Failure::Lost(error)) => tell_all(orders, || Error::Lost(same(&error))),
        }
        *self.router.borrow_mut() = Some(router);
    }

    fn options(&self) -> ConnOptions {
        ConnOptions {
            name: self.name.clone(),
            limits: ReplyLimits::default(),
            chunk_bytes: LOCAL_CHUNK_BYTES,
        }
    }

    /// The current connection, or a new one. One that has been idle for long is checked first: what is sent over a
    /// dead connection could not be sent again.
    async fn usable_conn(&self) -> Result<Connection, net::Error> {
        let kept = self.conn.take();
        if let Some((mut conn, since)) = kept {
            if since.elapsed() < LOCAL_PROBE_IDLE {
                return Ok(conn);
            }
            let mut requests = Requests::new();
            enqueue::probe(&mut requests);
            if conn.call(&requests).await.is_ok() {
                return Ok(conn);
            }
        }
        self.registered.borrow_mut().forget();
        if let Clock::Own(clock) = &self.clock {
            // Another server may answer from now on.
            clock.mistrust();
        }
        Connection::open(&self.url, &self.options()).await
    }
}

fn tell_all(orders: VecDeque<(Order, Option<Rc<Arrival>>)>, error: impl Fn() -> Error) {
    orders.into_iter().for_each(|(_, arrival)| tell(arrival, Err(error())));
}

fn tell(arrival: Option<Rc<Arrival>>, result: Result<(), Error>) {
    match (arrival, result) {
        (Some(arrival), result) => arrival.note(result),
        (None, Err(error)) => tracing::debug!(%error, "failed to record the progress of a job"),
        (None, Ok(())) => {}
    }
}
