//! `why` names what a job waits for, and what it does not know it does not claim.

use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{Redis, Worker, config_file, json, output_of};

/// The words of the reasons, and the whole answer.
#[track_caller]
fn why(redis: &Redis, jid: &str) -> (Vec<String>, serde_json::Value) {
    let output = output_of(&["why", jid, "--json", "--redis-url", &redis.url()]);
    assert!(output.status.success(), "{output:?}");
    let answer = json(&output.stdout);
    let reasons = answer["reasons"].as_array().unwrap();
    (reasons.iter().map(|reason| reason["what"].as_str().unwrap().to_owned()).collect(), answer)
}

fn job(name: &str, jid: &str) -> String {
    format!(r#"{{"name":"{name}","args":[60],"jid":"{jid}"}}"#)
}

#[test]
fn a_job_in_a_queue_waits_for_a_process_a_slot_other_queues_or_its_turn() {
    let redis = Redis::start();
    redis.push("low", &[job("Sleep", "first"), job("Sleep", "second")]);
    let (reasons, answer) = why(&redis, "second");
    assert_eq!(reasons, ["nobody-serves", "position"]);
    assert_eq!((&answer["nth"], &answer["of"], &answer["place"]), (&2.into(), &2.into(), &"queue".into()));
    redis.run(&["DEL", "jiggler:list:low"]);
    let mut worker = Worker::start(&redis, &["-q", "high:2,low:1", "-c", "1", "-t", "1"]);
    redis.push("high", &[job("Sleep", "runs")]);
    wait_until("it runs", || redis.queue("high").is_empty());
    redis.push("high", &[job("Sleep", "before")]);
    redis.push("low", &[job("Sleep", "behind"), job("Nobody", "unknown")]);
    let (_, answer) = wait_for("the process names what it runs", || {
        let (reasons, answer) = why(&redis, "runs");
        (reasons == ["running"]).then_some((reasons, answer))
    });
    assert!(answer["reasons"][0]["text"].as_str().unwrap().contains("at shard 0 of process"), "{answer}");
    assert_eq!(answer["name"], "Sleep", "{answer}");
    let reasons = wait_for("it tells that its slot is taken", || {
        let (reasons, _) = why(&redis, "behind");
        reasons.contains(&"no-slot".to_owned()).then_some(reasons)
    });
    assert_eq!(reasons, ["outranked", "no-slot", "position"]);
    assert!(why(&redis, "unknown").0.contains(&"unknown-name".to_owned()));
    worker.stop();
    let nowhere = output_of(&["why", "nobody", "--redis-url", &redis.url()]);
    assert_eq!(nowhere.status.code(), Some(1), "{nowhere:?}");
}

#[test]
fn a_due_job_of_a_queue_with_a_pace_waits_for_its_turn() {
    let redis = Redis::start();
    let config = config_file("pace: {mail: 0.1}\n");
    let mut worker = Worker::start(&redis, &["-q", "mail", "-C", &config.path()]);
    for jid in ["first", "second", "third"] {
        let job = format!(r#"{{"name":"Noop","args":[],"jid":"{jid}","queue":"mail"}}"#);
        redis.run(&["ZADD", "jiggler:set:scheduled", "1", &job]);
    }
    wait_until("one has run, and the others are put off", || {
        redis.processed() == 1 && redis.set("jiggler:set:scheduled").iter().all(|(_, due)| *due > 1.0)
    });
    let (job, _) = redis.set("jiggler:set:scheduled").pop().unwrap();
    let jid = json(job)["jid"].as_str().unwrap().to_owned();
    let (reasons, answer) = why(&redis, &jid);
    assert_eq!(reasons[..2], ["not-due", "paced"], "{answer}");
    let told = answer["reasons"][1]["text"].as_str().unwrap();
    assert!(told.starts_with("queue mail is paced at 0.1/s: this job's turn is in "), "{told}");
    worker.stop();
}

#[test]
fn a_job_in_a_set_waits_for_its_time_and_for_what_keeps_its_queue() {
    let redis = Redis::start();
    redis.run(&["ZADD", "jiggler:set:scheduled", "9999999999", &job("Sleep", "later")]);
    redis.run(&["ZADD", "jiggler:set:scheduled", "1", &job("Sleep", "overdue")]);
    let failed =
        r#"{"name":"Sleep","jid":"failed","retries":3,"attempt":1,"error_class":"E","error_message":"boom"}"#;
    redis.run(&["ZADD", "jiggler:set:retries", "9999999999", failed]);
    let poison = r#"{"name":"Sleep","jid":"poison","error_class":"JigglerUring::Poison"}"#;
    redis.run(&["ZADD", "jiggler:set:dead", "1700000000", poison]);
    let pause = ["pause", "class", "Sleep", "--why", "a bug", "--redis-url"];
    assert!(output_of(&[&pause[..], &[&redis.url()]].concat()).status.success());
    assert_eq!(why(&redis, "later").0, ["not-due", "class-paused", "nobody-serves"]);
    assert_eq!(why(&redis, "overdue").0, ["not-due", "no-poller", "class-paused", "nobody-serves"]);
    let (reasons, answer) = why(&redis, "failed");
    assert_eq!(reasons[0], "not-due");
    assert!(answer["reasons"][0]["text"].as_str().unwrap().contains("after error E: boom"), "{answer}");
    let (reasons, answer) = why(&redis, "poison");
    assert_eq!((reasons.as_slice(), &answer["place"]), (&["dead".to_owned()][..], &"dead".into()));
    assert!(answer["reasons"][0]["text"].as_str().unwrap().contains("taken for poison"), "{answer}");
    let told = output_of(&["why", "later", "--redis-url", &redis.url()]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("Sleep is in the scheduled set, for queue default\n- it is due at "), "{told}");
    assert!(told.contains(": a bug"), "{told}");
    let told = output_of(&["why", "failed", "--redis-url", &redis.url()]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("Sleep is in the retry set, for queue default\n"), "{told}");
}
