//! A job that takes its process down is recovered three times and no more (P4), and its neighbours do not share its
//! fate.

use std::time::Duration;

use crate::fleet::{REAPED, end_lease, uuid_of};
use crate::harness::redis::DEAD;
use crate::harness::wait::wait_within;
use crate::harness::{Redis, Worker};
use crate::own_jobs::example;

/// A reaper first looks after a whole lease and then every five seconds; and the machine may be loaded.
const LONG: Duration = Duration::from_secs(240);

#[test]
fn a_job_that_kills_its_process_is_buried_after_three_recoveries_and_its_neighbours_run() {
    const NEIGHBOURS: u64 = 40;
    let redis = Redis::start();
    let reaper = Worker::start(&redis, &["-q", "elsewhere"]);
    let neighbour = |n| format!(r#"{{"name":"Count","args":[1],"jid":"n{n}"}}"#);
    let mut jobs: Vec<String> = (0..NEIGHBOURS).map(neighbour).collect();
    let poison = r#"{"name":"Abort","args":[],"jid":"poison","retries":5}"#;
    jobs.insert(jobs.len() / 2, poison.to_owned());
    redis.push("default", &jobs);

    let launch = || Worker::launch_program(&example("misbehaving_jobs"), &redis.url(), &["-c", "5"]);
    let mut worker = launch();
    let mut deaths = 0;
    wait_within(LONG, "the job is buried, all others have run", || {
        if !worker.is_running() {
            deaths += 1;
            end_lease(&redis, &uuid_of(&worker));
            worker = launch();
        }
        (redis.count(DEAD) == 1 && redis.processed() == NEIGHBOURS).then_some(())
    });
    assert_eq!(deaths, 4, "one run and three recoveries");
    let (entry, _) = redis.set(DEAD).remove(0);
    let dead: serde_json::Value = serde_json::from_str(&entry).unwrap();
    assert_eq!((&dead["jid"], &dead["error_class"]), (&"poison".into(), &"JigglerUring::Poison".into()));
    assert_eq!(redis.failures(), 1);
    assert_eq!(redis.queue("default").len(), 0);
    // The log may come later than what it tells.
    reaper.wait_for_line("as poison");
    wait_within(LONG, "the last death is logged", || (reaper.lines(REAPED).len() >= 4).then_some(()));
    assert_eq!(reaper.lines(REAPED).len(), 4);
    assert_eq!(reaper.lines("as poison").len(), 1);
    wait_within(LONG, "nothing of the dead process is left", || {
        redis.keys("*:s").is_empty().then_some(()).filter(|()| redis.keys("*:p").is_empty())
    });
}
