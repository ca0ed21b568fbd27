//! A worker, its producers and its operators under a user who may do what they need and nothing else.

use std::time::Duration;

use jiggler_uring::store::rights;

use crate::harness::account::lists_in_flight;
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, output_of};

/// A lease and the look for it, on a loaded machine.
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);

/// Makes a user of these rules and gives its url.
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

/// Retry, dead set, recovery of a killed process, scheduled jobs, cancelling, summary: nothing is denied.
#[test]
fn everything_works_under_the_rights_of_the_table_and_nothing_is_denied() {
    let redis = Redis::start();
    let url = url_of_user(&redis, &rights::acl_line(rights::Reach::Directly));
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
    wait_until("one is to be retried and one is dead", || {
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
    assert!(worker.lines("tells of no new").is_empty());
}

#[test]
fn a_right_that_is_missing_ends_the_boot_with_the_line_to_add() {
    let redis = Redis::start();
    let line = rights::acl_line(rights::Reach::Directly);
    let check = |without: &[&str], says: &str| {
        let rules: Vec<&str> = line.split(' ').filter(|rule| !without.contains(rule)).collect();
        let url = url_of_user(&redis, &rules.join(" "));
        let output = output_of(&["--redis-url", &url]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(says), "{without:?}: {error}");
    };
    check(&["+blmove", "+zadd"], "ACL SETUSER jiggler +blmove +zadd");
    check(&["~{jiggler:list:*"], "ACL SETUSER jiggler ~{jiggler:list:*");
    check(&["&jiggler:uring:cancel"], "ACL SETUSER jiggler +publish &jiggler:uring:cancel +subscribe");
    check(&["+eval"], "ACL SETUSER jiggler +eval");
    check(&["+info"], "ACL SETUSER jiggler +info");
    check(&["+evalsha"], "ACL SETUSER jiggler +evalsha");
}
