//! Proves that our summary of a state is the one the Ruby gem made of the same state, that it sees all of a database full
//! of other keys, and that nothing strange in there makes it fail.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::admin::test_database::database;
use crate::own_redis::OwnRedis;
use crate::resp::Requests;

fn our_json(redis: &OwnRedis) -> Value {
    let mut out = Vec::new();
    summary(&database(redis), Lookup::Register, Format::Json, &mut out).unwrap();
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
    serde_json::from_slice(&out).unwrap()
}

fn our_text(redis: &OwnRedis, now: f64) -> String {
    let mut out = Vec::new();
    write_text(&nodes::survey(&database(redis), Scope::Everything).unwrap(), None, now, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Puts the keys of a fixture into an emptied server.
fn replay(redis: &OwnRedis, keys: &Value) {
    let mut requests = Requests::new();
    requests.command(&[b"FLUSHALL"]);
    for key in keys.as_array().unwrap() {
        let name = key["key"].as_str().unwrap().as_bytes();
        match (key["type"].as_str().unwrap(), &key["value"]) {
            ("string", Value::String(value)) => requests.command(&[b"SET", name, value.as_bytes()]),
            ("list", Value::Array(values)) => {
                values.iter().for_each(|value| {
                    requests.command(&[b"RPUSH", name, value.as_str().unwrap().as_bytes()]);
                });
            }
            ("zset", Value::Array(members)) => {
                for member in members {
                    let (score, member) =
                        (member["score"].as_str().unwrap(), member["member"].as_str().unwrap());
                    requests.command(&[b"ZADD", name, score.as_bytes(), member.as_bytes()]);
                }
            }
            (kind, value) => panic!("a key of type {kind} with {value}"),
        }
    }
    for reply in redis.connect().call(&requests).unwrap() {
        reply.into_result().unwrap();
    }
}

#[test]
fn every_captured_state_gives_the_summary_that_ruby_gave() {
    let redis = OwnRedis::start();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/jiggler");
    let mut compared = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let fixture: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let Some(captured) = fixture.get("summary") else { continue };
        replay(&redis, &fixture["keys"]);
        assert_eq!(&our_json(&redis), captured, "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 15, "only {compared} fixtures have a summary");
}

#[test]
fn members_are_in_the_gems_order() {
    let redis = OwnRedis::start();
    redis.run(&[
        b"SET",
        b"jiggler:svr:aa:3:25:default:1:100:7:vm",
        br#"{"current_jobs":{},"rss":1,"heartbeat":2.5}"#,
    ]);
    let mut out = Vec::new();
    summary(&database(&redis), Lookup::Register, Format::Json, &mut out).unwrap();
    let expected = concat!(
        r#"{"retry_jobs_count":0,"dead_jobs_count":0,"scheduled_jobs_count":0,"failures_count":0,"processed_count":0,"#,
        r#""processes":{"jiggler:svr:aa:3:25:default:1:100:7:vm":{"heartbeat":2.5,"rss":1,"current_jobs":{},"#,
        r#""name":"jiggler:svr:aa","concurrency":"3","timeout":"25","queues":"default","poller_enabled":true,"#,
        r#""started_at":"100","pid":"7","hostname":"vm"}},"queues":{}}"#,
        "\n",
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn all_queues_and_processes_are_found_among_thousands_of_other_keys() {
    let redis = OwnRedis::start();
    let mut requests = Requests::new();
    for number in 0..5_000 {
        requests.command(&[b"SET", format!("other:{number}").as_bytes(), b"x"]);
    }
    for number in 0..2_500 {
        requests.command(&[b"LPUSH", format!("jiggler:list:q{number}").as_bytes(), b"a", b"b"]);
    }
    for number in 0..250 {
        let key = format!("jiggler:svr:{number:012x}:3:25:default:0:100:{number}:host:{number}");
        requests.command(&[b"SET", key.as_bytes(), br#"{"heartbeat":1.5,"rss":null,"current_jobs":{}}"#]);
    }
    redis.connect().call(&requests).unwrap();
    let json = our_json(&redis);
    assert_eq!(json["queues"].as_object().unwrap().len(), 2_500);
    assert!(json["queues"].as_object().unwrap().values().all(|jobs| jobs == 2));
    let processes = json["processes"].as_object().unwrap();
    assert_eq!(processes.len(), 250);
    let one = &processes["jiggler:svr:0000000000f9:3:25:default:0:100:249:host:249"];
    assert_eq!(
        (&one["hostname"], &one["poller_enabled"], &one["rss"]),
        (&json!("host:249"), &json!(false), &Value::Null)
    );
}

#[test]
fn keys_of_other_types_and_without_meaning_do_not_make_it_fail() {
    let redis = OwnRedis::start();
    for command in [
        &[&b"SET"[..], b"jiggler:list:no-list", b"x"][..],
        &[b"SADD", b"jiggler:svr:no-string", b"x"],
        &[b"SET", b"jiggler:svr:too:short", b"{}"],
        &[b"SET", b"jiggler:svr:\xff\xfe", b"{}"],
        &[b"SET", b"jiggler:svr:bb:3:25:default:1:100:7:vm", b"no json"],
        &[b"LPUSH", b"jiggler:list:default:in_progress:bb", b"x"],
        &[b"LPUSH", b"jiggler:list:default", b"x"],
    ] {
        redis.run(command);
    }
    let json = our_json(&redis);
    assert_eq!(json["queues"], json!({ "default": 1 }));
    let processes = json["processes"].as_object().unwrap();
    assert_eq!(processes.len(), 1);
    assert_eq!(processes["jiggler:svr:bb:3:25:default:1:100:7:vm"]["heartbeat"], Value::Null);
    let text = our_text(&redis, 0.0);
    assert!(text.contains("unreadable"), "{text}");
    assert!(text.contains("key jiggler:svr:too:short looks like a heartbeat but is not one"), "{text}");
}

#[test]
fn a_set_of_the_wrong_type_is_named() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:set:retries", b"x"]);
    let error = summary(&database(&redis), Lookup::Register, Format::Json, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().starts_with("read jiggler:set:retries: redis answered WRONGTYPE"), "{error}");
}

#[test]
fn arguments_of_running_jobs_keep_their_numbers() {
    let redis = OwnRedis::start();
    let jobs = r#"{"p0":{"job_args":{"args":[1180591620717411303424,1.0e+21]}}}"#;
    let heartbeat = format!(r#"{{"heartbeat":1.5,"rss":1,"current_jobs":{jobs}}}"#);
    redis.run(&[b"SET", b"jiggler:svr:aa:3:25:default:1:100:7:vm", heartbeat.as_bytes()]);
    let mut out = Vec::new();
    summary(&database(&redis), Lookup::Register, Format::Json, &mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains(jobs));
}

#[test]
fn text_is_aligned_and_complete() {
    let redis = OwnRedis::start();
    for command in [
        &[&b"SET"[..], b"jiggler:stats:processed_counter", b"12345"][..],
        &[b"SET", b"jiggler:stats:failures_counter", b"6"],
        &[b"ZADD", b"jiggler:set:scheduled", b"1", b"a", b"2", b"b"],
        &[b"LPUSH", b"jiggler:list:default", b"x", b"y"],
        &[b"LPUSH", b"jiggler:list:low-priority", b"x"],
        &[
            b"SET",
            b"jiggler:svr:33c754465483:3:25:default,custom:1:1795299730:1668:vm:1",
            br#"{"heartbeat":1795299730.32,"rss":35580,"current_jobs":{}}"#,
        ],
        &[
            b"SET",
            b"jiggler:svr:5dde274f8e29:10:25:img:1:1795299731:12386:\x1b[2J",
            br#"{"heartbeat":1795299700.1,"rss":9216,"current_jobs":{}}"#,
        ],
        &[
            b"SET",
            b"jiggler:uring:process:5dde274f8e29",
            br#"{"phase":"running","troubles":[{"shard":3,"what":"stalled","since":1795299721.2}],"shards":[]}"#,
        ],
    ] {
        redis.run(command);
    }
    let expected = "\
processed      12345
failures           6
retry set          0
scheduled set      2
dead set           0

queue         jobs
default          2
low-priority     1

process         pid  host       concurrency  queues           rss MiB  heartbeat  health
33c754465483   1668  vm:1                 3  default, custom     34.7    5 s ago  unknown
5dde274f8e29  12386  \\u{1b}[2J           10  img                  9.0   35 s ago  shard 3 stalled for 14.0 s
";
    assert_eq!(our_text(&redis, 1_795_299_735.2), expected);
}

/// The members of a process with these figures.
fn with_figures(redis: &OwnRedis, figures: &[u8]) -> Value {
    redis.run(&[b"SET", b"jiggler:svr:aa:3:25:default:1:100:7:vm", br#"{"heartbeat":2.5}"#]);
    redis.run(&[b"SET", b"jiggler:uring:process:aa", figures]);
    our_json(redis)["processes"]["jiggler:svr:aa:3:25:default:1:100:7:vm"].clone()
}

#[test]
fn a_process_of_ours_has_its_health_next_to_the_gems_members() {
    let redis = OwnRedis::start();
    let well = with_figures(&redis, br#"{"phase":"quiet","troubles":[],"shards":[{"processed":3}]}"#);
    assert_eq!(well["health"], json!({"ok": true, "phase": "quiet", "troubles": []}));
    assert!(our_text(&redis, 3.5).contains("1 s ago  quiet\n"));
    let troubles =
        json!([{"shard": 0, "what": "no-redis", "since": 4.5}, {"shard": 2, "what": "silent", "since": 5.0}]);
    let figures = json!({"phase": "running", "troubles": troubles, "shards": []}).to_string();
    let ill = with_figures(&redis, figures.as_bytes());
    assert_eq!(ill["health"], json!({"ok": false, "phase": "running", "troubles": troubles}));
    assert!(our_text(&redis, 6.0).contains("  shard 0 without redis for 1.5 s and 1 more\n"));
}

#[test]
fn figures_that_cannot_be_read_say_nothing() {
    let redis = OwnRedis::start();
    for figures in [&b"no json"[..], b"{}", b"[]", b"\xff"] {
        assert_eq!(with_figures(&redis, figures)["health"], Value::Null);
    }
    assert!(our_text(&redis, 3.5).contains("1 s ago  unknown\n"));
    redis.run(&[b"DEL", b"jiggler:uring:process:aa"]);
    redis.run(&[b"LPUSH", b"jiggler:uring:process:aa", b"x"]);
    assert!(our_text(&redis, 3.5).contains("1 s ago  unknown\n"));
}

#[test]
fn an_empty_database_says_so() {
    let redis = OwnRedis::start();
    let text = our_text(&redis, 0.0);
    assert!(text.contains("no jobs wait in any queue") && text.contains("no process is running"), "{text}");
}
