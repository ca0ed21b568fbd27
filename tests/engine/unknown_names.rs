//! Jobs whose name a worker does not know: left to workers that do, without an attempt and without spinning; failed when
//! none has taken them in time, or at once if that is asked for.

use std::time::{Duration, Instant};

use jiggler_uring::internal::wire::figures;

use crate::harness::gem::Gem;
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::{measure_over, wait_for, wait_until};
use crate::harness::{Redis, Worker, config_file, json, output_of};
use crate::own_jobs::example;

/// Known to the example `cpu_heavy` alone.
const PING: &str = r#"{"name":"Ping","args":["x"],"jid":"0d655a187e214821"}"#;

/// Names that no program knows.
fn nobody(number: usize) -> String {
    format!(r#"{{"name":"Nobody","args":[{number}],"retries":0,"jid":"{number}"}}"#)
}

/// As a rolling deploy has it: the old worker is there first, and known jobs behind an unknown one do not wait for it.
#[test]
fn a_job_that_one_worker_does_not_know_runs_in_the_one_that_does() {
    let redis = Redis::start();
    redis.push("default", &[PING, r#"{"name":"Noop","args":[]}"#]);
    let mut old = Worker::start(&redis, &["--cores", "1"]);
    let left = wait_for("the job is left to others", || redis.set(RETRIES).pop());
    wait_until("the job behind it has run", || redis.processed() == 1);
    let job = json(&left.0);
    assert!(left.0.starts_with(PING.trim_end_matches('}')), "{}", left.0);
    assert_eq!((&job["queue"], job["retry_at"].as_f64()), (&"default".into(), Some(left.1)));
    assert_eq!(job["left_until"], job["retry_at"]);
    assert!(job["attempt"].is_null() && job["error_class"].is_null(), "{job}");

    let mut new = Worker::launch_program(&example("cpu_heavy"), &redis.url(), &["--cores", "1"]);
    wait_until("it has run", || redis.processed() == 2);
    old.stop();
    new.stop();
    assert_eq!((redis.failures(), redis.count(RETRIES), redis.count(DEAD)), (0, 0, 0));
}

#[test]
fn a_job_that_none_of_ours_knows_is_there_for_ruby() {
    let redis = Redis::start();
    redis.push("default", &[PING]);
    let mut workers: Vec<Worker> = (0..2).map(|_| Worker::start(&redis, &["--cores", "1"])).collect();
    let since = |job: &str| json(job)["left_since"].as_f64().unwrap();
    let (first, _) = wait_for("it is left", || redis.set(RETRIES).pop());
    let (again, _) =
        wait_for("it is left again", || redis.set(RETRIES).pop().filter(|(job, _)| *job != first));
    assert_eq!(since(&first), since(&again), "the age counts for the whole fleet");
    for worker in &mut workers {
        worker.stop();
    }
    // What lies in the retry set, the gem's own poller moves too; its worker runs what has these members like any other.
    let gem = Gem::new(&redis, "973d817ae01f");
    wait_until("it waits for its time", || redis.count(RETRIES) == 1 || redis.queue("default").len() == 1);
    gem.poll(1e10);
    let taken = gem.take("default").unwrap();
    assert!(taken.starts_with(PING.trim_end_matches('}')), "{taken}");
    assert_eq!(gem.ack("default", &taken), 1);
    assert_eq!((redis.processed(), redis.failures()), (0, 0));
}

#[test]
fn what_nobody_takes_in_time_fails_and_its_name_is_said_once() {
    let redis = Redis::start();
    let retried = r#"{"name":"Nobody","args":[],"retries":3,"jid":"r"}"#;
    redis.push("default", &[nobody(0).as_str(), nobody(1).as_str(), retried]);
    let mut worker = Worker::start(&redis, &["--cores", "2", "--unknown-for", "3"]);
    wait_until("all three are left to others", || redis.count(RETRIES) == 3);
    worker.wait_for_line("left to other workers");
    wait_until("all have failed", || redis.failures() == 3);
    worker.stop();
    let said = worker.lines("left to other workers");
    assert!(said.len() == 1 && said[0].contains("name=Nobody queue=default"), "{said:?}");
    for (payload, died) in redis.set(DEAD) {
        let job = json(&payload);
        assert_eq!(job["error_class"], "JigglerUring::UnknownJob");
        assert!(died - job["left_since"].as_f64().unwrap() >= 3.0, "{payload}");
    }
    let job = json(&redis.set(RETRIES)[0].0);
    assert_eq!((&job["jid"], &job["attempt"], redis.count(DEAD)), (&"r".into(), &1.into(), 2));
    assert_eq!(redis.processed(), 3);
}

/// A queue that holds nothing else: each job is looked at about once a second at first, and more rarely later.
#[test]
fn a_queue_full_of_unknown_jobs_does_not_make_the_worker_spin_and_is_shown() {
    const JOBS: usize = 300;
    let redis = Redis::start();
    redis.push("default", &(0..JOBS).map(nobody).collect::<Vec<_>>());
    let began = Instant::now();
    let config = config_file("stats_interval: 1\n");
    let worker = Worker::start(&redis, &["--cores", "1", "-C", &config.path()]);
    wait_until("all are left to others", || redis.count(RETRIES) == JOBS as i64);
    measure_over(Duration::from_secs(3));
    let times = wait_for("the figures tell", || {
        let key = redis.keys("jiggler:uring:process:*").pop()?;
        figures::parse(redis.text(&key)?.as_bytes()).ok()?.left.pop().filter(|left| left.times >= JOBS as u64)
    });
    let (looks, seconds) = (times.times as f64 / JOBS as f64, began.elapsed().as_secs_f64());
    worker.wait_for_line("left to other workers");
    assert!(times.name == "Nobody" && looks <= seconds / 0.75 + 1.0, "{looks} looks in {seconds} s");
    let summary = String::from_utf8(output_of(&["summary", "--redis-url", &redis.url()]).stdout).unwrap();
    assert!(summary.contains("leaves jobs it does not know to other workers: Nobody ("), "{summary}");
    assert_eq!((redis.failures(), redis.count(DEAD), worker.lines("left to other workers").len()), (0, 0, 1));
}
