//! The service manager (systemd, `Type=notify`): where it listens, and what it was last told.
//!
//! Sending never blocks: this thread renews the lease, and a manager that hangs must not cost us that. That is why this is
//! our own socket and not a library's: those block. For what is sent when, see `notify`.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::limits::{NOTIFY_LOOK, NOTIFY_STOP_EXTRA, WATCH_PERIOD};

/// The manager of this process, as it made itself known.
#[derive(Debug, Clone)]
pub(crate) struct ServiceManager {
    address: SocketAddr,
    /// The time without a message after which it restarts the process; `None` if it does not watch.
    watchdog: Option<Duration>,
}

/// How the process is, as far as the manager is concerned.
pub(super) struct Condition {
    /// Redis has answered every shard, or no shard is meant to ask.
    pub(super) is_settled: bool,
    /// The process makes progress, or will without help.
    pub(super) progresses: bool,
    /// The process is stopping.
    pub(super) ends: bool,
    /// The line that `systemctl status` shows once the process is ready, or stops.
    pub(super) status: String,
}

/// What the manager was told last.
#[derive(Debug)]
pub(super) struct Notifier {
    // Fixed.
    manager: ServiceManager,
    socket: UnixDatagram,
    // Changed only by its own methods.
    ready: Cell<bool>,
    /// The configuration is being read again: the process is not ready, and does not become so by itself.
    reloading: Cell<bool>,
    stopping: Cell<bool>,
    status: RefCell<String>,
    unheard: Cell<bool>,
}

impl ServiceManager {
    /// The manager that asks for messages, if one does. `variable` looks up the environment.
    ///
    /// An invalid address is logged and counts as no manager: a worker works without one.
    pub(crate) fn find(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let name = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty())?;
        let address = match address(&name) {
            Ok(address) => address,
            Err(error) => {
                tracing::warn!(socket = ?name, %error, "NOTIFY_SOCKET is not a valid address; the service manager is not notified");
                return None;
            }
        };
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // Inherited from a parent, whose watchdog it is.
        let foreign = number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|&usec| usec > 0 && !foreign);
        Some(Self { address, watchdog: watchdog.map(Duration::from_micros) })
    }
}

/// A path, or, after an `@`, a name in the abstract namespace.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither an absolute path nor an abstract name after `@`",
        )),
    }
}

/// Opens the socket to this manager. If that fails, the process works all the same.
pub(super) fn open(manager: ServiceManager) -> Option<Notifier> {
    match Notifier::new(manager) {
        Ok(notifier) => Some(notifier),
        Err(error) => {
            tracing::warn!(%error, "cannot open a socket for the service manager; it is not notified");
            None
        }
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

    /// Reports once that the process stops, and how long that may take: the unit need not repeat `--shutdown-timeout`.
    pub(super) fn tell_stop(&self, grace: Duration) {
        if self.stopping.replace(true) {
            return;
        }
        let most_usec = (grace + NOTIFY_STOP_EXTRA).as_micros();
        let _heard = self.send(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={most_usec}\n"));
    }

    /// Reports that the configuration is being reloaded, and since when: the manager compares that with the time at which
    /// it sent the signal, if it did (`Type=notify-reload`).
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

    /// Notes that the configuration was read. Returns whether to report that now: the process may be ready again.
    pub(super) fn end_reload(&self) -> bool {
        self.reloading.replace(false)
    }

    /// After how long without a turn a shard counts as stalled; `None` if the manager does not watch.
    pub(super) fn still_max(&self) -> Option<Duration> {
        self.manager.watchdog.map(|watchdog| watchdog / 2)
    }

    /// Reports what has changed, and gives the sign of life that the manager waits for. What the manager does not take now
    /// is sent at the next look.
    pub(super) fn tell(&self, condition: Condition) {
        let Condition { is_settled, progresses, ends, mut status } = condition;
        let mut message = String::new();
        let becomes_ready = !self.ready.get() && !self.reloading.get() && is_settled && !self.stopping.get();
        if becomes_ready {
            message.push_str("READY=1\n");
        }
        if self.manager.watchdog.is_some() && progresses {
            message.push_str("WATCHDOG=1\n");
        }
        if !(self.ready.get() || self.reloading.get() || becomes_ready || ends) {
            "starting: waiting for redis".clone_into(&mut status);
        }
        let new_status = status != *self.status.borrow();
        if new_status {
            message.push_str(&format!("STATUS={status}\n"));
        }
        if !message.is_empty() && self.send(&message) {
            self.ready.set(self.ready.get() || becomes_ready);
            *self.status.borrow_mut() = status;
        }
    }

    /// How long until the next look. There are four within the watchdog's time: a shard that turns again just after a look
    /// found it stalled is seen long before the time is over.
    pub(super) fn pause(&self) -> Duration {
        if !self.ready.get() && !self.stopping.get() {
            return NOTIFY_LOOK;
        }
        self.manager.watchdog.map_or(WATCH_PERIOD, |watchdog| (watchdog / 4).clamp(NOTIFY_LOOK, WATCH_PERIOD))
    }

    /// Whether the manager took it. If it does not listen, that is logged once.
    fn send(&self, message: &str) -> bool {
        match self.socket.send_to_addr(message.as_bytes(), &self.manager.address) {
            Ok(_whole) => {
                self.unheard.set(false);
                true
            }
            Err(error) => {
                if !self.unheard.replace(true) {
                    tracing::warn!(%error, "cannot notify the service manager; trying again");
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of looking with these variables in the environment.
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
    fn the_watchdog_counts_if_it_is_meant_for_this_process() {
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
        // More than the kernel buffers for it.
        let heard = (0..10_000).filter(|_| notifier.send("WATCHDOG=1\n")).count();
        assert!(heard < 10_000, "all of {heard} were kept");
        let mut buffer = [0; 64];
        let bytes = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..bytes], b"READY=1\n");
    }

    #[test]
    fn a_process_is_starting_until_it_is_settled() {
        let name = format!("@jiggler-uring-test-ready-{}", std::process::id());
        let manager = find(&[("NOTIFY_SOCKET", &name)]).unwrap();
        let socket = UnixDatagram::bind_addr(&manager.address).unwrap();
        let notifier = Notifier::new(manager).unwrap();
        let told = |is_settled| {
            let status = "running: well".to_owned();
            notifier.tell(Condition { is_settled, progresses: true, ends: false, status });
            let mut buffer = [0; 128];
            let bytes = socket.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..bytes]).into_owned()
        };
        assert_eq!(told(false), "STATUS=starting: waiting for redis\n");
        assert_eq!(told(true), "READY=1\nSTATUS=running: well\n");
    }
}
