//! A Redis that loads its data: it accepts connections and refuses every command that touches data, until it is done.
//! The worker says so once, waits, and continues by itself (P5).

use std::time::Duration;

use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file};

const JOBS: usize = 8_000;

/// Keys other than the jobs. Each takes [`KEY_LOAD_DELAY_US`] to load: together longer than a worker takes to start.
const KEYS: usize = 1_500;
const KEY_LOAD_DELAY_US: &str = "5000";

/// Consumption must resume this soon after loading ends.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// A Redis that loads slowly however it is started, and answers meanwhile.
fn start_slow_to_load() -> Redis {
    let redis = Redis::start_with(&[
        "--key-load-delay",
        KEY_LOAD_DELAY_US,
        "--loading-process-events-interval-bytes",
        "1024",
        "--rdbcompression",
        "no",
    ]);
    let fill = format!("for i = 1, {KEYS} do redis.call('SET', 'other:' .. i, string.rep('x', 200)) end");
    redis.run(&["EVAL", &fill, "0"]);
    redis
}

fn is_loading(redis: &Redis) -> bool {
    redis.info("persistence", "loading") == 1
}

#[test]
fn a_worker_waits_for_a_redis_that_loads_its_data_after_a_restart() {
    let mut redis = start_slow_to_load();
    let config = config_file("max_dead_jobs: 1000000\n");
    Account::push(&redis, "default", JOBS);
    let mut worker = Worker::launch(&redis.url(), &["--cores", "2", "-v", "-C", &config.path()]);
    wait_until("some jobs have run", || redis.processed() > 500);
    redis.shut_down_saving();
    wait_until("both shards say that redis is gone", || worker.lines("redis is gone; trying").len() == 2);
    redis.begin_again();
    wait_until("the worker tries while it loads", || redis.clients("jiggler-uring:").len() > 1);
    assert!(is_loading(&redis), "redis had loaded before the worker tried, which proves nothing");
    wait_until("redis has loaded its data", || redis.serves());
    let before = redis.processed();
    assert!(before < JOBS as u64, "redis ended after the drain, which proves nothing");
    wait_within(BACK_WITHIN, "the worker consumes again", || (redis.processed() > before).then_some(()));
    wait_until("all jobs have run", || redis.processed() >= JOBS as u64);
    worker.stop();
    Account::of(&redis).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
    let once_each = [
        ("redis is gone; trying", 2),
        ("redis is back shard", 2),
        ("heartbeat: connected to redis again", 1),
    ];
    for (text, lines) in once_each {
        assert_eq!(worker.lines(text).len(), lines, "{text}: once for each shard, and for control");
    }
}

#[test]
fn a_worker_that_starts_while_redis_loads_says_so_once_and_works_when_it_is_done() {
    let mut redis = start_slow_to_load();
    redis.push("default", &[r#"{"name":"Noop"}"#; 20]);
    redis.shut_down_saving();
    redis.begin_again();
    let mut worker = Worker::start(&redis, &["--cores", "2"]);
    worker.wait_for_line("LOADING");
    assert!(is_loading(&redis), "redis had loaded before the worker tried, which proves nothing");
    wait_until("redis has loaded its data", || redis.serves());
    wait_within(BACK_WITHIN, "the jobs run", || (redis.processed() == 20).then_some(()));
    worker.stop();
    assert_eq!(worker.lines("LOADING").len(), 1);
    assert_eq!(worker.lines("heartbeat: connected to redis again").len(), 1);
    assert_eq!(worker.lines("ERROR").len(), 1);
}
