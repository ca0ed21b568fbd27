//! What a tick pushes is an ordinary job: it runs once at workers that run jobs at most once, a Ruby server takes it, and
//! beside Sidekiq it has the members that Sidekiq's own client writes.

use std::collections::BTreeSet;
use std::path::Path;

use jiggler_uring::internal::wire::Dialect;
use serde_json::Value;

use crate::cron::{check_every_second, cron_at, tick_of, ticks};
use crate::harness::gem::Gem;
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{Account, Redis, Worker, config_file, json};

/// What a client of the gems pushed: the payloads of a list in a captured state.
fn captured(file: &str, key: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    let capture: Value = json(std::fs::read(path).unwrap());
    let keys = capture["keys"].as_array().unwrap();
    let list = keys.iter().find(|entry| entry["key"] == key).unwrap();
    list["value"].as_array().unwrap().iter().map(|payload| json(payload.as_str().unwrap())).collect()
}

/// The names of the members of a job, but for the one that tells of the tick.
fn members(job: &Value) -> BTreeSet<&str> {
    job.as_object().unwrap().keys().map(String::as_str).filter(|name| *name != "cron").collect()
}

/// Of a job the kind of each member that both have.
#[track_caller]
fn check_kinds(job: &Value, captured: &Value) {
    for (name, value) in job.as_object().unwrap() {
        let there = &captured[name];
        let same = there.is_null() || std::mem::discriminant(value) == std::mem::discriminant(there);
        assert!(same && value.is_f64() == there.is_f64(), "{name}: {value}, but {there} in {captured}");
    }
}

#[test]
fn at_most_once_a_tick_runs_once_and_a_kill_repeats_none() {
    let redis = Redis::start();
    let add = ["add", "e", "* * * * * *", "Fail", r#"["tick"]"#, "--retries", "0", "--catch-up", "all:100"];
    cron_at(&redis.url(), &add);
    let config = config_file("poll_interval: 1\n");
    let start = || Worker::start(&redis, &["--mode", "at-most-once", "-v", "-C", &config.path()]);
    let mut workers = [start(), start()];
    // They die at once, and the dead set keeps them; by their time, whichever worker was faster.
    let ran = || {
        let mut ran: Vec<i64> = redis.set(DEAD).iter().map(|(job, _)| tick_of(job.as_bytes())).collect();
        ran.sort_unstable();
        ran
    };
    wait_until("some ticks have run", || ran().len() >= 4);
    check_every_second(&ran());
    let lead = wait_for("one leads", || redis.text("jiggler:uring:poller"));
    let leads = |worker: &Worker| worker.lines(" working ").iter().any(|line| line.contains(&lead));
    let at = wait_for("it is one of the two", || workers.iter().position(leads));
    workers[at].kill();
    let before = ran().len();
    wait_until("another one goes on", || ran().len() >= before + 3);
    workers[1 - at].stop();
    workers.iter().for_each(Account::assert_none_ran_twice);
    let ran = ran();
    let all = ran[ran.len() - 1] - ran[0] + 1;
    assert_eq!(ran.iter().collect::<BTreeSet<_>>().len(), ran.len(), "a tick ran twice: {ran:?}");
    // What ran when its worker was killed is gone, as with any job at most once.
    assert!(all - ran.len() as i64 <= 1, "{all} ticks, but {ran:?}");
}

#[test]
fn what_a_tick_pushes_a_ruby_server_takes_retries_and_acks() {
    let redis = Redis::start();
    let args = r#"[1,-2,"two",3.5,1.0e+21,12345678901234567890,null,true,{"k":"v"}]"#;
    let url = redis.url();
    let add = |name: &str, more: &[&str]| {
        cron_at(&url, &[&["add", name, "* * * * * *", "PlainJob", args], more].concat());
    };
    add("plain", &["--queue", "default"]);
    add("retried", &["--queue", "custom", "--retries", "10"]);
    // Its own queues are none of these.
    let _pusher = Worker::start(&redis, &["-q", "elsewhere"]);
    wait_until("both are pushed", || !redis.queue("default").is_empty() && !redis.queue("custom").is_empty());
    let gem = Gem::new(&redis, "973d817ae01f");
    let clients_own = captured("jiggler/enqueue-0.1.0.json", "jiggler:list:custom");
    let (plain, retried) = (gem.take("default").unwrap(), gem.take("custom").unwrap());
    assert_eq!(members(&json(&retried)), members(&clients_own[0]));
    // Without the member the gem takes it for 0 retries, which its own client writes.
    let mut expected = members(&clients_own[0]);
    expected.remove("retries");
    let job = json(&plain);
    assert_eq!(members(&job), expected);
    for payload in [&plain, &retried] {
        check_kinds(&json(payload), &clients_own[0]);
        assert!(payload.contains(&format!(r#""args":{args}"#)), "not as written: {payload}");
    }
    assert_eq!(gem.ack("default", &plain), 1);
    // The retrier of the gem keeps what it does not know.
    let (set, again) = gem.failed(&retried, "RuntimeError", "boom", 1_795_300_143.5);
    assert_eq!(set, RETRIES);
    assert_eq!((&json(&again)["cron"], &json(&again)["attempt"]), (&json(&retried)["cron"], &1.into()));
    assert_eq!(gem.ack("custom", &retried), 1);
    assert_eq!(tick_of(again.as_bytes()), tick_of(retried.as_bytes()));
}

#[test]
fn in_sidekiq_a_tick_pushes_what_its_client_would() {
    let redis = Redis::start_in(Dialect::Sidekiq);
    let url = redis.url();
    let add = |name: &str, more: &[&str]| {
        let words = ["add", name, "* * * * * *", "PlainJob", "[1]", "--queue", "ticks"];
        let dialect: &[&str] = &["--dialect", "sidekiq"];
        cron_at(&url, &[&words, more, dialect].concat());
    };
    add("plain", &[]);
    let pusher = Worker::start(&redis, &["-q", "elsewhere"]);
    let pushed = || redis.list(&["LRANGE", "queue:ticks", "0", "-1"]);
    wait_until("it is pushed", || pushed().len() >= 2);
    check_every_second(&ticks(&redis, "queue:ticks"));
    let registered = redis.list(&["SMEMBERS", "queues"]);
    assert!(registered.contains(&b"ticks".to_vec()), "Sidekiq does not see the queue: {registered:?}");
    for job in pushed() {
        let job = json(&job);
        for version in ["6.4.1", "7.0.3", "7.3.10", "8.1.7"] {
            let own = captured(&format!("sidekiq/enqueue-{version}.json"), "queue:default");
            let own = own.iter().find(|own| own["class"] == "PlainJob").unwrap();
            assert_eq!(members(&job), members(own), "{version}");
            // From 8 on its times are whole milliseconds; it reads seconds too.
            if version != "8.1.7" {
                check_kinds(&job, own);
            }
        }
        assert_eq!((&job["queue"], &job["retry"]), (&"ticks".into(), &true.into()));
    }
    assert_eq!(pusher.lines("ERROR"), [""; 0]);
}
