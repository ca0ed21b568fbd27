//! `doctor` on the real binary: its exit status and its two output formats.

use crate::harness::{Redis, json, output_of};

#[test]
fn doctor_finds_a_good_machine_and_says_what_is_wrong_with_a_server() {
    let redis = Redis::start_durable();
    let output = output_of(&["doctor", "--json", "--cores", "1", "--redis-url", &redis.url()]);
    let report = json(&output.stdout);
    assert_eq!((output.status.code(), &report["ok"]), (Some(0), &true.into()), "{report}");
    redis.run(&["CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru"]);
    let output = output_of(&["doctor", "--cores", "1", "--redis-url", &redis.url()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAILED   memory policy") && said.contains("noeviction"), "{said}");
    let output = output_of(&["doctor", "--json", "--redis-url", "unix:///nonexistent/redis.sock"]);
    let report = json(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(report["checks"].as_array().unwrap().len() > 5, "the machine is still checked: {report}");
}
