//! A Redis Cluster: queues on different nodes, each with all its state in its own slot; nodes that die and slots that move
//! while jobs run.
//!
//! Real nodes, each a process, that have met. What is killed stays dead, and slots move the way an operator's tool
//! moves them; the cluster agrees on the rest without help.

use std::time::Duration;

use crate::harness::cluster::Cluster;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file, output_of};

const JOBS: usize = 6_000;

/// The cluster misses a node and agrees on the next one within a few seconds; a loaded machine takes longer.
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(60);

/// A dead process's jobs run again within 30 s, on a machine with nothing else to do.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);

/// The traced jobs of these numbers, pushed to a node the way a plain producer does.
fn push(node: &Redis, queue: &str, numbers: std::ops::Range<usize>) {
    let payloads: Vec<String> = numbers.map(Account::traced).collect();
    node.push(queue, &payloads);
}

/// How many jobs of a queue have run, by the node that has it.
fn processed(node: &Redis, queue: &str) -> u64 {
    node.text(&format!("{{jiggler:list:{queue}}}:processed")).map_or(0, |text| text.parse().unwrap())
}

fn dead(node: &Redis, queue: &str) -> i64 {
    node.integer(&["ZCARD", &format!("{{jiggler:list:{queue}}}:dead")])
}

/// Waits until a job is in the retry set of a queue, and makes it due at once.
fn hasten(node: &Redis, queue: &str) {
    let set = format!("{{jiggler:list:{queue}}}:retries");
    wait_until("the job waits for its retry", || node.count(&set) == 1);
    let (job, _) = node.set(&set).remove(0);
    node.run(&["ZADD", &set, "XX", "1000000000", &job]);
}

fn launch(cluster: &Cluster, queues: &[String], args: &[&str]) -> Worker {
    let named: Vec<&str> = queues.iter().flat_map(|queue| ["-q", queue]).collect();
    Worker::launch(&cluster.url(), &[&named, args].concat())
}

#[test]
fn queues_on_three_nodes_are_drained_by_one_worker() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    for (at, (node, queue)) in cluster.primaries.iter().zip(&queues).enumerate() {
        push(node, queue, at * JOBS..(at + 1) * JOBS);
    }
    let config = config_file("max_dead_jobs: 1000000\n");
    let mut worker = launch(&cluster, &queues, &["--cores", "2", "-v", "-C", &config.path()]);
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        wait_until("all jobs of the queue have run", || dead(node, queue) == JOBS as i64);
        assert_eq!(processed(node, queue), JOBS as u64);
    }
    // A job that arrives later wakes each lane.
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        wait_until("the worker waits on each queue", || node.waiting() == 2);
        node.push(queue, &[r#"{"name":"Noop","args":[],"jid":"late"}"#]);
        wait_until("the late job has run", || processed(node, queue) == JOBS as u64 + 1);
    }
    worker.stop();
    let account = Account::of_nodes(&cluster.primaries);
    account.assert_each_ran_once(3 * JOBS);
    Account::assert_none_ran_twice(&worker);
    for node in &cluster.primaries {
        assert_eq!(node.keys("jiggler:svr:*"), [""; 0], "the heartbeat goes with its process");
        assert_eq!(node.keys("*:leases"), [""; 0], "and its leases");
    }
}

#[test]
fn jobs_of_a_killed_worker_are_recovered_by_another_on_every_node() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    let mut first = launch(&cluster, &queues, &["-c", "6"]);
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        let job = |jid: &str| format!(r#"{{"name":"Sleep","args":[600],"jid":"{queue}-{jid}"}}"#);
        node.push(queue, &[job("a"), job("b")]);
        wait_until("they are in flight", || {
            node.queue(queue).is_empty() && !node.keys("*:inflight:*").is_empty()
        });
    }
    first.wait_for_line(" working ");
    let second = launch(&cluster, &queues, &["-c", "6"]);
    second.wait_for_line(" working ");
    first.kill();
    let first_jobs = |node: &Redis| node.keys("{jiggler:list:*}:recoveries:*").len();
    for node in &cluster.primaries {
        wait_within(RECOVERED_WITHIN, "its jobs are recovered", || (first_jobs(node) == 2).then_some(()));
    }
    wait_until("the second process runs them", || {
        let lists = |node: &Redis| crate::harness::account::lists_in_flight(node).len();
        cluster.primaries.iter().all(|node| lists(node) > 0 && node.keys("jiggler:list:*").is_empty())
    });
}

#[test]
fn retries_and_scheduled_jobs_come_due_in_the_realm_of_their_queue() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    let config = config_file("poll_interval: 1\n");
    let mut worker = launch(&cluster, &queues, &["-C", &config.path()]);
    worker.wait_for_line(" working ");
    let (node, queue) = (&cluster.primaries[1], &queues[1]);
    let scheduled = format!("{{jiggler:list:{queue}}}:scheduled");
    let job = format!(r#"{{"name":"Noop","args":[],"jid":"due","queue":"{queue}"}}"#);
    node.run(&["ZADD", &scheduled, "1000000000", &job]);
    wait_until("the due job has run", || processed(node, queue) == 1);
    // It fails, is retried, and fails for good.
    node.push(queue, &[r#"{"name":"Fail","args":["x"],"jid":"twice","retries":1}"#]);
    hasten(node, queue);
    wait_until("it has failed twice", || dead(node, queue) == 1);
    assert_eq!(processed(node, queue), 3);
    // One to be retried in a queue of another node.
    let other = &queues[2];
    let abroad =
        format!(r#"{{"name":"Fail","args":["x"],"jid":"abroad","retries":1,"retry_queue":"{other}"}}"#);
    node.push(queue, &[&abroad]);
    let target = &cluster.primaries[2];
    hasten(target, other);
    wait_until("it is retried there", || dead(target, other) == 1 && processed(target, other) == 1);
    assert_eq!((dead(node, queue), processed(node, queue)), (1, 4));
    // One that names a queue of another realm than its set is postponed, and keeps no other from coming due.
    let astray = format!(r#"{{"name":"Noop","args":[],"jid":"astray","queue":"{other}"}}"#);
    node.run(&["ZADD", &scheduled, "1000000000", &astray]);
    node.run(&["ZADD", &scheduled, "1000000001", &job]);
    wait_until("the other has run", || processed(node, queue) == 5);
    assert_eq!(node.count(&scheduled), 1);
    worker.stop();
}

#[test]
fn a_worker_follows_a_primary_that_dies_mid_drain_to_its_replica_and_loses_no_job() {
    let mut cluster = Cluster::start_replicated(3);
    let queues = cluster.queues();
    for (at, (node, queue)) in cluster.primaries.iter().zip(&queues).enumerate() {
        push(node, queue, at * JOBS..(at + 1) * JOBS);
        wait_until("the replica has the jobs", || node.integer(&["WAIT", "1", "1000"]) == 1);
    }
    let config = config_file("max_dead_jobs: 1000000\n");
    let mut worker = launch(&cluster, &queues, &["-v", "-t", "20", "-C", &config.path()]);
    wait_until("some jobs have run", || processed(&cluster.primaries[0], &queues[0]) > 100);
    let mut old = cluster.primaries.remove(0);
    old.kill();
    let new = cluster.replicas.remove(0);
    wait_within(FAILED_OVER_WITHIN, "the replica leads", || new.leads().then_some(()));
    let before = new.text_of(&["CLUSTER", "INFO"]);
    for (at, (node, queue)) in [&new].into_iter().chain(&cluster.primaries).zip(&queues).enumerate() {
        // Whatever only the dead primary knew is repeated, so some may have died twice; none is lost.
        wait_within(FAILED_OVER_WITHIN, "all jobs have run", || {
            (node.queue(queue).is_empty() && node.waiting() == 1).then_some(())
        });
        assert!(dead(node, queue) >= JOBS as i64, "queue {at}: {before}");
    }
    // A cluster with an unassigned slot answers nobody, so the other lanes may have noticed too. Each logs the cause, and
    // again when the cause changes: it is gone, then nobody leads to it.
    let (gone, back) = (worker.lines("; trying again shard=0 queue="), worker.lines("redis is back shard"));
    assert!(!back.is_empty() && gone.len() >= back.len(), "{gone:?} {back:?}");
    worker.stop();
    let account = Account::of_nodes(cluster.primaries.iter().chain([&new]));
    account.assert_none_lost(3 * JOBS);
    assert_eq!((account.queued.len(), account.in_flight.len()), (0, 0));
}

#[test]
fn a_slot_that_moves_mid_drain_loses_no_job_and_duplicates_none() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let queue = &queues[0];
    let (source, target) = (&cluster.primaries[0], &cluster.primaries[1]);
    let mut pushed = 0;
    let config = config_file("max_dead_jobs: 1000000\n");
    let mut worker = launch(&cluster, &queues, &["--cores", "2", "-v", "-t", "20", "-C", &config.path()]);
    worker.wait_for_line(" working ");
    let slot = cluster.slot(queue);
    // There and back, and there again, so that the slot moves in every phase of the drain.
    for (from, to) in [(0, 1), (1, 0), (0, 1)] {
        push(&cluster.primaries[from], queue, pushed..pushed + JOBS);
        pushed += JOBS;
        let before = processed(&cluster.primaries[from], queue);
        wait_until("some have run", || processed(&cluster.primaries[from], queue) > before + 50);
        cluster.migrate(slot, from, to, || {});
        assert!(
            dead(&cluster.primaries[to], queue) < pushed as i64,
            "the move came after the drain, which proves nothing"
        );
    }
    wait_until("all jobs have run", || dead(target, queue) == pushed as i64);
    wait_until("it waits there", || target.waiting() == 4 && source.waiting() == 0);
    target.push(queue, &[r#"{"name":"Noop","args":[],"jid":"late"}"#]);
    wait_until("a late job has run", || processed(target, queue) == pushed as u64 + 1);
    worker.stop();
    let account = Account::of_nodes(&cluster.primaries);
    account.assert_each_ran_once(pushed);
    Account::assert_none_ran_twice(&worker);
}

#[test]
fn at_most_once_a_slot_that_moves_loses_no_job_either() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let queue = &queues[0];
    push(&cluster.primaries[0], queue, 0..JOBS);
    let config = config_file("max_dead_jobs: 1000000\n");
    let args = ["--mode", "at-most-once", "-v", "-t", "20", "-C", &config.path()];
    let mut worker = launch(&cluster, &queues, &args);
    wait_until("some have run", || processed(&cluster.primaries[0], queue) > 50);
    cluster.migrate(cluster.slot(queue), 0, 1, || {});
    wait_until("all jobs have run", || dead(&cluster.primaries[1], queue) == JOBS as i64);
    worker.stop();
    Account::of_nodes(&cluster.primaries).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
}

#[test]
fn slots_of_a_core_are_shared_and_a_higher_priority_comes_first() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let sleep = |jid: usize| format!(r#"{{"name":"Sleep","args":[0.02],"jid":"{jid}"}}"#);
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        node.push(queue, &(0..60).map(sleep).collect::<Vec<_>>());
    }
    let (low, high) = (&cluster.primaries[0], &cluster.primaries[1]);
    let with_priorities = [format!("{}:1", queues[0]), format!("{}:5", queues[1])];
    let mut worker = launch(&cluster, &with_priorities, &["-c", "3"]);
    wait_until("the higher queue is done", || processed(high, &queues[1]) == 60);
    let early = processed(low, &queues[0]);
    assert!(early <= 20, "{early} jobs of the lower queue ran before");
    wait_until("the lower queue is done", || processed(low, &queues[0]) == 60);
    worker.stop();
}

#[test]
fn stopping_hands_back_running_jobs_on_every_node() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let mut worker = launch(&cluster, &queues, &["-c", "4", "-t", "1"]);
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        node.push(queue, &[r#"{"name":"Sleep","args":[600],"jid":"long"}"#]);
        wait_until("it runs", || !node.keys("*:inflight:*").is_empty() && node.queue(queue).is_empty());
    }
    worker.signal("TSTP");
    worker.wait_for_line("quiet: no more jobs");
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        wait_until("nobody waits", || node.waiting() == 0);
        node.push(queue, &[r#"{"name":"Noop","args":[],"jid":"unseen"}"#]);
    }
    worker.stop();
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        assert_eq!(node.queue(queue).len(), 2, "{:?}", node.queue(queue));
        assert_eq!(node.keys("*:leases"), [""; 0]);
    }
}

#[test]
fn a_url_of_the_other_kind_is_refused_at_boot() {
    let cluster = Cluster::start(1);
    let alone = Redis::start();
    let check = |url: &str, part: &str| {
        let output = output_of(&["--redis-url", url]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(part), "{error}");
    };
    check(&cluster.primaries[0].tcp_url(), "redis+cluster://");
    check(&alone.tcp_url().replace("redis://", "redis+cluster://"), "belongs to no cluster");
    check(&(cluster.url() + "/3"), "only database 0");
}
