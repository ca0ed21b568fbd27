//! Which runner gets a job, the examples of the README, and what the doctor says of applications.

use std::path::Path;

use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file};
use crate::runners::{NODE, PYTHON, application, job, lines_of};
use crate::runners_ruby::GEM;

#[test]
fn each_job_goes_to_the_runner_with_the_longest_match() {
    let redis = Redis::start();
    let (python_dir, python) = application("jobs.py", PYTHON);
    let (node_dir, node) = application("jobs.mjs", NODE);
    let yaml = format!(
        "runners:\n  python: {{require: {python}, jobs: [Pl*, Noop]}}\n  node: {{require: {node}, jobs: Add}}\n"
    );
    let config = config_file(&yaml);
    // The stock jobs are there, too.
    redis.push("default", &[job("Plain", "[1]", ""), job("Add", "[1,2]", ""), job("Sleep", "[0]", "")]);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("all have run", || redis.processed() == 3);
    assert_eq!((redis.failures(), lines_of(&python_dir.path().join("out"))), (0, vec!["plain 1".to_owned()]));
    assert_eq!(lines_of(&node_dir.path().join("out")), ["add 3"]);
    worker.stop();
}

/// Those of README.
#[test]
fn the_examples_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let gem = tempfile::tempdir().unwrap();
    std::fs::write(gem.path().join("jiggler.rb"), GEM).unwrap();
    let table = [
        ("python/jobs.py", "Thumbnail", r#"["cat.png",100]"#, "cat.png is ready"),
        ("ruby/app.rb", "Welcome", r#"["Ada","Countess"]"#, "welcome, Countess Ada"),
        ("node/jobs.mjs", "Fetch", r#"["https://example.org"]"#, "indexed https://example.org"),
    ];
    for (path, name, args, printed) in table {
        let redis = Redis::start();
        redis.push("default", &[job(name, args, "")]);
        let path = root.join("examples/runners").join(path).display().to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_jiggler-uring"));
        let variables = [("RUBYLIB", gem.path().to_str().unwrap())];
        let mut worker = Worker::launch_with(program, &redis.url(), &["-r", &path], &variables);
        worker.wait_for_line(printed);
        worker.stop();
        assert_eq!((redis.failures(), redis.job_keys()), (0, Vec::new()), "{path}");
    }
}

#[test]
fn an_application_that_is_not_there_is_a_mistake_on_the_command_line() {
    let redis = Redis::start();
    let output = crate::harness::output_of(&["-r", "/nonexistent/app.rb", "--redis-url", &redis.url()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("there is no /nonexistent/app.rb"), "{said}");
}

#[test]
fn the_doctor_loads_the_application_and_says_why_it_does_not() {
    let redis = Redis::start();
    let url = redis.url();
    let doctor = |path: &str| {
        let output = crate::harness::output_of(&["doctor", "-r", path, "--redis-url", &url]);
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (_dir, good) = application("jobs.py", PYTHON);
    let (_, said) = doctor(&good);
    assert!(said.contains("ok       runner") && said.contains("is ready after"), "{said}");
    let (_dir, bad) = application("jobs.mjs", "import './none.mjs';\n");
    let (well, said) = doctor(&bad);
    assert!(!well && said.contains("FAILED   runner") && said.contains("exit status: 1"), "{said}");
}
