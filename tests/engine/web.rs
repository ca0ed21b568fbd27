//! Metrics and probes over HTTP: what they say is what happened, those who may not read do not, and no client, however slow
//! or greedy, holds up the process or others.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::http::{ask, get};
use crate::harness::proxy::{Fate, Proxy};
use crate::harness::redis::{DEAD, SCHEDULED};
use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{Redis, Worker, command, config_file, json, output_of};
use crate::internal::limits::{WEB_CONNECTIONS_MAX, WEB_EXCHANGE_TIMEOUT};
use crate::own_jobs::example;

/// Any free port.
const ON_LOOPBACK: [&str; 2] = ["--web", "127.0.0.1:0"];

#[track_caller]
fn start(redis: &Redis, args: &[&str]) -> Worker {
    Worker::start(redis, &[&ON_LOOPBACK, args].concat())
}

/// The status of a probe and what it says.
#[track_caller]
fn probe(worker: &Worker, name: &str) -> (u16, serde_json::Value) {
    let answer = worker.get(&format!("/health/{name}"));
    (answer.status, json(&answer.body))
}

#[track_caller]
fn wait_for_probe(worker: &Worker, name: &str, status: u16, part: &str) {
    wait_until(&format!("{name} is {status}: {part}"), || {
        let (found, said) = probe(worker, name);
        found == status && said.to_string().contains(part)
    });
}

#[test]
fn jobs_are_counted_by_queue_class_and_outcome_as_they_ran() {
    let redis = Redis::start();
    let worker = start(&redis, &["-q", "default,slow", "--unknown", "fail", "--cores", "2"]);
    for _ in 0..40 {
        redis.push("default", &[r#"{"name":"Noop"}"#]);
    }
    redis.push("slow", &[r#"{"name":"Sleep","args":[0.3]}"#, r#"{"name":"Sleep","args":[0.01]}"#]);
    redis.push(
        "default",
        &[r#"{"name":"Fail","retries":3}"#, r#"{"name":"Fail"}"#, r#"{"name":"Nobody"}"#, "no job"],
    );
    wait_until("all have run", || redis.processed() == 45 && redis.count(DEAD) == 3);
    let jobs = |queue: &str, class: &str, outcome: &str| {
        let series = format!(r#"jiggler_jobs_total{{queue="{queue}",class="{class}",outcome="{outcome}"}}"#);
        worker.metric(&series)
    };
    wait_until("an answer is new", || jobs("default", "Noop", "done") == Some(40.0));
    wait_until("the slow job is counted", || jobs("slow", "Sleep", "done") == Some(2.0));
    for (class, outcome, expected) in [
        ("Fail", "retried", Some(1.0)),
        ("Fail", "dead", Some(1.0)),
        ("Fail", "done", Some(0.0)),
        ("other", "dead", Some(1.0)),
        ("other", "malformed", Some(1.0)),
        ("Noop", "dead", None),
    ] {
        assert_eq!(jobs("default", class, outcome), expected, "{class} {outcome}");
    }
    let runs = |part: &str| worker.metric(&format!("jiggler_job_run_seconds_{part}"));
    assert_eq!(runs(r#"count{queue="slow",class="Sleep"}"#), Some(2.0));
    assert_eq!(runs(r#"bucket{queue="slow",class="Sleep",le="0.25"}"#), Some(1.0));
    assert_eq!(runs(r#"bucket{queue="slow",class="Sleep",le="4"}"#), Some(2.0));
    let sum = runs(r#"sum{queue="slow",class="Sleep"}"#).unwrap();
    assert!((0.31..3.0).contains(&sum), "{sum}");
    let shards =
        |name: &str| [0, 1].map(|shard| worker.metric(&format!(r#"{name}{{shard="{shard}"}}"#)).unwrap());
    assert_eq!(shards("jiggler_shard_fetched_jobs_total").iter().sum::<f64>(), 46.0);
    assert_eq!(shards("jiggler_shard_slots").iter().sum::<f64>(), 20.0);
    assert!(shards("jiggler_shard_turns_total").iter().sum::<f64>() > 0.0);
    assert!(worker.metric("process_resident_memory_bytes").unwrap() > 1e6);
    assert_eq!(worker.metric(r#"jiggler_phase{phase="running"}"#), Some(1.0));
}

#[test]
fn a_cancelled_job_is_counted_as_one_with_the_time_it_ran() {
    let redis = Redis::start();
    let worker = start(&redis, &[]);
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"0d655a187e214821"}"#]);
    wait_until("it runs", || worker.metric(r#"jiggler_shard_running_jobs{shard="0"}"#) == Some(1.0));
    wait_until("somebody listens", || redis.clients(":cancel").len() == 1);
    assert!(output_of(&["cancel", "0d655a187e214821", "--redis-url", &redis.url()]).status.success());
    let series = r#"jiggler_jobs_total{queue="default",class="Sleep",outcome="cancelled"}"#;
    wait_until("it is counted", || worker.metric(series) == Some(1.0));
    assert_eq!(worker.metric(r#"jiggler_job_run_seconds_count{queue="default",class="Sleep"}"#), Some(1.0));
}

#[test]
fn both_formats_are_written_and_others_are_answered_in_one_of_them() {
    let redis = Redis::start();
    let worker = start(&redis, &[]);
    let with_accept = |accept: &str| {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        );
        ask(worker.web_address(), &request)
    };
    let open = with_accept("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(
        open.head.contains("application/openmetrics-text; version=1.0.0") && open.body.ends_with("# EOF\n")
    );
    assert!(open.body.contains("# TYPE jiggler_shard_turns counter\n"));
    let plain = with_accept("text/html");
    assert!(plain.head.contains("text/plain; version=0.0.4") && !plain.body.contains("# EOF"));
    assert!(plain.body.contains("# TYPE jiggler_shard_turns_total counter\n"));
}

#[test]
fn the_fleet_is_shown_where_it_is_asked_for_and_by_a_server_alone() {
    let redis = Redis::start();
    let worker = start(&redis, &["-q", "default"]);
    redis.push("elsewhere", &["a", "b", "c"]);
    redis.run(&["ZADD", SCHEDULED, "4000000000.5", "x"]);
    wait_until("the heartbeat is written", || !redis.keys("jiggler:svr:*").is_empty());
    let alone = Worker::spawn(command(Path::new(env!("CARGO_BIN_EXE_jiggler-uring"))).args([
        "web",
        "--web",
        "127.0.0.1:0",
        "--redis-url",
        &redis.url(),
    ]));
    assert!(!worker.get("/metrics").body.contains("jiggler_fleet"));
    for pause in [["queue", "elsewhere"], ["class", "Noop"]] {
        assert!(output_of(&["pause", pause[0], pause[1], "--redis-url", &redis.url()]).status.success());
    }
    for body in [worker.get("/metrics?fleet=1").body, alone.get("/metrics").body] {
        for line in [
            r#"jiggler_fleet_queue_jobs{queue="elsewhere"} 3.0"#,
            r#"jiggler_fleet_paused{what="queue",name="elsewhere"} 1.0"#,
            r#"jiggler_fleet_paused{what="class",name="Noop"} 1.0"#,
            r#"jiggler_fleet_processes{phase="running"} 1.0"#,
            "jiggler_fleet_up 1.0",
            r#"jiggler_fleet_next_due_timestamp_seconds{set="scheduled"} 4000000000.5"#,
            "jiggler_fleet_slots 10.0",
        ] {
            assert!(body.lines().any(|found| found == line), "{line} is not in\n{body}");
        }
        assert!(body.contains(r#"jiggler_fleet_queue_oldest_seconds{queue="elsewhere"} "#), "{body}");
    }
    assert!(!alone.get("/metrics").body.contains("jiggler_shard"));
    assert_eq!((alone.get("/health/live").status, alone.get("/health/ready").status), (200, 200));
    let mut alone = alone;
    alone.stop();
}

#[test]
fn a_server_alone_is_not_ready_while_redis_is_away_and_says_so() {
    let mut redis = Redis::start_durable();
    let mut alone = Worker::spawn(command(Path::new(env!("CARGO_BIN_EXE_jiggler-uring"))).args([
        "web",
        "--web",
        "127.0.0.1:0",
        "--redis-url",
        &redis.url(),
    ]));
    assert_eq!(alone.get("/health/ready").status, 200);
    redis.kill();
    wait_for_probe(&alone, "ready", 503, "failing");
    assert_eq!(alone.get("/health/live").status, 200);
    let body = alone.get("/metrics").body;
    assert!(body.contains("\njiggler_fleet_up 0.0\n"), "{body}");
    redis.start_again();
    wait_for_probe(&alone, "ready", 200, "ok");
    alone.stop();
}

#[test]
fn probes_follow_the_life_of_the_process() {
    let redis = Redis::start();
    let mut worker = start(&redis, &["-t", "30"]);
    for name in ["live", "ready", "startup"] {
        wait_for_probe(&worker, name, 200, r#""reasons":[]"#);
    }
    redis.push("default", &[r#"{"name":"Sleep","args":[6]}"#]);
    wait_until("it runs", || worker.metric(r#"jiggler_shard_running_jobs{shard="0"}"#) == Some(1.0));
    worker.signal("TSTP");
    wait_for_probe(&worker, "ready", 503, "it is quiet");
    assert_eq!((probe(&worker, "live").0, probe(&worker, "startup").0), (200, 200));
    worker.signal("TERM");
    // The drain is still to be seen: the server ends last.
    wait_for_probe(&worker, "ready", 503, "it stops");
    assert_eq!(probe(&worker, "live").0, 200);
    assert_eq!(worker.wait_for_end().code(), Some(0));
}

#[test]
fn a_process_that_cannot_write_its_first_lease_has_not_started() {
    let redis = Redis::start();
    let of_control = |bytes: &[u8]| bytes.windows(8).any(|word| word == b":control");
    let fate = move |bytes: &[u8]| if of_control(bytes) { Fate::LoseRequest } else { Fate::Arrive };
    let proxy = Proxy::start(redis.socket(), fate);
    let worker = Worker::launch(&proxy.url(), &ON_LOOPBACK);
    wait_for_probe(&worker, "startup", 503, "not written yet");
    wait_for_probe(&worker, "ready", 503, "it has not started yet");
    assert_eq!(probe(&worker, "live").0, 200);
}

#[test]
fn a_handler_that_holds_its_core_is_named_and_counters_do_not_go_back_meanwhile() {
    let redis = Redis::start();
    let args = [&ON_LOOPBACK[..], &["-t", "30"]].concat();
    let worker = Worker::launch_program(&example("misbehaving_jobs"), &redis.url(), &args);
    redis.push("default", &[r#"{"name":"Count","args":[1]}"#]);
    let series = r#"jiggler_jobs_total{queue="default",class="Count",outcome="done"}"#;
    wait_until("a job is counted", || worker.metric(series) == Some(1.0));
    redis.push("default", &[r#"{"name":"KeepCore","args":[15],"jid":"0d655a187e214821"}"#]);
    let (_, said) =
        wait_for("the probe fails", || Some(probe(&worker, "live")).filter(|found| found.0 == 503));
    let reason = said["reasons"][0].as_str().unwrap();
    assert!(reason.contains("shard 0 has not turned for"), "{reason}");
    assert!(reason.contains("job KeepCore (jid 0d655a187e214821) holds its core"), "{reason}");
    assert_eq!(worker.metric(series), Some(1.0), "what the shard said last is shown");
    assert!(worker.metric(r#"jiggler_shard_idle_seconds{shard="0"}"#).unwrap() >= 5.0);
    // The lease goes on.
    assert!(worker.metric("jiggler_lease_age_seconds").unwrap() < 15.0);
    wait_for_probe(&worker, "live", 200, "ok");
}

#[test]
fn an_outage_takes_readiness_and_not_life_and_is_counted() {
    let mut redis = Redis::start_durable();
    let worker = start(&redis, &[]);
    wait_for_probe(&worker, "ready", 200, "ok");
    redis.kill();
    wait_for_probe(&worker, "ready", 503, "shard 0 without redis for");
    assert_eq!(probe(&worker, "live").0, 200);
    assert!(worker.metric(r#"jiggler_shard_outage_seconds{shard="0"}"#).unwrap() > 0.0);
    redis.start_again();
    wait_for_probe(&worker, "ready", 200, "ok");
    assert_eq!(worker.metric(r#"jiggler_shard_outages_total{shard="0"}"#), Some(1.0));
    wait_until("an answer is new", || {
        worker.metric(r#"jiggler_shard_outage_seconds{shard="0"}"#) == Some(0.0)
    });
}

#[track_caller]
fn signal(redis: &Redis, name: &str) {
    let order = format!("kill -s {name} {}", redis.pid());
    assert!(std::process::Command::new("sh").args(["-c", &order]).status().unwrap().success());
}

/// An idle worker would learn of it from its next lease, 10 s after that: a probe asks.
#[test]
fn a_redis_that_hangs_takes_readiness_within_seconds_of_being_asked_for() {
    let redis = Redis::start();
    let worker = start(&redis, &[]);
    wait_for_probe(&worker, "ready", 200, "ok");
    signal(&redis, "STOP");
    let begun = Instant::now();
    wait_for_probe(&worker, "ready", 503, "redis has not answered a ping for 3.");
    let took = begun.elapsed();
    assert_eq!(probe(&worker, "live").0, 200);
    signal(&redis, "CONT");
    wait_for_probe(&worker, "ready", 200, "ok");
    assert!(took < Duration::from_secs(8), "it took {took:?}");
}

/// SIGSTOP: what the shards could not publish meanwhile says nothing about them.
#[test]
fn a_process_that_was_paused_is_alive_when_it_continues() {
    let redis = Redis::start();
    let worker = start(&redis, &[]);
    wait_for_probe(&worker, "live", 200, "ok");
    let address = worker.web_address();
    worker.signal("STOP");
    // Answered only when it continues: the probe waits in the kernel.
    let waiting = std::thread::spawn(move || get(address, "/health/live").status);
    let began = Instant::now();
    wait_until("its shard has been still for longer than a stall", || {
        began.elapsed() > Duration::from_secs(7)
    });
    worker.signal("CONT");
    assert_eq!(waiting.join().unwrap(), 200);
    assert_eq!(probe(&worker, "live").0, 200);
}

#[test]
fn a_public_address_is_refused_unless_readers_are_named_or_all_may() {
    let redis = Redis::start();
    let refused = |args: &[&str], part: &str| {
        let output = output_of(&[args, &["--redis-url", &redis.url()]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    };
    refused(&["--web", "0.0.0.0:0"], "give --web-auth FILE with users or tokens, or --web-open");
    refused(&["--web", "here"], "--web");
    let empty = config_file("# nobody\n");
    refused(&["--web", "0.0.0.0:0", "--web-auth", &empty.path()], "has neither a user");
    refused(&["--web", "0", "--web-auth", "/nonexistent"], "/nonexistent");
    let open = Worker::start(&redis, &["--web", "0.0.0.0:0", "--web-open"]);
    let port = open.web_address().port();
    assert_eq!(get(([127, 0, 0, 1], port).into(), "/metrics").status, 200);
}

#[test]
fn only_those_of_the_file_read_and_probes_say_no_more_than_whether() {
    const TOKEN: &str = "0f3b6c52a97e41d8";
    let redis = Redis::start();
    let file = config_file(&format!("{TOKEN}\n"));
    let worker = start(&redis, &["--web-auth", &file.path()]);
    let with = |path: &str, field: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{field}Connection: close\r\n\r\n");
        ask(worker.web_address(), &request)
    };
    let stranger = with("/metrics", "");
    assert_eq!(stranger.status, 401);
    assert!(stranger.head.to_lowercase().contains("www-authenticate: basic"), "{}", stranger.head);
    for wrong in ["Authorization: Bearer 0f3b6c52a97e41d9\r\n", "Authorization: Basic YTpi\r\n"] {
        assert_eq!(with("/metrics", wrong).status, 401, "{wrong}");
    }
    let known = with("/metrics", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(known.status, 200);
    assert!(!known.body.contains(TOKEN));
    worker.signal("TSTP");
    let reasons = || with("/health/ready", &format!("Authorization: Bearer {TOKEN}\r\n")).body;
    wait_until("it is quiet", || reasons().contains("it is quiet"));
    let stranger = with("/health/ready", "");
    assert_eq!(stranger.status, 503);
    assert!(!stranger.body.contains("quiet"), "strangers learn no reasons");
    assert!(worker.lines(TOKEN).is_empty());
}

#[test]
fn what_is_no_question_is_refused_in_a_word() {
    let redis = Redis::start();
    let worker = start(&redis, &[]);
    let address = worker.web_address();
    let check = |request: &str, status: u16| {
        let answer = ask(address, request);
        assert_eq!(answer.status, status, "{request}: {answer:?}");
    };
    check("GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404);
    check("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405);
    check("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n", 413);
    check("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421);
    check("nonsense\r\n\r\n", 400);
    check(&format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(20_000)), 431);
    let fields: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    check(&format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"), 431);
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(get(address, "/metrics").status, 200);
    assert!(get(address, "/").body.contains("/health/ready"));
}

/// More connections than the server keeps, none of which ends its request: others are served all the same, the lease is
/// renewed, and the slow ones are cut off.
#[test]
fn slow_and_greedy_clients_hold_up_nobody_and_are_cut_off() {
    let redis = Redis::start();
    let mut worker = start(&redis, &[]);
    let address = worker.web_address();
    let began = Instant::now();
    let mut slow: Vec<TcpStream> = Vec::new();
    for _ in 0..2 * WEB_CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: loc").unwrap();
        slow.push(stream);
    }
    for round in 0..20 {
        assert_eq!(get(address, "/metrics").status, 200, "round {round}");
        redis.push("default", &[r#"{"name":"Noop"}"#]);
    }
    wait_until("jobs run", || redis.processed() == 20);
    assert!(worker.metric("jiggler_lease_age_seconds").unwrap() < 10.0);
    // One that drips is cut off as well as one that is silent.
    let last = slow.last_mut().unwrap();
    last.set_nonblocking(true).unwrap();
    wait_until("a slow client is cut off", || {
        let wrote = last.write(b"a").is_err();
        let ended = match last.read(&mut [0; 64]) {
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        wrote || ended
    });
    assert!(began.elapsed() < 2 * WEB_EXCHANGE_TIMEOUT, "{:?}", began.elapsed());
    worker.stop();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let redis = Redis::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output_of(&["--web", &address, "--redis-url", &redis.url()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address) && said.contains("another process may listen there"), "{said}");
}
