//! Jobs that take their time, with `examples/long_jobs.rs`: timeouts, cancellation from outside, stalls, jobs pushed
//! from inside a job, progress, middleware and teardown.

use std::path::Path;

use jiggler_uring::Client;
use jiggler_uring::TraceContext;

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{Redis, Worker, json, output_of};

#[track_caller]
fn start(redis: &Redis, args: &[&str]) -> Worker {
    // The examples are next to the program; `cargo test` builds both.
    let example = Path::new(env!("CARGO_BIN_EXE_jiggler-uring")).with_file_name("examples/long_jobs");
    assert!(example.exists(), "{} is not built: cargo build --examples", example.display());
    let worker = Worker::launch_program(&example, &redis.url(), args);
    worker.wait_for_line(" working ");
    worker
}

/// The jobs of a set by their jids, with class and message of their errors.
fn errors(redis: &Redis, set: &str) -> Vec<(String, String, String)> {
    let text = |job: &serde_json::Value, member: &str| job[member].as_str().unwrap().to_owned();
    let entry = |(payload, _): (String, f64)| {
        let job = json(payload);
        (text(&job, "jid"), text(&job, "error_class"), text(&job, "error_message"))
    };
    redis.set(set).into_iter().map(entry).collect()
}

fn texts(entry: (&str, &str, &str)) -> (String, String, String) {
    (entry.0.to_owned(), entry.1.to_owned(), entry.2.to_owned())
}

#[test]
fn a_job_beyond_its_timeout_is_ended_and_fails_like_any_other() {
    let redis = Redis::start();
    redis.push(
        "default",
        &[
            r#"{"name":"Fetch","args":[60],"retries":1,"jid":"slow"}"#,
            r#"{"name":"Fetch","args":[60],"jid":"last"}"#,
            r#"{"name":"Fetch","args":[0.001],"jid":"quick"}"#,
        ],
    );
    // One slot: a job that kept it would block everything.
    let mut worker = start(&redis, &["-c", "1"]);
    wait_until("all have ended", || redis.processed() == 3);
    let message = "it ran for longer than its timeout of 200ms";
    assert_eq!(errors(&redis, RETRIES), [texts(("slow", "JigglerUring::Timeout", message))]);
    assert_eq!(errors(&redis, DEAD), [texts(("last", "JigglerUring::Timeout", message))]);
    assert_eq!(redis.failures(), 2);
    worker.stop();
    assert_eq!(redis.keys("*list*"), [""; 0]);
}

#[test]
fn a_running_job_is_cancelled_by_its_jid_and_no_other() {
    let redis = Redis::start();
    let watch = |jid: &str| format!(r#"{{"name":"Watch","args":[],"retries":5,"jid":"{jid}"}}"#);
    redis.push("default", &[watch("w1"), watch("w2"), watch("w2"), watch("w3")]);
    let mut worker = start(&redis, &["-c", "3"]);
    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    wait_until("they run", || {
        ["w1", "w2"].iter().all(|jid| client.progress(jid).unwrap().is_some_and(|at| at.note == "watching"))
    });
    wait_until("the process listens", || client.cancel("nobody's").unwrap() == 1);
    assert_eq!((redis.count(DEAD), client.progress("w3").unwrap()), (0, None), "w3 has no slot yet");
    let said = output_of(&["cancel", "w2", "--redis-url", &redis.url()]);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "asked 1 worker to end job w2, if it runs there\n");
    wait_until("both of that jid are dead", || redis.count(DEAD) == 2);
    let cancelled = texts(("w2", "JigglerUring::Cancelled", "it was cancelled while it ran"));
    assert_eq!(errors(&redis, DEAD), [cancelled.clone(), cancelled]);
    // Their slots are free.
    wait_until("the next runs", || client.progress("w3").unwrap().is_some());
    assert_eq!((redis.failures(), redis.count(RETRIES)), (2, 0));
    worker.stop();
    let left: Vec<_> = redis.queue("default").iter().map(|job| json(job)["jid"].to_string()).collect();
    assert_eq!(left, [r#""w1""#, r#""w3""#], "a stop hands the others back");
}

/// Channels belong to the whole server, whichever database a connection has selected.
#[test]
fn a_cancellation_and_an_order_reach_only_the_processes_of_their_database() {
    let redis = Redis::start();
    let url = format!("{}/1", redis.tcp_url());
    let mut worker = Worker::launch(&url, &[]);
    let mut client = Client::connect(&url).unwrap();
    wait_until("the process listens", || client.cancel("nobody's").unwrap() == 1);
    let said = output_of(&["cancel", "j", "--redis-url", &redis.tcp_url()]);
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.code() == Some(1) && error.contains("no worker listens"), "{error}");
    let said = output_of(&["stop", "--all", "--redis-url", &redis.tcp_url()]);
    assert_eq!(said.status.code(), Some(1));
    assert!(worker.is_running());
    worker.stop();
}

#[test]
fn a_job_that_asks_learns_of_a_stop_and_can_run_again_later() {
    let redis = Redis::start();
    let crawl = r#"{"name":"Crawl","args":[1],"jid":"c"}"#;
    redis.push("default", &[crawl]);
    // Far longer than the job takes to notice.
    let mut worker = start(&redis, &["-t", "300"]);
    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    wait_until("it runs", || client.progress("c").unwrap().is_some());
    worker.stop();
    let (payload, _) = redis.set(RETRIES).remove(0);
    assert!(payload.starts_with(crawl.strip_suffix('}').unwrap()), "{payload}");
    assert_eq!(json(&payload).get("attempt"), None, "it did not fail");
    assert_eq!((redis.processed(), redis.keys("*list*")), (0, vec![]));
}

/// A lost connection is replaced; then cancellations are received again.
#[test]
fn cancellations_arrive_again_after_redis_closed_every_connection() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Watch","jid":"w"}"#]);
    let _worker = start(&redis, &[]);
    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    wait_until("the process listens", || client.cancel("nobody's").unwrap() == 1);
    redis.run(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    wait_until("it runs", || client.progress("w").unwrap().is_some());
    wait_until("the job is cancelled", || {
        client.cancel("w").unwrap();
        redis.count(DEAD) == 1
    });
}

#[test]
fn a_job_that_never_yields_is_named_while_the_lease_is_kept() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Compute","args":[60],"jid":"0d655a187e214821"}"#]);
    let mut worker = start(&redis, &["-c", "2"]);
    let stalls = || worker.lines("a job holds up its core");
    let line = wait_for("the stall is reported", || stalls().pop());
    for part in ["shard=0", "name=\"Compute\"", "jid=\"0d655a187e214821\"", "milliseconds="] {
        assert!(line.contains(part), "{part} is missing in: {line}");
    }
    let milliseconds: u64 = line.rsplit_once("milliseconds=").unwrap().1.trim().parse().unwrap();
    assert!((1_000..60_000).contains(&milliseconds), "{line}");
    let lease = || redis.set("jiggler:uring:leases")[0].1;
    let before = lease();
    wait_until("the lease is renewed", || lease() > before);
    wait_until("it is reported again", || stalls().len() > 1);
    assert_eq!(redis.processed(), 0, "the stall continues");
    worker.kill();
}

#[test]
fn a_job_that_yields_while_it_computes_lets_others_run_and_is_not_a_stall() {
    // A machine that is busy with others can hold a core up, too: not each time.
    let clean = (0..3).any(|_| stalls_while_it_yields().is_empty());
    assert!(clean, "it was a stall three times");
}

/// What the log says of stalls while a job computes and yields.
fn stalls_while_it_yields() -> Vec<String> {
    let redis = Redis::start();
    redis.push(
        "default",
        &[
            r#"{"name":"Compute","args":[3,"polite"],"jid":"polite"}"#,
            r#"{"name":"Fetch","args":[0.001],"jid":"quick"}"#,
        ],
    );
    let worker = start(&redis, &["-c", "2"]);
    wait_until("the quick one has run", || redis.processed() >= 1);
    assert_eq!(redis.processed(), 1, "while the other computes");
    wait_until("both have run", || redis.processed() == 2);
    worker.lines("holds up its core")
}

#[test]
fn a_job_pushes_jobs_of_its_trace_and_reports_its_progress() {
    let redis = Redis::start();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let import = format!(r#"{{"name":"Import","args":["a.csv",3],"jid":"i","traceparent":"{trace}"}}"#);
    redis.push("default", &[&*import, r#"{"name":"Import","args":["b.csv",2000],"jid":"j"}"#]);
    let mut worker = start(&redis, &["-q", "default"]);
    wait_until("they have run", || redis.processed() == 2);
    let mut client = Client::connect(&redis.tcp_url()).unwrap();
    let progress = wait_for("all is done", || client.progress("j").unwrap().filter(|at| at.done == 2000));
    assert_eq!((progress.total, &*progress.note), (2000, "b.csv"));
    assert!(redis.integer(&["TTL", "jiggler:uring:progress:i"]) > 3_500);

    let rows = redis.queue("rows");
    assert_eq!(rows.len(), 2003);
    let given: TraceContext = trace.parse().unwrap();
    let of = |file: &str| -> Vec<_> {
        rows.iter().map(json).filter(|row| row["args"][0] == file).collect::<Vec<serde_json::Value>>()
    };
    let (traced, plain) = (of("a.csv"), of("b.csv"));
    for (number, row) in traced.iter().enumerate() {
        assert_eq!(
            (&row["args"][1], &row["args"][2], &row["retries"]),
            (&number.into(), &().into(), &2.into())
        );
        let caused: TraceContext = row["traceparent"].as_str().unwrap().parse().unwrap();
        assert_eq!(caused.trace_id, given.trace_id);
        assert_ne!(caused.span_id, given.span_id, "the run has its own span");
        assert_eq!(row["traceparent"], traced[0]["traceparent"], "and one span");
    }
    assert!(plain.iter().enumerate().all(|(number, row)| row["args"][1] == number), "in their order");
    assert_eq!(plain[0].get("traceparent"), None);
    assert_eq!(redis.clients(":client").len(), 1, "one connection per core");
    worker.stop();

    // Only now does anyone serve them.
    let mut worker = start(&redis, &["-q", "rows"]);
    wait_until("the rows are imported", || redis.processed() == 2005);
    worker.stop();
    assert_eq!((redis.failures(), redis.keys("*list*")), (0, vec![]));
}

/// Members unknown here survive a retry, including the trace.
#[test]
fn a_failed_job_stays_in_its_trace() {
    let redis = Redis::start();
    let job = r#"{"name":"ImportRow","args":["",7],"retries":1,"jid":"r","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}"#;
    redis.push("default", &[job]);
    let _worker = start(&redis, &[]);
    wait_until("the job waits for its retry", || redis.count(RETRIES) == 1);
    let payload = redis.set(RETRIES).remove(0).0;
    assert!(payload.starts_with(job.strip_suffix('}').unwrap()), "{payload}");
    assert_eq!(json(&payload)["error_message"], "row 7 of nothing");
}

#[test]
fn middleware_wraps_every_job_and_a_state_is_torn_down_once_its_jobs_have_ended() {
    let redis = Redis::start();
    redis.push(
        "default",
        &[
            r#"{"name":"Add","args":[1,2,3],"jid":"a"}"#,
            r#"{"name":"Add","args":[],"jid":"n"}"#,
            r#"{"name":"Add","args":[1,"x"],"jid":"b"}"#,
            r#"{"name":"Fetch","args":[0.001],"jid":"f","tenant":"broke","retries":9}"#,
            r#"{"name":"ImportRow","args":["f",1,null,4],"retries":0,"jid":"s"}"#,
        ],
    );
    let mut worker = start(&redis, &["-v"]);
    wait_until("all have run", || redis.processed() == 5);
    let mut dead = errors(&redis, DEAD);
    dead.sort();
    let bad = "JigglerUring::BadArguments";
    assert_eq!(
        dead,
        [
            texts(("b", bad, "Add: argument 2: expected u64, got a string")),
            texts(("f", "PaymentRequired", "this tenant has not paid")),
            texts(("s", bad, "ImportRow: too many arguments: expected at most 3, got 4")),
        ]
    );
    let discarded = |text: &str| worker.lines("job discarded").iter().any(|line| line.contains(text));
    wait_until("the sums are logged", || discarded("Sum: 6 (on core 0)") && discarded("Sum: 0 (on core 0)"));
    // It names its job by itself, and not the refused one.
    assert_eq!(worker.lines("ran name=\"Fetch\""), [""; 0]);
    let ran = worker.lines("ran name=\"Add\"");
    let named = ran.iter().filter(|line| line.ends_with("job=\"Add\" jid=\"a\" queue=\"default\""));
    assert_eq!(named.count(), 1, "{ran:?}");
    assert_eq!(worker.lines("tearing down the state"), [""; 0]);
    worker.stop();
    let line = worker.lines("tearing down the state").remove(0);
    assert!(line.contains("core=0 runs=5"), "{line}");
}
