//! An idle worker costs next to nothing, and starts a new job at once.

use std::time::Duration;

use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Redis, Worker};

/// Long enough to contain a lease renewal and for a loop that spins slowly to show.
const SPAN: Duration = Duration::from_secs(5);

/// What lease, heartbeat and poller may send in that time, however their periods fall within it; a loop that asks ten
/// times a second sends twice as much. The average is for loadgen to measure.
const COMMANDS_MAX: u64 = 25;

/// How much of a processor it may take in that time.
const CPU_SECONDS_MAX: f64 = 0.2;

/// Far below the time for which a waiting connection blocks.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The last connection that is opened at a start, with a command for each script.
fn wait_for_poller(redis: &Redis) {
    wait_until("the poller leads", || redis.text("jiggler:uring:poller").is_some());
}

/// Holds the worker to what it may cost. What is done once after a start and once an hour (hours of the history are put
/// together) may fall into the time that is measured: of two times in a row one has to be within the bounds.
fn assert_idle(redis: &Redis, worker: &Worker) {
    let measure = || {
        let measured = || (redis.info("stats", "total_commands_processed"), worker.cpu_seconds());
        let before = measured();
        measure_over(SPAN);
        let after = measured();
        // One of them is the query itself.
        (after.0 - before.0 - 1, after.1 - before.1)
    };
    let is_idle = |(commands, seconds): &(u64, f64)| *commands < COMMANDS_MAX && *seconds < CPU_SECONDS_MAX;
    let first = measure();
    if !is_idle(&first) {
        let second = measure();
        assert!(
            is_idle(&second),
            "commands and seconds of processor time in {SPAN:?}: {first:?}, {second:?}"
        );
    }
}

fn check_idle(queues: &str, waiters: usize, mode: &str) {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["--cores", "2", "-q", queues, "--mode", mode]);
    wait_until("both shards wait", || redis.waiting() == waiters);
    wait_for_poller(&redis);
    assert_idle(&redis, &worker);
    let last = queues.rsplit(',').next().unwrap();
    redis.push(last, &[r#"{"name":"Noop"}"#]);
    wait_within(AT_ONCE, "the job runs", || (redis.processed() == 1).then_some(()));
    wait_until("both wait again", || redis.waiting() == waiters);
    worker.stop();
}

#[test]
fn an_idle_worker_neither_polls_nor_spins_and_wakes_at_once() {
    check_idle("default", 2, "at-least-once");
}

#[test]
fn an_idle_worker_with_many_queues_neither_polls_nor_spins_and_wakes_at_once() {
    check_idle("a,b,c,d,e", 10, "at-least-once");
}

#[test]
fn an_idle_worker_at_most_once_neither_polls_nor_spins_and_wakes_at_once() {
    check_idle("a,b,c", 2, "at-most-once");
}

#[test]
fn a_worker_whose_slots_are_all_taken_neither_polls_nor_spins() {
    let redis = Redis::start();
    let sleeper = |n: usize| format!(r#"{{"name":"Sleep","args":[60],"jid":"{n}"}}"#);
    redis.push("default", &(0..20).map(sleeper).collect::<Vec<_>>());
    let worker = Worker::start(&redis, &["-c", "3"]);
    wait_until("three run and none waits", || redis.queue("default").len() == 17 && redis.waiting() == 0);
    wait_for_poller(&redis);
    assert_idle(&redis, &worker);
}

#[test]
fn a_quiet_worker_neither_polls_nor_spins() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    let worker = Worker::start(&redis, &["--cores", "2"]);
    wait_until("the job has run", || redis.processed() == 1);
    worker.signal("TSTP");
    wait_until("none waits", || !worker.lines("quiet").is_empty() && redis.waiting() == 0);
    redis.push("default", &[r#"{"name":"Noop"}"#; 100]);
    assert_idle(&redis, &worker);
    assert_eq!(redis.queue("default").len(), 100);
}
