//! The table of periodic jobs, as operators change and see it.

use super::*;
use crate::admin::test_database::database;
use crate::client::NewJob;
use crate::limits::CRON_TICKS_SHOWN;
use crate::own_redis::OwnRedis;

fn run(redis: &OwnRedis, action: &CronAction) -> Result<String, Error> {
    let mut out = Vec::new();
    cron(&database(redis), action, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn add(name: &str, schedule: &str, replaces: bool) -> CronAction {
    let job = NewJob::new("Report", &["x"]).unwrap().queue_named("img").unwrap();
    let entry = CronEntry::new(name, schedule, "Europe/Berlin", job).unwrap();
    CronAction::Edit(name.to_owned(), Edit::Add { entry: Box::new(entry), replaces })
}

#[test]
fn an_entry_is_added_shown_paused_run_and_removed() {
    let redis = OwnRedis::start();
    assert_eq!(run(&redis, &CronAction::List(Format::Text)).unwrap(), "there are no periodic jobs\n");
    let said = run(&redis, &add("nightly", "0 3 * * *", false)).unwrap();
    assert!(said.starts_with("nightly: added, every day at 03:00 Europe/Berlin; first 2"), "{said}");
    let note = "\nnote: no worker is running on this redis: jobs in queue img wait for one\n";
    assert!(said.ends_with(note), "{said}");
    let taken = run(&redis, &add("nightly", "0 4 * * *", false)).unwrap_err();
    assert_eq!(
        taken.to_string(),
        "cron nightly: there is one already, from the command; --replace takes its place"
    );
    run(&redis, &add("nightly", "0 4 * * *", true)).unwrap();

    let name = || "nightly".to_owned();
    assert_eq!(run(&redis, &CronAction::Edit(name(), Edit::Pause)).unwrap(), "nightly: paused\n");
    let text = run(&redis, &CronAction::List(Format::Text)).unwrap();
    assert!(text.starts_with("nightly: every day at 04:00 Europe/Berlin, paused\n"), "{text}");
    assert!(
        text.contains("  job   Report [\"x\"] in img, from command, catch up last, overlap allow\n"),
        "{text}"
    );
    assert!(text.contains("  last  never; 0 pushed, 0 left out, 0 skipped\n"), "{text}");
    run(&redis, &CronAction::Edit(name(), Edit::Resume)).unwrap();

    let said = run(&redis, &CronAction::Edit(name(), Edit::Run)).unwrap();
    let jobs = redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]);
    let jid = said.trim_end().strip_prefix("nightly: pushed as ").unwrap();
    assert!(jobs.len() == 1 && jobs[0].contains(jid), "{jobs:?}");
    let json = run(&redis, &CronAction::List(Format::Json)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let entry = &json["entries"][0];
    assert_eq!((&entry["name"], &entry["pushed"]), (&"nightly".into(), &1.into()));
    assert_eq!(entry["next"].as_array().unwrap().len(), CRON_TICKS_SHOWN);
    assert_eq!(entry["entry"]["words"], "every day at 04:00 Europe/Berlin");
    assert_eq!((&entry["last"]["jid"], &entry["last"]["outcome"]), (&jid.into(), &"queued".into()));

    assert_eq!(run(&redis, &CronAction::Edit(name(), Edit::Remove)).unwrap(), "nightly: removed\n");
    for action in [
        CronAction::Edit(name(), Edit::Remove),
        CronAction::Edit(name(), Edit::Run),
        CronAction::Edit(name(), Edit::Pause),
    ] {
        let error = run(&redis, &action).unwrap_err();
        assert_eq!(error.to_string(), "cron nightly: there is none", "{action:?}");
    }
    let left = redis.strings(&[b"KEYS", b"jiggler:uring:cron:*"]);
    assert_eq!(left, [""; 0]);
}

#[test]
fn ticks_that_were_late_and_those_that_the_last_run_held_back_are_counted_apart() {
    let redis = OwnRedis::start();
    run(&redis, &add("nightly", "0 3 * * *", false)).unwrap();
    let ran = br#"{"last":{"jid":"j"},"pushed":4,"missed":2,"skipped":3,"skipped_tick":1000}"#;
    redis.run(&[b"HSET", b"jiggler:uring:cron:runs", b"nightly", ran]);
    let text = run(&redis, &CronAction::List(Format::Text)).unwrap();
    assert!(text.contains(" as j: done; 4 pushed, 2 left out, 3 skipped\n"), "{text}");
    assert!(text.ends_with("  skip  the last run still lived at 1970-01-01T00:00:01Z\n"), "{text}");
}

#[test]
fn what_is_spoilt_is_shown_with_the_others_and_can_be_replaced() {
    let redis = OwnRedis::start();
    run(&redis, &add("good", "@hourly", false)).unwrap();
    for (name, value) in [("bad\u{1b}[2J", "{"), ("worse", r#"{"schedule":"0 0 30 2 *","job":"J"}"#)] {
        redis.run(&[b"HSET", b"jiggler:uring:cron:entries", name.as_bytes(), value.as_bytes()]);
    }
    let text = run(&redis, &CronAction::List(Format::Text)).unwrap();
    assert!(text.contains("bad\\u{1b}[2J: spoilt: what is stored is not a periodic job"), "{text}");
    assert!(text.contains("worse: spoilt: the schedule `0 0 30 2 *` never comes"), "{text}");
    assert!(text.contains("good: every hour Europe/Berlin\n"), "{text}");
    run(&redis, &add("worse", "@daily", true)).unwrap();
    run(&redis, &CronAction::Edit("bad\u{1b}[2J".to_owned(), Edit::Remove)).unwrap();
    assert!(!run(&redis, &CronAction::List(Format::Text)).unwrap().contains("spoilt"));
}

/// Each last run is in another place; the queues are more than one call looks at.
#[test]
fn the_outcome_of_the_last_run_is_shown_with_why_it_failed() {
    let redis = OwnRedis::start();
    let failed = |jid: &str, class: &str| {
        format!(
            r#"{{"name":"J","jid":"{jid}","args":[],"error_class":"{class}","error_message":"no\u001b room"}}"#
        )
    };
    let add = |name: &str, queue: &str| {
        let entry = format!(r#"{{"schedule":"@daily","job":"J","queue":"{queue}"}}"#);
        let ran = format!(r#"{{"last":{{"tick":1000,"at":1000,"jid":"jid of {name}"}},"pushed":1}}"#);
        redis.run(&[b"HSET", b"jiggler:uring:cron:entries", name.as_bytes(), entry.as_bytes()]);
        redis.run(&[b"HSET", b"jiggler:uring:cron:runs", name.as_bytes(), ran.as_bytes()]);
    };
    for number in 0..10 {
        add(&format!("done {number}"), &format!("q{number}"));
    }
    for name in ["queued", "running", "retrying", "dead", "scheduled"] {
        add(name, "work");
    }
    redis.run(&[b"LPUSH", b"jiggler:list:work", br#"{"name":"J","jid":"jid of queued"}"#]);
    redis.run(&[b"ZADD", b"jiggler:uring:leases", b"9e15", b"aa:1:work"]);
    let running = br#"{"name":"J","jid":"jid of running"}"#;
    redis.run(&[b"RPUSH", b"{jiggler:list:work}:inflight:aa:0:w", running]);
    for (set, name) in [("retries", "retrying"), ("dead", "dead"), ("scheduled", "scheduled")] {
        let job = failed(&format!("jid of {name}"), "Broken");
        redis.run(&[b"ZADD", format!("jiggler:set:{set}").as_bytes(), b"5", job.as_bytes()]);
    }
    let json = run(&redis, &CronAction::List(Format::Json)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    for entry in json["entries"].as_array().unwrap() {
        let (name, last) = (entry["name"].as_str().unwrap(), &entry["last"]);
        assert_eq!(last["outcome"], name.split(' ').next().unwrap(), "{name}");
        let why = ["retrying", "dead", "scheduled"].contains(&name).then_some("Broken: no\u{1b} room");
        assert_eq!(last["error"].as_str(), why, "{name}");
    }
    let text = run(&redis, &CronAction::List(Format::Text)).unwrap();
    assert!(text.contains(", as jid of dead: dead: Broken: no\\u{1b} room; 1 pushed, "), "{text}");
}

#[test]
fn the_summary_counts_periodic_jobs_and_names_the_next() {
    let redis = OwnRedis::start();
    let seen = |now: f64| {
        let periodic = overview::overview(&database(&redis), &std::collections::BTreeSet::new()).unwrap();
        periodic.map(|periodic| {
            let mut out = Vec::new();
            overview::write(&periodic, now, &mut out).unwrap();
            (String::from_utf8(out).unwrap(), serde_json::to_value(&periodic).unwrap())
        })
    };
    assert_eq!(seen(0.0), None);
    for name in ["later", "first", "paused"] {
        run(&redis, &add(name, "0 3 * * *", false)).unwrap();
    }
    redis.run(&[b"ZADD", b"jiggler:uring:cron:ticks", b"90000", b"first"]);
    run(&redis, &CronAction::Edit("paused".to_owned(), Edit::Pause)).unwrap();
    redis.run(&[b"ZADD", b"jiggler:uring:cron:ticks", b"80000", b"paused"]);
    redis.run(&[b"HSET", b"jiggler:uring:cron:entries", b"spoilt", b"{"]);
    let (text, json) = seen(60.0).unwrap();
    let counts = "4 (1 paused, 1 spoilt, which `cron list` names)";
    assert_eq!(text, format!("periodic jobs: {counts}, next first in 30 s\n"));
    let next = serde_json::json!({"name": "first", "at": "1970-01-01T00:01:30Z"});
    let expected = serde_json::json!({"entries": 4, "paused": 1, "spoilt": 1, "next": next});
    assert_eq!(json, expected);

    redis.run(&[b"DEL", b"jiggler:uring:cron:runs"]);
    redis.run(&[b"SET", b"jiggler:uring:cron:runs", b"x"]);
    let (text, _) = seen(60.0).unwrap();
    assert!(text.starts_with("periodic jobs: 4; their table cannot be read: "), "{text}");
}
