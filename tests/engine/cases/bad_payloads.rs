//! What happens to bytes that are not a job: the dead set keeps them, exactly, in an entry the gem's page can parse;
//! the jobs around them run, and nothing spins.

use std::time::Duration;

use jiggler_uring::internal::job::Schema;
use jiggler_uring::internal::job::bad::exhume;
use jiggler_uring::internal::limits::{PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX};

use crate::harness::account::lists_in_flight;
use crate::harness::redis::DEAD;
use crate::harness::wait::{measure_over, wait_until};
use crate::harness::{Redis, Worker, json};

/// Every kind of payload that is not a job.
fn bad_payloads() -> Vec<Vec<u8>> {
    let deep = |levels: usize| {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"name":"Noop","args":{open}{close}}}"#).into_bytes()
    };
    vec![
        b"".to_vec(),
        b"this is not json".to_vec(),
        b"{".to_vec(),
        b"{\"name\":\"Noop\"} and more".to_vec(),
        b"[1,2]".to_vec(),
        b"\"Noop\"".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        b"{\"args\":[]}".to_vec(),
        b"{\"name\":7,\"args\":[]}".to_vec(),
        b"{\"name\":null}".to_vec(),
        b"{\"name\":\"Noop\",\"args\":{}}".to_vec(),
        b"{\"name\":\"Noop\",\"args\":\"x\"}".to_vec(),
        b"{\"name\":\"Noop\xff\xfe\",\"args\":[]}".to_vec(),
        b"\xef\xbb\xbf{\"name\":\"Noop\",\"args\":[]}".to_vec(),
        b"\0\0\0".to_vec(),
        b"{\"name\":\"No\0op\"}".to_vec(),
        b"\x04\x08o:\x0bSymbol\r\n$-1\r\n*3".to_vec(),
        deep(PAYLOAD_DEPTH_MAX),
        deep(50_000),
    ]
}

/// The bytes that the dead set's entries carry, sorted; each entry must be a dead job the gem's page can show.
#[track_caller]
fn exhumed(redis: &Redis) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (entry, score) in redis.set(DEAD) {
        let job = json(&entry);
        assert_eq!(
            (job["name"].as_str(), job["args"].as_array().map(Vec::len)),
            (Some("InvalidPayload"), Some(0))
        );
        assert_eq!(job["error_class"], "JigglerUring::BadPayload");
        assert!(!job["error_message"].as_str().unwrap().is_empty());
        assert_eq!(job["started_at"].as_f64(), Some(score));
        found.push(exhume(Schema::Jiggler, entry.as_bytes()).unwrap());
    }
    found.sort_unstable();
    found
}

fn check_bad_payloads(mode: &str) {
    let redis = Redis::start();
    let mut bad = bad_payloads();
    let mut mixed = Vec::new();
    for (number, payload) in bad.iter().enumerate() {
        mixed.push(format!(r#"{{"name":"Noop","args":[],"jid":"{number}"}}"#).into_bytes());
        mixed.push(payload.clone());
    }
    redis.push("default", &mixed);
    let mut worker = Worker::start(&redis, &["--mode", mode]);
    wait_until("all are settled", || {
        redis.processed() == bad.len() as u64 && redis.failures() == bad.len() as u64
    });
    // One that comes while the worker waits in Redis arrives by another path.
    wait_until("the worker waits", || redis.waiting() == 1);
    redis.push("default", &["late and bad"]);
    bad.push(b"late and bad".to_vec());
    redis.push("default", &[r#"{"name":"Noop","jid":"last"}"#]);
    wait_until("these two are settled", || (redis.processed(), redis.failures()) == (21, 21));
    bad.sort_unstable();
    assert_eq!(exhumed(&redis), bad);
    worker.stop();
    assert_eq!(worker.lines("a payload is not a job").len(), bad.len(), "each is logged once");
    assert_eq!((redis.job_keys(), worker.lines("panic").len()), (Vec::new(), 0));
}

#[test]
fn bytes_that_are_not_a_job_die_with_their_exact_bytes_and_the_jobs_around_them_run() {
    check_bad_payloads("at-least-once");
}

#[test]
fn bytes_that_are_not_a_job_die_with_their_exact_bytes_at_most_once_too() {
    check_bad_payloads("at-most-once");
}

#[test]
fn a_payload_above_the_size_limit_dies_with_its_exact_bytes_and_one_at_the_limit_runs() {
    let redis = Redis::start();
    let sized = |bytes: usize| {
        let frame = r#"{"name":"Noop","args":[""],"jid":"big"}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - frame.len())))
    };
    let (fits, too_large) = (sized(PAYLOAD_BYTES_MAX), sized(PAYLOAD_BYTES_MAX + 1));
    redis.push("default", &[r#"{"name":"Noop"}"#, &too_large, &fits, r#"{"name":"Noop"}"#]);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("all are settled", || (redis.processed(), redis.failures()) == (3, 1));
    wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
    let entry = redis.list(&["ZRANGE", DEAD, "0", "-1"]).remove(0);
    assert!(exhume(Schema::Jiggler, &entry).unwrap() == too_large.as_bytes(), "other bytes came back");
    let message = json(&entry)["error_message"].as_str().unwrap().to_owned();
    assert!(message.contains(&PAYLOAD_BYTES_MAX.to_string()), "{message}");
    assert_eq!(worker.lines("a payload is not a job").len(), 1);
    worker.stop();
    assert_eq!(redis.job_keys(), [""; 0]);
}

#[test]
fn payloads_above_the_size_limit_just_before_a_stop_are_not_left_behind() {
    let redis = Redis::start();
    let too_large = "x".repeat(PAYLOAD_BYTES_MAX + 1);
    redis.push("default", &[&too_large, &too_large, &too_large]);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("they are fetched", || redis.queue("default").is_empty());
    worker.stop();
    // Wherever they are, someone will find them.
    let orphans = lists_in_flight(&redis);
    let (queued, dead) = (redis.queue("default").len(), usize::try_from(redis.count(DEAD)).unwrap());
    assert_eq!((queued + dead, orphans), (3, Vec::new()));
}

/// A worker with several queues, one of which is not a list.
fn check_wrong_type(mode: &str) {
    let redis = Redis::start();
    redis.run(&["SET", "jiggler:list:broken", "not a list"]);
    redis.push("first", &[r#"{"name":"Noop"}"#]);
    redis.push("last", &[r#"{"name":"Noop"}"#]);
    let mut worker = Worker::start(&redis, &["-q", "first:2,broken:1,last:0", "--mode", mode]);
    wait_until("both are processed", || redis.processed() == 2);
    // Idle now, it still serves the others.
    for (round, queue) in ["last", "first", "last"].into_iter().enumerate() {
        redis.push(queue, &[r#"{"name":"Noop"}"#]);
        wait_until("a job in another queue runs", || redis.processed() == 3 + round as u64);
    }
    let before = (redis.info("stats", "total_commands_processed"), worker.cpu_seconds());
    measure_over(Duration::from_secs(2));
    let after = (redis.info("stats", "total_commands_processed"), worker.cpu_seconds());
    // Each attempt is a turn: a script of about ten commands, and one for the list of each queue.
    assert!(after.0 - before.0 < 80, "{} commands in 2 s: the worker spins", after.0 - before.0);
    assert!(after.1 - before.1 < 0.2, "{} s of processor time in 2 s: the worker spins", after.1 - before.1);
    assert_eq!(worker.lines("this queue cannot be read").len(), 1);
    worker.stop();
    assert_eq!(redis.text("jiggler:list:broken").as_deref(), Some("not a list"));
}

#[test]
fn a_queue_whose_key_is_not_a_list_does_not_stop_the_others_nor_spin() {
    check_wrong_type("at-least-once");
}

#[test]
fn a_queue_whose_key_is_not_a_list_does_not_stop_the_others_at_most_once_either() {
    check_wrong_type("at-most-once");
}
