//! `loadgen delay-server`: an HTTP server that answers every request after the same delay, as the published one does.
//!
//! One thread, epoll, no task and no buffer per connection: with 10,000 of them it must not be the client's bottleneck.
//! It reads requests without a body and keeps connections alive. Sockets stay blocking because whatever is read is
//! already there and an answer always fits. Not a server for anything else.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{Backlog, listen};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use crate::error::Error;

/// Announces where the server listens; the port follows.
pub(crate) const LISTENING: &str = "listening on port ";

/// Ends a request without a body.
const END_OF_REQUEST: &[u8] = b"\r\n\r\n";

/// Longest request; one of the scenario's has about 100 bytes.
const REQUEST_BYTES_MAX: usize = 4_096;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\r\nHello World!";

/// Events taken from the kernel at once, and connections accepted before anything else is looked at.
const EVENTS_PER_LOOK: usize = 256;

/// What kernel events refer to: the listener, the timer, and from here on connections.
const LISTENER: u64 = 0;
const TIMER: u64 = 1;
const FIRST_CONNECTION: u64 = 2;

/// Serves until the process is killed.
///
/// # Errors
/// No free port, or the kernel refuses.
pub(crate) fn serve(delay: Duration) -> Result<(), Error> {
    let mut server =
        Server::start(delay).map_err(|error| Error::system("starting the delay server", error))?;
    loop {
        server.turn().map_err(|error| Error::system("the delay server", error))?;
    }
}

struct Server {
    delay: Duration,
    epoll: Epoll,
    listener: TcpListener,
    timer: TimerFd,
    events: Vec<EpollEvent>,
    connections: HashMap<u64, Connection>,
    last: u64,
    /// Pending answers, the next one first: all wait for the same time.
    due: VecDeque<(Instant, u64)>,
    /// Which of them the timer is set for.
    set_for: Option<Instant>,
}

struct Connection {
    stream: TcpStream,
    /// A request that arrived in part.
    begun: Vec<u8>,
}

/// What a read brought.
enum Came {
    Request,
    Part,
    End,
}

impl Server {
    fn start(delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        // More than std asks for: thousands of jobs connect at the same moment, and one that finds no room waits for 1
        // s.
        listen(&listener, Backlog::MAXCONN)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        let mut out = io::stdout();
        writeln!(out, "{LISTENING}{}", listener.local_addr()?.port())?;
        out.flush()?;
        Ok(Self {
            delay,
            epoll,
            listener,
            timer,
            events: vec![EpollEvent::empty(); EVENTS_PER_LOOK],
            connections: HashMap::new(),
            last: FIRST_CONNECTION,
            due: VecDeque::new(),
            set_for: None,
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
            Err(nix::Error::EINTR) => 0,
            result => result?,
        };
        for at in 0..count {
            match self.events[at].data() {
                LISTENER => self.accept()?,
                TIMER => {
                    // The read returns how often it went off, or that an earlier read has already seen that.
                    let _times = self.timer.wait();
                    self.set_for = None;
                }
                id => self.read(id),
            }
        }
        self.answer_who_is_due();
        self.set_timer()
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..EVENTS_PER_LOOK {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            };
            self.last += 1;
            self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, self.last))?;
            self.connections.insert(self.last, Connection { stream, begun: Vec::new() });
        }
        Ok(())
    }

    /// Reads what is there; a client that goes away or sends anything else loses its connection.
    fn read(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match connection.read() {
            Came::Request => self.due.push_back((Instant::now() + self.delay, id)),
            Came::Part => {}
            Came::End => {
                self.connections.remove(&id);
            }
        }
    }

    fn answer_who_is_due(&mut self) {
        let now = Instant::now();
        while let Some(&(at, id)) = self.due.front() {
            if at > now {
                break;
            }
            self.due.pop_front();
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            if connection.stream.write_all(ANSWER).is_err() {
                self.connections.remove(&id);
            }
        }
    }

    fn set_timer(&mut self) -> io::Result<()> {
        let next = self.due.front().map(|(at, _)| *at);
        if let Some(at) = next
            && next != self.set_for
        {
            // A timer set to zero never goes off.
            let left = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
            let once = Expiration::OneShot(TimeSpec::from_duration(left));
            self.timer.set(once, TimerSetTimeFlags::empty())?;
            self.set_for = next;
        }
        Ok(())
    }
}

impl Connection {
    fn read(&mut self) -> Came {
        let mut piece = [0; REQUEST_BYTES_MAX];
        let read = match self.stream.read(&mut piece) {
            Ok(0) | Err(_) => return Came::End,
            Ok(read) => &piece[..read],
        };
        if self.begun.is_empty() && read.ends_with(END_OF_REQUEST) {
            return Came::Request;
        }
        self.begun.extend_from_slice(read);
        if self.begun.len() > REQUEST_BYTES_MAX {
            return Came::End;
        }
        if !self.begun.ends_with(END_OF_REQUEST) {
            return Came::Part;
        }
        self.begun = Vec::new();
        Came::Request
    }
}
