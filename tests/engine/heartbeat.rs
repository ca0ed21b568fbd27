//! What a worker publishes about itself: heartbeat, lease and figures, present before its first job and gone with it.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use jiggler_uring::internal::limits::{LEASE, PAYLOAD_BYTES_MAX};
use jiggler_uring::internal::wire::heartbeat_key::{Poller, parse_heartbeat};
use serde_json::Value;

use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json, output_of};

fn start_seen(redis: &Redis, args: &[&str]) -> (Worker, String) {
    let worker = Worker::start(redis, args);
    wait_until("the heartbeat is there", || redis.keys("jiggler:svr:*").len() == 1);
    (worker, redis.keys("jiggler:svr:*").remove(0))
}

#[test]
fn the_heartbeat_has_the_gems_ten_parts_and_exactly_its_three_members() {
    let redis = Redis::start();
    let args = ["-q", "low:0,high:2", "-c", "7", "-t", "9", "--cores", "2"];
    let (mut worker, key) = start_seen(&redis, &args);
    let parts = parse_heartbeat(&key).unwrap();
    assert_eq!(parts.uuid.len(), 12);
    assert_eq!((parts.concurrency, parts.timeout_s, parts.queues), (7, 9, "low,0,high,2"));
    assert_eq!((parts.poller, parts.pid), (Poller::Enabled, worker.pid()));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(parts.hostname, host.trim());
    let seconds = redis.list(&["TIME"]).remove(0);
    let now: u64 = String::from_utf8(seconds).unwrap().parse().unwrap();
    assert!(now - parts.started_at <= 60);

    let text = redis.text(&key).unwrap();
    let value = json(&text);
    let members: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(members, ["current_jobs", "heartbeat", "rss"]);
    assert!(text.ends_with(r#","current_jobs":{}}"#), "{text}");
    assert!((value["heartbeat"].as_f64().unwrap() - now as f64).abs() < 60.0);
    let rss_kb = value["rss"].as_u64().unwrap();
    assert!((1_000..200_000).contains(&rss_kb), "{rss_kb} kB");
    let ttl_s = redis.integer(&["TTL", &key]);
    assert!((150..=190).contains(&ttl_s), "{ttl_s} s");
    worker.stop();
    // The queues that it served stay known.
    let left = [redis.keys("*:svr:*"), redis.keys("jiggler:uring:*")].concat();
    assert_eq!(left, ["jiggler:uring:queues"]);
}

#[test]
fn a_busy_worker_publishes_no_running_jobs_because_the_gems_page_cannot_bear_them() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 1\n");
    redis.push("default", &[r#"{"name":"Sleep","args":[60]}"#]);
    let (_worker, key) = start_seen(&redis, &["-C", &config.path()]);
    let beat = || json(redis.text(&key).unwrap())["heartbeat"].as_f64().unwrap();
    let first = beat();
    wait_until("the heartbeat is renewed", || beat() > first);
    assert_eq!(json(redis.text(&key).unwrap())["current_jobs"], serde_json::json!({}));
    let figures = format!("jiggler:uring:process:{}", redis.uuid());
    wait_until("the figures name the running job", || {
        json(redis.text(&figures).unwrap())["shards"][0]["running"] == 1
    });
}

/// The commands that Redis ran, in order, up to one that matches.
fn commands_until(monitor: &mut BufReader<UnixStream>, last: fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(monitor.read_line(&mut line).unwrap() > 0, "redis closed the connection");
        let found = last(&line);
        lines.push(line);
        if found {
            return lines;
        }
    }
}

#[test]
fn heartbeat_and_lease_are_there_before_the_first_job_is_taken() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    stream.set_read_timeout(Some(crate::harness::wait::PATIENCE)).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    let mut monitor = BufReader::new(stream);
    commands_until(&mut monitor, |line| line.starts_with("+OK"));
    let _worker = Worker::start(&redis, &["--cores", "2"]);
    let takes = |line: &str| line.contains("\"RPOP\"") || line.contains("\"BLMOVE\"");
    let before = commands_until(&mut monitor, takes);
    for (what, text) in
        [("heartbeat", "\"SET\" \"jiggler:svr:"), ("lease", "\"ZADD\" \"jiggler:uring:leases\"")]
    {
        assert!(
            before.iter().any(|line| line.contains(text)),
            "no {what} before the first fetch: {before:#?}"
        );
    }
}

#[test]
fn the_lease_has_its_full_length_by_the_clock_of_redis_and_is_renewed() {
    let redis = Redis::start();
    let (worker, _) = start_seen(&redis, &["-q", "b,a", "--cores", "2"]);
    let now_ms = || {
        let time = redis.list(&["TIME"]).into_iter().map(|part| String::from_utf8(part).unwrap());
        let time: Vec<f64> = time.map(|part| part.parse().unwrap()).collect();
        time[0] * 1_000.0 + time[1] / 1_000.0
    };
    let lease = || redis.set("jiggler:uring:leases").remove(0);
    let (member, ends) = lease();
    assert_eq!(member, format!("{}:2:b,a", redis.uuid()));
    let left_ms = ends - now_ms();
    let length_ms = LEASE.as_millis() as f64;
    assert!(left_ms <= length_ms + 1.0 && left_ms > length_ms / 2.0, "{left_ms} ms of it are left");
    wait_until("the lease is renewed", || lease().1 > ends);
    assert_eq!(redis.count("jiggler:uring:leases"), 1);
    assert_eq!(worker.lines("ERROR"), [""; 0]);
}

#[test]
fn a_job_that_never_waits_does_not_cost_the_lease() {
    let redis = Redis::start();
    // The largest payloads allowed hold the shard's core, one after the other, until the lease is renewed.
    let frame = r#"{"name":"Noop","args":[""]}"#;
    let job = frame.replace("\"\"", &format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX - frame.len())));
    redis.push("default", &[&job]);
    let worker = Worker::start(&redis, &[]);
    let lease = || redis.set("jiggler:uring:leases").first().map(|(_, ends)| *ends);
    wait_until("a lease is there", || lease().is_some());
    let first = lease();
    wait_until("the lease is renewed under load", || {
        if redis.queue("default").is_empty() {
            redis.push("default", &[&job]);
        }
        lease() > first
    });
    assert_eq!(worker.lines("ERROR"), [""; 0]);
}

#[test]
fn the_summary_shows_the_process_as_the_gem_does() {
    let redis = Redis::start();
    let (_worker, key) = start_seen(&redis, &["-q", "img,mail", "-c", "3"]);
    redis.push("other", &[r#"{"name":"Noop"}"#; 4]);
    let output = output_of(&["summary", "--json", "--redis-url", &redis.url()]);
    assert!(output.status.success(), "{output:?}");
    let summary = json(&output.stdout);
    let process: &Value = &summary["processes"][&key];
    assert_eq!((&process["queues"], &process["concurrency"]), (&"img,mail".into(), &"3".into()));
    assert_eq!(process["current_jobs"], serde_json::json!({}));
    assert_eq!(summary["queues"], serde_json::json!({"other": 4}));
}
