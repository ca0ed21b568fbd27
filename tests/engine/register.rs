//! What names queues and processes: producers and workers of ours, and one look at a database that has none. It costs
//! commands no walk over all keys, and nothing else depends on it.

use std::process::Output;
use std::time::Duration;

use jiggler_uring::internal::wire::keys::JIGGLER;

use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, json, output_of};

/// A worker asks whether it may walk half a minute after its start.
const WALKED_WITHIN: Duration = Duration::from_secs(60);

/// A worker publishes its figures every ten seconds if they have changed, and the register is told with them.
const NAMED_WITHIN: Duration = Duration::from_secs(40);

fn run(redis: &Redis, command: &[&str]) -> Output {
    output_of(&[command, &["--redis-url", &redis.url()]].concat())
}

/// The names of the queues that `summary` shows, and what it writes to standard error.
fn queues(redis: &Redis) -> (Vec<String>, String) {
    let output = run(redis, &["summary", "--json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let summary = json(output.stdout);
    (summary["queues"].as_object().unwrap().keys().cloned().collect(), said)
}

/// How often SCAN was called.
fn scans(redis: &Redis) -> usize {
    let info = redis.run(&["INFO", "commandstats"]);
    let info = String::from_utf8(info.as_bulk().unwrap().to_vec()).unwrap();
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_scan:calls=")?.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

fn fill(redis: &Redis) {
    redis.run(&["EVAL", "for n = 1, 20000 do redis.call('SET', 'other:' .. n, n) end", "0"]);
}

/// Queues that nobody names. A look takes a page of a twentieth of the keys, and so finds one by chance, but not all.
const UNNAMED: usize = 10;

fn push_unnamed(redis: &Redis) {
    (0..UNNAMED).for_each(|number| redis.push(&format!("unnamed{number}"), &[r#"{"name":"Noop"}"#]));
}

/// How many of them were found.
fn unnamed(found: &[String]) -> usize {
    found.iter().filter(|queue| queue.starts_with("unnamed")).count()
}

#[test]
fn a_large_database_is_looked_through_once_and_what_our_clients_push_is_seen_at_once() {
    let redis = Redis::start();
    fill(&redis);
    redis.push("foreign", &[r#"{"name":"Noop"}"#]);
    let (found, said) = queues(&redis);
    assert!(found == ["foreign"] && said.contains("all its keys are looked through"), "{found:?}: {said}");
    assert!(run(&redis, &["enqueue", "Noop", "--queue", "fresh"]).status.success());
    let before = scans(&redis);
    let (found, said) = queues(&redis);
    assert_eq!((found, said.as_str()), (vec!["foreign".to_owned(), "fresh".to_owned()], ""));
    assert!(scans(&redis) - before <= 2, "a page for processes and one for queues");
    for command in [&["queues"][..], &["processes"], &["doctor"], &["top", "--once"], &["enqueue", "Noop"]] {
        let before = scans(&redis);
        let output = run(&redis, command);
        let (said, looked) = (String::from_utf8(output.stderr).unwrap(), scans(&redis) - before);
        assert!(!said.contains("looked through") && looked <= 4, "{command:?}: {looked} pages; {said}");
    }
    // Until the next walk; a flush heals with the next look.
    push_unnamed(&redis);
    assert!(unnamed(&queues(&redis).0) < UNNAMED);
    redis.run(&["DEL", JIGGLER.register().unwrap().walked]);
    assert_eq!(unnamed(&queues(&redis).0), UNNAMED);
}

#[test]
fn a_worker_names_itself_and_what_it_serves_and_a_dead_one_is_not_shown() {
    let redis = Redis::start();
    fill(&redis);
    let register = JIGGLER.register().unwrap();
    let named = |set| redis.list(&["ZRANGE", set, "0", "-1"]).len();
    let shown = || json(run(&redis, &["processes", "--json"]).stdout)["processes"].as_array().unwrap().len();
    let mut killed = Worker::start(&redis, &["-q", "a,b"]);
    wait_until("it is named", || named(register.processes) == 1 && named(register.queues) == 2);
    assert_eq!(shown(), 1);
    killed.kill();
    // As when it expires.
    redis.keys("jiggler:svr:*").iter().for_each(|key| _ = redis.run(&["DEL", key]));
    assert_eq!((shown(), named(register.processes)), (0, 1));
    let mut stopped = Worker::start(&redis, &[]);
    wait_until("it is named", || named(register.processes) == 2);
    stopped.stop();
    assert_eq!(named(register.processes), 1, "it took its leave");
}

#[test]
fn what_only_ruby_programs_made_is_found_by_a_look_or_by_the_walk_of_a_worker_and_what_is_gone_is_dropped() {
    let redis = Redis::start();
    fill(&redis);
    let register = JIGGLER.register().unwrap();
    redis.run(&["SET", register.walked, "1"]);
    redis.run(&["ZADD", register.queues, "1", "gone", "1", "waits"]);
    redis.run(&["ZADD", register.processes, "1", "jiggler:svr:aaaaaaaaaaaa:3:25:default:1:1:7:vm"]);
    redis.push("waits", &[r#"{"name":"Noop"}"#]);
    push_unnamed(&redis);
    let (found, said) = queues(&redis);
    assert!(unnamed(&found) < UNNAMED && found.contains(&"waits".to_owned()), "{found:?}");
    assert_eq!(said, "");
    for command in ["queues", "summary"] {
        let output = run(&redis, &[command, "--look", "--json"]);
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("unnamed0") && output.stderr.is_empty(), "{command}: {shown}");
    }
    assert!(run(&redis, &["processes", "--look"]).status.success());
    assert_eq!(unnamed(&queues(&redis).0), UNNAMED, "the look was noted");
    redis.push("later", &[r#"{"name":"Noop"}"#]);
    let mut worker = Worker::start(&redis, &["-q", "served"]);
    wait_within(WALKED_WITHIN, "the worker has walked over all keys", || {
        let named = redis.list(&["ZRANGE", register.queues, "0", "-1"]);
        let is_named = ["gone", "later"].map(|queue| named.iter().any(|name| name == queue.as_bytes()));
        (is_named == [false, true]).then_some(())
    });
    let before = scans(&redis);
    let (found, said) = queues(&redis);
    assert!(unnamed(&found) == UNNAMED && found.contains(&"later".to_owned()), "{found:?}");
    assert_eq!(said, "");
    // The worker may be between two pages of its walk.
    assert!(scans(&redis) - before <= 4, "a page for processes and one for queues");
    wait_until("the dead process is dropped", || redis.count(register.processes) == 1);
    worker.stop();
}

#[test]
fn a_flushed_redis_knows_its_worker_again_soon() {
    let redis = Redis::start();
    let register = JIGGLER.register().unwrap();
    let mut worker = Worker::start(&redis, &["-q", "a,b"]);
    wait_until("it is named", || redis.count(register.queues) == 2);
    redis.run(&["FLUSHALL"]);
    fill(&redis);
    redis.push("a", &[r#"{"name":"Noop"}"#]);
    wait_within(NAMED_WITHIN, "it is named again", || {
        (redis.count(register.queues) == 2 && redis.count(register.processes) == 1).then_some(())
    });
    assert!(run(&redis, &["enqueue", "Noop", "--queue", "c"]).status.success());
    assert!(queues(&redis).0.contains(&"c".to_owned()));
    worker.stop();
}

#[test]
fn a_spoilt_register_is_reported_by_name_and_stops_nobody() {
    let redis = Redis::start();
    let register = JIGGLER.register().unwrap();
    redis.run(&["SET", register.queues, "x"]);
    redis.run(&["SET", register.processes, "x"]);
    let mut worker = Worker::start(&redis, &[]);
    assert!(run(&redis, &["enqueue", "Noop"]).status.success());
    wait_until("the job has run", || redis.processed() == 1);
    wait_until("it is told", || !worker.lines(register.queues).is_empty());
    redis.push("foreign", &[r#"{"name":"Noop"}"#]);
    for command in [&["summary"][..], &["queues"], &["processes"], &["queues", "--look"]] {
        let output = run(&redis, command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains(register.processes), "{command:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(command == ["processes"] || shown.contains("foreign"), "{shown}");
    }
    assert!(run(&redis, &["top", "--once"]).status.success());
    worker.stop();
    assert_eq!(worker.lines("a key is spoilt").len(), 1, "once");
}

#[test]
fn without_the_right_to_read_the_register_a_worker_works_and_a_command_looks_through_all_keys() {
    let redis = Redis::start();
    fill(&redis);
    redis.run(&["SET", JIGGLER.register().unwrap().walked, "1"]);
    redis.push("foreign", &[r#"{"name":"Noop"}"#]);
    redis.run(&["ACL", "SETUSER", "default", "-zscan"]);
    let mut worker = Worker::start(&redis, &[]);
    assert!(run(&redis, &["enqueue", "Noop"]).status.success());
    wait_until("the job has run", || redis.processed() == 1);
    let (found, said) = queues(&redis);
    assert!(found.contains(&"foreign".to_owned()) && said.contains("NOPERM"), "{found:?}: {said}");
    worker.stop();
}
