//! A process that was taken for dead says so and ends, however it learns of it: the real binary against a real Redis.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: what fails, fails it")]

mod own_redis;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use own_redis::OwnRedis;

/// How long a state may take to come about on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, its log line by line; killed by its id when dropped.
struct Worker {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl Worker {
    fn start(redis: &OwnRedis) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jiggler-uring"))
            .args(["--cores", "1", "--redis-url", &redis.url_text()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Ends with the pipe, or with the test that no longer listens.
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
        Self { child, lines, log: Vec::new() }
    }

    /// Looks at `state` with every line of the log, and now and then, until it is there.
    fn until(&mut self, what: &str, mut state: impl FnMut(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !state(&self.log) {
            assert!(Instant::now() < deadline, "not {what}:\n{}", self.log.join("\n"));
            self.log.extend(self.lines.recv_timeout(Duration::from_millis(10)));
        }
    }

    /// Waits for the end of the process: its exit code.
    fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.log.extend(self.lines.recv_timeout(Duration::from_millis(10)));
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            if Instant::now() > deadline {
                panic!("the process goes on:\n{}", self.log.join("\n"));
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Nothing to do about either failure: the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An idle shard has no turn whose reply could be lost, so nothing of what it asks on a new connection mentioned the fence.
#[test]
fn an_idle_shard_that_lost_its_connection_learns_that_it_is_fenced() {
    let redis = OwnRedis::start();
    let mut worker = Worker::start(&redis);
    let blocked = || {
        let list = redis.run(&[b"CLIENT", b"LIST"]);
        String::from_utf8_lossy(list.as_bulk().unwrap()).contains("cmd=blmove")
    };
    worker.until("idle", |_| blocked());
    let index = redis.run(&[b"KEYS", b"*:inflight:*"]);
    let index = index.as_array().unwrap().next().unwrap().as_bulk().unwrap().to_vec();
    redis.run(&[b"DEL", &index]);
    redis.run(&[b"SET", &index, b"taken over"]);
    redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
    assert_ne!(worker.exit_code(), 0);
    assert!(worker.log.iter().any(|line| line.contains("believed dead")), "{}", worker.log.join("\n"));
}
