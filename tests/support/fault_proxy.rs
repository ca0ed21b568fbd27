//! A faulty line to a redis-server: a proxy on a unix socket or a TCP port that delays, holds, splits, cuts and
//! garbles what goes through it, as a test directs.
//!
//! It does what networks do. Held bytes arrive later and in order, even if their sender has closed meanwhile; a
//! forgotten connection stays open towards the server with nobody at its other end. Only garbage is beyond TCP.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "part of tests, of which each uses a part; a proxy that cannot be started, or whose lock is poisoned, fails them"
)]

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[path = "fault_proxy/socket.rs"]
mod socket;

use socket::{Socket, Upstream};

const CHUNK_BYTES: usize = 64 * 1024;

/// How what goes through is cut into pieces, each with its own write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pieces {
    Whole,
    Bytes,
    Random,
}

/// What happens to everything that goes through from now on.
#[derive(Debug, Clone, Copy)]
struct Weather {
    delay: Duration,
    pieces: Pieces,
    holds: bool,
    refuses: bool,
    swallows: bool,
}

const CLEAR: Weather =
    Weather { delay: Duration::ZERO, pieces: Pieces::Whole, holds: false, refuses: false, swallows: false };

/// How long a connection over loopback may take before it counts as swallowed.
const SWALLOWED_AFTER: Duration = Duration::from_millis(300);

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

/// What happens when this many more bytes have passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The connection ends on both sides.
    Cut,
    /// Bytes that are part of no reply are inserted, and the rest follows.
    Garble,
}

/// Ends all of its connections when dropped.
pub(crate) struct FaultProxy {
    url: String,
    line: Arc<Line>,
    listener: Option<JoinHandle<()>>,
    wake: Wake,
    /// Connections that fill the listener's backlog.
    fillers: Mutex<Vec<TcpStream>>,
    /// Holds the socket.
    _directory: TempDir,
}

/// How to connect to the proxy's own listener.
enum Wake {
    Unix(PathBuf),
    Tcp(u16),
}

struct Line {
    upstream: Mutex<Upstream>,
    weather: Mutex<Weather>,
    changed: Condvar,
    closing: AtomicBool,
    wires: Mutex<Vec<Arc<Wire>>>,
    seed: AtomicUsize,
    dropped_by_client: AtomicUsize,
}

/// One connection through the proxy.
struct Wire {
    client: Socket,
    server: Socket,
    /// One for each [`Way`].
    fuses: Mutex<[Option<(usize, Then)>; 2]>,
    /// Nothing passes any longer, and neither side is notified.
    forgotten: AtomicBool,
    garbled: AtomicBool,
}

impl FaultProxy {
    /// A proxy in front of the server at the socket `upstream`.
    pub(crate) fn start(upstream: &Path, tcp: bool, seed: u64) -> Self {
        Self::before(Upstream::Unix(upstream.to_owned()), tcp, seed)
    }

    /// A proxy over TCP in front of the server at a port of this machine.
    pub(crate) fn start_before_port(port: u16, seed: u64) -> Self {
        Self::before(Upstream::Tcp(port), true, seed)
    }

    fn before(upstream: Upstream, tcp: bool, seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let line = Arc::new(Line {
            upstream: Mutex::new(upstream),
            weather: Mutex::new(CLEAR),
            changed: Condvar::new(),
            closing: AtomicBool::new(false),
            wires: Mutex::default(),
            seed: AtomicUsize::new(usize::try_from(seed >> 1).unwrap()),
            dropped_by_client: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&line);
        let (url, wake, listener) = if tcp {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let accept = move || {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            };
            let thread = thread::spawn(move || serving.serve(accept));
            (format!("redis://127.0.0.1:{port}"), Wake::Tcp(port), thread)
        } else {
            let path = directory.path().join("proxy.sock");
            let listener = UnixListener::bind(&path).unwrap();
            let accept = move || Ok(Socket::Unix(listener.accept()?.0));
            let thread = thread::spawn(move || serving.serve(accept));
            (format!("unix://{}", path.display()), Wake::Unix(path), thread)
        };
        Self { url, line, listener: Some(listener), wake, fillers: Mutex::default(), _directory: directory }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// No delay, no splitting; connections are accepted; held bytes move on.
    pub(crate) fn clear(&self) {
        self.fillers.lock().unwrap().clear();
        self.line.change(|weather| *weather = CLEAR);
    }

    /// Holds back each piece for this long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.line.change(|weather| weather.delay = delay);
    }

    pub(crate) fn split(&self, pieces: Pieces) {
        self.line.change(|weather| weather.pieces = pieces);
    }

    /// Accepts and forwards nothing, in neither direction, until [`clear`](Self::clear).
    pub(crate) fn hold(&self) {
        self.line.change(|weather| weather.holds = true);
    }

    /// Closes new connections at once.
    pub(crate) fn refuse(&self) {
        self.line.change(|weather| weather.refuses = true);
    }

    /// Cuts all connections and answers no attempt to connect, not even with a refusal, until [`clear`](Self::clear):
    /// the backlog is full, so the kernel drops every SYN. Only over TCP.
    pub(crate) fn swallow(&self) {
        let Wake::Tcp(port) = self.wake else { return };
        // Held meanwhile, so that nothing passes behind the test's back until the backlog is full.
        self.line.change(|weather| (weather.swallows, weather.holds) = (true, true));
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let mut fillers = self.fillers.lock().unwrap();
        while let Ok(filler) = TcpStream::connect_timeout(&address, SWALLOWED_AFTER) {
            fillers.push(filler);
        }
        self.cut();
    }

    /// From now on new connections lead to another server. Existing ones stay where they are.
    pub(crate) fn lead_to(&self, upstream: &Path) {
        *self.line.upstream.lock().unwrap() = Upstream::Unix(upstream.to_owned());
    }

    /// Forgets all existing connections, with what is held of them: both sides wait forever.
    pub(crate) fn forget(&self) {
        for wire in &*self.line.wires.lock().unwrap() {
            wire.forgotten.store(true, Ordering::SeqCst);
        }
        self.line.changed.notify_all();
    }

    /// Ends all existing connections.
    pub(crate) fn cut(&self) {
        for wire in &*self.line.wires.lock().unwrap() {
            wire.cut();
        }
    }

    /// On each existing connection, does something once `after` more bytes have gone that way.
    pub(crate) fn after(&self, way: Way, after: usize, then: Then) {
        for wire in &*self.line.wires.lock().unwrap() {
            wire.fuses.lock().unwrap()[way as usize] = Some((after, then));
        }
    }

    /// How many connections that got garbage were closed by their client.
    pub(crate) fn dropped_by_client(&self) -> usize {
        self.line.dropped_by_client.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.line.closing.store(true, Ordering::SeqCst);
        self.clear();
        self.cut();
        // Only to wake the listener; it is gone if that fails.
        match &self.wake {
            Wake::Unix(path) => drop(UnixStream::connect(path)),
            Wake::Tcp(port) => drop(TcpStream::connect(("127.0.0.1", *port))),
        }
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Line {
    fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.weather.lock().unwrap());
        self.changed.notify_all();
    }

    fn serve(self: Arc<Self>, accept: impl Fn() -> io::Result<Socket>) {
        while !self.closing.load(Ordering::SeqCst) {
            let Ok(client) = accept() else { continue };
            let weather = self.changed.wait_while(self.weather.lock().unwrap(), |weather| weather.swallows);
            if weather.unwrap().refuses || self.closing.load(Ordering::SeqCst) {
                continue;
            }
            let upstream = self.upstream.lock().unwrap().clone();
            let Ok(server) = upstream.connect() else { continue };
            let wire = Arc::new(Wire {
                client,
                server,
                fuses: Mutex::default(),
                forgotten: AtomicBool::new(false),
                garbled: AtomicBool::new(false),
            });
            {
                let mut wires = self.wires.lock().unwrap();
                // Those that nothing pumps any longer have ended.
                wires.retain(|wire| Arc::strong_count(wire) > 1 || wire.forgotten.load(Ordering::SeqCst));
                wires.push(Arc::clone(&wire));
            }
            for way in [Way::Requests, Way::Replies] {
                let (line, wire) = (Arc::clone(&self), Arc::clone(&wire));
                thread::spawn(move || line.pump(&wire, way));
            }
        }
    }

    /// Carries the bytes in one direction until the connection ends.
    fn pump(&self, wire: &Wire, way: Way) {
        let mut random = fastrand::Rng::with_seed(self.seed.fetch_add(1, Ordering::SeqCst) as u64);
        let (from, to) = match way {
            Way::Requests => (&wire.client, &wire.server),
            Way::Replies => (&wire.server, &wire.client),
        };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let bytes = from.read(&mut chunk).unwrap_or(0);
            if bytes == 0 && way == Way::Requests && wire.garbled.swap(false, Ordering::SeqCst) {
                self.dropped_by_client.fetch_add(1, Ordering::SeqCst);
            }
            let pieces = self.pass(wire);
            if wire.forgotten.load(Ordering::SeqCst) {
                return;
            }
            if bytes == 0 {
                to.shut_down(Shutdown::Write);
                return;
            }
            if self.forward(wire, way, &chunk[..bytes], pieces, &mut random, to).is_err() {
                wire.cut();
                return;
            }
        }
    }

    /// Waits until what was read may move on.
    fn pass(&self, wire: &Wire) -> Pieces {
        let came_at = Instant::now();
        let mut weather = self.weather.lock().unwrap();
        loop {
            let done = self.closing.load(Ordering::SeqCst) || wire.forgotten.load(Ordering::SeqCst);
            let left = weather.delay.saturating_sub(came_at.elapsed());
            if done || (!weather.holds && left.is_zero()) {
                return weather.pieces;
            }
            let pause = if weather.holds { Duration::from_secs(1) } else { left };
            weather = self.changed.wait_timeout(weather, pause).unwrap().0;
        }
    }

    fn forward(
        &self,
        wire: &Wire,
        way: Way,
        bytes: &[u8],
        pieces: Pieces,
        random: &mut fastrand::Rng,
        to: &Socket,
    ) -> io::Result<()> {
        let lit = {
            let fuse = &mut wire.fuses.lock().unwrap()[way as usize];
            match fuse {
                Some((after, _)) if *after >= bytes.len() => {
                    *after -= bytes.len();
                    None
                }
                _ => fuse.take(),
            }
        };
        let Some((at, then)) = lit else { return write_pieces(to, bytes, pieces, random) };
        write_pieces(to, &bytes[..at], pieces, random)?;
        if then == Then::Cut {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        // None of these bytes begins a reply, ends a line or is a digit.
        let garbage: Vec<u8> = (0..random.usize(4..40)).map(|_| random.u8(0xf0..=0xff)).collect();
        wire.garbled.store(true, Ordering::SeqCst);
        to.write_all(&garbage)?;
        write_pieces(to, &bytes[at..], pieces, random)
    }
}

fn write_pieces(to: &Socket, mut bytes: &[u8], pieces: Pieces, random: &mut fastrand::Rng) -> io::Result<()> {
    while !bytes.is_empty() {
        let length = match pieces {
            Pieces::Whole => bytes.len(),
            Pieces::Bytes => 1,
            Pieces::Random => random.usize(1..=bytes.len().min(100)),
        };
        to.write_all(&bytes[..length])?;
        bytes = &bytes[length..];
        if pieces != Pieces::Whole && random.u8(..) < 16 {
            thread::yield_now();
        }
    }
    Ok(())
}

impl Wire {
    fn cut(&self) {
        self.client.shut_down(Shutdown::Both);
        self.server.shut_down(Shutdown::Both);
    }
}
