//! Real sentinels for one test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{RedisUrl, Reply, Requests, Value};
use tempfile::TempDir;

use super::wait::{wait_for, wait_until};

/// How to speak to sentinels.
#[derive(Default)]
struct Way {
    /// The CA file that vouches for them: they speak only TLS.
    ca_file: Option<String>,
    /// More lines of their configuration, in which [`PORT`] stands for the port.
    lines: Vec<String>,
}

/// The port of a sentinel, which is not known in advance.
const PORT: &str = "{port}";

/// Ended, by their ids, when dropped.
pub(crate) struct Sentinels {
    running: Vec<(Child, u16)>,
    way: Way,
    _directory: TempDir,
}

impl Sentinels {
    /// This many sentinels, of which `quorum` must agree, watch the primary at a port under the name `mymaster`.
    #[track_caller]
    pub(crate) fn watch(primary_port: u16, count: usize, quorum: usize) -> Self {
        Self::watch_with(primary_port, count, quorum, &[])
    }

    /// Like [`Self::watch`], with more lines of configuration.
    #[track_caller]
    pub(crate) fn watch_with(primary_port: u16, count: usize, quorum: usize, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self::watch_by(Way { ca_file: None, lines }, primary_port, count, quorum)
    }

    /// Like [`Self::watch`], with sentinels that speak only TLS, to clients, each other and the servers: with these
    /// server flags, and the CA file that vouches for them.
    #[track_caller]
    pub(crate) fn watch_over_tls(
        flags: &[String],
        ca_file: String,
        primary_port: u16,
        count: usize,
        quorum: usize,
    ) -> Self {
        let mut lines: Vec<String> =
            flags.chunks(2).map(|pair| format!("{} {}", pair[0].trim_start_matches('-'), pair[1])).collect();
        lines.push("tls-replication yes".to_owned());
        Self::watch_by(Way { ca_file: Some(ca_file), lines }, primary_port, count, quorum)
    }

    #[track_caller]
    fn watch_by(way: Way, primary_port: u16, count: usize, quorum: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let start = |number| launch(directory.path(), number, primary_port, quorum, &way);
        let running = (0..count).map(start).collect();
        Self { running, way, _directory: directory }
    }

    /// The url of the primary with this name, listing all of them.
    pub(crate) fn url(&self, primary: &str) -> String {
        let hosts: Vec<String> = self.running.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        let url = format!("redis+sentinel://{}/{primary}", hosts.join(","));
        match &self.way.ca_file {
            Some(ca_file) => format!("{}?ca_file={ca_file}", url.replace("redis+", "rediss+")),
            None => url,
        }
    }

    /// Waits until each of them knows the others and this many replicas: before that they cannot agree on a new
    /// primary.
    #[track_caller]
    pub(crate) fn wait_until_they_know(&self, replicas: usize) {
        let others = self.running.len() - 1;
        for (_, port) in &self.running {
            wait_until("the sentinels know each other and the replicas", || {
                let known = |what: &str| {
                    let reply = ask(*port, &self.way, &["SENTINEL", what, "mymaster"]).unwrap();
                    reply.as_array().unwrap().count()
                };
                known("sentinels") == others && known("replicas") == replicas
            });
        }
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for (child, _) in &mut self.running {
            // Neither failure matters: the process is already gone.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A sentinel that answers, and its port.
#[track_caller]
fn launch(directory: &Path, number: usize, primary_port: u16, quorum: usize, way: &Way) -> (Child, u16) {
    wait_for("a sentinel answers", || {
        // The port is free now; if something else takes it before the sentinel does, the sentinel ends and we try
        // again.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file: PathBuf = directory.join(format!("sentinel-{number}.conf"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n{}\nsentinel monitor mymaster 127.0.0.1 {primary_port} {quorum}\n\
             sentinel down-after-milliseconds mymaster 2500\nsentinel failover-timeout mymaster 10000\n",
            directory.display(),
            way.lines.join("\n").replace(PORT, &port.to_string())
        );
        std::fs::write(&file, text).unwrap();
        let mut child = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server must be installed: {error}"));
        loop {
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            if ask(port, way, &["PING"]).is_some() {
                return Some((child, port));
            }
            super::wait::look_again();
        }
    })
}

/// A reply, even an error: then it answers too. `None` if there is none.
fn ask(port: u16, way: &Way, args: &[&str]) -> Option<Reply> {
    let url = match &way.ca_file {
        Some(ca_file) => format!("rediss://127.0.0.1:{port}?ca_file={ca_file}"),
        None => format!("redis://127.0.0.1:{port}"),
    };
    let url = RedisUrl::parse(&url).unwrap();
    let mut requests = Requests::new();
    requests.command(&args.iter().map(|arg| arg.as_bytes()).collect::<Vec<_>>());
    match BlockingConnection::connect(&url) {
        Ok(mut conn) => conn.call(&requests).ok()?.pop(),
        // It asks for a password, so it is listening.
        Err(jiggler_uring::internal::net::Error::Handshake(_)) => Some(nothing()),
        Err(_) => None,
    }
}

fn nothing() -> Reply {
    let mut decoder = jiggler_uring::internal::resp::decode::Decoder::default();
    decoder.feed(b"$-1\r\n");
    let reply = decoder.next_reply().unwrap().unwrap();
    assert!(matches!(reply.value(), Value::Nil));
    reply
}
