//! Alongside Ruby: the gem's producers, servers, summary, cleaner and requeuer on one Redis with ours. A miniature
//! plays the gem (`harness/gem.rs`); it is checked against what MONITOR saw of the real one.

use std::time::Duration;

use jiggler_uring::internal::wire::heartbeat_key::parse_heartbeat;
use jiggler_uring::{Client, NewJob};

use crate::harness::account::lists_in_flight;
use crate::harness::gem::{Gem, Words, captured};
use crate::harness::redis::{DEAD, RETRIES, SCHEDULED};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json};

const RUBY: &str = "973d817ae01f";

/// A job that runs for longer than any test.
const LONG: &str = r#"{"name":"Sleep","args":[600],"retries":2,"jid":"0d655a187e214821"}"#;

fn words(words: &[&str]) -> Words {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The commands of one connection in a stage that begin with one of these words.
fn of_conn(stage: &str, conn: &str, verbs: &[&str]) -> Vec<Words> {
    let lines = captured(stage).into_iter().filter(|(by, words)| by == conn && verbs.contains(&&*words[0]));
    lines.map(|(_, words)| words).collect()
}

#[test]
fn the_miniature_sends_what_the_gem_sent() {
    let redis = Redis::start();
    let payload = r#"{"name":"PlainJob","args":[1],"retries":0,"jid":"b8a4d43a7d840f82"}"#;
    let gem = Gem::new(&redis, "33c754465483");
    gem.enqueue("default", payload);
    assert_eq!(gem.take("default").as_deref(), Some(payload));
    assert_eq!(gem.ack("default", payload), 1);
    let sent = [("c1", "LPUSH"), ("c2", "BRPOPLPUSH"), ("c3", "LREM")];
    let sent = sent.map(|(conn, verb)| of_conn("one_job_alo", conn, &[verb]).remove(0));
    assert_eq!(gem.said(), sent);

    let gem = Gem::new(&redis, RUBY);
    redis.push("default:in_progress:11a9475cb763", &[payload]);
    redis.push(&format!("default:in_progress:{RUBY}"), &["its own"]);
    gem.beat();
    assert_eq!(gem.requeue(), 1);
    assert_eq!(gem.said()[1..], of_conn("tstp_duplicate_alo", "c6", &["SCAN", "LMOVE"]));

    redis.run(&["FLUSHALL"]);
    let pushed = of_conn("enqueue_bulk", "c1", &["LPUSH"]);
    for command in &pushed {
        redis.run(command);
    }
    let gem = Gem::new(&redis, RUBY);
    gem.summary();
    for set in [RETRIES, SCHEDULED, DEAD] {
        gem.last_jobs(set);
    }
    let (mut said, mut sent) =
        (gem.said(), of_conn("enqueue_bulk", "c2", &["ZCARD", "GET", "SCAN", "LLEN", "ZRANGE"]));
    // Redis lists keys in its own order.
    said[7..9].sort();
    sent[7..9].sort();
    assert_eq!(said, sent);

    redis.run(&["FLUSHALL"]);
    let gem = Gem::new(&redis, RUBY);
    gem.prune_all();
    let sent = of_conn("cleaner", "c1", &["DEL", "SCAN"]);
    assert_eq!(gem.said(), sent[sent.len() - 7..]);
}

/// What Ruby producers pushed, as seen on the wire; each stage leaves its jobs, of a name unknown here, in the dead
/// set.
#[test]
fn jobs_of_ruby_producers_are_taken_byte_for_byte() {
    let redis = Redis::start();
    let mut pushed = Vec::new();
    for stage in ["enqueue", "enqueue_bulk", "enqueue_with_options", "enqueue_in"] {
        for command in of_conn(stage, "c1", &["LPUSH", "ZADD"]) {
            redis.run(&command);
            pushed.push(command.last().unwrap().clone());
        }
    }
    assert!(pushed.len() > 12, "{pushed:?}");
    let mut worker = Worker::start(&redis, &["-q", "default,custom", "--cores", "2", "--unknown", "fail"]);
    wait_until("all have failed", || redis.failures() == pushed.len() as u64);
    worker.stop();
    let kept: Vec<String> =
        [RETRIES, DEAD].iter().flat_map(|set| redis.set(set)).map(|(job, _)| job).collect();
    for payload in &pushed {
        let as_pushed = payload.strip_suffix('}').unwrap();
        assert!(kept.iter().any(|job| job.starts_with(as_pushed)), "{payload} is not in {kept:?}");
    }
    assert_eq!((kept.len(), redis.count(SCHEDULED)), (pushed.len(), 0));
}

/// The gem's retrier takes a missing number for none, so what our clients push without one dies there at its first failure,
/// as a job that says 0 does; and a worker of ours gives it what its operator has set.
#[test]
fn a_job_without_a_number_of_retries_has_none_in_ruby_and_the_default_with_us() {
    let redis = Redis::start();
    let gem = Gem::new(&redis, RUBY);
    let captured = r#"{"name":"FailJob","args":["no retries"],"retries":0,"jid":"ba4ad011071a3457"}"#;
    let (set, member) = gem.failed(captured, "ArgumentError", "boom «é» \"quoted\"", 1_795_299_952.329_660_4);
    let capture = include_str!("../data/jiggler/dead_without_retries-0.1.0.json");
    let capture: serde_json::Value = serde_json::from_str(capture).unwrap();
    assert_eq!((set, &*member), (DEAD, capture["keys"][0]["value"][1]["member"].as_str().unwrap()));

    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    let fail = |text: &str| NewJob::new("Fail", &(text,)).unwrap();
    client.enqueue(&fail("ours").jid("j").unwrap()).unwrap();
    let pushed = gem.take("default").unwrap();
    assert_eq!(pushed, r#"{"name":"Fail","args":["ours"],"jid":"j"}"#);
    assert_eq!(gem.failed(&pushed, "E", "boom", 1.5).0, DEAD);
    assert_eq!(gem.failed(&pushed.replace("}", r#","retries":1}"#), "E", "boom", 1.5).0, RETRIES);
    gem.ack("default", &pushed);

    client.enqueue_bulk([fail("default"), fail("none").retries(0).unwrap()]).unwrap();
    let mut worker = Worker::start(&redis, &["--default-retries", "2"]);
    wait_until("both have failed", || redis.count(RETRIES) + redis.count(DEAD) == 2);
    worker.stop();
    let (retried, dead) = (json(&redis.set(RETRIES)[0].0), json(&redis.set(DEAD)[0].0));
    assert_eq!((&retried["args"][0], &dead["args"][0]), (&"default".into(), &"none".into()));
    assert_eq!(retried["attempt"], 1);
}

/// Whatever the gem's client was asked to push, ours pushes with the same bytes into the same lists.
#[test]
fn our_client_pushes_what_the_gems_client_pushed() {
    #[derive(serde::Deserialize)]
    struct Pushed<'p> {
        name: String,
        #[serde(borrow)]
        args: &'p serde_json::value::RawValue,
        retries: u32,
        jid: String,
    }

    let redis = Redis::start();
    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    for stage in ["enqueue", "enqueue_bulk", "enqueue_with_options"] {
        let commands = of_conn(stage, "c1", &["LPUSH"]);
        assert!(commands.len() > 2, "{stage}");
        for command in commands {
            let [_, list, payload] = &command[..] else { panic!("{command:?}") };
            let Pushed { name, args, retries, jid } = serde_json::from_str(payload).unwrap();
            let job = NewJob::with_raw_args(&name, args.get()).unwrap().retries(retries).unwrap();
            let queue = list.strip_prefix("jiggler:list:").unwrap();
            client.enqueue(&job.jid(&jid).unwrap().queue_named(queue).unwrap()).unwrap();
            assert_eq!(redis.queue(queue).last(), Some(payload), "{stage}");
        }
    }
}

#[test]
fn our_jobs_are_a_ruby_servers_jobs() {
    let redis = Redis::start();
    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    let mail = NewJob::new("Mail", &(1, "zwölf")).unwrap().queue_named("mails").unwrap();
    client.enqueue(&mail.retries(3).unwrap()).unwrap();
    let gem = Gem::new(&redis, RUBY);
    gem.beat();
    let payload = gem.take("mails").unwrap();
    let jid = json(&payload)["jid"].as_str().unwrap().to_owned();
    assert!(jid.len() == 16 && jid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{jid}");
    // Fields and their order match the gem's.
    assert_eq!(payload, format!(r#"{{"name":"Mail","args":[1,"zwölf"],"retries":3,"jid":"{jid}"}}"#));
    assert_eq!(gem.ack("mails", &payload), 1);

    // The queue of a job for later, which the gem's own client loses, is where its poller puts the job.
    let later = NewJob::new("Mail", &(2,)).unwrap().queue_named("mails").unwrap();
    client.enqueue_in(Duration::from_secs(5), &later).unwrap();
    let (member, due) = redis.set(SCHEDULED).remove(0);
    assert_eq!((gem.poll(due - 1.0), gem.poll(due)), (0, 1));
    assert_eq!(gem.take("mails").as_deref(), Some(&*member));
    assert_eq!(gem.ack("mails", &member), 1);
}

#[test]
fn a_job_that_failed_here_is_retried_there_and_buried_as_there() {
    let redis = Redis::start();
    redis.push("mails", &[r#"{"name":"Fail","args":["x"],"retries":2,"jid":"0d655a187e214821"}"#]);
    let mut worker = Worker::start(&redis, &["-q", "mails"]);
    wait_until("the job waits for its retry", || redis.count(RETRIES) == 1);
    worker.stop();
    let gem = Gem::new(&redis, RUBY);
    let (member, due) = redis.set(RETRIES).remove(0);
    assert_eq!(gem.poll(due), 1);
    let payload = gem.take("mails").unwrap();
    assert_eq!(payload, member);
    // The server dies with it in hand; ours takes it from the queue once a Ruby server has put it back.
    let other = Gem::new(&redis, "11a9475cb763");
    other.beat();
    assert_eq!(other.requeue(), 1);
    let mut worker = Worker::start(&redis, &["-q", "mails"]);
    wait_until("the job waits for its next retry", || redis.count(RETRIES) == 1);
    worker.stop();
    let job = json(&redis.set(RETRIES)[0].0);
    assert_eq!((&job["attempt"], &job["started_at"]), (&2.into(), &json(&member)["started_at"]));
    assert!(job["retried_at"].is_f64(), "{job}");
}

#[test]
fn summary_and_page_find_all_they_read_in_our_keys() {
    let redis = Redis::start();
    redis.push(
        "default",
        &[
            "no job",
            r#"{"name":"Nobody","args":{"a":1}}"#,
            r#"{"name":"Fail","args":["x"],"retries":1,"jid":"r"}"#,
            r#"{"name":"Fail","args":["é"],"jid":"d"}"#,
            r#"{"name":"Noop","args":[]}"#,
            LONG,
        ],
    );
    redis.push("elsewhere", &[r#"{"name":"Noop"}"#; 2]);
    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    client.enqueue_in(Duration::from_secs(600), &NewJob::new("Noop", &("later",)).unwrap()).unwrap();
    let worker = Worker::start(&redis, &["-c", "4", "-t", "9", "--unknown", "fail"]);
    wait_until("all but the long one are settled", || redis.processed() == 3 && redis.failures() == 4);
    wait_until("the heartbeat is there", || redis.keys("jiggler:svr:*").len() == 1);

    let gem = Gem::new(&redis, RUBY);
    let summary = gem.summary();
    for (count, expected) in [
        ("retry_jobs_count", 1),
        ("dead_jobs_count", 3),
        ("scheduled_jobs_count", 1),
        ("failures_count", 4),
        ("processed_count", 3),
    ] {
        assert_eq!(summary[count], expected, "{count} in {summary}");
    }
    // Jobs in flight are in no queue, and no key of ours is mistaken for one.
    assert_eq!(summary["queues"], serde_json::json!({"elsewhere": 2}));
    let processes = summary["processes"].as_object().unwrap();
    let (key, process) = processes.iter().next().unwrap();
    assert_eq!((processes.len(), key.split(':').count()), (1, 10));
    let parts = parse_heartbeat(key).unwrap();
    assert_eq!(process["hostname"], parts.hostname);
    let expected = serde_json::json!({"concurrency": "4", "timeout": "9", "queues": "default",
        "poller_enabled": true, "pid": worker.pid().to_string(), "current_jobs": {}});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&process[field], value, "{field} in {process}");
    }
    assert!(process["heartbeat"].is_f64() && process["rss"].is_u64(), "{process}");

    for job in gem.last_jobs(RETRIES).iter().chain(&gem.last_jobs(DEAD)) {
        assert!(job["args"].is_array(), "the page joins them: {job}");
        for text in ["name", "jid", "error_class", "error_message"] {
            assert!(job[text].is_string(), "{text} in {job}");
        }
        assert!(job["started_at"].is_f64() && job["retried_at"].is_null(), "{job}");
    }
    let retry = &gem.last_jobs(RETRIES)[0];
    assert_eq!((&retry["attempt"], &retry["queue"]), (&1.into(), &"default".into()));
    assert_eq!(retry["retry_at"].as_f64().unwrap(), redis.set(RETRIES)[0].1);
    let scheduled = &gem.last_jobs(SCHEDULED)[0];
    assert!(scheduled["args"] == serde_json::json!(["later"]) && scheduled["scheduled_at"].is_f64());
}

#[test]
fn the_gems_cleaner_leaves_alone_what_runs_here() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 1\n");
    redis.push("default", &[LONG, r#"{"name":"Fail","args":["x"]}"#]);
    redis.push("elsewhere", &[r#"{"name":"Noop"}"#]);
    let mut worker = Worker::start(&redis, &["-c", "2", "-C", &config.path()]);
    wait_until("one runs and one is dead", || redis.count(DEAD) == 1 && lists_in_flight(&redis).len() == 1);
    let uuid = redis.uuid();
    let lease = || redis.set("jiggler:uring:leases");
    let held = lists_in_flight(&redis);
    for command in of_conn("cleaner", "c1", &["DEL", "SCAN"]) {
        redis.run(&command);
    }
    Gem::new(&redis, RUBY).prune_all();
    assert_eq!((redis.count(DEAD), redis.keys("jiggler:list:*").len(), redis.processed()), (0, 0, 0));
    assert_eq!(lists_in_flight(&redis), held);
    assert_eq!(redis.list(&["LRANGE", &held[0], "0", "-1"]), [LONG.as_bytes()]);
    assert!(lease()[0].0.starts_with(&uuid), "{:?}", lease());
    wait_until("the heartbeat is back", || redis.keys("jiggler:svr:*").len() == 1);
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    wait_until("it works, and counts from zero", || redis.processed() == 1);
    worker.stop();
    assert_eq!(redis.queue("default"), [LONG], "a stop hands it back");
}

#[test]
fn a_ruby_requeuer_does_not_touch_what_a_killed_worker_held() {
    let redis = Redis::start();
    redis.push("default", &[LONG]);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("it runs", || lists_in_flight(&redis).len() == 1);
    worker.kill();
    redis.run(&["DEL", &redis.keys("jiggler:svr:*")[0]]);
    let before = redis.keys("*");
    let gem = Gem::new(&redis, RUBY);
    assert_eq!(gem.requeue(), 0);
    assert!(!gem.said().iter().any(|command| command[0] == "LMOVE"), "{:?}", gem.said());
    assert_eq!(redis.keys("*"), before);
    assert!(before.iter().all(|key| !key.contains("in_progress")), "{before:?}");
    assert_eq!(gem.said()[0], words(&["SCAN", "0", "MATCH", "*in_progress*"]));
}

/// Both take from one queue, each acknowledges its own, and what either holds when killed is still there.
#[test]
fn servers_of_both_kinds_share_a_queue_and_lose_nothing_when_either_is_killed() {
    let redis = Redis::start();
    let job = |number: usize| format!(r#"{{"name":"Fail","args":[{number}],"jid":"{number:08}"}}"#);
    let jobs: Vec<String> = (0..200).map(job).collect();
    redis.push("default", &jobs[..100]);
    let gem = Gem::new(&redis, RUBY);
    gem.beat();
    let mut acked = Vec::new();
    for _ in 0..20 {
        let payload = gem.take("default").unwrap();
        assert_eq!(gem.ack("default", &payload), 1);
        acked.push(payload);
    }
    let mut worker = Worker::start(&redis, &[]);
    redis.push("default", &jobs[100..]);
    let mut held = Vec::new();
    while let Some(payload) = gem.take("default") {
        if held.len() < 10 {
            held.push(payload);
        } else {
            assert_eq!(gem.ack("default", &payload), 1);
            acked.push(payload);
        }
    }
    wait_until("all are settled", || redis.failures() as usize + acked.len() + held.len() == jobs.len());
    worker.kill();
    // The Ruby server is killed with jobs in hand; another puts them back.
    redis.run(&["DEL", &format!("jiggler:svr:{RUBY}:3:25:default:1:1795300143:13895:vm")]);
    let other = Gem::new(&redis, "11a9475cb763");
    other.beat();
    assert_eq!(other.requeue(), held.len());
    let mut worker = Worker::start(&redis, &[]);
    wait_until("those run here", || redis.failures() as usize + acked.len() == jobs.len());
    worker.stop();
    let mut done: Vec<String> = redis.set(DEAD).iter().map(|(job, _)| json(job)["jid"].to_string()).collect();
    done.extend(acked.iter().map(|job| json(job)["jid"].to_string()));
    done.sort_unstable();
    let expected: Vec<String> = jobs.iter().map(|payload| json(payload)["jid"].to_string()).collect();
    assert_eq!(done, expected, "each ran once");
}
