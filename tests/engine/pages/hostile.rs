//! Whatever is in Redis is shown harmlessly, secrets are not shown, no parameter and no stranger gets further than it may,
//! and a Redis that hangs is shown as such.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{PAGES, add, alone, browse, browse_with, only_job, page, page_with};
use crate::harness::html::Html;
use crate::harness::http::ask;
use crate::harness::redis::DEAD;
use crate::harness::wait::wait_until;
use crate::harness::{Redis, config_file};

#[test]
fn a_payload_is_shown_exactly_and_what_is_secret_is_not() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let payload = r#"{"name":"Charge","args":[9223372036854775808,1.0e+21,{"user":"ann","password":"hunter2","auth_token":["t0ps3cret"],"note":"\ud800 \u202e"}],"jid":"j1","retries":0,"error_class":"E","error_message":"boom\nat line 2"}"#;
    redis.push("pay", &[payload]);
    add(&redis, DEAD, &[(1_795_299_903.5, payload)]);
    for list in ["/dead", "/queue?queue=pay"] {
        let html = page(&web, list);
        let row = html.row("j1").join(" ");
        assert!(!row.contains("hunter2") && row.contains("9223372036854775808"), "{row}");
        let job = page(&web, &only_job(&html));
        let exact = payload.replace("hunter2", "[hidden]").replace(r#"["t0ps3cret"]"#, r#""[hidden]""#);
        assert_eq!(job.id("payload"), exact);
        let pretty = "[\n  9223372036854775808,\n  1.0e+21,\n  {\n    \"user\": \"ann\",\n    \"password\": \"[hidden]\",\n";
        assert!(job.id("args").starts_with(pretty), "{}", job.id("args"));
        assert!(job.text.contains("2 values are hidden, by the names of their members."));
        assert!(job.text.contains("boom\nat line 2"), "{}", job.text);
    }
    assert!(page(&web, "/dead").elements.iter().any(|(name, all)| {
        name == "time" && all.get("datetime").is_some_and(|at| at == "2026-11-21T22:25:03Z")
    }));
}

#[test]
fn whatever_is_in_redis_is_shown_harmlessly() {
    const SCRIPT: &str =
        "</script></td></pre><script>alert(1)</script><img src=x onerror=alert(2)>\" onclick=\"x";
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let text = serde_json::to_string(&format!("{SCRIPT}\u{1b}[2J\u{202e}\u{0}")).unwrap();
    let hostile = format!(
        r#"{{"name":{text},"args":[{text}],"jid":{text},"queue":{text},"error_class":{text},"error_message":{text}}}"#
    );
    let large = format!(r#"{{"name":"Large","jid":"large","args":["{}"]}}"#, "é".repeat(4 << 20));
    let long = format!(r#"{{"name":"Long","jid":"{}","args":[]}}"#, "j<".repeat(500_000));
    let payloads: [&[u8]; 9] = [
        hostile.as_bytes(),
        long.as_bytes(),
        large.as_bytes(),
        br#"{"name":"Lone","jid":"\ud800","args":["\udfff","\ud800x"]}"#,
        b"{\"name\":\"Bytes\",\"jid\":\"\xff\xfe\",\"args\":[\"\xff<script>\"]}",
        b"<script>alert(3)</script>\x1b[2J",
        br#"{"name":"Broken","args":[1"#,
        br#"{"password":"hunter2", broken <script>"#,
        br#"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]"#,
    ];
    let mut zadd: Vec<&[u8]> = vec![b"ZADD", DEAD.as_bytes()];
    zadd.extend(payloads.iter().flat_map(|payload| [b"1795299903.5".as_slice(), payload]));
    redis.run(&zadd);
    redis.push("any", &payloads);
    redis.push(SCRIPT, &[b"x"]);
    redis.push("bidi\u{202e}\u{1b}[2J", &[b"x"]);
    for list in ["/dead", "/queue?queue=any"] {
        let html = page(&web, list);
        assert_eq!(html.rows.len(), 1 + payloads.len(), "{list}: {:?}", html.rows);
        assert!(!html.text.contains(['\u{202e}', '\u{1b}', '\u{0}']) && !html.text.contains("hunter2"));
        let jobs = html.links("job?");
        assert_eq!(jobs.len(), payloads.len() - 1, "an id that no address has is not linked to");
        for address in jobs {
            let job = page(&web, &format!("/{address}"));
            assert!(!job.text.contains(['\u{202e}', '\u{1b}', '\u{0}']) && !job.text.contains("hunter2"));
            assert!(job.text.contains("Payload, as it is in Redis"), "{address}: {}", job.text);
        }
    }
    let large = page(&web, "/job?place=dead&id=large");
    assert!(large.text.contains("more bytes are not shown here") && large.id("args").contains('…'));
    let lists = page(&web, "/queues");
    assert!(lists.text.contains("bidi\\u{202e}") || lists.text.contains("escaped:bidi"), "{}", lists.text);
    assert_eq!(lists.links("queue?").len(), 3);
    for address in lists.links("queue?") {
        assert!(page(&web, &format!("/{address}")).rows.len() >= 2, "{address}");
    }
    for path in ["/dead", "/queues", "/job"] {
        let encoded = "%3C%2Fscript%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%20onclick%3D%22x%1B%E2%80%AE";
        let html = browse(&web, &format!("{path}?name={encoded}&part={encoded}&id={encoded}"));
        Html::read(&html.body);
    }
}

#[test]
fn every_parameter_is_bounded_and_what_is_wrong_is_said() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    for (path, said) in [
        ("/dead?skip=-1".to_owned(), "parameter skip: give a whole number from 0 to"),
        ("/dead?order=up".to_owned(), "parameter order: give newest, oldest"),
        ("/dead?older=2y".to_owned(), "parameter older: give 10m, 1h"),
        (format!("/dead?name={}", "a".repeat(513)), "parameter name has 513 bytes, at most 512"),
        (format!("/dead?{}", "a&".repeat(3_000)), "the query of this address has 6000 bytes"),
        ("/job".to_owned(), "parameter id: give the id of a job"),
        ("/job?id=x&place=queue".to_owned(), "parameter queue: give the name of a queue"),
        ("/queue".to_owned(), "parameter queue: give the name of a queue"),
        ("/queue?queue=escaped:%5Cq".to_owned(), "parameter queue: give another name:"),
    ] {
        let html = page_with(&web, &path, 400);
        assert!(html.text.contains(said), "{path}: {}", html.text);
    }
    let post = "POST /dead HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(web.web_address(), post).status, 405, "pages change nothing");
}

#[test]
fn pages_are_for_those_of_the_file_alone() {
    const TOKEN: &str = "0f3b6c52a97e41d8";
    let redis = Redis::start();
    let file = config_file(&format!("{TOKEN}\n"));
    let web = alone(&redis, &["--web-auth", &file.path()]);
    redis.push("mail", &["x"]);
    for path in PAGES.iter().chain(&["/style.css", "/job?id=x"]) {
        let answer = browse(&web, path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("mail"), "{path}: {}", answer.body);
    }
    let known = browse_with(&web, "/queues", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(known.status, 200);
    Html::read(&known.body);
}

/// Goes on when dropped.
pub(super) struct Stopped<'r>(&'r Redis);

impl<'r> Stopped<'r> {
    pub(super) fn of(redis: &'r Redis) -> Self {
        signal(redis, "STOP");
        Self(redis)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

fn signal(redis: &Redis, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -s {name} {}", redis.pid())]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_redis_that_hangs_is_shown_as_such_within_two_seconds_with_what_was_known_last() {
    let redis = Redis::start();
    let (web, late) = (alone(&redis, &[]), alone(&redis, &[]));
    redis.push("mail", &["x", "y"]);
    wait_until("it is read", || page(&web, "/").text.contains("2 jobs wait in 1 queue"));
    // Where it listens is in its log.
    late.web_address();
    let stopped = Stopped::of(&redis);
    wait_until("what was read is no longer fresh", || browse(&web, "/").status == 503);
    for path in PAGES.iter().chain(&["/job?id=x"]) {
        let began = Instant::now();
        let html = page_with(&web, path, 503);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{path} took {took:?}");
        assert!(html.text.contains("Redis has not answered for"), "{path}: {}", html.text);
        assert!(html.text.contains("What is shown was read"), "{path}");
    }
    assert!(page_with(&web, "/queues", 503).row("mail")[1] == "2");
    // One that has never read anything says so.
    let began = Instant::now();
    let html = page_with(&late, "/", 503);
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(html.text.contains("Nothing was read since this server started."), "{}", html.text);
    assert_eq!(late.get("/health/live").status, 200);
    drop(stopped);
    for server in [&web, &late] {
        wait_until("pages are read again", || browse(server, "/queues").status == 200);
        assert!(!page(server, "/queues").text.contains("has not answered"));
    }
}
