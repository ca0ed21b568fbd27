//! A real redis-server for one test: own directory, own unix socket and port, ended with the test.
//!
//! Only for tests of this crate's modules; not part of the library.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::resp::{
    blocking::BlockingConnection,
    encode::Requests,
    reply::{Reply, Value},
    url::RedisUrl,
};

/// How long a server may take to listen, and a state to come about, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long to wait before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Ended, by its id, when dropped.
pub(crate) struct TestRedis {
    child: Child,
    directory: TempDir,
    port: u16,
}

impl TestRedis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more configuration, as command line flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The port is free now; should another take it before the server does, the server ends and we try again.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Command::new("redis-server")
                .args([
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    "--bind",
                    "127.0.0.1",
                    "--port",
                    &port.to_string(),
                ])
                .arg("--dir")
                .arg(directory.path())
                .arg("--unixsocket")
                .arg(directory.path().join("redis.sock"))
                .args(flags)
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server must be installed");
            while child.try_wait().unwrap().is_none() {
                if answers(&directory.path().join("redis.sock")) {
                    return Self { child, directory, port };
                }
                assert!(Instant::now() < deadline, "redis-server does not listen");
                thread::sleep(LOOK_AGAIN);
            }
            assert!(Instant::now() < deadline, "redis-server ends at once");
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> RedisUrl {
        RedisUrl::parse(&self.url_text()).unwrap()
    }

    pub(crate) fn url_text(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn connect(&self) -> BlockingConnection {
        BlockingConnection::connect(&self.url()).unwrap()
    }

    /// Runs one command over a connection of its own.
    pub(crate) fn run(&self, args: &[&[u8]]) -> Reply {
        let mut requests = Requests::new();
        requests.command(args);
        self.connect().call_one(&requests).unwrap()
    }

    /// Runs one command that answers with a list of strings.
    pub(crate) fn strings(&self, args: &[&[u8]]) -> Vec<String> {
        let reply = self.run(args);
        let text = |value: Value<'_>| String::from_utf8(value.as_bulk().unwrap().to_vec()).unwrap();
        reply.as_array().unwrap().map(text).collect()
    }
}

/// Whether a server says anything to a PING, an error included: one that listens may still fail over its
/// configuration.
fn answers(socket: &Path) -> bool {
    let mut answer = [0];
    UnixStream::connect(socket)
        .and_then(|mut stream| {
            stream.write_all(b"PING\r\n")?;
            stream.read_exact(&mut answer)
        })
        .is_ok()
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        // Nothing to do about either failure: the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
