//! The private server's life: found or started under a lock, shared by processes, ended by the last one.
//!
//! Two lock files order everything. The gate is held exclusively to look for, start or end a server, so two workers never
//! start two. The users lock is held shared by each process that uses the server; a process that gets it exclusively when
//! it exits is the last, and ends the server. The kernel frees both at a crash, so a killed worker only leaves a running
//! server, which the next one finds and uses.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Error, StateDir,
    keeper::Keeper,
    probe::{self, Answer},
};
use crate::{
    config::Variables,
    limits::{EMBEDDED_POLL_PAUSE, EMBEDDED_START_TIMEOUT, EMBEDDED_STOP_TIMEOUT, LOG_TAIL_LINES},
};

/// Programs that can serve, the preferred one first.
const PROGRAMS: &[&str] = &["redis-server", "valkey-server"];

/// This process's share in the private server.
///
/// Invariant: while it exists, this process holds the users lock shared, so no other process ends the server.
pub(crate) struct Embedded {
    dir: StateDir,
    socket: PathBuf,
    users: File,
    program: PathBuf,
    /// Whether this process started the server rather than found it running.
    started_here: bool,
    /// The server, if this process started it: its exit status must be collected. The keeper owns it, if there is one.
    child: Option<Child>,
    /// Restarts it.
    keeper: Option<Keeper>,
    /// Whether the share was given back; if not, `Drop` does it.
    released: bool,
}

/// What became of the server when this process released it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    /// It wrote its file out and ended.
    Ended,
    /// Another process uses it; it keeps running.
    InUse,
    /// It was told to end, but there was no time to wait until it had.
    Ending,
}

impl Embedded {
    /// Joins the running server of `dir`, or starts `program` there and waits until it answers.
    ///
    /// # Errors
    /// [`Error`]; the tail of the server's log is in it when the server failed.
    pub(crate) fn acquire(dir: &StateDir, program: &Path) -> Result<Self, Error> {
        dir.create()?;
        let socket = dir.socket()?;
        let gate = lock_file(&dir.gate(), File::lock)?;
        let users = lock_file(&dir.users(), File::lock_shared)?;
        let child = match probe::ask(&socket) {
            Answer::Ready => None,
            // Another worker was killed while its server was still loading, or the server is held up.
            Answer::Loading | Answer::Silent => wait_until_ready(dir, program, &socket, None, &|| false)?,
            Answer::Nobody => {
                let child = start(dir, program, &socket)?;
                wait_until_ready(dir, program, &socket, Some(child), &|| false)?
            }
        };
        drop(gate);
        let (dir, program, started_here) = (dir.clone(), program.to_owned(), child.is_some());
        Ok(Self { dir, socket, users, program, started_here, child, keeper: None, released: false })
    }

    /// From now on the server is restarted when it dies, if this process started it.
    ///
    /// # Errors
    /// [`Error::Spawn`] if no thread can be created for that.
    pub(crate) fn keep_up(&mut self) -> Result<(), Error> {
        let Some(child) = self.child.take() else { return Ok(()) };
        let keeper = Keeper::start(self.dir.clone(), self.program.clone(), self.socket.clone(), child);
        let failed = |source| Error::Spawn { program: self.program.clone(), source };
        self.keeper = Some(keeper.map_err(failed)?);
        Ok(())
    }

    /// The path of the server's socket.
    #[must_use]
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether this process started the server rather than found it running.
    #[must_use]
    pub(crate) fn started_here(&self) -> bool {
        self.started_here
    }

    /// Releases the server and, as the last user, ends it and waits until its append-only file is on disk, at the latest
    /// until `until` if that is given.
    ///
    /// # Errors
    /// [`Error::Stop`], [`Error::Lingers`] or [`Error::State`]; the server then stays and is used again next time.
    pub(crate) fn release(mut self, until: Option<Instant>) -> Result<Released, Error> {
        self.let_go(until)
    }

    fn let_go(&mut self, until: Option<Instant>) -> Result<Released, Error> {
        self.released = true;
        if let Some(keeper) = &mut self.keeper {
            keeper.stop();
        }
        let state = |path, source| Error::State { path, source };
        // Others wait at the gate until the server is gone; then they start a new one.
        let _gate = lock_file(&self.dir.gate(), File::lock)?;
        self.users.unlock().map_err(|source| state(self.dir.users(), source))?;
        match self.users.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Released::InUse),
            Err(TryLockError::Error(source)) => return Err(state(self.dir.users(), source)),
        }
        let limit = Instant::now() + EMBEDDED_STOP_TIMEOUT;
        let deadline = until.map_or(limit, |until| until.min(limit));
        match probe::shut_down(&self.socket, left(deadline)) {
            Err(source) if source.kind() == io::ErrorKind::Other => {
                return Err(Error::Stop { socket: self.socket.clone(), source });
            }
            // Whatever else it answers, or if nothing is there: check whether it is gone.
            Err(_) | Ok(()) => {}
        }
        if self.is_gone_by(deadline) {
            return Ok(Released::Ended);
        }
        if deadline < limit {
            return Ok(Released::Ending);
        }
        Err(Error::Lingers { socket: self.socket.clone(), log: self.dir.log() })
    }

    /// Whether the server is gone: at once, or by then.
    fn is_gone_by(&mut self, deadline: Instant) -> bool {
        if let Some(keeper) = &self.keeper {
            return keeper.has_ended_within(left(deadline));
        }
        loop {
            let gone = match &mut self.child {
                // This collects the exit status too, so that no zombie stays.
                Some(child) => child.try_wait().is_ok_and(|status| status.is_some()),
                None => probe::ask(&self.socket) == Answer::Nobody,
            };
            if gone || Instant::now() >= deadline {
                return gone;
            }
            thread::sleep(EMBEDDED_POLL_PAUSE);
        }
    }
}

impl Drop for Embedded {
    /// The way out of a start that failed half-way. An error leaves the server to the next worker, as a crash does.
    fn drop(&mut self) {
        if !self.released {
            let _ = self.let_go(None);
        }
    }
}

impl fmt::Display for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.started_here() { "started" } else { "joined" };
        write!(f, "{how} a private one at {}", self.socket.display())
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedded({self})")
    }
}

/// The server program on the PATH of `variables`.
#[must_use]
pub(crate) fn program(variables: Variables<'_>) -> Option<PathBuf> {
    let path = variables("PATH")?;
    // Debian installs servers where a plain user's PATH may not look.
    let dirs: Vec<PathBuf> =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from)).collect();
    let executable = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    PROGRAMS.iter().find_map(|name| dirs.iter().map(|dir| dir.join(name)).find(executable))
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

pub(super) fn lock_file(path: &Path, lock: fn(&File) -> io::Result<()>) -> Result<File, Error> {
    let open = || {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        lock(&file)?;
        Ok(file)
    };
    open().map_err(|source| Error::State { path: path.to_owned(), source })
}

/// Starts the server in its own process group, so that Ctrl-C in the terminal reaches only the worker.
pub(super) fn start(dir: &StateDir, program: &Path, socket: &Path) -> Result<Child, Error> {
    let log = dir.log();
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(&log);
    let output = open().map_err(|source| Error::State { path: log.clone(), source })?;
    let spawned = Command::new(program)
        .args(["--port", "0", "--unixsocketperm", "700", "--unixsocket"])
        .arg(socket)
        .arg("--dir")
        .arg(dir.path())
        .args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""])
        .args(["--maxmemory-policy", "noeviction", "--daemonize", "no", "--supervised", "no"])
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(|source| Error::State { path: log.clone(), source })?)
        .stderr(output)
        .process_group(0)
        .spawn();
    spawned.map_err(|source| Error::Spawn { program: program.to_owned(), source })
}

/// Waits for the first answer; `child` is watched, so that it does not wait for a server that cannot start. Once
/// `is_stopping` it waits for none.
pub(super) fn wait_until_ready(
    dir: &StateDir,
    program: &Path,
    socket: &Path,
    mut child: Option<Child>,
    is_stopping: &dyn Fn() -> bool,
) -> Result<Option<Child>, Error> {
    let mut deadline = Instant::now() + EMBEDDED_START_TIMEOUT;
    let (program, log) = (program.to_owned(), dir.log());
    loop {
        match probe::ask(socket) {
            Answer::Ready => return Ok(child),
            // It is alive and says so; a file of many gigabytes takes time.
            Answer::Loading => deadline = Instant::now() + EMBEDDED_START_TIMEOUT,
            Answer::Nobody | Answer::Silent => {}
        }
        if is_stopping() {
            return Ok(child);
        }
        if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
            return Err(Error::Died { program, status: status.to_string(), tail: tail(&log), log });
        }
        if Instant::now() >= deadline {
            if let Some(child) = &mut child {
                // It never served any client; what it may have loaded is unchanged on disk. Errors mean it is gone
                // already.
                let _ = child.kill();
                let _ = child.wait();
            }
            return Err(Error::Silent { program, tail: tail(&log), log });
        }
        thread::sleep(EMBEDDED_POLL_PAUSE);
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests;
