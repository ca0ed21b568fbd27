//! The keeper of a runner: a thread that starts, reaps and restarts what the kernel calls our children.
//!
//! ```text
//!  Down ── start ──► Loading ── ready ──► Up ── its end ──► Down, after a growing pause
//! ```
//!
//! It lives as long as the worker: the kernel ends its children with this thread. Shards give it orders over a channel and
//! ring a bell; each order is answered when its child runs, which while the application does not load is later.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::programs::forks;
use super::server::Server;
use super::single::Singles;
use super::spec::RunnerSpec;
use crate::foreign::neutral;
use crate::limits::runner::{RUNNER_LIVED_WELL, RUNNER_ORDERS_MAX, RUNNER_PAUSE_MAX, RUNNER_PAUSE_MIN};

/// See the module. It ends when this is dropped.
pub(super) struct Keeper {
    orders: Orders,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The shards' end.
#[derive(Clone)]
pub(super) struct Orders {
    sender: SyncSender<Order>,
    bell: Arc<UnixStream>,
}

/// A child is wanted that has these two.
pub(super) struct Order {
    pub(super) socket: OwnedFd,
    pub(super) output: OwnedFd,
    /// Gets its process id.
    pub(super) answer: oneshot::Sender<Result<i32, String>>,
}

/// The keeper's end.
pub(super) struct Desk {
    pub(super) orders: Receiver<Order>,
    pub(super) bell: UnixStream,
    stops: Arc<AtomicBool>,
}

impl Keeper {
    pub(super) fn start(spec: Arc<RunnerSpec>) -> io::Result<Self> {
        let (sender, orders) = sync_channel(RUNNER_ORDERS_MAX);
        let (rings, bell) = UnixStream::pair()?;
        rings.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let stops = Arc::new(AtomicBool::new(false));
        let desk = Desk { orders, bell, stops: Arc::clone(&stops) };
        let thread = thread::Builder::new()
            .name(format!("runner-{}", spec.name.chars().take(8).collect::<String>()))
            .spawn(move || keep(&spec, &desk))?;
        let orders = Orders { sender, bell: Arc::new(rings) };
        Ok(Self { orders, stops, thread: Some(thread) })
    }

    pub(super) fn orders(&self) -> Orders {
        self.orders.clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Release);
        self.orders.ring();
        if let Some(thread) = self.thread.take() {
            // A panic of it was logged.
            let _ended = thread.join();
        }
    }
}

impl Order {
    pub(super) fn new(socket: OwnedFd, output: OwnedFd) -> (Self, oneshot::Receiver<Result<i32, String>>) {
        let (answer, started) = oneshot::channel();
        (Self { socket, output, answer }, started)
    }
}

impl Orders {
    pub(super) fn give(&self, order: Order) -> Result<(), String> {
        self.sender.try_send(order).map_err(|error| format!("its keeper takes no order: {error}"))?;
        self.ring();
        Ok(())
    }

    fn ring(&self) {
        // A full bell rings already.
        let _rung = (&*self.bell).write(&[0]);
    }
}

impl Desk {
    pub(super) fn stops(&self) -> bool {
        self.stops.load(Ordering::Acquire)
    }

    /// The bell was heard.
    pub(super) fn silence(&self) {
        while (&self.bell).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    }

    /// Waits, but not beyond the end of the worker.
    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stops() {
                return;
            }
            let mut fds = [PollFd::new(&self.bell, PollFlags::IN)];
            if wait(&mut fds, Some(left)).is_ok() {
                self.silence();
            }
        }
    }
}

/// Waits for descriptors.
pub(super) fn wait(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<()> {
    let limit = limit.map(Timespec::try_from).and_then(Result::ok);
    match poll(fds, limit.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn keep(spec: &RunnerSpec, desk: &Desk) {
    if forks(spec) {
        keep_server(spec, desk);
    } else {
        Singles::default().serve(spec, desk);
    }
}

fn keep_server(spec: &RunnerSpec, desk: &Desk) {
    let (runner, loads) = (&*spec.name, spec.shown());
    let mut pause = RUNNER_PAUSE_MIN;
    let mut said = None;
    while !desk.stops() {
        let began = Instant::now();
        let mut server = match Server::start(spec) {
            Ok(server) => server,
            Err(error) => {
                say_once(&mut said, runner, &format!("its program cannot be started: {error}"));
                desk.pause(pause);
                pause = (pause * 2).min(RUNNER_PAUSE_MAX);
                continue;
            }
        };
        let mut loaded = None;
        let ended = match server.load(desk) {
            Ok(()) => {
                said = None;
                loaded = Some(Instant::now());
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(runner, loads, pid = server.pid(), ms, "an application is loaded");
                server.serve(desk)
            }
            Err(reason) => Err(format!("{loads} does not load: {reason}")),
        };
        match ended {
            Ok(()) => return server.end(),
            Err(_) if desk.stops() => return server.end(),
            Err(reason) => {
                let status = server.kill();
                let last = server.last_words();
                say_once(&mut said, runner, &format!("{reason}; {status}{last}"));
            }
        }
        // Loading is no living: an application that takes long for it and dies then is tried as seldom as any other.
        if loaded.is_some_and(|at| at.elapsed() >= RUNNER_LIVED_WELL) {
            pause = RUNNER_PAUSE_MIN;
        }
        desk.pause(pause);
        pause = (pause * 2).min(RUNNER_PAUSE_MAX);
    }
}

/// Says why a runner is down, once as long as the reason is the same.
fn say_once(said: &mut Option<String>, runner: &str, reason: &str) {
    let reason = neutral(&reason.replace('\n', " ")).into_owned();
    if said.as_ref() == Some(&reason) {
        tracing::debug!(runner, reason, "a runner cannot start yet");
    } else {
        tracing::error!(runner, reason, "a runner cannot start: its jobs stay in their queues; trying again");
        *said = Some(reason);
    }
}
