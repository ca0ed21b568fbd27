//! A connection for callers without an executor: command line, tests, producers.
//!
//! One call at a time, each with a deadline. Not for shards: see `conn`. It does not reconnect, because only the caller
//! knows whether a call may be sent twice.
//!
//! No keepalive is set: a connection is read only while a call waits, and then no longer than its deadline.

mod stream;

use std::io::{Read as _, Write as _};
use std::{fmt, io, time::Duration};

use futures_lite::future::block_on;

use self::stream::{Deadline, Stream, io_error};
use super::{
    Error,
    find::{self, Dial},
    handshake::Handshake,
    probe::{self, Suspicion},
    tls::TlsError,
    transport::Transport,
};
use crate::limits::{CALL_TIMEOUT, CONNECT_TIMEOUT, READ_CHUNK_BYTES, SENTINEL_TIMEOUT};
use crate::resp::{
    decode::ReplyLimits,
    encode::Requests,
    pipeline::Pipeline,
    reply::Reply,
    url::{Endpoint, RedisUrl},
};

/// How to connect, beyond what the url says.
#[derive(Clone, Debug)]
pub struct BlockingOptions {
    /// The connection's name in `CLIENT LIST`.
    pub client_name: String,
    /// For connecting and the handshake together. Resolving a host name is subject to the system's own time-out.
    pub connect_timeout: Duration,
    /// For one call, from its first byte written to its last reply.
    pub call_timeout: Duration,
    /// What a reply may cost.
    pub reply_limits: ReplyLimits,
}

impl Default for BlockingOptions {
    fn default() -> Self {
        Self {
            client_name: "jiggler-uring".to_owned(),
            connect_timeout: CONNECT_TIMEOUT,
            call_timeout: CALL_TIMEOUT,
            reply_limits: ReplyLimits::default(),
        }
    }
}

/// A connection that has introduced itself and is ready for calls.
pub struct BlockingConnection {
    // Fixed at construction.
    url: RedisUrl,
    endpoint: Endpoint,
    call_timeout: Duration,
    // Changed by calls only.
    stream: Stream,
    transport: Transport,
    pipeline: Pipeline,
    chunk: Box<[u8]>,
    /// Set while a call is under way and cleared when it ends well: a failure in between, of any kind, leaves an unknown
    /// number of replies on the wire.
    is_broken: bool,
}

impl BlockingConnection {
    /// Connects and introduces itself, with the default options.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Timeout`] if no connection can be made; [`Error::Handshake`] if Redis does not let us
    /// in.
    pub fn connect(url: &RedisUrl) -> Result<Self, Error> {
        Self::connect_with(url, &BlockingOptions::default())
    }

    /// Connects and introduces itself.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_with(url: &RedisUrl, options: &BlockingOptions) -> Result<Self, Error> {
        block_on(find::open(url, options))
    }

    fn try_open_at(
        endpoint: &Endpoint,
        url: &RedisUrl,
        options: &BlockingOptions,
        within: Duration,
    ) -> Result<Self, Error> {
        let deadline = Deadline::after(within);
        let transport = Transport::new(url, endpoint)?;
        let stream = Stream::connect(endpoint, deadline)?;
        let mut conn = Self {
            url: url.clone(),
            endpoint: endpoint.clone(),
            call_timeout: options.call_timeout,
            stream,
            transport,
            pipeline: Pipeline::new(options.reply_limits),
            chunk: vec![0; READ_CHUNK_BYTES].into_boxed_slice(),
            is_broken: false,
        };
        conn.encrypt(deadline)?;
        let mut handshake = Handshake::new(url, &options.client_name);
        let requests = handshake.requests().clone();
        conn.exchange(&requests, deadline, |reply| Ok(handshake.accept(&reply)?))?;
        Ok(conn)
    }

    /// Sends the commands in one write and returns their replies in order, including errors.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Timeout`], [`Error::Closed`], [`Error::Decode`] or [`Error::Unrequested`]: whether the
    /// commands ran is unknown, and the connection refuses further calls with [`Error::Broken`].
    /// [`Error::PipelineFull`]: nothing was sent.
    pub fn call(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::with_capacity(requests.len_commands());
        self.exchange(requests, Deadline::after(self.call_timeout), |reply| {
            replies.push(reply);
            Ok(())
        })?;
        Ok(replies)
    }

    /// Sends one command and returns its reply.
    ///
    /// # Errors
    /// As [`Self::call`], and [`Error::Redis`] if the reply is an error; after that the connection is still good.
    ///
    /// # Panics
    /// If `requests` is not exactly one command.
    pub fn call_one(&mut self, requests: &Requests) -> Result<Reply, Error> {
        assert_eq!(requests.len_commands(), 1, "call_one sends one command");
        Ok(self.only_reply(requests, self.call_timeout)?.into_result()?)
    }

    fn only_reply(&mut self, requests: &Requests, within: Duration) -> Result<Reply, Error> {
        let mut only = None;
        self.exchange(requests, Deadline::after(within), |reply| {
            only = Some(reply);
            Ok(())
        })?;
        only.ok_or(Error::Closed)
    }

    /// Sends the commands in one write and leaves their replies to [`Self::receive`]. The caller bounds how many are
    /// owed: while replies are owed, nothing else may be called.
    ///
    /// # Errors
    /// As [`Self::call`], for these commands and all others whose replies are owed.
    pub fn send(&mut self, requests: &Requests) -> Result<(), Error> {
        if self.is_broken {
            return Err(Error::Broken);
        }
        self.pipeline.push(requests)?;
        self.is_broken = true;
        self.write_all(Deadline::after(self.call_timeout))?;
        self.is_broken = false;
        Ok(())
    }

    /// The replies to the `count` oldest commands that were sent, including errors; each may take as long as a call may.
    ///
    /// # Errors
    /// As [`Self::call`], for all commands whose replies are owed.
    ///
    /// # Panics
    /// If fewer are owed.
    pub fn receive(&mut self, count: usize) -> Result<Vec<Reply>, Error> {
        assert!(count <= self.pipeline.pending(), "no more replies come than commands were sent");
        if self.is_broken {
            return Err(Error::Broken);
        }
        self.is_broken = true;
        let mut replies = Vec::with_capacity(count);
        let deadline = Deadline::after(self.call_timeout);
        while replies.len() < count {
            match self.pipeline.next_reply()? {
                Some(reply) => replies.push(reply),
                None => self.read_some(deadline)?,
            }
        }
        self.is_broken = false;
        Ok(replies)
    }

    /// Whether it refuses further calls. It also does while replies are owed that are no longer awaited.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken || self.owes_replies()
    }

    /// Whether commands were sent whose replies were not received.
    #[must_use]
    pub fn owes_replies(&self) -> bool {
        self.pipeline.pending() > 0
    }

    fn exchange(
        &mut self,
        requests: &Requests,
        deadline: Deadline,
        mut take: impl FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.is_broken() {
            return Err(Error::Broken);
        }
        self.pipeline.push(requests)?;
        self.is_broken = true;
        self.write_all(deadline)?;
        while self.pipeline.pending() > 0 {
            match self.pipeline.next_reply()? {
                Some(reply) => take(reply)?,
                None => self.read_some(deadline)?,
            }
        }
        // Reports whether more came than was asked for.
        self.pipeline.next_reply()?;
        self.is_broken = false;
        Ok(())
    }

    /// Does the TLS handshake, if the url asks for TLS. Its last message from our side goes out with the first commands.
    fn encrypt(&mut self, deadline: Deadline) -> Result<(), Error> {
        while self.transport.is_handshaking() {
            self.write_all(deadline)?;
            match self.read_some(deadline) {
                Err(Error::Closed) => {
                    return Err(Error::Tls(TlsError::HungUp { host: self.endpoint.to_string() }));
                }
                Err(error) => {
                    // This tells the server why, if it still listens; it changes nothing for us.
                    let _told = self.transport.transmit(&mut self.stream, &mut self.pipeline);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn write_all(&mut self, deadline: Deadline) -> Result<(), Error> {
        while self.transport.owes(&self.pipeline) {
            self.stream
                .set_write_timeout(deadline.left())
                .map_err(|source| self.failed("write to", deadline, source))?;
            match self.transport.transmit(&mut self.stream, &mut self.pipeline) {
                Ok(0) => return Err(Error::Closed),
                Ok(_) => {}
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed("write to", deadline, source)),
            }
        }
        Ok(())
    }

    fn read_some(&mut self, deadline: Deadline) -> Result<(), Error> {
        loop {
            self.stream
                .set_read_timeout(deadline.left())
                .map_err(|source| self.failed("read from", deadline, source))?;
            match self.transport.receive(&mut self.stream, &mut self.chunk, &mut self.pipeline) {
                Ok(0) => return Err(Error::Closed),
                Ok(_) => return Ok(()),
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.failed("read from", deadline, source)),
            }
        }
    }

    fn failed(&self, verb: &str, deadline: Deadline, source: io::Error) -> Error {
        let doing = if self.transport.is_handshaking() { "speak tls with" } else { verb };
        io_error(format!("{doing} redis at {}", self.endpoint), deadline, source)
    }
}

/// Every future here is ready at once: it blocks its thread instead.
impl Dial for BlockingConnection {
    type Options = BlockingOptions;

    async fn open_at(
        endpoint: &Endpoint,
        url: &RedisUrl,
        options: &BlockingOptions,
        at_most: Option<Duration>,
    ) -> Result<Self, Error> {
        let within = at_most.map_or(options.connect_timeout, |most| most.min(options.connect_timeout));
        Self::try_open_at(endpoint, url, options, within).map_err(|error| {
            let suspicion = Suspicion::of(url, endpoint, &error);
            match suspicion.filter(|&suspicion| proves(suspicion, endpoint, within).unwrap_or(false)) {
                Some(suspicion) => suspicion.error(endpoint),
                None => error,
            }
        })
    }

    async fn ask(&mut self, question: &Requests) -> Result<Reply, Error> {
        self.only_reply(question, SENTINEL_TIMEOUT.min(self.call_timeout))
    }
}

/// Asks whether the server answers in the language that its url does not name.
fn proves(suspicion: Suspicion, endpoint: &Endpoint, within: Duration) -> Result<bool, Error> {
    let deadline = Deadline::after(probe::patience(within));
    let failed = |cause| io_error(format!("ask redis at {endpoint}"), deadline, cause);
    let mut stream = Stream::connect(endpoint, deadline)?;
    stream.set_write_timeout(deadline.left()).map_err(failed)?;
    stream.write_all(suspicion.question()).map_err(failed)?;
    stream.set_read_timeout(deadline.left()).map_err(failed)?;
    let mut first = [0];
    stream.read_exact(&mut first).map_err(failed)?;
    Ok(suspicion.is_proved_by(first[0]))
}

impl fmt::Debug for BlockingConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingConnection")
            .field("url", &self.url)
            .field("is_broken", &self.is_broken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
