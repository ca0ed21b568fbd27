//! Due jobs of the retry set and the scheduled set reach the queue they name, byte for byte, and run.

use std::collections::BTreeSet;

use serde_json::json as value;

use crate::harness::redis::{DEAD, RETRIES, SCHEDULED};
use crate::harness::wait::wait_until;
use crate::harness::{Account, Redis, Worker, config_file, json, output_of};

/// A score that is due whatever the clock says, and one that is not: Unix seconds.
const LONG_AGO: &str = "1000000000";
pub(crate) const FAR_AHEAD: &str = "4000000000";

pub(crate) fn add(redis: &Redis, set: &str, score: &str, payload: &[u8]) {
    redis.run(&[&b"ZADD"[..], set.as_bytes(), score.as_bytes(), payload]);
}

/// The time according to Redis, in Unix seconds.
pub(crate) fn redis_now(redis: &Redis) -> f64 {
    let parts: Vec<f64> = redis
        .list(&["TIME"])
        .into_iter()
        .map(|part| String::from_utf8(part).unwrap().parse().unwrap())
        .collect();
    parts[0] + parts[1] / 1e6
}

/// Payloads and the queue each belongs in.
fn addressed() -> Vec<(Vec<u8>, &'static str)> {
    let text = |payload: &str, queue| (payload.as_bytes().to_vec(), queue);
    vec![
        text(r#"{"name":"Noop","args":[],"jid":"1","queue":"img"}"#, "img"),
        text(
            r#"{"queue":"m\u0061il","name":"Noop", "args" : [1.0e+21,12345678901234567890,[]],"jid":"2"}"#,
            "mail",
        ),
        text(r#"{"name":"Noop","args":[{"queue":"inner"}],"jid":"3"}"#, "default"),
        text(r#"{"name":"Noop","args":[],"jid":"4","queue":7}"#, "default"),
        text(r#"{"name":"Noop","args":[],"jid":"5","queue":null}"#, "default"),
        text(r#"{"name":"Noop","args":[],"jid":"6","queue":""}"#, "default"),
        text(r#"{"name":"Noop","args":[],"jid":"7","queue":["img"]}"#, "default"),
        text("no json at all", "default"),
        text("", "default"),
        text(r#"["queue","img"]"#, "default"),
        text("\"img\"", "default"),
        (b"{\"queue\":\"img\",\"name\":\"Noop\"} \xff\0\r\n".to_vec(), "default"),
        (b"\x04\x08\xff".to_vec(), "default"),
        (format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)).into_bytes(), "default"),
    ]
}

fn check_due_jobs_reach_their_queues(set: &str) {
    let redis = Redis::start();
    let jobs = addressed();
    for (number, (payload, _)) in jobs.iter().enumerate() {
        add(&redis, set, &(1_000_000_000 + number).to_string(), payload);
    }
    let later = br#"{"name":"Noop","args":[],"jid":"later","queue":"img"}"#;
    add(&redis, set, FAR_AHEAD, later);
    let _worker = Worker::start(&redis, &["-q", "elsewhere"]);
    wait_until("the due jobs are moved", || redis.count(set) == 1);
    for queue in ["img", "mail", "default"] {
        let mut waiting = redis.list(&["LRANGE", &format!("jiggler:list:{queue}"), "0", "-1"]);
        // Taken from the right: the first that was due is next.
        waiting.reverse();
        let expected: Vec<_> =
            jobs.iter().filter(|(_, of)| *of == queue).map(|(payload, _)| payload.clone()).collect();
        assert!(waiting == expected, "queue {queue} holds other jobs, or the same in another order");
    }
    assert_eq!(redis.keys("jiggler:list:*").len(), 3);
    assert_eq!(redis.list(&["ZRANGE", set, "0", "-1"]), [later.to_vec()]);
}

#[test]
fn due_retries_reach_the_queue_they_name_byte_for_byte() {
    check_due_jobs_reach_their_queues(RETRIES);
}

#[test]
fn due_scheduled_jobs_reach_the_queue_they_name_byte_for_byte() {
    check_due_jobs_reach_their_queues(SCHEDULED);
}

#[test]
fn a_job_enqueued_for_later_runs_when_it_is_due() {
    let redis = Redis::start();
    let config = config_file("poll_interval: 1\n");
    let _worker = Worker::start(&redis, &["-q", "default,img", "-C", &config.path()]);
    let due_after = redis_now(&redis) + 1.0;
    for queue in ["default", "img"] {
        let output = output_of(&[
            "enqueue",
            "Fail",
            "[\"ran\"]",
            "--in",
            "1",
            "--queue",
            queue,
            "--redis-url",
            &redis.url(),
        ]);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(redis.count(DEAD), 0);
    wait_until("both have run", || redis.count(DEAD) == 2);
    for (payload, died_at) in redis.set(DEAD) {
        assert!(died_at >= due_after, "{payload} ran {} s early", due_after - died_at);
    }
    assert_eq!(redis.count(SCHEDULED), 0);
}

#[test]
fn the_next_due_job_wakes_the_poller_however_long_its_interval_is() {
    let redis = Redis::start();
    // Whether one look finds it not yet due or, on a slow machine, already due: it runs, and not in an hour.
    let soon = redis_now(&redis) + 2.0;
    add(&redis, SCHEDULED, &soon.to_string(), br#"{"name":"Fail","args":[],"jid":"s"}"#);
    let retried = br#"{"name":"Fail","args":[],"jid":"r","queue":"default"}"#;
    add(&redis, RETRIES, &(soon + 0.3).to_string(), retried);
    let config = config_file("poll_interval: 3600\n");
    let _worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("both have run", || redis.count(DEAD) == 2);
    assert!(redis.set(DEAD).iter().all(|(_, died_at)| *died_at >= soon));
}

#[test]
fn thousands_of_due_jobs_of_both_sets_are_moved_and_none_is_lost() {
    const JOBS: usize = 10_000;
    let redis = Redis::start();
    for number in 0..JOBS {
        let set = if number < JOBS / 2 { RETRIES } else { SCHEDULED };
        add(&redis, set, &format!("1000000000.{number:06}"), Account::traced(number).as_bytes());
    }
    // Two pollers at once, and nobody who takes the jobs.
    let _pollers = [(); 2].map(|()| Worker::start(&redis, &["-q", "elsewhere"]));
    wait_until("both sets are empty", || redis.count(RETRIES) == 0 && redis.count(SCHEDULED) == 0);
    let queue = redis.queue("default");
    let distinct: BTreeSet<&String> = queue.iter().collect();
    assert_eq!((queue.len(), distinct.len()), (JOBS, JOBS));
    // One huge set does not keep the other waiting: batches of both alternate from the start.
    let numbers = |range: std::ops::Range<usize>| range.map(Account::traced).collect::<Vec<_>>();
    assert_eq!(queue[..500], numbers(0..500));
    assert_eq!(queue[500..1_000], numbers(JOBS / 2..JOBS / 2 + 500));
    assert_eq!(queue[1_000..1_500], numbers(500..1_000));
}

#[test]
fn a_worker_that_may_not_poll_says_so_and_leaves_due_jobs_to_others() {
    let redis = Redis::start();
    let due = r#"{"name":"Noop","args":[],"jid":"due"}"#;
    add(&redis, RETRIES, LONG_AGO, due.as_bytes());
    add(&redis, SCHEDULED, LONG_AGO, due.as_bytes());
    let config = config_file("poller_enabled: false\npoll_interval: 1\n");
    let poller_part = || {
        let key = redis.keys("jiggler:svr:*").pop().unwrap();
        key.split(':').nth(6).unwrap().to_owned()
    };
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    // A whole life, in which a poller's first act would have been to look.
    redis.push("default", &[r#"{"name":"Noop","args":[]}"#]);
    wait_until("the job next to them has run", || redis.processed() == 1);
    assert_eq!(poller_part(), "0");
    worker.stop();
    assert_eq!((redis.count(RETRIES), redis.count(SCHEDULED), redis.processed()), (1, 1, 1));
    let _other = Worker::start(&redis, &[]);
    wait_until("another worker has moved and run them", || redis.processed() == 3);
    assert_eq!(poller_part(), "1");
}

#[test]
fn a_failing_job_comes_back_with_its_attempt_and_dies_as_the_gem_writes_it() {
    let redis = Redis::start();
    let job = r#"{"name":"Fail","args":["boom"],"retries":1,"jid":"4c33ba07cc275b66"}"#;
    redis.push("mail", &[job]);
    let config = config_file("poll_interval: 1\n");
    let worker = Worker::start(&redis, &["-v", "-q", "mail", "-C", &config.path()]);
    wait_until("the job waits for its retry", || redis.count(RETRIES) == 1);
    let (retry, _) = redis.set(RETRIES).remove(0);
    add_existing(&redis, LONG_AGO, &retry);
    wait_until("it is dead", || redis.count(DEAD) == 1);
    let (dead, died_at) = redis.set(DEAD).remove(0);
    // As in the gem's fixture `dead`: an exhausted job is stored as it came, with its last error, which is the same
    // here.
    assert_eq!(dead, retry);
    assert_eq!((&json(&dead)["attempt"], &json(&dead)["queue"]), (&value!(1), &value!("mail")));
    let started_at = json(&dead)["started_at"].as_f64().unwrap();
    assert!(died_at > started_at, "the score is the time of death, not of the first start");
    let runs = worker.lines("job failed");
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs[0].contains("attempt=0") && runs[1].contains("attempt=1"), "{runs:?}");
    assert_eq!((redis.count(RETRIES), redis.processed(), redis.failures()), (0, 2, 2));
}

fn add_existing(redis: &Redis, score: &str, payload: &str) {
    assert_eq!(redis.integer(&["ZADD", RETRIES, "XX", "CH", score, payload]), 1);
}

#[test]
fn a_due_job_whose_queue_is_not_a_list_does_not_hold_up_the_others() {
    let redis = Redis::start();
    redis.run(&["SET", "jiggler:list:broken", "not a list"]);
    let stuck = r#"{"name":"Noop","args":[],"jid":"stuck","queue":"broken"}"#;
    for set in [RETRIES, SCHEDULED] {
        add(&redis, set, LONG_AGO, stuck.as_bytes());
        for number in 0..3 {
            let other = format!(r#"{{"name":"Noop","args":[],"jid":"{set}{number}"}}"#);
            add(&redis, set, "1000000001", other.as_bytes());
        }
    }
    let mut worker = Worker::start(&redis, &[]);
    wait_until("the others have run", || redis.processed() == 6);
    for set in [RETRIES, SCHEDULED] {
        assert_eq!(redis.list(&["ZRANGE", set, "0", "-1"]), [stuck.as_bytes()], "the stuck job is kept");
    }
    worker.stop();
    assert_eq!(redis.text("jiggler:list:broken").as_deref(), Some("not a list"));
}

#[test]
fn a_due_job_of_a_queue_that_no_worker_may_be_given_is_buried_with_its_bytes_and_the_reason() {
    let redis = Redis::start();
    let names: [&[u8]; 6] = [b"a:b", b"a,b", b" a", b"a\\u0000", b"x_in_progress", b"\xff"];
    let job =
        |name: &[u8]| [b"{\"name\":\"Noop\",\"args\":[1],\"jid\":\"q\",\"queue\":\"", name, b"\"}"].concat();
    for (number, name) in names.into_iter().enumerate() {
        add(&redis, [SCHEDULED, RETRIES][number % 2], LONG_AGO, &job(name));
    }
    add(&redis, SCHEDULED, "1000000001", br#"{"name":"Noop","args":[],"jid":"good"}"#);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("they are dead", || redis.count(DEAD) == names.len() as i64);
    wait_until("the other has run", || redis.processed() == 1);
    let mut buried = BTreeSet::new();
    for (entry, _) in redis.set(DEAD) {
        let entry = json(&entry);
        assert_eq!(
            (&entry["name"], &entry["error_class"]),
            (&value!("InvalidPayload"), &value!("JigglerUring::BadPayload"))
        );
        assert!(
            entry["error_message"].as_str().unwrap().starts_with("no worker may be given the queue"),
            "{entry}"
        );
        buried.insert(entry["raw_base64"].as_str().unwrap().to_owned());
    }
    let engine = &base64::engine::general_purpose::STANDARD;
    let expected = names.map(|name| base64::Engine::encode(engine, job(name)));
    assert_eq!(buried, BTreeSet::from(expected));
    assert_eq!((redis.count(SCHEDULED), redis.count(RETRIES)), (0, 0));
    assert_eq!(redis.list(&["KEYS", "jiggler:list:*"]).len(), 0, "nothing lies where nobody looks");
    worker.stop();
    let url = redis.url();
    add(&redis, DEAD, LONG_AGO, &job(b"a:b"));
    let output = output_of(&["retry", "q", "--redis-url", &url]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("no worker may be given the queue"), "{said}");
    assert_eq!(redis.list(&["KEYS", "jiggler:list:*"]).len(), 0, "it stays where it is");
}
