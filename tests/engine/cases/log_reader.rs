//! A stalled reader of standard error: the log waits for it, and nothing else does.
//!
//! The pipe is full before the worker starts, so that its first line blocks the thread that writes it.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::redis::DEAD;
use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{Account, Redis, Worker};

/// The capacity of a pipe on Linux.
const PIPE_BYTES: usize = 64 * 1024;

/// A stop timeout of 1 s, and the second allowed for the last lines; far below what waiting for the reader takes.
const SOON: Duration = Duration::from_secs(8);

/// A pipe that accepts nothing more until it is read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'\n'; PIPE_BYTES]).unwrap();
    (reader, writer)
}

fn worker_into(pipe: PipeWriter, redis: &Redis, args: &[&str]) -> Worker {
    Worker::launch_into(pipe.into(), &redis.url(), args)
}

/// When the lease expires, by Redis's clock.
fn lease_end(redis: &Redis) -> Option<f64> {
    let leases = redis.list(&["ZRANGE", "jiggler:uring:leases", "0", "0", "WITHSCORES"]);
    leases.get(1).map(|score| String::from_utf8_lossy(score).parse().unwrap())
}

#[test]
fn jobs_run_the_lease_is_renewed_and_a_stop_ends_while_nobody_reads_the_log() {
    let redis = Redis::start();
    let (_reader, writer) = full_pipe();
    Account::push(&redis, "default", 2_000);
    let mut worker = worker_into(writer, &redis, &["-v", "--cores", "2"]);
    wait_until("all jobs have run", || redis.count(DEAD) == 2_000);
    let first = wait_for("there is a lease", || lease_end(&redis));
    wait_until("it is renewed", || lease_end(&redis).is_some_and(|end| end > first));
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    wait_until("jobs still run", || redis.processed() > 0);
    let asked = Instant::now();
    worker.stop();
    assert!(asked.elapsed() < SOON, "the stop took {:?}", asked.elapsed());
}

#[test]
fn dropped_lines_are_counted_and_reported_when_the_log_is_read_again() {
    const JOBS: usize = 30_000;
    let redis = Redis::start();
    let (mut reader, writer) = full_pipe();
    Account::push(&redis, "default", JOBS);
    let mut worker = worker_into(writer, &redis, &["-v"]);
    wait_until("all jobs have run", || redis.failures() >= JOBS as u64);
    let reading = std::thread::spawn(move || {
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        log
    });
    worker.stop();
    let log = reading.join().unwrap();
    let told = log.lines().filter(|line| line.contains("log lines were dropped while the reader"));
    let dropped: usize =
        told.map(|line| line.rsplit_once("lines=").unwrap().1.trim().parse::<usize>().unwrap()).sum();
    let read = log.lines().filter(|line| line.contains("job failed")).count();
    assert!(dropped > 0 && read > 0, "{dropped} lines were dropped, {read} came through");
    assert!(read + dropped >= JOBS, "{read} lines of jobs came through, {dropped} were dropped");
    assert!(log.contains(" working "), "the first lines are kept");
    assert!(log.contains("stopped"), "the last lines are written");
}

#[test]
fn a_log_nobody_reads_changes_no_exit_code() {
    let (_reader, writer) = full_pipe();
    let mut worker = Worker::launch_into(writer.into(), "redis://127.0.0.1:1", &[]);
    assert_eq!(worker.wait_for_end().code(), Some(1));
}

#[test]
fn a_log_whose_reader_is_gone_stops_nothing() {
    let redis = Redis::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Account::push(&redis, "default", 100);
    let mut worker = worker_into(writer, &redis, &["-v"]);
    wait_until("all jobs have run", || redis.count(DEAD) == 100);
    worker.stop();
}

fn run_into(stdout: Stdio, redis: &Redis, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jiggler-uring"));
    command.args(args).args(["--redis-url", &redis.url()]);
    let output = command.stdout(stdout).stderr(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_full_disk_under_the_output_is_an_error_that_says_what_was_done() {
    let redis = Redis::start();
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let (status, said) = run_into(full(), &redis, &["enqueue", "Noop"]);
    let queue = redis.queue("default");
    let job: serde_json::Value = serde_json::from_str(&queue[0]).unwrap();
    let done = format!("done: enqueued Noop with jid {} in queue default", job["jid"].as_str().unwrap());
    assert!(status == Some(1) && said.contains(&done) && said.contains("No space left"), "{status:?} {said}");
    let (status, said) = run_into(full(), &redis, &["summary"]);
    assert!(status == Some(1) && said.contains("write the output: No space left"), "{status:?} {said}");
}

#[test]
fn a_reader_of_the_output_that_goes_away_ends_a_command_quietly() {
    let redis = Redis::start();
    Account::push(&redis, "default", 3_000);
    for args in [&["jobs", "queue", "default", "--limit", "1000"][..], &["summary"], &["man"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut args = args.to_vec();
        let url = redis.url();
        if args[0] != "man" && args[0] != "--help" {
            args.extend(["--redis-url", &url]);
        }
        let output = Command::new(env!("CARGO_BIN_EXE_jiggler-uring"))
            .args(&args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_flood_of_bad_payloads_costs_a_few_lines_and_a_total() {
    const BAD: usize = 5_000;
    let redis = Redis::start();
    let payloads: Vec<String> = (0..BAD).map(|number| format!("{{bad {number}")).collect();
    redis.push("default", &payloads);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("all are buried", || redis.count(DEAD) == BAD as i64);
    let sums = || worker.lines("a payload is not a job and goes to the dead set:");
    // While the worker runs, within the ten seconds of one span.
    wait_until("the rest is summed up", || !sums().is_empty());
    let lines = worker.lines("a payload is not a job and goes to the dead set");
    assert!(lines.len() < 50, "{} lines", lines.len());
    let more: usize =
        sums().iter().map(|sum| sum.rsplit_once("lines=").unwrap().1.parse::<usize>().unwrap()).sum();
    assert_eq!(lines.len() - sums().len() + more, BAD);
    assert!(sums()[0].contains(&format!("{more} more like it in 10 s")), "{:?}", sums());
    worker.stop();
}
