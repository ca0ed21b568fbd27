//! Jobs in other languages, by real interpreters: what they can do, and what happens when their processes die.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json};

/// A directory with one file of an application.
pub(crate) fn application(name: &str, text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (dir, path)
}

/// The processes below a process, whatever their depth.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let children = |pid: u32| {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| list.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
            .collect::<Vec<u32>>()
    };
    let mut all = children(pid);
    let mut at = 0;
    while let Some(&next) = all.get(at) {
        all.extend(children(next));
        at += 1;
    }
    all
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn kill(pid: u32) {
    send(pid, "-KILL");
}

pub(crate) fn send(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

pub(crate) fn job(name: &str, args: &str, more: &str) -> String {
    format!(r#"{{"name":"{name}","args":{args},"jid":"{name}"{more}}}"#)
}

pub(crate) fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

pub(crate) const PYTHON: &str = r#"
import asyncio, os, sys, time
from jiggler_uring import job, enqueue, current, Snooze, Discard, Dead, RetryIn, Cancelled
OUT = os.path.join(os.path.dirname(__file__), "out")
def write(text):
    with open(OUT, "a") as file: file.write(text + "\n")
@job("Add")
def add(a, b, c=0):
    print("adding", a)
    current().progress(1, 1, "done")
    write(f"add {a + b + c}")
@job("Wait")
async def wait(seconds):
    await asyncio.sleep(seconds)
    write("waited")
@job("Fail", retry_queue="slow")
def fail(): raise KeyError("who")
@job("Later")
def later(): raise Snooze(3600)
@job("Gone")
def gone(): raise Discard("no use")
@job("Bury")
def bury(): raise Dead("broken")
@job("Soon")
def soon(): raise RetryIn(1000, "busy")
@job("Parent")
def parent(): write("pushed " + enqueue(add, 20, 22, jid="child"))
def Plain(*args): write(f"plain {len(args)}")
@job("Die")
def die(): os.kill(os.getpid(), 9)
@job("Hang")
def hang():
    import signal, threading
    write("hangs")
    end = time.time() + 60
    while time.time() < end:
        try: time.sleep(1)
        except Cancelled: write("cancelled"); raise
@job("Pid")
def pid(): write(f"pid {os.getpid()}")
"#;

#[test]
fn python_functions_and_coroutines_run_fail_snooze_push_and_print() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.py", PYTHON);
    let jobs = [
        job("Add", "[1,2]", ""),
        job("Wait", "[0.05]", ""),
        job("Fail", "[]", r#","retries":1"#),
        job("Later", "[]", ""),
        job("Gone", "[]", ""),
        job("Bury", "[]", r#","retries":5"#),
        job("Soon", "[]", r#","retries":5"#),
        job("Parent", "[]", ""),
        "{\"name\":\"Plain\",\n\"args\":[1,[2],\"\u{e9}\"]}".to_owned(),
        job("Add", r#"["x"]"#, ""),
        job("Nobody", "[]", ""),
    ];
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    wait_until("all have run", || {
        redis.count(RETRIES) == 3 && redis.count(DEAD) == 3 && lines_of(&dir.path().join("out")).len() == 5
    });
    let mut out = lines_of(&dir.path().join("out"));
    out.sort();
    assert_eq!(out, ["add 3", "add 42", "plain 3", "pushed child", "waited"]);
    let find = |set: &str, name: &str| {
        let all = redis.set(set);
        let entry = all.iter().find(|(payload, _)| json(payload)["name"] == name).unwrap();
        json(&entry.0)
    };
    let failed = find(RETRIES, "Fail");
    assert_eq!((&failed["error_class"], &failed["queue"]), (&"KeyError".into(), &"slow".into()));
    assert!(find(RETRIES, "Later")["error_class"].is_null() && find(RETRIES, "Later")["attempt"].is_null());
    assert_eq!(find(RETRIES, "Soon")["attempt"], 1);
    assert_eq!(find(DEAD, "Bury")["error_message"], "broken");
    assert_eq!(find(DEAD, "Add")["error_class"], "TypeError");
    assert_eq!(find(DEAD, "Nobody")["error_class"], "JigglerUring::UnknownJob");
    let printed = worker.lines("adding 1");
    assert!(
        printed.iter().any(|line| line.contains("jid=\"Add\"") && line.contains("runner=")),
        "{printed:?}"
    );
    let children = descendants(worker.pid());
    worker.stop();
    assert!(children.len() >= 2 && !children.iter().any(|pid| is_alive(*pid)), "{children:?}");
    assert_eq!(redis.keys("*list*"), [""; 0]);
}

#[test]
fn a_child_that_dies_costs_no_retry_and_the_fourth_death_is_poison() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.py", PYTHON);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    redis.push("default", &[job("Die", "[]", r#","retries":7"#)]);
    wait_until("it is poison", || redis.count(DEAD) == 1);
    let dead = json(&redis.set(DEAD)[0].0);
    assert_eq!((&dead["error_class"], &dead["child_deaths"]), (&"JigglerUring::Poison".into(), &3.into()));
    assert_eq!((&dead["attempt"], &dead["retries"]), (&serde_json::Value::Null, &7.into()));
    // Each is told by the keeper, perhaps after the job is buried.
    wait_until("four ends are told", || worker.lines("a child ended").len() == 4);
    // The runner is well.
    redis.push("default", &[job("Plain", "[]", "")]);
    wait_until("another job runs", || lines_of(&dir.path().join("out")) == ["plain 0"]);
    worker.stop();
}

#[test]
fn a_job_that_is_late_is_interrupted_and_its_child_lives_on() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.py", PYTHON);
    let yaml = format!("runners:\n  python: {{require: {path}, jobs: '*', timeout: 1}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    redis.push("default", &[job("Pid", "[]", "")]);
    wait_until("it runs", || lines_of(&dir.path().join("out")).len() == 1);
    redis.push("default", &[job("Hang", "[]", "")]);
    wait_until("it is late", || redis.count(DEAD) == 1);
    assert_eq!(json(&redis.set(DEAD)[0].0)["error_class"], "JigglerUring::Timeout");
    redis.push("default", &[job("Pid", "[]", "")]);
    wait_until("the next one runs", || lines_of(&dir.path().join("out")).len() == 4);
    let out = lines_of(&dir.path().join("out"));
    assert_eq!((&*out[1], &*out[2]), ("hangs", "cancelled"));
    assert_eq!(out[0], out[3], "the same child");
    worker.stop();
}

#[test]
fn a_stop_gives_a_running_job_back_and_no_child_goes_on() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.py", PYTHON);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    let hang = job("Hang", "[]", "");
    redis.push("default", std::slice::from_ref(&hang));
    wait_until("it runs", || lines_of(&dir.path().join("out")) == ["hangs"]);
    let children = descendants(worker.pid());
    worker.stop();
    assert_eq!(redis.queue("default"), [hang]);
    assert!(!children.iter().any(|pid| is_alive(*pid)), "{children:?}");
}

#[test]
fn killed_children_servers_and_engines_leave_no_process_and_lose_no_job() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.py", PYTHON);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    wait_until("a child runs", || descendants(worker.pid()).len() == 2);
    let server = descendants(worker.pid())[0];
    redis.push("default", &[job("Hang", "[]", "")]);
    wait_until("it runs", || lines_of(&dir.path().join("out")).len() == 1);
    let before = descendants(worker.pid());
    kill(server);
    wait_until("they are gone", || !before.iter().any(|pid| is_alive(*pid)));
    wait_until("it runs again", || lines_of(&dir.path().join("out")).len() == 2);
    let before = descendants(worker.pid());
    assert_eq!(before.len(), 2);
    worker.kill();
    wait_until("they are gone", || !before.iter().any(|pid| is_alive(*pid)));
    // In flight, for a reaper.
    assert_eq!((redis.count(DEAD), redis.processed()), (0, 0));
    assert!(!redis.keys("*inflight*").is_empty());
}

#[test]
fn an_application_that_does_not_load_keeps_its_jobs_queued_says_why_once_and_recovers() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.py", "print('loading')\nimport no_such_module\n");
    redis.push("default", &[job("Plain", "[]", "")]);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    worker.wait_for_line("a runner cannot start");
    let said = worker.lines("a runner cannot start")[0].clone();
    assert!(said.contains("No module named 'no_such_module'") && said.contains("exit status: 1"), "{said}");
    wait_until("it was tried again", || worker.lines("loading").len() >= 3);
    assert_eq!((worker.lines("a runner cannot start").len(), redis.queue("default").len()), (1, 1));
    std::fs::write(&path, PYTHON).unwrap();
    wait_until("it runs", || lines_of(&dir.path().join("out")) == ["plain 0"]);
    worker.stop();
}

#[test]
fn worn_children_are_replaced() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.py", PYTHON);
    let yaml = format!("runners:\n  python: {{require: {path}, jobs: '*', max_jobs: 5}}\n");
    let config = config_file(&yaml);
    let jobs: Vec<String> = (0..20).map(|_| job("Pid", "[]", "")).collect();
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("all have run", || lines_of(&dir.path().join("out")).len() == 20);
    let mut pids = lines_of(&dir.path().join("out"));
    pids.dedup();
    assert_eq!(pids.len(), 4, "{pids:?}");
    assert_eq!(worker.lines("a child ended"), [""; 0]);
    worker.stop();
}

pub(crate) const NODE: &str = r"
import { appendFileSync } from 'node:fs';
const put = (text) => appendFileSync(new URL('./out', import.meta.url), text + '\n');
export const Add = (a, b) => { console.log('adding', a); put(`add ${a + b}`); };
export async function Wait(ms) { await new Promise((done) => setTimeout(done, ms)); put('waited'); }
export const Fail = async () => { throw new RangeError('too far'); };
export const Later = () => { throw jigglerUring.snooze(3600); };
export const Parent = async () => { put('pushed ' + await jigglerUring.enqueue('Add', [20, 22], { jid: 'child' })); };
";

#[test]
fn node_functions_run_side_by_side_in_one_child() {
    let redis = Redis::start();
    let (dir, path) = application("jobs.mjs", NODE);
    let jobs = [
        job("Add", "[1,2]", ""),
        job("Wait", "[20]", ""),
        job("Fail", "[]", r#","retries":1"#),
        job("Later", "[]", ""),
        job("Parent", "[]", ""),
        job("Nobody", "[]", ""),
    ];
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-r", &path]);
    wait_until("all have run", || {
        redis.count(RETRIES) == 2 && redis.count(DEAD) == 1 && lines_of(&dir.path().join("out")).len() == 4
    });
    let mut out = lines_of(&dir.path().join("out"));
    out.sort();
    assert_eq!(out, ["add 3", "add 42", "pushed child", "waited"]);
    assert_eq!(json(&redis.set(DEAD)[0].0)["error_class"], "JigglerUring::UnknownJob");
    let children = descendants(worker.pid());
    worker.stop();
    assert!(!children.is_empty() && !children.iter().any(|pid| is_alive(*pid)), "{children:?}");
}
