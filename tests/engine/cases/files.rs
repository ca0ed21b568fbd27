//! Files as editors, shells and installers leave them: byte-order marks, pipes, permissions that are too wide.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Redis, config_file, output_of};

fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = output_of(args);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn file(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_file() {
    let redis = Redis::start_with_password("s3cret");
    let url = redis.tcp_url();
    let directory = tempfile::tempdir().unwrap();
    let password = file(directory.path(), "password", "\u{feff}s3cret\r\n".as_bytes());
    let config = config_file("\u{feff}queues:\r\n  - img\r\n");
    let lines = "\u{feff}{\"name\":\"N\",\"args\":[1]}\r\n{\"name\":\"N\"}\r\n";
    let bulk = file(directory.path(), "bulk", lines.as_bytes());
    let find = ["--redis-url", &url, "--redis-password-file", &password, "-C", &config.path()];
    let (status, said) = run(&[&["enqueue", "--bulk", &bulk][..], &find].concat());
    assert_eq!((status, said.as_str()), (Some(0), ""));
    assert_eq!(redis.queue("default").len(), 2);
    let utf16: Vec<u8> = "\u{feff}[1]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bulk = file(directory.path(), "utf16", &utf16);
    let (status, said) = run(&[&["enqueue", "N", "--bulk", &bulk][..], &find].concat());
    assert!(status == Some(2) && said.contains("line 1") && said.contains("UTF-16"), "{said}");
}

#[test]
fn a_named_pipe_as_a_configuration_or_a_password_file_is_refused_at_once() {
    let redis = Redis::start();
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = pipe.to_str().unwrap();
    for flag in ["-C", "--redis-password-file"] {
        for command in [&[][..], &["summary"]] {
            let (status, said) = run(&[command, &["--redis-url", &redis.tcp_url(), flag, pipe]].concat());
            assert!(
                status == Some(2) && said.contains("named pipe") && said.contains(pipe),
                "{flag}: {said}"
            );
        }
    }
}

#[test]
fn a_password_from_process_substitution_is_read() {
    let redis = Redis::start_with_password("s3cret");
    let program = env!("CARGO_BIN_EXE_jiggler-uring");
    let order =
        format!("{program} summary --redis-url {} --redis-password-file <(echo s3cret)", redis.tcp_url());
    let output = Command::new("bash").args(["-c", &order]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn commands_too_warn_of_a_password_file_that_others_may_read() {
    let redis = Redis::start_with_password("s3cret");
    let directory = tempfile::tempdir().unwrap();
    let password = file(directory.path(), "password", b"s3cret\n");
    let args = ["summary", "--redis-url", &redis.tcp_url(), "--redis-password-file", &password];
    assert_eq!(run(&args), (Some(0), String::new()));
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (status, said) = run(&args);
    assert!(
        status == Some(0) && said.contains("every user of this machine") && said.contains("chmod 600"),
        "{said}"
    );
}
