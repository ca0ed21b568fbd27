//! A connection on a tokio runtime, for producers that run on one.
//!
//! As the others a thin socket around [`Pipeline`]: one call at a time, with a deadline. It does not reconnect; whether a
//! call may be sent twice is for the caller to know.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use super::blocking::BlockingOptions;
use super::url::{Endpoint, RedisUrl};
use super::{Error, Handshake, Pipeline, Reply, Requests};
use crate::limits::READ_CHUNK_BYTES;

/// A connected stream, whatever it is made of.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that has introduced itself and is ready for calls.
pub struct TokioConnection {
    // Fixed at construction.
    endpoint: Endpoint,
    call_timeout: Duration,
    // Changed by calls only.
    stream: Box<dyn Stream>,
    pipeline: Pipeline,
    chunk: Box<[u8]>,
    /// Set while a call is under way and cleared when it ends well: what fails in between, a dropped call too, leaves
    /// replies of unknown number on the wire.
    is_broken: bool,
}

impl TokioConnection {
    /// Connects and introduces itself. The names of the options are those of the blocking connection: they mean the same.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Timeout`] if no connection comes about; [`Error::Handshake`] if Redis does not let us in.
    ///
    /// # Cancel-safety
    /// Safe: the attempt ends with the future.
    pub async fn connect(url: &RedisUrl, options: &BlockingOptions) -> Result<Self, Error> {
        let deadline = Instant::now() + options.connect_timeout;
        let late = || Error::Timeout {
            what: format!("connect to redis at {}", url.endpoint()),
            after: options.connect_timeout,
        };
        let stream = timeout_at(deadline, open(url)).await.map_err(|_| late())??;
        let mut conn = Self {
            endpoint: url.endpoint().clone(),
            call_timeout: options.call_timeout,
            stream,
            pipeline: Pipeline::new(options.reply_limits),
            chunk: vec![0; READ_CHUNK_BYTES].into_boxed_slice(),
            is_broken: false,
        };
        let mut handshake = Handshake::new(url, &options.client_name);
        let requests = handshake.requests().clone();
        let introduced = conn.exchange(&requests, |reply| Ok(handshake.accept(&reply)?));
        timeout_at(deadline, introduced).await.map_err(|_| late())??;
        Ok(conn)
    }

    /// Sends the commands in one write and gives their replies in order, errors among them.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::PipelineFull`]: nothing was sent. Any other: whether the commands ran is unknown, and the
    /// connection refuses further calls.
    ///
    /// # Cancel-safety
    /// A call that is dropped leaves the connection broken: whether its commands ran is unknown.
    pub async fn call(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::with_capacity(requests.len_commands());
        let (after, what) = (self.call_timeout, format!("call redis at {}", self.endpoint));
        let exchange = self.exchange(requests, |reply| {
            replies.push(reply);
            Ok(())
        });
        let late = |_| Error::Timeout { what, after };
        timeout_at(Instant::now() + after, exchange).await.map_err(late)??;
        Ok(replies)
    }

    /// Whether it refuses further calls.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.is_broken
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
        let failed = |verb, endpoint: &Endpoint| {
            let what = format!("{verb} redis at {endpoint}");
            move |cause: io::Error| Error::Io { what, cause }
        };
        while !self.pipeline.output().is_empty() {
            let written = self.stream.write(self.pipeline.output()).await;
            match written.map_err(failed("write to", &self.endpoint))? {
                0 => return Err(Error::Closed),
                bytes => self.pipeline.wrote(bytes),
            }
        }
        self.stream.flush().await.map_err(failed("write to", &self.endpoint))?;
        while self.pipeline.pending() > 0 {
            if let Some(reply) = self.pipeline.next_reply()? {
                take(reply)?;
                continue;
            }
            let read = self.stream.read(&mut self.chunk).await;
            match read.map_err(failed("read from", &self.endpoint))? {
                0 => return Err(Error::Closed),
                bytes => self.pipeline.feed(&self.chunk[..bytes]),
            }
        }
        // Says whether more came than was asked for.
        self.pipeline.next_reply()?;
        self.is_broken = false;
        Ok(())
    }
}

/// Opens the stream to the server of a url. All that a url may ask of a stream is done here.
async fn open(url: &RedisUrl) -> Result<Box<dyn Stream>, Error> {
    let failed = |cause| Error::Io { what: format!("connect to redis at {}", url.endpoint()), cause };
    match url.endpoint() {
        Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?)),
        Endpoint::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
            // A call is one write; it must not wait for the reply to an earlier one.
            stream.set_nodelay(true).map_err(failed)?;
            Ok(Box::new(stream))
        }
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
