//! A line to the private Redis of any desired length: a proxy on loopback that forwards each byte that much later.
//!
//! Each direction of a connection has two threads: one notes when bytes arrived, the other forwards them when their
//! time has come, so what follows does not wait for what went before. It delays and does nothing else: no loss, no
//! limit on bandwidth other than its buffers. Its threads run on the worker's CPUs and cost it some CPU time.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiggler_uring::internal::resp::url::{Endpoint, RedisUrl};
use nix::sys::prctl;

use crate::clock;
use crate::error::Error;

/// Bytes forwarded at once: those of a batch of 500 jobs and more.
const CHUNK_BYTES: usize = 128 * 1024;

/// Chunks under way in one direction; beyond that the sender waits, as at a full socket. 64 MB/s in the smallest chunks
/// that matter, one batch each millisecond.
const CHUNKS_MAX: usize = 1_000;

/// How much later than requested the kernel may wake a thread: its default of 50 µs would be a twentieth of a
/// millisecond.
const TIMER_SLACK_NS: u64 = 1;

/// A line. Dropping it stops accepting; each connection ends when one of its sides does.
#[derive(Debug)]
pub(crate) struct DelayLine {
    url: RedisUrl,
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

/// Bytes, and when to forward them, on the clock of [`crate::clock`].
struct Chunk {
    bytes: Vec<u8>,
    due_ns: u64,
}

impl DelayLine {
    /// Opens a line to the server at `port` of this machine with a delay of `delay` in each direction.
    ///
    /// # Errors
    /// No port is free, or a thread cannot be started.
    pub(crate) fn open(port: u16, delay: Duration) -> Result<Self, Error> {
        let failed = |error| Error::system("opening a delayed line on 127.0.0.1", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let closing = Arc::new(AtomicBool::new(false));
        let accepting = Arc::clone(&closing);
        let accept = move || {
            for client in listener.incoming() {
                if accepting.load(Ordering::Relaxed) {
                    return;
                }
                // The client has gone again, or the server is away: the client sees its connection end.
                let _failed = client.and_then(|client| connect(client, port, delay));
            }
        };
        let listener = thread::Builder::new().name("delay-line".to_owned()).spawn(accept).map_err(failed)?;
        let url =
            RedisUrl::new(Endpoint::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port: address.port() });
        Ok(Self { url, address, closing, listener: Some(listener) })
    }

    /// The port on 127.0.0.1 where it starts.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it starts.
    pub(crate) fn url(&self) -> &RedisUrl {
        &self.url
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        // Wakes the listener. If that fails, it has already ended.
        let _woken = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
    }
}

fn connect(client: TcpStream, port: u16, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let back = (server.try_clone()?, client.try_clone()?);
    one_way(client, server, delay)?;
    one_way(back.0, back.1, delay)
}

/// Two threads that end when `from` ends or `to` accepts no more.
fn one_way(from: TcpStream, to: TcpStream, delay: Duration) -> io::Result<()> {
    let (sender, receiver) = sync_channel(CHUNKS_MAX);
    let builder = || thread::Builder::new().name("delay-line".to_owned());
    builder().spawn(move || note(from, delay, &sender))?;
    builder().spawn(move || hand_on(to, &receiver)).map(drop)
}

fn note(mut from: TcpStream, delay: Duration, sender: &SyncSender<Chunk>) {
    let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let due_ns = clock::nanoseconds().saturating_add(delay_ns);
                if sender.send(Chunk { bytes: buffer[..count].to_vec(), due_ns }).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // To the other side a broken connection is an end like any other.
            Err(_) => return,
        }
    }
}

fn hand_on(mut to: TcpStream, receiver: &Receiver<Chunk>) {
    // Without it a chunk is a few microseconds late; no reason to forward none at all.
    let _coarser = prctl::set_timerslack(TIMER_SLACK_NS);
    for Chunk { bytes, due_ns } in receiver {
        let left_ns = due_ns.saturating_sub(clock::nanoseconds());
        if left_ns > 0 {
            thread::sleep(Duration::from_nanos(left_ns));
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The reader on that side sees the end, and so does the thread that notes what arrives from there.
    let _ended = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A server that echoes what it receives, for one connection.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                stream.write_all(&buffer[..count]).unwrap();
            }
        });
        port
    }

    #[test]
    fn what_goes_through_comes_back_whole_after_twice_the_delay_and_ends_end_both_sides() {
        let delay = Duration::from_millis(20);
        let line = DelayLine::open(echo(), delay).unwrap();
        let port = line.address.port();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let begin = Instant::now();
        stream.write_all(b"there and back").unwrap();
        let mut back = [0; 14];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"there and back");
        assert!(begin.elapsed() >= 2 * delay, "{:?}", begin.elapsed());
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut back).unwrap(), 0);
        drop(line);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }
}
