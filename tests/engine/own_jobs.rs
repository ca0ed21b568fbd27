//! A worker program with its own jobs, started as a process: state per core, optional arguments, and panics, each of
//! which ends its job and nothing else.

use std::path::PathBuf;
use std::process::Stdio;

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, command, json};

/// An example program, which cargo builds with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(program.exists(), "{} is missing: cargo build --example {name}", program.display());
    program
}

#[test]
fn a_panic_anywhere_ends_its_job_and_nothing_else() {
    let redis = Redis::start();
    let panics = ["PanicAtOnce", "PanicAfterAwait", "PanicInArgument", "PanicInDrop", "PanicAside"];
    let texts = ["at once", "after an await", "in an argument", "in a drop", "on a companion"];
    for round in 0..3 {
        for name in panics {
            let args = if name == "PanicInArgument" { "[1]" } else { "[]" };
            redis.push(
                "default",
                &[
                    format!(r#"{{"name":"{name}","args":{args},"jid":"{name}{round}"}}"#),
                    r#"{"name":"Count","args":[1],"jid":"c"}"#.to_owned(),
                ],
            );
        }
    }
    // One slot: a slot that a panic kept would block everything.
    let mut worker = Worker::launch_program(&example("misbehaving_jobs"), &redis.url(), &["-c", "1"]);
    wait_until("all have run", || redis.processed() == 30);
    assert_eq!((redis.failures(), redis.count(DEAD)), (15, 15));
    for (payload, _) in redis.set(DEAD) {
        let job = json(&payload);
        assert_eq!(job["error_class"], "JigglerUring::Panic", "{payload}");
        let which = panics.iter().position(|name| job["name"] == *name).unwrap();
        assert!(job["error_message"].as_str().unwrap().contains(texts[which]), "{payload}");
    }
    // The core's state has outlived them.
    redis.push("default", &[r#"{"name":"Count","args":[0,"so far"],"retries":1}"#]);
    wait_until("the count is reported", || redis.count(RETRIES) == 1);
    assert_eq!(json(&redis.set(RETRIES)[0].0)["error_message"], "so far 15");
    worker.stop();
    assert_eq!(redis.keys("*list*"), [""; 0]);
}

#[test]
fn a_registry_with_a_mistake_ends_the_worker_before_it_works_and_the_line_is_named() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Count","args":[1],"jid":"c"}"#]);
    let table = [
        ("twice", 2, "has a mistake: job Count is registered twice (examples/misbehaving_jobs.rs:"),
        ("failure", 1, "cannot be built: RuntimeError: no database"),
    ];
    for (mistake, code, text) in table {
        let variables = [("MISTAKE", mistake)];
        let mut worker = Worker::launch_with(&example("misbehaving_jobs"), &redis.url(), &[], &variables);
        assert_eq!(worker.wait_for_end().code(), Some(code), "{mistake}");
        worker.wait_for_line(text);
        for other in ["working", "left in flight", "redis could not be reached"] {
            assert_eq!(worker.lines(other), [""; 0], "{mistake}");
        }
        assert_eq!(redis.queue("default").len(), 1);
    }
}

#[test]
fn a_program_speaks_of_itself_and_its_deployment_is_told_apart() {
    let said = |args: &[&str]| {
        let output = command(&example("own_jobs")).args(args).stdout(Stdio::piped()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let version = said(&["--version"]);
    assert!(version.starts_with("own_jobs 0.1.0 (jiggler-uring 0.1.0"), "{version}");
    assert!(said(&["--help"]).contains("  own_jobs enqueue Sleep '[0.5]' --count 10"));
    assert!(said(&["enqueue", "--help"]).contains("  own_jobs enqueue Noop"));
    assert!(said(&["retry", "--help"]).contains("Usage: own_jobs retry [OPTIONS] <JID>"));

    let redis = Redis::start();
    let mut worker = Worker::launch_program(&example("own_jobs"), &redis.url(), &["--tag", "3f2a1c9"]);
    worker.wait_for_line("tag=\"3f2a1c9\"");
    assert!(worker.lines("working")[0].contains("own_jobs 0.1.0"));
    let processes = || said(&["processes", "--json", "--redis-url", &redis.url()]);
    wait_until("the process is shown", || json(processes())["processes"][0]["tag"] == "3f2a1c9");
    assert_eq!(json(processes())["processes"][0]["program"], "own_jobs 0.1.0");
    assert!(said(&["processes", "--redis-url", &redis.url()]).contains("own_jobs 0.1.0 3f2a1c9"));
    worker.stop();
    let args = ["stop", "0123456789ab", "--redis-url", &redis.url()];
    let error = String::from_utf8(command(&example("own_jobs")).args(args).output().unwrap().stderr).unwrap();
    assert!(error.contains("`own_jobs processes` lists"), "{error}");
}

#[test]
fn a_panic_with_retries_left_is_retried() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"PanicAfterAwait","args":[],"retries":2,"jid":"p"}"#]);
    let mut worker = Worker::launch_program(&example("misbehaving_jobs"), &redis.url(), &[]);
    wait_until("the job waits for its retry", || redis.count(RETRIES) == 1);
    let job = json(&redis.set(RETRIES)[0].0);
    assert_eq!((&job["attempt"], &job["error_class"]), (&1.into(), &"JigglerUring::Panic".into()));
    worker.stop();
}
