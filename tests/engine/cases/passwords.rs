//! A password that changes while a worker runs: the log says that it is refused and where it is set, `health` says why
//! nothing works, and the file is reread, so that nobody has to restart anything.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use jiggler_uring::internal::resp::RedisUrl;

use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Redis, Worker, output_of};

/// Consumption must resume this soon after the password is right again.
const BACK_WITHIN: Duration = Duration::from_secs(15);

const JOB: &str = r#"{"name":"Noop"}"#;

/// A file that only its owner may read.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// The test's own connections survive, because Redis does not ask them again.
fn rotate(redis: &Redis, password: &str) {
    redis.run(&["CONFIG", "SET", "requirepass", password]);
    redis.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    redis.run(&["CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"]);
}

#[test]
fn a_password_rotated_in_its_file_is_found_at_the_next_attempt() {
    let redis = Redis::start_with_password("the-first-secret");
    let password = file("the-first-secret\n");
    let path = password.path().to_str().unwrap();
    let mut worker = Worker::launch(&redis.tcp_url(), &["--redis-password-file", path]);
    worker.wait_for_line(" working ");
    wait_until("it waits", || redis.waiting() == 1);
    rotate(&redis, "the-second-secret");
    worker.wait_for_line("redis refuses this worker's password; trying again shard=0");
    worker.wait_for_line(&format!(r#"redis does not accept the password of user \"default\" in {path}"#));
    worker.wait_for_line("heartbeat: cannot write it; trying again");
    worker.signal("USR1");
    worker.wait_for_line("health phase=");
    let health = worker.lines("health phase=").remove(0);
    let why = [
        "shard 0 without redis for ",
        " s (redis refuses this worker's password)",
        r#"heartbeat="redis refuses"#,
    ];
    assert!(why.iter().all(|words| health.contains(words)), "{health}");
    std::fs::write(password.path(), "the-second-secret\n").unwrap();
    redis.push("default", &[JOB]);
    wait_within(BACK_WITHIN, "the job runs", || (redis.processed() == 1).then_some(()));
    worker.wait_for_line("redis is back shard=0");
    assert_eq!(worker.lines("redis refuses this worker's password; trying again shard=0").len(), 1);
    // Commands read it too, and say whose it is.
    let ask = ["summary", "--redis-url", &redis.tcp_url(), "--redis-password-file", path];
    assert_eq!(output_of(&ask).status.code(), Some(0));
    std::fs::write(password.path(), "a-third-secret\n").unwrap();
    let refused = output_of(&["--redis-url", &redis.tcp_url(), "--redis-password-file", path]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains(path) && !said.contains("secret"), "{said}");
    worker.stop();
    assert_eq!(worker.lines("-secret"), [""; 0], "a password is in the log");
}

/// Some deployments remove a secret once it is read.
#[test]
fn without_its_file_the_password_read_before_stays_in_use() {
    let redis = Redis::start_with_password("the-first-secret");
    let password = file("the-first-secret\n");
    let path = password.path().to_str().unwrap().to_owned();
    let mut worker = Worker::launch(&redis.tcp_url(), &["--redis-password-file", &path]);
    worker.wait_for_line(" working ");
    wait_until("it waits", || redis.waiting() == 1);
    password.close().unwrap();
    rotate(&redis, "the-first-secret");
    redis.push("default", &[JOB]);
    wait_within(BACK_WITHIN, "the job runs", || (redis.processed() == 1).then_some(()));
    rotate(&redis, "the-second-secret");
    worker.wait_for_line(&format!("in {path}, read before, for it cannot be read now: No such file"));
    rotate(&redis, "the-first-secret");
    wait_until("it waits again", || redis.waiting() == 1);
    worker.stop();
}

/// A password in the url comes from no file.
#[test]
fn a_refused_password_of_a_url_is_called_that() {
    let redis = Redis::start_with_password("the-first-secret");
    let url = redis.tcp_url().replace("redis://", "redis://:the-first-secret@");
    assert!(RedisUrl::parse(&url).is_ok());
    let worker = Worker::launch(&url, &[]);
    worker.wait_for_line(" working ");
    wait_until("it waits", || redis.waiting() == 1);
    rotate(&redis, "the-second-secret");
    worker.wait_for_line("redis refuses this worker's password; trying again shard=0");
    worker.wait_for_line("check user and password in the url");
}
