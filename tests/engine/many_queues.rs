//! With more queues than a shard waits for by itself, one connection of the process hears which of them change: however many
//! there are, an idle process costs next to nothing, and a job in any of them starts at once.

use std::time::Duration;

use crate::harness::account::{Account, lists_in_flight};
use crate::harness::redis::DEAD;
use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, json, output_of};

const MODES: [&str; 2] = ["at-least-once", "at-most-once"];

/// Far below the time after which all lengths are looked at anyway, a minute.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Longer than the pace at which busy shards are told, and than a loop takes to show.
const SPAN: Duration = Duration::from_secs(3);

fn name(number: usize) -> String {
    format!("q{number:04}")
}

fn names(count: usize) -> String {
    (0..count).map(name).collect::<Vec<_>>().join(",")
}

fn noop(number: usize) -> String {
    format!(r#"{{"name":"Noop","args":[],"jid":"j{number:05}"}}"#)
}

/// Waits until the bell of each of these processes has read the lengths.
fn wait_for_bells(redis: &Redis, processes: usize) {
    let reads = |line: &String| line.contains("cmd=llen") || line.contains("cmd=pubsub");
    wait_until("the bells hear", || {
        redis.clients(":bell").iter().filter(|line| reads(line)).count() == processes
    });
}

/// Connections of workers that stay open while they are idle: for the lease, what is asked of the process, due jobs and the
/// bell, and one a shard.
const OWN_CONNECTIONS: usize = 4;

#[test]
fn an_idle_process_has_a_handful_of_connections_and_starts_a_job_of_any_queue_at_once() {
    for (mode, count) in [(MODES[0], 60), (MODES[1], 60), (MODES[0], 1_000)] {
        let redis = Redis::start();
        let mut worker =
            Worker::start(&redis, &["--cores", "2", "-c", "3", "-q", &names(count), "--mode", mode]);
        wait_for_bells(&redis, 1);
        for (done, queue) in [0, count / 2, count - 1].into_iter().enumerate() {
            redis.push(&name(queue), &[noop(queue)]);
            wait_within(AT_ONCE, "the job runs", || (redis.processed() == done as u64 + 1).then_some(()));
        }
        wait_until("nothing is open but what stays", || {
            redis.clients("jiggler-uring:").len() == OWN_CONNECTIONS + 2
        });
        assert_eq!(redis.waiting(), 0);
        let measured = || (redis.info("stats", "total_commands_processed"), worker.cpu_seconds());
        let before = measured();
        measure_over(SPAN);
        let after = measured();
        // All lengths once, for the bell and for the history, and what lease, heartbeat and poller ask: a loop asks more.
        assert!(after.0 - before.0 < 3 * count as u64 + 120, "{} commands in {SPAN:?}", after.0 - before.0);
        assert!(after.1 - before.1 < 0.3, "{} s of processor time in {SPAN:?}", after.1 - before.1);
        worker.stop();
        assert_eq!(lists_in_flight(&redis), [""; 0]);
    }
}

#[test]
fn every_job_of_many_queues_runs_whatever_the_order() {
    const QUEUES: usize = 60;
    for (mode, extra) in [
        (MODES[0], vec!["-c", "5"]),
        (MODES[1], vec!["-c", "5"]),
        (MODES[0], vec!["-c", "5", "--balance", "weighted"]),
        // A slot for each queue: with fewer they take turns, by the second.
        (MODES[0], vec!["-c", "120", "--balance", "even"]),
        (MODES[1], vec!["-c", "120", "--balance", "adaptive"]),
    ] {
        let redis = Redis::start();
        for queue in 0..QUEUES {
            Account::push(&redis, &name(queue), 20);
        }
        let queues = names(QUEUES);
        let args = [&["--cores", "2", "-q", &queues, "--mode", mode][..], &extra].concat();
        let mut worker = Worker::start(&redis, &args);
        wait_until("all have run", || redis.processed() == 20 * QUEUES as u64);
        // Some more, while nothing else is there: from one end to the other and back.
        for queue in (0..QUEUES).chain((0..QUEUES).rev()) {
            redis.push(&name(queue), &[noop(queue)]);
        }
        wait_within(AT_ONCE, "these too", || (redis.processed() == 22 * QUEUES as u64).then_some(()));
        worker.stop();
        assert_eq!(lists_in_flight(&redis), [""; 0], "{mode} {extra:?}");
    }
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
fn a_higher_priority_is_served_first_and_seen_while_the_process_is_busy() {
    let redis = Redis::start();
    let fail =
        |queue: &str, number: usize| format!(r#"{{"name":"Fail","args":[],"jid":"{queue}-{number:05}"}}"#);
    let fill = |queue: &str, count: usize| {
        redis.push(queue, &(0..count).map(|number| fail(queue, number)).collect::<Vec<_>>());
    };
    ["low", "mid", "high"].into_iter().for_each(|queue| fill(queue, 40));
    let others = names(30);
    let mut worker = Worker::start(&redis, &["-c", "1", "-q", "low:0,mid:1,high:2", "-q", &others, "-v"]);
    wait_until("all have run", || redis.processed() == 120);
    let expected: Vec<String> = ["high", "mid", "low"]
        .into_iter()
        .flat_map(|queue| (0..40).map(move |number| format!("{queue}-{number:05}")))
        .collect();
    assert_eq!(died(&redis), expected);
    // A backlog that takes seconds; what is more urgent is seen within some 20 ms.
    let slow = |number: usize| format!(r#"{{"name":"Sleep","args":[0.02],"jid":"s{number}"}}"#);
    redis.push("low", &(0..200).map(slow).collect::<Vec<_>>());
    wait_until("it is at work", || redis.processed() > 125);
    fill("high", 1);
    wait_until("the urgent job has run", || redis.set(DEAD).len() == 121);
    assert!(!redis.queue("low").is_empty(), "it had to wait for all others");
    worker.stop();
}

#[test]
fn a_push_wakes_one_shard_of_one_process() {
    const PUSHES: u64 = 50;
    let redis = Redis::start();
    let queues = names(20);
    let start = || Worker::start(&redis, &["--cores", "2", "-c", "5", "-q", &queues]);
    let mut workers = [start(), start(), start()];
    wait_for_bells(&redis, 3);
    let turns = || {
        let shown = output_of(&["processes", "--json", "--redis-url", &redis.url()]);
        let shown = json(shown.stdout);
        let shards = |process: &serde_json::Value| process["shards"].as_array().unwrap().clone();
        let all = shown["processes"].as_array().unwrap().iter().flat_map(shards);
        all.map(|shard| shard["turns"].as_u64().unwrap()).sum::<u64>()
    };
    let before = turns();
    for number in 0..PUSHES {
        redis.push(&name(number as usize % 20), &[noop(number as usize)]);
        wait_within(AT_ONCE, "the job runs", || (redis.processed() == number + 1).then_some(()));
    }
    // One that fetches and one that reports, for each; each process looks once more now and then, when a neighbour was late.
    let mut made = 0;
    wait_until("the figures say so", || {
        made = turns() - before;
        made >= 2 * PUSHES
    });
    assert!(made <= 2 * PUSHES + PUSHES, "{made} turns for {PUSHES} jobs");
    workers.iter_mut().for_each(Worker::stop);
}

#[test]
fn a_queue_that_is_paused_or_spoilt_costs_nothing_and_runs_when_that_is_over() {
    let redis = Redis::start();
    redis.run(&["SET", "jiggler:list:q0003", "x"]);
    let queues = names(12);
    let mut worker = Worker::start(&redis, &["--cores", "2", "-c", "3", "-q", &queues]);
    wait_for_bells(&redis, 1);
    let run = |args: &[&str]| {
        let output = output_of(&[args, &["--redis-url", &redis.url()]].concat());
        assert!(output.status.success(), "{args:?}: {output:?}");
    };
    run(&["pause", "queue", "q0005"]);
    redis.push("q0005", &(0..10).map(noop).collect::<Vec<_>>());
    redis.push("q0004", &[noop(99)]);
    wait_within(AT_ONCE, "the others run", || (redis.processed() == 1).then_some(()));
    let before = (redis.info("stats", "total_commands_processed"), worker.cpu_seconds());
    measure_over(SPAN);
    let after = (redis.info("stats", "total_commands_processed"), worker.cpu_seconds());
    assert!(after.0 - before.0 < 150, "{} commands in {SPAN:?}", after.0 - before.0);
    assert!(after.1 - before.1 < 0.3, "{} s of processor time in {SPAN:?}", after.1 - before.1);
    assert_eq!(redis.queue("q0005").len(), 10);
    run(&["resume", "queue", "q0005"]);
    wait_within(AT_ONCE, "the paused ones run", || (redis.processed() == 11).then_some(()));
    redis.run(&["DEL", "jiggler:list:q0003"]);
    redis.push("q0003", &[noop(100)]);
    wait_until("the mended one runs", || redis.processed() == 12);
    worker.stop();
}

#[test]
fn a_bell_that_is_lost_or_refused_only_makes_jobs_late() {
    let redis = Redis::start();
    let queues = names(20);
    let mut worker = Worker::start(&redis, &["-c", "3", "-q", &queues]);
    for lost in 0..5 {
        wait_for_bells(&redis, 1);
        let line = redis.clients(":bell").pop().unwrap();
        let id = line.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
        redis.run(&["CLIENT", "KILL", "ID", id]);
        redis.push(&name(lost), &[noop(lost)]);
        wait_until("the job runs", || redis.processed() == lost as u64 + 1);
    }
    worker.stop();
    redis.run(&["ACL", "SETUSER", "default", "-client|tracking", "-pubsub"]);
    let mut worker = Worker::start(&redis, &["-c", "3", "-q", &queues]);
    worker.wait_for_line("allow this user HELLO and CLIENT TRACKING");
    for job in 5..8 {
        redis.push(&name(job), &[noop(job)]);
        wait_within(AT_ONCE, "the job runs", || (redis.processed() == job as u64 + 1).then_some(()));
    }
    worker.stop();
}

#[test]
fn the_jobs_of_a_dead_process_with_many_queues_are_put_back_and_run() {
    const QUEUES: usize = 1_000;
    let redis = Redis::start();
    let config = config_file("stats_interval: 1\n");
    let queues = names(QUEUES);
    let args = ["--cores", "2", "-c", "30", "-q", &queues, "-C", &config.path()];
    let mut dies = Worker::start(&redis, &args);
    let sleeper = |number: usize| format!(r#"{{"name":"Sleep","args":[60],"jid":"s{number}"}}"#);
    let held: Vec<usize> = (0..20).map(|number| number * 37).collect();
    for queue in &held {
        redis.push(&name(*queue), &[sleeper(*queue)]);
    }
    wait_until("all are in flight", || lists_in_flight(&redis).len() >= 20);
    dies.kill();
    let mut heir = Worker::start(&redis, &args);
    wait_within(Duration::from_secs(60), "they are back", || {
        (!heir.lines("its jobs are back in their queues").is_empty()).then_some(())
    });
    heir.signal("TERM");
    heir.wait_for_end();
    let back = held.iter().filter(|queue| redis.queue(&name(**queue)).len() == 1).count();
    assert_eq!(back, 20, "each is where it came from");
}
