//! The private Redis of a worker that was given none: when it is killed, the worker that started it restarts it, once, with
//! all its data; other workers that use it find it; and a stop in between ends like any other.
//!
//! A worker uses the server at the usual local port if there is one. So where something listens there, these workers run
//! in a separate network, in which nothing does.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{RedisUrl, Requests};

use crate::harness::Worker;
use crate::harness::wait::{wait_for, wait_until, wait_within};

/// Consumption must resume this soon after the server was killed: one pause, one start, one attempt to connect.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// Far above what a stop with a timeout of 1 s takes.
const SOON: Duration = Duration::from_secs(8);

/// A home in which workers find, or create, a private Redis.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn work(&self) -> Worker {
        let program = env!("CARGO_BIN_EXE_jiggler-uring");
        let is_taken = TcpStream::connect("127.0.0.1:6379").is_ok();
        let mut command = Command::new(if is_taken { "unshare" } else { program });
        if is_taken {
            command.args(["-rn", program]);
        }
        command.args(["--cores", "1", "-t", "1"]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("XDG_STATE_HOME", self.0.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let worker = Worker::spawn(&mut command);
        worker.wait_for_line(" working ");
        worker
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("jiggler-uring/redis.sock")
    }

    /// Runs a command at the server, if it answers.
    fn try_run(&self, command: &[&str]) -> Option<String> {
        let url = RedisUrl::parse(&format!("unix://{}", self.socket().display())).unwrap();
        let mut requests = Requests::new();
        requests.command(&command.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        let reply = BlockingConnection::connect(&url).ok()?.call_one(&requests).ok()?;
        reply.as_nil_or_bulk().ok()?.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn pid(&self) -> u32 {
        wait_for("the server reports its process", || {
            let info = self.try_run(&["INFO", "server"])?;
            info.lines().find_map(|line| line.strip_prefix("process_id:"))?.trim().parse().ok()
        })
    }

    fn push(&self, payload: &str) {
        let url = RedisUrl::parse(&format!("unix://{}", self.socket().display())).unwrap();
        let mut requests = Requests::new();
        requests.command(&[b"LPUSH", b"jiggler:list:default", payload.as_bytes()]);
        BlockingConnection::connect(&url).unwrap().call_one(&requests).unwrap();
    }

    fn processed(&self) -> u64 {
        let count = self.try_run(&["GET", "jiggler:stats:processed_counter"]);
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

fn kill(pid: u32) {
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap().success());
}

#[test]
fn a_private_redis_that_is_killed_is_restarted_by_its_worker_with_its_jobs() {
    let home = Home::new();
    let mut owner = home.work();
    let mut other = home.work();
    assert_eq!(
        (owner.lines("started a private one").len(), other.lines("joined a private one").len()),
        (1, 1)
    );
    home.push(r#"{"name":"Noop","jid":"before"}"#);
    wait_until("a job runs", || home.processed() == 1);
    home.push(r#"{"name":"Sleep","args":[2],"jid":"through it"}"#);
    wait_until("it runs", || home.try_run(&["LINDEX", "jiggler:list:default", "0"]).is_none());
    // While the disk is slow, redis keeps back what is to go to its file, for up to 2 s.
    wait_until("its file has it", || {
        home.try_run(&["INFO", "persistence"]).is_some_and(|info| info.contains("aof_buffer_length:0\r"))
    });
    let killed = home.pid();
    kill(killed);
    owner.wait_for_line("the private redis runs again");
    wait_within(BACK_WITHIN, "the job that ran meanwhile is acked", || (home.processed() == 2).then_some(()));
    assert_ne!(home.pid(), killed);
    home.push(r#"{"name":"Noop","jid":"after"}"#);
    wait_within(BACK_WITHIN, "a job runs again", || (home.processed() == 3).then_some(()));
    owner.signal("TSTP");
    owner.wait_for_line("quiet");
    home.push(r#"{"name":"Noop","jid":"by the other"}"#);
    wait_within(BACK_WITHIN, "the other works too", || (home.processed() == 4).then_some(()));
    let said = |text: &str| (owner.lines(text).len(), other.lines(text).len());
    assert_eq!(said("the private redis has ended"), (1, 0));
    assert_eq!(said("the private redis runs again"), (1, 0));
    owner.stop();
    assert!(
        home.try_run(&["GET", "x"]).is_none() && UnixStream::connect(home.socket()).is_ok(),
        "the other uses it"
    );
    other.stop();
    assert!(UnixStream::connect(home.socket()).is_err(), "the last one ends it");
}

#[test]
fn a_stop_while_the_private_redis_is_dead_ends_soon_and_leaves_none_running() {
    let home = Home::new();
    let mut worker = home.work();
    home.push(r#"{"name":"Sleep","args":[60],"jid":"runs"}"#);
    wait_until("it runs", || home.try_run(&["LINDEX", "jiggler:list:default", "0"]).is_none());
    kill(home.pid());
    worker.wait_for_line("the private redis has ended");
    let asked = Instant::now();
    worker.signal("TERM");
    worker.wait_for_end();
    assert!(asked.elapsed() < SOON, "it took {:?}", asked.elapsed());
    wait_until("none is left", || UnixStream::connect(home.socket()).is_err());
    // What it left is there for the next one.
    let mut next = home.work();
    assert_eq!(next.lines("started a private one").len(), 1);
    let left = home.try_run(&["LINDEX", "jiggler:list:default", "0"]);
    let in_flight = next.lines(" working ").len() == 1 && left.is_none();
    assert!(left.is_some_and(|job| job.contains("runs")) || in_flight);
    next.stop();
}

#[test]
fn a_private_redis_that_keeps_dying_is_restarted_after_longer_pauses() {
    let home = Home::new();
    let mut worker = home.work();
    let mut took = Vec::new();
    for round in 1..=3 {
        kill(home.pid());
        let killed = Instant::now();
        wait_until("it runs again", || worker.lines("the private redis runs again").len() == round);
        took.push(killed.elapsed());
    }
    assert!(took[2] >= Duration::from_millis(400), "the third pause is four times the first: {took:?}");
    home.push(r#"{"name":"Noop"}"#);
    wait_within(BACK_WITHIN, "a job runs", || (home.processed() == 1).then_some(()));
    worker.stop();
}
