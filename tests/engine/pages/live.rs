//! Open pages are told what changes, once for all of them, and nobody looks while none is open.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::{alone, browse, browse_with, page};
use crate::harness::wait::{PATIENCE, measure_over, wait_until};
use crate::harness::{Redis, Worker, config_file};

/// A browser that follows.
struct Tab(BufReader<TcpStream>);

impl Tab {
    #[track_caller]
    fn open(server: &Worker) -> Self {
        let mut stream = TcpStream::connect(server.web_address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = b"GET /live HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut tab = Self(BufReader::new(stream));
        let head: String = std::iter::from_fn(|| Some(tab.line()).filter(|line| line != "\r\n")).collect();
        assert!(head.contains("200 OK") && head.to_lowercase().contains("text/event-stream"), "{head}");
        tab
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// What the next event says.
    fn next(&mut self) -> Value {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the stream has ended");
            if let Some(json) = line.strip_prefix("data: ") {
                return serde_json::from_str(json).unwrap();
            }
        }
    }

    /// The text of an element, once it is this.
    fn wait(&mut self, id: &str, text: &str) -> Value {
        loop {
            let event = self.next();
            if event[id][0] == text {
                return event;
            }
        }
    }
}

#[test]
fn open_pages_are_told_what_changes_and_nobody_looks_for_closed_ones() {
    let redis = Redis::start();
    let web = alone(&redis, &[]);
    let (mut one, mut other) = (Tab::open(&web), Tab::open(&web));
    let first = one.wait("f-0", "0");
    for id in ["as-of", "health-word", "health", "n-queues", "n-dead", "f-6", "f-0-note"] {
        assert!(first[id].is_array(), "{id}: {first}");
    }
    redis.push("mail", &["a", "b", "c"]);
    let changed = one.wait("f-0", "3");
    assert!(changed.get("n-dead").is_none(), "only what has changed: {changed}");
    let cell = format!("q-{}-jobs", "6d61696c");
    assert_eq!(changed[&cell][0], "3");
    assert_eq!(other.wait("f-0", "3"), changed, "made once for all");
    let html = page(&web, "/");
    assert_eq!((html.id(&cell), html.id("f-0")), ("3", "3"), "the page has these elements");
    drop((one, other));
    wait_until("nobody looks", || {
        let commands = || redis.info("stats", "total_commands_processed");
        let before = commands();
        measure_over(Duration::from_millis(2_500));
        commands() - before <= 2
    });
}

#[test]
fn only_readers_follow_and_the_script_is_the_only_thing_that_runs() {
    const TOKEN: &str = "0f3b6c52a97e41d8";
    let redis = Redis::start();
    let file = config_file(&format!("{TOKEN} read\n"));
    let web = alone(&redis, &["--web-auth", &file.path()]);
    assert_eq!(browse(&web, "/live").status, 401);
    let script = browse_with(&web, "/live.js", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert_eq!(script.status, 200);
    assert!(script.head.to_lowercase().contains("content-type: text/javascript"), "{}", script.head);
    for word in ["innerHTML", "eval(", "document.write", "http:", "https:"] {
        assert!(!script.body.contains(word), "{word}");
    }
}
