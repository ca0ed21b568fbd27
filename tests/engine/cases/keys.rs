//! How many keys a process has in Redis: as few as possible, because each key makes the gem's lookups fail more often.

use std::time::Duration;

use jiggler_uring::internal::wire::keys::JIGGLER;

use crate::harness::redis::Redis;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Worker, output_of};

const SHARDS: usize = 2;

/// A process first looks for Ruby servers within half a minute of its start.
const FIRST_LOOK: Duration = Duration::from_secs(60);

/// All keys except those that the gem also makes, and what a fleet has once: the lease set, the pollers' lead, the register,
/// history.
fn own_keys(redis: &Redis) -> Vec<String> {
    let register = JIGGLER.register().unwrap();
    let fleets = [
        "jiggler:uring:leases",
        "jiggler:uring:poller",
        register.queues,
        register.processes,
        register.walked,
    ];
    let shared = ["jiggler:stats:", "jiggler:uring:history:"];
    let counts =
        |key: &String| !shared.iter().any(|prefix| key.starts_with(prefix)) && !fleets.contains(&&**key);
    redis.keys("*").into_iter().filter(counts).collect()
}

fn check_keys(queues: &[&str]) {
    let redis = Redis::start();
    let args = ["--cores", "2", "-c", "40", "-q", &queues.join(",")];
    let mut worker = Worker::start(&redis, &args);
    let idle = || wait_until("it is idle", || redis.waiting() == SHARDS * queues.len());
    idle();
    let own = own_keys(&redis);
    assert_eq!(own.len(), 2 + SHARDS, "heartbeat, figures and one per shard: {own:?}");

    let mut pushed = 0;
    for queue in queues {
        let quick = (0..300).map(|n| format!(r#"{{"name":"Noop","jid":"{queue}{n}"}}"#));
        let slow = (0..4).map(|n| format!(r#"{{"name":"Sleep","args":[0.05],"jid":"s{queue}{n}"}}"#));
        let jobs: Vec<String> = quick.chain(slow).collect();
        pushed += jobs.len() as u64;
        redis.push(queue, &jobs);
    }
    wait_until("all have run", || redis.processed() == pushed);
    idle();
    wait_until("the jobs in flight have left nothing", || own_keys(&redis) == own);
    worker.stop();
    assert_eq!(own_keys(&redis), [""; 0]);
}

#[test]
fn an_idle_process_has_two_keys_plus_one_per_shard_whatever_it_serves_and_has_run() {
    check_keys(&["default"]);
    check_keys(&["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn a_busy_process_has_at_most_two_more_keys_for_each_queue_and_shard_with_one_batch() {
    let redis = Redis::start();
    let queues = ["a", "b", "c", "d", "e", "f"];
    let mut worker = Worker::start(&redis, &["-c", "6", "-q", &queues.join(",")]);
    wait_until("it is idle", || redis.waiting() == queues.len());
    let idle = own_keys(&redis).len();
    for queue in queues {
        redis.push(queue, &[format!(r#"{{"name":"Sleep","args":[600],"jid":"{queue}"}}"#)]);
    }
    wait_until("all run", || redis.job_keys().iter().all(|key| !key.starts_with("jiggler:list:")));
    let busy = own_keys(&redis);
    assert!(busy.len() <= idle + 2 * queues.len(), "{busy:?}");
    worker.kill();
}

/// What a Ruby server publishes about itself, now.
fn ruby_beats(redis: &Redis, uuid: &str, poller: u8) {
    let reply = redis.list(&["TIME"]);
    let seconds = String::from_utf8(reply[0].clone()).unwrap();
    let key = format!("jiggler:svr:{uuid}:3:25:default:{poller}:1795300143:13895:vm");
    let value = format!(r#"{{"heartbeat":{seconds}.5,"rss":35672,"current_jobs":{{}}}}"#);
    redis.run(&["SET", &key, &value, "EX", "190"]);
}

#[test]
fn a_ruby_server_with_a_poller_causes_one_warning() {
    const WARNING: &str = "ruby servers run their poller next to this worker";
    let redis = Redis::start();
    let doctor = || {
        let args = ["doctor", "--cores", "1", "--redis-url", &redis.url()];
        String::from_utf8(output_of(&args).stdout).unwrap()
    };
    ruby_beats(&redis, "973d817ae01f", 0);
    assert!(doctor().contains("ok       ruby servers"), "{}", doctor());

    let mut worker = Worker::start(&redis, &[]);
    wait_within(FIRST_LOOK, "the worker warns", || {
        ruby_beats(&redis, "973d817ae01f", 1);
        (!worker.lines(WARNING).is_empty()).then_some(())
    });
    let said = doctor();
    assert!(said.contains("warning  ruby servers") && said.contains("poller_enabled: false"), "{said}");
    worker.stop();
    let lines = worker.lines(WARNING);
    assert!(
        lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains("poller_enabled: false"),
        "{lines:?}"
    );
}
