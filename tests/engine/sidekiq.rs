//! A worker beside Sidekiq's programs: what it takes and leaves in a Redis of theirs, and how they see it. What does not
//! depend on the dialect is tested in both elsewhere (`crash`, `recovery`, `cases/stop`).

use std::time::Duration;

use jiggler_uring::internal::resp::Value as Reply;
use jiggler_uring::internal::wire::Dialect;
use serde_json::{Value, json as value};

use crate::harness::wait::{wait_for, wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, json, output_of};

/// Above the ten seconds between two heartbeats.
const A_BEAT: Duration = Duration::from_secs(30);

/// A heartbeat each second.
const OFTEN: &str = "stats_interval: 1\npoll_interval: 1\n";

/// A Redis whose words are Sidekiq's own.
fn start() -> Redis {
    Redis::start_in(Dialect::Sidekiq)
}

/// A job as Sidekiq 7 pushes it.
fn job(class: &str, args: &str, more: &str) -> String {
    format!(
        r#"{{"retry":true,"queue":"default","class":"{class}","args":{args},"jid":"ab826a9a226ec46ac3e7eec6",{more}"created_at":1795300595.6377552,"enqueued_at":1795300595.6378552}}"#
    )
}

fn push(redis: &Redis, queue: &str, payload: &str) {
    redis.run(&["SADD", "queues", queue]);
    redis.run(&["LPUSH", &format!("queue:{queue}"), payload]);
}

/// The one member of a set, and its score.
fn only(redis: &Redis, set: &str) -> Option<(String, f64)> {
    let flat = redis.list(&["ZRANGE", set, "0", "-1", "WITHSCORES"]);
    let text = |at: usize| Some(String::from_utf8(flat.get(at)?.clone()).unwrap());
    Some((text(0)?, text(1)?.parse().unwrap()))
}

/// The fields of a hash.
fn hash(redis: &Redis, key: &str) -> Value {
    let flat = redis.list(&["HGETALL", key]);
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    flat.chunks(2).map(|pair| (text(&pair[0]), Value::from(text(&pair[1])))).collect()
}

/// The identity of the one process.
fn identity(redis: &Redis) -> String {
    wait_for("a process is registered", || {
        let found = redis.list(&["SMEMBERS", "processes"]).pop()?;
        Some(String::from_utf8(found).unwrap())
    })
}

#[test]
fn a_failure_is_written_as_sidekiq_writes_it() {
    let redis = start();
    let raw = job("Fail", "[\"boom\"]", r#""tags":["a"],"x":{"y":[1.0e+21]},"retry_queue":"low","#);
    push(&redis, "default", &raw);
    let mut worker = Worker::start(&redis, &[]);
    let (payload, score) = wait_for("the retry", || only(&redis, "retry"));
    worker.stop();
    let before = raw.strip_suffix('}').unwrap().replace(r#""queue":"default""#, r#""queue":"low""#);
    assert!(payload.starts_with(&before), "{payload}");
    let read = json(&payload);
    let failed_at = read["failed_at"].as_f64().unwrap();
    let rest = payload.strip_prefix(&before).unwrap();
    assert_eq!(
        rest,
        format!(
            r#","error_message":"boom","error_class":"JobFailed","failed_at":{},"retry_count":0}}"#,
            read["failed_at"]
        )
    );
    assert!((15.0..25.1).contains(&(score - failed_at)), "{}", score - failed_at);
    let counters = ["stat:processed", "stat:failed"].map(|key| redis.text(key).unwrap());
    assert_eq!(counters, ["1", "1"]);
    let day = redis.keys("stat:failed:*").pop().unwrap();
    assert_eq!((redis.text(&day).as_deref(), redis.integer(&["TTL", &day]) > 157_000_000), (Some("1"), true));
}

#[test]
fn a_job_of_sidekiq_8_keeps_its_milliseconds_and_dies_when_its_retries_are_used_up() {
    let redis = start();
    let raw = r#"{"retry":1,"queue":"default","class":"Fail","args":["boom"],"jid":"j","created_at":1795300190923,"enqueued_at":1795300190923,"error_message":"m","error_class":"E","failed_at":1795300190925,"retry_count":0}"#;
    push(&redis, "default", raw);
    push(
        &redis,
        "default",
        &raw.replace(r#""retry":1"#, r#""retry":false"#).replace(r#""jid":"j""#, r#""jid":"f""#),
    );
    let mut worker = Worker::start(&redis, &[]);
    let (payload, score) = wait_for("the death", || only(&redis, "dead"));
    wait_until("both have failed", || redis.text("stat:failed").as_deref() == Some("2"));
    worker.stop();
    let read = json(&payload);
    assert_eq!((&read["retry_count"], &read["failed_at"]), (&value!(1), &value!(1_795_300_190_925_u64)));
    let retried_at = read["retried_at"].as_u64().unwrap();
    assert!((retried_at as f64 / 1e3 - score).abs() < 0.01, "{payload}");
    // The one with `"retry":false` vanishes.
    assert_eq!((redis.integer(&["ZCARD", "dead"]), redis.integer(&["ZCARD", "retry"])), (1, 0));
    assert_eq!(worker.lines("is not kept, as it asks").len(), 1);
}

#[test]
fn due_jobs_come_to_queues_that_are_named_with_the_time_of_their_push() {
    let redis = start();
    // Of queues that no worker of ours may be given, and with text that looks like a member.
    let scheduled = r#"{"retry":true,"queue":"a:b","args":["\"enqueued_at\":1"],"class":"Ruby","jid":"s","created_at":1795299839.4649541}"#;
    let retried = r#"{"class":"Ruby","args":[{"enqueued_at":5}],"queue":"mails","jid":"r","created_at":1795300190923,"enqueued_at":1795300190923,"error_message":"say \"no\\","retry_count":0}"#;
    redis.run(&["ZADD", "schedule", "1", scheduled]);
    redis.run(&["ZADD", "retry", "1", retried]);
    let config = config_file(OFTEN);
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-q", "other"]);
    wait_until("both are in their queues", || {
        redis.integer(&["LLEN", "queue:a:b"]) == 1 && redis.integer(&["LLEN", "queue:mails"]) == 1
    });
    worker.stop();
    let mut queues = redis.list(&["SMEMBERS", "queues"]);
    queues.sort_unstable();
    assert_eq!(queues, [b"a:b".to_vec(), b"mails".to_vec()]);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let taken = |key| String::from_utf8(redis.list(&["LRANGE", key, "0", "-1"]).remove(0)).unwrap();
    let pushed = taken("queue:a:b");
    assert!(pushed.starts_with(scheduled.strip_suffix('}').unwrap()), "{pushed}");
    assert!((json(&pushed)["enqueued_at"].as_f64().unwrap() - now).abs() < 60.0, "{pushed}");
    let pushed = taken("queue:mails");
    let enqueued_at = json(&pushed)["enqueued_at"].as_u64().unwrap();
    assert!((enqueued_at as f64 / 1e3 - now).abs() < 60.0, "{pushed}");
    let expected =
        retried.replace(r#""enqueued_at":1795300190923"#, &format!(r#""enqueued_at":{enqueued_at}"#));
    assert_eq!(pushed, expected, "nothing else has changed");
}

#[test]
fn a_class_of_ruby_is_left_in_the_schedule_and_fails_only_if_that_is_asked_for() {
    let redis = start();
    let raw = job("Ruby::Only", "[1]", "");
    push(&redis, "default", &raw);
    let mut worker = Worker::start(&redis, &["--unknown-for", "1"]);
    let mut looks = std::collections::BTreeSet::new();
    wait_until("it is left for longer than a job of jiggler would be", || {
        looks.extend(only(&redis, "schedule").map(|(payload, _)| payload));
        looks.len() >= 3
    });
    worker.stop();
    let begin = raw.split("\"enqueued_at\"").next().unwrap();
    for payload in looks {
        assert!(payload.starts_with(begin) && json(&payload)["error_class"].is_null(), "{payload}");
    }
    assert_eq!((redis.integer(&["ZCARD", "retry"]), redis.integer(&["ZCARD", "dead"])), (0, 0));
    redis.run(&["DEL", "schedule", "queue:default"]);

    push(&redis, "default", &raw);
    let mut worker = Worker::start(&redis, &["--unknown", "fail"]);
    let (payload, _) = wait_for("the failure", || only(&redis, "retry"));
    assert_eq!(json(&payload)["error_class"], "NameError");
    worker.stop();
}

#[test]
fn what_is_no_job_is_buried_as_an_entry_that_pages_can_show() {
    let redis = start();
    push(&redis, "default", "no json");
    let mut worker = Worker::start(&redis, &[]);
    let (entry, score) = wait_for("the burial", || only(&redis, "dead"));
    worker.stop();
    let read = json(&entry);
    assert_eq!((&read["class"], &read["args"]), (&value!("InvalidPayload"), &value!([])));
    assert_eq!((&read["queue"], &read["raw_base64"]), (&value!("default"), &value!("bm8ganNvbg==")));
    assert_eq!(read["failed_at"].as_f64(), Some(score));
    assert_eq!(read["jid"].as_str().map(str::len), Some(24));
}

#[test]
fn a_process_is_seen_by_its_programs_obeys_them_and_is_gone_at_its_end() {
    let redis = start();
    let config = config_file(OFTEN);
    let raw = job("Sleep", "[60]", "");
    push(&redis, "low", &raw);
    let args = ["-C", &config.path(), "-q", "critical,3", "-q", "low", "-c", "7", "--tag", "v1"];
    let mut worker = Worker::start(&redis, &args);
    let identity = identity(&redis);
    assert!(identity.ends_with(&format!(":{}", redis.uuid())), "{identity}");
    let work_key = format!("{identity}:work");
    wait_until("the running job is listed", || redis.integer(&["HLEN", &work_key]) == 1);
    let shown = hash(&redis, &identity);
    let info = json(shown["info"].as_str().unwrap());
    assert_eq!(info["queues"], value!(["critical", "low"]));
    assert_eq!(info["weights"], value!([{"critical": 3, "low": 1}]));
    assert_eq!((&info["tag"], &info["identity"]), (&value!("v1"), &value!(identity)));
    assert_eq!(
        (&shown["concurrency"], &shown["busy"], &shown["quiet"]),
        (&value!("7"), &value!("1"), &value!("false"))
    );
    assert!(shown["rss"].as_str().unwrap().parse::<u64>().unwrap() > 1_000, "{shown}");
    for key in [&identity, &work_key] {
        assert!((1..=60).contains(&redis.integer(&["TTL", key])), "{key}");
    }
    let work = hash(&redis, &work_key);
    let work = json(work.as_object().unwrap().values().next().unwrap().as_str().unwrap());
    assert_eq!((&work["queue"], work["payload"].as_str()), (&value!("low"), Some(raw.as_str())));
    assert!(work["run_at"].as_u64().unwrap() > 1_700_000_000, "{work}");

    let signals = format!("{identity}-signals");
    redis.run(&["LPUSH", &signals, "TTIN"]);
    wait_within(A_BEAT, "what runs is in the log", || {
        worker.lines("running shard").iter().any(|line| line.contains("Sleep")).then_some(())
    });
    redis.run(&["LPUSH", &signals, "TSTP"]);
    wait_within(A_BEAT, "it is quiet", || (hash(&redis, &identity)["quiet"] == "true").then_some(()));
    redis.run(&["LPUSH", &signals, "TERM"]);
    assert_eq!(worker.wait_for_end().code(), Some(0));
    assert_eq!(redis.integer(&["SCARD", "processes"]), 0);
    assert_eq!(redis.integer(&["EXISTS", &identity, &work_key, &signals]), 0);
    assert_eq!(
        redis.list(&["LRANGE", "queue:low", "0", "-1"]),
        [raw.into_bytes()],
        "what ran is handed back"
    );
}

#[test]
fn queues_without_weights_are_served_in_their_order() {
    let redis = start();
    for queue in ["c", "a", "b"] {
        for number in 0..20 {
            push(
                &redis,
                queue,
                &format!(r#"{{"class":"Fail","args":["x"],"retry":0,"jid":"{queue}{number}"}}"#),
            );
        }
    }
    let mut worker = Worker::start(&redis, &["-q", "a", "-q", "b", "-q", "c", "-c", "1"]);
    wait_until("all have died", || redis.integer(&["ZCARD", "dead"]) == 60);
    worker.stop();
    let dead = redis.list(&["ZRANGE", "dead", "0", "-1"]);
    let order: String =
        dead.iter().map(|entry| json(entry)["jid"].as_str().unwrap()[..1].to_owned()).collect();
    assert_eq!(order, ["a", "b", "c"].map(|queue| queue.repeat(20)).concat());
}

#[test]
fn commands_speak_the_dialect_too() {
    let redis = start();
    let told = |args: &[&str]| {
        let output = output_of(&[args, &["--dialect", "sidekiq", "--redis-url", &redis.url()]].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    told(&["enqueue", "HardJob", "[1, \"x\"]", "--queue", "low"]);
    let payload = String::from_utf8(redis.list(&["LRANGE", "queue:low", "0", "-1"]).remove(0)).unwrap();
    let read = json(&payload);
    assert!(payload.starts_with(r#"{"class":"HardJob","args":[1,"x"],"retry":true,"jid":""#), "{payload}");
    assert_eq!((read["jid"].as_str().map(str::len), &read["queue"]), (Some(24), &value!("low")));
    assert!(read["created_at"].is_f64() && read["enqueued_at"].is_f64(), "{payload}");
    assert_eq!(redis.list(&["SMEMBERS", "queues"]), [b"low".to_vec()]);
    told(&["enqueue", "HardJob", "[]", "--in", "1h", "--retries", "3"]);
    let (payload, _) = only(&redis, "schedule").unwrap();
    assert!(payload.contains(r#""retry":3,"#) && !payload.contains("enqueued_at"), "{payload}");
    assert!(told(&["queues"]).contains("low"));
    assert!(told(&["jobs", "queue", "low"]).contains("HardJob"));
    assert_eq!(json(told(&["summary", "--json"]))["queues"]["low"], 1);
    redis.run(&["ZADD", "dead", "5.5", &job("HardJob", "[]", r#""retry_count":3,"failed_at":1.5,"#)]);
    redis.run(&["DEL", "queues"]);
    told(&["retry", "ab826a9a226ec46ac3e7eec6"]);
    let retried = String::from_utf8(redis.list(&["LRANGE", "queue:default", "0", "-1"]).remove(0)).unwrap();
    assert!(retried.contains(r#""retry_count":2,"failed_at":1.5,"#), "as a retry by the page: {retried}");
    assert_eq!(redis.list(&["SMEMBERS", "queues"]), [b"default".to_vec()]);
}

#[test]
fn what_cannot_work_is_refused_and_what_looks_wrong_is_said_in_one_line() {
    let refused = output_of(&["--dialect", "sidekiq", "--redis-url", "redis+cluster://127.0.0.1:1"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && said.contains("no hash tags"), "{said}");
    let refused = output_of(&["--dialect", "sidekiq", "-q", "a,0"]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("the weight of queue `a` is 0"));

    let redis = Redis::start();
    redis.run(&["SADD", "queues", "default"]);
    let mut worker = Worker::start(&redis, &[]);
    let said = worker.lines("has the keys of sidekiq programs and none of jiggler");
    assert_eq!(said.len(), 1);
    worker.stop();
    assert!(matches!(redis.run(&["PING"]).value(), Reply::Simple(b"PONG")));
}

#[test]
fn a_spoilt_registry_hides_a_process_and_stops_nothing() {
    let redis = start();
    redis.run(&["SET", "processes", "x"]);
    let mut worker = Worker::start(&redis, &[]);
    worker.wait_for_line("a key is spoilt that tells other programs");
    let ends = || redis.set("jiggler-uring:leases").first().map(|(_, score)| *score);
    let first = wait_for("the lease", ends);
    wait_until("it is renewed", || ends().is_some_and(|score| score > first));
    push(&redis, "default", &job("Noop", "[]", ""));
    wait_until("a job runs", || redis.text("stat:processed").as_deref() == Some("1"));
    redis.run(&["DEL", "processes"]);
    wait_until("it is seen", || redis.integer(&["SCARD", "processes"]) == 1);
    assert_eq!(worker.lines("a key is spoilt that tells other programs").len(), 1);
    worker.stop();
}

#[test]
fn a_queue_that_sidekiq_pro_has_paused_is_not_served_until_it_is_no_longer() {
    let redis = start();
    redis.run(&["SADD", "paused", "low", "of_others"]);
    for queue in ["low", "default"] {
        push(&redis, queue, &job("Noop", "[]", ""));
    }
    let config = config_file(OFTEN);
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-q", "low", "-q", "default"]);
    wait_until("the other queue is served", || redis.integer(&["EXISTS", "queue:default"]) == 0);
    let told = |args: &[&str]| {
        let output = output_of(&[args, &["--dialect", "sidekiq", "--redis-url", &redis.url()]].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let queues = told(&["queues"]);
    assert!(queues.lines().any(|line| line.starts_with("low ") && line.contains("by sidekiq")), "{queues}");
    let why = told(&["why", "ab826a9a226ec46ac3e7eec6"]);
    assert!(why.contains("by sidekiq"), "{why}");
    assert_eq!(json(told(&["pause", "--list", "--json"]))["queues"]["of_others"]["by"], "sidekiq");
    redis.run(&["SADD", "paused", "default"]);
    wait_until("that is paused too", || !worker.lines("queues=\"default,low\"").is_empty());
    push(&redis, "default", &job("Noop", "[]", ""));
    redis.run(&["SREM", "paused", "low"]);
    wait_until("the first is served", || redis.integer(&["EXISTS", "queue:low"]) == 0);
    assert_eq!(redis.integer(&["LLEN", "queue:default"]), 1);
    redis.run(&["DEL", "paused"]);
    wait_until("all is served", || redis.text("stat:processed").as_deref() == Some("3"));
    worker.stop();
}
