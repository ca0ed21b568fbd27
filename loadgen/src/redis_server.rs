//! A Redis of our own: temporary directory, free port on loopback, unix socket, its own CPU; never the user's.

use std::env;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use jiggler_uring::internal::resp::url::{Endpoint, RedisUrl};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::child::Child;
use crate::cli::{RedisOptions, Transport};
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::placement::Placement;
use crate::redis::Client;

/// Programs that speak the protocol, in order of preference.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// How long a server may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may take to end: with an append-only file it syncs first.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two attempts to reach a starting server.
const START_POLL: Duration = Duration::from_millis(5);

/// Another program may take a free port before the server binds it; then the next one is tried.
const START_ATTEMPTS: u32 = 5;

/// Name of the unix socket in the server's directory.
const SOCKET_FILE: &str = "redis.sock";

/// A running private Redis. Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub(crate) struct RedisServer {
    // Invariant: declared before `directory`, so that the server ends before its files are removed.
    child: Child,
    url: RedisUrl,
    directory: TempDir,
    // For a restart.
    program: PathBuf,
    options: RedisOptions,
    port: u16,
}

impl RedisServer {
    /// Starts a server on the CPUs of `placement` and leaves this thread on the worker's CPUs.
    ///
    /// # Errors
    /// There is no server program, no attempt was answered, or an interrupt.
    pub(crate) fn start(
        options: &RedisOptions,
        placement: &Placement,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let program = find_program(options.redis_server.as_deref())?;
        placement.enter_redis()?;
        let server = Self::start_program(&program, options, interrupt);
        placement.enter_worker()?;
        server
    }

    fn start_program(program: &Path, options: &RedisOptions, interrupt: &Interrupt) -> Result<Self, Error> {
        let mut failure = None;
        for _ in 0..START_ATTEMPTS {
            let mut server = Self::spawn(program, options)?;
            match server.wait_until_ready(interrupt)? {
                true => return Ok(server),
                false => failure = Some(server.child.log_tail()),
            }
        }
        Err(Error::RedisServerStart {
            program: program.to_owned(),
            waited: START_TIMEOUT,
            log: failure.unwrap_or_default(),
        })
    }

    fn spawn(program: &Path, options: &RedisOptions) -> Result<Self, Error> {
        let directory = tempfile::Builder::new()
            .prefix("loadgen-redis-")
            .tempdir()
            .map_err(|error| Error::system("creating a temporary directory", error))?;
        let port = free_port()?;
        let child = Self::launch(program, options, directory.path(), port)?;
        let endpoint = match options.transport {
            Transport::Tcp => Endpoint::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port },
            Transport::Unix => Endpoint::Unix(directory.path().join(SOCKET_FILE)),
        };
        let (program, options) = (program.to_owned(), options.clone());
        Ok(Self { child, url: RedisUrl::new(endpoint), directory, program, options, port })
    }

    fn launch(program: &Path, options: &RedisOptions, directory: &Path, port: u16) -> Result<Child, Error> {
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--daemonize", "no", "--save", ""])
            .args([
                "--appendonly",
                if options.appendonly { "yes" } else { "no" },
                "--appendfsync",
                "everysec",
            ])
            .arg("--unixsocket")
            .arg(directory.join(SOCKET_FILE))
            .arg("--dir")
            .arg(directory)
            .current_dir(directory);
        Child::spawn("private Redis", command, &directory.join("redis.log"))
    }

    /// Ends the server as a crash would.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn crash(&mut self) -> Result<(), Error> {
        self.child.kill().map(drop)
    }

    /// Starts the server again after it ended: same address, same files. Returns when it answers.
    ///
    /// # Errors
    /// It does not answer in time, or an interrupt.
    pub(crate) fn restart(&mut self, placement: &Placement, interrupt: &Interrupt) -> Result<(), Error> {
        placement.enter_redis()?;
        let child = Self::launch(&self.program, &self.options, self.directory.path(), self.port);
        placement.enter_worker()?;
        self.child = child?;
        if self.wait_until_ready(interrupt)? {
            return Ok(());
        }
        let (program, log) = (self.program.clone(), self.child.log_tail());
        Err(Error::RedisServerStart { program, waited: START_TIMEOUT, log })
    }

    /// Stops the server's process without ending it: connections stay open, and nothing is answered.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn pause(&self) -> Result<(), Error> {
        self.child.signal(Signal::SIGSTOP)
    }

    /// Continues a stopped server.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.child.signal(Signal::SIGCONT)
    }

    /// Whether the server answers in time; `false` if it ended on its own or stayed silent.
    fn wait_until_ready(&mut self, interrupt: &Interrupt) -> Result<bool, Error> {
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            interrupt.check()?;
            if self.child.ended()?.is_some() {
                return Ok(false);
            }
            if self
                .client()
                .and_then(|mut client| Ok(client.text(&["PING"])?))
                .is_ok_and(|pong| pong == "PONG")
            {
                return Ok(true);
            }
            thread::sleep(START_POLL);
        }
        Ok(false)
    }

    /// A new connection over the chosen transport.
    ///
    /// # Errors
    /// The server does not accept it.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Ok(Client::open(&self.url)?)
    }

    /// Where the server listens, over the chosen transport.
    pub(crate) fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// Its port on 127.0.0.1, whatever the chosen transport.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The server's process, for its CPU clock.
    pub(crate) fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// A directory for files with the same lifetime, such as the worker's log.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Shuts the server down cleanly.
    ///
    /// # Errors
    /// It did not end in time and was killed.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.child.terminate(STOP_TIMEOUT).map(drop)
    }
}

fn find_program(chosen: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(program) = chosen {
        return if program.is_file() {
            absolute(program)
        } else {
            Err(Error::ProgramMissing(program.into()))
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    find_in_path(&path, &PROGRAMS).ok_or(Error::RedisServerMissing)
}

/// The server is started in its own directory, where a relative path would no longer point to it.
fn absolute(program: &Path) -> Result<PathBuf, Error> {
    program.canonicalize().map_err(|error| Error::system(format!("resolving {}", program.display()), error))
}

fn find_in_path(path: &OsStr, programs: &[&str]) -> Option<PathBuf> {
    programs.iter().find_map(|program| {
        env::split_paths(path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
    })
}

/// A port that nobody is listening on.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn free_port() -> Result<u16, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::system("looking for a free port on 127.0.0.1", error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_preferred_program_wins_over_the_order_of_folders() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        fs::write(folders[0].path().join("valkey-server"), "").unwrap();
        fs::write(folders[1].path().join("redis-server"), "").unwrap();
        let path = env::join_paths(folders.iter().map(TempDir::path)).unwrap();
        let found = find_in_path(&path, &PROGRAMS).unwrap();
        assert_eq!(found, folders[1].path().join("redis-server"));
    }

    #[test]
    fn a_missing_server_names_the_package() {
        assert_eq!(find_in_path(OsStr::new("/nonexistent"), &PROGRAMS), None);
        assert!(Error::RedisServerMissing.to_string().contains("apt install redis-server"));
    }
}
