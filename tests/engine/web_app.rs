//! A web application that pushes jobs, `examples/axum_enqueue.rs`: what a request leaves in Redis.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::redis::SCHEDULED;
use crate::harness::{Redis, json};

/// Ended, by its id, when dropped.
struct App {
    child: Child,
    address: String,
}

impl App {
    fn start(redis: &Redis) -> Self {
        let example = Path::new(env!("CARGO_BIN_EXE_jiggler-uring")).with_file_name("examples/axum_enqueue");
        assert!(example.exists(), "{} is not built: cargo build --examples", example.display());
        let mut command = Command::new(example);
        command.env("REDIS_URL", redis.url()).env("PORT", "0").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address }
    }

    /// Posts a body and returns the status line and what follows the headers.
    fn post(&self, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = "POST /mails HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.trim().to_owned())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // Neither failure matters: the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_request_becomes_a_job_and_a_bad_one_does_not() {
    let redis = Redis::start();
    let app = App::start(&redis);
    let (status, jid) = app.post(r#"{"to":"ada@example.org","subject":"hello"}"#);
    assert_eq!((&*status, jid.len()), ("HTTP/1.1 202 Accepted", 16));
    let payload =
        format!(r#"{{"name":"SendMail","args":["ada@example.org","hello"],"retries":5,"jid":"{jid}"}}"#);
    assert_eq!(redis.queue("mails"), [payload]);

    let (status, jid) = app.post(r#"{"to":"a@b","subject":"later","delay_s":3600}"#);
    assert_eq!(status, "HTTP/1.1 202 Accepted");
    let scheduled = json(&redis.set(SCHEDULED)[0].0);
    assert_eq!((&scheduled["jid"], &scheduled["queue"]), (&jid.into(), &"mails".into()));

    let (status, said) = app.post(r#"{"to":"nobody","subject":""}"#);
    assert_eq!((&*status, &*said), ("HTTP/1.1 422 Unprocessable Entity", "nobody is not an address"));
    redis.run(&["DEL", "jiggler:list:mails"]);
    redis.run(&["SET", "jiggler:list:mails", "no list"]);
    let (status, said) = app.post(r#"{"to":"a@b","subject":""}"#);
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert!(said.contains("WRONGTYPE"), "{said}");
}
