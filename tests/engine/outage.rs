//! Redis goes away and comes back: every shard consumes again by itself, no job is lost, and where Redis lost
//! nothing, none runs twice.

use std::time::Duration;

use jiggler_uring::internal::limits::READ_AHEAD_JOBS_MAX;

use crate::harness::redis::DEAD;
use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file};

const JOBS: usize = 8_000;

/// Consumption must resume this soon after Redis is back.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// Drains [`JOBS`] traced jobs with two shards; midway `end` ends Redis, and it is started again.
fn check_restart(end: fn(&mut Redis)) {
    let mut redis = Redis::start_durable();
    let config = config_file("max_dead_jobs: 1000000\n");
    Account::push(&redis, "default", JOBS);
    let mut worker = Worker::launch(&redis.url(), &["--cores", "2", "-v", "-C", &config.path()]);
    wait_until("some jobs have run", || redis.count(DEAD) > 500);
    end(&mut redis);
    wait_until("both shards say that redis is gone", || worker.lines("redis is gone; trying").len() == 2);
    redis.start_again();
    let before = redis.processed();
    assert!(before < JOBS as u64, "redis ended after the drain, which proves nothing");
    wait_within(BACK_WITHIN, "the worker consumes again", || (redis.processed() > before).then_some(()));
    wait_until("all jobs have run", || redis.processed() >= JOBS as u64);
    worker.stop();
    Account::of(&redis).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
    assert_eq!((redis.processed(), redis.failures()), (JOBS as u64, JOBS as u64));
    assert_eq!(worker.lines("redis is gone; trying").len(), 2, "one line per shard");
    assert_eq!(worker.lines("redis is back shard").len(), 2, "one line per shard");
}

#[test]
fn a_redis_that_is_killed_and_comes_back_is_drained_again_and_each_job_runs_once() {
    check_restart(Redis::kill);
}

#[test]
fn a_redis_that_is_shut_down_and_comes_back_is_drained_again_and_each_job_runs_once() {
    check_restart(Redis::shut_down);
}

#[test]
fn a_worker_that_waited_when_redis_went_away_is_woken_by_a_job_afterwards() {
    let mut redis = Redis::start_durable();
    let mut worker = Worker::start(&redis, &["-q", "a,b"]);
    wait_until("the worker waits", || redis.waiting() == 2);
    redis.kill();
    redis.start_again();
    redis.push("b", &[r#"{"name":"Noop"}"#]);
    wait_within(BACK_WITHIN, "the job runs", || (redis.processed() == 1).then_some(()));
    wait_until("the worker waits again", || redis.waiting() == 2);
    redis.push("a", &[r#"{"name":"Noop"}"#]);
    wait_until("it is woken again", || redis.processed() == 2);
    worker.stop();
    assert_eq!(redis.job_keys(), [""; 0]);
}

#[test]
fn a_job_that_ran_through_an_outage_is_acked_after_it() {
    let mut redis = Redis::start_durable();
    redis.push("default", &[r#"{"name":"Sleep","args":[1.2],"jid":"long"}"#]);
    let mut worker = Worker::start(&redis, &["-v"]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    redis.kill();
    redis.start_again();
    wait_until("the job is acked", || redis.processed() == 1);
    worker.stop();
    assert_eq!((redis.processed(), redis.job_keys()), (1, Vec::new()));
}

#[test]
fn connections_killed_mid_drain_cost_no_job_and_run_none_twice() {
    const ROUNDS: usize = 20;
    const PER_ROUND: usize = 1_000;
    let redis = Redis::start();
    let config = config_file("max_dead_jobs: 1000000\n");
    let mut worker = Worker::start(&redis, &["--cores", "2", "-v", "-C", &config.path()]);
    let jobs: Vec<String> = (0..ROUNDS * PER_ROUND).map(Account::traced).collect();
    for (round, jobs) in jobs.chunks(PER_ROUND).enumerate() {
        redis.push("default", jobs);
        let begun = (round * PER_ROUND + PER_ROUND / 10) as u64;
        wait_until("the round has begun", || redis.processed() >= begun);
        for client in redis.clients("jiggler-uring:") {
            // One may have gone since the list was made; that kill answers 0.
            let id = client.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
            redis.integer(&["CLIENT", "KILL", "ID", id]);
        }
    }
    wait_until("all jobs have run", || redis.processed() >= (ROUNDS * PER_ROUND) as u64);
    worker.stop();
    Account::of(&redis).assert_each_ran_once(ROUNDS * PER_ROUND);
    Account::assert_none_ran_twice(&worker);
    assert_eq!(redis.processed(), (ROUNDS * PER_ROUND) as u64);
    assert!(worker.lines("redis is gone; trying").len() >= ROUNDS, "the kills met no connection");
}

#[test]
fn a_flushed_script_cache_is_not_an_outage() {
    const ROUNDS: usize = 10;
    let redis = Redis::start();
    let config = config_file("max_dead_jobs: 1000000\n");
    let mut worker = Worker::start(&redis, &["-v", "-C", &config.path()]);
    let jobs: Vec<String> = (0..ROUNDS * 500).map(Account::traced).collect();
    for (round, jobs) in jobs.chunks(500).enumerate() {
        redis.push("default", jobs);
        wait_until("the round has begun", || redis.processed() > round as u64 * 500);
        redis.run(&["SCRIPT", "FLUSH"]);
    }
    wait_until("all jobs have run", || redis.processed() >= (ROUNDS * 500) as u64);
    // A script renews the lease too.
    redis.run(&["SCRIPT", "FLUSH"]);
    let lease = |redis: &Redis| redis.set("jiggler:uring:leases")[0].1;
    let before = lease(&redis);
    wait_until("the lease is renewed", || lease(&redis) > before);
    worker.stop();
    Account::of(&redis).assert_each_ran_once(ROUNDS * 500);
    Account::assert_none_ran_twice(&worker);
    assert_eq!(worker.lines("redis is gone"), [""; 0]);
    assert_eq!(worker.lines("lost the connection to redis"), [""; 0]);
}

/// Each shard has two turns under way: the first is refused, the other shard loads the scripts, and the second would run
/// without the first.
#[test]
fn scripts_that_another_shard_loads_between_two_turns_are_not_an_outage() {
    const JOBS: usize = 60_000;
    // Flushing again and again without a turn of each shard in between would be an outage.
    const BETWEEN: u64 = 5_000;
    let redis = Redis::start();
    let config = config_file("max_dead_jobs: 1000000\n");
    Account::push(&redis, "default", JOBS);
    let mut worker = Worker::start(&redis, &["-v", "--cores", "2", "-C", &config.path()]);
    let (mut flushes, mut flushed_at) = (0, 0);
    wait_until("all jobs have run", || {
        let processed = redis.processed();
        if processed >= flushed_at + BETWEEN {
            redis.run(&["SCRIPT", "FLUSH"]);
            (flushes, flushed_at) = (flushes + 1, processed);
        }
        processed >= JOBS as u64
    });
    worker.stop();
    Account::of(&redis).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
    assert!(flushes > 3, "{flushes} flushes met no turn");
    assert_eq!(worker.lines("redis is gone"), [""; 0]);
    assert_eq!(worker.lines("lost the connection to redis"), [""; 0]);
}

#[test]
fn a_redis_that_comes_back_empty_is_served_again() {
    let mut redis = Redis::start();
    let mut worker = Worker::start(&redis, &[]);
    wait_until("the worker waits", || redis.waiting() == 1);
    redis.kill();
    redis.start_again();
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    wait_within(BACK_WITHIN, "the job runs", || (redis.processed() == 1).then_some(()));
    wait_until("the heartbeat is back", || redis.keys("jiggler:svr:*").len() == 1);
    wait_until("the lease is back", || redis.count("jiggler:uring:leases") == 1);
    worker.stop();
}

/// What the worker reports when asked how it is: some numbers of one moment.
#[track_caller]
fn says<const N: usize>(worker: &Worker, fields: [&str; N]) -> [u64; N] {
    let before = worker.lines("health phase=").len();
    worker.signal("USR1");
    wait_until("it says how it is", || worker.lines("health phase=").len() > before);
    let line = worker.lines("health phase=").remove(before);
    fields.map(|field| {
        let number = line.split(' ').find_map(|part| part.strip_prefix(field)?.strip_prefix('='));
        number.unwrap_or_else(|| panic!("no {field} in {line}")).parse().unwrap()
    })
}

/// Acks cannot be sent, so finished jobs are held; nothing is fetched, so no more are held than were in flight.
#[test]
fn memory_is_bounded_by_what_was_in_flight_while_acks_cannot_be_sent() {
    const PAYLOAD_BYTES: usize = 20_000;
    let mut redis = Redis::start_durable();
    let padding = "x".repeat(PAYLOAD_BYTES);
    let job = |n| format!(r#"{{"name":"Sleep","args":[0.02],"jid":"{n}","padding":"{padding}"}}"#);
    redis.push("default", &(0..3_000).map(job).collect::<Vec<_>>());
    let mut worker = Worker::start(&redis, &["-c", "50"]);
    wait_until("some jobs have run", || redis.processed() > 100);
    let known = redis.processed();
    redis.kill();
    worker.wait_for_line("redis is gone; trying");
    wait_until("everything in flight has ended", || says(&worker, ["running", "unstarted"]) == [0, 0]);
    let ([ended], memory_kb) = (says(&worker, ["processed"]), worker.memory_kb());
    measure_over(Duration::from_secs(3));
    assert_eq!(says(&worker, ["processed"]), [ended], "jobs came from nowhere");
    assert!(worker.memory_kb() < memory_kb + 4_000, "{memory_kb} kB became {}", worker.memory_kb());
    redis.start_again();
    let held = ended - redis.processed();
    assert!(redis.processed() >= known && held <= (50 + READ_AHEAD_JOBS_MAX) as u64, "{held} jobs were held");
    wait_until("all jobs have run", || redis.processed() >= 3_000);
    worker.stop();
    assert_eq!(
        (redis.processed(), redis.job_keys()),
        (3_000, Vec::new()),
        "held jobs are acked, and do not run again"
    );
}
