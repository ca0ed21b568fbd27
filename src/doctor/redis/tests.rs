//! Each check against a real server that has what it looks for, and the pure decisions by their values.

use super::*;
use crate::config::{GivenUrl, Origin};
use crate::doctor::Status;
use crate::own_redis::OwnRedis;
use crate::wire::Dialect;

fn check(redis: &OwnRedis, name: &str) -> (Status, String) {
    let given = GivenUrl { url: redis.url(), origin: Origin::Flag("redis-url"), dialect: Dialect::default() };
    let config = Config { redis_url: Some(given), cores: Some(1), ..Config::default() };
    let check = checks(&config, &|_| None).into_iter().find(|check| check.name == name).unwrap();
    (check.status, check.found)
}

fn run(redis: &OwnRedis, command: &[&str]) {
    let mut requests = Requests::new();
    requests.command(&command.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
    BlockingConnection::connect(&redis.url()).unwrap().call_one(&requests).unwrap();
}

#[test]
fn a_plain_server_is_well_but_for_its_file() {
    let redis = OwnRedis::start();
    for name in [
        "redis",
        "latency",
        "clock",
        "role",
        "memory policy",
        "memory",
        "connections",
        "timeout",
        "tracking",
        "rights",
        "ruby servers",
    ] {
        assert_eq!(check(&redis, name).0, Status::Ok, "{name}: {:?}", check(&redis, name));
    }
    assert_eq!(check(&redis, "persistence").0, Status::Warning);
}

#[test]
fn a_rule_for_idle_connections_is_named_with_its_value_and_what_to_set() {
    let redis = OwnRedis::start_with(&["--timeout", "5"]);
    let (status, found) = check(&redis, "timeout");
    assert!(status == Status::Warning && found.contains("idle for 5 s"), "{found}");
    assert!(idleness_check(5).advice.unwrap().contains("`timeout 0`"));
    let hidden = OwnRedis::start_with(&["--rename-command", "CONFIG", ""]);
    assert_eq!(check(&hidden, "timeout").0, Status::Skipped);
}

#[test]
fn what_costs_jobs_fails_and_what_costs_less_is_a_warning() {
    let redis = OwnRedis::start_with(&["--appendonly", "yes"]);
    assert_eq!(check(&redis, "persistence"), (Status::Ok, "append-only file".to_owned()));
    let policy = |policy: &str, maxmemory: &str| {
        run(&redis, &["CONFIG", "SET", "maxmemory-policy", policy]);
        run(&redis, &["CONFIG", "SET", "maxmemory", maxmemory]);
        check(&redis, "memory policy").0
    };
    assert_eq!(policy("allkeys-lru", "1gb"), Status::Failed);
    assert_eq!(policy("allkeys-lru", "0"), Status::Warning);
    assert_eq!(policy("volatile-ttl", "1gb"), Status::Warning);
    run(&redis, &["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(check(&redis, "role").0, Status::Failed);
}

#[test]
fn a_user_without_rights_sees_which_are_missing() {
    let redis = OwnRedis::start();
    run(&redis, &["ACL", "SETUSER", "default", "-blmove", "-client|tracking"]);
    let (status, found) = check(&redis, "rights");
    assert!(status == Status::Failed && found.contains("+blmove"), "{found}");
    assert_eq!(check(&redis, "tracking").0, Status::Warning);
}

#[test]
fn a_server_that_is_away_fails_and_none_at_all_is_a_warning() {
    let redis = OwnRedis::start();
    let url = redis.url();
    drop(redis);
    let given = GivenUrl { url, origin: Origin::Flag("redis-url"), dialect: Dialect::default() };
    let config = Config { redis_url: Some(given), ..Config::default() };
    let found = checks(&config, &|_| None);
    assert_eq!((found.len(), found[0].status), (1, Status::Failed));
}

#[test]
fn clocks_and_round_trips_are_judged_with_their_error() {
    assert_eq!(skew_check(0.9, 0.0).status, Status::Ok);
    assert_eq!(skew_check(-1.2, 0.3).status, Status::Ok, "it may be the network");
    let check = skew_check(-1.5, 0.25);
    assert!(check.status == Status::Warning && check.found.contains("1500.0 ms behind redis"), "{check:?}");
    assert_eq!(latency(&mut [Duration::from_millis(1), Duration::from_millis(300)]).status, Status::Warning);
    assert_eq!(latency(&mut [Duration::from_millis(1); 3]).status, Status::Ok);
}
