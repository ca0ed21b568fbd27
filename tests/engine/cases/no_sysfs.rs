//! A machine that reveals little about itself, as sandboxes do: without /sys a worker works, and says what it cannot see.
//!
//! The test hides /sys from the worker in a separate mount namespace; where the machine allows none, it hides nothing.

use std::process::{Command, Stdio};

use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker};

/// Runs the program where /sys is empty.
fn hidden(arguments: &[&str]) -> Command {
    let script = "mount -t tmpfs none /sys && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, env!("CARGO_BIN_EXE_jiggler-uring")]).args(arguments);
    command.env_remove("REDIS_URL").env_remove("APP_ENV").stdin(Stdio::null());
    command
}

fn may_hide() -> bool {
    let hides = ["-rm", "mount", "-t", "tmpfs", "none", "/sys"];
    Command::new("unshare").args(hides).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn a_worker_works_where_sys_is_not_mounted_and_says_what_is_missing() {
    if !may_hide() {
        eprintln!("no mount namespace may be created here, so this proves nothing");
        return;
    }
    let redis = Redis::start();
    let url = redis.url();
    let arguments = ["--redis-url", &url, "--cores", "2", "-t", "1"];
    let mut worker = Worker::spawn(hidden(&arguments).stdout(Stdio::null()));
    wait_until("it waits", || redis.waiting() == 2);
    redis.push("default", &[r#"{"name":"Noop"}"#; 20]);
    wait_until("all jobs have run", || redis.processed() == 20);
    worker.stop();
    let said = worker.lines("/sys/devices/system/cpu");
    assert!(said.len() == 1 && said[0].contains("WARN"), "{said:?}");
    assert_eq!(worker.lines("panic"), [""; 0]);
    let doctor = hidden(&["doctor", "--redis-url", &url]).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.code() == Some(0) && said.contains("mount /sys"), "{said}");
    assert!(said.contains("/sys/fs/cgroup is not there"), "{said}");
}
