//! loadgen as a program, against a real Redis it starts itself and a stand-in for the worker.
//!
//! Proves that the machinery measures what happens: all jobs drained and counted, tables and JSON complete, failure
//! counts exact, nothing left running. Asserts no speed.

#![expect(clippy::expect_used, reason = "a test that cannot start its subject fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A program that takes the worker's flags and drains the queue.
fn stand_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/drain.sh")
}

fn loadgen(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments);
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("loadgen starts");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\nstdout:\n{}\nstderr:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).expect("the JSON file is written")).expect("it is JSON")
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn noop_drains_every_job_and_prints_the_published_columns_and_the_raw_numbers() {
    for transport in ["tcp", "unix"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("noop.json");
        let mut command =
            loadgen(&["noop", "--jobs", "1_000", "--runs", "1", "-c", "5", "--transport", transport]);
        let output = run(command.arg("--binary").arg(stand_in()).arg("--json").arg(&file).arg("--no-limit"));

        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let published = ["Job Processor", "Concurrency", "Jobs", "Time", "Start RSS", "Finish RSS", "%CPU"];
        assert_eq!(cells(lines[0])[..7], published, "{text}");
        let row = cells(lines[2]);
        assert_eq!(row[..3], ["drain.sh 1.0, 1 core, at-least-once", "5", "1_000"], "{text}");
        assert!(row[3].ends_with(" sec") && row[4].ends_with(" kb") && row[5].ends_with(" kb"), "{text}");
        assert_eq!(row.last(), Some(&"-"), "without a null client there is no ratio: {text}");

        let document = json(&file);
        assert_eq!(document["scenario"], "noop");
        assert_eq!(document["options"]["redis"]["transport"], transport);
        let row = &document["results"]["rows"][0];
        assert_eq!((&row["jobs"], &row["concurrency"]), (&Value::from(1_000), &Value::from(5)));
        let run = &row["runs"][0];
        assert_eq!(run["redis_calls"]["incrby"], 10, "ten batches of 100: {run}");
        let positive = ["seconds", "start_rss_kb", "finish_rss_kb", "cpu_percent", "redis_us_per_job"];
        for name in positive {
            assert!(run[name].as_f64().is_some_and(|number| number > 0.0), "{name}: {run}");
        }
    }
}

#[test]
fn conditions_measure_one_row_each_and_name_what_others_publish() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conditions.json");
    let rows = "plain,one,singly,aof,away,queues10,failing";
    let mut command = loadgen(&["conditions", "--jobs", "200", "--runs", "1", "--rows", rows]);
    let output = run(command.arg("--binary").arg(stand_in()).arg("--json").arg(&file));

    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["one by one", "AOF", "1 ms away", "10 queues", "failing", "ChasquiMQ (published)"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let document = json(&file);
    let rows = document["results"]["rows"].as_array().unwrap();
    let concurrency: Vec<_> = rows.iter().map(|row| row["concurrency"].as_u64().unwrap()).collect();
    assert_eq!(concurrency, [10, 1, 1, 10, 10, 10, 10]);
    assert!(rows.iter().all(|row| row["jobs"] == 200), "{document}");
    let pushes = &rows[2]["runs"][0]["redis_calls"]["lpush"];
    assert!(pushes.is_null() || pushes == 0, "the pusher's own commands are not counted: {pushes}");
}

#[test]
fn limit_moves_and_acknowledges_every_job_at_every_batch_size() {
    let output =
        run(&mut loadgen(&["limit", "--jobs", "1001", "--runs", "2", "--batch", "1,10,500", "--json", "-"]));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = document["results"]["rows"].as_array().unwrap();
    let of = |design| {
        rows.iter().filter(move |row| row["design"] == design).map(|row| row["batch_jobs"].as_u64().unwrap())
    };
    for design in ["at-least-once", "at-most-once", "pop", "push"] {
        assert_eq!(of(design).collect::<Vec<_>>(), [1, 10, 500], "{design}");
    }
    for row in rows {
        let (rate, runs) = (&row["jobs_per_second"], row["runs"].as_array().unwrap());
        assert_eq!(runs.len(), 2, "{row}");
        assert!(
            rate["min"].as_f64() <= rate["median"].as_f64()
                && rate["median"].as_f64() <= rate["max"].as_f64()
        );
    }
}

#[test]
fn idle_watches_a_worker_without_jobs() {
    let output = run(loadgen(&["idle", "--seconds", "1", "--cores", "1", "--json", "-"])
        .arg("--binary")
        .arg(stand_in()));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &document["results"]["rows"][0];
    assert_eq!(row["concurrency"], 10);
    assert!(row["seconds"].as_f64().unwrap() >= 1.0);
    assert!(row["redis_calls"]["eval"].as_u64().unwrap() > 0, "the stand-in polls: {row}");
    assert_eq!(row["redis_calls"].get("info"), None, "loadgen's own commands are left out: {row}");
}

/// A stand-in that recovers: it asks again when Redis does not answer.
#[test]
fn outage_takes_redis_away_and_measures_the_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("worker.sh");
    let drain = fs::read_to_string(stand_in()).unwrap();
    let stubborn = drain.replace("|| exit 1", "|| { sleep 0.05; continue; }");
    assert_ne!(stubborn, drain);
    fs::write(&script, stubborn).unwrap();
    run(Command::new("chmod").arg("+x").arg(&script));
    let mut command = loadgen(&["outage", "--seconds", "1", "--runs", "1", "--json", "-", "--binary"]);
    let output = run(command.arg(&script));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = document["results"]["rows"].as_array().unwrap();
    let kinds: Vec<_> = rows.iter().map(|row| (&row["kind"], &row["state"])).collect();
    let [restarted, paused, waiting, working] =
        ["restarted", "paused", "waiting", "working"].map(Value::from);
    let expected = [(&restarted, &waiting), (&restarted, &working), (&paused, &waiting), (&paused, &working)];
    assert_eq!(kinds, expected);
    for row in rows {
        let back = &row["back_after_seconds"];
        assert!(back["median"].as_f64().is_some_and(|seconds| (0.0..30.0).contains(&seconds)), "{row}");
    }
}

#[test]
fn enqueue_writes_every_output_and_compares_with_an_earlier_run() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.json");
    let sizes = ["enqueue", "--jobs", "100", "--bulk-jobs", "1_000", "--runs", "2"];
    run(loadgen(&sizes).arg("--json").arg(&old));
    let report = folder.path().join("report");
    let output = run(loadgen(&sizes).arg("--report").arg(&report).arg("--compare").arg(&old));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("New by old") && text.contains("bulk, each its own"), "{text}");
    let page = fs::read_to_string(report.join("index.html")).unwrap();
    assert!(page.contains("<h2 id=\"enqueue\">") && page.contains("Compared with"), "{page}");
    let csv = fs::read_to_string(report.join("results.csv")).unwrap();
    assert!(csv.contains("enqueue,single,jobs/s,higher,2,"), "{csv}");
    assert_eq!(json(&report.join("results.json"))["figures"][0]["values"].as_array().unwrap().len(), 2);
    assert!(report.join("tables.md").exists());
}

#[test]
fn soak_samples_memory_and_plots_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(loadgen(&["soak", "--jobs", "2_000", "--json", "-", "--report"])
        .arg(folder.path())
        .arg("--binary")
        .arg(stand_in()));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let last = document["results"]["samples"].as_array().unwrap().last().unwrap();
    assert_eq!(last["processed"], 2_000, "{document}");
    assert!(fs::read_to_string(folder.path().join("soak-rss.svg")).unwrap().contains("RSS, MB"));
}

/// The worker is loadgen's own; every job's latency is in its histograms, or the run fails.
#[test]
fn latency_and_mixed_account_for_every_job() {
    let latency = ["latency", "--rate", "100", "--seconds", "1", "--runs", "1", "--json", "-"];
    let document: Value = serde_json::from_slice(&run(&mut loadgen(&latency)).stdout).unwrap();
    let run_of = |document: &Value, row: usize| document["results"]["rows"][row]["runs"][0].clone();
    let intended = &run_of(&document, 0)["from_intended"];
    assert_eq!(intended["jobs"], 100, "{document}");
    assert!(intended["p50_us"].as_f64().unwrap() <= intended["max_us"].as_f64().unwrap(), "{document}");
    let mixed = ["mixed", "--rate", "100", "--seconds", "1", "--runs", "1", "--json", "-"];
    let document: Value = serde_json::from_slice(&run(&mut loadgen(&mixed)).stdout).unwrap();
    for row in 0..3 {
        assert_eq!(run_of(&document, row)["from_intended"]["jobs"], 100, "{document}");
    }
}

#[test]
fn http_and_file_jobs_do_what_they_should() {
    let http = ["http", "--concurrency", "10", "--jobs", "20", "--json", "-"];
    let document: Value = serde_json::from_slice(&run(&mut loadgen(&http)).stdout).unwrap();
    let row = &document["results"]["rows"][0];
    // Two waits of 0.2 s, less the 2 ms in which a taken job may go unnoticed.
    assert!(row["draining_seconds"]["min"].as_f64().unwrap() > 0.39, "{document}");
    // The scenario itself counts the lines in the files.
    run(&mut loadgen(&["file", "--concurrency", "5", "--jobs", "200", "--runs", "2"]));
}

#[test]
fn pg_queries_its_own_postgresql_or_says_how_to_get_one() {
    let output = loadgen(&["pg", "--concurrency", "10", "--jobs", "20", "--json", "-"]).output().unwrap();
    if output.status.success() {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let seconds = &document["results"]["rows"][0]["draining_seconds"]["min"];
        assert!(seconds.as_f64().unwrap() > 0.19, "{document}");
    } else {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains("apt install postgresql"), "{errors}");
    }
}

#[test]
fn a_worker_that_ends_early_is_reported_with_its_status_and_its_last_output() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("worker.sh");
    fs::write(&script, "#!/bin/sh\necho cannot open the ring >&2\nexit 3\n").unwrap();
    run(Command::new("chmod").arg("+x").arg(&script));
    let mut command = loadgen(&["noop", "--jobs", "100", "--runs", "1", "-c", "5", "--no-limit"]);
    let output = command.arg("--binary").arg(&script).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("exit status: 3") && errors.contains("cannot open the ring"), "{errors}");
}

#[test]
fn without_redis_an_error_names_the_package_to_install() {
    let mut command = loadgen(&["limit", "--jobs", "1"]);
    let output = command.env("PATH", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("apt install redis-server") && errors.contains("--redis-server"), "{errors}");
}

/// The children's pids are read from `/proc`, so that only they are checked.
#[test]
fn sigterm_ends_the_children_and_removes_their_files() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = loadgen(&["idle", "--seconds", "3600", "--cores", "1", "--binary"]);
    command.arg(stand_in()).env("TMPDIR", temporary.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", process.id());
    let pids = wait_for("two children, Redis and the worker", || {
        // The worker's log is created just before the worker; other short-lived children have ended by then.
        let folder = fs::read_dir(temporary.path()).unwrap().next()?.unwrap().path();
        let pids: Vec<String> =
            fs::read_to_string(&children).unwrap().split_whitespace().map(ToOwned::to_owned).collect();
        (folder.join("worker.log").exists() && pids.len() == 2).then_some(pids)
    });
    run(Command::new("kill").args(["-TERM", &process.id().to_string()]));
    assert_eq!(process.wait().unwrap().code(), Some(130));
    for pid in pids {
        assert!(!Path::new("/proc").join(&pid).exists(), "child {pid} still runs");
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "temporary files are left");
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} within 20 s");
        thread::sleep(Duration::from_millis(10));
    }
}
