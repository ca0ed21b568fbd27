//! A connection on a tokio runtime, for producers that run on one.
//!
//! Like the others, a thin socket around [`Pipeline`]: one call at a time, with a deadline. It does not reconnect,
//! because only the caller knows whether a call may be sent twice.

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::blocking::BlockingOptions;
use super::find::{self, Dial};
use super::probe::{self, Suspicion};
use super::tls::TlsError;
use super::transport::{self, Transport};
use super::{Error, Handshake};
use crate::limits::{READ_CHUNK_BYTES, SENTINEL_TIMEOUT};
use crate::resp::url::{Endpoint, RedisUrl};
use crate::resp::{Pipeline, Reply, Requests};

/// A connected socket. It is read and written without waiting; [`Self::readable`] and [`Self::writable`] wait for it.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection that has introduced itself and is ready for calls.
pub struct TokioConnection {
    // Fixed at construction.
    endpoint: Endpoint,
    call_timeout: Duration,
    // Changed by calls only.
    socket: Socket,
    transport: Transport,
    pipeline: Pipeline,
    chunk: Box<[u8]>,
    /// Set while a call is under way and cleared when it ends well: a failure in between, or a dropped call, leaves an
    /// unknown number of replies on the wire.
    is_broken: bool,
}

impl TokioConnection {
    /// Connects and introduces itself. The options have the same names as for the blocking connection, and the same
    /// meaning.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Timeout`] if no connection can be made; [`Error::Handshake`] if Redis does not let us
    /// in.
    ///
    /// # Cancel-safety
    /// Safe: the attempt ends with the future.
    pub async fn connect(url: &RedisUrl, options: &BlockingOptions) -> Result<Self, Error> {
        find::open(url, options).await
    }

    async fn try_open_at(
        endpoint: &Endpoint,
        url: &RedisUrl,
        options: &BlockingOptions,
    ) -> Result<Self, Error> {
        let transport = Transport::new(url, endpoint)?;
        let mut conn = Self {
            endpoint: endpoint.clone(),
            call_timeout: options.call_timeout,
            socket: Socket::connect(endpoint).await?,
            transport,
            pipeline: Pipeline::new(options.reply_limits),
            chunk: vec![0; READ_CHUNK_BYTES].into_boxed_slice(),
            is_broken: false,
        };
        conn.encrypt().await?;
        let mut handshake = Handshake::new(url, &options.client_name);
        let requests = handshake.requests().clone();
        conn.exchange(&requests, |reply| Ok(handshake.accept(&reply)?)).await?;
        Ok(conn)
    }

    /// Sends the commands in one write and returns their replies in order, including errors.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::PipelineFull`]: nothing was sent. After any other error it is unknown whether the
    /// commands ran, and the connection refuses further calls.
    ///
    /// # Cancel-safety
    /// A dropped call leaves the connection broken: it is unknown whether its commands ran.
    pub async fn call(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error> {
        self.call_within(requests, self.call_timeout).await
    }

    async fn call_within(&mut self, requests: &Requests, after: Duration) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::with_capacity(requests.len_commands());
        let what = format!("call redis at {}", self.endpoint);
        let exchange = self.exchange(requests, |reply| {
            replies.push(reply);
            Ok(())
        });
        let late = |_| Error::Timeout { what, after };
        timeout_at(Instant::now() + after, exchange).await.map_err(late)??;
        Ok(replies)
    }

    async fn exchange(
        &mut self,
        requests: &Requests,
        mut take: impl FnMut(Reply) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.is_broken {
            return Err(Error::Broken);
        }
        self.pipeline.push(requests)?;
        self.is_broken = true;
        self.write_all().await?;
        while self.pipeline.pending() > 0 {
            match self.pipeline.next_reply()? {
                Some(reply) => take(reply)?,
                None => self.read_some().await?,
            }
        }
        // Reports whether more came than was asked for.
        self.pipeline.next_reply()?;
        self.is_broken = false;
        Ok(())
    }

    /// Does the TLS handshake, if the url asks for TLS. Its last message from our side goes out with the first commands.
    async fn encrypt(&mut self) -> Result<(), Error> {
        while self.transport.is_handshaking() {
            self.write_all().await?;
            match self.read_some().await {
                Err(Error::Closed) => {
                    return Err(Error::Tls(TlsError::HungUp { host: self.endpoint.to_string() }));
                }
                Err(error) => {
                    // This tells the server why, if it still listens; it changes nothing for us.
                    let _told = self.transport.transmit(&self.socket, &mut self.pipeline);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn write_all(&mut self) -> Result<(), Error> {
        while self.transport.owes(&self.pipeline) {
            match self.transport.transmit(&self.socket, &mut self.pipeline) {
                Ok(0) => return Err(Error::Closed),
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.writable().await.map_err(|cause| self.failed("write to", cause))?;
                }
                Err(cause) => return Err(self.failed("write to", cause)),
            }
        }
        Ok(())
    }

    async fn read_some(&mut self) -> Result<(), Error> {
        loop {
            match self.transport.receive(&self.socket, &mut self.chunk, &mut self.pipeline) {
                Ok(0) => return Err(Error::Closed),
                Ok(_) => return Ok(()),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.readable().await.map_err(|cause| self.failed("read from", cause))?;
                }
                Err(cause) => return Err(self.failed("read from", cause)),
            }
        }
    }

    fn failed(&self, verb: &str, cause: io::Error) -> Error {
        let doing = if self.transport.is_handshaking() { "speak tls with" } else { verb };
        transport::failed(format!("{doing} redis at {}", self.endpoint), cause)
    }
}

impl Dial for TokioConnection {
    type Options = BlockingOptions;

    async fn open_at(
        endpoint: &Endpoint,
        url: &RedisUrl,
        options: &BlockingOptions,
        at_most: Option<Duration>,
    ) -> Result<Self, Error> {
        let after = at_most.map_or(options.connect_timeout, |most| most.min(options.connect_timeout));
        let late = |_| Error::Timeout { what: format!("connect to redis at {endpoint}"), after };
        let opened = timeout(after, Self::try_open_at(endpoint, url, options)).await.map_err(late);
        let error = match opened.and_then(|result| result) {
            Ok(conn) => return Ok(conn),
            Err(error) => error,
        };
        let Some(suspicion) = Suspicion::of(url, endpoint, &error) else { return Err(error) };
        let proof = timeout(probe::patience(after), proves(suspicion, endpoint)).await;
        Err(if matches!(proof, Ok(Ok(true))) { suspicion.error(endpoint) } else { error })
    }

    async fn ask(&mut self, question: &Requests) -> Result<Reply, Error> {
        let within = SENTINEL_TIMEOUT.min(self.call_timeout);
        self.call_within(question, within).await?.pop().ok_or(Error::Closed)
    }
}

/// Asks whether the server answers in the language that its url does not name.
async fn proves(suspicion: Suspicion, endpoint: &Endpoint) -> Result<bool, Error> {
    let socket = Socket::connect(endpoint).await?;
    let failed = |cause| Error::Io { what: format!("ask redis at {endpoint}"), cause };
    // A new connection has room for a few bytes.
    (&socket).write_all(suspicion.question()).map_err(failed)?;
    let mut first = [0];
    loop {
        socket.readable().await.map_err(failed)?;
        match (&socket).read(&mut first) {
            Ok(count) => return Ok(count == 1 && suspicion.is_proved_by(first[0])),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            Err(cause) => return Err(failed(cause)),
        }
    }
}

impl Socket {
    async fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        let failed = |cause| Error::Io { what: format!("connect to redis at {endpoint}"), cause };
        match endpoint {
            Endpoint::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await.map_err(failed)?)),
            Endpoint::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                // A call is one write; it must not wait for the reply to an earlier one.
                stream.set_nodelay(true).map_err(failed)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write(bytes),
            Socket::Unix(stream) => stream.try_write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for TokioConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioConnection")
            .field("endpoint", &self.endpoint)
            .field("is_broken", &self.is_broken)
            .finish_non_exhaustive()
    }
}
