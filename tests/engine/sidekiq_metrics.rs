//! What a worker beside Sidekiq's programs counts for their pages, and what that and its heartbeat cost Redis.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use jiggler_uring::internal::wire::Dialect;

use crate::harness::wait::{PATIENCE, wait_until};
use crate::harness::{Redis, Worker, config_file};

/// A heartbeat each second.
const OFTEN: &str = "stats_interval: 1\n";

fn push(redis: &Redis, class: &str, args: &str, more: &str) {
    redis.push("default", &[format!(r#"{{"class":"{class}","args":{args},"jid":"j"{more}}}"#)]);
}

/// The sums of all hashes that a pattern finds.
fn sums(redis: &Redis, pattern: &str) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    for key in redis.keys(pattern) {
        for pair in redis.list(&["HGETALL", &key]).chunks(2) {
            *all.entry(text(&pair[0])).or_default() += text(&pair[1]).parse::<u64>().unwrap();
        }
    }
    all
}

/// The counters of all histograms that a pattern finds, added up.
fn histogram(redis: &Redis, pattern: &str) -> Vec<u64> {
    let mut all = vec![0; 26];
    for key in redis.keys(pattern) {
        let bytes = redis.run(&["GET", &key]);
        for (counter, pair) in all.iter_mut().zip(bytes.as_bulk().unwrap().chunks(2)) {
            *counter += u64::from(u16::from_be_bytes(pair.try_into().unwrap()));
        }
    }
    all
}

#[test]
fn runs_are_counted_for_the_page_of_metrics_with_a_heartbeat_and_at_the_stop() {
    let redis = Redis::start_in(Dialect::Sidekiq);
    let config = config_file(OFTEN);
    for _ in 0..3 {
        push(&redis, "Noop", "[]", "");
    }
    push(&redis, "Fail", "[\"boom\"]", "");
    push(&redis, "Fail", "[\"boom\"]", ",\"retry\":false");
    push(&redis, "NobodyHere", "[]", "");
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "--sidekiq-metrics", "both"]);
    wait_until("they are counted", || sums(&redis, "j|??????|*:??").contains_key("Noop|p"));
    push(&redis, "Sleep", "[0.05]", "");
    wait_until("it has run", || redis.processed() == 6);
    worker.stop();
    for pattern in ["j|??????|*:??", "j|??????|*:?", "j|????????|*"] {
        let found = sums(&redis, pattern);
        let slept_ms = found["Sleep|ms"];
        assert!((50..40_000).contains(&slept_ms), "{pattern}: {found:?}");
        let counts = found.iter().filter(|(field, _)| !field.ends_with("|ms"));
        let counts: Vec<(&str, u64)> = counts.map(|(field, count)| (&**field, *count)).collect();
        assert_eq!(counts, [("Fail|f", 2), ("Fail|p", 2), ("Noop|p", 3), ("Sleep|p", 1)], "{pattern}");
        assert!(!found.contains_key("Fail|ms"), "{found:?}");
    }
    for prefix in ["h|", ""] {
        assert_eq!(histogram(&redis, &format!("{prefix}Noop-*"))[0], 3);
        let slept = histogram(&redis, &format!("{prefix}Sleep-*"));
        assert_eq!((slept.iter().sum::<u64>(), slept[..3].iter().sum::<u64>()), (1, 0));
        assert_eq!(redis.keys(&format!("{prefix}Fail-*")), [""; 0], "times of failed runs tell nothing");
    }
    for key in redis.keys("[jh]|*") {
        assert!((1..=259_200).contains(&redis.integer(&["TTL", &key])), "{key}");
    }
}

#[test]
fn metrics_can_be_left_out() {
    let redis = Redis::start_in(Dialect::Sidekiq);
    push(&redis, "Noop", "[]", "");
    let config = config_file("sidekiq_metrics: off\n");
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("it has run", || redis.processed() == 1);
    worker.stop();
    assert_eq!(redis.keys("*|*"), [""; 0]);
}

/// At most twelve commands a heartbeat, whatever runs and fails meanwhile, and a few a minute for metrics.
#[test]
fn a_heartbeat_costs_few_commands() {
    let redis = Redis::start_in(Dialect::Sidekiq);
    let config = config_file(OFTEN);
    for _ in 0..40 {
        push(&redis, "Sleep", "[0.4]", "");
        push(&redis, "Fail", "[\"boom\"]", "");
    }
    let mut stream = UnixStream::connect(redis.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    let mut seen = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(seen.next().unwrap(), "+OK");
    let _worker = Worker::start(&redis, &["-C", &config.path(), "-c", "3"]);
    let uuid = redis.uuid();
    let of_beat = |line: &str| {
        let keys = [format!(":{uuid}"), format!("process:{uuid}")];
        let counters = ["\"stat:processed:", "\"stat:failed:"];
        let mut words = line.split('"').filter(|word| !word.trim().is_empty());
        let key = words.nth(2).unwrap_or_default();
        keys.iter().any(|part| key.contains(part) && !key.contains("inflight"))
            || line.contains("\"processes\"")
            || counters.iter().any(|counter| line.contains(counter))
    };
    let of_metrics = |line: &str| ["\"j|", "\"h|"].iter().any(|part| line.contains(part));
    let (mut beats, mut metrics, mut listed, mut of_day) = (vec![0], 0, 0, 0);
    while beats.len() < 7 {
        let line = seen.next().unwrap();
        if line.contains("\"SADD\" \"processes\"") {
            beats.push(0);
        }
        listed += usize::from(line.contains("\"COPY\""));
        metrics += usize::from(of_metrics(&line));
        // Once a day for each counter.
        let is_of_day = line.contains("\"EXPIRE\" \"stat:");
        of_day += usize::from(is_of_day);
        *beats.last_mut().unwrap() += usize::from(of_beat(&line) && !is_of_day);
    }
    beats.pop();
    println!("commands of heartbeats: {beats:?}, of metrics: {metrics}");
    assert!(of_day <= 2 * 2, "{of_day}");
    assert!(listed > 1 && beats.iter().any(|commands| *commands > 6), "{beats:?}");
    assert!(beats.iter().all(|commands| *commands <= 12), "{beats:?}");
    // Two classes; a minute may have ended meanwhile.
    assert!(metrics > 0 && metrics <= 2 * (8 + 2 * 2), "{metrics}");
}
