//! Several queues: priority is strict, equals share, and a job in any of them wakes an idle worker.

use std::collections::BTreeMap;

use crate::harness::account::lists_in_flight;
use crate::harness::redis::DEAD;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, json};

/// Below the time after which a wait in Redis ends on its own, 20 s.
const WAKE_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// A job that leaves the name of its queue and its number in the dead set.
fn marked(queue: &str, number: usize) -> String {
    format!(r#"{{"name":"Fail","args":["{queue}"],"jid":"{queue}-{number:05}"}}"#)
}

fn fill(redis: &Redis, queue: &str, count: usize) {
    let jobs: Vec<String> = (0..count).map(|number| marked(queue, number)).collect();
    redis.push(queue, &jobs);
}

/// Jids in the order in which they died.
fn died(redis: &Redis) -> Vec<String> {
    let mut dead: Vec<(f64, String)> = redis
        .set(DEAD)
        .into_iter()
        .map(|(payload, score)| (score, json(payload)["jid"].as_str().unwrap().to_owned()))
        .collect();
    dead.sort_by(|one, other| one.partial_cmp(other).unwrap());
    dead.into_iter().map(|(_, jid)| jid).collect()
}

#[test]
fn a_higher_priority_is_served_first_in_every_mode() {
    for mode in ["at-least-once", "at-most-once"] {
        let redis = Redis::start();
        for queue in ["low", "mid", "high"] {
            fill(&redis, queue, 40);
        }
        let mut worker =
            Worker::start(&redis, &["-q", "low:0,high:2", "-q", "mid:1", "-c", "1", "--mode", mode]);
        wait_until("all have run", || redis.processed() == 120);
        worker.stop();
        let expected: Vec<String> = ["high", "mid", "low"]
            .into_iter()
            .flat_map(|queue| (0..40).map(move |number| format!("{queue}-{number:05}")))
            .collect();
        assert_eq!(died(&redis), expected, "{mode}");
    }
}

#[test]
fn queues_of_equal_priority_share_and_each_keeps_its_order() {
    const EACH: usize = 4_000;
    let redis = Redis::start();
    let config = config_file("max_dead_jobs: 1000000\n");
    let queues = ["a", "b", "c"];
    for queue in queues {
        fill(&redis, queue, EACH);
    }
    let mut worker = Worker::start(&redis, &["-q", "a,b,c", "-c", "1", "-C", &config.path()]);
    wait_until("all have run", || redis.processed() == 3 * EACH as u64);
    worker.stop();
    let died = died(&redis);
    let mut by_queue: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for jid in &died {
        by_queue.entry(jid.split('-').next().unwrap()).or_default().push(jid);
    }
    for (queue, jids) in &by_queue {
        assert!(jids.is_sorted() && jids.len() == EACH, "queue {queue} lost its order");
    }
    // With turns taken batch by batch, none waits for the others to drain.
    let first_half = &died[..died.len() / 2];
    for queue in queues {
        let served = first_half.iter().filter(|jid| jid.starts_with(queue)).count();
        assert!(
            served > EACH / 4,
            "queue {queue} had {served} of {} jobs in the first half",
            first_half.len()
        );
    }
}

#[test]
fn queues_with_weights_share_in_proportion_and_the_lightest_is_served_in_every_round() {
    const EACH: usize = 12_000;
    for mode in ["at-least-once", "at-most-once"] {
        let redis = Redis::start();
        let config = config_file("max_dead_jobs: 1000000\nbalance: weighted\n");
        let weights = [("a", 100), ("b", 50), ("c", 1)];
        for (queue, _) in weights {
            fill(&redis, queue, EACH);
        }
        let mut worker =
            Worker::start(&redis, &["-q", "a:100,b:50,c:1", "-c", "1", "-C", &config.path(), "--mode", mode]);
        wait_until("all have run", || redis.processed() == 3 * EACH as u64);
        worker.stop();
        let died = died(&redis);
        assert_eq!(died.len(), 3 * EACH);
        let first = &died[..10_000];
        let of =
            |queue: &str, jids: &[String]| jids.iter().filter(|jid| jid.starts_with(queue)).count() as f64;
        for (queue, weight) in weights {
            let (share, due) = (of(queue, first) / first.len() as f64, f64::from(weight) / 151.0);
            assert!(
                (share - due).abs() <= 0.05 * due + 0.001,
                "{mode}: queue {queue} had {share}, not {due}"
            );
        }
        // A turn brings some hundreds of jobs at most: in so many, and a round, it is served at least once.
        for round in first.chunks(1_000) {
            assert!(of("c", round) >= 1.0, "{mode}: the lightest queue was not served in 1,000 jobs");
        }
    }
}

#[test]
fn a_job_in_any_of_eight_queues_wakes_an_idle_worker_in_every_mode() {
    for mode in ["at-least-once", "at-most-once"] {
        let redis = Redis::start();
        let names: Vec<String> = (0..8).map(|n| format!("q{n}")).collect();
        let mut worker = Worker::start(&redis, &["-q", &names.join(","), "--mode", mode]);
        let waiters = if mode == "at-least-once" { 8 } else { 1 };
        for (round, name) in names.iter().enumerate() {
            wait_until("the worker waits", || redis.waiting() == waiters);
            fill(&redis, name, 1);
            let done = round as u64 + 1;
            wait_within(WAKE_WITHIN, "the job runs", || (redis.processed() == done).then_some(()));
        }
        assert_eq!(died(&redis).len(), 8);
        worker.stop();
        assert_eq!(redis.keys("*list*"), [""; 0], "{mode}");
    }
}

#[test]
fn a_burst_into_eight_queues_is_drained_by_two_cores() {
    let redis = Redis::start();
    let names: Vec<String> = (0..8).map(|n| format!("q{n}")).collect();
    let mut worker = Worker::start(&redis, &["--cores", "2", "-q", &names.join(",")]);
    wait_until("all wait", || redis.waiting() == 16);
    for name in &names {
        fill(&redis, name, 625);
    }
    wait_until("all have run", || redis.processed() == 5_000);
    wait_until("all are acked", || lists_in_flight(&redis).is_empty());
    let mut jids = died(&redis);
    jids.sort_unstable();
    jids.dedup();
    assert_eq!(jids.len(), 5_000);
    worker.stop();
    assert_eq!(redis.keys("*list*"), [""; 0]);
}

#[test]
fn two_workers_on_one_queue_share_it_without_running_a_job_twice() {
    let redis = Redis::start();
    fill(&redis, "default", 6_000);
    let mut workers: Vec<Worker> = (0..2).map(|_| Worker::start(&redis, &[])).collect();
    wait_until("all have run", || redis.processed() >= 6_000);
    workers.iter_mut().for_each(Worker::stop);
    let jids = died(&redis);
    assert_eq!((redis.processed(), jids.len()), (6_000, 6_000));
}

#[test]
fn a_stop_at_most_once_hands_unstarted_jobs_back_in_their_old_order() {
    const JOBS: usize = 9_000;
    let redis = Redis::start();
    fill(&redis, "default", JOBS);
    let mut worker = Worker::launch(&redis.url(), &["--mode", "at-most-once"]);
    wait_until("some jobs have run", || redis.count(DEAD) > 1_000);
    worker.stop();
    let done = usize::try_from(redis.count(DEAD)).unwrap();
    assert!(done < JOBS, "the stop came after the drain, which proves nothing");
    let rest: Vec<String> = (done..JOBS).map(|number| marked("default", number)).collect();
    assert!(redis.queue("default") == rest, "the rest of the queue is not as it was");
}

#[test]
fn a_stop_at_most_once_drops_what_runs_and_says_so() {
    let redis = Redis::start();
    let sleeper = |n: usize| format!(r#"{{"name":"Sleep","args":[60],"jid":"{n}"}}"#);
    redis.push("default", &[sleeper(0), sleeper(1), sleeper(2)]);
    let mut worker = Worker::start(&redis, &["-c", "2", "--mode", "at-most-once"]);
    wait_until("two run", || redis.queue("default").len() == 1);
    worker.stop();
    assert_eq!(redis.queue("default"), [sleeper(2)]);
    let said = worker.lines("running jobs are dropped");
    assert!(said.len() == 1 && said[0].contains("jobs=2"), "{said:?}");
    assert_eq!(lists_in_flight(&redis), [""; 0]);
}

#[test]
fn an_unstarted_job_does_not_wait_behind_slow_ones() {
    let redis = Redis::start();
    // Quick ones first, so that the worker reads ahead; then slow ones that take every slot.
    let mut jobs: Vec<String> = (0..2_000).map(|n| marked("default", n)).collect();
    jobs.extend((0..2).map(|n| format!(r#"{{"name":"Sleep","args":[60],"jid":"slow-{n}"}}"#)));
    jobs.extend((2_000..2_300).map(|n| marked("default", n)));
    redis.push("default", &jobs);
    let busy = Worker::start(&redis, &["-c", "2"]);
    wait_until("the quick ones have run", || redis.processed() == 2_000);
    // Whatever the busy worker read ahead is handed back, and another worker runs it.
    let _other = Worker::start(&redis, &[]);
    wait_until("the jobs behind the slow ones have run", || redis.processed() == 2_300);
    assert_eq!(busy.lines("panic"), [""; 0]);
}

#[test]
fn jobs_handed_back_because_every_slot_is_taken_keep_their_order() {
    for _ in 0..4 {
        let redis = Redis::start();
        let slow = |n: usize| format!(r#"{{"name":"Sleep","args":[60],"jid":"slow-{n}"}}"#);
        let mut jobs: Vec<String> = (0..1_000).map(|n| marked("default", n)).collect();
        jobs.extend([slow(0), slow(1)]);
        jobs.extend((1_000..4_000).map(|n| marked("default", n)));
        redis.push("default", &jobs);
        let mut worker = Worker::launch(&redis.url(), &["-c", "2"]);
        wait_until("only the slow ones are in flight", || {
            let held = lists_in_flight(&redis).iter().map(|key| redis.integer(&["LLEN", key])).sum::<i64>();
            redis.processed() == 1_000 && held == 2
        });
        assert!(redis.queue("default") == jobs[1_002..], "the rest of the queue is not as it was");
        worker.stop();
        let mut queue = redis.queue("default");
        queue[..2].sort_unstable();
        assert!(queue == jobs[1_000..], "the slow ones are not next");
    }
}
