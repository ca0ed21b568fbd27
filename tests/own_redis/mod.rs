//! A real redis-server of a test's own: own directory, own unix socket and port, ended by its id with the test.
//!
//! Waits for the line with which the server says that it is ready, so nothing here sleeps or polls.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a server that fails, fails its test"
)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{RedisUrl, Reply, Requests};
use jiggler_uring::internal::store::scripts::{self, Scripts};
use jiggler_uring::internal::wire::Realm;
use tempfile::TempDir;

/// How often another port is tried, should the free one be taken before the server gets it.
const PORT_TRIES_MAX: usize = 20;

/// Ended when dropped.
pub(crate) struct OwnRedis {
    child: Child,
    directory: TempDir,
    port: u16,
}

impl OwnRedis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more configuration, as command line flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut log = String::new();
        for _ in 0..PORT_TRIES_MAX {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = Command::new("redis-server")
                .args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"])
                .arg("--port")
                .arg(port.to_string())
                .arg("--dir")
                .arg(directory.path())
                .arg("--unixsocket")
                .arg(directory.path().join("redis.sock"))
                .args(flags)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("redis-server must be installed");
            log.clear();
            for line in BufReader::new(child.stdout.take().unwrap()).lines() {
                let line = line.unwrap();
                // The line about the unix socket is the last one of the start.
                if line.contains("ready to accept connections at") {
                    return Self { child, directory, port };
                }
                log.push_str(&line);
                log.push('\n');
            }
            // Its output ended: so did it, most likely because another took the port.
            child.wait().unwrap();
        }
        panic!("redis-server ends at once:\n{log}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
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

    /// A server, a connection, and the scripts that its server knows.
    pub(crate) fn with_scripts() -> (Self, BlockingConnection, Scripts) {
        let redis = Self::start();
        let mut conn = redis.connect();
        let mut requests = Requests::new();
        scripts::load(&Realm::SHARED, &mut requests);
        let scripts = Scripts::read(Realm::SHARED, &conn.call(&requests).unwrap()).unwrap();
        (redis, conn, scripts)
    }

    /// Runs one command over a connection of its own.
    pub(crate) fn run(&self, args: &[&[u8]]) -> Reply {
        let mut requests = Requests::new();
        requests.command(args);
        self.connect().call_one(&requests).unwrap()
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        // Nothing to do about either failure: the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
