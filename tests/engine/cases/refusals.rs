//! A Redis that answers and refuses, or does not answer at all: each shard logs once which of these it is, consumes again
//! by itself when it is over and says so once; no job is lost, none runs twice, no password is logged (P5).
//!
//! Each state begins while two shards are in the middle of a backlog, and ends once both have logged that Redis is
//! gone and have retried in vain for a while.

use std::time::{Duration, Instant};

use jiggler_uring::internal::limits::{RECONNECT_PAUSE_MAX, TCP_CONNECT_TIMEOUT};
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{RedisUrl, Requests};

use crate::fault_proxy::FaultProxy;
use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file};

/// Enough that the state begins in the middle, however late the test notices that it has begun.
const JOBS: usize = 30_000;

/// How long a state continues after both shards have noticed it: several attempts by each.
const LASTS: Duration = Duration::from_millis(1_200);

/// Consumption must resume this soon after the state is over.
const BACK_WITHIN: Duration = Duration::from_secs(15);

const GONE: &str = "redis is gone";
const ENDS: &str = "redis is back ";

/// A worker on two cores in the middle of a backlog.
struct Drain<'r> {
    redis: &'r Redis,
    worker: Worker,
    /// What was endured.
    cause: Option<&'static str>,
}

impl<'r> Drain<'r> {
    #[track_caller]
    fn begin(redis: &'r Redis, url: &str) -> Self {
        let config = config_file("max_dead_jobs: 1000000\n");
        Account::push(redis, "default", JOBS);
        let args = ["--cores", "2", "-v", "-C", &config.path(), "-q", "default"];
        let worker = Worker::launch(url, &args);
        wait_until("some jobs have run", || redis.processed() > 500);
        let uuid = redis.uuid();
        wait_until("both shards are connected", || {
            (0..2).all(|shard| !redis.clients(&format!("{uuid}:{shard}")).is_empty())
        });
        Self { redis, worker, cause: None }
    }

    /// Waits until both shards have logged this cause, and a while longer.
    #[track_caller]
    fn endure(&mut self, cause: &'static str) {
        wait_until("both shards name the cause", || {
            let said = self.worker.lines(&format!("{cause}; trying again shard="));
            (0..2).all(|shard| said.iter().any(|line| line.contains(&format!("shard={shard} "))))
        });
        self.cause = Some(cause);
        measure_over(LASTS);
    }

    #[track_caller]
    fn assert_goes_on(&self) {
        let left = self.redis.queue("default").len();
        assert!(left > 0, "the drain was over before the state began, which proves nothing");
    }

    /// The state is over: everything runs.
    #[track_caller]
    fn finish(self, secrets: &[&str]) {
        self.assert_goes_on();
        self.run_out(secrets);
    }

    #[track_caller]
    fn run_out(mut self, secrets: &[&str]) {
        let redis = self.redis;
        wait_until("all jobs have run", || redis.processed() == JOBS as u64);
        // The backlog is done; new jobs find shards that wait.
        wait_until("the shards wait for jobs", || redis.waiting() == 2);
        redis.push("default", &[Account::traced(JOBS), Account::traced(JOBS + 1)]);
        wait_until("two more have run", || redis.processed() == JOBS as u64 + 2);
        self.worker.stop();
        Account::of(redis).assert_each_ran_once(JOBS + 2);
        Account::assert_none_ran_twice(&self.worker);
        for shard in ["shard=0", "shard=1"] {
            let of_shard = |text: &str| {
                let mut lines = self.worker.lines(text);
                lines.retain(|line| line.contains(shard));
                lines
            };
            let (begins, ends) = (of_shard("; trying again shard="), of_shard(ENDS));
            // It may first have been gone, when its clients were cut off; then the log names another cause.
            let said = |words: &str| begins.iter().filter(|line| line.contains(words)).count();
            let causes = self.cause.map_or(0, said);
            let expected = (usize::from(self.cause.is_some()), 1);
            assert_eq!((causes, ends.len()), expected, "{begins:?} {ends:?}");
            let gone = if self.cause == Some(GONE) { 0 } else { said(GONE) };
            assert!(gone <= 1 && begins.len() == causes + gone, "{begins:?}");
        }
        for secret in secrets {
            assert_eq!(self.worker.lines(secret), [""; 0], "a password is in the log");
        }
        assert_eq!(self.worker.lines("panic"), [""; 0]);
    }
}

#[test]
fn a_worker_outlives_a_redis_busy_with_a_script() {
    let redis = Redis::start_with(&["--busy-reply-threshold", "50"]);
    let mut drain = Drain::begin(&redis, &redis.url());
    let url = RedisUrl::parse(&redis.tcp_url()).unwrap();
    std::thread::scope(|scope| {
        let hog = scope.spawn(move || {
            let mut requests = Requests::new();
            requests.command(&[b"EVAL", b"while true do end", b"0"]);
            BlockingConnection::connect(&url).unwrap().call_one(&requests).is_err()
        });
        drain.endure("redis cannot serve now");
        redis.run(&["SCRIPT", "KILL"]);
        assert!(hog.join().unwrap(), "the script ended on its own");
    });
    drain.finish(&[]);
}

/// Acks are what free memory, so they must not be refused for lack of it.
#[test]
fn a_redis_without_memory_is_drained_over_new_connections_too() {
    let redis = Redis::start();
    let drain = Drain::begin(&redis, &redis.url());
    redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    drain.assert_goes_on();
    redis.run(&["CLIENT", "KILL", "TYPE", "normal"]);
    // Acks are what free memory, so they must not wait for it.
    wait_until("all jobs have run", || redis.processed() == JOBS as u64);
    redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
    drain.run_out(&[]);
}

#[test]
fn a_worker_outlives_a_redis_that_became_a_read_only_replica() {
    let redis = Redis::start();
    // Nothing listens on port 1, so it keeps its data.
    let mut drain = Drain::begin(&redis, &redis.tcp_url());
    redis.run(&["REPLICAOF", "127.0.0.1", "1"]);
    drain.endure("this redis is not a primary");
    redis.run(&["REPLICAOF", "NO", "ONE"]);
    drain.finish(&[]);
}

#[test]
fn a_worker_outlives_a_redis_that_has_no_room_for_clients() {
    let redis = Redis::start();
    let mut drain = Drain::begin(&redis, &redis.url());
    redis.run(&["CONFIG", "SET", "maxclients", "1"]);
    redis.run(&["CLIENT", "KILL", "TYPE", "normal"]);
    drain.endure("redis accepts no more connections");
    redis.run(&["CONFIG", "SET", "maxclients", "10000"]);
    drain.finish(&[]);
}

#[test]
fn a_worker_outlives_a_password_that_changed_for_a_while_and_never_logs_it() {
    let redis = Redis::start_with_password("the-first-secret");
    let url = redis.tcp_url().replace("redis://", "redis://:the-first-secret@");
    let mut drain = Drain::begin(&redis, &url);
    redis.run(&["CONFIG", "SET", "requirepass", "the-second-secret"]);
    redis.run(&["CLIENT", "KILL", "TYPE", "normal"]);
    drain.endure("redis refuses this worker's password");
    redis.run(&["CONFIG", "SET", "requirepass", "the-first-secret"]);
    drain.finish(&["the-first-secret", "the-second-secret"]);
}

#[test]
fn a_worker_outlives_a_redis_stopped_for_longer_than_a_call_may_take() {
    let redis = Redis::start();
    let mut drain = Drain::begin(&redis, &redis.url());
    let signal = |name: &str| {
        let order = format!("kill -s {name} {}", redis.pid());
        assert!(std::process::Command::new("sh").args(["-c", &order]).status().unwrap().success());
    };
    let stopped = Instant::now();
    signal("STOP");
    drain.endure(GONE);
    assert!(stopped.elapsed() >= jiggler_uring::internal::limits::CALL_TIMEOUT);
    signal("CONT");
    drain.finish(&[]);
}

/// Neither refused nor closed: nothing answers at all, as when the host is gone.
#[test]
fn a_worker_outlives_an_address_that_swallows_every_attempt_to_connect() {
    let redis = Redis::start();
    let address = FaultProxy::start(&redis.socket(), true, 1);
    let mut drain = Drain::begin(&redis, address.url());
    address.swallow();
    drain.endure(GONE);
    // By then each shard has given up two attempts, where the kernel would be in the middle of its first.
    measure_over(2 * (TCP_CONNECT_TIMEOUT + RECONNECT_PAUSE_MAX));
    drain.assert_goes_on();
    let before = redis.processed();
    address.clear();
    wait_within(BACK_WITHIN, "jobs run again", || (redis.processed() > before).then_some(()));
    for line in drain.worker.lines(ENDS) {
        let attempts: u64 = line.rsplit("attempts=").next().unwrap().parse().unwrap();
        assert!(attempts >= 3, "{line}");
    }
    drain.run_out(&[]);
}
