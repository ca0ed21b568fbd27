//! kill -9, in each dialect: at least once, every job is still in Redis; at most once, none runs twice.

use std::collections::BTreeSet;

use crate::harness::wait::wait_until;
use crate::harness::{Account, Redis, Worker, config_file};

/// Enough that the kill comes in the middle.
const JOBS: usize = 20_000;

/// Most jobs of one shard that have left their queue and are not settled: two batches, one under way, and its slots.
const IN_SHARD_MAX: usize = 2_500;

#[test]
fn kill_9_while_jobs_run_leaves_every_job_where_it_was() {
    for redis in Redis::of_each_dialect() {
        let jobs: Vec<String> =
            (0..8).map(|n| format!(r#"{{"name":"Sleep","args":[60],"jid":"{n:08}"}}"#)).collect();
        redis.push("default", &jobs);
        let mut worker = Worker::start(&redis, &["-c", "5"]);
        wait_until("five jobs run", || redis.queue("default").len() == 3);
        worker.kill();
        let account = Account::of(&redis);
        let numbered =
            |range: std::ops::Range<u32>| range.map(|n| format!("{n:08}")).collect::<BTreeSet<_>>();
        assert_eq!(account.in_flight, numbered(0..5));
        assert_eq!(account.queued, numbered(5..8));
        assert_eq!(redis.processed(), 0, "nothing is acked that did not finish");
        // The record of where a reaper must look stays until the lease expires.
        assert_eq!(redis.count("jiggler:uring:leases"), 1);
    }
}

#[test]
fn kill_9_mid_drain_loses_no_job_however_often_it_happens() {
    for redis in Redis::of_each_dialect() {
        let config = config_file("max_dead_jobs: 1000000\n");
        Account::push(&redis, "default", JOBS);
        for round in 1..=3 {
            let mut worker = Worker::start(&redis, &["--cores", "2", "-C", &config.path()]);
            let enough = 2_000 * round;
            wait_until("some jobs have run", || redis.processed() >= enough);
            worker.kill();
            let account = Account::of(&redis);
            account.assert_none_lost(JOBS);
            // Moved to the dead set and counted in one step.
            assert_eq!(account.dead.len() as u64, redis.processed());
            assert!(!account.queued.is_empty(), "the kill came after the drain, which proves nothing");
            let bound = 2 * IN_SHARD_MAX * usize::try_from(round).unwrap();
            assert!(account.in_flight.len() <= bound, "{} jobs were held in flight", account.in_flight.len());
        }
        let mut worker = Worker::start(&redis, &["-C", &config.path()]);
        wait_until("the queue is empty", || redis.queue("default").is_empty());
        worker.stop();
        let account = Account::of(&redis);
        account.assert_none_lost(JOBS);
        // What the killed processes held waits for a reaper; everything else has run.
        assert_eq!(account.dead.len() + account.in_flight.len(), JOBS);
    }
}

#[test]
fn kill_9_at_most_once_runs_nothing_twice_and_loses_only_what_the_process_held() {
    for redis in Redis::of_each_dialect() {
        let config = config_file("max_dead_jobs: 1000000\n");
        Account::push(&redis, "default", JOBS);
        let mut ran = 0;
        let mut all_runs = BTreeSet::new();
        for end in ["kill", "stop"] {
            let mut worker = Worker::start(&redis, &["--mode", "at-most-once", "-v", "-C", &config.path()]);
            if end == "kill" {
                wait_until("some jobs have run", || redis.processed() >= 2_000);
                worker.kill();
                assert!(
                    !redis.queue("default").is_empty(),
                    "the kill came after the drain, which proves nothing"
                );
            } else {
                wait_until("the queue is empty", || redis.queue("default").is_empty());
                worker.stop();
            }
            let runs = Account::runs(&worker);
            ran += runs.len();
            all_runs.extend(runs.into_keys());
            Account::assert_none_ran_twice(&worker);
        }
        assert_eq!(all_runs.len(), ran, "a job ran in both processes");
        let account = Account::of(&redis);
        assert!(account.in_flight.is_empty(), "at most once, nothing is kept in flight");
        assert!(JOBS - account.dead.len() <= IN_SHARD_MAX, "{} jobs are gone", JOBS - account.dead.len());
        assert!(account.dead.values().all(|times| *times == 1));
    }
}
