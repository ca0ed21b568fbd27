//! A spoilt key, a revoked right, a full memory: what is lost because of it (nothing), and what stops (only what
//! needs that key).

use jiggler_uring::internal::wire::keys::JIGGLER;

use crate::harness::account::lists_in_flight;
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker};

const JOBS: usize = 10;

/// A worker that runs [`JOBS`] jobs that never end.
fn at_work(redis: &Redis, url: &str) -> Worker {
    let jobs: Vec<String> =
        (0..JOBS).map(|n| format!(r#"{{"name":"Sleep","args":[60],"jid":"spoilt-{n}"}}"#)).collect();
    redis.push("default", &jobs);
    let worker = Worker::launch(url, &["-c", "10", "-t", "1"]);
    wait_until("all jobs run", || redis.queue("default").is_empty());
    worker
}

/// Jobs that are in flight.
fn in_flight(redis: &Redis) -> usize {
    lists_in_flight(redis).iter().map(|list| redis.list(&["LRANGE", list, "0", "-1"]).len()).sum()
}

#[test]
fn a_stop_leaves_jobs_in_flight_whose_queue_is_not_a_list_and_says_so() {
    let redis = Redis::start();
    let mut worker = at_work(&redis, &redis.url());
    redis.run(&["SET", "jiggler:list:default", "x"]);
    worker.signal("TERM");
    let status = worker.wait_for_end();
    assert_ne!(status.code(), Some(0), "jobs were left behind");
    assert_eq!(in_flight(&redis), JOBS);
    assert_eq!(redis.integer(&["ZCARD", JIGGLER.names().leases]), 1, "a reaper finds them by the lease");
    let told = worker.lines("jiggler:list:default");
    assert!(told.iter().any(|line| line.contains("ERROR")), "{told:?}");
}

#[test]
fn a_stop_that_may_not_push_leaves_its_jobs_in_flight() {
    let redis = Redis::start();
    redis.run(&["ACL", "SETUSER", "jiggler", "on", ">pw", "~*", "&*", "+@all"]);
    let url = redis.tcp_url().replace("//", "//jiggler:pw@");
    let mut worker = at_work(&redis, &url);
    redis.run(&["ACL", "SETUSER", "jiggler", "-rpush"]);
    worker.signal("TERM");
    let status = worker.wait_for_end();
    assert_ne!(status.code(), Some(0), "jobs were left behind");
    assert_eq!(in_flight(&redis), JOBS);
    assert!(!worker.lines("+rpush").is_empty(), "the right is named");
}

#[test]
fn a_stop_hands_its_jobs_back_though_the_memory_is_full() {
    let redis = Redis::start();
    let mut worker = at_work(&redis, &redis.url());
    redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    worker.stop();
    assert_eq!((in_flight(&redis), redis.queue("default").len()), (0, JOBS));
}

#[test]
fn spoilt_counters_stop_no_job_and_are_caught_up_later() {
    let redis = Redis::start();
    for counter in [JIGGLER.names().processed, JIGGLER.names().failures] {
        redis.run(&["SET", counter, "12.5"]);
    }
    let worker = Worker::start(&redis, &[]);
    redis.push("default", &[r#"{"name":"Noop","jid":"a"}"#, r#"{"name":"Fail","args":["x"],"jid":"b"}"#]);
    wait_until("the failed one is dead", || redis.count(DEAD) == 1);
    wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
    worker.wait_for_line(JIGGLER.names().processed);
    worker.wait_for_line(JIGGLER.names().failures);
    redis.run(&["DEL", JIGGLER.names().processed, JIGGLER.names().failures]);
    wait_until("both are counted", || (redis.processed(), redis.failures()) == (2, 1));
}

#[test]
fn a_spoilt_dead_set_keeps_dead_jobs_waiting_and_nothing_else() {
    let redis = Redis::start();
    redis.run(&["SET", DEAD, "x"]);
    let worker = Worker::start(&redis, &[]);
    redis.push("default", &[r#"{"name":"Fail","args":["x"],"jid":"dies"}"#, "no json"]);
    worker.wait_for_line(DEAD);
    redis.push("default", &[r#"{"name":"Fail","args":["x"],"jid":"retried","retries":3}"#]);
    wait_until("another job waits for its retry", || redis.count(RETRIES) == 1);
    assert_eq!(in_flight(&redis), 2);
    redis.run(&["DEL", DEAD]);
    wait_until("both are dead", || redis.count(DEAD) == 2);
    wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
}

#[test]
fn a_stop_hands_back_what_waits_for_a_spoilt_set() {
    let redis = Redis::start();
    redis.run(&["SET", RETRIES, "x"]);
    let mut worker = Worker::start(&redis, &[]);
    let job = r#"{"name":"Fail","args":["x"],"jid":"a","retries":3}"#;
    redis.push("default", &[job]);
    worker.wait_for_line(RETRIES);
    worker.stop();
    assert_eq!((redis.queue("default"), in_flight(&redis)), (vec![job.to_owned()], 0));
}

#[test]
fn spoilt_leases_and_sets_stop_no_job_and_are_named() {
    let redis = Redis::start();
    redis.run(&["SET", JIGGLER.names().leases, "x"]);
    redis.run(&["SET", JIGGLER.names().scheduled, "x"]);
    let worker = Worker::start(&redis, &[]);
    redis.run(&["ZADD", RETRIES, "1", r#"{"name":"Noop","jid":"due"}"#]);
    redis.push("default", &[r#"{"name":"Noop","jid":"a"}"#]);
    wait_until("a job and a retry have run", || redis.processed() == 2);
    worker.wait_for_line(JIGGLER.names().leases);
    worker.wait_for_line(JIGGLER.names().scheduled);
}
