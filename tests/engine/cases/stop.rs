//! Quiet and stop: running jobs may finish, the rest is handed back, and Redis looks as if this process had never
//! existed.

use std::time::{Duration, Instant};

use jiggler_uring::internal::limits::CALL_TIMEOUT;

use crate::fault_proxy::FaultProxy;
use crate::harness::account::lists_in_flight;
use crate::harness::redis::DEAD;
use crate::harness::wait::{measure_over, wait_until};
use crate::harness::{Account, Redis, Worker};

/// Far above what a stop with a timeout of 1 s takes, far below the default of 25 s and the sleep of the jobs.
const SOON: Duration = Duration::from_secs(8);

/// What a stop may take beyond its timeout, whatever Redis does: 2 s, plus one for a loaded machine.
const BEYOND_TIMEOUT: Duration = Duration::from_secs(3);

fn sleeper(number: usize, seconds: f64) -> String {
    format!(r#"{{"name":"Sleep", "args":[{seconds}],"jid":"{number:08}","x":"kept as it came"}}"#)
}

/// Nothing of a process is left: nothing in flight, no index, no heartbeat, no figures, no lease.
#[track_caller]
fn assert_no_trace(redis: &Redis) {
    let left = redis.keys("*").into_iter().filter(|key| {
        // What became of its jobs is kept, and the queues that it served stay known.
        let shared = [
            "jiggler:list:",
            "jiggler:set:",
            "jiggler:stats:",
            "jiggler:uring:history:",
            "jiggler:uring:queues",
        ];
        !shared.iter().any(|prefix| key.starts_with(prefix))
    });
    assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_stop_hands_running_jobs_back_byte_for_byte_and_next_to_be_taken() {
    for redis in Redis::of_each_dialect() {
        let jobs: Vec<String> = (0..10).map(|n| sleeper(n, 30.0)).collect();
        redis.push("default", &jobs);
        let mut worker = Worker::start(&redis, &["-c", "3"]);
        wait_until("three jobs run", || redis.queue("default").len() == 7);
        let asked = Instant::now();
        worker.stop();
        assert!(asked.elapsed() < SOON, "the stop took {:?}", asked.elapsed());
        assert!(asked.elapsed() >= Duration::from_secs(1), "the jobs did not get their second");
        let queue = redis.queue("default");
        let mut first: Vec<&String> = queue[..3].iter().collect();
        first.sort_unstable();
        assert_eq!(first, jobs[..3].iter().collect::<Vec<_>>(), "those that ran are next");
        assert_eq!(queue[3..], jobs[3..]);
        assert_eq!(redis.processed(), 0);
        assert_no_trace(&redis);
    }
}

#[test]
fn a_stop_mid_drain_hands_the_unstarted_jobs_back_in_their_old_order() {
    const JOBS: usize = 9_000;
    for _ in 0..5 {
        let redis = Redis::start();
        Account::push(&redis, "default", JOBS);
        let mut worker = Worker::launch(&redis.url(), &[]);
        wait_until("some jobs have run", || redis.count(DEAD) > 1_000);
        worker.stop();
        Account::of(&redis).assert_none_lost(JOBS);
        let done = usize::try_from(redis.count(DEAD)).unwrap();
        assert!(done < JOBS, "the stop came after the drain, which proves nothing");
        let rest: Vec<String> = (done..JOBS).map(Account::traced).collect();
        assert!(redis.queue("default") == rest, "the rest of the queue is not as it was");
        assert_eq!(redis.processed(), done as u64);
        assert_no_trace(&redis);
    }
}

#[test]
fn a_stop_waits_for_jobs_that_end_in_time() {
    let redis = Redis::start();
    let jobs: Vec<String> = (0..4).map(|n| sleeper(n, 1.0)).collect();
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-c", "2", "-t", "20"]);
    wait_until("two jobs run", || redis.queue("default").len() == 2);
    let asked = Instant::now();
    worker.stop();
    assert!(asked.elapsed() < SOON, "the stop waited {:?} for jobs of 1 s", asked.elapsed());
    assert_eq!((redis.processed(), redis.queue("default")), (2, jobs[2..].to_vec()));
    assert_no_trace(&redis);
}

#[test]
fn a_second_signal_ends_the_running_jobs_at_once() {
    let redis = Redis::start();
    redis.push("default", &[sleeper(0, 60.0)]);
    let mut worker = Worker::start(&redis, &["-t", "50"]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    worker.signal("INT");
    worker.wait_for_line("stopping");
    let asked = Instant::now();
    worker.stop();
    assert!(asked.elapsed() < SOON, "the second signal took {:?}", asked.elapsed());
    assert_eq!(worker.lines("handed back: a second signal").len(), 1);
    assert_eq!(redis.queue("default"), [sleeper(0, 60.0)]);
    assert_no_trace(&redis);
}

#[test]
fn a_quiet_worker_takes_nothing_more_and_finishes_what_runs_and_can_be_stopped() {
    let redis = Redis::start();
    redis.push("default", &[sleeper(0, 1.5)]);
    let mut worker = Worker::start(&redis, &["-c", "4"]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    worker.signal("TSTP");
    worker.wait_for_line("quiet");
    wait_until("the worker no longer waits for jobs", || redis.waiting() == 0);
    redis.push("default", &[r#"{"name":"Noop","jid":"stays"}"#]);
    // It had free slots all that time.
    wait_until("the running job has ended", || redis.processed() == 1);
    wait_until("it is acked", || lists_in_flight(&redis).is_empty());
    assert_eq!(redis.queue("default"), [r#"{"name":"Noop","jid":"stays"}"#]);
    assert_eq!(redis.keys("jiggler:svr:*").len(), 1, "a quiet worker keeps its heartbeat");
    worker.signal("TSTP");
    assert!(worker.is_running(), "a second TSTP changes nothing");
    worker.stop();
    assert_eq!((redis.processed(), redis.queue("default").len()), (1, 1));
    assert_no_trace(&redis);
}

#[test]
fn a_quiet_worker_hands_back_at_once_what_it_has_not_started() {
    const JOBS: usize = 9_000;
    let redis = Redis::start();
    Account::push(&redis, "default", JOBS);
    let mut worker = Worker::launch(&redis.url(), &[]);
    wait_until("some jobs have run", || redis.count(DEAD) > 1_000);
    worker.signal("TSTP");
    worker.wait_for_line("quiet");
    wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
    let account = Account::of(&redis);
    account.assert_none_lost(JOBS);
    assert!(!account.queued.is_empty(), "the signal came after the drain, which proves nothing");
    assert_eq!(account.queued.len() + account.dead.len(), JOBS);
    worker.stop();
    assert_no_trace(&redis);
}

#[test]
fn a_stop_of_an_idle_worker_is_immediate() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["--cores", "2", "-q", "a,b,c", "-t", "20"]);
    wait_until("all wait", || redis.waiting() == 6);
    let asked = Instant::now();
    worker.stop();
    assert!(asked.elapsed() < SOON, "an idle worker took {:?} to stop", asked.elapsed());
    assert_no_trace(&redis);
}

#[test]
fn a_stop_while_the_worker_starts_is_as_good_as_one_later() {
    for _ in 0..8 {
        let redis = Redis::start();
        let jobs: Vec<String> = (0..3).map(|n| sleeper(n, 60.0)).collect();
        redis.push("default", &jobs);
        // It is asked to stop as soon as it handles signals at all, before or after its first fetch.
        let mut worker = Worker::start(&redis, &["--cores", "2"]);
        worker.stop();
        let mut queue = redis.queue("default");
        queue.sort_unstable();
        assert_eq!(queue, jobs);
        assert_no_trace(&redis);
    }
}

#[test]
fn a_stop_finds_a_job_whose_delivery_was_lost() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &[]);
    wait_until("the worker waits", || redis.waiting() == 1);
    // As if a waiting connection had been lost after Redis moved the job and before it answered.
    let list = format!("{{jiggler:list:default}}:inflight:{}:0:w", redis.uuid());
    redis.run(&["RPUSH", &list, &sleeper(0, 60.0)]);
    worker.stop();
    assert_eq!(redis.queue("default"), [sleeper(0, 60.0)]);
    assert_no_trace(&redis);
}

#[test]
fn a_stop_while_redis_is_down_ends_and_says_how_many_jobs_it_leaves() {
    let mut redis = Redis::start_durable();
    redis.push("default", &[sleeper(0, 60.0), sleeper(1, 60.0), sleeper(2, 60.0)]);
    let mut worker = Worker::start(&redis, &["-c", "2"]);
    wait_until("two jobs run", || redis.queue("default").len() == 1);
    redis.kill();
    worker.signal("TERM");
    let status = worker.wait_for_end();
    assert_eq!(status.code(), Some(1));
    let said = worker.lines("left in flight");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("2 jobs of shard 0"), "{said:?}");
    redis.start_again();
    let account = Account::of(&redis);
    assert_eq!((account.queued.len(), account.in_flight.len()), (1, 2));
    assert_eq!(redis.count("jiggler:uring:leases"), 1, "a reaper needs the lease to find them");
}

/// Nothing runs, nothing needs an ack: there is nothing to wait for.
#[test]
fn a_stop_of_an_idle_worker_while_redis_is_down_is_immediate_and_orderly() {
    let mut redis = Redis::start_durable();
    let mut worker = Worker::start(&redis, &["--cores", "2", "-q", "a,b", "-t", "50"]);
    wait_until("all wait", || redis.waiting() == 4);
    redis.kill();
    wait_until("both shards say that redis is gone", || worker.lines("redis is gone; trying").len() == 2);
    let asked = Instant::now();
    worker.stop();
    assert!(asked.elapsed() < SOON, "an idle worker took {:?} to stop", asked.elapsed());
    assert_eq!(worker.lines("left in flight"), [""; 0]);
    redis.start_again();
    assert_eq!(redis.count("jiggler:uring:leases"), 1, "a reaper needs the lease to find lost deliveries");
}

fn signal_server(redis: &Redis, signal: &str) {
    let order = format!("kill -s {signal} {}", redis.pid());
    assert!(std::process::Command::new("sh").args(["-c", &order]).status().unwrap().success());
}

#[test]
fn a_stop_of_an_idle_worker_while_redis_hangs_does_not_wait_for_its_answers() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["--cores", "2", "-t", "50"]);
    wait_until("all wait", || redis.waiting() == 2);
    signal_server(&redis, "STOP");
    let asked = Instant::now();
    worker.stop();
    let took = asked.elapsed();
    signal_server(&redis, "CONT");
    assert!(took < CALL_TIMEOUT, "an idle worker took {took:?} to stop");
}

#[test]
fn a_stop_of_a_busy_worker_while_redis_hangs_ends_with_its_grace_and_says_what_it_leaves() {
    let redis = Redis::start();
    redis.push("default", &[sleeper(0, 60.0), sleeper(1, 60.0)]);
    let mut worker = Worker::start(&redis, &["-c", "2"]);
    wait_until("two jobs run", || redis.queue("default").is_empty());
    signal_server(&redis, "STOP");
    let asked = Instant::now();
    worker.signal("TERM");
    let status = worker.wait_for_end();
    let took = asked.elapsed();
    signal_server(&redis, "CONT");
    assert_eq!(status.code(), Some(1));
    let said = worker.lines("left in flight");
    assert!(said.len() == 1 && said[0].contains("2 jobs of shard 0"), "{said:?}");
    assert!(took < Duration::from_secs(1) + BEYOND_TIMEOUT, "it took {took:?}");
}

/// Orchestrators kill what takes longer than they allow, and rely on the timeout they were given.
#[test]
fn a_stop_of_a_busy_worker_while_redis_is_down_ends_two_seconds_after_its_timeout_at_the_latest() {
    let mut redis = Redis::start();
    redis.push("default", &[sleeper(0, 1.5), sleeper(1, 60.0)]);
    let mut worker = Worker::start(&redis, &["-c", "2", "-t", "3"]);
    wait_until("two jobs run", || redis.queue("default").is_empty());
    redis.kill();
    let asked = Instant::now();
    worker.signal("TERM");
    let status = worker.wait_for_end();
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(1));
    assert!(took >= Duration::from_secs(3), "the first job's end is not reported yet, so it waits: {took:?}");
    assert!(took < Duration::from_secs(3) + BEYOND_TIMEOUT, "it took {took:?}");
}

/// A line that swallows everything, and lets new connections through: half of the time after the deadline is for noticing,
/// half for another connection.
fn check_forgotten_line(when: impl Fn(&FaultProxy, &Worker)) {
    let redis = Redis::start();
    let line = FaultProxy::start(&redis.socket(), true, 1);
    redis.push("default", &[sleeper(0, 60.0), sleeper(1, 60.0), sleeper(2, 60.0)]);
    let mut worker = Worker::launch(line.url(), &["-c", "2", "-t", "3"]);
    worker.wait_for_line(" working ");
    wait_until("two jobs run", || redis.queue("default").len() == 1);
    let asked = Instant::now();
    when(&line, &worker);
    let status = worker.wait_for_end();
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "running jobs were handed back over another connection");
    assert!(took < Duration::from_secs(3) + BEYOND_TIMEOUT, "it took {took:?}");
    assert_eq!(redis.queue("default").len(), 3);
    // The fence stays, because of what is still in the dead connection.
    assert_eq!(lists_in_flight(&redis), [""; 0]);
    assert_eq!((redis.keys("jiggler:svr:*").len(), redis.count("jiggler:uring:leases")), (0, 0));
}

#[test]
fn a_connection_that_died_unnoticed_before_a_stop_is_replaced_before_its_deadline() {
    check_forgotten_line(|line, worker| {
        line.forget();
        worker.signal("TERM");
    });
}

#[test]
fn a_connection_that_dies_unnoticed_during_a_stop_is_replaced_in_the_time_after_its_deadline() {
    check_forgotten_line(|line, worker| {
        worker.signal("TERM");
        worker.wait_for_line("stopping");
        // The shard has proved its connection by now, or does so right away over another.
        measure_over(Duration::from_millis(500));
        line.forget();
    });
}

#[test]
fn a_job_handed_back_runs_again_in_the_next_worker() {
    let redis = Redis::start();
    redis.push("default", &[sleeper(0, 2.0), r#"{"name":"Noop","jid":"n"}"#.to_owned()]);
    let mut worker = Worker::start(&redis, &["-c", "1"]);
    wait_until("the job runs", || redis.queue("default").len() == 1);
    worker.stop();
    let _next = Worker::start(&redis, &["-c", "1"]);
    wait_until("both have run", || redis.processed() == 2);
    assert_eq!((redis.failures(), redis.queue("default").len()), (0, 0));
}
