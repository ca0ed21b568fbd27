//! Processes are listed, made quiet and stopped from outside, through Redis alone; what each was asked and did is
//! reported truthfully.

use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json, output_of};

fn processes(redis: &Redis) -> Vec<serde_json::Value> {
    let output = output_of(&["processes", "--json", "--redis-url", &redis.url()]);
    assert!(output.status.success(), "{output:?}");
    json(&output.stdout)["processes"].as_array().unwrap().clone()
}

/// Runs a command until the process receives it: its subscription comes after its first heartbeat.
#[track_caller]
fn steer(redis: &Redis, args: &[&str]) -> (Option<i32>, String) {
    wait_until("the processes listen", || redis.clients(":cancel").len() == processes(redis).len());
    let output = output_of(&[args, &["--redis-url", &redis.url()]].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_process_is_listed_with_what_it_runs() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 1\n");
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"0d655a187e214821"}"#]);
    let worker = Worker::start(&redis, &["-C", &config.path(), "-c", "3"]);
    wait_until("it names its job", || {
        processes(&redis).first().is_some_and(|process| process["jobs"][0]["jid"] == "0d655a187e214821")
    });
    let process = processes(&redis).remove(0);
    assert_eq!((&process["engine"], &process["phase"]), (&"jiggler-uring".into(), &"running".into()));
    assert_eq!((&process["busy"], &process["concurrency"]), (&1.into(), &3.into()));
    assert_eq!((&process["pid"], &process["jobs"][0]["name"]), (&worker.pid().into(), &"Sleep".into()));
    assert_eq!((&process["shards"][0]["slots"], &process["ok"]), (&3.into(), &true.into()));
    // What runs is not rewritten while it keeps running: its start stays what it was.
    let since = process["jobs"][0]["since"].as_f64().unwrap();
    let beat = process["heartbeat"].as_f64().unwrap();
    wait_until("another heartbeat", || processes(&redis)[0]["heartbeat"].as_f64().unwrap() > beat);
    assert_eq!(processes(&redis)[0]["jobs"][0]["since"].as_f64().unwrap(), since);
    let table = output_of(&["processes", "--redis-url", &redis.url()]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains(&redis.uuid()) && table.contains("1/3"), "{table}");
    let top = output_of(&["top", "--redis-url", &redis.url(), "--interval", "0.1"]);
    let top = String::from_utf8(top.stdout).unwrap();
    assert!(top.contains("processes 1  busy 1/3") && top.contains("0d655a187e214821"), "{top}");
}

/// With an hour between two heartbeats, only being watched makes a process report.
#[test]
fn a_process_that_is_watched_reports_every_second_and_no_longer_when_nobody_watches() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 3600\n");
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-t", "1"]);
    wait_until("it listens", || redis.clients(":cancel").len() == 1);
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"0d655a187e214821"}"#]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    assert_eq!(processes(&redis)[0]["jobs"].as_array().unwrap().len(), 0, "nobody watches");
    let top = || {
        let output = output_of(&["top", "--once", "--redis-url", &redis.url()]);
        String::from_utf8(output.stdout).unwrap()
    };
    wait_until("top shows the job", || {
        let shown = top();
        shown.contains("0d655a187e214821") && shown.contains("reports up to ")
    });
    let heartbeat = || processes(&redis)[0]["heartbeat"].as_f64().unwrap();
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    wait_until("it reports no more", || now() - heartbeat() > 5.0);
    assert!(worker.lines("unknown request").is_empty());
    worker.stop();
}

#[test]
fn a_process_becomes_quiet_when_asked_and_says_so() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &[]);
    let uuid = redis.uuid();
    let (code, said) = steer(&redis, &["quiet", &uuid[..6]]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("asked to take no more jobs") && said.contains(&format!("{uuid} is quiet")),
        "{said}"
    );
    assert_eq!(processes(&redis)[0]["phase"], "quiet");
    wait_until("it no longer waits for jobs", || redis.waiting() == 0);
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    // A second time changes nothing.
    assert_eq!(steer(&redis, &["quiet", "--all"]).0, Some(0));
    assert_eq!((redis.queue("default").len(), redis.processed()), (1, 0));
    assert_eq!(worker.lines("asked from outside").len(), 1);
    worker.stop();
}

#[test]
fn a_process_stops_as_on_a_signal_and_hands_its_jobs_back() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"s"}"#]);
    let mut worker = Worker::start(&redis, &["-t", "1"]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    let (code, said) = steer(&redis, &["stop", &redis.uuid()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("it waits up to 1 s") && said.contains("has left"), "{said}");
    assert_eq!(worker.wait_for_end().code(), Some(0));
    assert_eq!(redis.queue("default"), [r#"{"name":"Sleep","args":[60],"jid":"s"}"#]);
}

#[test]
fn an_immediate_stop_does_not_wait_and_a_repeated_stop_is_not_immediate() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Sleep","args":[60]}"#]);
    let mut worker = Worker::start(&redis, &["-t", "3000"]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    let uuid = redis.uuid();
    assert_eq!(steer(&redis, &["stop", &uuid, "--no-wait"]).0, Some(0));
    worker.wait_for_line("stopping");
    assert_eq!(steer(&redis, &["stop", &uuid, "--no-wait"]).0, Some(0));
    wait_until("it says that it stops", || processes(&redis)[0]["phase"] == "stopping");
    assert!(worker.is_running() && worker.lines("second signal:").is_empty());
    assert_eq!(steer(&redis, &["stop", &uuid, "--now"]).0, Some(0));
    assert_eq!(worker.wait_for_end().code(), Some(0));
    assert_eq!(redis.queue("default").len(), 1);
}

#[test]
fn an_unknown_request_is_logged_and_a_process_that_receives_none_is_named_with_its_signal() {
    let redis = Redis::start();
    let worker = Worker::start(&redis, &[]);
    let uuid = redis.uuid();
    wait_until("it listens", || {
        redis.integer(&["PUBLISH", &format!("jiggler:uring:steer:0:{uuid}"), "dance"]) == 1
    });
    worker.wait_for_line("unknown request on the steering channel");
    // A Ruby server alongside it.
    let value = r#"{"heartbeat":1.5,"rss":1,"current_jobs":{}}"#;
    redis.run(&["SET", "jiggler:svr:00c0ffee0000:3:25:default:1:1795299901:8066:ruby-host", value]);
    let output = output_of(&["quiet", "--all", "--redis-url", &redis.url()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("run `kill -TSTP 8066` on ruby-host"), "{said}");
    assert!(said.contains(&format!("{uuid} is quiet")), "{said}");
    let output = output_of(&["stop", "ffff", "--redis-url", &redis.url()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
