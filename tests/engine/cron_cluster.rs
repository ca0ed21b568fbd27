//! Periodic jobs in a Redis Cluster: each entry is in the table of its queue's realm, on the node of that queue, and is
//! found by its name wherever that is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cron::{check_every_second, cron_at, ticks};
use crate::harness::cluster::Cluster;
use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{Redis, Worker, config_file, output_of};

fn beside(queue: &str, what: &str) -> String {
    format!("{{jiggler:list:{queue}}}:{what}")
}

fn ticks_of(node: &Redis, queue: &str) -> Vec<i64> {
    ticks(node, &format!("jiggler:list:{queue}"))
}

fn run(url: &str, args: &[&str]) {
    let output = output_of(&[args, &["--redis-url", url]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// Of each entry that is listed its queue, and whether it is paused.
fn listed(url: &str) -> BTreeMap<String, (String, bool)> {
    let shown: Value = serde_json::from_str(&cron_at(url, &["list", "--json"])).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = shown["entries"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| {
            let stored = &entry["entry"];
            (text(&entry["name"]), (text(&stored["queue"]), stored["paused"].as_bool().unwrap()))
        })
        .collect()
}

fn seconds(node: &Redis) -> i64 {
    std::str::from_utf8(&node.list(&["TIME"])[0]).unwrap().parse().unwrap()
}

/// The queues are paused, so that each job that is pushed stays where it can be counted.
#[test]
fn entries_of_queues_on_two_nodes_are_pushed_once_a_tick_and_found_by_name() {
    let cluster = Cluster::start(2);
    let (url, queues) = (cluster.url(), cluster.queues());
    let nodes = &cluster.primaries;
    for (name, queue) in ["a", "b"].into_iter().zip(&queues) {
        run(&url, &["pause", "queue", queue]);
        cron_at(&url, &["add", name, "* * * * * *", "Noop", "--queue", queue, "--catch-up", "none"]);
    }
    // No queue has a list, set or counter yet, and this one never gets any.
    let mut names = (0..).map(|number| format!("lonely{number}"));
    let lonely = names.find(|name| cluster.owner_of_key(&format!("jiggler:list:{name}")) == 1).unwrap();
    cron_at(&url, &["add", "c", "@yearly", "Noop", "--queue", &lonely]);
    let all = |is_paused: bool| {
        let entry = |name: &str, queue: &str, is_paused| (name.to_owned(), (queue.to_owned(), is_paused));
        BTreeMap::from([
            entry("a", &queues[0], is_paused),
            entry("b", &queues[1], false),
            entry("c", &lonely, false),
        ])
    };
    assert_eq!(listed(&url), all(false));
    for (node, queues) in nodes.iter().zip([vec![&queues[0]], vec![&lonely, &queues[1]]]) {
        let of =
            |queue: &&String| ["entries", "runs", "ticks"].map(|what| beside(queue, &format!("cron:{what}")));
        let mut found = node.keys("*list:*");
        found.sort();
        assert_eq!(found, queues.iter().flat_map(of).collect::<Vec<_>>(), "each in the realm of its queue");
    }

    let config = config_file("poll_interval: 1\n");
    let start = || {
        let queues: Vec<&str> = queues.iter().flat_map(|queue| ["-q", queue]).collect();
        Worker::launch(&url, &[&queues, ["-C", &config.path()].as_slice()].concat())
    };
    let mut workers = [start(), start()];
    let counts = || [0, 1].map(|at| ticks_of(&nodes[at], &queues[at]).len());
    let two_more = |what: &str| {
        let before = counts();
        wait_until(what, || counts().iter().zip(before).all(|(now, before)| *now >= before + 2));
    };
    two_more("both are pushed");
    let leader = |at: usize| nodes[at].text(&beside(&queues[at], "poller"));
    let lead = wait_for("one leads", || leader(0));
    let at = wait_for("it is one of the two", || {
        workers.iter().position(|worker| worker.lines(" working ").iter().any(|line| line.contains(&lead)))
    });
    workers[at].kill();
    wait_until("another leads there", || leader(0).is_some_and(|next| next != lead));
    two_more("both go on");

    // Each is found by name, on its node.
    cron_at(&url, &["pause", "a"]);
    let paused_at = seconds(&nodes[0]);
    assert_eq!(listed(&url), all(true));
    let before = counts()[1];
    wait_until("the other goes on", || counts()[1] >= before + 3);
    let resumed_at = seconds(&nodes[0]);
    cron_at(&url, &["resume", "a"]);
    two_more("both go on again");
    let (a, b) = (ticks_of(&nodes[0], &queues[0]), ticks_of(&nodes[1], &queues[1]));
    let (first, second): (Vec<i64>, Vec<i64>) = a.iter().partition(|tick| **tick <= paused_at);
    check_every_second(&first);
    check_every_second(&second);
    check_every_second(&b);
    assert!(second[0] > resumed_at, "it was pushed while paused: {second:?}, {paused_at} to {resumed_at}");

    // A name is taken whichever queue has it; it moves to another if asked to.
    let a_in_b = ["cron", "add", "a", "@yearly", "Noop", "--queue", &queues[1], "--redis-url", &url];
    let taken = output_of(&a_in_b);
    let said = String::from_utf8_lossy(&taken.stderr);
    assert_eq!(taken.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("there is one already, in queue {}", queues[0])), "{said}");
    run(&url, &[&a_in_b[..7], &["--replace"]].concat());
    assert_eq!(listed(&url)["a"], (queues[1].clone(), false));
    assert_eq!(nodes[0].keys("*cron:*"), [""; 0], "it is nowhere else");

    for name in ["a", "b", "c"] {
        assert_eq!(cron_at(&url, &["remove", name]), format!("{name}: removed\n"));
    }
    for node in nodes {
        assert_eq!(node.keys("*cron:*"), [""; 0]);
    }
    assert_eq!(listed(&url), BTreeMap::new());
    let absent = output_of(&["cron", "pause", "a", "--redis-url", &url]);
    assert_eq!(absent.status.code(), Some(1), "{absent:?}");
    workers[1 - at].stop();
    assert_eq!(workers[1 - at].lines("ERROR"), [""; 0]);
}
