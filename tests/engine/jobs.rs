//! What becomes of a job that runs: gone, retry set or dead set, written as the gem writes it; and counted.

use serde_json::{Value, json as value};

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, json};

/// The names of a payload's members, in the order of its text.
#[track_caller]
fn members(payload: &str) -> Vec<String> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(payload).unwrap();
    let mut names: Vec<String> = object.keys().cloned().collect();
    names.sort_by_key(|name| payload.find(&format!("\"{name}\":")));
    names
}

#[test]
fn every_built_in_job_runs_and_a_stopped_worker_leaves_nothing_behind() {
    let redis = Redis::start();
    let jobs = [
        r#"{"name":"Noop","args":[],"jid":"1"}"#,
        r#"{"name":"Noop","args":[1,"two",null],"jid":"2"}"#,
        r#"{"name":"Sleep","args":[0.01],"jid":"3"}"#,
        r#"{"name":"Fib","args":[15],"jid":"4"}"#,
        r#"{"name":"Fail","args":["on purpose"],"jid":"5"}"#,
        r#"{"name":"Fail","args":["on purpose"],"jid":"6","retries":1}"#,
    ];
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("all jobs are processed", || redis.processed() == 6);
    assert_eq!(redis.failures(), 2);
    assert_eq!((redis.count(DEAD), redis.count(RETRIES)), (1, 1));
    worker.stop();
    // No queue, nothing in flight, no index, heartbeat, figures or lease.
    let left = [DEAD, RETRIES, "jiggler:stats:failures_counter", "jiggler:stats:processed_counter"];
    let mut keys = redis.keys("*");
    // What became of the jobs is kept for 72 hours, and the queues that it served stay known.
    keys.retain(|key| !key.starts_with("jiggler:uring:history:") && key != "jiggler:uring:queues");
    assert_eq!(keys, left);
    assert_eq!((redis.processed(), redis.failures()), (6, 2));
}

#[test]
fn a_failed_job_with_retries_waits_in_the_retry_set_as_the_gem_writes_it() {
    let redis = Redis::start();
    redis.push(
        "mail",
        &[r#"{"name":"Fail","args":["boom «é» \"quoted\""],"retries":2,"jid":"4c33ba07cc275b66"}"#],
    );
    let mut worker = Worker::start(&redis, &["-q", "mail"]);
    wait_until("the job is in the retry set", || redis.count(RETRIES) == 1);
    let (payload, score) = redis.set(RETRIES).remove(0);
    let names = [
        "name",
        "args",
        "retries",
        "jid",
        "started_at",
        "error_message",
        "error_class",
        "retry_at",
        "attempt",
        "queue",
    ];
    assert_eq!(members(&payload), names);
    let job = json(&payload);
    assert_eq!(job["error_message"], "boom «é» \"quoted\"");
    assert_eq!(job["error_class"], "JobFailed");
    assert_eq!((&job["attempt"], &job["queue"], &job["retries"]), (&value!(1), &value!("mail"), &value!(2)));
    assert_eq!(job["retry_at"].as_f64(), Some(score));
    let pause = score - job["started_at"].as_f64().unwrap();
    // The pause is the gem's shortest; jitter adds at most a tenth.
    assert!((15.99..=17.61).contains(&pause), "the first retry comes after {pause} s");
    worker.stop();
    assert_eq!(redis.count(RETRIES), 1);
}

#[test]
fn a_retry_that_fails_is_scheduled_again_and_keeps_unknown_fields() {
    let redis = Redis::start();
    let job = r#"{"name":"Fail","args":["again"],"retries":2,"jid":"j","x":{"y":[1.0e+21]},"started_at":5.5,"error_message":"m","error_class":"E","retry_at":21.5,"attempt":1,"queue":"default"}"#;
    redis.push("default", &[job]);
    let worker = Worker::start(&redis, &[]);
    wait_until("the job is in the retry set", || redis.count(RETRIES) == 1);
    let (payload, score) = redis.set(RETRIES).remove(0);
    assert!(payload.starts_with(
        r#"{"name":"Fail","args":["again"],"retries":2,"jid":"j","x":{"y":[1.0e+21]},"started_at":5.5,"#
    ));
    let job = json(&payload);
    assert_eq!((&job["attempt"], &job["error_message"]), (&value!(2), &value!("again")));
    let pause = score - job["retried_at"].as_f64().unwrap();
    assert!((30.99..=34.11).contains(&pause), "the second retry comes after {pause} s");
    assert_eq!((worker.lines("panic").len(), redis.failures()), (0, 1));
}

#[test]
fn a_failed_job_without_retries_dies_as_the_gem_writes_it() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Fail","args":["boom"],"retries":0,"jid":"d"}"#]);
    let _worker = Worker::start(&redis, &[]);
    wait_until("the job is in the dead set", || redis.count(DEAD) == 1);
    let (payload, score) = redis.set(DEAD).remove(0);
    assert_eq!(
        members(&payload),
        ["name", "args", "retries", "jid", "started_at", "error_message", "error_class", "queue"]
    );
    assert_eq!(json(&payload)["started_at"].as_f64(), Some(score));
    assert_eq!((redis.processed(), redis.failures()), (1, 1));
}

#[test]
fn an_unknown_job_is_retried_if_it_has_retries_and_dies_otherwise() {
    let redis = Redis::start();
    let jobs = [
        r#"{"name":"NotYetDeployed","args":[],"retries":3,"jid":"r"}"#,
        r#"{"name":"Misspelt","args":[],"jid":"d"}"#,
    ];
    redis.push("default", &jobs);
    let _worker = Worker::start(&redis, &["--unknown", "fail"]);
    wait_until("both are settled", || redis.failures() == 2);
    let (retried, dead) = (json(&redis.set(RETRIES)[0].0), json(&redis.set(DEAD)[0].0));
    assert_eq!((&retried["jid"], &dead["jid"]), (&value!("r"), &value!("d")));
    assert_eq!(retried["error_class"], "JigglerUring::UnknownJob");
    assert_eq!(dead["error_message"], "no handler is registered for job Misspelt");
    assert_eq!(redis.processed(), 2);
}

#[test]
fn a_bad_argument_is_a_failure_that_names_it() {
    let redis = Redis::start();
    redis
        .push("default", &[r#"{"name":"Sleep","args":["long"],"jid":"t"}"#, r#"{"name":"Sleep","jid":"m"}"#]);
    let _worker = Worker::start(&redis, &[]);
    wait_until("both are dead", || redis.count(DEAD) == 2);
    for (payload, _) in redis.set(DEAD) {
        let job = json(&payload);
        assert_eq!(job["error_class"], "JigglerUring::BadArguments", "{payload}");
        assert!(job["error_message"].as_str().unwrap().starts_with("Sleep: argument 1"), "{payload}");
    }
}

#[test]
fn two_jobs_of_equal_bytes_are_two_jobs() {
    let redis = Redis::start();
    let job = r#"{"name":"Sleep","args":[0.05],"jid":"same"}"#;
    redis.push("default", &[job; 7]);
    let mut worker = Worker::start(&redis, &["-c", "3"]);
    wait_until("all have run", || redis.processed() == 7);
    worker.stop();
    assert_eq!((redis.processed(), redis.failures()), (7, 0));
    assert_eq!(redis.job_keys(), [""; 0]);
}
