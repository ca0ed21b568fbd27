//! Jobs that hold their thread: they run alongside the shard, which meanwhile keeps starting and settling others.

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, json};
use crate::own_jobs::example;

/// Computes for longer than any test runs.
const ENDLESS: &str = r#"{"name":"Primes","args":[1000000000000],"jid":"endless"}"#;

#[test]
fn light_jobs_run_while_heavy_ones_hold_every_companion_of_the_only_core() {
    let redis = Redis::start();
    // Two compute, two wait for a companion, and all four hold a slot of six.
    redis.push("default", &[ENDLESS; 4]);
    let mut worker =
        Worker::launch_program(&example("cpu_heavy"), &redis.url(), &["--cores", "1", "-c", "6"]);
    wait_until("all four are taken", || redis.queue("default").is_empty());
    for round in 1..=50 {
        redis.push("default", &[r#"{"name":"Ping","args":["x"]}"#]);
        wait_until("a light job has run", || redis.processed() == round);
    }
    // None can be interrupted: all are handed back, even those that had started, and the process still ends.
    worker.stop();
    assert_eq!(redis.queue("default"), [ENDLESS; 4]);
    assert_eq!((redis.processed(), redis.failures(), redis.count(DEAD)), (50, 0, 0));
}

#[test]
fn blocking_jobs_fail_and_are_retried_like_others() {
    let redis = Redis::start();
    redis.push(
        "default",
        &[
            r#"{"name":"Primes","args":["many"],"retries":1,"jid":"type"}"#,
            r#"{"name":"Primes","args":[],"jid":"none"}"#,
            r#"{"name":"Primes","args":[100],"jid":"good"}"#,
        ],
    );
    let mut worker = Worker::launch_program(&example("cpu_heavy"), &redis.url(), &["--cores", "1"]);
    wait_until("all have run", || redis.processed() == 3);
    assert_eq!((redis.failures(), redis.count(RETRIES), redis.count(DEAD)), (2, 1, 1));
    assert_eq!(json(&redis.set(RETRIES)[0].0)["error_class"], "JigglerUring::BadArguments");
    worker.wait_for_line("good 25 primes below 100");
    worker.stop();

    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"PanicAside","args":[],"retries":2,"jid":"p"}"#]);
    let mut worker = Worker::launch_program(&example("misbehaving_jobs"), &redis.url(), &[]);
    wait_until("the job waits for its retry", || redis.count(RETRIES) == 1);
    let job = json(&redis.set(RETRIES)[0].0);
    assert_eq!((&job["attempt"], &job["error_class"]), (&1.into(), &"JigglerUring::Panic".into()));
    assert_eq!(job["error_message"], "on a companion");
    worker.stop();
}
