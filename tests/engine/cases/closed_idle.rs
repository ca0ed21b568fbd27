//! Connections closed for being idle, by Redis's `timeout` or by a load balancer's rule: new ones are opened when needed,
//! no job waits, no outage is counted, and the log mentions it in one line without alarm.

use std::time::Duration;

use jiggler_uring::internal::limits::{IDLE_MIN, LEASE_RENEWAL};

use crate::fault_proxy::FaultProxy;
use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Redis, Worker};

/// Far below the time for which a waiting connection blocks.
const AT_ONCE: Duration = Duration::from_secs(10);

const JOB: &str = r#"{"name":"Noop"}"#;

/// Nothing was lost, and only one line was logged. What the worker reports about itself agrees.
#[track_caller]
fn assert_no_outage(worker: &Worker) {
    worker.signal("USR1");
    worker.wait_for_line("health phase=");
    let health = worker.lines("health phase=");
    assert!(
        health[0].contains(r#"health="ok" heartbeat="ok""#) && health[0].contains("disconnects=0"),
        "{health:?}"
    );
    for text in ["ERROR", "WARN", "redis is gone", "redis is back", "connected to redis again"] {
        assert_eq!(worker.lines(text), [""; 0]);
    }
}

#[test]
fn a_server_that_closes_idle_connections_by_rule_is_not_an_outage_and_keeps_no_job_waiting() {
    let redis = Redis::start_with(&["--timeout", "2"]);
    let mut worker = Worker::start(&redis, &["-q", "a,b"]);
    wait_until("it waits", || redis.waiting() == 2);
    let of_shard = format!("name=jiggler-uring:{}:0 ", redis.uuid());
    for (round, queue) in ["a", "b", "a"].into_iter().enumerate() {
        wait_until("the shard's own connection is closed", || redis.clients(&of_shard).is_empty());
        redis.push(queue, &[JOB]);
        wait_within(AT_ONCE, "the job runs", || (redis.processed() == round as u64 + 1).then_some(()));
        wait_until("it waits again", || redis.waiting() == 2);
    }
    worker.wait_for_line("were closed while idle");
    assert_eq!(worker.lines("were closed while idle").len(), 1);
    assert_no_outage(&worker);
    redis.forget_connection();
    wait_until("the shard's own connection is closed", || redis.clients(&of_shard).is_empty());
    worker.stop();
    redis.forget_connection();
    assert_eq!(redis.job_keys(), [""; 0]);
}

/// A balancer makes no distinction: connections that wait in Redis for a job and the one that listens are closed too.
#[test]
fn a_balancer_that_closes_all_idle_connections_at_once_is_not_an_outage() {
    let redis = Redis::start();
    let balancer = FaultProxy::start(&redis.socket(), true, 1);
    let mut worker = Worker::launch(balancer.url(), &["--cores", "2", "-q", "a,b"]);
    worker.wait_for_line(" working ");
    wait_until("it waits", || redis.waiting() == 4);
    let lease = || redis.set("jiggler:uring:leases")[0].1;
    for round in 0..2 {
        let before = lease();
        wait_until("the lease is renewed", || lease() > before);
        // From here to the next renewal nothing is sent.
        measure_over(IDLE_MIN + (LEASE_RENEWAL - IDLE_MIN) / 4);
        balancer.cut();
        redis.push("b", &[JOB]);
        wait_within(AT_ONCE, "the job runs", || (redis.processed() == round + 1).then_some(()));
        wait_until("it waits again", || redis.waiting() == 4);
    }
    assert_no_outage(&worker);
    worker.stop();
    assert_eq!(redis.job_keys(), [""; 0]);
}

/// The same check still finds that Redis is gone.
#[test]
fn a_redis_that_dies_while_all_is_idle_is_an_outage() {
    let mut redis = Redis::start_durable();
    let mut worker = Worker::start(&redis, &[]);
    wait_until("it waits", || redis.waiting() == 1);
    measure_over(2 * IDLE_MIN);
    redis.kill();
    worker.wait_for_line("redis is gone; trying again shard=0");
    redis.start_again();
    redis.push("default", &[JOB]);
    wait_until("the job runs", || redis.processed() == 1);
    worker.wait_for_line("redis is back shard=0");
    worker.stop();
    assert_eq!(worker.lines("were closed while idle"), [""; 0]);
}
