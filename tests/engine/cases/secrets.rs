//! A password is where it must be and nowhere else: not in the process list, a log, a heartbeat, a connection name or
//! an error.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::NamedTempFile;

use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, output_of};

const SECRET: &str = "S3cr3t-v4lue";

fn secret_file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[track_caller]
fn assert_nowhere(redis: &Redis, worker: &Worker) {
    let command = std::fs::read(format!("/proc/{}/cmdline", worker.pid())).unwrap();
    let mut places = vec![("command line", String::from_utf8_lossy(&command).into_owned())];
    places.push(("log", worker.lines("").join("\n")));
    places.push(("clients", redis.clients("jiggler-uring").join("\n")));
    for key in redis.keys("*") {
        let value = redis.text_of_any(&key);
        places.push(("key", format!("{key} {value}")));
    }
    for (place, text) in places {
        assert!(!text.is_empty() && !text.contains(SECRET), "{place}: {text}");
    }
}

#[test]
fn a_password_in_a_file_or_a_variable_is_seen_by_nobody() {
    let redis = Redis::start_with_password(SECRET);
    let file = secret_file(&format!("{SECRET}\n"));
    let path = file.path().to_str().unwrap();
    let mut by_file = Worker::launch(&redis.tcp_url(), &["-v", "--redis-password-file", path]);
    by_file.wait_for_line(" working ");
    redis.push("default", &[r#"{"name":"Fail","args":["x"],"retries":0}"#]);
    wait_until("the job failed", || redis.failures() == 1);
    wait_until("the heartbeat is there", || redis.keys("jiggler:svr:*").len() == 1);
    assert_nowhere(&redis, &by_file);
    assert_eq!(by_file.lines("list of processes"), [""; 0]);
    by_file.stop();

    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_jiggler-uring")));
    command.args(["--cores", "1", "-t", "1"]);
    let url = redis.tcp_url().replace("//", &format!("//:{SECRET}@"));
    let mut by_variable = Worker::spawn(command.env("REDIS_URL", url));
    by_variable.wait_for_line(" working ");
    wait_until("the heartbeat is there", || redis.keys("jiggler:svr:*").len() == 1);
    assert_nowhere(&redis, &by_variable);
    by_variable.stop();
}

#[test]
fn a_password_in_a_flag_causes_one_warning_and_is_not_repeated() {
    let redis = Redis::start_with_password(SECRET);
    let url = redis.tcp_url().replace("//", &format!("//:{SECRET}@"));
    let mut worker = Worker::launch(&url, &[]);
    worker.wait_for_line(" working ");
    assert_eq!(worker.lines("list of processes").len(), 1);
    assert!(worker.lines(SECRET).is_empty());
    worker.stop();
}

/// The commonest slip: a bare password in the place of the user.
#[test]
fn a_password_in_the_users_place_is_not_repeated_and_the_right_form_is_shown() {
    let redis = Redis::start_with_password(SECRET);
    let host = format!("127.0.0.1:{}", redis.port());
    for url in [
        format!("redis://{SECRET}@{host}"),
        format!("redis://{SECRET}:@{host}"),
        format!("redis://:{SECRET}"),
    ] {
        for command in
            [&[][..], &["summary"], &["enqueue", "Noop"], &["doctor"], &["top", "--once"], &["cancel", "j"]]
        {
            let output = output_of(&[command, &["--redis-url", &url]].concat());
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(!output.status.success() && !said.contains(SECRET), "{command:?} {url}: {said}");
            assert!(said.contains("redis://:PASSWORD@host"), "{command:?} {url}: {said}");
        }
    }
    let output = output_of(&["summary", &format!("redis://me:{SECRET}@{host}")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && !said.contains(SECRET), "{said}");
}

#[test]
fn no_error_contains_a_wrong_password() {
    let redis = Redis::start_with_password("another");
    let file = secret_file(SECRET);
    let args = ["--redis-url", &redis.tcp_url(), "--redis-password-file", file.path().to_str().unwrap()];
    for command in [&[][..], &["summary"], &["enqueue", "Noop"]] {
        let output = output_of(&[command, &args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains("password") && !error.contains(SECRET), "{error}");
    }
}
