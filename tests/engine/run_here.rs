//! `run`: one job here and now, with its own handler or in another language, without Redis.

use std::process::Output;

use serde_json::Value;

use crate::harness::{config_file, output_of};
use crate::runners::application;

const PYTHON: &str = r#"
from jiggler_uring import Discard, Snooze, current, enqueue, job

@job("Import", retries=3)
def run(kind, number=0):
    if kind == "late": raise Snooze(90)
    if kind == "old": raise Discard("superseded")
    if kind == "bad": raise ValueError("no such file")
    current().progress(2, 5, "reading")
    print(f"number {number}")
    enqueue("Index", number, queue="search")
"#;

fn text(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_job_of_the_program_runs_without_redis_and_its_end_is_the_exit_code() {
    let (code, out, err) = text(&output_of(&["run", "Sleep", "[0.01]", "--jid", "j1", "--queue", "q"]));
    assert!(
        out.starts_with("Sleep with jid j1 of queue q ran for ") && out.ends_with(" ms: done\n"),
        "{out}"
    );
    assert_eq!((code, err.as_str()), (0, ""));

    let (code, out, err) = text(&output_of(&["run", "Fail", "[\"oh\"]", "--attempt", "2"]));
    assert!(out.contains(", as retry 2: failed"), "{out}");
    assert!(err.contains("Fail failed: JobFailed: oh; a worker would put it into the dead set"), "{err}");
    assert_eq!(code, 1);

    for (args, word) in [
        (&["run", "Fib"][..], "argument 1 is missing"),
        (&["run", "Nobody"], "nobody here runs a job named Nobody: there are Fail, Fib, Noop, Sleep"),
        (&["run", "Fib", "{}"], "must be a JSON array"),
        (&["run", "Fib", "--cores", "1"], "--cores"),
        (&["run"], "NAME"),
    ] {
        let (code, out, err) = text(&output_of(args));
        let expected = if args == ["run", "Fib"] { 1 } else { 2 };
        assert!(code == expected && err.contains(word), "{args:?}: {code} {out} {err}");
    }
}

#[test]
fn a_job_of_a_runner_shows_what_it_did_and_what_it_would_have_pushed() {
    let (_dir, path) = application("jobs.py", PYTHON);
    let run = |args: &str| {
        let output = output_of(&["run", "Import", args, "-r", &path, "--json"]);
        let (code, out, err) = text(&output);
        (code, serde_json::from_str::<Value>(&out).unwrap(), err)
    };
    let (code, done, err) = run(r#"["file",12345678901234567890123]"#);
    assert!(code == 0 && done["outcome"] == "done" && done["error"].is_null(), "{done}");
    assert_eq!(done["progress"][0]["note"], "reading");
    assert!(err.contains("number 12345678901234567890123"), "{err}");
    let pushed = &done["pushed"][0];
    assert!(pushed["name"] == "Index" && pushed["queue"] == "search", "{pushed}");
    let (_, out, _) =
        text(&output_of(&["run", "Import", "[\"file\",12345678901234567890123]", "-r", &path, "--json"]));
    assert!(out.contains(r#""args":[12345678901234567890123]"#), "{out}");

    let (code, snoozed, _) = run("[\"late\"]");
    assert!(code == 0 && snoozed["outcome"] == "snoozed" && snoozed["after"] == 90.0, "{snoozed}");
    let (code, old, _) = run("[\"old\"]");
    assert!(code == 0 && old["outcome"] == "discarded" && old["error"]["message"] == "superseded", "{old}");
    let (code, bad, err) = run("[\"bad\"]");
    let error = &bad["error"];
    assert!(code == 1 && error["class"] == "ValueError" && error["message"] == "no such file", "{bad}");
    assert!(error["backtrace"][0].as_str().unwrap().contains("jobs.py"), "{bad}");
    assert!(err.contains("Import failed: ValueError: no such file; a worker would "), "{err}");
}

#[test]
fn only_the_runner_of_the_job_is_started_and_one_that_does_not_load_ends_it_at_once() {
    let (_dir, good) = application("jobs.py", PYTHON);
    let (_other, bad) = application("bad.rb", "def a = raise('no settings')\na\n");
    let yaml = format!(
        "runners:\n  python: {{require: {good}, jobs: Import, children: 4}}\n  ruby: {{require: {bad}, jobs: Bad*}}\n"
    );
    let config = config_file(&yaml);
    let (code, out, err) = text(&output_of(&["run", "Import", "[\"file\"]", "-C", &config.path()]));
    assert!(code == 0 && out.contains("would have pushed Index") && !err.contains("bad.rb"), "{out} {err}");
    let (code, _, err) = text(&output_of(&["run", "BadOne", "-C", &config.path()]));
    assert!(code == 1 && err.contains("runner ruby does not start") && err.contains("no settings"), "{err}");
    let (code, _, err) = text(&output_of(&["run", "Any", "-r", "/nonexistent/jobs.py"]));
    assert!(code == 2 && err.contains("/nonexistent/jobs.py"), "{err}");
}
