//! As much of a browser as the page needs: it keeps a cookie, and sends forms.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const SET_COOKIE: &str = "set-cookie: ";

/// A client of HTTP that keeps a cookie.
pub(crate) struct Browser {
    port: u16,
    cookie: String,
}

impl Browser {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, cookie: String::new() }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.0\r\n"), "")
    }

    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, form: &str) {
        let head = format!(
            "POST {path} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        let (status, body) = self.ask(&head, form);
        assert_eq!(status, 302, "{path}: {body}");
    }

    #[track_caller]
    fn ask(&mut self, head: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let place = format!(
            "Host: 127.0.0.1:{0}\r\nOrigin: http://127.0.0.1:{0}\r\nCookie: {1}\r\n\r\n",
            self.port, self.cookie
        );
        stream.write_all(format!("{head}{place}{body}").as_bytes()).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        for line in head.lines() {
            if line.to_ascii_lowercase().starts_with(SET_COOKIE) {
                let cookie = &line[SET_COOKIE.len()..];
                self.cookie = cookie[..cookie.find(';').unwrap_or(cookie.len())].to_owned();
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}
