//! Connections lost at the worst moments, through a faulty line between worker and Redis: no job is lost, none runs
//! twice while its process lives, and every shard recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::account::lists_in_flight;
use crate::harness::proxy::{Fate, Proxy};
use crate::harness::redis::DEAD;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file, json};

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

/// Whether these bytes begin with the query for the turn that ran last: a script with one key and one argument.
fn asks_for_last_turn(bytes: &[u8]) -> bool {
    bytes.starts_with(b"*5\r\n$7\r\nEVALSHA\r\n")
}

#[test]
fn a_failed_job_is_kept_when_its_turn_and_the_answer_whether_it_ran_are_both_lost() {
    let redis = Redis::start();
    // One batch: the first keeps running, the second fails and is reported by a turn that never arrives.
    redis.push("default", &[r#"{"name":"Sleep","args":[2.5],"jid":"s"}"#.to_owned(), Account::traced(0)]);
    let step = Arc::new(AtomicU64::new(0));
    let proxy = Proxy::start(redis.socket(), {
        let step = Arc::clone(&step);
        move |bytes| {
            let fate = match step.load(Ordering::SeqCst) {
                0 if contains(bytes, "error_message") => Fate::LoseRequest,
                1 if asks_for_last_turn(bytes) => Fate::LoseReply,
                _ => return Fate::Arrive,
            };
            step.fetch_add(1, Ordering::SeqCst);
            fate
        }
    });
    let mut worker = Worker::launch(&proxy.url(), &["-c", "2", "-v", "-t", "20"]);
    wait_until("both faults have happened", || step.load(Ordering::SeqCst) == 2);
    wait_until("both jobs are processed", || redis.processed() == 2);
    worker.stop();
    Account::of(&redis).assert_each_ran_once(1);
    Account::assert_none_ran_twice(&worker);
    assert_eq!((redis.processed(), redis.failures(), redis.job_keys()), (2, 1, Vec::new()));
}

#[test]
fn a_turn_that_ran_and_was_not_answered_is_neither_repeated_nor_forgotten() {
    const JOBS: usize = 3_000;
    let redis = Redis::start();
    Account::push(&redis, "default", JOBS);
    let lost = Arc::new(AtomicU64::new(0));
    let proxy = Proxy::start(redis.socket(), {
        let lost = Arc::clone(&lost);
        // The third turn that carries failures, and every third after it.
        let mut turns = 0;
        move |bytes| {
            if !contains(bytes, "error_message") {
                return Fate::Arrive;
            }
            turns += 1;
            if turns % 3 != 0 {
                return Fate::Arrive;
            }
            lost.fetch_add(1, Ordering::SeqCst);
            Fate::LoseReply
        }
    });
    let mut worker = Worker::launch(&proxy.url(), &["-v"]);
    wait_until("all jobs are processed", || redis.processed() >= JOBS as u64);
    worker.stop();
    assert!(lost.load(Ordering::SeqCst) > 0, "no reply was lost, which proves nothing");
    Account::of(&redis).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
    assert_eq!(redis.processed(), JOBS as u64);
}

/// Random faults in any command, including the handshake, while traced jobs and sleeping ones drain.
fn check_random_faults(seed: u64) {
    const JOBS: usize = 3_000;
    let redis = Redis::start();
    let config = config_file("max_dead_jobs: 1000000\n");
    let jobs: Vec<String> = (0..JOBS)
        .flat_map(|n| {
            let sleeper = format!(r#"{{"name":"Sleep","args":[0.02],"jid":"s{n}"}}"#);
            std::iter::once(Account::traced(n)).chain((n % 30 == 0).then_some(sleeper))
        })
        .collect();
    redis.push("default", &jobs);
    let mut random = fastrand::Rng::with_seed(seed);
    let lost = Arc::new(AtomicU64::new(0));
    let proxy = Proxy::start(redis.socket(), {
        let lost = Arc::clone(&lost);
        move |_| {
            let fate = match random.u32(0..100) {
                0..8 => Fate::LoseRequest,
                8..16 => Fate::LoseReply,
                _ => return Fate::Arrive,
            };
            lost.fetch_add(1, Ordering::SeqCst);
            fate
        }
    });
    // It may be refused at its start, like any process; then it is restarted.
    let mut worker = loop {
        let mut worker = Worker::launch(&proxy.url(), &["-v", "-c", "40", "-C", &config.path()]);
        wait_until("it works or ends", || !worker.is_running() || !worker.lines(" working ").is_empty());
        if worker.is_running() {
            break worker;
        }
        assert_eq!(worker.wait_for_end().code(), Some(1), "seed {seed}");
    };
    wait_until(&format!("all jobs are processed (seed {seed})"), || redis.processed() >= jobs.len() as u64);
    worker.signal("TERM");
    // Whatever the line let through at the end, it ends.
    worker.wait_for_end();
    Account::of(&redis).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
    assert_eq!((redis.processed(), redis.failures()), (jobs.len() as u64, JOBS as u64), "seed {seed}");
    assert!(lost.load(Ordering::SeqCst) > 0, "seed {seed}: no connection was lost");
}

#[test]
fn random_faults_cost_no_job_and_run_none_twice() {
    for seed in [1, 20_261_122] {
        check_random_faults(seed);
    }
}

#[test]
fn a_fault_before_a_burial_is_settled_leaves_the_bytes_in_redis() {
    let redis = Redis::start();
    redis.push("default", &["no job at all"]);
    let lost = Arc::new(AtomicU64::new(0));
    let proxy = Proxy::start(redis.socket(), {
        let lost = Arc::clone(&lost);
        move |bytes| {
            // The first two turns that carry the entry do not arrive.
            let lose = contains(bytes, "raw_base64") && lost.fetch_add(1, Ordering::SeqCst) < 2;
            if lose { Fate::LoseRequest } else { Fate::Arrive }
        }
    });
    let mut worker = Worker::launch(&proxy.url(), &[]);
    wait_until("the bytes are buried", || redis.count(DEAD) == 1);
    worker.stop();
    assert_eq!((lost.load(Ordering::SeqCst), redis.failures()), (3, 1));
    assert_eq!(json(&redis.set(DEAD)[0].0)["name"], "InvalidPayload");
}

/// At most once, nothing in Redis represents a job that has started: what is not reported is lost.
#[test]
fn a_fence_at_most_once_costs_no_result_of_a_job() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["--mode", "at-most-once", "-v"]);
    wait_until("it waits", || redis.waiting() == 1);
    let old = redis.uuid();
    let fence = format!("{{jiggler:list:default}}:inflight:{old}:0");
    // As a reaper leaves it for a process that was paused past its lease.
    redis.run(&["DEL", &fence]);
    redis.run(&["SET", &fence, "fenced"]);
    redis.push("default", &[Account::traced(0)]);
    worker.wait_for_line("this shard was believed dead");
    wait_until("it continues under a new identity", || redis.waiting() == 1 && redis.uuid() != old);
    redis.push("default", &[Account::traced(1)]);
    wait_until("both are processed", || redis.processed() == 2);
    worker.stop();
    Account::of(&redis).assert_each_ran_once(2);
    Account::assert_none_ran_twice(&worker);
    assert_eq!((redis.failures(), redis.keys("*inflight*")), (2, vec![fence]));
}

/// A load balancer that answers a blocking call itself: the move is made, and the worker receives an empty reply or
/// an error. The connection lives on, and so does its worker.
#[test]
fn a_job_whose_blocking_move_was_answered_by_another_runs_within_seconds() {
    for answer in [&b"$-1\r\n"[..], b"-ERR upstream timed out\r\n"] {
        let redis = Redis::start();
        let first = AtomicBool::new(true);
        let proxy = Proxy::start(redis.socket(), move |bytes| {
            if contains(bytes, "BLMOVE") && first.swap(false, Ordering::SeqCst) {
                return Fate::Answer(answer);
            }
            Fate::Arrive
        });
        let _worker = Worker::launch(&proxy.url(), &[]);
        wait_until("the worker waits", || redis.waiting() == 1);
        redis.push("default", &[r#"{"name":"Noop","jid":"strayed"}"#]);
        wait_within(Duration::from_secs(8), "the job has run", || (redis.processed() == 1).then_some(()));
        wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
    }
}

/// The same, but the balancer answers first and Redis makes the move later, over a connection that the balancer keeps
/// although the worker has closed its own.
#[test]
fn a_job_that_is_moved_only_after_the_false_answer_runs_within_seconds() {
    for answer in [&b"$-1\r\n"[..], b"-ERR upstream timed out\r\n"] {
        let redis = Redis::start();
        let first = AtomicBool::new(true);
        let proxy = Proxy::start(redis.socket(), move |bytes| {
            if contains(bytes, "BLMOVE") && first.swap(false, Ordering::SeqCst) {
                return Fate::AnswerAtOnce(answer);
            }
            Fate::Arrive
        });
        let _worker = Worker::launch(&proxy.url(), &[]);
        // The longest-waiting client gets the next job: the abandoned block.
        wait_until("the worker waits too", || redis.waiting() == 2);
        redis.push("default", &[r#"{"name":"Noop","jid":"strayed"}"#]);
        wait_until("the job is moved", || redis.queue("default").is_empty());
        wait_within(Duration::from_secs(8), "the job has run", || (redis.processed() == 1).then_some(()));
        wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
    }
}

#[test]
fn a_job_that_is_moved_after_the_false_answer_goes_back_while_no_slot_is_free() {
    let redis = Redis::start();
    let first = AtomicBool::new(true);
    let proxy = Proxy::start(redis.socket(), move |bytes| {
        let waits_at_a = contains(bytes, "BLMOVE") && contains(bytes, "\r\njiggler:list:a\r\n");
        if waits_at_a && first.swap(false, Ordering::SeqCst) {
            return Fate::AnswerAtOnce(b"$-1\r\n");
        }
        Fate::Arrive
    });
    let mut worker = Worker::launch(&proxy.url(), &["-c", "1", "-q", "a,b"]);
    wait_until("the worker waits on both queues too", || redis.waiting() == 3);
    redis.push("b", &[r#"{"name":"Sleep","args":[600],"jid":"long"}"#]);
    wait_until("the worker waits for nothing while its slot is taken", || redis.waiting() == 1);
    let strayed = r#"{"name":"Noop","jid":"strayed"}"#;
    redis.push("a", &[strayed]);
    assert!(redis.queue("a").is_empty(), "the abandoned block has moved it");
    wait_within(Duration::from_secs(8), "it is back in its queue", || {
        (redis.queue("a") == [strayed]).then_some(())
    });
    worker.kill();
}
