//! What is shipped fits the program: the unit's times, the container profile, the files that packages contain.
#![expect(clippy::unwrap_used, clippy::panic, reason = "part of a test")]

use std::fs;
use std::time::Duration;

use jiggler_uring::internal::limits::{STALLED_AFTER, STOP_TIMEOUT};

use super::root;

/// Without these there is no ring.
const RING_CALLS: [&str; 3] = ["io_uring_setup", "io_uring_enter", "io_uring_register"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The value of a setting of the unit.
#[track_caller]
fn setting(unit: &str, name: &str) -> String {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("the unit has no {name}")).to_owned()
}

#[test]
fn the_unit_waits_longer_than_the_program() {
    let unit = read("packaging/jiggler-uring.service");
    let seconds = |name: &str| Duration::from_secs(setting(&unit, name).parse().unwrap());
    assert!(seconds("TimeoutStopSec") > STOP_TIMEOUT);
    // Half of it is how long a shard may stand still; a stall is logged long before.
    assert!(seconds("WatchdogSec") / 2 > 2 * STALLED_AFTER);
    assert_eq!(setting(&unit, "Type"), "notify");
    assert!(RING_CALLS.iter().all(|call| setting(&unit, "SystemCallFilter").contains(call)));
    let ours: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let deb = &ours["package"]["metadata"]["deb"];
    let installed: Vec<&str> =
        deb["assets"].as_array().unwrap().iter().map(|asset| asset[1].as_str().unwrap()).collect();
    for path in
        [setting(&unit, "EnvironmentFile"), setting(&unit, "ExecStart").split(' ').nth(2).unwrap().to_owned()]
    {
        assert!(installed.contains(&&path[1..]), "{path} is not in any package");
        assert!(
            deb["conf-files"].as_array().unwrap().iter().any(|file| file.as_str() == Some(&path)),
            "{path}"
        );
    }
}

#[test]
fn files_of_the_package_exist_and_the_secret_is_for_root() {
    let ours: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    for asset in ours["package"]["metadata"]["deb"]["assets"].as_array().unwrap() {
        let [from, to, mode] = [0, 1, 2].map(|at| asset[at].as_str().unwrap());
        // Build outputs do not exist yet.
        assert!(from.starts_with("target/") || root().join(from).is_file(), "{from}");
        assert_eq!(mode == "600", to == "etc/jiggler-uring/environment", "{to}");
    }
}

#[test]
fn containers_may_create_rings_but_no_namespaces() {
    let profile: serde_json::Value = serde_json::from_str(&read("packaging/seccomp.json")).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().unwrap();
    let plain = rules.iter().filter(|rule| rule["action"] == "SCMP_ACT_ALLOW" && rule.get("args").is_none());
    let allowed: Vec<&str> =
        plain.flat_map(|rule| rule["names"].as_array().unwrap()).map(|n| n.as_str().unwrap()).collect();
    assert!(RING_CALLS.iter().all(|call| allowed.contains(call)));
    for call in ["unshare", "setns", "mount", "ptrace", "bpf", "clone", "clone3", "keyctl"] {
        assert!(!allowed.contains(&call), "{call} is allowed");
    }
    assert!(read("packaging/compose.yml").contains("seccomp:./seccomp.json"));
}

#[test]
fn make_test_runs_every_test_binary() {
    let makefile = read("Makefile");
    let ours: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let told = ours["test"].as_array().unwrap().iter().filter(|test| test.get("test").is_none());
    let mut names: Vec<String> = told.map(|test| test["name"].as_str().unwrap().to_owned()).collect();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let folder = entry.unwrap().path();
        if folder.join("main.rs").is_file() {
            names.push(folder.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(names.len() > 3, "{names:?}");
    for name in names {
        assert!(makefile.contains(&format!("--test {name}")), "make test does not run {name}");
    }
}
