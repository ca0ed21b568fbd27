//! A process reports how it is: in its figures and `summary`, and, while Redis is away, in its log when asked. The
//! others notice a shard that makes no progress, whatever the cause.

use std::time::Duration;

use crate::harness::proxy::{Fate, Proxy};
use crate::harness::wait::{wait_for, wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, json, output_of};
use crate::own_jobs;

/// Heartbeats, and the figures with them, are published at this interval.
const BEAT_OFTEN: &str = "stats_interval: 1\n";

/// Long enough for a stall to count as one and for the watchdog to check, twice over.
const KEEPS_CORE_S: u64 = 20;

fn health(redis: &Redis) -> serde_json::Value {
    let output = output_of(&["summary", "--json", "--redis-url", &redis.url()]);
    assert!(output.status.success(), "{output:?}");
    let summary = json(&output.stdout);
    summary["processes"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .map_or_else(Default::default, |process| process["health"].clone())
}

#[test]
fn a_shard_whose_job_holds_the_core_is_named_until_it_turns_again() {
    let redis = Redis::start();
    let config = config_file(BEAT_OFTEN);
    let args = ["--cores", "2", "-C", &config.path(), "-t", "30"];
    let mut worker = Worker::launch_program(&own_jobs::example("misbehaving_jobs"), &redis.url(), &args);
    wait_until("the process is well", || health(&redis)["ok"] == true);
    wait_until("both wait for jobs", || redis.waiting() == 2);
    redis.push("default", &[format!(r#"{{"name":"KeepCore","args":[{KEEPS_CORE_S}]}}"#)]);
    let trouble = wait_for("the figures name the shard", || {
        let health = health(&redis);
        (health["ok"] == false).then(|| health["troubles"][0].clone())
    });
    assert_eq!(trouble["what"], "stalled");
    worker.wait_for_line("a job holds up its core");
    let text = output_of(&["summary", "--redis-url", &redis.url()]).stdout;
    assert!(String::from_utf8_lossy(&text).contains(&format!("shard {} stalled for ", trouble["shard"])));
    // The lease and the other shard carry on.
    redis.push("default", &[r#"{"name":"Count","args":[1]}"#]);
    wait_until("the other shard works", || redis.processed() == 1);
    wait_until("the process is well again", || health(&redis)["ok"] == true);
    worker.stop();
    assert_eq!(worker.lines("ERROR"), [""; 0], "the job is named, which is enough");
}

#[test]
fn a_process_without_redis_reports_its_state_on_a_signal() {
    let mut redis = Redis::start_durable();
    redis.push("default", &[r#"{"name":"Sleep","args":[60]}"#]);
    let worker = Worker::start(&redis, &[]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    let ask = |part: &str| {
        wait_until(&format!("it says: {part}"), || {
            let before = worker.lines("health phase=").len();
            worker.signal("USR1");
            wait_until("it answers", || worker.lines("health phase=").len() > before);
            worker.lines("health phase=")[before].contains(part)
        });
    };
    ask(r#"health="ok" heartbeat="ok" processed=0 failed=0 running=1 unstarted=0 disconnects=0"#);
    redis.kill();
    ask(r#"health="shard 0 without redis for "#);
    ask(r#"heartbeat="redis is gone""#);
    redis.start_again();
    ask(r#"health="ok" heartbeat="ok" processed=0 failed=0 running=1 unstarted=0 disconnects=1"#);
    assert_eq!(worker.lines("stopping"), [""; 0]);
}

/// The first lease comes before all work, so if it cannot be written, no shard knows of an outage.
#[test]
fn a_process_whose_shards_could_not_start_is_not_well_and_says_why() {
    let redis = Redis::start();
    let of_control = |bytes: &[u8]| bytes.windows(8).any(|word| word == b":control");
    let proxy =
        Proxy::start(
            redis.socket(),
            move |bytes| {
                if of_control(bytes) { Fate::LoseRequest } else { Fate::Arrive }
            },
        );
    let worker = Worker::launch(&proxy.url(), &[]);
    worker.wait_for_line("heartbeat: lost the connection to redis");
    worker.signal("USR1");
    worker.wait_for_line("health phase=");
    let health = worker.lines("health phase=").remove(0);
    assert!(health.contains(r#"health="no shard has started: redis is gone""#), "{health}");
}

/// Redis is there, and refuses what the shard must send: it connects again and again, and still is not back.
#[test]
fn a_single_shard_that_redis_refuses_is_named_and_says_so_once() {
    let redis = Redis::start();
    let config = config_file(BEAT_OFTEN);
    let worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("the worker waits for jobs", || redis.waiting() == 1);
    redis.run(&["ACL", "SETUSER", "default", "-incrby"]);
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    worker.wait_for_line("redis denies this worker's user");
    let trouble = wait_for("the figures name the shard", || {
        let health = health(&redis);
        (health["ok"] == false).then(|| health["troubles"][0].clone())
    });
    assert_eq!((&trouble["what"], &trouble["shard"]), (&"no-redis".into(), &0.into()));
    redis.run(&["ACL", "SETUSER", "default", "+incrby"]);
    wait_until("the process is well again", || health(&redis)["ok"] == true);
    assert_eq!(redis.processed(), 1);
    assert_eq!((worker.lines("redis denies").len(), worker.lines("redis is back").len()), (1, 1));
}

/// A process that has said that a shard is without Redis does not leave that standing until its next heartbeat.
#[test]
fn the_end_of_an_outage_shows_before_the_next_heartbeat_is_due() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 12\n");
    let worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("the worker waits for jobs", || redis.waiting() == 1);
    redis.run(&["ACL", "SETUSER", "default", "-incrby"]);
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    worker.wait_for_line("redis denies this worker's user");
    wait_until("a heartbeat says so", || health(&redis)["ok"] == false);
    // The next one is due 12 s after it.
    redis.run(&["ACL", "SETUSER", "default", "+incrby"]);
    let well = || (health(&redis)["ok"] == true).then_some(());
    wait_within(Duration::from_secs(8), "the process is well again", well);
    assert_eq!(worker.lines("redis is back").len(), 1);
}
