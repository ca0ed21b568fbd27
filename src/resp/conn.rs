//! One connection to Redis on a shard's io_uring: the thin part between the socket and [`Pipeline`].
//!
//! TCP and unix sockets alike: a non-blocking socket; reads and writes are tried at once, and when the kernel has nothing,
//! readiness is awaited on the ring. Cost of a call: one `send`, one `recv`, and one ring poll if the answer is not there
//! yet. What is awaited is readiness, never a read in flight, so that no future, dropped or not, can swallow bytes.
//!
//! A connection has one owner, who writes and reads it in turn. To stop it from elsewhere, or because no answer comes, its
//! socket is shut down ([`Stopper`], and a watchdog that runs only while an answer is awaited): the pending read ends with
//! an error, and the connection takes no further calls. Reconnecting is the owner's business ([`super::backoff`]).

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use glommio::io::PollableFd;
use glommio::timer::Timer;
use socket2::Socket;

use super::connect::{connect, io_error};
use super::{Error, Handshake, Pipeline, RedisUrl, Reply, ReplyLimits, Requests};
use crate::limits::{CALL_TIMEOUT, CONNECT_TIMEOUT};

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
    pipeline: Pipeline,
    chunk: Box<[u8]>,
    /// Invariant: set by the first error, after which nothing is sent or read.
    broken: bool,
}

/// Ends a connection from outside; see [`Connection::stopper`].
#[derive(Clone)]
pub struct Stopper(Weak<Watched>);

/// A socket and the moment at which it is given up.
struct Watched {
    fd: PollableFd<Socket>,
    /// When the awaited answer is late; `None` while nothing is awaited.
    deadline: Cell<Option<Instant>>,
    /// When the watchdog task that sleeps for this socket will look at the deadline; `None` if there is no such task.
    guard_wakes: Cell<Option<Instant>>,
    /// The longest that any answer is awaited from now on.
    patience: Cell<Duration>,
    /// Whether the watchdog shut the socket down.
    late: Cell<bool>,
}

impl Connection {
    /// Connects and introduces the connection. One round trip bounded by [`CONNECT_TIMEOUT`], besides the connect,
    /// which may take [`TCP_CONNECT_TIMEOUT`] for each address of the host.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Timeout`] name the address; [`Error::Handshake`] says what Redis refused.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the socket.
    pub async fn open(url: &RedisUrl, options: &ConnOptions) -> Result<Self, Error> {
        let socket = connect(url).await?;
        let watched = Watched {
            fd: PollableFd::new(socket).map_err(|error| io_error(url, error.into()))?,
            deadline: Cell::new(None),
            guard_wakes: Cell::new(None),
            patience: Cell::new(Duration::MAX),
            late: Cell::new(false),
        };
        let mut conn = Self {
            socket: Rc::new(watched),
            pipeline: Pipeline::new(options.limits),
            chunk: vec![0; options.chunk_bytes].into_boxed_slice(),
            broken: false,
        };
        let mut handshake = Handshake::new(url, &options.name);
        conn.send(handshake.requests()).await?;
        while !handshake.is_complete() {
            let reply = conn.reply_within(CONNECT_TIMEOUT).await?;
            handshake.accept(&reply)?;
        }
        Ok(conn)
    }

    /// Writes commands out. Their replies are owed to [`reply`](Self::reply), one each, in order.
    ///
    /// # Errors
    /// The connection is of no use after any error.
    ///
    /// # Cancel-safety
    /// None: a dropped send may have written half a command, so the connection counts as broken.
    pub async fn send(&mut self, requests: &Requests) -> Result<(), Error> {
        self.usable()?;
        self.broken = true;
        if self.pipeline.pending() == 0 {
            // What came beyond all answers would be taken for the answer to this.
            self.pipeline.next_reply()?;
        }
        self.pipeline.push(requests)?;
        while !self.pipeline.output().is_empty() {
            match (&mut self.socket.fd.get_ref()).write(self.pipeline.output()) {
                Ok(0) => return Err(Error::Closed),
                Ok(bytes) => self.pipeline.wrote(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A peer that takes nothing is as late as one that answers nothing.
                    self.socket.expect_within(CALL_TIMEOUT);
                    let ready = self.socket.fd.writable().await;
                    self.socket.deadline.set(None);
                    self.check_late("write to redis", CALL_TIMEOUT)?;
                    ready.map_err(|error| call_error("wait to write to redis", error.into()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(call_error("write to redis", error)),
            }
        }
        self.broken = false;
        Ok(())
    }

    /// Awaits the next reply for at most [`CALL_TIMEOUT`].
    ///
    /// # Errors
    /// The connection is of no use after any error. A reply that is an error of Redis is no error here.
    ///
    /// # Cancel-safety
    /// Safe: bytes that came are kept for the next call.
    pub async fn reply(&mut self) -> Result<Reply, Error> {
        self.reply_within(CALL_TIMEOUT).await
    }

    /// As [`reply`](Self::reply), for a call that blocks in Redis: the time it may take, with the usual allowance.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    ///
    /// # Cancel-safety
    /// As [`reply`](Self::reply).
    pub async fn reply_within(&mut self, within: Duration) -> Result<Reply, Error> {
        self.usable()?;
        let result = self.read_reply(within).await;
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
            match (&mut self.socket.fd.get_ref()).read(&mut self.chunk) {
                Ok(0) => {
                    self.check_late("answer of redis", within)?;
                    return Err(Error::Closed);
                }
                Ok(bytes) => self.pipeline.feed(&self.chunk[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.expect_within(within);
                    let ready = self.socket.fd.readable().await;
                    self.socket.deadline.set(None);
                    ready.map_err(|error| call_error("wait for redis", error.into()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(call_error("read from redis", error)),
            }
        }
    }

    /// Sends commands and awaits all their replies. One round trip.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    ///
    /// # Cancel-safety
    /// None: replies would be left owed. Drop the connection with the future.
    pub async fn call(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error> {
        self.send(requests).await?;
        let mut replies = Vec::with_capacity(requests.len_commands());
        for _ in 0..requests.len_commands() {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    /// From now on replies may be of RESP3, and pushes may come between them. To be called before the command that asks
    /// for RESP3 is sent.
    pub fn speak_resp3(&mut self) {
        self.pipeline.speak_resp3();
    }

    /// Awaits that something has come, or that the connection has ended: [`pushes`](Self::pushes) then says which. It reads
    /// nothing. For a connection that is owed no reply; there is no deadline, the caller has one.
    ///
    /// # Errors
    /// The connection is of no use after any error.
    ///
    /// # Cancel-safety
    /// Safe: no read is in flight.
    pub async fn readable(&self) -> Result<(), Error> {
        self.usable()?;
        self.socket.fd.readable().await.map_err(|error| call_error("wait for redis", error.into()))
    }

    /// How many pushes came since this was last asked, as far as one read at most finds them; it does not wait.
    ///
    /// # Errors
    /// The connection is of no use after any error: it has ended, or a reply came that no command asked for.
    pub fn pushes(&mut self) -> Result<usize, Error> {
        self.usable()?;
        debug_assert_eq!(self.pipeline.pending(), 0, "a reply that is owed would be dropped");
        let result = self.read_pushes();
        self.broken |= result.is_err();
        result
    }

    fn read_pushes(&mut self) -> Result<usize, Error> {
        // Some may have come together with the last reply.
        self.pipeline.next_reply()?;
        match (&mut self.socket.fd.get_ref()).read(&mut self.chunk) {
            Ok(0) => return Err(Error::Closed),
            Ok(bytes) => self.pipeline.feed(&self.chunk[..bytes]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(call_error("read from redis", error)),
        }
        self.pipeline.next_reply()?;
        Ok(self.pipeline.take_pushes())
    }

    /// A handle that ends this connection from another task of the same executor, if it still lives.
    pub fn stopper(&self) -> Stopper {
        Stopper(Rc::downgrade(&self.socket))
    }

    fn usable(&self) -> Result<(), Error> {
        if self.broken { Err(Error::Broken) } else { Ok(()) }
    }

    fn check_late(&self, what: &str, after: Duration) -> Result<(), Error> {
        let after = after.min(self.socket.patience.get());
        if self.socket.late.get() { Err(Error::Timeout { what: what.to_owned(), after }) } else { Ok(()) }
    }
}

impl Stopper {
    /// Shuts the socket down: whoever reads it gets [`Error::Closed`].
    pub fn stop(&self) {
        if let Some(socket) = self.0.upgrade() {
            socket.shut_down();
        }
    }

    /// From now on no answer is awaited for longer than this, and what is awaited now for no longer from now.
    pub fn hurry(&self, patience: Duration) {
        let Some(socket) = self.0.upgrade() else { return };
        socket.patience.set(patience);
        let in_time = Instant::now() + patience;
        if socket.deadline.get().is_some_and(|deadline| deadline > in_time) {
            socket.expect_within(patience);
        }
    }
}

impl Watched {
    fn expect_within(self: &Rc<Self>, within: Duration) {
        let deadline = Instant::now() + within.min(self.patience.get());
        self.deadline.set(Some(deadline));
        // One that sleeps longer is of no help: it ends when it wakes, or goes on as the one there is.
        if self.guard_wakes.get().is_none_or(|wakes| wakes > deadline) {
            self.guard_wakes.set(Some(deadline));
            glommio::spawn_local(guard(Rc::downgrade(self))).detach();
        }
    }

    fn shut_down(&self) {
        // Fails only if the peer is gone already, which ends the read just as well.
        let _gone = self.fd.get_ref().shutdown(Shutdown::Both);
    }
}

/// Shuts the socket down if its deadline passes; ends when it wakes and nothing is awaited.
///
/// The deadline moves with every call while this sleeps, so a busy connection costs one wake-up per [`CALL_TIMEOUT`].
async fn guard(socket: Weak<Watched>) {
    loop {
        let pause = {
            let Some(socket) = socket.upgrade() else { return };
            let Some(deadline) = socket.deadline.get() else {
                socket.guard_wakes.set(None);
                return;
            };
            let now = Instant::now();
            if deadline <= now {
                socket.late.set(true);
                socket.shut_down();
                return;
            }
            socket.guard_wakes.set(Some(deadline));
            deadline - now
        };
        Timer::new(pause).await;
    }
}

fn call_error(what: &str, source: io::Error) -> Error {
    Error::Io { what: what.to_owned(), cause: source }
}
