//! What `jobs` shows of a real Redis, and how far it looks.

use std::time::Duration;

use super::*;
use crate::admin::test_database::database;
use crate::{
    limits::ENTRY_HEAD_BYTES,
    own_redis::OwnRedis,
    store::entries::{Order, Place, Set},
    view::filter::{Filter, NamePattern},
};

fn query(place: Place) -> Query {
    Query {
        place,
        filter: Filter::default(),
        skip: 0,
        limit: 25,
        examine_max: 1_000,
        order: Order::Newest,
        older: None,
        groups: false,
    }
}

fn img() -> Place {
    Place::Queue("img".parse().unwrap())
}

fn show(redis: &OwnRedis, query: &Query, format: Format) -> String {
    let mut out = Vec::new();
    jobs(&database(redis), query, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(redis: &OwnRedis, query: &Query) -> String {
    show(redis, query, Format::Text)
}

fn json(redis: &OwnRedis, query: &Query) -> serde_json::Value {
    serde_json::from_str(&show(redis, query, Format::Json)).unwrap()
}

/// `count` jobs, every tenth of them named `Rare`; the first pushed is number 0.
fn fill(redis: &OwnRedis, count: usize) {
    for number in 0..count {
        let name = if number % 10 == 0 { "Rare" } else { "Common" };
        let payload = format!(r#"{{"name":"{name}","args":[{number}],"retries":0,"jid":"j{number}"}}"#);
        redis.run(&[b"LPUSH", b"jiggler:list:img", payload.as_bytes()]);
    }
}

#[test]
fn pages_follow_one_another_from_the_newest_to_the_oldest_and_back() {
    let redis = OwnRedis::start();
    assert_eq!(text(&redis, &query(img())), "no jobs in queue img\n");
    fill(&redis, 5);
    let page = |skip, order| Query { skip, limit: 2, order, ..query(img()) };
    assert_eq!(
        text(&redis, &page(0, Order::Newest)),
        "jid  job     args\nj4   Common  [4]\nj3   Common  [3]\n\n1 to 2 of 5 in queue img, newest first; continue with --skip 2\n"
    );
    assert_eq!(
        text(&redis, &page(4, Order::Newest)),
        "jid  job   args\nj0   Rare  [0]\n\n5 to 5 of 5 in queue img, newest first\n"
    );
    let said = text(&redis, &page(0, Order::Oldest));
    assert!(said.contains("j0   Rare    [0]\nj1   Common  [1]\n") && said.contains("oldest first"), "{said}");
    assert_eq!(text(&redis, &page(9, Order::Newest)), "nothing there: queue img has 5 jobs\n");
}

#[test]
fn a_filter_examines_as_much_as_it_may_and_says_where_to_continue() {
    let redis = OwnRedis::start();
    fill(&redis, 1_200);
    let rare = Filter { name: Some(NamePattern::parse("Rare")), ..Filter::default() };
    let search =
        |skip, limit, examine_max| Query { filter: rare.clone(), skip, limit, examine_max, ..query(img()) };
    let last = |query: &Query| text(&redis, query).lines().last().unwrap().to_owned();
    assert_eq!(
        last(&search(0, 500, 1_000)),
        "100 found in 1000 examined of 1200 in queue img, newest first; continue with --skip 1000"
    );
    assert_eq!(
        last(&search(1_000, 500, 1_000)),
        "20 found in 200 examined of 1200 in queue img, newest first"
    );
    assert_eq!(
        last(&search(0, 3, 1_000)),
        "3 found in 30 examined of 1200 in queue img, newest first; continue with --skip 30"
    );
    let jid = Query { filter: Filter::jid("j0"), examine_max: 5_000, ..query(img()) };
    assert_eq!(last(&jid), "1 found in 1200 examined of 1200 in queue img, newest first");
    let found = json(&redis, &search(1_000, 2, 1_000));
    assert_eq!(found["jobs"][0]["job"]["jid"], "j190");
    assert_eq!((&found["examined"], &found["next_skip"]), (&20.into(), &1_020.into()));
}

#[test]
fn json_is_one_object_with_the_payloads_unchanged() {
    let redis = OwnRedis::start();
    let empty = serde_json::json!({
        "place": "dead", "queue": null, "total": 0, "skip": 0, "jobs": [], "examined": 0, "next_skip": null
    });
    assert_eq!(json(&redis, &query(Place::Set(Set::Dead))), empty);
    let payload = r#"{"name":"N","args":[1.0e+21],"jid":"j","other":{"a":[]}}"#;
    redis.run(&[b"ZADD", b"jiggler:set:dead", b"7.5", payload.as_bytes()]);
    redis.run(&[b"ZADD", b"jiggler:set:dead", b"6", b"\xff no job"]);
    let said = show(&redis, &query(Place::Set(Set::Dead)), Format::Json);
    assert!(said.contains(payload), "{said}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["jobs"][0]["score"], 7.5);
    assert_eq!(said["jobs"][1]["base64"], "/yBubyBqb2I=");
    assert_eq!((&said["total"], &said["next_skip"]), (&2.into(), &serde_json::Value::Null));
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let redis = OwnRedis::start();
    let escapes = "{\"name\":\"\\u001b[2J\",\"jid\":\"\\u0007\",\"args\":[\"\u{9b}31m\"]}";
    redis.run(&[b"LPUSH", b"jiggler:list:img", escapes.as_bytes()]);
    redis.run(&[b"LPUSH", b"jiggler:list:img", b"\x1b]0;title\x07\r\n"]);
    let said = text(&redis, &query(img()));
    assert!(said.chars().all(|character| character == '\n' || !character.is_control()), "{said:?}");
}

#[test]
fn a_page_of_large_payloads_is_read_part_by_part() {
    let redis = OwnRedis::start();
    let large = |name: &str, bytes: usize| {
        format!(r#"{{"name":"{name}","args":["{}"],"jid":"j-{name}"}}"#, "x".repeat(bytes))
    };
    for number in 0..6 {
        redis.run(&[b"LPUSH", b"jiggler:list:img", large(&format!("L{number}"), 3 * 1024 * 1024).as_bytes()]);
    }
    let buried =
        format!(r#"{{"name":"InvalidPayload","args":[],"jid":"b","raw_base64":"{}"}}"#, "A".repeat(24 << 20));
    redis.run(&[b"LPUSH", b"jiggler:list:img", buried.as_bytes()]);
    let said = text(&redis, &query(img()));
    assert!(said.contains("1 to 7 of 7") && said.contains("j-L0") && said.contains("j-L5"), "{said}");
    assert!(said.contains("InvalidPayload (about 18874368 bytes that are not a job)"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() < 300), "{said}");
    let said = json(&redis, &Query { limit: 1, ..query(img()) });
    assert_eq!((&said["jobs"][0]["whole"], &said["jobs"][0]["bytes"]), (&false.into(), &buried.len().into()));
    assert!(said["jobs"][0]["base64"].as_str().unwrap().len() < 2 * ENTRY_HEAD_BYTES);
}

#[test]
fn failed_jobs_are_found_by_class_message_and_age_and_counted_in_groups() {
    let redis = OwnRedis::start();
    let now = unix_now();
    for number in 0..6 {
        let class = if number < 4 { "Net::ReadTimeout" } else { "E" };
        let job = format!(
            r#"{{"name":"Item","args":[],"jid":"j{number}","error_class":"{class}","error_message":"item {number}: late"}}"#
        );
        let died = (now - 3_600.0 * f64::from(number)).to_string();
        redis.run(&[b"ZADD", b"jiggler:set:dead", died.as_bytes(), job.as_bytes()]);
    }
    let dead = || query(Place::Set(Set::Dead));
    let jids = |query: &Query| {
        let said = json(&redis, query);
        let jobs = said["jobs"].as_array().unwrap().clone();
        jobs.iter().map(|job| job["job"]["jid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let class = Filter { class: Some(NamePattern::parse("Net::*")), ..Filter::default() };
    assert_eq!(jids(&Query { filter: class.clone(), ..dead() }), ["j0", "j1", "j2", "j3"]);
    let error = Filter { error: Some("item 4".to_owned()), ..Filter::default() };
    assert_eq!(jids(&Query { filter: error, ..dead() }), ["j4"]);
    let older = Some(Duration::from_secs(9_000));
    assert_eq!(jids(&Query { older, ..dead() }), ["j3", "j4", "j5"]);
    assert_eq!(jids(&Query { filter: class, older, ..dead() }), ["j3"]);

    let grouped = json(&redis, &Query { groups: true, ..dead() });
    assert_eq!(
        (&grouped["place"], &grouped["examined"], &grouped["others"]),
        (&"dead".into(), &6.into(), &0.into())
    );
    let first = &grouped["groups"][0];
    assert_eq!((&first["jobs"], &first["class"]), (&4.into(), &"Net::ReadTimeout".into()));
    assert_eq!((&first["error"], &first["name"]), (&"item #: late".into(), &"Item".into()));
    let shown = text(&redis, &Query { groups: true, limit: 1, ..dead() });
    assert!(shown.contains("   4  Item  Net::ReadTimeout: item #: late  j"), "{shown}");
    assert!(
        shown.contains("and 2 jobs in other groups") && shown.contains("6 jobs of 6 examined of 6"),
        "{shown}"
    );
}
