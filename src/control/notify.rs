//! What the service manager (systemd, `Type=notify`) is told: ready, how it goes, stopping, and that there is progress.
//!
//! Ready means that every shard has had an answer of Redis. A sign of life (`WATCHDOG=1`) is given while every shard makes
//! progress; where one does not, the manager hears nothing and starts the process anew. Redis being away is no lack of
//! progress: a new process would not have it either, and this one is back by itself (P5). What counts:
//!
//! | a shard | sign of life |
//! |---|---|
//! | turns, and has answers of Redis or knows of an outage | yes |
//! | has not turned for half the watchdog's time: a handler that never awaits | no |
//! | has no answer of Redis for far too long, and knows of no outage | no |
//! | has ended, because the process stops | yes: the manager's own timeout bounds the end |
//!
//! At SIGHUP it hears that the configuration is being read again (`RELOADING=1`), and then that the process is ready,
//! whether the new configuration was taken or refused: so `systemctl reload` can wait for it (`Type=notify-reload`, systemd
//! 253 on), and older ones show the unit as reloading meanwhile.
//!
//! Nothing is sent, and nothing runs, where no manager asks for it (`NOTIFY_SOCKET`). Sending never blocks: the lease is
//! renewed by this thread, and a manager that hangs must not cost it. That is why this is a socket of our own and not a
//! library's: those block.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::rc::Rc;
use std::time::Duration;

use glommio::timer::Timer;
use rustix::time::{ClockId, clock_gettime};

use super::Control;
use crate::limits::{NOTIFY_LOOK, NOTIFY_STOP_EXTRA, WATCH_PERIOD};
use crate::shutdown::Phase;
use crate::time::unix_now;
use crate::wire::figures::{Ailment, Figures, ShardFigures};

/// The manager of this process, as it has made itself known.
#[derive(Debug, Clone)]
pub(crate) struct ServiceManager {
    address: SocketAddr,
    /// How long it bears to hear nothing.
    watchdog: Option<Duration>,
}

/// What it was told last.
#[derive(Debug)]
pub(super) struct Notifier {
    // Fixed.
    manager: ServiceManager,
    socket: UnixDatagram,
    // Changed by its own calls.
    ready: Cell<bool>,
    /// The configuration is being read again: it is not ready, and does not become so by itself.
    reloading: Cell<bool>,
    stopping: Cell<bool>,
    status: RefCell<String>,
    unheard: Cell<bool>,
}

impl ServiceManager {
    /// The manager that asks for messages, if one does. `variable` looks into the environment.
    ///
    /// An address that is none is said in the log and taken for no manager: a worker works without.
    pub(crate) fn find(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let name = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let address = match address(&name) {
            Ok(address) => address,
            Err(error) => {
                tracing::warn!(socket = ?name, %error, "NOTIFY_SOCKET is no address; no service manager is told");
                return None;
            }
        };
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // Inherited from a parent whose watchdog it is.
        let foreign = number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|&usec| usec > 0 && !foreign);
        Some(Self { address, watchdog: watchdog.map(Duration::from_micros) })
    }
}

/// A path, or behind an `@` a name in the abstract space.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither an absolute path nor an abstract name behind `@`",
        )),
    }
}

/// What tells this manager; without a socket the process works all the same.
pub(super) fn open(manager: ServiceManager) -> Option<Notifier> {
    match Notifier::new(manager) {
        Ok(notifier) => Some(notifier),
        Err(error) => {
            tracing::warn!(%error, "there is no socket for the service manager; it is told nothing");
            None
        }
    }
}

/// Tells until it is dropped.
pub(super) async fn run(control: Rc<Control>) {
    let Some(notifier) = &control.notifier else { return };
    loop {
        notifier.tell_state(&control);
        Timer::new(notifier.pause()).await;
    }
}

impl Notifier {
    fn new(manager: ServiceManager) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            manager,
            socket,
            ready: Cell::new(false),
            reloading: Cell::new(false),
            stopping: Cell::new(false),
            status: RefCell::default(),
            unheard: Cell::new(false),
        })
    }

    /// Tells that the process stops, once, and how long that may take: the unit need not repeat `--timeout`.
    pub(super) fn tell_stop(&self, grace: Duration) {
        if self.stopping.replace(true) {
            return;
        }
        let most_usec = (grace + NOTIFY_STOP_EXTRA).as_micros();
        let _heard = self.send(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={most_usec}\n"));
    }

    /// Tells that the configuration is being read again. From when the manager compares with when it sent the signal, should
    /// it have sent it (`Type=notify-reload`).
    pub(super) fn tell_reload(&self) {
        if !self.ready.get() || self.stopping.get() {
            return;
        }
        self.ready.set(false);
        self.reloading.set(true);
        let now = clock_gettime(ClockId::Monotonic);
        let now_usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        let _heard = self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now_usec}\n"));
    }

    /// Tells that it is ready again. Should the manager not hear it now, it does at the next look.
    pub(super) fn tell_reloaded(&self, control: &Control) {
        if self.reloading.replace(false) {
            self.tell_state(control);
        }
    }

    fn tell_state(&self, control: &Control) {
        let figures = control.figures(Vec::new());
        let mut message = String::new();
        // Who is told to be quiet before it began asks nothing of Redis, and is as it should be.
        let settled = control.all_answered() || control.phase.get() == Phase::Quiet;
        let becomes_ready = !self.ready.get() && !self.reloading.get() && settled && !self.stopping.get();
        if becomes_ready {
            message.push_str("READY=1\n");
        }
        if self.manager.watchdog.is_some_and(|watchdog| control.progresses(watchdog / 2, &figures)) {
            message.push_str("WATCHDOG=1\n");
        }
        let was_ready = self.ready.get() || self.reloading.get();
        let status = status(&figures, was_ready || becomes_ready || control.phase.get().ends());
        let new_status = status != *self.status.borrow();
        if new_status {
            message.push_str(&format!("STATUS={status}\n"));
        }
        if !message.is_empty() && self.send(&message) {
            self.ready.set(self.ready.get() || becomes_ready);
            *self.status.borrow_mut() = status;
        }
    }

    /// How long until the next look. Four of them in the watchdog's time: a shard that turns again just after one that
    /// found it still is seen long before the time is over.
    fn pause(&self) -> Duration {
        if !self.ready.get() && !self.stopping.get() {
            return NOTIFY_LOOK;
        }
        self.manager.watchdog.map_or(WATCH_PERIOD, |watchdog| (watchdog / 4).clamp(NOTIFY_LOOK, WATCH_PERIOD))
    }

    /// Whether the manager has it. One that does not listen is said once.
    fn send(&self, message: &str) -> bool {
        match self.socket.send_to_addr(message.as_bytes(), &self.manager.address) {
            Ok(_whole) => {
                self.unheard.set(false);
                true
            }
            Err(error) => {
                if !self.unheard.replace(true) {
                    tracing::warn!(%error, "the service manager cannot be told how this process is; trying again");
                }
                false
            }
        }
    }
}

impl Control {
    /// Whether every shard works: Redis has answered it.
    fn all_answered(&self) -> bool {
        self.options.stats.iter().all(|stats| stats.answered_at.age().is_some())
    }

    /// Whether there is reason to hope that the process goes on by itself.
    fn progresses(&self, still_max: Duration, figures: &Figures) -> bool {
        if self.phase.get().ends() {
            return true;
        }
        let still = |age: Option<Duration>| age.is_some_and(|age| age >= still_max);
        let all_turn = self.options.stats.iter().all(|stats| !still(stats.turned_at.age()));
        all_turn && figures.troubles.iter().all(|trouble| trouble.what != Ailment::Silent)
    }
}

/// The line that `systemctl status` shows. An idle process without troubles has one text, which is sent once.
fn status(figures: &Figures, ready: bool) -> String {
    if !ready {
        return "starting: waiting for redis".to_owned();
    }
    let sum = |field: fn(&ShardFigures) -> u64| figures.shards.iter().map(field).sum::<u64>();
    let counts = format!(
        "{}: {} processed, {} failed, {} running",
        figures.phase,
        sum(|shard| shard.processed),
        sum(|shard| shard.failed),
        sum(|shard| shard.running)
    );
    let now = unix_now();
    let troubles = figures.troubles.iter().map(|trouble| trouble.at(now).to_string());
    [counts].into_iter().chain(troubles).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::figures::Trouble;

    /// What is found where the environment has these variables.
    fn find(variables: &[(&str, &str)]) -> Option<ServiceManager> {
        ServiceManager::find(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn without_an_address_there_is_no_manager() {
        for socket in ["", "relative/path", "vsock:2:1234"] {
            assert!(find(&[("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "1000000")]).is_none(), "{socket}");
        }
        assert!(find(&[("WATCHDOG_USEC", "1000000")]).is_none());
    }

    #[test]
    fn the_watchdog_is_heeded_if_it_is_meant_for_this_process() {
        let socket = ("NOTIFY_SOCKET", "/run/systemd/notify");
        let watchdog = |more: &[(&str, &str)]| find(&[&[socket], more].concat()).unwrap().watchdog;
        let own = std::process::id().to_string();
        assert_eq!(watchdog(&[]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "2000000")]), Some(Duration::from_secs(2)));
        assert_eq!(
            watchdog(&[("WATCHDOG_USEC", "500"), ("WATCHDOG_PID", &own)]),
            Some(Duration::from_micros(500))
        );
        for more in [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "soon"), ("WATCHDOG_USEC", "0")] {
            assert_eq!(watchdog(&[more, ("WATCHDOG_USEC", "2000000")]), None, "{more:?}");
        }
    }

    #[test]
    fn a_manager_that_does_not_read_blocks_nothing() {
        let name = format!("@jiggler-uring-test-{}", std::process::id());
        let manager = find(&[("NOTIFY_SOCKET", &name)]).unwrap();
        let socket = UnixDatagram::bind_addr(&manager.address).unwrap();
        let notifier = Notifier::new(manager).unwrap();
        assert!(notifier.send("READY=1\n"));
        // More than the kernel keeps for it.
        let heard = (0..10_000).filter(|_| notifier.send("WATCHDOG=1\n")).count();
        assert!(heard < 10_000, "all of {heard} were kept");
        let mut buffer = [0; 64];
        let bytes = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..bytes], b"READY=1\n");
    }

    #[test]
    fn the_status_says_phase_counts_and_troubles() {
        let shard = |processed| ShardFigures { processed, failed: 1, running: 2, ..ShardFigures::default() };
        let mut figures =
            Figures { phase: "running".to_owned(), shards: vec![shard(3), shard(4)], ..Figures::default() };
        assert_eq!(status(&figures, false), "starting: waiting for redis");
        assert_eq!(status(&figures, true), "running: 7 processed, 2 failed, 4 running");
        figures.troubles.push(Trouble { shard: 1, what: Ailment::NoRedis, since: unix_now() });
        assert!(status(&figures, true).ends_with("4 running; shard 1 without redis for 0.0 s"));
    }
}
