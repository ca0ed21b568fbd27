//! Which of a fleet's pollers leads, and that the leader learns of jobs that others schedule while it sleeps.

use std::path::Path;
use std::time::Instant;

use jiggler_uring::internal::limits::DUE_PAUSE_MIN;

use crate::fleet::uuid_of;
use crate::harness::redis::{DEAD, RETRIES, SCHEDULED};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file};
use crate::poller::{FAR_AHEAD, add, redis_now};

const LEAD: &str = "jiggler:uring:poller";

/// So long that nothing moved in this test was found by it.
const NEVER: &str = "poll_interval: 3600\n";

/// So short that a lead which is not renewed lapses while a test waits.
const SOON: &str = "poll_interval: 1\n";

/// The pollers that Redis notifies of changes.
fn told(redis: &Redis) -> Vec<String> {
    let is_told = |line: &String| line.split(' ').any(|f| f.starts_with("flags=") && f.contains('t'));
    redis.clients(":poller").into_iter().filter(is_told).collect()
}

/// Waits until this worker leads and is notified of what others do.
#[track_caller]
fn wait_for_leader(redis: &Redis, worker: &Worker) {
    let uuid = uuid_of(worker);
    wait_until("it leads", || redis.text(LEAD).as_deref() == Some(&uuid));
    wait_until("it alone is notified of changes", || {
        let told = told(redis);
        told.len() == 1 && told[0].contains(&uuid)
    });
}

/// Schedules a job that goes to the dead set when it runs, as another client would.
fn schedule(redis: &Redis, in_s: f64, jid: &str) -> f64 {
    let due = redis_now(redis) + in_s;
    let job = format!(r#"{{"name":"Fail","args":["ran"],"jid":"{jid}"}}"#);
    add(redis, SCHEDULED, &due.to_string(), job.as_bytes());
    due
}

#[track_caller]
fn check_runs_when_due(redis: &Redis, in_s: f64, jid: &str) {
    let due = schedule(redis, in_s, jid);
    let ran = || redis.set(DEAD).into_iter().find(|(job, _)| job.contains(&format!("\"{jid}\"")));
    wait_until(&format!("{jid} has run"), || ran().is_some());
    let died_at = ran().unwrap().1;
    assert!(died_at >= due, "{jid} ran {} s early", due - died_at);
}

/// How often Redis was asked to run a script.
fn script_calls(redis: &Redis) -> u64 {
    let reply = redis.run(&["INFO", "commandstats"]);
    let text = String::from_utf8_lossy(reply.as_bulk().unwrap()).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    line.split(',').next().unwrap().parse().unwrap()
}

/// Errors in the log, except for jobs that failed, as these do to leave a trace.
fn errors(worker: &Worker) -> Vec<String> {
    worker.lines("ERROR").into_iter().filter(|line| !line.contains("a job failed")).collect()
}

#[test]
fn jobs_that_others_schedule_while_the_leader_sleeps_run_when_they_are_due() {
    let redis = Redis::start();
    let config = config_file(NEVER);
    let worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_for_leader(&redis, &worker);
    check_runs_when_due(&redis, 0.3, "first");
    // Due sooner than the job it sleeps for, and after a sleep has ended.
    schedule(&redis, 3_000.0, "far");
    check_runs_when_due(&redis, 0.5, "nearer");
    check_runs_when_due(&redis, -1.0, "overdue");
    for number in 0..20 {
        check_runs_when_due(&redis, 0.01, &format!("again{number}"));
    }
    // A set that is emptied in one stroke, and the lead with it.
    redis.run(&["FLUSHALL"]);
    wait_for_leader(&redis, &worker);
    check_runs_when_due(&redis, 0.2, "after");
    assert_eq!(errors(&worker), [""; 0]);
}

#[test]
fn a_retry_of_the_workers_own_shard_runs_when_it_is_due() {
    let redis = Redis::start();
    let example = Path::new(env!("CARGO_BIN_EXE_jiggler-uring")).with_file_name("examples/retry_policies");
    assert!(example.exists(), "{} is not built: cargo build --examples", example.display());
    let config = config_file(NEVER);
    let worker = Worker::launch_program(&example, &redis.url(), &["-C", &config.path()]);
    worker.wait_for_line(" working ");
    wait_for_leader(&redis, &worker);
    redis.push("default", &[r#"{"name":"CallApi","args":[429,0.2],"retries":2,"jid":"r"}"#]);
    wait_until("it has used its retries", || redis.count(DEAD) == 1);
    assert_eq!((redis.processed(), redis.count(RETRIES)), (3, 0));
}

#[test]
fn a_flood_of_changes_costs_few_lookups() {
    let redis = Redis::start();
    let config = config_file(NEVER);
    let worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_for_leader(&redis, &worker);
    let (before, begin) = (script_calls(&redis), Instant::now());
    for number in 0..3_000 {
        add(&redis, SCHEDULED, FAR_AHEAD, format!("{number}").as_bytes());
    }
    let (calls, elapsed) = (script_calls(&redis) - before, begin.elapsed());
    // Whatever the shard and the lease call meanwhile is far less than this allows.
    let looks_max = elapsed.as_millis() / DUE_PAUSE_MIN.as_millis() + 20;
    assert!(u128::from(calls) <= looks_max, "{calls} calls in {elapsed:?}");
    assert!(calls > 0, "no change was noticed");
    check_runs_when_due(&redis, 0.1, "amid");
}

#[test]
fn one_process_leads_and_another_takes_over_when_it_is_killed() {
    let redis = Redis::start();
    let config = config_file(SOON);
    let start = || Worker::start(&redis, &["-C", &config.path()]);
    let mut first = start();
    wait_for_leader(&redis, &first);
    let second = start();
    wait_until("the second has looked", || redis.clients(":poller").len() == 2);
    check_runs_when_due(&redis, 0.3, "led");
    wait_for_leader(&redis, &first);
    first.kill();
    // Before anyone leads, and after.
    check_runs_when_due(&redis, 0.1, "orphan");
    wait_for_leader(&redis, &second);
    check_runs_when_due(&redis, 0.1, "led again");
}

#[test]
fn a_leader_that_was_paused_finds_another_leading_and_follows() {
    let redis = Redis::start();
    let config = config_file(SOON);
    let workers = [(); 2].map(|()| Worker::start(&redis, &["-C", &config.path()]));
    wait_until("one leads", || told(&redis).len() == 1);
    let leader = redis.text(LEAD).unwrap();
    let [first, second] = &workers;
    let (first, second) = if uuid_of(first) == leader { (first, second) } else { (second, first) };
    first.signal("STOP");
    wait_until("the other leads", || redis.text(LEAD) == Some(uuid_of(second)));
    first.signal("CONT");
    wait_for_leader(&redis, second);
    check_runs_when_due(&redis, 0.1, "once");
    assert_eq!(redis.count(DEAD), 1);
}

#[test]
fn a_leader_that_goes_quiet_or_stops_gives_up_the_lead() {
    let redis = Redis::start();
    let config = config_file(NEVER);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_for_leader(&redis, &worker);
    assert!(redis.integer(&["PTTL", LEAD]) > 0, "a lead that nobody renews must end");
    worker.signal("TSTP");
    wait_until("the lead is free", || redis.text(LEAD).is_none());
    let mut other = Worker::start(&redis, &["-C", &config.path()]);
    wait_for_leader(&redis, &other);
    // A process that stops does not take away another's lead.
    worker.stop();
    wait_for_leader(&redis, &other);
    other.stop();
    assert_eq!(redis.text(LEAD), None);
}

#[test]
fn where_tracking_is_refused_jobs_are_found_by_interval_and_one_line_says_so() {
    const SAID: &str = "redis does not report new retries and scheduled jobs";
    let redis = Redis::start();
    redis.run(&["ACL", "SETUSER", "default", "-client|tracking"]);
    let config = config_file(SOON);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    worker.wait_for_line(SAID);
    check_runs_when_due(&redis, 0.1, "found");
    // It leads nevertheless, and wakes for the jobs it knows about.
    wait_until("it leads", || redis.text(LEAD) == Some(uuid_of(&worker)));
    let id = || redis.clients(":poller").first().map(|line| line.split(' ').next().unwrap().to_owned());
    let before = id();
    let number = before.as_ref().unwrap().trim_start_matches("id=");
    assert_eq!(redis.integer(&["CLIENT", "KILL", "ID", number]), 1);
    wait_until("it has connected again", || id().is_some() && id() != before);
    check_runs_when_due(&redis, 0.1, "found again");
    worker.stop();
    let said = worker.lines(SAID);
    assert!(said.len() == 1 && said[0].contains(" INFO "), "{said:?}");
    assert_eq!(told(&redis), [""; 0]);
}

#[test]
fn a_flushed_script_cache_is_not_an_outage() {
    let redis = Redis::start();
    let config = config_file(NEVER);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_for_leader(&redis, &worker);
    for round in 0..3 {
        redis.run(&["SCRIPT", "FLUSH"]);
        check_runs_when_due(&redis, 0.1, &format!("flushed{round}"));
    }
    redis.run(&["SCRIPT", "FLUSH"]);
    worker.stop();
    assert_eq!(worker.lines("due jobs cannot be moved"), [""; 0]);
    assert_eq!(errors(&worker), [""; 0]);
    // The script that gave up the lead had to be loaded again.
    assert_eq!(redis.text(LEAD), None);
}

#[test]
fn a_set_of_large_payloads_does_not_keep_the_other_waiting() {
    const LARGE: usize = 5 * 1024 * 1024;
    let redis = Redis::start();
    for number in 0..4 {
        let job = format!(r#"{{"name":"Noop","args":["{}"],"jid":"{number}"}}"#, "x".repeat(LARGE));
        add(&redis, RETRIES, &format!("100000000{number}"), job.as_bytes());
    }
    for number in 0..3 {
        add(&redis, SCHEDULED, "1000000009", format!("small {number}").as_bytes());
    }
    // Nobody takes them, so the queue shows the order of their arrival.
    let _worker = Worker::start(&redis, &["-q", "elsewhere"]);
    let lengths = || redis.queue("default").iter().map(String::len).collect::<Vec<_>>();
    wait_until("all are moved", || redis.integer(&["LLEN", "jiggler:list:default"]) == 7);
    assert!(lengths()[0] > LARGE);
    assert_eq!(lengths()[1..4], [7, 7, 7], "one call moves from both");
}

#[test]
fn a_leader_costs_redis_next_to_nothing_while_nothing_changes() {
    let redis = Redis::start();
    // Two sets with jobs in the far future.
    for set in [RETRIES, SCHEDULED] {
        add(&redis, set, FAR_AHEAD, b"far");
    }
    let worker = Worker::start(&redis, &[]);
    wait_for_leader(&redis, &worker);
    let ttl = || redis.integer(&["PTTL", LEAD]);
    let renewed = || {
        let mut lowest = ttl();
        wait_until("the lead is renewed", || {
            let now = ttl();
            let renewed = now > lowest;
            lowest = now;
            renewed
        });
    };
    renewed();
    let zranges = || {
        let reply = redis.run(&["INFO", "commandstats"]);
        let text = String::from_utf8_lossy(reply.as_bulk().unwrap()).into_owned();
        text.lines().find(|line| line.starts_with("cmdstat_zrange:")).unwrap().to_owned()
    };
    let before = zranges();
    renewed();
    assert_eq!(zranges(), before, "a renewal reads no set");
}
