//! The socket of a connection with the moment at which it is given up, and a way to end it from elsewhere.

use std::cell::Cell;
use std::net::Shutdown;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use glommio::io::PollableFd;
use glommio::timer::Timer;
use socket2::Socket;

/// Ends a connection from outside; see [`Connection::stopper`](super::Connection::stopper).
#[derive(Clone)]
pub struct Stopper(Weak<Watched>);

/// A socket and the moment at which it is given up.
pub(super) struct Watched {
    pub(super) fd: PollableFd<Socket>,
    /// When the awaited answer is late; `None` while nothing is awaited.
    pub(super) deadline: Cell<Option<Instant>>,
    /// When the watchdog task that sleeps for this socket will look at the deadline; `None` if there is no such task.
    guard_wakes: Cell<Option<Instant>>,
    /// The longest that any answer is awaited from now on.
    pub(super) patience: Cell<Duration>,
    /// Whether the socket was shut down on this side.
    pub(super) shut: Cell<bool>,
    /// Whether the watchdog shut the socket down.
    pub(super) late: Cell<bool>,
}

impl Stopper {
    pub(super) fn new(socket: &Rc<Watched>) -> Self {
        Self(Rc::downgrade(socket))
    }

    /// Shuts the socket down: its reader gets [`Error::Closed`](crate::net::Error::Closed).
    pub fn stop(&self) {
        if let Some(socket) = self.0.upgrade() {
            socket.shut_down();
        }
    }

    /// From now on no answer is awaited for longer than this, including one that is awaited now, counted from now.
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
    pub(super) fn new(fd: PollableFd<Socket>) -> Self {
        Self {
            fd,
            deadline: Cell::new(None),
            guard_wakes: Cell::new(None),
            patience: Cell::new(Duration::MAX),
            shut: Cell::new(false),
            late: Cell::new(false),
        }
    }

    pub(super) fn expect_within(self: &Rc<Self>, within: Duration) {
        let deadline = Instant::now() + within.min(self.patience.get());
        self.deadline.set(Some(deadline));
        // A task that sleeps longer does not help: it ends when it wakes, or continues as the only one.
        if self.guard_wakes.get().is_none_or(|wakes| wakes > deadline) {
            self.guard_wakes.set(Some(deadline));
            glommio::spawn_local(guard(Rc::downgrade(self))).detach();
        }
    }

    fn shut_down(&self) {
        self.shut.set(true);
        // Fails only if the peer is gone already, which ends the read just as well.
        let _gone = self.fd.get_ref().shutdown(Shutdown::Both);
    }
}

/// Shuts the socket down if its deadline passes; ends when it wakes and nothing is awaited.
///
/// The deadline moves with every call while this sleeps, so a busy connection costs one wake-up per call time-out.
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
