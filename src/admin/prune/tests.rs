//! What `prune` deletes from a real Redis, and what it leaves.

use super::*;
use crate::admin::test_database::database;
use crate::{own_redis::OwnRedis, store::entries::Set, wire::keys::JIGGLER};

fn run(redis: &OwnRedis, what: &What) -> String {
    let mut out = Vec::new();
    prune(&database(redis), what, Confirmation::Given, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const LIVING: &str = "jiggler:svr:aaaaaaaaaaaa:3:25:default:1:1795299901:8066:vm";
const GONE: &str = "jiggler:svr:bbbbbbbbbbbb:3:25:default:1:1795299901:8067:vm";
const RUNS: &str = "jiggler:list:img:in_progress:aaaaaaaaaaaa";
const IN_FLIGHT: &str = "{jiggler:list:img}:inflight:cccccccccccc:0:7";

fn fill(redis: &OwnRedis) {
    for key in ["jiggler:list:img", "jiggler:list:default", RUNS, IN_FLIGHT] {
        redis.run(&[b"RPUSH", key.as_bytes(), b"a", b"b"]);
    }
    for set in Set::ALL {
        redis.run(&[b"ZADD", set.key_in(&JIGGLER.shared_realm()).as_bytes(), b"1", b"a"]);
    }
    redis.run(&[b"SET", b"jiggler:stats:failures_counter", b"3"]);
    redis.run(&[b"SET", b"jiggler:stats:processed_counter", b"9"]);
    redis.run(&[b"SET", LIVING.as_bytes(), b"{}", b"EX", b"190"]);
    redis.run(&[b"SET", GONE.as_bytes(), b"{}", b"EX", b"100"]);
    redis.run(&[b"SET", b"foreign", b"value"]);
}

fn keys(redis: &OwnRedis) -> Vec<String> {
    let mut keys = redis.strings(&[b"KEYS", b"*"]);
    keys.sort();
    keys
}

#[test]
fn each_word_deletes_what_it_names_and_nothing_else() {
    let table = [
        (What::Queue("img".parse().unwrap()), &["jiggler:list:img"][..], "deleted 2 jobs of queue img\n"),
        (
            What::Queues,
            &["jiggler:list:img", "jiggler:list:default"],
            "deleted 2 jobs of queue default\ndeleted 2 jobs of queue img\n",
        ),
        (What::Set(Set::Retries), &["jiggler:set:retries"], "deleted 1 job of the retry set\n"),
        (What::Set(Set::Scheduled), &["jiggler:set:scheduled"], "deleted 1 job of the scheduled set\n"),
        (What::Set(Set::Dead), &["jiggler:set:dead"], "deleted 1 job of the dead set\n"),
        (
            What::Failures,
            &["jiggler:stats:failures_counter"],
            "deleted the counter of failures, which was at 3\n",
        ),
        (
            What::Processed,
            &["jiggler:stats:processed_counter"],
            "deleted the counter of processed jobs, which was at 9\n",
        ),
        (What::Processes, &[GONE], "deleted 1 heartbeat of a process that is gone, left 1 of live ones\n"),
    ];
    for (what, deleted, said) in table {
        let redis = OwnRedis::start();
        assert!(matches!(run(&redis, &what).as_str(), "nothing to prune\n"));
        fill(&redis);
        let mut expected = keys(&redis);
        expected.retain(|key| !deleted.contains(&key.as_str()));
        assert_eq!(run(&redis, &what), said);
        assert_eq!(keys(&redis), expected, "{what:?}");
    }
}

#[test]
fn everything_is_what_the_gem_deletes_but_what_runs_and_lives() {
    let redis = OwnRedis::start();
    fill(&redis);
    redis.run(&[b"RPUSH", b"jiggler:list:a:b", b"x"]);
    let said = run(&redis, &What::All);
    assert_eq!(said.lines().filter(|line| line.starts_with("deleted ")).count(), 8, "{said}");
    assert!(said.contains("left queue a:b, which no worker may be given"), "{said}");
    let mut left = [LIVING, RUNS, IN_FLIGHT, "foreign", "jiggler:list:a:b"];
    left.sort_unstable();
    assert_eq!(keys(&redis), left);
}

#[test]
fn the_question_names_what_is_there() {
    let redis = OwnRedis::start();
    fill(&redis);
    let question = question(&find(&database(&redis), &What::All, &mut None).unwrap());
    for part in ["  2 jobs of queue img\n", "  1 job of the dead set\n", "at 3\n", "heartbeats of processes"]
    {
        assert!(question.contains(part), "{question}");
    }
}
