//! What four versions of the gem sidekiq wrote is read, and what they would write is written, byte for byte. The states in
//! `tests/data/sidekiq` were captured from the real gems.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiggler_uring::internal::job::bad::{bury_unparsable, exhume};
use jiggler_uring::internal::job::failure::ErrorInfo;
use jiggler_uring::internal::job::parse::{FirstFailure, Parsed, Parser};
use jiggler_uring::internal::job::retry::{Course, FailureTimes, Fate, Plan, decide};
use jiggler_uring::internal::job::{Schema, TimeUnit};
use jiggler_uring::internal::wire::heartbeat_key::{Heartbeat, Poller};
use jiggler_uring::internal::wire::keys::SIDEKIQ;
use jiggler_uring::internal::wire::sidekiq_metrics::{ClassRuns, Spelling};
use jiggler_uring::internal::wire::sidekiq_process::SidekiqProcess;
use serde_json::Value;

const VERSIONS: [&str; 4] = ["6.4.1", "7.0.3", "7.3.10", "8.1.7"];

/// As a worker that is told nothing has it.
const SCHEMA: Schema = Schema::Sidekiq(TimeUnit::Seconds);

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sidekiq")
}

fn capture(stage: &str, version: &str) -> Value {
    let path = folder().join(format!("{stage}-{version}.json"));
    serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()
}

/// The value of a key of a stage.
fn value(capture: &Value, key: &str) -> Value {
    let keys = capture["keys"].as_array().unwrap();
    let found = keys.iter().find(|entry| entry["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {}", capture["stage"]))["value"].clone()
}

/// The one member of a set, and its score.
fn member(stage: &str, version: &str, set: &str) -> (String, f64) {
    let entry = &value(&capture(stage, version), set)[0];
    (entry["member"].as_str().unwrap().to_owned(), entry["score"].as_str().unwrap().parse().unwrap())
}

/// A time of a payload in seconds, whatever its unit.
fn time(payload: &str, name: &str) -> f64 {
    let read: Value = serde_json::from_str(payload).unwrap();
    let number = read[name].as_f64().unwrap_or_else(|| panic!("no {name} in {payload}"));
    if read[name].is_u64() { number / 1e3 } else { number }
}

/// The payload with the time of its push as another has it: a poller renews it.
fn pushed_like(payload: &str, other: &str) -> String {
    let of = |payload: &str| serde_json::from_str::<Value>(payload).unwrap()["enqueued_at"].to_string();
    payload.replace(&format!("\"enqueued_at\":{}", of(payload)), &format!("\"enqueued_at\":{}", of(other)))
}

fn parse<R>(payload: &str, look: impl FnOnce(Parsed<'_>) -> R) -> R {
    look(Parser::new(SCHEMA).parse(payload.as_bytes()).unwrap())
}

/// The job fails as it did in Ruby, at the times that Ruby wrote.
fn fail(payload: &str, ruby: &str, at: f64) -> Fate {
    let history = parse(payload, |parsed| parsed.history);
    let read: Value = serde_json::from_str(ruby).unwrap();
    let text = |name: &str| read[name].as_str().unwrap().to_owned();
    let error = ErrorInfo::new(text("error_class"), text("error_message"));
    let course = Course::Retry { after: Duration::ZERO };
    let plan = Plan { schema: SCHEMA, queue: "low", retry_queue: "low", course, backtrace: None };
    let retried_at = if read["retried_at"].is_null() { f64::NAN } else { time(ruby, "retried_at") };
    let times = FailureTimes { failed_at: time(ruby, "failed_at"), retried_at, paused_from: at, died_at: at };
    decide(payload.as_bytes(), history, &plan, &error, times).unwrap()
}

#[test]
fn every_job_of_every_version_parses() {
    let mut seen = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let capture: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        // Some hold measurements and no state.
        let Some(keys) = capture["keys"].as_array() else { continue };
        for key in keys.iter().filter(|key| key["type"] == "list" || key["type"] == "zset") {
            for item in key["value"].as_array().unwrap() {
                let payload = item.as_str().or(item["member"].as_str()).unwrap();
                let Ok(read) = serde_json::from_str::<Value>(payload) else {
                    let reason = Parser::new(SCHEMA).parse(payload.as_bytes()).unwrap_err();
                    let entry = bury_unparsable(SCHEMA, payload.as_bytes(), &reason, "default", 1.5);
                    assert_eq!(exhume(SCHEMA, &entry).unwrap(), payload.as_bytes());
                    parse(std::str::from_utf8(&entry).unwrap(), |parsed| {
                        assert_eq!((parsed.history.retries, parsed.history.attempt), (0, 0));
                        assert_eq!(parsed.history.first_failure, FirstFailure::Recorded);
                    });
                    continue;
                };
                // The list of signals, and of other things than jobs.
                if !read.is_object() {
                    continue;
                }
                seen += 1;
                parse(payload, |parsed| {
                    assert_eq!(parsed.name, read["class"], "{path:?}");
                    assert_eq!(parsed.jid, read["jid"].as_str(), "{path:?}");
                    assert_eq!(parsed.args.len(), read["args"].as_array().unwrap().len(), "{path:?}");
                    let attempt = read["retry_count"].as_u64().map_or(0, |count| count + 1);
                    assert_eq!(u64::from(parsed.history.attempt), attempt, "{path:?}");
                    let retries = match &read["retry"] {
                        Value::Bool(true) => 25,
                        retry => retry.as_u64().unwrap_or(0),
                    };
                    assert_eq!(u64::from(parsed.history.retries), retries, "{path:?}");
                    let failed = parsed.history.first_failure == FirstFailure::Recorded;
                    assert_eq!(failed, !read["failed_at"].is_null(), "{path:?}");
                });
            }
        }
    }
    assert!(seen > 100, "found only {seen} jobs");
}

#[test]
fn the_first_failure_makes_the_retry_of_each_version() {
    for version in VERSIONS {
        let (ruby, score) = member("retry_1", version, "retry");
        let (before, _) = ruby.split_once(",\"error_message\"").unwrap();
        let (expected, _) = ruby.split_once(",\"error_backtrace\"").unwrap();
        let Fate::Retry { at, payload } = fail(&format!("{before}}}"), &ruby, score) else {
            panic!("two retries are left")
        };
        assert_eq!((at, std::str::from_utf8(&payload).unwrap()), (score, format!("{expected}}}").as_str()));
    }
}

#[test]
fn the_second_failure_makes_the_retry_of_each_version() {
    for version in VERSIONS {
        let (first, _) = member("retry_1", version, "retry");
        let (ruby, score) = member("retry_2", version, "retry");
        let Fate::Retry { at, payload } = fail(&pushed_like(&first, &ruby), &ruby, score) else {
            panic!("one retry is left")
        };
        assert_eq!((at, std::str::from_utf8(&payload).unwrap()), (score, ruby.as_str()), "{version}");
    }
}

#[test]
fn the_last_failure_makes_the_death_of_each_version() {
    for version in VERSIONS {
        let (second, _) = member("retry_2", version, "retry");
        let (ruby, score) = member("dead", version, "dead");
        let Fate::Dead { at, payload } = fail(&pushed_like(&second, &ruby), &ruby, score) else {
            panic!("no retry is left")
        };
        assert_eq!((at, std::str::from_utf8(&payload).unwrap()), (score, ruby.as_str()), "{version}");
    }
}

#[test]
fn what_is_not_to_be_kept_is_forgotten_and_a_limit_of_time_goes_before_one_of_number() {
    let error = ErrorInfo::new("E", "m");
    let fate = |raw: &str, now: f64| {
        let history = jiggler_uring::internal::job::retry::with_default_retries(
            SCHEMA,
            raw.as_bytes(),
            parse(raw, |parsed| parsed.history),
            25,
        );
        let course = Course::Retry { after: Duration::from_secs(15) };
        let plan = Plan { schema: SCHEMA, queue: "q", retry_queue: "q", course, backtrace: None };
        match decide(raw.as_bytes(), history, &plan, &error, FailureTimes::at(now)).unwrap() {
            Fate::Retry { .. } => "retry",
            Fate::Dead { .. } => "dead",
            Fate::Forgotten => "forgotten",
            other => panic!("{other:?}"),
        }
    };
    for (members, expected) in [
        ("\"retry\":true", "retry"),
        ("\"retry\":false", "forgotten"),
        ("\"retry\":0", "dead"),
        ("\"retry\":1", "retry"),
        ("\"retry\":1,\"retry_count\":0", "dead"),
        ("\"retry\":1,\"retry_count\":0,\"dead\":false", "forgotten"),
        ("\"retry\":null", "retry"),
        ("\"retry_count\":24", "dead"),
        ("\"retry_count\":23", "retry"),
        ("\"retry\":\"3\",\"retry_count\":23", "retry"),
        ("\"retry\":true,\"retry_count\":-1", "retry"),
        ("\"retry\":1,\"retry_count\":7,\"failed_at\":1000.0,\"retry_for\":60", "retry"),
        ("\"retry\":true,\"retry_count\":7,\"failed_at\":900.0,\"retry_for\":60", "dead"),
    ] {
        let raw = format!("{{\"class\":\"C\",\"args\":[],{members}}}");
        assert_eq!(fate(&raw, 1_010.0), expected, "{members}");
    }
}

/// Every member that a version of the gem has in a field of a process, ours has too, of the same kind.
#[test]
fn a_process_has_what_the_pages_of_each_version_read() {
    let parts = Heartbeat {
        uuid: "06c7221317f9",
        concurrency: 3,
        timeout_s: 25,
        queues: "default,custom,low",
        poller: Poller::Enabled,
        started_at: 1_795_300_188,
        pid: 14_206,
        hostname: "vm",
    };
    let ours: Value = serde_json::from_str(&SidekiqProcess::new(&parts, "").info).unwrap();
    for version in VERSIONS {
        let capture = capture("server_idle", version);
        let identity = value(&capture, "processes")[0].as_str().unwrap().to_owned();
        let hash = value(&capture, &identity);
        let theirs: Value = serde_json::from_str(hash["info"].as_str().unwrap()).unwrap();
        for (name, member) in theirs.as_object().unwrap() {
            let same = std::mem::discriminant(member) == std::mem::discriminant(&ours[name]);
            assert!(same, "{version}: {name} is {member}, ours {}", ours[name]);
        }
        assert_eq!(ours["queues"], theirs["queues"], "{version}");
        if !theirs["capsules"].is_null() {
            assert_eq!(ours["capsules"], theirs["capsules"], "{version}");
        }
    }
    assert_eq!(SIDEKIQ.names().registries.as_ref().unwrap().processes, "processes");
}

#[test]
fn metrics_have_the_keys_and_values_that_the_gems_pages_read() {
    for (version, spelling) in
        [("7.0.3", Spelling::Seven), ("7.3.10", Spelling::Seven), ("8.1.7", Spelling::Eight)]
    {
        // A minute has begun since the job of 16 seconds was counted, in one of them.
        let captured = capture("server_after_jobs", version);
        let at = captured["captured_at"].as_f64().unwrap();
        let mut runs = ClassRuns { executed: 1, ms: 16_000, ..ClassRuns::default() };
        runs.took[17] = 1;
        let sums = spelling.sums(at);
        assert_eq!(sums.len(), if version == "8.1.7" { 2 } else { 1 });
        for (key, ttl_s) in sums {
            let found = value(&captured, &key);
            for (end, sum) in runs.sums() {
                let found: u64 = found[format!("SleepJob{end}")].as_str().unwrap().parse().unwrap();
                assert!((sum..=sum + 1).contains(&found), "{version} {key} {end}: {found}");
            }
            let keys = captured["keys"].as_array().unwrap();
            let ttl_ms = keys.iter().find(|entry| entry["key"] == *key).unwrap()["ttl_ms"].as_u64().unwrap();
            assert!((ttl_s * 1_000 - 60_000..=ttl_s * 1_000).contains(&ttl_ms), "{version} {key}: {ttl_ms}");
        }
        let histogram = value(&captured, &spelling.histogram("SleepJob", at));
        let counters: Vec<char> = histogram.as_str().unwrap().chars().collect();
        let counted: Vec<(usize, u64)> = runs.buckets().collect();
        assert_eq!(counted, [(counters.len() / 2 - 1, u64::from(counters[counters.len() - 1]))]);
    }
}
