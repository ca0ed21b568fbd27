//! A Redis Cluster whose users may do what they need and nothing else, and one that speaks only TLS.

use std::time::Duration;

use jiggler_uring::internal::store::rights::{self, Reach, Role};
use jiggler_uring::internal::wire::keys::JIGGLER;
use jiggler_uring::{Client, NewJob};

use crate::certificates::Certificates;
use crate::harness::cluster::Cluster;
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, output_of};

fn processed(node: &Redis, queue: &str) -> u64 {
    node.text(&format!("{{jiggler:list:{queue}}}:processed")).map_or(0, |text| text.parse().unwrap())
}

fn dead(node: &Redis, queue: &str) -> i64 {
    node.count(&format!("{{jiggler:list:{queue}}}:dead"))
}

fn job(queue: &str) -> NewJob {
    NewJob::new("Noop", &[1]).unwrap().queue_named(queue).unwrap()
}

/// Creates a user with these rules on every node and returns the cluster's url for it.
fn url_of_user(cluster: &Cluster, name: &str, rules: &str) -> String {
    let secret = format!(">{name}-pw");
    let words: Vec<&str> =
        ["ACL", "SETUSER", name, "reset", "on", &secret].into_iter().chain(rules.split(' ')).collect();
    for node in &cluster.primaries {
        node.run(&words);
    }
    cluster.url().replace("//", &format!("//{name}:{name}-pw@"))
}

fn launch(url: &str, queues: &[String], args: &[&str]) -> Worker {
    let named: Vec<&str> = queues.iter().flat_map(|queue| ["-q", queue]).collect();
    Worker::launch(url, &[&named, args].concat())
}

/// Deaths, cancellation, a slot that moves, operators' commands: nothing is denied.
#[test]
fn everything_works_under_the_rights_of_the_table_and_nothing_is_denied() {
    let cluster = Cluster::start(2);
    let queues = cluster.queues();
    let url = url_of_user(&cluster, "worker", &rights::acl_line(JIGGLER, Reach::InCluster));
    let producer =
        url_of_user(&cluster, "producer", &rights::acl_line_of(Role::Producer, JIGGLER, Reach::InCluster));
    let operator =
        url_of_user(&cluster, "operator", &rights::acl_line_of(Role::Operator, JIGGLER, Reach::InCluster));
    let run = |url: &str, command: &[&str]| {
        let output = output_of(&[command, &["--redis-url", url]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?}: {error}");
    };
    let mut worker = launch(&url, &queues, &["-v", "--cores", "2"]);
    worker.wait_for_line(" working ");
    let mut client = Client::connect(&producer).unwrap();
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        client.enqueue(&job(queue)).unwrap();
        client.enqueue_in(Duration::from_millis(100), &job(queue)).unwrap();
        run(&producer, &["enqueue", "Fail", r#"["never"]"#, "--queue", queue]);
        wait_until("one has died", || dead(node, queue) == 1);
        node.push(queue, &[r#"{"name":"Sleep","args":[600],"jid":"cancelled"}"#]);
        wait_until("it is taken", || node.queue(queue).is_empty());
        // One that was fetched and has not started hears of nothing; one that has ended by now is said to be dead.
        wait_until("it is dead", || {
            let output = output_of(&["cancel", "cancelled", "--redis-url", &operator]);
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() || error.contains("it is in the dead set"), "{error}");
            dead(node, queue) == 2
        });
    }
    let mut pushed = 0;
    cluster.migrate(cluster.slot(&queues[0]), 0, 1, || {
        client.enqueue(&job(&queues[0])).unwrap();
        pushed += 1;
    });
    let target = &cluster.primaries[1];
    wait_until("what was pushed meanwhile has run", || processed(target, &queues[0]) == 4 + pushed);
    for command in [
        &["summary"][..],
        &["queues"],
        &["processes"],
        &["jobs", "dead"],
        &["top", "--once"],
        &["retry", "--all", "dead"],
        &["prune", "all", "--yes"],
        &["quiet", "--all"],
        &["stop", "--all"],
    ] {
        run(&operator, command);
    }
    assert_eq!(worker.wait_for_end().code(), Some(0));
    for node in &cluster.primaries {
        let log = node.run(&["ACL", "LOG"]);
        let mut denied: Vec<String> = log.as_array().unwrap().map(|entry| format!("{entry:?}")).collect();
        // A producer's table does not allow it to name its connections or to ask for the time, so it goes without.
        let optional = ["client|setname", "\"time\""];
        denied.retain(|entry| {
            !(entry.contains("producer") && optional.iter().any(|what| entry.contains(what)))
        });
        assert_eq!(denied, [""; 0]);
    }
    assert!(worker.lines("NOPERM").is_empty());
}

#[test]
fn a_worker_and_a_client_speak_tls_to_every_node() {
    let certificates = Certificates::make();
    let cluster = Cluster::start_over_tls(3, &certificates.server_flags("server", "no"));
    let queues = cluster.queues();
    let url = cluster.url_over_tls(&certificates.path("ca.pem"));
    let mut worker = launch(&url, &queues, &["-v"]);
    worker.wait_for_line(" working ");
    let mut client = Client::connect(&url).unwrap();
    for (node, queue) in cluster.primaries.iter().zip(&queues) {
        client.enqueue(&job(queue)).unwrap();
        let output = output_of(&["enqueue", "Noop", "--queue", queue, "--redis-url", &url]);
        assert!(output.status.success(), "{output:?}");
        wait_until("both have run", || processed(node, queue) == 2);
        // Nobody got in another way: the plain port is closed, and only the test itself uses the socket.
        assert!(node.clients("jiggler-uring:").iter().all(|line| !line.contains("redis.sock")));
    }
    let output = output_of(&["top", "--once", "--redis-url", &url]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("processed 6"), "{output:?}");
    let stranger = cluster.url_over_tls(&certificates.path("stranger.pem"));
    assert!(Client::connect(&stranger).unwrap_err().to_string().contains("--redis-ca-file"));
    worker.stop();
}
