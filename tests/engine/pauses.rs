//! Queues and classes of jobs are paused and resumed for a whole fleet, at once, across restarts and lost messages; what
//! runs goes on, and no job is lost or loses an attempt.

use std::time::{Duration, Instant};

use crate::harness::account::lists_in_flight;
use crate::harness::cluster::Cluster;
use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Redis, Worker, json, output_of};

const MODES: [&str; 2] = ["at-least-once", "at-most-once"];

/// It takes a few milliseconds; a loaded machine takes longer. Well below the time after which a wait in Redis ends on its
/// own, 20 s.
const HEEDED_WITHIN: Duration = Duration::from_secs(3);

/// A job of a paused class is looked at every few seconds.
const CLASS_RUNS_WITHIN: Duration = Duration::from_secs(20);

/// A pause that ends by itself: the command that asks for it has to start before it is over, on a loaded machine too.
const PAUSED_FOR: Duration = Duration::from_secs(10);

/// Long enough for a job to be taken that should not be.
const QUIET: Duration = Duration::from_millis(300);

#[track_caller]
fn run(url: &str, args: &[&str]) -> String {
    let output = output_of(&[args, &["--redis-url", url]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn noop(number: usize) -> String {
    format!(r#"{{"name":"Noop","args":[],"jid":"j{number:05}"}}"#)
}

fn fill(redis: &Redis, queue: &str, count: usize) {
    redis.push(queue, &(0..count).map(noop).collect::<Vec<_>>());
}

/// Waits until every process hears the bell.
fn listening(redis: &Redis, processes: i64) {
    wait_until("all listen", || {
        redis.run(&["PUBSUB", "NUMSUB", "jiggler:uring:steer:0"]).as_array().is_ok_and(|mut parts| {
            parts.next();
            parts.next().is_some_and(|count| count.as_integer().is_ok_and(|count| count == processes))
        })
    });
}

#[test]
fn a_paused_queue_is_not_waited_for_in_the_whole_fleet_and_a_resumed_one_runs_at_once() {
    for mode in MODES {
        let redis = Redis::start();
        let start = || Worker::start(&redis, &["-q", "a,b", "--mode", mode]);
        let mut workers = [start(), start()];
        let waiting = if mode == "at-least-once" { (4, 2) } else { (2, 2) };
        wait_until("all wait", || redis.waiting() == waiting.0);
        listening(&redis, 2);
        let said = run(&redis.url(), &["pause", "queue", "a", "--why", "a bug"]);
        assert_eq!(said, "queue a is paused; 2 processes were told\n");
        for worker in &workers {
            worker.wait_for_line("what is paused has changed");
        }
        wait_until("only the other queue is waited for", || redis.waiting() == waiting.1);
        fill(&redis, "a", 3);
        fill(&redis, "b", 3);
        wait_within(HEEDED_WITHIN, "the other queue runs", || (redis.processed() == 3).then_some(()));
        measure_over(QUIET);
        assert_eq!((redis.queue("a").len(), redis.processed()), (3, 3), "{mode}");
        let began = Instant::now();
        run(&redis.url(), &["resume", "queue", "a"]);
        wait_within(HEEDED_WITHIN, "the queue runs again", || (redis.processed() == 6).then_some(()));
        eprintln!("{mode}: resumed within {:?}, the command included", began.elapsed());
        wait_until("all wait again", || redis.waiting() == waiting.0);
        workers.iter_mut().for_each(Worker::stop);
        assert_eq!(redis.keys("*list*"), [""; 0], "{mode}");
        assert_eq!(redis.keys("*paused*"), [""; 0], "{mode}");
    }
}

#[test]
fn a_pause_in_the_middle_of_a_backlog_hands_back_what_has_not_started_and_loses_nothing() {
    const JOBS: usize = 200_000;
    for mode in MODES {
        let redis = Redis::start();
        let mut worker = Worker::start(&redis, &["-q", "a,b", "--mode", mode]);
        listening(&redis, 1);
        fill(&redis, "a", JOBS);
        wait_until("some have run", || redis.processed() > 0);
        run(&redis.url(), &["pause", "queue", "a"]);
        worker.wait_for_line("what is paused has changed");
        wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
        // At most once nothing is in flight for Redis while it is handed back.
        wait_until("all that ran is counted, and the rest is back", || {
            redis.processed() as usize + redis.integer(&["LLEN", "jiggler:list:a"]) as usize == JOBS
        });
        let left = redis.queue("a").len();
        assert!(left > 0, "the pause came after the drain, which proves nothing");
        measure_over(QUIET);
        assert_eq!((redis.queue("a").len(), redis.processed() as usize), (left, JOBS - left), "{mode}");
        fill(&redis, "b", 1);
        wait_within(HEEDED_WITHIN, "others run", || {
            (redis.processed() as usize == JOBS - left + 1).then_some(())
        });
        // It lasts, and a process that starts meanwhile heeds it.
        worker.stop();
        let mut worker = Worker::start(&redis, &["-q", "a,b", "--mode", mode]);
        listening(&redis, 1);
        fill(&redis, "b", 1);
        wait_until("the others run", || redis.processed() as usize == JOBS - left + 2);
        assert_eq!(redis.queue("a").len(), left, "{mode}");
        run(&redis.url(), &["resume", "queue", "a"]);
        wait_until("all have run", || redis.processed() as usize == JOBS + 2);
        worker.stop();
        assert_eq!((redis.queue("a").len(), redis.failures()), (0, 0), "{mode}");
    }
}

#[test]
fn what_runs_goes_on_and_what_waits_for_a_slot_goes_back() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["-q", "a", "-c", "1"]);
    listening(&redis, 1);
    redis.push("a", &[r#"{"name":"Sleep","args":[1],"jid":"s"}"#]);
    wait_until("it runs", || redis.queue("a").is_empty());
    fill(&redis, "a", 2);
    run(&redis.url(), &["pause", "queue", "a"]);
    wait_until("it has ended", || redis.processed() == 1);
    measure_over(QUIET);
    assert_eq!(redis.queue("a"), [noop(0), noop(1)], "in their old order");
    worker.stop();
}

#[test]
fn a_paused_class_waits_without_losing_an_attempt_and_others_run() {
    for mode in MODES {
        let redis = Redis::start();
        let mut worker = Worker::start(&redis, &["--mode", mode]);
        listening(&redis, 1);
        run(&redis.url(), &["pause", "class", "Fail"]);
        worker.wait_for_line("what is paused has changed");
        redis.push("default", &[r#"{"name":"Fail","args":["x"],"jid":"f","retries":0}"#.to_owned(), noop(0)]);
        wait_until("the other runs, and this one waits", || {
            redis.processed() == 1 && redis.count("jiggler:set:retries") == 1
        });
        let (job, _) = redis.set("jiggler:set:retries").remove(0);
        assert!(json(&job)["attempt"].is_null() && json(&job)["error_class"].is_null(), "{job}");
        assert_eq!((redis.failures(), redis.count("jiggler:set:dead")), (0, 0));
        run(&redis.url(), &["resume", "class", "Fail"]);
        wait_within(CLASS_RUNS_WITHIN, "it runs", || (redis.count("jiggler:set:dead") == 1).then_some(()));
        worker.stop();
        assert_eq!((redis.processed(), redis.failures()), (2, 1), "{mode}");
    }
}

#[test]
fn a_pause_ends_by_itself_and_one_whose_bell_was_not_heard_is_learnt_with_the_next_connection() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["-q", "a"]);
    listening(&redis, 1);
    wait_until("it waits", || redis.waiting() == 1);
    // No bell: as if the message had been lost.
    redis.run(&["SET", "jiggler:uring:paused", r#"{"queues":{"a":{"at":1}}}"#]);
    measure_over(QUIET);
    assert_eq!(redis.waiting(), 1);
    redis.run(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    wait_until("it is learnt", || redis.waiting() == 0);
    fill(&redis, "a", 1);
    // What nobody can read changes nothing.
    redis.run(&["SET", "jiggler:uring:paused", "no json"]);
    redis.run(&["PUBLISH", "jiggler:uring:steer:0", "paused"]);
    worker.wait_for_line("what is stored as paused is not ours");
    assert_eq!(redis.queue("a").len(), 1);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    redis.run(&["DEL", "jiggler:uring:paused"]);
    run(&redis.url(), &["pause", "queue", "a", "--until", &format!("{}", now + PAUSED_FOR.as_secs_f64())]);
    measure_over(QUIET);
    assert_eq!(redis.queue("a").len(), 1, "it is paused for some seconds more");
    wait_within(HEEDED_WITHIN + PAUSED_FOR, "its time is over", || (redis.processed() == 1).then_some(()));
    worker.stop();
}

#[test]
fn a_pause_is_shown_wherever_queues_and_jobs_are() {
    let redis = Redis::start();
    fill(&redis, "img", 1);
    run(&redis.url(), &["pause", "queue", "img", "--why", "the resizer is broken"]);
    run(&redis.url(), &["pause", "class", "Noop"]);
    for command in [&["queues"][..], &["summary"], &["pause", "--list"], &["show", "j00000"]] {
        let shown = run(&redis.url(), command);
        assert!(shown.contains("the resizer is broken"), "{command:?}: {shown}");
        let shown = run(&redis.url(), &[command, &["--json"]].concat());
        assert!(shown.contains(r#""why":"the resizer is broken""#), "{command:?}: {shown}");
    }
    let top = run(&redis.url(), &["top", "--once"]);
    assert!(top.contains("nobody, paused") && top.contains("paused classes: Noop"), "{top}");
    let refused = output_of(&["resume", "queue", "other", "--redis-url", &redis.url()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
fn in_a_cluster_a_queue_of_any_node_is_paused() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    let named: Vec<&str> = queues.iter().flat_map(|queue| ["-q", queue]).collect();
    let mut worker = Worker::launch(&cluster.url(), &named);
    wait_until("it listens", || cluster.primaries.iter().any(|node| !node.clients(":cancel").is_empty()));
    let said = run(&cluster.url(), &["pause", "queue", &queues[2]]);
    assert!(said.contains("is paused"), "{said}");
    worker.wait_for_line("what is paused has changed");
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        node.push(queue, &[noop(0)]);
    }
    let left = |at: usize| {
        let list = format!("jiggler:list:{}", queues[at]);
        cluster.primaries[at].integer(&["LLEN", &list])
    };
    wait_until("the others run", || (left(0), left(1)) == (0, 0));
    measure_over(QUIET);
    assert_eq!(left(2), 1);
    assert!(run(&cluster.url(), &["queues"]).contains("since"));
    run(&cluster.url(), &["resume", "queue", &queues[2]]);
    wait_within(HEEDED_WITHIN, "it runs", || (left(2) == 0).then_some(()));
    worker.stop();
}
