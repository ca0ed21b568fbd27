//! The real binary alone with a real Redis, and in trouble: presumed dead, not allowed to wait, stopping with a job it
//! does not know about.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::own_redis::OwnRedis;
use jiggler_uring::internal::job::Schema;
use jiggler_uring::internal::job::bad::exhume;
use jiggler_uring::internal::limits::PAYLOAD_BYTES_MAX;

/// How long a state may take to be reached on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary with its log, line by line; killed by its id when dropped.
struct Worker {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl Worker {
    fn start(redis: &OwnRedis) -> Self {
        Self::start_with(&redis.url_text(), &[])
    }

    fn start_with(url: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jiggler-uring"))
            .args(["--cores", "1", "--redis-url", url])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Ends with the pipe, or with the test when it stops reading.
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
        Self { child, lines, log: Vec::new() }
    }

    /// Checks `state` after every line of the log, and now and then, until it holds.
    fn until(&mut self, what: &str, mut state: impl FnMut(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !state(&self.log) {
            assert!(Instant::now() < deadline, "not {what}:\n{}", self.log.join("\n"));
            self.log.extend(self.lines.recv_timeout(Duration::from_millis(10)));
        }
    }

    /// Asks it to stop and returns its exit code.
    fn stop(&mut self) -> i32 {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.exit_code()
    }

    /// Waits for the process to end and returns its exit code.
    fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.log.extend(self.lines.recv_timeout(Duration::from_millis(10)));
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            if Instant::now() > deadline {
                panic!("the process keeps running:\n{}", self.log.join("\n"));
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Neither failure matters: the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const JOB: &[u8] = br#"{"name":"Noop","args":[],"jid":"0db89b3e2a1cde66","retries":0}"#;

const QUEUE: &[u8] = b"jiggler:list:default";

/// Whether a connection is waiting in this command.
fn blocks(redis: &OwnRedis, command: &str) -> bool {
    let list = redis.run(&[b"CLIENT", b"LIST"]);
    String::from_utf8_lossy(list.as_bulk().unwrap()).contains(&format!("cmd={command} "))
}

/// The keys that hold a shard's jobs in flight.
fn own_keys(redis: &OwnRedis) -> Vec<Vec<u8>> {
    let keys = redis.run(&[b"KEYS", b"*:inflight:*"]);
    keys.as_array().unwrap().map(|key| key.as_bulk().unwrap().to_vec()).collect()
}

fn processed(redis: &OwnRedis) -> Option<Vec<u8>> {
    let count = redis.run(&[b"GET", b"jiggler:stats:processed_counter"]);
    count.as_nil_or_bulk().unwrap().map(<[u8]>::to_vec)
}

/// An idle shard has no turn whose reply could be lost, so its requests on a new connection ignored fences.
#[test]
fn an_idle_shard_that_lost_its_connection_learns_that_it_is_fenced() {
    let redis = OwnRedis::start();
    let mut worker = Worker::start(&redis);
    worker.until("idle", |_| blocks(&redis, "blmove"));
    let index = own_keys(&redis).remove(0);
    redis.run(&[b"DEL", &index]);
    redis.run(&[b"SET", &index, b"taken over"]);
    redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
    worker.until("a new identity", |log| log.iter().any(|line| line.contains("new identity")));
    redis.run(&[b"LPUSH", QUEUE, JOB]);
    worker.until("processed", |_| processed(&redis).as_deref() == Some(b"1"));
}

#[test]
fn a_shard_that_cannot_wait_in_redis_looks_instead() {
    let flags = ["--user", "worker", "on", ">geheim", "~*", "&*", "+@all"];
    let redis = OwnRedis::start_with(&flags);
    let url = format!("redis://worker:geheim@127.0.0.1:{}/0", redis.port());
    let mut worker = Worker::start_with(&url, &[]);
    worker.until("idle", |_| blocks(&redis, "blmove"));
    // Without this right at the start, the worker would have refused to start.
    redis.run(&[b"ACL", b"SETUSER", b"worker", b"-blmove"]);
    // The first one arrives through the wait already under way, or a fetch. By the second the shard cannot wait.
    for count in [&b"1"[..], b"2", b"3"] {
        redis.run(&[b"LPUSH", QUEUE, JOB]);
        worker.until("processed", |_| processed(&redis).as_deref() == Some(count));
    }
    assert_eq!(worker.stop(), 0);
}

/// A job that a blocking move delivers while its connection breaks is in the wait list, and the shard never saw it.
#[test]
fn a_stop_hands_back_what_is_in_the_wait_list_unseen() {
    let redis = OwnRedis::start();
    let mut worker = Worker::start(&redis);
    worker.until("idle", |_| blocks(&redis, "blmove"));
    let wait_list = [&own_keys(&redis)[0], &b":w"[..]].concat();
    redis.run(&[b"RPUSH", &wait_list, JOB]);
    assert_eq!(worker.stop(), 0);
    assert_eq!(redis.run(&[b"LRANGE", QUEUE, b"0", b"-1"]).as_array().unwrap().len(), 1);
    assert_eq!(own_keys(&redis), Vec::<Vec<u8>>::new());
}

#[test]
fn a_clean_stop_leaves_no_keys_in_either_mode() {
    for (mode, wait) in [("at-least-once", "blmove"), ("at-most-once", "brpop")] {
        let redis = OwnRedis::start();
        let mut worker = Worker::start_with(&redis.url_text(), &["--mode", mode]);
        redis.run(&[b"LPUSH", QUEUE, JOB]);
        worker.until("processed", |_| processed(&redis).as_deref() == Some(b"1"));
        worker.until("idle", |_| blocks(&redis, wait));
        assert_eq!(worker.stop(), 0, "{mode}");
        assert_eq!(own_keys(&redis), Vec::<Vec<u8>>::new(), "{mode}");
    }
}

/// They come in separate turns, so that the second arrives while the first is being buried.
#[test]
fn oversize_payloads_of_equal_size_are_each_buried_once() {
    let redis = OwnRedis::start();
    for fill in [b"a", b"b", b"c", b"d"] {
        redis.run(&[b"LPUSH", QUEUE, &fill.repeat(PAYLOAD_BYTES_MAX + 1)]);
    }
    let mut worker = Worker::start_with(&redis.url_text(), &["--concurrency", "1"]);
    let oversize = |redis: &OwnRedis| own_keys(redis).iter().any(|key| key.ends_with(b":o"));
    let waiting = |redis: &OwnRedis| redis.run(&[b"LLEN", QUEUE]).as_integer().unwrap();
    worker.until("buried", |_| waiting(&redis) == 0 && blocks(&redis, "blmove") && !oversize(&redis));
    assert_eq!(worker.stop(), 0);
    let failures = redis.run(&[b"GET", b"jiggler:stats:failures_counter"]);
    assert_eq!(failures.as_bulk().unwrap(), b"4");
    let mut fills: Vec<u8> = Vec::new();
    for at in [&b"0"[..], b"1", b"2", b"3"] {
        let entry = redis.run(&[b"ZRANGE", b"jiggler:set:dead", at, at]);
        let entry = entry.as_array().unwrap().next().unwrap().as_bulk().unwrap().to_vec();
        fills.push(exhume(Schema::Jiggler, &entry).unwrap()[0]);
    }
    fills.sort_unstable();
    assert_eq!(fills, b"abcd", "one payload was buried twice, another not at all");
}
