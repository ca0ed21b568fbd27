//! A real redis-server for one test: own directory, own unix socket and port, ended with the test.
//!
//! Only the process, not how to talk to it: the crate's own tests and the tests of the whole program each have their
//! own client around it.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "part of tests, of which each uses a part; a server that cannot be started fails them"
)]

use std::{
    ffi::OsString,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::wait::look_again;

/// How long a server may take to listen on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Among the flags: the server's port, which is not known in advance. For a port of another kind than the plain one.
pub(crate) const PORT: &str = "{port}";

/// Ended, by its id, when dropped.
pub(crate) struct RedisServer {
    child: Child,
    directory: TempDir,
    port: u16,
    flags: Vec<OsString>,
}

impl RedisServer {
    /// Starts a server with more configuration, as command line flags. Nothing is written to disk unless these say so.
    /// A flag [`PORT`] stands for the server's port.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The port is free now; if something else takes it before the server does, the server ends and we try
            // again.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(child) = launch(directory.path(), port, &flags, deadline) {
                return Self { child, directory, port, flags };
            }
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.directory.path())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would, and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for an end that was requested.
    pub(crate) fn wait_for_end(&mut self) {
        self.child.wait().unwrap();
    }

    /// Restarts it on the same socket, port and files, after its end.
    pub(crate) fn start_again(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        self.child = loop {
            if let Some(child) = launch(self.directory.path(), self.port, &self.flags, deadline) {
                break child;
            }
        };
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Neither failure matters: the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers, or `None` if it ended at once.
fn launch(directory: &Path, port: u16, flags: &[OsString], deadline: Instant) -> Option<Child> {
    let socket = socket_in(directory);
    // A server that was killed leaves its socket behind.
    let _ = std::fs::remove_file(&socket);
    let mut child = Command::new("redis-server")
        .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", &port.to_string()])
        .arg("--dir")
        .arg(directory)
        .arg("--unixsocket")
        .arg(&socket)
        .args(flags.iter().map(|flag| if flag == PORT { port.to_string().into() } else { flag.clone() }))
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server must be installed");
    while child.try_wait().unwrap().is_none() {
        if answers(&socket) {
            return Some(child);
        }
        assert!(Instant::now() < deadline, "redis-server does not listen");
        look_again();
    }
    assert!(Instant::now() < deadline, "redis-server ends at once");
    None
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join("redis.sock")
}

/// Whether a server answers a PING, even with an error: one that listens may still fail because of its configuration.
fn answers(socket: &Path) -> bool {
    let mut answer = [0];
    UnixStream::connect(socket)
        .and_then(|mut stream| {
            stream.write_all(b"PING\r\n")?;
            stream.read_exact(&mut answer)
        })
        .is_ok()
}
