//! One connection to Redis on a shard's io_uring: the thin part between the socket and [`Pipeline`].
//!
//! TCP and unix sockets alike: a non-blocking socket; reads and writes are tried at once, and when the kernel has
//! nothing, readiness is awaited on the ring. Cost of a call: one `send`, one `recv`, and one ring poll if the answer has
//! not arrived yet. It awaits readiness, never a read in flight, so that no future, dropped or not, can swallow bytes.
//!
//! A connection has one owner, which writes and reads it in turn. To stop it from elsewhere, or because no answer comes,
//! its socket is shut down ([`Stopper`], and a watchdog that runs only while an answer is awaited): the pending read ends
//! with an error, and the connection takes no further calls. Reconnecting is up to the owner ([`super::backoff`]).

mod watch;

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::io::PollableFd;

pub use watch::Stopper;
use watch::Watched;

use super::connect::{connect, io_error};
use super::find::{self, Dial};
use super::tls::TlsError;
use super::transport::{Transport, failed};
use super::{Error, Handshake};
use crate::limits::{CALL_TIMEOUT, CONNECT_TIMEOUT, IDLE_MIN, SENTINEL_TIMEOUT};
use crate::resp::{Endpoint, Pipeline, RedisUrl, Reply, ReplyLimits, Requests};

/// How to open a connection.
#[derive(Debug, Clone)]
pub struct ConnOptions {
    /// What `CLIENT LIST` shows.
    pub name: String,
    /// Bounds of what Redis may answer.
    pub limits: ReplyLimits,
    /// Bytes read at once: the memory an idle connection keeps.
    pub chunk_bytes: usize,
}

/// An open connection, introduced to Redis: authenticated, on its database, named.
pub struct Connection {
    socket: Rc<Watched>,
    transport: Transport,
    pipeline: Pipeline,
    chunk: Box<[u8]>,
    /// When something last came in.
    heard_at: Instant,
    /// How long nothing had come in when the commands under way were sent, if that was long enough to count as idle.
    rested: Option<Duration>,
    /// Invariant: set by the first error, after which nothing is sent or read.
    broken: bool,
}

impl Connection {
    /// Connects and introduces the connection. One round trip bounded by [`CONNECT_TIMEOUT`], plus the connect, which may
    /// take [`TCP_CONNECT_TIMEOUT`](crate::limits::TCP_CONNECT_TIMEOUT) for each address of the host; one or two more for
    /// TLS; and, where sentinels know the server, one connection to each that is asked first.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Timeout`] name the address; [`Error::Handshake`] says what Redis refused,
    /// [`Error::Tls`] why the server is not trusted, [`Error::NoPrimary`] what the sentinels answered and
    /// [`Error::NoNode`] what the nodes of a cluster answered.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the socket.
    pub async fn open(url: &RedisUrl, options: &ConnOptions) -> Result<Self, Error> {
        find::open(url, options).await
    }

    /// Does the TLS handshake, if the url asks for TLS. Its last message from our side goes out with the first commands.
    async fn encrypt(&mut self, endpoint: &Endpoint, within: Duration) -> Result<(), Error> {
        while self.transport.is_handshaking() {
            self.write_out().await?;
            match self.read_once("tls handshake of redis", within).await {
                Err(Error::Closed) => {
                    return Err(Error::Tls(TlsError::HungUp { host: endpoint.to_string() }));
                }
                Err(error) => {
                    // This tells the server why, if it still listens; it changes nothing for us.
                    let _told = self.transport.transmit(self.socket.fd.get_ref(), &mut self.pipeline);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Writes commands out. [`reply`](Self::reply) must then be called for each of their replies, in order.
    ///
    /// # Errors
    /// The connection is useless after any error.
    ///
    /// # Cancel-safety
    /// None: a dropped send may have written half a command, so the connection counts as broken.
    pub async fn send(&mut self, requests: &Requests) -> Result<(), Error> {
        self.usable()?;
        self.broken = true;
        if self.pipeline.pending() == 0 {
            self.look_after_rest()?;
            // What came beyond all answers would be taken for the answer to this.
            self.pipeline.next_reply()?;
        }
        self.pipeline.push(requests)?;
        self.write_out().await.map_err(|error| self.if_idle(error))?;
        self.broken = false;
        Ok(())
    }

    /// A peer that closes idle connections by rule may have done so while nothing read this one: then nothing is sent, so
    /// that there is no doubt whether it ran.
    fn look_after_rest(&mut self) -> Result<(), Error> {
        let idle = self.heard_at.elapsed();
        self.rested = (idle >= IDLE_MIN).then_some(idle);
        if self.rested.is_none() {
            return Ok(());
        }
        // Over TLS a close_notify may come before the end.
        for _ in 0..2 {
            match self.transport.receive(self.socket.fd.get_ref(), &mut self.chunk, &mut self.pipeline) {
                Ok(0) => return Err(self.ended()),
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
                    break;
                }
                Err(error) => return Err(self.if_idle(failed("read from redis", error))),
            }
        }
        Ok(())
    }

    /// The peer has ended the connection: because it was idle, if it had rested and nothing has come since.
    fn ended(&self) -> Error {
        match self.rested {
            // We ended it ourselves.
            Some(idle) if !self.socket.shut.get() => {
                Error::ClosedIdle { idle, sent: self.pipeline.pending() > 0 }
            }
            _ => Error::Closed,
        }
    }

    /// Classifies the error of a socket that its peer has closed.
    fn if_idle(&self, error: Error) -> Error {
        const CLOSED: [io::ErrorKind; 2] = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        match error {
            Error::Io { cause, .. } if self.rested.is_some() && CLOSED.contains(&cause.kind()) => {
                self.ended()
            }
            error => error,
        }
    }

    /// Writes until nothing is left to write.
    async fn write_out(&mut self) -> Result<(), Error> {
        while self.transport.owes(&self.pipeline) {
            match self.transport.transmit(self.socket.fd.get_ref(), &mut self.pipeline) {
                Ok(0) => return Err(Error::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A peer that reads nothing is as late as one that answers nothing.
                    self.socket.expect_within(CALL_TIMEOUT);
                    let ready = self.socket.fd.writable().await;
                    self.socket.deadline.set(None);
                    self.check_late("write to redis", CALL_TIMEOUT)?;
                    ready.map_err(|error| failed("wait to write to redis", error.into()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("write to redis", error)),
            }
        }
        Ok(())
    }

    /// Awaits the next reply for at most [`CALL_TIMEOUT`].
    ///
    /// # Errors
    /// The connection is useless after any error. An error reply of Redis is not an error here.
    ///
    /// # Cancel-safety
    /// Safe: bytes that came in are kept for the next call.
    pub async fn reply(&mut self) -> Result<Reply, Error> {
        self.reply_within(CALL_TIMEOUT).await
    }

    /// As [`reply`](Self::reply), for a call that blocks in Redis: for the time it may take, plus the usual allowance.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    ///
    /// # Cancel-safety
    /// As [`reply`](Self::reply).
    pub async fn reply_within(&mut self, within: Duration) -> Result<Reply, Error> {
        self.usable()?;
        let result = self.read_reply(within).await.map_err(|error| self.if_idle(error));
        self.broken |= result.is_err();
        result
    }

    /// Awaits the next message of a subscription, for as long as given. For a connection that has subscribed and does
    /// nothing else.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    ///
    /// # Cancel-safety
    /// As [`reply`](Self::reply).
    pub async fn message(&mut self, within: Duration) -> Result<Reply, Error> {
        self.pipeline.expect_message();
        self.reply_within(within).await
    }

    async fn read_reply(&mut self, within: Duration) -> Result<Reply, Error> {
        loop {
            if let Some(reply) = self.pipeline.next_reply()? {
                return Ok(reply);
            }
            self.read_once("answer of redis", within).await?;
        }
    }

    /// Reads once, when there is something to read.
    async fn read_once(&mut self, what: &str, within: Duration) -> Result<(), Error> {
        loop {
            match self.transport.receive(self.socket.fd.get_ref(), &mut self.chunk, &mut self.pipeline) {
                Ok(0) => {
                    self.check_late(what, within)?;
                    return Err(self.ended());
                }
                Ok(_) => {
                    (self.heard_at, self.rested) = (Instant::now(), None);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.expect_within(within);
                    let ready = self.socket.fd.readable().await;
                    self.socket.deadline.set(None);
                    ready.map_err(|error| failed("wait for redis", error.into()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Over TLS the peer may send close_notify to a socket that was shut down, which resets it: an end like
                // any other.
                Err(_) if self.socket.shut.get() => {
                    self.check_late(what, within)?;
                    return Err(Error::Closed);
                }
                Err(error) => return Err(failed("read from redis", error)),
            }
        }
    }

    /// Sends commands and awaits all their replies. One round trip.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    ///
    /// # Cancel-safety
    /// None: replies would remain owed. Drop the connection with the future.
    pub async fn call(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error> {
        self.send(requests).await?;
        let mut replies = Vec::with_capacity(requests.len_commands());
        for _ in 0..requests.len_commands() {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    /// From now on replies may be RESP3, and pushes may come between them. Must be called before the command that
    /// switches to RESP3 is sent.
    pub fn speak_resp3(&mut self) {
        self.pipeline.speak_resp3();
    }

    /// Waits until something has come in, or the connection has ended: [`pushes`](Self::pushes) then says which. It reads
    /// nothing. For a connection that is owed no reply; it has no deadline, the caller has one.
    ///
    /// # Errors
    /// The connection is useless after any error.
    ///
    /// # Cancel-safety
    /// Safe: no read is in flight.
    pub async fn readable(&self) -> Result<(), Error> {
        self.usable()?;
        self.socket.fd.readable().await.map_err(|error| failed("wait for redis", error.into()))
    }

    /// How many pushes have come in since the last call, as far as one read finds them; it does not wait.
    ///
    /// # Errors
    /// The connection is useless after any error: it has ended, or a reply came that no command asked for.
    pub fn pushes(&mut self) -> Result<usize, Error> {
        self.usable()?;
        debug_assert_eq!(self.pipeline.pending(), 0, "a reply that is owed would be dropped");
        let idle = self.heard_at.elapsed();
        self.rested = (idle >= IDLE_MIN).then_some(idle);
        let result = self.read_pushes().map_err(|error| self.if_idle(error));
        self.broken |= result.is_err();
        result
    }

    fn read_pushes(&mut self) -> Result<usize, Error> {
        // Some may have come together with the last reply.
        self.pipeline.next_reply()?;
        match self.transport.receive(self.socket.fd.get_ref(), &mut self.chunk, &mut self.pipeline) {
            Ok(0) => return Err(self.ended()),
            Ok(_) => self.heard_at = Instant::now(),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(failed("read from redis", error)),
        }
        self.pipeline.next_reply()?;
        Ok(self.pipeline.take_pushes())
    }

    /// From now on what is pushed is kept for [`pushed`](Self::pushed).
    pub fn keep_pushes(&mut self) {
        self.pipeline.keep_pushes();
    }

    /// What was pushed since the last call, and how many pushes that were: more, if not all could be kept. As
    /// [`pushes`](Self::pushes) in everything else.
    ///
    /// # Errors
    /// As [`pushes`](Self::pushes).
    pub fn pushed(&mut self) -> Result<(usize, Vec<Reply>), Error> {
        Ok((self.pushes()?, self.pipeline.take_pushed()))
    }

    /// A handle that ends this connection from another task of the same executor, if it is still alive.
    pub fn stopper(&self) -> Stopper {
        Stopper::new(&self.socket)
    }

    fn usable(&self) -> Result<(), Error> {
        if self.broken { Err(Error::Broken) } else { Ok(()) }
    }

    fn check_late(&self, what: &str, after: Duration) -> Result<(), Error> {
        let after = after.min(self.socket.patience.get());
        if self.socket.late.get() { Err(Error::Timeout { what: what.to_owned(), after }) } else { Ok(()) }
    }
}

impl Dial for Connection {
    type Options = ConnOptions;

    async fn open_at(
        endpoint: &Endpoint,
        url: &RedisUrl,
        options: &ConnOptions,
        at_most: Option<Duration>,
    ) -> Result<Self, Error> {
        let within = at_most.unwrap_or(CONNECT_TIMEOUT);
        let transport = Transport::new(url, endpoint)?;
        let socket = connect(endpoint).await?;
        let fd = PollableFd::new(socket).map_err(|error| io_error(endpoint, error.into()))?;
        let mut conn = Self {
            socket: Rc::new(Watched::new(fd)),
            transport,
            pipeline: Pipeline::new(options.limits),
            chunk: vec![0; options.chunk_bytes].into_boxed_slice(),
            heard_at: Instant::now(),
            rested: None,
            broken: false,
        };
        conn.encrypt(endpoint, within).await?;
        let mut handshake = Handshake::new(url, &options.name);
        conn.send(handshake.requests()).await?;
        while !handshake.is_complete() {
            let reply = conn.reply_within(within).await?;
            handshake.accept(&reply)?;
        }
        Ok(conn)
    }

    async fn ask(&mut self, question: &Requests) -> Result<Reply, Error> {
        self.send(question).await?;
        self.reply_within(SENTINEL_TIMEOUT).await
    }
}
