//! A client that sends commands and throws the replies away, so that only Redis does any work.
//!
//! One blocking socket and deep pipelining. Commands go out in windows, each closed by an ECHO of a marker; replies are
//! not parsed, only searched for the marker, so a window costs one pass of memory search. Whether the replies were
//! right is checked in Redis afterwards (its error counter, what it holds); see the scenarios.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::resp::url::{Endpoint, Place, RedisUrl};
use memchr::memmem::Finder;

use crate::error::Error;
use crate::interrupt::Interrupt;

/// Closes a window. No payload and no key contains it.
const MARKER: &[u8] = b"loadgen:end-of-window\r\n";

/// The marker as sent, without its line end.
const MARKER_ARGUMENT: &[u8] = MARKER.split_at(MARKER.len() - 2).0;

/// Bytes read at once: a few system calls per window even with fat batches.
const READ_BYTES: usize = 256 * 1024;

/// Windows that may be under way: while the replies to one are read, Redis works on the next.
const WINDOWS_IN_FLIGHT: usize = 2;

/// Longest silence of Redis; the longest window takes far less.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection whose replies nobody reads.
#[derive(Debug)]
pub(crate) struct NullClient {
    stream: Stream,
    finder: Finder<'static>,
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that were read and not fully searched: part of a marker, or replies of the next
    /// window.
    pending: usize,
}

impl NullClient {
    /// Connects.
    ///
    /// # Errors
    /// Redis does not accept the connection.
    pub(crate) fn connect(url: &RedisUrl) -> Result<Self, Error> {
        let stream = match (url.place(), url.tls()) {
            (Place::Server(endpoint), None) => Stream::connect(endpoint),
            _ => {
                Err(io::Error::new(ErrorKind::Unsupported, "the null client speaks plain RESP to one server"))
            }
        };
        let stream =
            stream.map_err(|error| Error::system(format!("connecting to {}", url.place()), error))?;
        Ok(Self { stream, finder: Finder::new(MARKER), buffer: vec![0; READ_BYTES], pending: 0 })
    }

    /// Sends windows until `fill` adds no more commands, and waits for the replies to all of them.
    ///
    /// `fill` appends the next window's commands; `answered` is called after each window with the number answered.
    ///
    /// # Errors
    /// The connection breaks, Redis stays silent, or an interrupt.
    pub(crate) fn drive(
        &mut self,
        interrupt: &Interrupt,
        mut fill: impl FnMut(&mut Requests),
        mut answered: impl FnMut(usize),
    ) -> Result<(), Error> {
        let (mut sent, mut done, mut exhausted) = (0, 0, false);
        let mut window = Requests::new();
        while !exhausted || done < sent {
            interrupt.check()?;
            while !exhausted && sent - done < WINDOWS_IN_FLIGHT {
                window.clear();
                fill(&mut window);
                exhausted = window.is_empty();
                if !exhausted {
                    self.send(&mut window).map_err(|error| Error::system("sending load to Redis", error))?;
                    sent += 1;
                }
            }
            if done < sent {
                self.skip_window().map_err(|error| Error::system("reading replies from Redis", error))?;
                done += 1;
                answered(done);
            }
        }
        Ok(())
    }

    /// Requests no replies from now on; after that only [`Self::write`] may be used.
    ///
    /// # Errors
    /// The connection breaks.
    pub(crate) fn mute(&mut self) -> Result<(), Error> {
        let mut off = Requests::new();
        off.command(&[b"CLIENT", b"REPLY", b"OFF"]);
        self.write(&off)
    }

    /// Sends commands without waiting for anything.
    ///
    /// # Errors
    /// The connection breaks.
    pub(crate) fn write(&mut self, requests: &Requests) -> Result<(), Error> {
        self.stream
            .write_all(requests.as_bytes())
            .map_err(|error| Error::system("sending load to Redis", error))
    }

    fn send(&mut self, window: &mut Requests) -> io::Result<()> {
        window.command(&[b"ECHO", MARKER_ARGUMENT]);
        self.stream.write_all(window.as_bytes())
    }

    /// Reads up to and including the next marker.
    fn skip_window(&mut self) -> io::Result<()> {
        loop {
            if let Some(start) = self.finder.find(&self.buffer[..self.pending]) {
                self.buffer.copy_within(start + MARKER.len()..self.pending, 0);
                self.pending -= start + MARKER.len();
                return Ok(());
            }
            // Everything except a possible start of a marker has been searched in vain.
            let keep = self.pending.min(MARKER.len() - 1);
            self.buffer.copy_within(self.pending - keep..self.pending, 0);
            self.pending = keep;
            let read = self.stream.read(&mut self.buffer[keep..])?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.pending += read;
        }
    }
}

/// A blocking socket of either kind.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                Ok(Self::Tcp(stream))
            }
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(READ_TIMEOUT))?;
                Ok(Self::Unix(stream))
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Reads, and again if a signal came first: the caller checks for an interrupt between windows.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => stream.read(buffer),
                Self::Unix(stream) => stream.read(buffer),
            };
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// However the replies are split, each marker ends exactly one window.
    #[test]
    fn markers_are_found_at_every_split_of_the_bytes() {
        let replies = [b"+OK\r\n$21\r\n".as_slice(), MARKER, b":1\r\nloadgen:end-of-", MARKER].concat();
        for split in 1..replies.len() {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let (first, second) = (replies[..split].to_vec(), replies[split..].to_vec());
            let writer = thread::spawn(move || {
                theirs.write_all(&first).unwrap();
                theirs.write_all(&second).unwrap();
            });
            let mut client = NullClient {
                stream: Stream::Unix(ours),
                finder: Finder::new(MARKER),
                buffer: vec![0; 64],
                pending: 0,
            };
            client.skip_window().unwrap();
            client.skip_window().unwrap();
            assert_eq!(client.skip_window().unwrap_err().kind(), ErrorKind::UnexpectedEof, "split {split}");
            writer.join().unwrap();
        }
    }
}
