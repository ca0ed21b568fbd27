//! Restarts the private server when it dies, from the process that started it.
//!
//! A thread waits for the server's end, which costs nothing while it runs. What is in its append-only file is there again
//! after a restart; shards and control find it as after any outage, and so do other processes that use it.
//!
//! ```text
//!            ended                         gate free, nobody answers
//! Waits ───────────────► Pauses (longer ───────────────────────────► Starts ──► Waits
//!   │                    each time)  │                                 │ failed: Pauses
//!   └── stop ──► Ends ◄── stop ──────┴── another process has started it
//! ```
//!
//! It starts nothing without the gate, nor while a server at the socket answers or keeps silent, so there are never two.
//!
//! Known weaknesses: the other processes do not restart a server whose starter is gone. A restarted server has inherited
//! the blocked signals of its worker: TERM does not end it; SHUTDOWN does, and that is what the last worker sends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::probe::{self, Answer};
use super::server::{self, lock_file};
use super::{Error, StateDir};
use crate::limits::{EMBEDDED_RESTART_PAUSE_MAX, EMBEDDED_RESTART_PAUSE_MIN, EMBEDDED_STEADY};

/// The handle of the thread.
pub(super) struct Keeper {
    is_stopping: Arc<AtomicBool>,
    /// Dropped to wake the thread from a pause.
    wake: Option<Sender<()>>,
    /// Ends with the thread, whose server has ended by then.
    ended: Receiver<()>,
}

/// What the thread owns.
struct Watch {
    // Fixed.
    dir: StateDir,
    program: PathBuf,
    socket: PathBuf,
    is_stopping: Arc<AtomicBool>,
    woken: Receiver<()>,
    // Changed by each end of the server.
    pause: Duration,
    /// The last failure that was logged.
    told: String,
}

impl Keeper {
    /// Watches `child`, which serves `socket`.
    ///
    /// # Errors
    /// If no thread can be created.
    pub(super) fn start(dir: StateDir, program: PathBuf, socket: PathBuf, child: Child) -> io::Result<Self> {
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (wake, woken) = channel();
        let (ends, ended) = channel();
        let mut watch = Watch {
            dir,
            program,
            socket,
            is_stopping: Arc::clone(&is_stopping),
            woken,
            pause: EMBEDDED_RESTART_PAUSE_MIN,
            told: String::new(),
        };
        thread::Builder::new().name("private-redis".to_owned()).spawn(move || {
            watch.run(child);
            drop(ends);
        })?;
        Ok(Self { is_stopping, wake: Some(wake), ended })
    }

    /// From now on the server is not restarted.
    pub(super) fn stop(&mut self) {
        self.is_stopping.store(true, Ordering::Release);
        self.wake = None;
    }

    /// Whether the server has ended within this time; call it after [`Self::stop`].
    pub(super) fn has_ended_within(&self, patience: Duration) -> bool {
        matches!(self.ended.recv_timeout(patience), Err(RecvTimeoutError::Disconnected))
    }
}

impl Watch {
    fn run(&mut self, child: Child) {
        let mut child = Some(child);
        while let Some(mut server) = child.take() {
            let started_at = Instant::now();
            let status = match server.wait() {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            if self.is_stopping() {
                return;
            }
            if started_at.elapsed() >= EMBEDDED_STEADY {
                self.pause = EMBEDDED_RESTART_PAUSE_MIN;
            }
            let (socket, log) = (self.socket.display(), self.dir.log());
            let log = log.display();
            tracing::error!(status, %socket, %log, "the private redis has ended; starting it again");
            child = self.start_again();
        }
    }

    /// Tries until it runs. `None` if it is to stop, or another process has started one.
    fn start_again(&mut self) -> Option<Child> {
        while self.rest() {
            match self.try_start() {
                Ok(Some(child)) => {
                    if !self.is_stopping() {
                        tracing::info!(pid = child.id(), "the private redis runs again");
                        self.told.clear();
                    }
                    return Some(child);
                }
                Ok(None) => {
                    tracing::info!("another process has started the private redis and looks after it");
                    return None;
                }
                Err(error) => self.tell(&error),
            }
        }
        None
    }

    /// Pauses, longer each time. Returns whether to continue.
    fn rest(&mut self) -> bool {
        let pause = self.pause;
        self.pause = (pause * 2).min(EMBEDDED_RESTART_PAUSE_MAX);
        self.woken.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) && !self.is_stopping()
    }

    fn try_start(&self) -> Result<Option<Child>, Failure> {
        // The holder looks for, starts or ends a server: this does not wait for it, or a stop would have to wait too.
        let _gate = lock_file(&self.dir.gate(), try_lock)?;
        match probe::ask(&self.socket) {
            Answer::Ready | Answer::Loading => return Ok(None),
            Answer::Silent => return Err(Failure::Silent),
            Answer::Nobody => {}
        }
        let child = server::start(&self.dir, &self.program, &self.socket)?;
        let stops = || self.is_stopping();
        Ok(server::wait_until_ready(&self.dir, &self.program, &self.socket, Some(child), &stops)?)
    }

    /// Logs a failure once, until another occurs or the server runs.
    fn tell(&mut self, failure: &Failure) {
        let text = failure.to_string();
        if self.told != text {
            tracing::error!(error = text, "the private redis cannot be started again; trying again");
            self.told = text;
        }
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("something listens on its socket but does not answer")]
    Silent,
    #[error("{}", explained(.0))]
    Start(#[from] Error),
}

/// An error with its cause.
fn explained(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn try_lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::Error(error) => error,
        TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::WouldBlock, "another process has it locked")
        }
    })
}
