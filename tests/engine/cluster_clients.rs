//! Clients and the command line on a Redis Cluster: each job goes to the node of its queue, even while its slot is
//! moving, and an operator's question is put to every node.

use std::time::Duration;

use jiggler_uring::{Client, ClientPool, NewJob, Outbox};

use crate::harness::cluster::Cluster;
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, json, output_of};

fn job(queue: &str) -> NewJob {
    NewJob::new("Noop", &[1]).unwrap().queue_named(queue).unwrap()
}

fn scheduled(node: &Redis, queue: &str) -> i64 {
    node.integer(&["ZCARD", &format!("{{jiggler:list:{queue}}}:scheduled")])
}

/// What the command prints, if it succeeds.
#[track_caller]
fn said(cluster: &Cluster, args: &[&str]) -> String {
    let output = output_of(&[args, &["--redis-url", &cluster.url()]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_client_pushes_to_the_node_of_each_queue() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    let mut client = Client::connect(&cluster.url()).unwrap();
    let pool = ClientPool::connect(&cluster.url()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(directory.path().join("outbox"), &cluster.url()).unwrap();
    for queue in &queues {
        client.enqueue(&job(queue)).unwrap();
        client.enqueue_in(Duration::from_secs(600), &job(queue)).unwrap();
        pool.enqueue(&job(queue)).unwrap();
        outbox.enqueue(&job(queue)).unwrap();
        outbox.enqueue_in(Duration::from_secs(600), &job(queue)).unwrap();
    }
    // A bulk across all queues, each in its order.
    let all: Vec<NewJob> = (0..30).map(|number| job(&queues[number % 3])).collect();
    assert_eq!(client.enqueue_bulk(&all).unwrap(), 30);
    assert_eq!(client.enqueue_bulk_at(4_000_000_000.0, &all).unwrap(), 30);
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        assert_eq!((node.queue(queue).len(), scheduled(node, queue)), (13, 12), "{queue}");
    }
}

#[cfg(feature = "tokio")]
#[test]
fn the_client_on_tokio_pushes_to_the_node_of_each_queue() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = jiggler_uring::TokioClient::connect(&cluster.url()).await.unwrap();
        for queue in &queues {
            client.enqueue(&job(queue)).await.unwrap();
            client.enqueue_in(Duration::from_secs(600), &job(queue)).await.unwrap();
        }
        let all: Vec<NewJob> = (0..20).map(|number| job(&queues[number % 2])).collect();
        assert_eq!(client.enqueue_bulk(&all).await.unwrap(), 20);
    });
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        assert_eq!((node.queue(queue).len(), scheduled(node, queue)), (11, 1), "{queue}");
    }
}

#[test]
fn a_push_follows_its_slot_while_it_is_moved_and_after() {
    let cluster = Cluster::start(2);
    let queue = &cluster.queues()[0];
    let mut client = Client::connect(&cluster.url()).unwrap();
    client.enqueue(&job(queue)).unwrap();
    let mut pushed = 1;
    cluster.migrate(cluster.slot(queue), 0, 1, || {
        client.enqueue(&job(queue)).unwrap();
        client.enqueue_in(Duration::from_secs(600), &job(queue)).unwrap();
        pushed += 1;
    });
    client.enqueue(&job(queue)).unwrap();
    let target = &cluster.primaries[1];
    assert_eq!(target.queue(queue).len(), pushed + 1);
    assert_eq!(scheduled(target, queue), pushed as i64 - 1);
}

#[test]
fn the_command_line_reads_every_node() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    for queue in &queues {
        said(&cluster, &["enqueue", "Noop", "--queue", queue]);
        said(&cluster, &["enqueue", "Noop", "--queue", queue, "--in", "600"]);
    }
    let summary = json(said(&cluster, &["summary", "--json"]));
    assert_eq!(summary["scheduled_jobs_count"], 3);
    assert!(queues.iter().all(|queue| summary["queues"][queue] == 1), "{summary}");
    let jobs = json(said(&cluster, &["jobs", "queue", &queues[1], "--json"]));
    assert_eq!(jobs["total"], 1);
    let later = json(said(&cluster, &["jobs", "scheduled", "--json"]));
    assert_eq!((&later["total"], later["jobs"].as_array().unwrap().len()), (&3.into(), 3), "{later}");
    let jid = later["jobs"][2]["job"]["jid"].as_str().unwrap();
    assert!(said(&cluster, &["retry", jid]).contains("moved job"));
    assert!(said(&cluster, &["delete", "--all", "scheduled", "--yes"]).contains("deleted 2 jobs"));
    let named: Vec<&str> = queues.iter().flat_map(|queue| ["-q", queue]).collect();
    let mut worker = Worker::launch(&cluster.url(), &named);
    worker.wait_for_line(" working ");
    wait_until("all have run", || json(said(&cluster, &["summary", "--json"]))["processed_count"] == 4);
    let processes = json(said(&cluster, &["processes", "--json"]));
    assert_eq!(processes["processes"].as_array().unwrap().len(), 1, "{processes}");
    assert_eq!(processes["processes"][0]["phase"], "running");
    let top = json(said(&cluster, &["top", "--once", "--json"]));
    assert_eq!((&top["counts"]["processed"], &top["processes_count"]), (&4.into(), &1.into()), "{top}");
    assert_eq!(top["processes"][0]["phase"], "running", "{top}");
    assert!(said(&cluster, &["queues"]).contains("1 process"));
    assert!(said(&cluster, &["quiet", "--all"]).contains("is quiet"));
    assert!(said(&cluster, &["stop", "--all"]).contains("has left"));
    assert_eq!(worker.wait_for_end().code(), Some(0));
}

/// Two waiting jobs, one in each set, and both counters, on the node of each queue; and an overdue heartbeat.
fn fill(cluster: &Cluster, queues: &[String]) -> Vec<String> {
    let mut heartbeats = Vec::new();
    for (at, (node, queue)) in cluster.primaries.iter().zip(queues).enumerate() {
        node.push(
            queue,
            &[r#"{"name":"Noop","args":[],"jid":"a"}"#, r#"{"name":"Noop","args":[],"jid":"b"}"#],
        );
        for set in ["retries", "scheduled", "dead"] {
            let key = format!("{{jiggler:list:{queue}}}:{set}");
            node.run(&["ZADD", &key, "4000000000", r#"{"name":"Noop","args":[],"jid":"c"}"#]);
        }
        node.run(&["INCRBY", &format!("{{jiggler:list:{queue}}}:processed"), "7"]);
        node.run(&["INCRBY", &format!("{{jiggler:list:{queue}}}:failures"), "2"]);
        let heartbeat = (0..)
            .map(|pid| format!("jiggler:svr:{at:012}:3:25:{queue}:1:1795299901:{pid}:vm"))
            .find(|key| cluster.owner_of_key(key) == at)
            .unwrap();
        node.run(&["SET", &heartbeat, "{}", "EX", "100"]);
        heartbeats.push(heartbeat);
    }
    heartbeats
}

#[test]
fn top_adds_up_all_nodes_and_follows_a_slot_that_moves() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    fill(&cluster, &queues);
    let top = json(said(&cluster, &["top", "--once", "--json"]));
    assert_eq!((&top["waiting_jobs"], &top["queues_count"]), (&6.into(), &3.into()), "{top}");
    let counts = serde_json::json!({
        "processed": 21, "failures": 6, "retry_jobs": 3, "scheduled_jobs": 3, "dead_jobs": 3
    });
    assert_eq!((&top["counts"], &top["processes_count"]), (&counts, &3.into()), "{top}");
    let text = said(&cluster, &["top", "--once"]);
    assert!(queues.iter().all(|queue| text.contains(queue)), "{text}");
    // What it remembers of one node is on another at its second look, and is counted once.
    let url = cluster.url();
    let args = ["top", "--once", "--json", "--interval", "5", "--redis-url", &url];
    let later = std::thread::scope(|scope| {
        let watching = scope.spawn(|| output_of(&args));
        let looks = |node: &Redis| !node.clients("jiggler-uring:top").is_empty();
        wait_until("it has read all nodes", || cluster.primaries.iter().all(looks));
        cluster.migrate(cluster.slot(&queues[0]), 0, 1, || {});
        watching.join().unwrap()
    });
    let later = json(String::from_utf8(later.stdout).unwrap());
    assert_eq!((&later["counts"], &later["waiting_jobs"]), (&counts, &6.into()), "{later}");
}

#[test]
fn prune_deletes_on_every_node_what_it_names_and_nothing_else() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    let keys = || -> Vec<String> { cluster.primaries.iter().flat_map(|node| node.keys("*")).collect() };
    let one = queues[1].as_str();
    let table: [(&[&str], &str, usize, &str); 8] = [
        (&["queue", one], one, 1, "deleted 2 jobs of queue"),
        (&["queues"], "jiggler:list:", 3, "deleted 2 jobs of queue"),
        (&["retries"], ":retries", 3, "deleted 3 jobs of the retry set\n"),
        (&["scheduled"], ":scheduled", 3, "deleted 3 jobs of the scheduled set\n"),
        (&["dead"], ":dead", 3, "deleted 3 jobs of the dead set\n"),
        (&["failures"], ":failures", 3, "deleted the counter of failures, which was at 6\n"),
        (&["processed"], ":processed", 3, "deleted the counter of processed jobs, which was at 21\n"),
        (&["processes"], "jiggler:svr:", 3, "deleted 3 heartbeats of processes that are gone, left 0"),
    ];
    for (what, part, count, expected) in table {
        fill(&cluster, &queues);
        let is_meant = |key: &String| match what[0] {
            "queue" | "queues" => key.starts_with("jiggler:list:") && key.contains(part),
            _ => key.contains(part),
        };
        let mut left = keys();
        left.retain(|key| !is_meant(key));
        assert_eq!(left.len() + count, keys().len(), "{what:?}");
        let said = said(&cluster, &[&["prune"], what, &["--yes"]].concat());
        assert!(said.contains(expected), "{what:?}: {said}");
        assert_eq!(keys(), left, "{what:?}");
        for node in &cluster.primaries {
            node.run(&["FLUSHALL"]);
        }
        assert_eq!(self::said(&cluster, &[&["prune"], what, &["--yes"]].concat()), "nothing to prune\n");
    }
}

#[test]
fn prune_all_leaves_running_jobs_and_live_processes() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    let mut worker = Worker::launch(&cluster.url(), &["-q", &queues[0]]);
    worker.wait_for_line(" working ");
    cluster.primaries[0].push(&queues[0], &[r#"{"name":"Sleep","args":[600],"jid":"runs"}"#]);
    wait_until("it runs", || cluster.primaries[0].queue(&queues[0]).is_empty());
    let keys = || -> Vec<String> { cluster.primaries.iter().flat_map(|node| node.keys("*")).collect() };
    wait_until("the worker has a heartbeat", || keys().iter().any(|key| key.starts_with("jiggler:svr:")));
    // Paused, so that the jobs stay.
    worker.signal("TSTP");
    worker.wait_for_line("quiet: no more jobs");
    wait_until("nobody waits", || cluster.primaries[0].waiting() == 0);
    let late = fill(&cluster, &queues);
    let output = output_of(&["prune", "all", "--redis-url", &cluster.url()]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && error.contains("use --yes"), "{error}");
    let said = said(&cluster, &["prune", "all", "--yes"]);
    assert!(said.contains("deleted 3 heartbeats of processes that are gone, left 1 of live ones"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("deleted ")).count(), 3 + 5 + 1, "{said}");
    let left = keys();
    assert!(left.iter().any(|key| key.contains("}:inflight:")), "{left:?}");
    assert!(left.iter().any(|key| key.starts_with("jiggler:svr:")), "{left:?}");
    let is_pruned = |key: &String| {
        late.contains(key)
            || key.starts_with("jiggler:list:")
            || [":retries", ":scheduled", ":dead", ":processed", ":failures"]
                .iter()
                .any(|end| key.ends_with(end))
    };
    assert!(!left.iter().any(is_pruned), "{left:?}");
    worker.kill();
}

#[test]
fn a_job_of_another_nodes_queue_is_retried_there() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let (node, other) = (&cluster.primaries[0], &cluster.primaries[1]);
    let dead = format!("{{jiggler:list:{}}}:dead", queues[0]);
    let jobs =
        ["one", "two"].map(|jid| format!(r#"{{"name":"Noop","jid":"{jid}","queue":"{}"}}"#, queues[1]));
    for job in &jobs {
        node.run(&["ZADD", &dead, "1", job]);
    }
    let expected = format!("from the dead set to queue {}", queues[1]);
    assert!(said(&cluster, &["retry", "one"]).contains(&expected));
    assert!(said(&cluster, &["retry", "--all", "dead"]).contains("moved 1 job"));
    assert_eq!((other.queue(&queues[1]), node.count(&dead)), (jobs.to_vec(), 0));
    // Where it cannot go, it stays.
    let taken = format!("jiggler:list:{}", queues[1]);
    other.run(&["DEL", &taken]);
    other.run(&["SET", &taken, "no list"]);
    node.run(&["ZADD", &dead, "1", &jobs[0]]);
    let output = output_of(&["retry", "one", "--redis-url", &cluster.url()]);
    assert!(output.status.code() == Some(1) && node.count(&dead) == 1, "{output:?}");
}

#[test]
fn a_running_job_is_cancelled_from_any_node() {
    let cluster = Cluster::start(3);
    let queues = cluster.queues();
    let named: Vec<&str> = queues.iter().flat_map(|queue| ["-q", queue]).collect();
    let mut worker = Worker::launch(&cluster.url(), &named);
    worker.wait_for_line(" working ");
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        node.push(queue, &[format!(r#"{{"name":"Sleep","args":[600],"jid":"{queue}"}}"#)]);
        wait_until("it runs", || node.queue(queue).is_empty());
        wait_until("one worker receives it", || {
            // One that has ended by now is said to be dead.
            let output = output_of(&["cancel", queue, "--redis-url", &cluster.url()]);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || error.contains("it is in the dead set"), "{error}");
            node.integer(&["ZCARD", &format!("{{jiggler:list:{queue}}}:dead")]) == 1
        });
    }
    worker.stop();
}
