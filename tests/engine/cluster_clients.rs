//! Clients and the command line on a Redis Cluster: each job goes to the node of its queue, also while its slot is being
//! moved, and what an operator asks is asked of every node.

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

/// What the command prints, if it ends well.
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
    // A bulk over all queues, each in its order.
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
fn the_command_line_looks_at_every_node_and_says_what_it_does_not() {
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
    for refused in [&["top", "--once"][..], &["prune", "all", "--yes"]] {
        let output = output_of(&[refused, &["--redis-url", &cluster.url()]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && error.contains("not offered in a redis cluster"),
            "{error}"
        );
    }
    let named: Vec<&str> = queues.iter().flat_map(|queue| ["-q", queue]).collect();
    let mut worker = Worker::launch(&cluster.url(), &named);
    worker.wait_for_line(" working ");
    wait_until("all have run", || json(said(&cluster, &["summary", "--json"]))["processed_count"] == 4);
    let processes = json(said(&cluster, &["processes", "--json"]));
    assert_eq!(processes["processes"].as_array().unwrap().len(), 1, "{processes}");
    assert_eq!(processes["processes"][0]["phase"], "running");
    assert!(said(&cluster, &["queues"]).contains("1 process"));
    assert!(said(&cluster, &["quiet", "--all"]).contains("is quiet"));
    assert!(said(&cluster, &["stop", "--all"]).contains("has left"));
    assert_eq!(worker.wait_for_end().code(), Some(0));
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
        wait_until("one worker hears of it", || {
            let url = cluster.url();
            output_of(&["cancel", queue, "--redis-url", &url]).status.success()
                && node.integer(&["ZCARD", &format!("{{jiggler:list:{queue}}}:dead")]) == 1
        });
    }
    worker.stop();
}
