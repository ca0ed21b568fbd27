//! A worker, its producers and its operators under a user who may do what they need and nothing else.

use std::time::Duration;

use jiggler_uring::internal::store::rights;
use jiggler_uring::internal::wire::keys::JIGGLER;

use crate::harness::account::lists_in_flight;
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, output_of};

/// A lease and the check for it, on a loaded machine.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);

/// Creates a user with these rules and returns its url.
fn url_of_user(redis: &Redis, rules: &str) -> String {
    let mut words = vec!["ACL", "SETUSER", "jiggler", "reset", "on", ">pw"];
    words.extend(rules.split(' '));
    redis.run(&words);
    redis.tcp_url().replace("//", "//jiggler:pw@")
}

fn denied(redis: &Redis) -> Vec<String> {
    let log = redis.run(&["ACL", "LOG"]);
    log.as_array().unwrap().map(|entry| format!("{entry:?}")).collect()
}

/// Retry, dead set, recovery of a killed process, scheduled jobs, cancellation, summary: nothing is denied.
#[test]
fn everything_works_under_the_rights_of_the_table_and_nothing_is_denied() {
    let redis = Redis::start();
    let url = url_of_user(&redis, &rights::acl_line(JIGGLER, rights::Reach::Directly));
    let run = |command: &[&str]| {
        let output = output_of(&[command, &["--redis-url", &url]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut killed = Worker::launch(&url, &["-v"]);
    killed.wait_for_line(" working ");
    redis.push("default", &[r#"{"name":"Sleep","args":[2],"jid":"recovered"}"#]);
    wait_until("it runs", || redis.queue("default").is_empty());
    killed.kill();

    let mut worker = Worker::launch(&url, &["-v", "--cores", "2", "-q", "default,other:2"]);
    worker.wait_for_line(" working ");
    run(&["enqueue", "Noop", "[]", "--count", "200"]);
    run(&["enqueue", "Noop", "[]", "--in", "1", "--queue", "other"]);
    run(&["enqueue", "Fail", r#"["later"]"#, "--retries", "1"]);
    run(&["enqueue", "Fail", r#"["never"]"#]);
    wait_until("the scheduled one has run", || redis.processed() >= 203);
    wait_until("one waits for its retry and one is dead", || {
        redis.count(RETRIES) == 1 && redis.count(DEAD) == 1
    });
    redis.push("default", &[r#"{"name":"Sleep","args":[600],"jid":"cancelled"}"#]);
    wait_until("it runs", || redis.queue("default").is_empty());
    assert!(run(&["summary", "--json"]).contains("processed_count"));
    run(&["cancel", "cancelled"]);
    wait_until("it is dead", || redis.count(DEAD) == 2);
    wait_within(RECOVERED_WITHIN, "the killed one's job is recovered", || {
        worker.lines("its jobs are back in their queues").first().map(drop)
    });
    wait_until("the retry has failed for good", || redis.count(DEAD) == 3 && redis.count(RETRIES) == 0);
    wait_until("what was recovered has run", || {
        redis.queue("default").is_empty() && lists_in_flight(&redis).is_empty()
    });
    worker.stop();
    assert_eq!(denied(&redis), [""; 0]);
    assert!(worker.lines("NOPERM").is_empty() && worker.lines("redis is gone").is_empty());
    assert_eq!(worker.lines("lost the connection to redis"), [""; 0]);
    assert!(worker.lines("does not report new").is_empty());
}

#[test]
fn a_missing_right_ends_the_boot_with_the_line_to_add() {
    let redis = Redis::start();
    let line = rights::acl_line(JIGGLER, rights::Reach::Directly);
    let check = |without: &[&str], says: &str| {
        let rules: Vec<&str> = line.split(' ').filter(|rule| !without.contains(rule)).collect();
        let url = url_of_user(&redis, &rules.join(" "));
        let output = output_of(&["--redis-url", &url]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(says), "{without:?}: {error}");
    };
    check(&["+blmove", "+zadd"], "ACL SETUSER jiggler +blmove +zadd");
    check(&["~{jiggler:list:*"], "ACL SETUSER jiggler ~{jiggler:list:*");
    check(&["&jiggler:uring:cancel:*"], "ACL SETUSER jiggler +publish &jiggler:uring:cancel:* +subscribe");
    check(&["+eval"], "ACL SETUSER jiggler +eval");
    check(&["+info"], "ACL SETUSER jiggler +info");
    check(&["+evalsha"], "ACL SETUSER jiggler +evalsha");
}

/// A right is revoked while a worker runs, with a connection that stays and with one that must resume: the shard is
/// not presumed dead, says what is missing, and continues when the right is granted again.
#[test]
fn a_revoked_right_is_an_outage_that_names_it_and_not_a_fence() {
    for cut_off in [false, true] {
        let redis = Redis::start();
        let url = url_of_user(&redis, &rights::acl_line(JIGGLER, rights::Reach::Directly));
        let mut worker = Worker::launch(&url, &["-v"]);
        worker.wait_for_line(" working ");
        let uuid = redis.uuid();
        wait_until("it waits", || redis.waiting() == 1);
        redis.run(&["ACL", "SETUSER", "jiggler", "-hmget"]);
        if cut_off {
            redis.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        }
        redis.push("default", &[r#"{"name":"Noop","args":[],"jid":"one"}"#]);
        worker.wait_for_line("let an administrator run ACL SETUSER jiggler +hmget");
        assert_eq!(redis.processed(), 0);
        redis.run(&["ACL", "SETUSER", "jiggler", "+hmget"]);
        wait_until("the job's end is reported", || {
            redis.processed() == 1 && lists_in_flight(&redis).is_empty()
        });
        assert_eq!(redis.uuid(), uuid, "the process did not start over");
        worker.wait_for_line("redis is back");
        assert!(worker.lines("believed dead").is_empty());
        worker.stop();
    }
}

#[test]
fn a_turn_that_is_denied_halfway_is_not_retried_over_and_over() {
    let redis = Redis::start();
    let url = url_of_user(&redis, &rights::acl_line(JIGGLER, rights::Reach::Directly));
    let mut worker = Worker::launch(&url, &["-v"]);
    worker.wait_for_line(" working ");
    wait_until("it waits", || redis.waiting() == 1);
    redis.run(&["ACL", "SETUSER", "jiggler", "-unlink"]);
    let jobs: Vec<String> =
        (0..100).map(|at| format!(r#"{{"name":"Noop","args":[{at}],"jid":"job{at}"}}"#)).collect();
    redis.push("default", &jobs);
    worker.wait_for_line("let an administrator run ACL SETUSER jiggler +unlink");
    let ran = redis.processed();
    redis.run(&["ACL", "SETUSER", "jiggler", "+unlink"]);
    wait_until("all have run", || redis.queue("default").is_empty() && lists_in_flight(&redis).is_empty());
    assert!(redis.processed() <= ran + 200, "{} after {ran}", redis.processed());
    worker.stop();
}

#[test]
fn a_stop_without_a_right_still_ends() {
    let redis = Redis::start();
    let url = url_of_user(&redis, &rights::acl_line(JIGGLER, rights::Reach::Directly));
    let mut worker = Worker::launch(&url, &["-v"]);
    worker.wait_for_line(" working ");
    wait_until("it waits", || redis.waiting() == 1);
    redis.run(&["ACL", "SETUSER", "jiggler", "-hmget"]);
    worker.signal("TERM");
    worker.wait_for_end();
    assert!(worker.lines("believed dead").is_empty());
    assert!(!worker.lines("ACL SETUSER jiggler +hmget").is_empty());
}

/// Each command names the right that it lacks, and only its own: a producer is not asked to grant a worker's.
#[test]
fn a_denied_command_says_which_right_to_grant() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"Noop","args":[],"jid":"waits"}"#]);
    let keys = "~jiggler:* ~{jiggler:list:*";
    let check = |rules: &str, command: &[&str], line: &str| {
        let url = url_of_user(&redis, rules);
        let output = output_of(&[command, &["--redis-url", &url]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = format!("let an administrator run ACL SETUSER jiggler {line}\n");
        assert!(output.status.code() == Some(1) && error.ends_with(&line), "{command:?}: {error}");
    };
    check(&format!("+zadd +ping {keys}"), &["enqueue", "Noop"], "+lpush");
    check(&format!("+lpush +ping {keys}"), &["enqueue", "Noop", "--in", "5"], "+zadd");
    check("+lpush +zadd +ping", &["enqueue", "Noop"], keys);
    check(&format!("+eval +ping {keys}"), &["enqueue", "Noop"], "+lpush +zadd");
    check(&format!("+scan +zcard +mget +llen {keys}"), &["summary"], "+get");
    check(&format!("+ping {keys}"), &["cancel", "j"], "+publish");
    let operator = rights::acl_line_of(rights::Role::Operator, JIGGLER, rights::Reach::Directly);
    let without = |rule: &str| operator.replace(&format!("{rule} "), "");
    check(&without("+script|load"), &["jobs", "dead"], "+script|load");
    check(&without("+zcard"), &["jobs", "dead"], "+zcard");
    check(&without("+llen"), &["queues"], "+llen");
    for command in [&["jobs", "dead"][..], &["queues"], &["processes"], &["top", "--once"]] {
        let url = url_of_user(&redis, &operator);
        assert_eq!(
            output_of(&[command, &["--redis-url", &url]].concat()).status.code(),
            Some(0),
            "{command:?}"
        );
    }
}
