//! Pages of the past, of what fails, and of why a job waits.

use super::{add, alone, browse, page};
use crate::harness::Redis;
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::internal::time::unix_now;
use crate::internal::wire::keys::JIGGLER;

/// 24 jobs of class Mail in queue mail that were done and 6 that failed, in 16 ms each, as `wire::history` has it.
const SLICE: &[u8] = b"\0\0\0\0\0\x01\x04mail\x04Mail\x03\x18\x06\x01\x0a\x1e\x05\0";

pub(super) fn keep(redis: &Redis, hours_ago: u64) {
    let hour = unix_now() as u64 / 3_600 - hours_ago;
    let (key, field) = (JIGGLER.history_hours(hour / 24), hour.to_string());
    redis.run(&[b"HSET", key.as_bytes(), field.as_bytes(), SLICE]);
}

#[test]
fn the_past_is_drawn_listed_by_class_and_downloaded() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    assert!(page(&web, "/classes?range=1h").text.contains("No jobs have run in this time"));
    for hours_ago in [2, 3, 40] {
        keep(&redis, hours_ago);
    }
    let history = page(&web, "/history?range=72h");
    assert!(history.text.contains("Jobs each hour: done 24, failed 6"), "{}", history.text);
    assert_eq!(history.rows.iter().filter(|row| row[1..] == ["24", "6"]).count(), 3);
    let drawn =
        history.elements.iter().filter(|(name, all)| name == "path" && all["class"].starts_with("line"));
    assert!(drawn.clone().any(|(_, all)| all["class"] == "line failed" && all["d"].starts_with('M')));
    for range in ["1h", "24h", "7d", "30d", "90d", "365d"] {
        assert_eq!(browse(&web, &format!("/history?range={range}")).status, 200, "{range}");
    }
    let classes = page(&web, "/classes?range=24h");
    assert_eq!(classes.row("Mail")[1..6], ["mail", "48", "12", "0", "20.0 %"]);
    assert!(classes.text.contains("up to 16 ms"), "{}", classes.text);
    // What is known is the bucket: no run is said to be longer than it was.
    assert_eq!(classes.row("Mail")[6..], ["≤ 16 ms", "≤ 16 ms", "≤ 16 ms"]);
    assert_eq!(page(&web, "/classes?range=72h").row("Mail")[2], "72");
    let csv = browse(&web, "/history.csv?range=72h");
    assert!(csv.head.to_lowercase().contains("content-disposition: attachment"), "{}", csv.head);
    let lines: Vec<&str> = csv.body.lines().collect();
    assert_eq!(lines.len(), 1 + 3, "{}", csv.body);
    assert!(lines[1].contains("Z,\"mail\",\"Mail\",24,6,0,0,0,0,0,0,"), "{}", lines[1]);
    assert_eq!(browse(&web, "/history?range=1y").status, 400);
    assert_eq!(browse(&web, "/?range=2h").status, 400);
    for range in ["1000s", "1h", "24h"] {
        let overview = page(&web, &format!("/?range={range}"));
        assert_eq!(overview.links("./?range=").len(), 3, "{range}");
        assert!(overview.text.contains("Jobs a second: "), "{range}");
        assert!(overview.text.contains("Jobs that wait, by queue: "), "{range}");
    }
    let day = page(&web, "/?range=24h").text;
    assert!(day.contains("Jobs a second: done 0.007, failed 0.002"), "{day}");
}

#[test]
fn errors_are_counted_by_kind_with_when_they_were_seen() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let now = unix_now();
    let job = |number: u32, class: &str, ago: f64| {
        let (first, last) = (now - ago, now - ago / 2.0);
        format!(
            r#"{{"name":"Mail","jid":"j{number}","args":["user{number}@example.org",{{"token":"t0ps3cret"}}],"queue":"q{}","error_class":"{class}","error_message":"host {number} down","started_at":{first},"retried_at":{last}}}"#,
            number % 2
        )
    };
    let jobs: Vec<String> = (0..5).map(|number| job(number, "Net::Timeout", 7_200.0)).collect();
    let dead: Vec<(f64, &str)> = jobs[..3].iter().map(|job| (now - 3_600.0, job.as_str())).collect();
    add(&redis, DEAD, &dead);
    let other = job(9, "Oops", 600.0);
    add(&redis, RETRIES, &[(now + 60.0, &jobs[3]), (now + 60.0, &jobs[4]), (now + 60.0, &other)]);
    // These wait there without having failed.
    let snoozed = r#"{"name":"Poll","jid":"s","args":[],"retry_at":9,"queue":"q"}"#;
    let left =
        r#"{"name":"Other","jid":"l","args":[],"retry_at":9,"queue":"q","left_since":1,"left_until":9}"#;
    add(&redis, RETRIES, &[(now + 90.0, snoozed), (now + 9.0, left)]);
    let html = page(&web, "/errors");
    assert_eq!(html.rows.len(), 1 + 2, "{:?}", html.rows);
    let said = "5 of 5 jobs in the retry set examined, the newest first; 2 of them wait there without having failed.";
    assert!(html.text.contains(said), "{}", html.text);
    assert_eq!(html.rows[1][..5], ["Mail", "Net::Timeout", "host # down", "2", "3"]);
    assert_eq!(html.rows[1][5..], [" 5", "2 h ago", "60 min ago"]);
    assert_eq!(html.rows[2][1..5], ["Oops", "host # down", "1", "0"]);
    assert!(html.text.contains("3 of 3 jobs in the dead set examined"), "{}", html.text);
    let links = html.links("dead?");
    assert_eq!(page(&web, &format!("/{}", links[0])).rows.len(), 1 + 3);
    // Found by a value of their arguments and by their queue; what is hidden is not found either.
    for (query, expected) in [
        ("args=user1%40", 1),
        ("args=example", 3),
        ("from=q1", 1),
        ("from=q0&args=user2", 1),
        ("args=t0ps3cret", 0),
        ("args=t0", 0),
    ] {
        let found = page(&web, &format!("/dead?{query}"));
        assert_eq!(found.rows.len().saturating_sub(1), expected, "{query}: {:?}", found.rows);
    }
}

#[test]
fn the_last_failure_of_a_dead_job_is_the_one_of_which_it_died() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let (now, error) = (unix_now(), r#""error_class":"E","error_message":"m","#);
    let times = format!(r#""started_at":{},"retried_at":{}"#, now - 14_400.0, now - 7_200.0);
    let job = format!(r#"{{"name":"Mail","jid":"j","args":[],"retries":2,"attempt":2,{error}{times}}}"#);
    add(&redis, DEAD, &[(now - 600.0, &job)]);
    let text = page(&web, "/job?place=dead&id=j").text;
    assert!(text.contains("First failed4 h ago") && text.contains("Last failed10 min ago"), "{text}");
}

#[test]
fn a_jobs_page_says_what_it_waits_for() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let job =
        |jid: &str| format!(r#"{{"name":"Mail","jid":"{jid}","args":[],"queue":"mail","error_class":"E"}}"#);
    redis.push("mail", &[job("first"), job("second")]);
    add(&redis, DEAD, &[(unix_now(), &job("dead"))]);
    let paused = format!(r#"{{"queues":{{"mail":{{"at":{},"by":"ann","why":"a bug"}}}}}}"#, unix_now());
    redis.run(&["SET", "jiggler:uring:paused", &paused]);
    wait_until("the pause is seen", || {
        let html = page(&web, "/job?place=queue&queue=mail&id=second");
        let why = html.id("why").to_owned();
        why.contains("its queue is paused since") && why.contains("by ann: a bug")
    });
    let why = page(&web, "/job?place=queue&queue=mail&id=second").id("why").to_owned();
    assert!(why.contains("no living process serves queue mail"), "{why}");
    assert!(why.contains("it is number 2 of 2 in its queue"), "{why}");
    let dead = page(&web, "/job?place=dead&id=dead").id("why").to_owned();
    assert!(dead.contains("it is dead since"), "{dead}");
}
