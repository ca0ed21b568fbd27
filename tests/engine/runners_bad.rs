//! Children that do not keep to the protocol, each a small script: the error is clear, no job is lost, nothing is left.

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file};
use crate::runners::{application, descendants, is_alive};

/// What every script begins with: a child in as few lines as the protocol takes.
const WELL: &str = r#"
import json, os, signal, socket, sys, time
sock = socket.socket(fileno=int(os.environ["JIGGLER_URING_FD"]))
file = sock.makefile("rb")
def say(*message): sock.sendall(json.dumps(message).encode() + b"\n")
def jobs():
    for line in file:
        word, *rest = json.loads(line)
        if word == "job": yield rest
        elif word == "bye": sys.exit(0)
# Only the first child is bad.
mark = sys.argv[0] + ".mark"
first = not os.path.exists(mark)
open(mark, "w").close()
def well():
    say("hello", {"protocol": 1})
    for id, about, payload in jobs(): say("done", id)
if not first: well()
"#;

/// Runs jobs with a first child that does this, and then a good one. Returns the log of the worker that says so.
#[track_caller]
fn check(bad: &str, options: &str, expected: &str) -> Vec<String> {
    let redis = Redis::start();
    let (_dir, path) = application("bad.py", &format!("{WELL}{bad}"));
    let yaml = format!("runners:\n  bad: {{command: [python3, {path}], jobs: '*'{options}}}\n");
    let config = config_file(&yaml);
    let jobs: Vec<String> =
        (0..5).map(|n| format!(r#"{{"name":"N","args":[],"jid":"{n}","retries":1}}"#)).collect();
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    worker.wait_for_line(expected);
    wait_until("all have ended", || {
        redis.processed() == 5 && (redis.count(RETRIES) == 0 || expected.contains("TERM"))
    });
    assert_eq!(redis.count(DEAD), 0);
    let said = worker.lines(expected);
    let children = descendants(worker.pid());
    worker.stop();
    assert!(!children.iter().any(|pid| is_alive(*pid)), "{children:?}");
    assert_eq!(redis.keys("*list*"), [""; 0]);
    said
}

#[test]
fn garbage_ends_the_child() {
    check(
        "say('hello', {'protocol': 1})\nfor job in jobs(): sock.sendall(b'hello world\\n')",
        "",
        "it sent a line that is not a message of the protocol: hello world",
    );
}

#[test]
fn a_frame_of_100_mb_is_not_taken_in() {
    let bad = "say('hello', {'protocol': 1})\nfor job in jobs(): sock.sendall(b'x' * 100_000_000)";
    check(bad, "", "it sent a line of more than 1048576 bytes");
}

#[test]
fn half_a_frame_is_no_answer() {
    let bad = "say('hello', {'protocol': 1})\nfor id, *_ in jobs():\n    sock.sendall(b'[\"done\",%d' % id)\n    os._exit(0)";
    check(bad, "", "a child ended; another one is started");
}

#[test]
fn an_answer_for_a_job_of_others_ends_the_child() {
    let bad = "say('hello', {'protocol': 1})\nfor id, *_ in jobs(): say('done', id + 1000)";
    check(bad, "", "it answered for job 1001, which it does not have");
}

#[test]
fn a_second_answer_ends_the_child_and_the_first_one_counts() {
    let bad =
        "say('hello', {'protocol': 1})\nfor id, *_ in jobs():\n    say('done', id)\n    say('done', id)";
    check(bad, "", "it answered for job 1, which it does not have");
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    check(
        "say('hello', {'protocol': 2})\ntime.sleep(60)",
        "",
        "it speaks version 2 of the protocol, this engine speaks 1",
    );
}

#[test]
fn a_child_that_never_reads_loses_its_job_to_the_timeout() {
    let bad = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('hello', {'protocol': 1})\ntime.sleep(60)";
    check(bad, ", timeout: 1", "a child does not end at TERM and is killed");
}

#[test]
fn a_child_that_pushes_and_reads_nothing_is_ended() {
    let bad = r#"
say("hello", {"protocol": 1})
for id, *_ in jobs():
    # No job, for a reason that is long.
    for push in range(100_000): say("enqueue", id, push, {"x" * 2_000: 1})
"#;
    check(bad, "", "it reads nothing: more than 16777216 bytes of answers to its pushes wait for it");
}

#[test]
fn a_child_that_closes_its_socket_is_ended() {
    let bad =
        "say('hello', {'protocol': 1})\nfor job in jobs():\n    file.close(); sock.close(); time.sleep(60)";
    check(bad, "", "it closed its socket");
}

#[test]
fn a_child_that_dies_while_a_fork_of_it_holds_its_socket_is_noticed() {
    let bad = "say('hello', {'protocol': 1})\nfor job in jobs():\n    if os.fork() == 0: time.sleep(60)\n    os.kill(os.getpid(), 9)";
    check(bad, "", "a child ended; another one is started");
}

#[test]
fn a_flood_of_output_is_cut_and_harms_nobody() {
    let bad = "well_said = say('hello', {'protocol': 1})\nfor id, *_ in jobs():\n    sys.stderr.write('flood\\n' * 200_000)\n    sys.stderr.flush()\n    say('done', id)";
    // The bound of the log itself comes first.
    let said = check(bad, "", "more like it in");
    assert!(said.len() < 100, "{}", said.len());
}

#[test]
fn a_child_that_exits_at_once_is_started_again_with_pauses() {
    check("print('no database'); sys.exit(3)", "", "before its first word, it");
}

#[test]
fn the_pauses_after_children_that_say_hello_and_die_grow() {
    let redis = Redis::start();
    let bad = r#"
with open(sys.argv[0] + ".born", "a") as born: print(time.time(), file=born)
say("hello", {"protocol": 1})
os._exit(1)
"#;
    let (_dir, path) = application("bad.py", &format!("{}{bad}", WELL.replace("if not first: well()", "")));
    let yaml = format!("runners:\n  bad: {{command: [python3, {path}], jobs: '*'}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::launch(&redis.url(), &["-C", &config.path(), "-c", "1"]);
    let born = || -> Vec<f64> {
        let lines = crate::runners::lines_of(std::path::Path::new(&format!("{path}.born")));
        lines.iter().filter_map(|line| line.parse().ok()).collect()
    };
    wait_until("five were started", || born().len() >= 5);
    let born = born();
    // The first pause is 0.1 s, and each is twice the one before.
    for (pair, pause) in born.windows(2).zip([0.1, 0.2, 0.4, 0.8]) {
        assert!(pair[1] - pair[0] >= pause, "{pause} in {born:?}");
    }
    worker.stop();
}

#[test]
fn many_children_that_die_leave_neither_descriptors_nor_zombies() {
    let redis = Redis::start();
    let bad = "say('hello', {'protocol': 1})\nfor id, about, payload in jobs():\n    say('done', id)\n    say('bye')";
    let (_dir, path) = application("bad.py", &format!("{}{bad}", WELL.replace("if not first: well()", "")));
    let yaml = format!("runners:\n  bad: {{command: [python3, {path}], jobs: '*'}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    let files = || std::fs::read_dir(format!("/proc/{}/fd", worker.pid())).unwrap().count();
    let push = |count: u64| {
        let before = redis.processed();
        for n in 0..count {
            redis.push("default", &[format!(r#"{{"name":"N","args":[],"jid":"{n}"}}"#)]);
        }
        wait_until("all have run", || redis.processed() == before + count);
    };
    push(5);
    let before = files();
    push(40);
    // One child more or less has three of them.
    wait_until("its descriptors are those of before", || files() <= before + 6);
    wait_until("no zombie is left", || descendants(worker.pid()).iter().all(|pid| is_alive(*pid)));
    assert_eq!(redis.count(DEAD), 0);
    worker.stop();
}

/// Its last word frees a thread, for which a job waits; the worker, stopped meanwhile, hears of both at once.
#[test]
fn a_job_that_waits_is_not_given_to_a_child_that_is_gone() {
    let redis = Redis::start();
    let bad = r#"
say("hello", {"protocol": 1})
for id, *_ in jobs():
    # Five more wait for this thread.
    time.sleep(0.02)
    worker, me = os.getppid(), os.getpid()
    ended, ends = os.pipe()
    wakes = os.fork()
    if wakes == 0:
        file.close(); sock.close(); os.close(ends)
        os.read(ended, 1)
        while os.path.exists(f"/proc/{me}/fd/0"): pass
        os.kill(worker, signal.SIGCONT)
        os._exit(0)
    # Threads of the worker that run on for a moment may end this group.
    os.setpgid(wakes, wakes)
    os.kill(worker, signal.SIGSTOP)
    say("done", id)
    os._exit(0)
"#;
    let (_dir, path) = application("bad.py", &format!("{WELL}{bad}"));
    let yaml = format!("runners:\n  bad: {{command: [python3, {path}], jobs: '*'}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-c", "6"]);
    let jobs: Vec<String> = (0..6).map(|n| format!(r#"{{"name":"N","args":[],"jid":"{n}"}}"#)).collect();
    redis.push("default", &jobs);
    wait_until("all have run", || redis.processed() == 6);
    worker.wait_for_line("a child ended; another one is started");
    assert_eq!((redis.count(DEAD), redis.failures()), (0, 0));
    worker.stop();
}

/// It frees a thread, for which a job waits, and takes that back in the same breath.
#[test]
fn a_job_that_waits_is_not_given_to_a_child_that_takes_no_more_and_which_is_told_to_end() {
    let redis = Redis::start();
    let bad = r#"
say("hello", {"protocol": 1})
for id, *_ in jobs():
    # The others wait for this thread.
    time.sleep(0.02)
    sock.sendall(b'["done",%d]\n["bye"]\n' % id)
    for line in file:
        if json.loads(line)[0] == "job": os._exit(1)
        sys.exit(0)
"#;
    let (_dir, path) = application("bad.py", &format!("{}{bad}", WELL.replace("if not first: well()", "")));
    let yaml = format!("runners:\n  bad: {{command: [python3, {path}], jobs: '*'}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-c", "4"]);
    let jobs: Vec<String> = (0..4).map(|n| format!(r#"{{"name":"N","args":[],"jid":"{n}"}}"#)).collect();
    redis.push("default", &jobs);
    wait_until("all have run", || redis.processed() == 4);
    assert_eq!((redis.count(DEAD), worker.lines("a child ended")), (0, Vec::new()));
    worker.stop();
}

#[test]
fn a_worn_child_is_told_to_end_once() {
    let redis = Redis::start();
    let bad = r#"
say("hello", {"protocol": 1})
heard = sock.recv(65536)
say("done", json.loads(heard)[1])
heard = sock.recv(65536)
with open(sys.argv[0] + ".heard", "ab") as out: out.write(heard)
"#;
    let (_dir, path) = application("bad.py", &format!("{}{bad}", WELL.replace("if not first: well()", "")));
    let yaml = format!("runners:\n  bad: {{command: [python3, {path}], jobs: '*', max_jobs: 1}}\n");
    let config = config_file(&yaml);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    redis.push("default", &[r#"{"name":"N","args":[],"jid":"1"}"#.to_owned()]);
    let heard = || crate::runners::lines_of(std::path::Path::new(&format!("{path}.heard")));
    wait_until("it was told to end", || !heard().is_empty());
    assert_eq!(heard(), ["[\"bye\"]"]);
    worker.stop();
}
