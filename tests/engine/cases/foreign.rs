//! What others put into Redis is shown within bounds, and nothing invisible in it reaches a terminal.

use crate::harness::redis::DEAD;
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, json, output_of};

/// Controls terminals, reverses the writing direction, hides: none of it may get through.
const EVIL: &str = "a\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}\u{7}z";

#[track_caller]
fn assert_visible(what: &str, text: &str) {
    let evil: Vec<char> = EVIL.chars().filter(|c| !c.is_ascii_graphic()).collect();
    let found: Vec<char> = text.chars().filter(|c| evil.contains(c)).collect();
    assert!(found.is_empty(), "{what} shows {found:?}: {text:?}");
}

#[test]
fn tables_show_names_of_any_length_and_kind() {
    let redis = Redis::start();
    let long = "q".repeat(70_000);
    let payload = serde_json::json!({"name": EVIL, "jid": EVIL, "args": [EVIL], "queue": EVIL,
        "error_class": EVIL, "error_message": EVIL});
    for queue in [&long, EVIL] {
        redis.push(queue, &[payload.to_string()]);
    }
    redis.run(&["ZADD", DEAD, "1795299901", &payload.to_string()]);
    let host = format!("{EVIL}{long}");
    let key = format!("jiggler:svr:00c0ffee0000:3:25:{EVIL}:1:1795299901:8066:{host}");
    redis.run(&["SET", &key, r#"{"heartbeat":1.5,"rss":1,"current_jobs":{}}"#]);
    redis.run(&["SET", &format!("jiggler:svr:{EVIL}"), "no heartbeat"]);
    for args in [
        &["summary"][..],
        &["queues"],
        &["top", "--once"],
        &["processes"],
        &["jobs", "dead"],
        &["quiet", "--all"],
        &["doctor"],
    ] {
        let output = output_of(&[args, &["--redis-url", &redis.url()]].concat());
        let (text, said) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(
            !said.contains("panicked") && output.status.code().is_some_and(|code| code < 2),
            "{args:?}: {said}"
        );
        assert_visible(&format!("{args:?}"), &(text.clone() + &said));
        assert!(text.lines().all(|line| line.chars().count() < 2_000), "{args:?}: an unbounded line");
    }
    for args in [&["summary", "--json"][..], &["jobs", "dead", "--json"]] {
        let output = output_of(&[args, &["--redis-url", &redis.url()]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_visible(&format!("{args:?}"), &text);
        assert!(text.contains("\\u202e"), "{args:?}: {text}");
        json(&text);
    }
    let jobs = output_of(&["jobs", "dead", "--json", "--redis-url", &redis.url()]);
    let jobs = json(String::from_utf8(jobs.stdout).unwrap());
    assert_eq!(jobs["jobs"][0]["job"]["name"], EVIL, "JSON is exact");
}

#[test]
fn the_log_shows_names_of_any_kind() {
    let redis = Redis::start();
    let job = serde_json::json!({"name": EVIL, "jid": EVIL, "args": [], "retries": 0});
    redis.push("default", &[job.to_string(), EVIL.to_owned()]);
    for format in ["text", "json"] {
        redis.push("default", &[job.to_string(), EVIL.to_owned()]);
        let failures = redis.failures();
        let mut worker = Worker::launch(&redis.url(), &["-v", "--unknown", "fail", "--log-format", format]);
        wait_until("they are settled", || redis.failures() >= failures + 2);
        worker.stop();
        assert_visible(format, &worker.lines("").concat());
    }
}

/// A payload so large that its dead entry is more than is read as a whole.
#[test]
fn a_large_dead_entry_shows_its_reason_and_its_size() {
    let redis = Redis::start();
    redis.push("default", &["x".repeat(13_000_000)]);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("it is buried", || redis.count(DEAD) == 1);
    worker.stop();
    let output = output_of(&["jobs", "dead", "--redis-url", &redis.url()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("not JSON") && text.contains("about 1300000"), "{text}");
    let output = output_of(&["jobs", "dead", "--json", "--redis-url", &redis.url()]);
    let found = json(String::from_utf8(output.stdout).unwrap());
    let why = found["jobs"][0]["no_job"].as_str().unwrap();
    assert!(why.contains("not JSON"), "{why}");
}

#[test]
fn an_entry_without_a_jid_or_with_a_number_can_be_acted_on() {
    let redis = Redis::start();
    for (score, payload) in [("1795299901", r#"{"name":"N","jid":4711}"#), ("1795299902", r#"{"name":"M"}"#)]
    {
        redis.run(&["ZADD", DEAD, score, payload]);
    }
    let run = |args: &[&str]| {
        let output = output_of(&[args, &["--redis-url", &redis.url()]].concat());
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["jobs", "dead"]);
    let entry = text.split_whitespace().find(|word| word.starts_with("entry:")).unwrap().to_owned();
    run(&["retry", "4711"]);
    run(&["delete", &entry, "--yes"]);
    assert_eq!(redis.count(DEAD), 0);
    assert_eq!(redis.queue("default"), [r#"{"name":"N","jid":4711}"#]);
}
