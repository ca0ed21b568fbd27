//! `--balance even` and `adaptive`: slots belong to queues, none of which takes those of another.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::cluster::Cluster;
use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, json, output_of};

/// Well below the time that the jobs of the flooded queue take, and above that in which a process looks again.
const STARTS_WITHIN: Duration = Duration::from_secs(5);

fn sleep(queue: &str, seconds: f64, number: usize) -> String {
    format!(r#"{{"name":"Sleep","args":[{seconds}],"jid":"{queue}-{number:05}"}}"#)
}

fn fill(redis: &Redis, queue: &str, seconds: f64, count: usize) {
    redis.push(queue, &(0..count).map(|number| sleep(queue, seconds, number)).collect::<Vec<_>>());
}

/// What the only process shows of its slots: slots and reason by queue.
fn shown(url: &str) -> BTreeMap<String, (u64, String)> {
    let output = output_of(&["processes", "--json", "--redis-url", url]);
    assert!(output.status.success(), "{output:?}");
    let all = json(output.stdout);
    let queues = all["processes"][0]["balance"].as_array().cloned().unwrap_or_default();
    let of = |queue: &serde_json::Value| {
        let text = |key: &str| queue[key].as_str().unwrap().to_owned();
        (text("queue"), (queue["slots"].as_u64().unwrap(), text("reason")))
    };
    queues.iter().map(of).collect()
}

/// Jobs of a queue that run or are about to.
fn taken(redis: &Redis, queue: &str, pushed: usize) -> usize {
    pushed - redis.queue(queue).len()
}

#[test]
fn a_short_queue_beside_a_flooded_one_keeps_a_slot_and_starts_at_once() {
    for mode in ["at-least-once", "at-most-once"] {
        let redis = Redis::start();
        fill(&redis, "bulk", 300.0, 100);
        let config = config_file("balance: adaptive\nstats_interval: 1\n");
        let path = config.path();
        let args = ["-q", "bulk,mail", "--cores", "2", "-c", "6", "-C", &path, "-t", "1", "--mode", mode];
        let mut worker = Worker::start(&redis, &args);
        // What is taken alone does not tell: a job may have come that has no slot, and goes back.
        let has_five = || shown(&redis.url()).get("bulk").is_some_and(|bulk| bulk.0 == 5);
        wait_until("the flooded queue has all slots but one", || {
            has_five() && taken(&redis, "bulk", 100) == 5
        });
        measure_over(Duration::from_secs(2));
        assert_eq!(taken(&redis, "bulk", 100), 5, "{mode}: one slot is left for the other queue");
        for round in 1..=3 {
            fill(&redis, "mail", 0.01, 1);
            let ran = || (redis.processed() == round).then_some(());
            wait_within(STARTS_WITHIN, "the short queue starts", ran);
        }
        wait_until("the assignment is shown", || {
            shown(&redis.url()).get("bulk").is_some_and(|bulk| bulk.0 == 5)
        });
        let shown = shown(&redis.url());
        assert_eq!(shown["mail"].0, 1, "{shown:?}");
        assert!(shown["bulk"].1.contains("s of work"), "{shown:?}");
        let url = redis.url();
        let print =
            |args: &[&str]| json(output_of(&[args, &["--json", "--redis-url", &url]].concat()).stdout);
        let queues = print(&["queues"]);
        assert_eq!((&queues["queues"][0]["slots"], &queues["queues"][1]["slots"]), (&5.into(), &1.into()));
        let summary = print(&["summary"]);
        let process = summary["processes"].as_object().unwrap().values().next().unwrap();
        assert_eq!(process["health"]["balance"][0]["queue"], "bulk", "{process}");
        worker.stop();
    }
}

#[test]
fn even_divides_evenly_and_no_queue_takes_the_slots_of_another() {
    let redis = Redis::start();
    for queue in ["a", "b", "c"] {
        fill(&redis, queue, 300.0, 20);
    }
    let args = ["-q", "a:3,b:2,c", "--cores", "2", "-c", "6", "--balance", "even", "-t", "1"];
    let mut worker = Worker::start(&redis, &args);
    wait_until("all slots are taken", || ["a", "b", "c"].iter().all(|queue| taken(&redis, queue, 20) == 2));
    measure_over(Duration::from_secs(2));
    let each = ["a", "b", "c"].map(|queue| taken(&redis, queue, 20));
    assert_eq!(each, [2; 3], "whatever their priorities");
    worker.stop();
}

#[test]
fn all_jobs_run_under_every_balance_in_every_mode() {
    for balance in ["even", "adaptive", "adaptive-io"] {
        for mode in ["at-least-once", "at-most-once"] {
            let redis = Redis::start();
            let queues = ["a", "b-io", "c", "d", "e"];
            let noop = |number: usize| format!(r#"{{"name":"Noop","args":[],"jid":"j{number:05}"}}"#);
            for queue in queues {
                fill(&redis, queue, 0.01, 100);
                redis.push(queue, &(0..500).map(noop).collect::<Vec<_>>());
            }
            let args =
                ["-q", "a,b-io,c,d,e", "--cores", "2", "-c", "4", "--balance", balance, "--mode", mode];
            let mut worker = Worker::start(&redis, &args);
            let ran = || (redis.processed() == 3_000).then_some(());
            wait_within(Duration::from_secs(60), "all have run, with fewer slots than queues too", ran);
            worker.stop();
        }
    }
}

#[test]
fn in_a_cluster_each_queue_keeps_its_slots_too() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let [flooded, other] = [0, 1].map(|at| (&cluster.primaries[at], queues[at].as_str()));
    fill(flooded.0, flooded.1, 300.0, 50);
    let named = queues.join(",");
    let args = ["-q", named.as_str(), "--cores", "1", "-c", "4", "--balance", "adaptive", "-t", "1"];
    let mut worker = Worker::launch(&cluster.url(), &args);
    wait_until("it has all slots but one", || taken(flooded.0, flooded.1, 50) == 3);
    fill(other.0, other.1, 0.01, 1);
    let counter = format!("{{jiggler:list:{}}}:processed", other.1);
    let ran = || (other.0.text(&counter).as_deref() == Some("1")).then_some(());
    wait_within(STARTS_WITHIN, "the other queue starts", ran);
    measure_over(Duration::from_secs(2));
    assert_eq!(taken(flooded.0, flooded.1, 50), 3);
    worker.stop();
}

#[test]
fn an_unknown_balance_is_refused_with_the_list() {
    let output = output_of(&["--balance", "fair"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for word in ["fair", "strict", "weighted", "even", "adaptive", "adaptive-io"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_maximum_is_never_exceeded_and_a_minimum_is_kept() {
    let redis = Redis::start();
    for queue in ["bulk", "kept", "mail"] {
        fill(&redis, queue, 300.0, if queue == "bulk" { 100 } else { 20 });
    }
    let config = config_file("balance: adaptive\nslots:\n  bulk: {max: 3}\n  kept: {min: 4, max: 4}\n");
    let path = config.path();
    let args = ["-q", "bulk,kept,mail", "--cores", "2", "-c", "10", "-t", "1", "-C", &path];
    let mut worker = Worker::start(&redis, &args);
    let all = || [taken(&redis, "bulk", 100), taken(&redis, "kept", 20), taken(&redis, "mail", 20)];
    wait_until("all slots are taken", || all() == [3, 4, 3]);
    measure_over(Duration::from_secs(3));
    assert_eq!(all(), [3, 4, 3]);
    wait_until("the reasons are shown", || {
        let shown = shown(&redis.url());
        shown.get("bulk").is_some_and(|bulk| bulk == &(3, "its maximum".to_owned()))
    });
    worker.stop();
}

#[test]
fn slots_go_where_a_target_is_missed() {
    let redis = Redis::start();
    fill(&redis, "bulk", 0.2, 3_000);
    // With one slot of ten it would take 40 s to come to the last.
    fill(&redis, "mail", 0.2, 200);
    let config = config_file("balance: adaptive\nslots: {mail: {target: 8}}\nstats_interval: 1\n");
    let path = config.path();
    let args = ["-q", "bulk,mail", "--cores", "1", "-c", "10", "-t", "1", "-C", &path];
    let mut worker = Worker::start(&redis, &args);
    let mut said = false;
    wait_within(Duration::from_secs(20), "the mails have started", || {
        said |= shown(&redis.url()).get("mail").is_some_and(|mail| mail.1.contains("to start within 8 s"));
        redis.queue("mail").is_empty().then_some(())
    });
    assert!(said, "the reason was never shown: {:?}", shown(&redis.url()));
    assert!(redis.queue("bulk").len() > 1_500, "it had most slots meanwhile");
    worker.stop();
}

#[test]
fn a_process_gives_its_slots_where_another_does_not_and_makes_up_for_one_that_leaves() {
    for redis in Redis::of_each_dialect() {
        for queue in ["a", "b"] {
            fill(&redis, queue, 0.2, 4_000);
        }
        let config = config_file("balance: adaptive\nstats_interval: 1\n");
        let path = config.path();
        let [only_a, both] =
            ["a", "a,b"].map(|queues| ["-q", queues, "--cores", "1", "-c", "10", "-C", &path]);
        let mut other = Worker::start(&redis, &only_a);
        let mut worker = Worker::start(&redis, &both);
        let given = || {
            let url = redis.url();
            let asked = [&["processes", "--json", "--redis-url", &url][..], &redis.flags()].concat();
            let all = json(output_of(&asked).stdout);
            let processes = all["processes"].as_array().cloned().unwrap_or_default();
            let mut rows = processes.iter().filter_map(|process| process["balance"].as_array());
            let both = rows.find(|rows| rows.len() == 2)?;
            Some([0, 1].map(|at| (both[at]["slots"].as_u64().unwrap(), both[at]["reason"].to_string())))
        };
        let gives = |slots: [u64; 2]| given().filter(|now| [now[0].0, now[1].0] == slots);
        let within = Duration::from_secs(40);
        let shown = wait_within(within, "what the other gives is heeded", || gives([1, 9]));
        assert!(shown[0].1.contains("other processes give it 10"), "{shown:?}");
        other.stop();
        wait_within(within, "the other has taken its leave", || {
            given().filter(|now| (4..=6).contains(&now[0].0)).map(drop)
        });
        worker.stop();
    }
}
