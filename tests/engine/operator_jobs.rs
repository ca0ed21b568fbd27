//! What an operator does with jobs from the command line, using the real binary: what is shown and to whom, what is
//! moved and deleted, what is refused and with which exit status.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::redis::{DEAD, RETRIES, SCHEDULED};
use crate::harness::wait::wait_until;
use crate::harness::{Account, Redis, Worker, config_file, json, output_of};
use crate::poller::add;

/// Runs a command against a Redis, without a terminal.
fn run(redis: &Redis, args: &[&str]) -> Output {
    output_of(&[args, &["--redis-url", &redis.url()]].concat())
}

/// What it prints; it must succeed and print nothing else.
#[track_caller]
fn said(redis: &Redis, args: &[&str]) -> String {
    let output = run(redis, args);
    assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// It ends with this status, prints nothing, and reports these words.
#[track_caller]
fn check_failure(redis: &Redis, args: &[&str], status: i32, words: &[&str]) {
    let output = run(redis, args);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(status), &b""[..]), "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: `{word}` is missing in: {text}");
    }
}

/// The program with something on its standard input.
fn with_input(redis: &Redis, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_jiggler-uring")));
    command.args(args).args(["--redis-url", &redis.url()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn payload(name: &str, jid: &str, queue: &str) -> String {
    format!(r#"{{"name":"{name}","args":[1],"retries":0,"jid":"{jid}","queue":"{queue}"}}"#)
}

#[test]
fn every_command_says_in_its_help_what_it_does_and_how_it_ends() {
    for (command, words) in [
        ("queues", &["--json"][..]),
        ("jobs", &["--page", "--limit", "--oldest", "--name", "--jid", "--skip", "--examine", "--json"]),
        ("retry", &["--from", "--all", "--name"]),
        ("kill", &["--from", "--all", "--name", "--yes"]),
        ("delete", &["--from", "--queue", "--all", "--name", "--yes"]),
        ("prune", &["--yes", "processes", "failures"]),
        ("enqueue", &["--bulk", "--jid", "--at", "--member", "--ids"]),
        ("jobs", &["--class", "--error", "--older", "--group"]),
        ("show", &["--queue", "--examine", "--json"]),
        ("progress", &["--json"]),
    ] {
        let output = output_of(&[command, "--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}");
        for word in ["Examples:", "Exit status: 0", "--redis-url"].iter().chain(words) {
            assert!(text.contains(word), "{command}: {word} is missing in {text}");
        }
        assert!(String::from_utf8(output_of(&["--help"]).stdout).unwrap().contains(command), "{command}");
    }
}

#[test]
fn nonsense_is_refused_with_what_is_allowed() {
    let redis = Redis::start();
    for (args, words) in [
        (&["jobs"][..], &["<PLACE>"][..]),
        (&["jobs", "running"], &["queue, retries, scheduled, dead"]),
        (&["jobs", "queue"], &["<QUEUE>"]),
        (&["jobs", "queue", "escaped:\\xz"], &["escaped:"]),
        (&["jobs", "dead", "--limit", "0"], &["from 1 to 1000"]),
        (&["jobs", "dead", "other"], &["only `jobs queue` takes a name", "--help"]),
        (&["retry"], &["JID"]),
        (&["retry", "--all", "queues"], &["retries, scheduled, dead"]),
        (&["kill", "--all", "dead", "--yes"], &["retries or scheduled"]),
        (&["prune"], &["<WHAT>"]),
        (&["prune", "nothing"], &["processes, all"]),
        (&["enqueue"], &["NAME"]),
        (&["enqueue", "--bulk", "/nonexistent.jsonl"], &["/nonexistent.jsonl", "No such file"]),
    ] {
        check_failure(&redis, args, 2, words);
    }
}

#[test]
fn what_cannot_be_undone_needs_consent_where_nobody_can_be_asked() {
    let redis = Redis::start();
    add(&redis, DEAD, "4000000000", payload("N", "j", "img").as_bytes());
    add(&redis, RETRIES, "4000000000", payload("N", "r", "img").as_bytes());
    redis.push("img", &[payload("N", "q", "img")]);
    let before = redis.keys("*");
    for args in [
        &["delete", "j"][..],
        &["delete", "q", "--queue", "img"],
        &["delete", "--all", "dead"],
        &["kill", "--all", "retries"],
        &["prune", "all"],
        &["prune", "queue", "img"],
    ] {
        check_failure(&redis, args, 2, &["no terminal", "--yes"]);
    }
    assert_eq!((redis.keys("*"), redis.count(DEAD), redis.count(RETRIES)), (before, 1, 1));
    // Even before it looks for Redis.
    let output = output_of(&["prune", "all", "--redis-url", "unix:///nonexistent/redis.sock"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said(&redis, &["kill", "r"]), "moved job r (N) from the retry set to the dead set\n");
    assert_eq!(said(&redis, &["delete", "j", "--yes"]), "deleted job j (N) from the dead set\n");
    assert_eq!(said(&redis, &["prune", "queue", "img", "--yes"]), "deleted 1 job of queue img\n");
    assert_eq!(said(&redis, &["prune", "all", "--yes"]), "deleted 1 job of the dead set\n");
    assert_eq!(redis.keys("*"), [""; 0]);
}

#[test]
fn a_dead_job_that_is_retried_runs_and_a_missing_one_is_reported() {
    let redis = Redis::start();
    add(&redis, DEAD, "5", payload("Noop", "again", "img").as_bytes());
    add(&redis, SCHEDULED, "4000000000", payload("Noop", "later", "img").as_bytes());
    let mut worker = Worker::start(&redis, &["-q", "img"]);
    wait_until("it has a heartbeat", || redis.keys("jiggler:svr:*").len() == 1);
    assert_eq!(said(&redis, &["retry", "again"]), "moved job again (Noop) from the dead set to queue img\n");
    assert_eq!(
        said(&redis, &["retry", "later"]),
        "moved job later (Noop) from the scheduled set to queue img\n"
    );
    wait_until("both have run", || redis.processed() == 2);
    check_failure(
        &redis,
        &["retry", "again"],
        1,
        &["no job has the jid again", "the dead set (0 entries)", "cancel"],
    );
    worker.stop();
}

#[test]
fn a_running_job_is_left_alone_by_all_of_them() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"runs"}"#]);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("it runs", || redis.queue("default").is_empty());
    let runs = || Account::of(&redis).in_flight.contains("runs");
    assert!(runs());
    check_failure(&redis, &["delete", "runs", "--yes"], 1, &["cancel runs"]);
    check_failure(
        &redis,
        &["delete", "runs", "--queue", "default", "--yes"],
        1,
        &["queue default (0 entries)"],
    );
    said(&redis, &["prune", "all", "--yes"]);
    assert!(runs());
    assert_eq!(redis.keys("jiggler:svr:*").len(), 1, "the worker lives");
    worker.stop();
    assert_eq!(redis.queue("default").len(), 1, "the job is handed back");
}

#[test]
fn json_is_what_a_program_reads() {
    let redis = Redis::start();
    redis.push("img", &[payload("A", "1", "img"), payload("B", "2", "img"), "no job".to_owned()]);
    add(&redis, RETRIES, "4000000000.5", payload("A", "3", "img").as_bytes());
    let page = json(said(&redis, &["jobs", "queue", "img", "--json", "--limit", "2"]));
    assert_eq!((&page["total"], &page["next_skip"]), (&3.into(), &2.into()));
    assert_eq!(page["jobs"][0]["base64"], "bm8gam9i");
    assert_eq!(page["jobs"][1]["job"]["jid"], "2");
    let page = json(said(&redis, &["jobs", "retries", "--json", "--jid", "3"]));
    assert_eq!(
        (&page["jobs"][0]["score"], &page["jobs"][0]["queue"]),
        (&4_000_000_000.5.into(), &"img".into())
    );
    let queues = json(said(&redis, &["queues", "--json"]));
    assert_eq!(queues["queues"][0]["jobs"], 3);
    assert!(said(&redis, &["jobs", "queue", "img"]).contains("(no job: payload is not JSON"));
    assert!(said(&redis, &["queues"]).contains("nobody"));
}

#[test]
fn a_reader_that_goes_away_is_not_a_failure() {
    let redis = Redis::start();
    let jobs: Vec<String> = (0..1_000).map(|number| payload("N", &number.to_string(), "img")).collect();
    redis.push("img", &jobs);
    let program = env!("CARGO_BIN_EXE_jiggler-uring");
    for format in ["", "--json"] {
        // The status of the first program of the pipe, whose reader is gone before it writes.
        let line = format!(
            "( {program} jobs queue img --limit 1000 {format} --redis-url {}; echo $? >&2 ) | true",
            redis.url()
        );
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "0\n");
    }
}

#[test]
fn a_bulk_from_standard_input_is_pushed_up_to_the_first_bad_line() {
    let redis = Redis::start();
    let output = with_input(
        &redis,
        &["enqueue", "N", "--bulk", "-", "--queue", "img"],
        "[1]\n[2]\n{\"queue\":\"b\"}\n",
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"enqueued 3 jobs\n");
    assert_eq!((redis.queue("img").len(), redis.queue("b").len()), (2, 1));
    let output = with_input(&redis, &["enqueue", "--bulk", "-"], "{\"name\":\"N\"}\n\n{\"nam\":\"N\"}\n");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["standard input: line 3: unknown field `nam`", "`name`, `args`", "1 job was pushed"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(redis.queue("default").len(), 1);
    let output = with_input(&redis, &["enqueue", "--bulk", "-"], "[1]\n");
    assert_eq!(output.status.code(), Some(2), "nothing was pushed: {output:?}");
}

#[test]
fn a_configuration_file_says_how_many_the_dead_set_keeps() {
    let redis = Redis::start();
    for number in 0..5 {
        add(
            &redis,
            RETRIES,
            &(4_000_000_000_u64 + number).to_string(),
            payload("N", &number.to_string(), "img").as_bytes(),
        );
    }
    let file = config_file("max_dead_jobs: 3\n");
    let kill = ["kill", "--all", "retries", "--yes", "-C", &file.path()];
    let output = output_of(&[&kill[..], &["--redis-url", &redis.url()]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("keeps 3") && text.contains("--trim"), "{text}");
    assert_eq!((redis.count(DEAD), redis.count(RETRIES)), (0, 5));
    let text = said(&redis, &[&kill[..], &["--trim"]].concat());
    assert!(text.starts_with("moved 5 jobs from the retry set to the dead set\n"), "{text}");
    assert!(text.contains("trimmed 2 entries of the dead set"), "{text}");
    assert_eq!(redis.count(DEAD), 3);
}

/// The command used to trim by its own defaults: 10,000 entries.
#[test]
fn killing_a_job_deletes_no_entry_that_the_workers_keep() {
    let redis = Redis::start();
    let file = config_file("max_dead_jobs: 100000\n");
    let mut worker = Worker::start(&redis, &["-C", &file.path()]);
    wait_until("it has published its figures", || !redis.keys("jiggler:uring:process:*").is_empty());
    for first in (0..12_000).step_by(1_000) {
        let mut args = vec!["ZADD".to_owned(), DEAD.to_owned()];
        for number in first..first + 1_000 {
            args.extend([format!("{}", 1_000 + number), payload("Old", &number.to_string(), "img")]);
        }
        redis.run(&args);
    }
    add(&redis, RETRIES, "4000000000", payload("N", "j", "img").as_bytes());
    assert_eq!(said(&redis, &["kill", "j"]), "moved job j (N) from the retry set to the dead set\n");
    assert_eq!(redis.count(DEAD), 12_001);
    worker.stop();
}

#[test]
fn a_redis_that_is_away_is_a_failure_and_not_misuse() {
    let away = "unix:///nonexistent/redis.sock";
    for args in [&["jobs", "dead"][..], &["queues"], &["retry", "j"], &["prune", "all", "--yes"]] {
        let output = output_of(&[args, &["--redis-url", away]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains(away.trim_start_matches("unix://")));
    }
}

#[test]
fn one_job_is_shown_wherever_it_is_and_failures_are_counted() {
    let redis = Redis::start();
    // Without being asked, the process would say what it runs in an hour.
    let config = config_file("stats_interval: 3600\n");
    redis.push("default", &[r#"{"name":"Sleep","args":[60],"jid":"runs"}"#]);
    for number in 0..3 {
        let job = format!(r#"{{"name":"Fail","args":["item {number}"],"jid":"f{number}","tenant":"acme"}}"#);
        redis.push("default", &[job]);
    }
    redis.push("img", &[r#"{"name":"Noop","jid":"waits"}"#]);
    let worker = Worker::start(&redis, &["-C", &config.path(), "-c", "4"]);
    wait_until("all have failed", || redis.count(DEAD) == 3);
    wait_until("the process says what it runs", || {
        let output = run(&redis, &["show", "runs"]);
        String::from_utf8(output.stdout).unwrap().contains("Sleep in process")
    });
    let runs = said(&redis, &["show", "runs"]);
    for part in
        ["job           Sleep", "place         in flight", "queue         default", "args          [60]"]
    {
        assert!(runs.contains(part), "`{part}` is missing in: {runs}");
    }
    let runs = json(said(&redis, &["show", "runs", "--json"]).as_bytes());
    assert_eq!((&runs["place"], &runs["found"]["job"]["args"][0]), (&"in flight".into(), &60.into()));
    let dead = said(&redis, &["show", "f1"]);
    for part in [
        "place         the dead set",
        "args          [\"item 1\"]",
        "tenant        \"acme\"",
        "error  ",
        "died  ",
    ] {
        assert!(dead.contains(part), "`{part}` is missing in: {dead}");
    }
    let waits = json(said(&redis, &["show", "waits", "--json"]).as_bytes());
    assert_eq!((&waits["place"], &waits["found"]["queue"]), (&"queue".into(), &"img".into()));
    check_failure(&redis, &["show", "nobody"], 1, &["no job has the jid nobody", "queue img (1 of 1 entry"]);
    check_failure(&redis, &["progress", "runs"], 1, &["no progress"]);
    let groups = said(&redis, &["jobs", "dead", "--group"]);
    assert!(groups.contains("   3  Fail") && groups.contains("item #"), "{groups}");
    let found = said(&redis, &["jobs", "dead", "--error", "item 2", "--older", "0"]);
    assert!(
        found.contains("f2") && !found.contains("f1") && found.contains("1 found in 3 examined"),
        "{found}"
    );
    assert!(said(&redis, &["jobs", "dead", "--older", "1h"]).contains("0 found in 3 examined"));
    drop(worker);
}
