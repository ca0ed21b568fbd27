//! A host whose clock is wrong, or is set while we run: no time that goes to Redis is its own.
//!
//! The processes are real and their clock is really off: libfaketime answers their questions for the time (Debian's package
//! `faketime`; `make deps` installs it).

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::harness::redis::{DEAD, RETRIES, SCHEDULED};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, command, output_of, with_args};

/// What is between two looks at one moment may differ by so much on a loaded machine, in seconds.
const SLACK: f64 = 10.0;

/// What answers for the clock: the library that the command `faketime` loads.
fn library() -> PathBuf {
    let places =
        std::fs::read_dir("/usr/lib").unwrap().chain(std::fs::read_dir("/usr/lib64").into_iter().flatten());
    let libraries = places.map(|place| place.unwrap().path().join("faketime/libfaketimeMT.so.1"));
    let more =
        ["/usr/lib/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1"].map(PathBuf::from);
    libraries.chain(more).find(|path| path.exists()).expect("libfaketime is needed: make deps installs it")
}

/// Has the wall clock of a program be wrong by what a file says, as a clock is that somebody sets: what only counts on is
/// left alone.
fn with_clock_of<'c>(command: &'c mut Command, file: &std::path::Path) -> &'c mut Command {
    command
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// A clock that is set by writing `+60` to it.
fn clock(seconds: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    set(&file, seconds);
    file
}

fn set(clock: &tempfile::NamedTempFile, seconds: &str) {
    std::fs::write(clock.path(), format!("{seconds}\n")).unwrap();
}

#[track_caller]
fn worker_with(redis: &Redis, clock: &tempfile::NamedTempFile, args: &[&str]) -> Worker {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_jiggler-uring"));
    let worker = Worker::spawn(with_clock_of(&mut with_args(&program, &redis.url(), args), clock.path()));
    worker.wait_for_line(" working ");
    worker
}

/// Runs the program to its end on a host of that clock.
fn output_with(clock: &tempfile::NamedTempFile, args: &[&str]) -> Output {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_jiggler-uring"));
    let mut command = command(&program);
    let output =
        with_clock_of(command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()), clock.path());
    output.output().unwrap()
}

fn texts(redis: &Redis, args: &[&str]) -> Vec<String> {
    redis.list(args).into_iter().map(|element| String::from_utf8(element).unwrap()).collect()
}

fn redis_now(redis: &Redis) -> f64 {
    texts(redis, &["TIME"])[0].parse().unwrap()
}

/// The members of a set with their scores.
fn entries(redis: &Redis, set: &str) -> Vec<(serde_json::Value, f64)> {
    let flat = texts(redis, &["ZRANGE", set, "0", "-1", "WITHSCORES"]);
    flat.chunks(2).map(|pair| (serde_json::from_str(&pair[0]).unwrap(), pair[1].parse().unwrap())).collect()
}

#[track_caller]
fn assert_near(what: &str, one: f64, other: f64) {
    assert!((one - other).abs() < SLACK, "{what}: {one} is far from {other}");
}

/// Waits for the one failed job and checks its times.
#[track_caller]
fn assert_first_retry_is_planned(redis: &Redis) {
    wait_until("the job has failed", || entries(redis, RETRIES).len() == 1);
    let (job, due_at) = entries(redis, RETRIES).remove(0);
    assert_eq!(job["attempt"], 1, "{job}");
    assert_near("retry", due_at, redis_now(redis) + 16.0);
    assert_near("retry_at", job["retry_at"].as_f64().unwrap(), due_at);
    assert_near("failure", job["started_at"].as_f64().unwrap(), redis_now(redis));
}

fn push_failing(redis: &Redis, jid: &str) {
    redis.push("default", &[format!(r#"{{"name":"Fail","args":[],"retries":3,"jid":"{jid}"}}"#)]);
}

#[test]
fn a_worker_whose_clock_is_wrong_goes_by_that_of_redis_and_says_so() {
    for (seconds, told) in [("-60", "60.0 s behind redis"), ("+3600", "3600.0 s ahead of redis")] {
        let redis = Redis::start();
        let clock = clock(seconds);
        let worker = worker_with(&redis, &clock, &[]);
        push_failing(&redis, "clocks");
        assert_first_retry_is_planned(&redis);

        let key = texts(&redis, &["KEYS", "jiggler:svr:*"]).remove(0);
        let parts: Vec<&str> = key.split(':').collect();
        assert_near("start", parts[7].parse().unwrap(), redis_now(&redis));
        let heartbeat: serde_json::Value =
            serde_json::from_slice(redis.run(&["GET", &key]).as_bulk().unwrap()).unwrap();
        assert_near("heartbeat", heartbeat["heartbeat"].as_f64().unwrap(), redis_now(&redis));

        worker.wait_for_line("the clock of this host is not that of redis");
        assert_eq!(worker.lines("the clock of this host").len(), 1, "it is told once");
        let url = redis.url();
        // It stands there from the next heartbeat on.
        let shown = || String::from_utf8(output_of(&["processes", "--redis-url", &url]).stdout).unwrap();
        wait_until("the processes show it", || shown().contains(told));
        let json = output_of(&["processes", "--json", "--redis-url", &url]).stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_near("skew", json["processes"][0]["clock_skew_s"].as_f64().unwrap(), seconds.parse().unwrap());
    }
}

#[test]
fn a_clock_that_is_set_while_a_worker_runs_moves_no_retry() {
    let redis = Redis::start();
    let clock = clock("+0");
    let worker = worker_with(&redis, &clock, &[]);
    push_failing(&redis, "before");
    assert_first_retry_is_planned(&redis);
    redis.run(&["DEL", RETRIES]);
    set(&clock, "-7200");
    push_failing(&redis, "after");
    assert_first_retry_is_planned(&redis);
    worker.wait_for_line("the clock of this host is not that of redis");
    set(&clock, "+0");
    worker.wait_for_line("the clock of this host is that of redis again");
}

#[test]
fn a_dead_entry_is_as_old_as_redis_says() {
    let redis = Redis::start();
    let now = redis_now(&redis);
    redis.run(&["ZADD", DEAD, &(now - 60.0).to_string(), r#"{"name":"N","args":[],"jid":"young"}"#]);
    // Ten years ahead: by this clock the entry is far too old to be kept.
    let clock = clock("+315360000");
    let _worker = worker_with(&redis, &clock, &[]);
    redis.push("default", &[r#"{"name":"Fail","args":[],"retries":0,"jid":"dies"}"#]);
    wait_until("the job is dead", || entries(&redis, DEAD).iter().any(|(job, _)| job["jid"] == "dies"));
    let dead = entries(&redis, DEAD);
    assert_eq!(dead.len(), 2, "the other is kept: {dead:?}");
    assert_near("death", dead[1].1, redis_now(&redis));
}

#[test]
fn a_delay_counts_by_the_clock_of_redis_wherever_it_is_given() {
    let redis = Redis::start();
    let clock = clock("-600");
    let url = redis.url();
    for more in [&[][..], &["--count", "2"]] {
        let args = [&["enqueue", "Noop", "--in", "120", "--redis-url", &url][..], more].concat();
        let output = output_with(&clock, &args);
        assert!(output.status.success(), "{output:?}");
    }
    let entries = entries(&redis, SCHEDULED);
    assert_eq!(entries.len(), 3);
    for (_, due_at) in entries {
        assert_near("due", due_at, redis_now(&redis) + 120.0);
    }
}

#[test]
fn doctor_and_commands_tell_ages_by_the_clock_of_redis() {
    let redis = Redis::start();
    let url = redis.url();
    let clock = clock("+36000");
    let _worker = Worker::start(&redis, &[]);
    wait_until("it has a heartbeat", || !redis.list(&["KEYS", "jiggler:svr:*"]).is_empty());
    let output = output_with(&clock, &["processes", "--redis-url", &url]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(" s ago") && !text.contains(" h ago"), "{text}");
    redis.run(&["ZADD", DEAD, &redis_now(&redis).to_string(), r#"{"name":"N","args":[],"jid":"j"}"#]);
    let output = output_with(&clock, &["jobs", "dead", "--redis-url", &url]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(" s ago") && !text.contains(" h ago"), "{text}");
    assert_eq!(redis.integer(&["ZCARD", DEAD]), 1);
    let output = output_with(&clock, &["doctor", "--redis-url", &url]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("ahead of redis") && text.contains("chrony"), "{text}");
}
