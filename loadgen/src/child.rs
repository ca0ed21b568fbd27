//! A child process that cannot outlive this one.
//!
//! Whatever ends loadgen (return, error, panic, Ctrl-C, SIGKILL) also ends its children: a dropped [`Child`] is
//! terminated and waited for, and the kernel kills it when this process dies without dropping it. Only processes
//! started here are ever signalled, by their pid. This module knows nothing about what the children do.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jiggler_uring::internal::limits::STOP_GRACE;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};

use crate::error::Error;

/// How much of a child's log an error message shows.
const LOG_TAIL_BYTES: u64 = 4_000;

/// How long a dropped child may take to end before it is killed: longer than a worker that owes acks keeps trying to
/// reach a Redis that is away.
const DROP_GRACE: Duration = STOP_GRACE.saturating_add(Duration::from_secs(5));

/// Pause between two checks of an ending child.
const EXIT_POLL: Duration = Duration::from_millis(2);

/// A running (or ended, not yet dropped) child process with its output in a file.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    log: PathBuf,
    process: process::Child,
}

impl Child {
    /// Starts `command` with both outputs going to the file `log`, in a process group of its own, so that a Ctrl-C
    /// reaches loadgen alone, which then ends the children cleanly.
    ///
    /// # Errors
    /// The log cannot be created or the program cannot be started.
    pub(crate) fn spawn(name: &'static str, mut command: Command, log: &Path) -> Result<Self, Error> {
        let what = || format!("{name} ({})", command.get_program().to_string_lossy());
        let output =
            File::create(log).map_err(|error| Error::system(format!("log {}", log.display()), error))?;
        let errors = output.try_clone().map_err(|error| Error::system(what(), error))?;
        let what = what();
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        die_with_parent(&mut command);
        let process = command.spawn().map_err(|error| Error::system(what, error))?;
        Ok(Self { name, log: log.to_owned(), process })
    }

    /// The pid, valid until this value is dropped: nobody else reaps the child.
    pub(crate) fn pid(&self) -> Pid {
        pid_of(&self.process)
    }

    /// The exit status if the child has ended.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.process
            .try_wait()
            .map_err(|error| Error::system(format!("waiting for the {}", self.name), error))
    }

    /// Sends SIGTERM and waits until the child has ended.
    ///
    /// # Errors
    /// [`Error::NotStopped`] if `grace` passes first; by then the child has been killed.
    pub(crate) fn terminate(&mut self, grace: Duration) -> Result<ExitStatus, Error> {
        if let Some(status) = self.ended()? {
            return Ok(status);
        }
        kill(self.pid(), Signal::SIGTERM)
            .map_err(|errno| Error::system(format!("SIGTERM to the {}", self.name), errno))?;
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            thread::sleep(EXIT_POLL);
        }
        self.kill()?;
        Err(Error::NotStopped { name: self.name, waited: grace })
    }

    /// Sends SIGKILL and waits until the child has ended.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.process
            .kill()
            .and_then(|()| self.process.wait())
            .map_err(|error| Error::system(format!("killing the {}", self.name), error))
    }

    /// Sends a signal that does not end the child.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        kill(self.pid(), signal)
            .map_err(|errno| Error::system(format!("{signal} to the {}", self.name), errno))
    }

    /// The last lines the child wrote, or why they cannot be read; for error messages.
    pub(crate) fn log_tail(&self) -> String {
        log_tail(&self.log)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nobody is left to handle an error here; the kernel's parent-death signal is the second line of defence.
        if let Err(error) = self.terminate(DROP_GRACE) {
            eprintln!("loadgen: {error}");
        }
    }
}

/// The last lines of a log file, or why they cannot be read; for error messages.
pub(crate) fn log_tail(path: &Path) -> String {
    match read_tail(path) {
        Ok(text) if text.trim().is_empty() => "(it wrote nothing)".to_owned(),
        Ok(text) => text,
        Err(error) => format!("(cannot be read: {error})"),
    }
}

fn read_tail(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn pid_of(process: &process::Child) -> Pid {
    // Linux pids are at most 2^22, whatever type std returns them as.
    Pid::from_raw(process.id().cast_signed())
}

/// Has the kernel kill the child when the thread that started it ends: only the main thread starts children.
fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let hook = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died between fork and prctl; then the signal would never come.
        if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
    };
    // SAFETY: between fork and exec the hook makes two system calls; it neither allocates nor locks nor touches shared
    // memory. Neither std nor nix has a safe way to set the signal in a child.
    #[expect(unsafe_code, reason = "the only way to run code between fork and exec")]
    unsafe {
        command.pre_exec(hook);
    }
}
