//! A blocking connection that is opened when it is needed, and replaced when it has failed.
//!
//! It sends nothing twice. A connection that has been idle for long is checked first: what is sent over a dead one
//! could not be sent again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::future::block_on;

use super::Error;
use super::reckoning;
use super::registered::Registered;
use super::router::{Router, Wire};
use super::spelling::Spelling;
use crate::job::Schema;
use crate::limits::LOCAL_PROBE_IDLE;
use crate::net;
use crate::net::blocking::{BlockingConnection, BlockingOptions};
use crate::resp::{Reply, Requests, url::RedisUrl};
use crate::store::enqueue;
use crate::time::RedisClock;
use crate::wire::{Keyspace, QueueName};

/// Where to connect, and the connection once there is one.
#[derive(Debug)]
pub(super) struct Link {
    // Fixed at construction.
    spelling: Spelling,
    url: RedisUrl,
    options: BlockingOptions,
    // Changed by calls only.
    /// The connection and when it last answered.
    conn: Option<(BlockingConnection, Instant)>,
    /// In a cluster, the connections to its nodes, used instead of that one.
    router: Option<Router<BlockingConnection>>,
    /// In a cluster, replies not yet received. There, each batch is a round trip: only the reply shows which node a
    /// command ended up at, and a queue's order must be kept.
    heard: VecDeque<Reply>,
    /// The server's.
    clock: Arc<RedisClock>,
    /// What its register was told over this connection.
    registered: Registered,
}

impl Wire for BlockingConnection {
    type Options = BlockingOptions;

    async fn open(url: &RedisUrl, options: &BlockingOptions) -> Result<Self, net::Error> {
        Self::connect_with(url, options)
    }

    async fn exchange(&mut self, requests: &Requests) -> Result<Vec<Reply>, net::Error> {
        self.call(requests)
    }
}

impl Link {
    /// Connects at the first call.
    pub(super) fn new(spelling: Spelling, url: RedisUrl, options: BlockingOptions) -> Self {
        let router = url.is_cluster().then(|| Router::new(url.clone(), options.clone()));
        Self {
            spelling,
            url,
            options,
            conn: None,
            router,
            heard: VecDeque::new(),
            clock: Arc::default(),
            registered: Registered::default(),
        }
    }

    /// Writes so from now on.
    pub(super) fn speak(&mut self, spelling: Spelling) {
        self.spelling = spelling;
    }

    /// How keys are spelt there.
    pub(super) const fn keys(&self) -> Keyspace {
        self.spelling.keys
    }

    /// How payloads are written there.
    pub(super) const fn schema(&self) -> Schema {
        self.spelling.schema
    }

    pub(super) const fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// The clock of the server, as far as it is known.
    pub(super) const fn clock(&self) -> &Arc<RedisClock> {
        &self.clock
    }

    /// Unix time by the clock of the server. Round trips: see [`reckoning`].
    pub(super) fn now(&mut self) -> Result<f64, Error> {
        // A new connection may lead to another server.
        self.open()?;
        self.read_clock()?;
        Ok(self.clock.now())
    }

    /// Reads the clock of the server, unless it was read lately.
    pub(super) fn read_clock(&mut self) -> Result<(), Error> {
        let mut requests = Requests::new();
        let clock = Arc::clone(&self.clock);
        match reckoning::ask(&clock, &mut requests) {
            Some(asked) => reckoning::note(&clock, asked, self.call_one(&requests)),
            None => Ok(()),
        }
    }

    /// Whether the next call must connect first.
    pub(super) fn is_down(&self) -> bool {
        if let Some(router) = &self.router {
            return router.is_down();
        }
        self.conn.as_ref().is_none_or(|(conn, _)| conn.is_broken())
    }

    /// Makes sure there is a working connection, as far as that can be known.
    pub(super) fn open(&mut self) -> Result<(), Error> {
        match &mut self.router {
            None => self.opened().map(drop),
            Some(router) => {
                let mut requests = Requests::new();
                enqueue::probe(&mut requests);
                block_on(router.prepare(&requests)).map_err(Error::Connect)
            }
        }
    }

    fn opened(&mut self) -> Result<&mut BlockingConnection, Error> {
        let kept = match self.conn.take() {
            Some((conn, _)) if conn.is_broken() => None,
            Some((mut conn, answered_at)) => {
                let stands = answered_at.elapsed() < LOCAL_PROBE_IDLE || {
                    let mut requests = Requests::new();
                    enqueue::probe(&mut requests);
                    conn.call(&requests).is_ok()
                };
                stands.then_some(conn)
            }
            None => None,
        };
        let conn = match kept {
            Some(conn) => conn,
            None => {
                self.clock.mistrust();
                self.registered.forget();
                BlockingConnection::connect_with(&self.url, &self.options).map_err(Error::Connect)?
            }
        };
        Ok(&mut self.conn.insert((conn, Instant::now())).0)
    }

    /// Sends the commands in one write and returns their replies, including errors.
    pub(super) fn call(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error> {
        if let Some(router) = &mut self.router {
            return block_on(router.call(requests)).map_err(Error::of_router);
        }
        let replies = self.opened()?.call(requests).map_err(Error::of_call)?;
        if let Some((_, answered_at)) = &mut self.conn {
            *answered_at = Instant::now();
        }
        Ok(replies)
    }

    /// Sends commands after those whose replies are still owed, and leaves theirs for [`Self::receive`]. It does not
    /// connect: call [`Self::open`] before the first of them.
    pub(super) fn send(&mut self, requests: &Requests) -> Result<(), Error> {
        if let Some(router) = &mut self.router {
            self.heard.extend(block_on(router.call(requests)).map_err(Error::of_router)?);
            return Ok(());
        }
        match &mut self.conn {
            Some((conn, _)) => conn.send(requests).map_err(Error::of_call),
            None => Err(Error::Connect(net::Error::Broken)),
        }
    }

    /// The replies to the oldest `count` commands sent, including errors.
    pub(super) fn receive(&mut self, count: usize) -> Result<Vec<Reply>, Error> {
        if self.router.is_some() {
            let count = count.min(self.heard.len());
            return Ok(self.heard.drain(..count).collect());
        }
        let Some((conn, answered_at)) = &mut self.conn else {
            return Err(Error::Lost(net::Error::Closed));
        };
        let replies = conn.receive(count).map_err(Error::of_call)?;
        *answered_at = Instant::now();
        Ok(replies)
    }

    /// Appends, behind pushes to a queue, what names it, unless it was named lately. Returns how many replies follow theirs.
    pub(super) fn name(&mut self, queue: &QueueName, requests: &mut Requests) -> usize {
        let Self { registered, clock, spelling, .. } = self;
        registered.name(spelling.keys, queue, || clock.now(), requests)
    }

    /// Sends commands and returns the first reply, unless that is an error.
    pub(super) fn call_first(&mut self, requests: &Requests) -> Result<Reply, Error> {
        // There are as many replies as commands, or an error.
        let first = self.call(requests)?.into_iter().next().ok_or(Error::Lost(net::Error::Closed))?;
        first.into_result().map_err(Error::of_call)
    }

    /// Sends one command and returns its reply, unless that is an error.
    pub(super) fn call_one(&mut self, requests: &Requests) -> Result<Reply, Error> {
        debug_assert_eq!(requests.len_commands(), 1, "one command");
        // There are as many replies as commands, or an error.
        let only = self.call(requests)?.pop().ok_or(Error::Lost(net::Error::Closed))?;
        only.into_result().map_err(Error::of_call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;

    #[test]
    fn a_connection_that_died_while_idle_is_replaced_before_anything_is_sent() {
        let redis = OwnRedis::start();
        let mut link = Link::new(Spelling::usual(&redis.url()), redis.url(), BlockingOptions::default());
        assert!(link.is_down());
        let mut requests = Requests::new();
        enqueue::probe(&mut requests);
        link.call_one(&requests).unwrap();
        redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        let answered_at = &mut link.conn.as_mut().unwrap().1;
        *answered_at = answered_at.checked_sub(LOCAL_PROBE_IDLE).unwrap();
        link.call_one(&requests).unwrap();
        assert!(!link.is_down());
    }
}
