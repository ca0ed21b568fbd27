//! How children end, and what they have started: neither outlives its time.

use std::fs;
use std::time::Duration;

use crate::harness::redis::DEAD;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, json};
use crate::runners::{application, descendants, is_alive, job, kill, lines_of, send};

/// Runs a job `Die` until it is poison: each time it starts a process, writes down its number, and kills its own.
#[track_caller]
fn check_that_what_it_started_ends(file: &str, text: &str, runner: &str) {
    let redis = Redis::start();
    let (dir, path) = application(file, text);
    let config =
        config_file(&format!("runners:\n  mortal: {{{runner}, jobs: '*'}}\n").replace("PATH", &path));
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    redis.push("default", &[job("Die", "[]", "")]);
    wait_until("it is poison", || redis.count(DEAD) == 1);
    assert_eq!(json(&redis.set(DEAD)[0].0)["error_class"], "JigglerUring::Poison");
    let started = lines_of(&dir.path().join("out"));
    assert_eq!(started.len(), 4, "{started:?}");
    wait_until("what they started is dead", || !started.iter().any(|pid| is_alive(pid.parse().unwrap())));
    worker.stop();
}

#[test]
fn what_a_python_child_started_dies_with_it() {
    let text = r#"
import os, subprocess
def Die():
    sleeper = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    with open(os.path.join(os.path.dirname(__file__), "out"), "a") as file: print(sleeper.pid, file=file)
    os.kill(os.getpid(), 9)
"#;
    check_that_what_it_started_ends("jobs.py", text, "require: PATH");
}

#[test]
fn what_a_ruby_child_started_dies_with_it() {
    let text = r#"
class Die
  def perform
    sleeper = Process.spawn('sleep', '600', out: '/dev/null', err: '/dev/null')
    File.open(File.join(__dir__, 'out'), 'a') { |file| file.puts(sleeper) }
    Process.kill(:KILL, Process.pid)
    sleep
  end
end
"#;
    check_that_what_it_started_ends("app.rb", text, "require: PATH");
}

#[test]
fn what_a_child_that_is_not_forked_started_dies_with_it() {
    let text = r"
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
export const Die = () => {
  const sleeper = spawn('sleep', ['600'], { stdio: 'ignore' });
  appendFileSync(new URL('./out', import.meta.url), sleeper.pid + '\n');
  process.kill(process.pid, 'SIGKILL');
};
";
    check_that_what_it_started_ends("jobs.mjs", text, "require: PATH");
}

#[test]
fn a_job_that_is_late_while_a_stop_waits_takes_no_other_job_with_it() {
    let redis = Redis::start();
    let text = r#"
import os, time
from jiggler_uring import Cancelled
HERE = os.path.dirname(__file__)
def write(text):
    with open(os.path.join(HERE, "out"), "a") as file: print(text, file=file)
def Late():
    start = time.monotonic()
    try:
        while time.monotonic() < start + 2: time.sleep(0.01)
        write("old")
        while True: time.sleep(0.01)
    except Cancelled:
        write("cancelled")
        raise
def Young():
    write("begun")
    while not os.path.exists(os.path.join(HERE, "go")): time.sleep(0.01)
"#;
    let (dir, path) = application("jobs.py", text);
    let yaml = format!("runners:\n  python: {{require: {path}, jobs: '*', threads: 2, timeout: 4}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-t", "30"]);
    let wait_for_line = |line: &str| {
        wait_until(line, || lines_of(&dir.path().join("out")).last().is_some_and(|last| last == line));
    };
    redis.push("default", &[job("Late", "[]", "")]);
    wait_for_line("old");
    redis.push("default", &[job("Young", "[]", "")]);
    wait_for_line("begun");
    worker.signal("TERM");
    wait_for_line("cancelled");
    fs::write(dir.path().join("go"), "").unwrap();
    assert_eq!(worker.wait_for_end().code(), Some(0));
    assert_eq!(json(&redis.set(DEAD)[0].0)["error_class"], "JigglerUring::Timeout");
    assert_eq!((redis.processed(), redis.queue("default")), (2, Vec::new()));
}

#[test]
fn a_cancelled_coroutine_is_answered_at_its_own_end() {
    let redis = Redis::start();
    let text = r#"
import asyncio, os
def write(text):
    with open(os.path.join(os.path.dirname(__file__), "out"), "a") as file: print(text, file=file)
async def Late():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        write("cancelled")
        await asyncio.sleep(0.7)
        write("tidied up")
def Next(): write("next")
"#;
    let (dir, path) = application("jobs.py", text);
    let config = config_file(&format!("runners:\n  python: {{require: {path}, jobs: '*', timeout: 1}}\n"));
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    redis.push("default", &[job("Late", "[]", "")]);
    wait_until("it is late", || redis.count(DEAD) == 1);
    redis.push("default", &[job("Next", "[]", "")]);
    wait_until("the next one has run", || redis.processed() == 2);
    // In the one thread of the one child.
    assert_eq!(lines_of(&dir.path().join("out")), ["cancelled", "tidied up", "next"]);
    assert_eq!(worker.lines("gets TERM"), [""; 0]);
    worker.stop();
}

#[test]
fn the_successor_of_a_worn_child_starts_while_that_one_still_has_a_job() {
    let redis = Redis::start();
    let text = r#"
import os, time
HERE = os.path.dirname(__file__)
def write(text):
    with open(os.path.join(HERE, "out"), "a") as file: print(text, os.getpid(), file=file)
def Long():
    write("long")
    while not os.path.exists(os.path.join(HERE, "go")): time.sleep(0.01)
def Short(): write("short")
"#;
    let (dir, path) = application("jobs.py", text);
    let yaml = format!("runners:\n  python: {{require: {path}, jobs: '*', threads: 2, max_jobs: 1}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    let lines = || lines_of(&dir.path().join("out"));
    redis.push("default", &[job("Long", "[]", "")]);
    wait_until("the long one runs", || lines().len() == 1);
    redis.push("default", &[job("Short", "[]", "")]);
    wait_until("its child is worn", || lines().len() == 2);
    redis.push("default", &[job("Short", "[]", "")]);
    wait_until("a successor runs the next one", || lines().len() == 3);
    let pid = |at: usize| lines()[at].split(' ').nth(1).unwrap().to_owned();
    assert!(pid(0) == pid(1) && pid(0) != pid(2) && is_alive(pid(0).parse().unwrap()), "{:?}", lines());
    fs::write(dir.path().join("go"), "").unwrap();
    wait_until("all have run", || redis.processed() == 3);
    wait_until("the worn child is gone", || !is_alive(pid(0).parse().unwrap()));
    assert_eq!(worker.lines("a child ended"), [""; 0]);
    worker.stop();
}

#[test]
fn a_stop_does_not_wait_for_a_fork_server_that_does_not_answer() {
    let redis = Redis::start();
    let (_dir, path) = application("jobs.py", "def Idle(): pass\n");
    let mut worker = Worker::start(&redis, &["-r", &path]);
    wait_until("a child runs", || descendants(worker.pid()).len() == 2);
    redis.push("default", &[job("Idle", "[]", "")]);
    wait_until("it works", || redis.processed() == 1);
    let &[server, child] = &*descendants(worker.pid()) else { panic!("a fork server and a child") };
    let files = || fs::read_dir(format!("/proc/{}/fd", worker.pid())).unwrap().count();
    let before = files();
    send(server, "-STOP");
    kill(child);
    // Both ends of what the next child will have, instead of one.
    wait_until("another child is ordered", || files() > before);
    worker.signal("TERM");
    // Without it, 20 s.
    wait_within(Duration::from_secs(12), "it ends", || (!worker.is_running()).then_some(()));
    wait_until("they are gone", || !is_alive(server) && !is_alive(child));
}
