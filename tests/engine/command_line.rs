//! The command line on the real binary: what it refuses and how, what it logs, and what it never reveals.

use std::process::Output;

use crate::harness::redis::{DEAD, SCHEDULED};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json, output_of, output_with};

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The program refuses to start: exit status 2, nothing on standard output, and these words on standard error.
#[track_caller]
/// The command or the setup is wrong: someone must change it.
fn assert_refused(args: &[&str], words: &[&str]) {
    assert_ends_with(2, args, words);
}

#[track_caller]
fn assert_ends_with(status: i32, args: &[&str], words: &[&str]) {
    let output = output_of(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    assert_eq!(output.stdout, b"", "{args:?}");
    for word in words {
        assert!(said.contains(word), "{args:?}: `{word}` is missing in: {said}");
    }
}

#[test]
fn nonsense_is_refused_with_status_2_and_the_way_out() {
    assert_refused(&["--nonsense"], &["--nonsense", "--help"]);
    assert_refused(&["--cores", "0"], &["--cores", "`0`", "from 1 to"]);
    assert_refused(&["--cores", "many"], &["--cores", "`many`"]);
    assert_refused(&["-c", "0"], &["concurrency", "`0`"]);
    assert_refused(&["--mode", "exactly-once"], &["--mode", "at-least-once"]);
    assert_refused(&["-q", "a:b:c"], &["--queue", "a:b"]);
    assert_refused(&["-q", "jobs_in_progress"], &["in_progress"]);
    assert_refused(&["--redis-url", "http://localhost"], &["--redis-url"]);
    assert_refused(&["enqueue", "Noop", "{}", "--redis-url", "unix:///nowhere.sock"], &["arguments"]);
}

#[test]
fn an_error_in_a_configuration_file_names_the_file_and_the_key() {
    let file = config_file("concurrency: 4\nconcurency: 5\n");
    assert_refused(&["-C", &file.path()], &[&file.path(), "concurency"]);
    let file = config_file("timeout: soon\n");
    assert_refused(&["-C", &file.path()], &[&file.path(), "timeout", "soon"]);
    let file = config_file("queues: [\n");
    assert_refused(&["-C", &file.path()], &[&file.path()]);
    assert_refused(&["-C", "/nonexistent/jiggler.yml"], &["/nonexistent/jiggler.yml"]);
}

#[test]
fn a_redis_that_cannot_be_used_is_refused_with_what_to_do() {
    // It may be there on the next try, which a process manager makes after status 1.
    assert_ends_with(1, &["--redis-url", "redis://127.0.0.1:1"], &["127.0.0.1:1", "cannot be reached"]);
    assert_ends_with(1, &["--redis-url", "unix:///nonexistent/redis.sock"], &["/nonexistent/redis.sock"]);
    let summary = ["summary", "--redis-url", "redis://127.0.0.1:1"];
    assert_ends_with(
        1,
        &summary,
        &["127.0.0.1:1", "cannot be reached", "start the server, or check host and port"],
    );
    assert_ends_with(
        1,
        &["enqueue", "Noop", "--redis-url", "unix:///nonexistent/redis.sock"],
        &["no such socket"],
    );
    let redis = Redis::start();
    assert_refused(&["--redis-url", &format!("{}/99", redis.tcp_url())], &["no such database"]);
    let closed = Redis::start_with_password("s3cr3t-of-redis");
    assert_refused(&["--redis-url", &closed.tcp_url()], &["password"]);
    let wrong = format!("redis://:wr0ng-pass@127.0.0.1:{}", closed.port());
    assert_refused(&["--redis-url", &wrong], &["password"]);
    assert!(!stderr(&output_of(&["--redis-url", &wrong])).contains("wr0ng-pass"));
}

#[test]
fn the_password_appears_nowhere() {
    const PASSWORD: &str = "s3cr3t-of-redis";
    let mut redis = Redis::start_with_password(PASSWORD);
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port());
    redis.push("default", &[r#"{"name":"Fail","args":["x"],"retries":1}"#, "no job"]);
    let mut worker = Worker::launch(&url, &["-v", "--cores", "2"]);
    wait_until("both are settled", || redis.failures() == 2);
    let clients = redis.clients("jiggler");
    assert!(!clients.is_empty());
    let mut told = clients.join("\n");
    for key in redis.keys("*") {
        let dump = redis.run(&["DUMP", &key]);
        told.push_str(&key);
        told.push_str(&String::from_utf8_lossy(dump.as_bulk().unwrap()));
    }
    // The errors of an outage name the server too.
    redis.kill();
    wait_until("the worker notices", || !worker.lines("redis is gone").is_empty());
    redis.start_again();
    wait_until("it is back", || !worker.lines("redis is back").is_empty());
    worker.stop();
    told.push_str(&worker.lines("").join("\n"));
    assert!(told.contains(&redis.port().to_string()), "the log names the server");
    assert!(!told.contains(PASSWORD), "the password is revealed: {told}");
}

#[test]
fn more_cores_than_the_machine_has_become_all_it_has_with_one_warning() {
    let redis = Redis::start();
    let cpus = std::thread::available_parallelism().unwrap().get();
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    let mut worker = Worker::start(&redis, &["--cores", "1024"]);
    wait_until("the job runs", || redis.processed() == 1);
    let warnings = worker.lines("WARN");
    assert!(warnings.len() == 1 && warnings[0].contains("asked=1024"), "{warnings:?}");
    assert!(warnings[0].contains(&format!("available={cpus}")), "{warnings:?}");
    assert!(worker.lines(" working ")[0].contains(&format!("cores={cpus} ")));
    worker.stop();
}

#[test]
fn json_log_lines_are_json_from_the_first_to_the_last() {
    let redis = Redis::start();
    redis.push("default", &["no job", r#"{"name":"Fail","args":["x"],"jid":"j"}"#]);
    let mut worker = Worker::launch(&redis.url(), &["--log-format", "json", "-v", "--cores", "1"]);
    wait_until("both are settled", || redis.failures() == 2);
    worker.stop();
    let lines = worker.lines("");
    assert!(lines.len() > 5, "{lines:?}");
    for line in &lines {
        let line = json(line);
        assert!(line["message"].is_string() && line["level"].is_string(), "{line}");
    }
    let failed = json(&worker.lines("job failed")[0]);
    assert_eq!((&failed["queue"], &failed["jid"]), (&"default".into(), &"j".into()));
}

#[test]
fn a_worker_that_ends_badly_says_why_in_its_log_format() {
    let mut redis = Redis::start();
    redis.push("default", &[r#"{"name":"Sleep","args":[60]}"#, r#"{"name":"Fail"}"#]);
    let mut worker = Worker::launch(&redis.url(), &["--log-format", "text"]);
    wait_until("the job before the one that has failed runs", || redis.count(DEAD) == 1);
    redis.kill();
    worker.signal("TERM");
    assert_eq!(worker.wait_for_end().code(), Some(1));
    assert_eq!(worker.lines("1 jobs of shard 0 are left in flight").len(), 1);
}

#[test]
fn the_command_line_pushes_jobs_that_run_and_counts_them() {
    let redis = Redis::start();
    let url = redis.url();
    let enqueue = |args: &[&str]| {
        let output = output_of(&[&["enqueue", "--redis-url", &url], args].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(enqueue(&["Noop"]).starts_with("enqueued Noop with jid "));
    enqueue(&["Fib", "[10]", "--count", "30", "--queue", "math"]);
    enqueue(&["Fail", "[\"x\"]", "--retries", "2"]);
    enqueue(&["Noop", "--in", "3600"]);
    assert_eq!((redis.queue("default").len(), redis.queue("math").len()), (2, 30));
    assert_eq!(redis.count(SCHEDULED), 1);
    let mut worker = Worker::start(&redis, &["-q", "default,math"]);
    wait_until("all have run", || redis.processed() == 32);
    worker.stop();
    let output = output_of(&["summary", "--json", "--redis-url", &url]);
    let summary = json(&output.stdout);
    for (count, expected) in [
        ("processed_count", 32),
        ("failures_count", 1),
        ("retry_jobs_count", 1),
        ("scheduled_jobs_count", 1),
        ("dead_jobs_count", 0),
    ] {
        assert_eq!(summary[count], expected, "{summary}");
    }
    assert_eq!(summary["queues"], serde_json::json!({}));
    let text = String::from_utf8(output_of(&["summary", "--redis-url", &url]).stdout).unwrap();
    assert!(text.contains("processed      32") && text.contains("no process is running"), "{text}");
}

#[test]
fn a_worker_over_tcp_works_in_the_database_of_its_url() {
    let redis = Redis::start();
    let url = format!("{}/3", redis.tcp_url());
    let output = output_of(&["enqueue", "Noop", "--redis-url", &url]);
    assert!(output.status.success(), "{output:?}");
    let mut worker = Worker::launch(&url, &[]);
    redis.run(&["SELECT", "3"]);
    wait_until("the job runs", || redis.processed() == 1);
    worker.stop();
    redis.run(&["SELECT", "0"]);
    assert_eq!(redis.keys("*"), [""; 0]);
}

#[test]
fn a_configuration_file_of_the_gem_is_understood() {
    let redis = Redis::start();
    let file = config_file(
        ":concurrency: 4\n:timeout: 2\n:environment: production\n:queues:\n  - [critical, 2]\n  - default\n",
    );
    let mut worker = Worker::launch(&redis.url(), &["-C", &file.path(), "-t", "2"]);
    wait_until("the heartbeat is there", || redis.keys("jiggler:svr:*").len() == 1);
    let key = redis.keys("jiggler:svr:*").remove(0);
    assert!(key.contains(":4:2:critical,2,default,0:"), "{key}");
    worker.stop();
}

#[test]
fn redis_is_found_by_flags_before_the_command_and_by_variables() {
    let redis = Redis::start();
    let url = redis.url();
    let succeeds = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(succeeds(output_of(&["--redis-url", &url, "summary"])).contains("dead set"));
    assert!(succeeds(output_with(&[("JIGGLER_REDIS_URL", &url)], &["queues"])).contains("no jobs wait"));
    // The variable of this program wins over the common one, which the harness sets to nowhere, and the flag over both.
    let nowhere = [("JIGGLER_REDIS_URL", "unix:///nowhere.sock")];
    assert_eq!(output_with(&nowhere, &["queues"]).status.code(), Some(1));
    succeeds(output_with(&nowhere, &["queues", "--redis-url", &url]));
    assert_refused(&["--cores", "2", "summary"], &["'--cores' cannot be used with 'summary'"]);
    let doctor = output_of(&["--redis-url", "redis://h", "doctor", "--redis-ca-file", "/ca.pem"]);
    assert!(stderr(&doctor).contains("--redis-ca-file: redis://h:6379/0 does not encrypt"), "{doctor:?}");
    let output = output_with(&[("JIGGLER_CORES", "many")], &["summary"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("environment variable JIGGLER_CORES: `many`"), "{output:?}");
}

#[test]
fn help_names_variables_but_never_shows_their_values() {
    let variables = [("JIGGLER_REDIS_URL", "redis://:s3cr3t@h"), ("REDIS_URL", "redis://:s3cr3t@h")];
    for args in [&["--help"][..], &["-h"], &["summary", "--help"], &["enqueue", "-h"], &["man"]] {
        let output = output_with(&variables, args);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        // The manual page escapes nothing in a name of a variable.
        assert!(text.replace('\\', "").contains("JIGGLER_REDIS_URL, REDIS_URL"), "{args:?}: {text}");
    }
    let text = String::from_utf8(output_of(&["--help"]).stdout).unwrap();
    for part in ["\nRedis:\n", "JIGGLER_STATS_INTERVAL", "What ends, moves or deletes what:"] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn what_is_meant_by_another_word_is_told_without_suggesting_to_delete() {
    let said = stderr(&output_of(&["pause", "payments"]));
    assert!(said.contains("queue, class") && !said.contains("prune"), "{said}");
    assert_refused(&["-q", "payments,", "mails"], &["needs quotes: 'payments, mails'"]);
}

#[test]
fn a_job_that_nobody_knows_is_said_to_wait() {
    let redis = Redis::start();
    let url = redis.url();
    let enqueue = |args: &[&str]| {
        let output = output_of(&[&["--redis-url", &url, "enqueue"], args].concat());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(enqueue(&["Noop"]).contains("note: no worker is running on this redis"));
    let file = config_file("stats_interval: 1\n");
    let mut worker = Worker::start(&redis, &["-C", &file.path(), "-q", "default,img"]);
    wait_until("it says what it runs", || {
        enqueue(&["Noop"]).lines().count() == 1 && {
            let said = enqueue(&["Nop", "--queue", "img"]);
            said.contains(
                "note: no process that takes jobs from queue img has a handler for Nop; did you mean Noop?",
            )
        }
    });
    let said = enqueue(&["Noop", "--queue", "mails"]);
    assert!(said.contains("note: no process takes jobs from queue mails; served: default, img"), "{said}");
    let ids = enqueue(&["Noop", "--count", "3", "--ids", "--queue", "mails"]);
    let stored = redis.queue("mails");
    assert!(
        ids.lines().count() == 3 && ids.lines().all(|jid| stored.iter().any(|job| job.contains(jid))),
        "{ids}"
    );
    worker.stop();
}

#[test]
fn a_queue_with_a_blank_in_its_name_is_served_and_warned_of() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["-q", "a b,c"]);
    let said = worker.lines("has a blank in it");
    assert!(said.len() == 1 && said[0].contains("queue=\"a b\""), "{said:?}");
    worker.stop();
}
