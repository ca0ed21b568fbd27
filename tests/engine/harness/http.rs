//! A client of the worker's own HTTP server, as plain as can be: one request over one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Worker;

/// How long an answer may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The fields of its head, as they came.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Worker {
    /// Where it serves metrics, as its log says.
    #[track_caller]
    pub(crate) fn web_address(&self) -> SocketAddr {
        let said = "web: serving metrics and probes address=";
        self.wait_for_line(said);
        let line = self.lines(said).remove(0);
        line.split(said).nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Asks it for a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.web_address(), path)
    }

    /// The value of one series of its metrics, by its name and labels as they are written; `None`: there is no such series.
    #[track_caller]
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let body = self.get("/metrics").body;
        let line = body.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }
}

/// Asks for a path.
#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
}

/// Sends these bytes and reads to the end of the connection.
#[track_caller]
pub(crate) fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A server that does not want the rest of a request may reset the connection behind its answer.
    let ended = stream.read_to_end(&mut answer);
    assert!(ended.is_ok() || !answer.is_empty(), "{request:?}: {ended:?}");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("no answer to {request:?}: {answer:?}"));
    Answer { status: status.parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
}
