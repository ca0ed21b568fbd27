//! Jobs behind HTTP, by a real server in Python: what it gets, what its answers do, and what happens when it is busy or
//! away.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json, output_of};
use crate::runners::{job, lines_of};

/// Answers as the name of the job says, and writes down each request.
const SERVER: &str = r#"
import hashlib, hmac, base64, json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

out = sys.argv[1]
key = b"secret of this test"

class Jobs(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        job = json.loads(body)
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        right = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        seen = {"job": job, "id": self.headers["idempotency-key"], "path": self.path,
                "signed": self.headers["webhook-signature"] == right,
                "new": abs(time.time() - int(self.headers["webhook-timestamp"] or 0)) < 60,
                "trace": self.headers["traceparent"], "port": self.client_address[1]}
        with open(out, "a") as file: file.write(json.dumps(seen) + "\n")
        name, args = job["name"], job["args"]
        status, headers, text = 200, {}, ""
        if name == "Status": status, text = args[0], args[1]
        if name == "Named":
            status, headers, text = 500, {"content-type": "application/json"}, json.dumps(
                {"class": "MailboxFull", "message": "no room", "backtrace": ["a.py:1", "b.py:2"]})
        if name == "Verdict": headers["job-verdict"] = args[0]
        if name == "Busy" and not os.path.exists(out + ".ready"): status, headers["retry-after"] = 429, args[0]
        if name == "Moved": status, headers["location"] = 302, "/elsewhere"
        if name == "Slow": time.sleep(args[0])
        if name == "Long": text = "x" * 10_000_000
        if name == "Cut": self.close_connection = True; return
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        for header in headers.items(): self.send_header(*header)
        self.end_headers()
        try: self.wfile.write(text.encode())
        except OSError: pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Jobs)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
"#;

struct Server {
    process: Child,
    port: u16,
    dir: TempDir,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), "secret of this test\n").unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", SERVER]).arg(dir.path().join("out")).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().unwrap(), dir }
    }

    /// The configuration of a runner of all its jobs.
    fn yaml(&self, more: &str) -> String {
        let (port, key) = (self.port, self.dir.path().join("key"));
        let key = key.display();
        format!(
            "runners:\n  web: {{url: 'http://127.0.0.1:{port}/jobs?token=t0ken', jobs: '*', secret_file: {key}{more}}}\n"
        )
    }

    fn seen(&self) -> Vec<serde_json::Value> {
        lines_of(&self.dir.path().join("out")).iter().map(|line| json(line)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

#[test]
fn jobs_are_posted_signed_over_kept_connections_and_the_answer_decides() {
    let redis = Redis::start();
    let server = Server::start();
    let config = config_file(&server.yaml(""));
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-c", "1"]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let more = format!(r#","traceparent":"{trace}","enqueued_at":7.5"#);
    redis.push("default", &[job("Mail", r#"["Ada", 12345678901234567890123, {"a": [null]}]"#, &more)]);
    wait_until("it has run", || redis.processed() == 1);
    let seen = &server.seen()[0];
    let sent = &seen["job"];
    assert_eq!(
        (&seen["path"], &seen["signed"], &seen["new"]),
        (&"/jobs?token=t0ken".into(), &true.into(), &true.into())
    );
    assert_eq!(
        (&sent["name"], &sent["queue"], &sent["attempt"]),
        (&"Mail".into(), &"default".into(), &0.into())
    );
    assert_eq!((&sent["args"][0], &sent["args"][2]["a"][0]), (&"Ada".into(), &serde_json::Value::Null));
    let written = lines_of(&server.dir.path().join("out")).concat();
    assert!(written.contains(" 12345678901234567890123,"), "{written}");
    assert_eq!((&sent["enqueued_at"], &seen["id"]), (&7.5.into(), &sent["jid"]));
    assert_eq!(seen["trace"].as_str().unwrap()[..35], trace[..35]);

    let dead = |count| wait_until("it is dead", || redis.count(DEAD) == count);
    let last = || json(&redis.set(DEAD).last().unwrap().0);
    redis.push("default", &[job("Status", r#"[500, "the disk is full"]"#, "")]);
    dead(1);
    assert_eq!(
        (&last()["error_class"], &last()["error_message"]),
        (&"http::Status500".into(), &"answered 500 Internal Server Error: the disk is full".into())
    );
    redis.push("default", &[job("Named", "[]", r#","retries":3"#)]);
    wait_until("it will be retried", || redis.count(RETRIES) == 1);
    let named = json(&redis.set(RETRIES)[0].0);
    assert_eq!((&named["error_class"], &named["error_message"]), (&"MailboxFull".into(), &"no room".into()));
    redis.push("default", &[job("Status", r#"[409, "never"]"#, r#","retries":3"#)]);
    dead(2);
    redis.push("default", &[job("Moved", "[]", "")]);
    dead(3);
    redis.push("default", &[job("Cut", "[]", "")]);
    dead(4);
    let classes: Vec<_> =
        redis.set(DEAD).iter().map(|(entry, _)| json(entry)["error_class"].clone()).collect();
    assert_eq!(classes, ["http::Status500", "http::Status409", "http::Status302", "http::Broken"]);
    let before = redis.processed();
    let fine = [
        job("Status", r#"[410, "gone"]"#, r#","retries":3"#),
        job("Verdict", r#"["discard"]"#, ""),
        job("Long", "[]", ""),
        job("Mail", "[]", ""),
    ];
    redis.push("default", &fine);
    wait_until("all have run", || redis.processed() == before + 4);
    assert_eq!((redis.count(DEAD), redis.count(RETRIES)), (4, 1));
    let ports: Vec<_> = server.seen().iter().map(|seen| seen["port"].clone()).collect();
    // Redirects are not followed. After an answer that breaks off, or is not read to its end, there is a new connection.
    assert!(!server.seen().iter().any(|seen| seen["path"] == "/elsewhere"));
    assert_eq!(ports[..5].iter().filter(|port| **port == ports[0]).count(), 5, "{ports:?}");
    assert_eq!(worker.lines("t0ken"), [""; 0]);
    worker.stop();
}

#[test]
fn a_busy_server_gets_no_jobs_until_it_wants_some_and_no_attempt_is_used() {
    let redis = Redis::start();
    let server = Server::start();
    let config = config_file(&server.yaml(""));
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-c", "2"]);
    redis.push("default", &[job("Busy", r#"["2"]"#, "")]);
    worker.wait_for_line("a server is busy");
    wait_until("the job is put off", || redis.count(RETRIES) == 1);
    redis.push("default", &[job("Mail", "[]", ""), job("Mail", "[]", "")]);
    fs::write(server.dir.path().join("out.ready"), "").unwrap();
    wait_until("all have run", || redis.processed() >= 3);
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|seen| seen["job"]["name"] == "Busy").count(), 2);
    assert!(seen.iter().all(|seen| seen["job"]["attempt"] == 0), "{seen:?}");
    assert_eq!((redis.count(DEAD), redis.count(RETRIES), redis.failures()), (0, 0, 0));
    // Whatever jobs ran into it meanwhile: it is said once.
    assert_eq!(worker.lines("a server is busy").len(), 1);
    worker.stop();
}

#[test]
fn late_jobs_fail_cancelled_ones_end_and_a_server_that_is_away_costs_attempts() {
    let redis = Redis::start();
    let mut server = Server::start();
    let config = config_file(&server.yaml(", timeout: 1, concurrency: 3"));
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    redis.push("default", &[job("Slow", "[30]", "")]);
    wait_until("it is late", || redis.count(DEAD) == 1);
    assert_eq!(json(&redis.set(DEAD)[0].0)["error_class"], "JigglerUring::Timeout");
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    redis.push("default", &[job("Mail", "[]", r#","retries":1"#)]);
    wait_until("it will be retried", || redis.count(RETRIES) == 1);
    let retried = json(&redis.set(RETRIES)[0].0);
    assert_eq!((&retried["error_class"], &retried["attempt"]), (&"http::Connect".into(), &1.into()));
    assert!(!retried["error_message"].as_str().unwrap().contains("t0ken"), "{retried}");
    worker.stop();
}

/// That of README.
#[test]
fn the_example_runs() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/runners/http");
    let mut command = Command::new("python3");
    command.arg(directory.join("server.py")).arg("0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut printed = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = printed.next().unwrap();
    let port = first.strip_prefix("listening on ").unwrap();
    let key = directory.join("billing.key").display().to_string();
    let text = fs::read_to_string(directory.join("jiggler.yml")).unwrap();
    let config = config_file(&text.replace("8080", port).replace("billing.key", &key));
    let redis = Redis::start();
    let jobs = [job("Billing::Charge", "[16, 0]", ""), job("Billing::Charge", "[17, 4200]", "")];
    redis.push("default", &jobs);
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    assert_eq!(printed.next().unwrap(), "order 17 is charged 42.00");
    wait_until("both have run", || redis.processed() == 2);
    worker.stop();
    assert_eq!((redis.count(DEAD), redis.failures()), (0, 0));
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_stop_hands_back_what_a_server_does_not_answer() {
    let redis = Redis::start();
    let server = Server::start();
    let config = config_file(&server.yaml(""));
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-t", "1"]);
    redis.push("default", &[job("Slow", "[30]", "")]);
    wait_until("it runs", || server.seen().len() == 1);
    worker.stop();
    assert_eq!((redis.queue("default").len(), redis.count(DEAD)), (1, 0));
}

#[test]
fn what_can_never_work_is_refused_at_the_start_and_the_doctor_knocks() {
    let redis = Redis::start();
    let url = redis.url();
    for (runner, said) in [
        ("{url: 'ftp://a/', jobs: A}", "its scheme is ftp"),
        ("{url: 'http://u:s3cret@a/', jobs: A}", "it contains a user name"),
        ("{url: 'http://a/', jobs: A, secret_file: /nonexistent/key}", "no key in its `secret_file`"),
        ("{url: 'http://a/', jobs: A, children: 2}", "`children` goes with `require`"),
    ] {
        let config = config_file(&format!("runners:\n  web: {runner}\n"));
        let output = output_of(&["-C", &config.path(), "--redis-url", &url]);
        let status = output.status.code();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains(said) && !text.contains("s3cret"), "{text}");
    }
    let server = Server::start();
    let config = config_file(&server.yaml(""));
    let doctor = || {
        let output = output_of(&["doctor", "-C", &config.path(), "--redis-url", &url]);
        String::from_utf8(output.stdout).unwrap()
    };
    let text = doctor();
    assert!(text.contains("web: http://127.0.0.1:") && text.contains("is ready"), "{text}");
    drop(server);
    let text = doctor();
    assert!(text.contains("look whether the server runs") && !text.contains("t0ken"), "{text}");
}
