//! What became of jobs is known after their process has ended, and what is kept by whom does not matter.

use std::time::Duration;

use serde_json::Value;

use crate::harness::redis::DEAD;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, json, output_of};

/// What the command shows.
#[track_caller]
fn history(redis: &Redis, args: &[&str]) -> Value {
    let output = output_of(&[&["history", "--json", "--redis-url", &redis.url()], args].concat());
    assert!(output.status.success(), "{output:?}");
    json(&output.stdout)
}

/// How many jobs ended so, in all that is shown.
fn count(shown: &Value, class: &str, outcome: &str) -> u64 {
    let slices = shown["slices"].as_array().unwrap().iter();
    let rows = slices.flat_map(|slice| slice["rows"].as_array().unwrap());
    rows.filter(|row| row["class"] == class).filter_map(|row| row["outcomes"][outcome].as_u64()).sum()
}

#[test]
fn jobs_of_processes_that_have_ended_are_shown_by_queue_class_and_outcome() {
    let redis = Redis::start();
    let mut workers: Vec<Worker> =
        (0..2).map(|_| Worker::start(&redis, &["-q", "default,slow", "--cores", "2"])).collect();
    for _ in 0..60 {
        redis.push("default", &[r#"{"name":"Noop"}"#]);
    }
    redis.push("slow", &[r#"{"name":"Sleep","args":[0.05]}"#, r#"{"name":"Fail"}"#]);
    redis.push("default", &[r#"{"name":"Fail","retries":3}"#]);
    wait_until("all have run", || redis.processed() == 63 && redis.count(DEAD) == 1);
    workers.iter_mut().for_each(Worker::stop);
    for by in ["minute", "hour", "day"] {
        let shown = history(&redis, &["--by", by]);
        assert_eq!(count(&shown, "Noop", "done"), 60, "{by}: {shown}");
        assert_eq!((count(&shown, "Fail", "retried"), count(&shown, "Fail", "dead")), (1, 1), "{by}");
        assert_eq!(count(&shown, "Sleep", "done"), 1, "{by}");
    }
    let slow = history(&redis, &["--queue", "slow", "--since", "1h"]);
    assert_eq!((count(&slow, "Noop", "done"), count(&slow, "Fail", "dead")), (0, 1));
    assert_eq!(count(&history(&redis, &["--name", "No*"]), "Noop", "done"), 60);
    // As it was called before.
    let sleep = history(&redis, &["--class", "Sleep"]);
    let p50 = sleep["slices"][0]["total"]["run"]["p50"].as_f64().unwrap();
    assert!(p50 > 0.03, "{sleep}");
    let text = output_of(&["history", "--redis-url", &redis.url()]).stdout;
    assert!(String::from_utf8(text).unwrap().contains('█'));
}

/// The shards are asked while they run, too: here a minute ends.
#[test]
fn what_waits_and_what_ran_is_written_each_minute() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["-c", "1"]);
    redis.push("default", &[r#"{"name":"Noop"}"#, r#"{"name":"Sleep","args":[600]}"#]);
    wait_until("both were taken", || redis.processed() == 1 && redis.queue("default").is_empty());
    redis.push("default", &[r#"{"name":"Noop"}"#, r#"{"name":"Noop"}"#]);
    wait_within(Duration::from_secs(90), "the minute is written", || {
        (count(&history(&redis, &["--since", "10m"]), "Noop", "done") == 1).then_some(())
    });
    let shown = history(&redis, &["--since", "10m"]);
    let depths: Vec<u64> = shown["slices"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|slice| slice["depths"]["default"].as_u64())
        .collect();
    assert!(depths.contains(&2), "{shown}");
    worker.kill();
    // The minutes of a process that was killed are there.
    assert_eq!(count(&history(&redis, &[]), "Noop", "done"), 1);
}
