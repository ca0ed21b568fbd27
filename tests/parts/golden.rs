//! What the gem jiggler 0.1.0 wrote is read, and what it would write is written, byte for byte. The states in
//! `tests/data/jiggler` were captured from the real gem.

use std::fs;
use std::path::Path;

use jiggler_uring::internal::job::Schema;
use jiggler_uring::internal::job::amend::amend;
use jiggler_uring::internal::job::bad::{bury_unparsable, exhume};
use jiggler_uring::internal::job::failure::ErrorInfo;
use jiggler_uring::internal::job::parse::{BadPayload, FirstFailure, Parser};
use jiggler_uring::internal::job::retry::{
    Course, FailureTimes, Fate, Plan, decide, gem_delay, next_attempt,
};
use jiggler_uring::internal::time::RubyFloat;
use jiggler_uring::internal::wire::heartbeat::HeartbeatValue;
use jiggler_uring::internal::wire::heartbeat_key;
use jiggler_uring::internal::wire::keys::{JIGGLER, ListKey};
use serde::Deserialize;

#[derive(Deserialize)]
struct Capture {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    #[serde(rename = "type")]
    kind: String,
    value: serde_json::Value,
}

/// A job as stored in Redis.
struct Member {
    stage: String,
    key: String,
    payload: String,
    score: Option<f64>,
}

fn captures() -> Vec<(String, Capture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jiggler");
    let mut captures = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(stage) = name.strip_suffix("-0.1.0.json") else {
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        // Some hold measurements and no state.
        if text.contains("\"keys\"") {
            captures.push((stage.to_owned(), serde_json::from_str(&text).unwrap()));
        }
    }
    assert!(captures.len() > 20, "found only {} captures", captures.len());
    captures
}

fn members() -> Vec<Member> {
    let mut members = Vec::new();
    for (stage, capture) in captures() {
        for Key { key, kind, value } in capture.keys {
            if kind != "list" && kind != "zset" {
                continue;
            }
            for item in value.as_array().unwrap() {
                let payload = item.as_str().or(item["member"].as_str()).unwrap().to_owned();
                let score = item["score"].as_str().map(|score| score.parse().unwrap());
                members.push(Member { stage: stage.clone(), key: key.clone(), payload, score });
            }
        }
    }
    assert!(members.len() > 30, "found only {} jobs", members.len());
    members
}

/// The job of a stage whose payload contains a text.
fn member(stage: &str, containing: &str) -> Member {
    let found =
        members().into_iter().find(|member| member.stage == stage && member.payload.contains(containing));
    found.unwrap_or_else(|| panic!("no job with {containing} in {stage}"))
}

/// A job of this queue fails, whose class has `custom_retries` for its retries.
fn fail(payload: &str, queue: &str, times: FailureTimes) -> Fate {
    let history = Parser::default().parse(payload.as_bytes()).unwrap().history;
    let error = ErrorInfo::new("ArgumentError", "boom «é» \"quoted\"");
    let course = Course::Retry { after: gem_delay(next_attempt(history)) };
    let plan =
        Plan { schema: Schema::Jiggler, queue, retry_queue: "custom_retries", course, backtrace: None };
    decide(payload.as_bytes(), history, &plan, &error, times).unwrap()
}

fn text_of(payload: &[u8]) -> &str {
    std::str::from_utf8(payload).unwrap()
}

fn number(payload: &str, field: &str) -> f64 {
    let read: serde_json::Value = serde_json::from_str(payload).unwrap();
    read[field].as_f64().unwrap()
}

/// The payload as it was enqueued: without what failures appended.
fn enqueued(payload: &str) -> String {
    format!("{}}}", &payload[..payload.find(",\"started_at\"").unwrap()])
}

#[test]
fn every_job_the_gem_wrote_parses_and_anything_else_says_why() {
    let mut parser = Parser::default();
    let mut bad = 0;
    for Member { stage, key, payload, .. } in members() {
        match parser.parse(payload.as_bytes()) {
            Ok(parsed) => {
                let read: serde_json::Value = serde_json::from_str(&payload).unwrap();
                assert_eq!(parsed.name, read["name"], "{stage} {key}");
                assert_eq!(parsed.jid, read["jid"].as_str(), "{stage} {key}");
                assert_eq!(
                    u64::from(parsed.history.retries),
                    read["retries"].as_u64().unwrap_or(0),
                    "{stage} {key}"
                );
                assert_eq!(
                    u64::from(parsed.history.attempt),
                    read["attempt"].as_u64().unwrap_or(0),
                    "{stage} {key}"
                );
                let failed = parsed.history.first_failure == FirstFailure::Recorded;
                assert_eq!(failed, read["started_at"].is_f64(), "{stage} {key}");
                assert_eq!(parsed.args.len(), read["args"].as_array().unwrap().len(), "{stage} {key}");
            }
            Err(reason) => {
                assert_eq!(payload, "this is not json", "{stage} {key}: {reason}");
                assert!(matches!(reason, BadPayload::NotJson { .. }), "{reason}");
                let entry = bury_unparsable(Schema::Jiggler, payload.as_bytes(), &reason, "default", 1.0);
                assert_eq!(exhume(Schema::Jiggler, &entry).unwrap(), payload.as_bytes());
                bad += 1;
            }
        }
    }
    assert!(bad > 0, "the captures include bytes that are not a job");
}

#[test]
fn changing_nothing_keeps_every_byte() {
    for Member { payload, .. } in members().iter().filter(|member| member.payload.starts_with('{')) {
        assert_eq!(text_of(&amend(payload.as_bytes(), &[]).unwrap()), payload);
    }
}

#[test]
fn every_argument_type_of_ruby_decodes() {
    let mut parser = Parser::default();
    let payload = member("enqueue", "\"two\"").payload;
    let mut args = parser.parse(payload.as_bytes()).unwrap().args;
    assert_eq!((args.take::<u8>().unwrap(), args.take::<i64>().unwrap()), (1, -2));
    assert_eq!(args.take::<&str>().unwrap(), "two");
    assert_eq!((args.take::<f64>().unwrap(), args.take::<f64>().unwrap()), (3.5, 1e21));
    assert_eq!(args.take::<u64>().unwrap(), 12_345_678_901_234_567_890);
    assert_eq!(args.take::<Option<u8>>().unwrap(), None);
    assert!(args.take::<bool>().unwrap());
    assert!(!args.take::<bool>().unwrap());
    assert_eq!(args.take::<(u8, Vec<u8>)>().unwrap(), (1, vec![2]));
    assert_eq!(args.take::<serde_json::Value>().unwrap(), serde_json::json!({"k": "v"}));
    assert_eq!(args.take::<String>().unwrap(), "é ✓ 😀");
    assert_eq!(args.take::<String>().unwrap(), "line\nbreak \"q\" \\ / <b>&");
    assert_eq!(args.take::<String>().unwrap().chars().last(), Some('\u{1}'));
    args.finish().unwrap();
    drop(args);

    let payload = member("enqueue_odd_types", "sym").payload;
    let mut args = parser.parse(payload.as_bytes()).unwrap().args;
    assert_eq!(args.take::<String>().unwrap(), "1970-01-01 00:00:00 UTC");
    assert_eq!(args.take::<String>().unwrap(), "sym");
    assert_eq!((args.take::<f64>().unwrap(), args.take::<f64>().unwrap()), (1.0 / 3.0, 0.1));
    assert_eq!(args.take::<f64>().unwrap(), 100.0);
    assert_eq!(args.take::<u128>().unwrap(), 1 << 70);
    args.finish().unwrap();
}

#[test]
fn the_first_failure_makes_the_gems_retry() {
    let gem = member("retry_1", "FailJob");
    let score = gem.score.unwrap();
    let times = FailureTimes {
        failed_at: number(&gem.payload, "started_at"),
        paused_from: score - 16.0,
        ..FailureTimes::at(f64::NAN)
    };
    let Fate::Retry { at, payload } = fail(&enqueued(&gem.payload), "default", times) else {
        panic!("two retries are left")
    };
    assert_eq!((at, text_of(&payload)), (score, gem.payload.as_str()));
}

#[test]
fn the_second_failure_makes_the_gems_retry() {
    let gem = member("retry_2", "FailJob");
    let score = gem.score.unwrap();
    let times = FailureTimes {
        paused_from: score - 31.0,
        retried_at: number(&gem.payload, "retried_at"),
        ..FailureTimes::at(f64::NAN)
    };
    let Fate::Retry { at, payload } = fail(&member("retry_1", "FailJob").payload, "custom_retries", times)
    else {
        panic!("one retry is left")
    };
    assert_eq!((at, text_of(&payload)), (score, gem.payload.as_str()));
}

#[test]
fn exhausted_retries_make_the_gems_dead_entry() {
    let gem = member("dead", "FailJob");
    let times = FailureTimes { died_at: gem.score.unwrap(), ..FailureTimes::at(f64::NAN) };
    let Fate::Dead { at, payload } = fail(&member("retry_2", "FailJob").payload, "custom_retries", times)
    else {
        panic!("no retry is left")
    };
    assert_eq!((Some(at), text_of(&payload)), (gem.score, gem.payload.as_str()));
}

#[test]
fn a_job_without_retries_makes_the_gems_dead_entry_and_names_its_queue() {
    let gem = member("dead_without_retries", "no retries");
    let times = FailureTimes {
        failed_at: number(&gem.payload, "started_at"),
        died_at: gem.score.unwrap(),
        ..FailureTimes::at(f64::NAN)
    };
    let Fate::Dead { at, payload } = fail(&enqueued(&gem.payload), "default", times) else {
        panic!("it asks for no retries")
    };
    // The gem leaves its queue out, and reads an entry that has one: it writes such at the end of all retries.
    let with_queue = gem.payload.strip_suffix('}').unwrap().to_owned() + r#","queue":"default"}"#;
    assert_eq!((Some(at), text_of(&payload)), (gem.score, with_queue.as_str()));
}

#[test]
fn times_print_as_ruby_printed_them() {
    let mut printed = 0;
    for Member { payload, .. } in members() {
        for field in ["started_at", "retry_at", "retried_at"] {
            if payload.contains(&format!("\"{field}\":")) {
                let time = RubyFloat(number(&payload, field));
                assert!(payload.contains(&format!("\"{field}\":{time}")), "{time} in {payload}");
                printed += 1;
            }
        }
    }
    assert!(printed >= 10, "printed only {printed}");
}

#[test]
fn every_key_of_the_gem_is_known() {
    let (mut servers, mut queues, mut taken) = (0, 0, 0);
    for (stage, capture) in captures() {
        for Key { key, .. } in capture.keys {
            if let Some(parts) = heartbeat_key::parse_heartbeat(&key) {
                assert_eq!(heartbeat_key::heartbeat(&parts), key, "{stage}");
                assert_eq!((parts.concurrency, parts.timeout_s, parts.hostname), (3, 25, "vm"), "{stage}");
                servers += 1;
            } else if let Some(list) = JIGGLER.parse_list(&key) {
                match list {
                    ListKey::Queue { queue } => {
                        assert_eq!(JIGGLER.queue(queue), key, "{stage}");
                        queues += 1;
                    }
                    ListKey::InProgress { queue, uuid } => {
                        assert_eq!(JIGGLER.gem_in_progress(queue, uuid), key, "{stage}");
                        assert_eq!(uuid.len(), 12, "{stage}");
                        taken += 1;
                    }
                }
            } else {
                // The last one represented another program's keys.
                let known = [
                    JIGGLER.names().retries,
                    JIGGLER.names().scheduled,
                    JIGGLER.names().dead,
                    JIGGLER.names().processed,
                    JIGGLER.names().failures,
                    "unrelated",
                ];
                assert!(known.contains(&key.as_str()), "{stage}: {key}");
            }
        }
    }
    assert!(servers > 5 && queues > 3 && taken > 1, "{servers} servers, {queues} queues, {taken} taken");
}

#[test]
fn heartbeats_are_read_and_idle_ones_written_as_the_gem_does() {
    let (mut idle, mut busy) = (0, 0);
    for (stage, capture) in captures() {
        for Key { key, value, .. } in capture.keys {
            if !key.starts_with(heartbeat_key::SERVER_PREFIX) {
                continue;
            }
            let json = value.as_str().unwrap();
            let read: serde_json::Value = serde_json::from_str(json).unwrap();
            if read["current_jobs"] == serde_json::json!({}) {
                let heartbeat = read["heartbeat"].as_f64().unwrap();
                let value = HeartbeatValue { heartbeat, rss_kb: read["rss"].as_u64() };
                assert_eq!(value.to_json(), json, "{stage}");
                idle += 1;
            } else {
                assert!(json.contains("\"job_args\""), "{stage}");
                busy += 1;
            }
        }
    }
    assert!(idle > 5 && busy > 1, "{idle} idle, {busy} busy");
}
