//! One job, wherever it is, against a real Redis.

use super::*;
use crate::{admin::test_database::database, own_redis::OwnRedis};

const FAILED: &str = r#"{"name":"Report","args":[1,"x"],"retries":5,"jid":"j1","tenant":"acme","error_message":"line one\n\u001b[2Jline two","error_class":"E","attempt":2,"queue":"img","started_at":1795299766.2,"retried_at":1795299782.0,"error_backtrace":["a.rb:1","b.rb:2"]}"#;

fn wanted(jid: &str) -> Wanted {
    Wanted { jid: jid.to_owned(), queue: None, examine_max: 1_000 }
}

fn shown(redis: &OwnRedis, wanted: &Wanted, format: Format) -> Result<String, Error> {
    let mut out = Vec::new();
    show(&database(redis), wanted, format, &mut out).map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn a_dead_job_is_shown_with_every_member_and_its_error_in_full() {
    let redis = OwnRedis::start();
    redis.run(&[b"ZADD", b"jiggler:set:dead", b"1795299800.5", FAILED.as_bytes()]);
    let text = shown(&redis, &wanted("j1"), Format::Text).unwrap();
    for line in [
        "job           Report",
        "jid           j1",
        "place         the dead set",
        "queue         img",
        "died          2026-11-21T22:23:20Z, ",
        "retries       5, at attempt 2",
        "first failed  2026-11-21T22:22:46Z, ",
        "last failed   2026-11-21T22:23:02Z, ",
        "error class   E",
        "error         line one",
        "              \\u{1b}[2Jline two",
        "args          [1,\"x\"]",
        "tenant        \"acme\"",
        "error_backtrace  a.rb:1",
        "              b.rb:2",
    ] {
        assert!(text.lines().any(|shown| shown.starts_with(line)), "`{line}` is missing in:\n{text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&shown(&redis, &wanted("j1"), Format::Json).unwrap()).unwrap();
    assert_eq!((&json["place"], &json["found"]["queue"]), (&"dead".into(), &"img".into()));
    assert_eq!(json["found"]["job"], serde_json::from_str::<serde_json::Value>(FAILED).unwrap());
    assert_eq!((&json["progress"], &json["running"]), (&serde_json::Value::Null, &serde_json::json!([])));
}

#[test]
fn the_failures_that_were_kept_are_shown_one_a_line_and_the_backtrace_below() {
    let redis = OwnRedis::start();
    let kept = r#"{"name":"N","args":[],"jid":"j","failure_history":[{"at":1795299766.2,"attempt":0,"class":"E","message":"one\ntwo"},7,{"at":1795299782.0,"attempt":1,"class":"F","message":"\u001b[2J"}],"failure_backtrace":["0: main","1: start"]}"#;
    redis.run(&[b"ZADD", b"jiggler:set:dead", b"1795299800.5", kept.as_bytes()]);
    let text = shown(&redis, &wanted("j"), Format::Text).unwrap();
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("failures")).collect();
    let starts =
        ["failures      2026-11-21T22:22:46Z, ", "              2026-11-21T22:23:02Z, ", "args          []"];
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{text}");
    }
    assert!(
        lines[0].ends_with(", attempt 0: E: one") && lines[1].ends_with(", attempt 1: F: \\u{1b}[2J"),
        "{text}"
    );
    assert!(text.ends_with("backtrace     0: main\n              1: start\n"), "{text}");
}

#[test]
fn a_waiting_job_is_found_in_its_queue_and_a_running_one_at_its_process() {
    let redis = OwnRedis::start();
    for number in 0..5 {
        redis.run(&[
            b"LPUSH",
            b"jiggler:list:img",
            format!(r#"{{"name":"N","jid":"j{number}"}}"#).as_bytes(),
        ]);
    }
    let text = shown(&redis, &wanted("j3"), Format::Text).unwrap();
    assert!(text.contains("place         queue img\n") && text.contains("job           N\n"), "{text}");
    let in_queue = |queue: &str| Wanted { queue: Some(queue.parse().unwrap()), ..wanted("j3") };
    assert!(shown(&redis, &in_queue("img"), Format::Text).is_ok());
    let error = shown(&redis, &in_queue("mails"), Format::Text).unwrap_err();
    assert!(error.to_string().contains("queue mails (0 of 0 entries"), "{error}");
    let short = Wanted { examine_max: 2, ..wanted("j0") };
    let error = shown(&redis, &short, Format::Text).unwrap_err();
    assert!(error.to_string().contains("queue img (2 of 5 entries examined)"), "{error}");

    let key = b"jiggler:svr:d8625f8721eb:3:25:img:1:1795299901:8066:vm";
    redis.run(&[b"SET", key, br#"{"heartbeat":1,"rss":1,"current_jobs":{}}"#]);
    let figures =
        br#"{"phase":"running","shards":[],"jobs":[{"shard":1,"name":"Long","jid":"runs","since":5.5}]}"#;
    redis.run(&[b"SET", b"jiggler:uring:process:d8625f8721eb", figures]);
    redis.run(&[b"SET", b"jiggler:uring:progress:runs", br#"{"done":3,"total":4,"note":"n","at":1.5}"#]);
    let text = shown(&redis, &wanted("runs"), Format::Text).unwrap();
    assert!(
        text.contains("runs          Long in process d8625f8721eb shard 1 (pid 8066 on vm), for "),
        "{text}"
    );
    assert!(text.contains("progress      3 of 4 (75 %), "), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&shown(&redis, &wanted("runs"), Format::Json).unwrap()).unwrap();
    assert_eq!((&json["place"], &json["running"][0]["shard"]), (&serde_json::Value::Null, &1.into()));
    assert!(matches!(shown(&redis, &wanted("gone"), Format::Json), Err(Error::NotShown { .. })));
}

#[test]
fn what_is_no_job_is_shown_by_its_handle_and_a_long_text_is_cut() {
    let redis = OwnRedis::start();
    redis.run(&[b"LPUSH", b"jiggler:list:img", b"no job"]);
    let entry = Entry { newer: 0, size: 6, score: None, bytes: b"no job".to_vec().into() };
    let handle = crate::view::entry::id(&entry, Schema::Jiggler);
    let text = shown(&redis, &wanted(&handle), Format::Text).unwrap();
    assert!(text.contains("no job        ") && text.contains(&handle), "{text}");
    let long = format!(r#"{{"name":"N","jid":"long","args":["{}"]}}"#, "é".repeat(SHOW_TEXT_CHARS_MAX));
    redis.run(&[b"LPUSH", b"jiggler:list:img", long.as_bytes()]);
    let text = shown(&redis, &wanted("long"), Format::Text).unwrap();
    assert!(text.contains("… (6 more bytes: --json has all)"), "{}", &text[text.len() - 100..]);
}
