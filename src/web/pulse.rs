//! Whether Redis answers: asked with a PING over a connection of its own, only when a probe wants to know.
//!
//! Shards and control learn that Redis hangs from a call that gets no answer, which an idle process makes every few seconds
//! and gives up after [`CALL_TIMEOUT`](crate::limits::CALL_TIMEOUT). Those who ask for readiness are told sooner: at most
//! one PING each [`READY_PING_AGE_MAX`] for all who ask, and none of them waits longer than [`READY_PING_WAIT`] for it.
//! While nobody asks nothing is sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::event::Event;
use crate::io;
use crate::io::permits::Permits;
use crate::limits::{CONTROL_CHUNK_BYTES, READY_PING_AGE_MAX, READY_PING_WAIT, WEB_CONNECTIONS_MAX};
use crate::net::{ConnOptions, Connection, Error};
use crate::resp::{RedisUrl, ReplyLimits, Requests};
use crate::store::server;

/// See the module.
pub(super) struct Pulse {
    // Fixed.
    url: RedisUrl,
    client_name: String,
    /// One asker waits at a time; the others find its answer.
    turns: Permits,
    // Changed by the ping that is under way, of which there is one.
    open: RefCell<Option<Connection>>,
    under_way: Cell<Option<Instant>>,
    /// Since when what was asked has had no answer.
    silent_since: Cell<Option<Instant>>,
    asked_at: Cell<Option<Instant>>,
    ended: Event,
}

impl Pulse {
    pub(super) fn new(url: RedisUrl, client_name: String) -> Rc<Self> {
        Rc::new(Self {
            url,
            client_name,
            turns: Permits::new(1, WEB_CONNECTIONS_MAX),
            open: RefCell::default(),
            under_way: Cell::new(None),
            silent_since: Cell::new(None),
            asked_at: Cell::new(None),
            ended: Event::default(),
        })
    }

    /// For how long Redis has not answered those who asked; `None`: it answers.
    ///
    /// # Cancel-safety
    /// Safe: the ping goes on by itself.
    pub(super) async fn silence(self: &Rc<Self>) -> Option<Duration> {
        if let Ok(_turn) = self.turns.take().await {
            self.ask();
            while let Some(since) = self.under_way.get() {
                let left = READY_PING_WAIT.saturating_sub(since.elapsed());
                if left.is_zero() {
                    break;
                }
                self.ended.wait_for(left).await;
            }
        }
        let since = [self.silent_since.get(), self.under_way.get()].into_iter().flatten().min();
        since.map(|since| since.elapsed())
    }

    /// Sends a ping, unless one is under way or has just been.
    fn ask(self: &Rc<Self>) {
        let is_new = self.asked_at.get().is_some_and(|at| at.elapsed() < READY_PING_AGE_MAX);
        if is_new || self.under_way.get().is_some() {
            return;
        }
        let now = Instant::now();
        self.asked_at.set(Some(now));
        self.under_way.set(Some(now));
        let this = Rc::clone(self);
        io::spawn(async move {
            let pinged = this.ping().await;
            if let Err(error) = &pinged {
                tracing::debug!(%error, "web: redis does not answer a ping");
            }
            let since = this.silent_since.get().or(Some(now));
            this.silent_since.set(since.filter(|_| pinged.is_err()));
            this.under_way.set(None);
            this.ended.raise();
        })
        .detach();
    }

    /// One round trip, and those of a new connection where there is none or it was lost while nobody asked.
    async fn ping(&self) -> Result<(), Error> {
        let mut requests = Requests::new();
        server::ping(&mut requests);
        if let Some(mut conn) = self.open.take() {
            match conn.call(&requests).await {
                Ok(_) => {
                    self.open.replace(Some(conn));
                    return Ok(());
                }
                // It hangs: another connection would, too.
                Err(error @ Error::Timeout { .. }) => return Err(error),
                Err(_) => {}
            }
        }
        let options = ConnOptions {
            name: self.client_name.clone(),
            limits: ReplyLimits::default(),
            chunk_bytes: CONTROL_CHUNK_BYTES,
        };
        let mut conn = Connection::open(&self.url, &options).await?;
        conn.call(&requests).await?;
        self.open.replace(Some(conn));
        Ok(())
    }
}
