//! The HTTP client on an executor like a shard's, against servers that answer as a test directs: in pieces, late, too
//! much, half, or not at all, in the clear and encrypted.
//!
//! Servers are threads that wait for what arrives; what must be late never comes, so no test depends on speed.

mod bounds;
mod peer;
mod sending;
mod tls_peer;

use std::sync::mpsc::channel;

use crate::executor::on_executor;
use glommio::spawn_local;
use jiggler_uring::io::http::{Client, ClientOptions, Error, Method, StatusCode};
use peer::Server;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i64,
    y: f64,
}

#[test]
fn requests_carry_what_they_were_given_and_answers_return_it() {
    let (tell, told) = channel();
    let server = Server::start(move |peer| {
        while let Some(asked) = peer.asked() {
            tell.send((asked.head, String::from_utf8(asked.body).unwrap())).unwrap();
            peer.say("HTTP/1.1 201 Created\r\ncontent-length: 15\r\nx-note: a b\r\n\r\n{\"x\":-3,\"y\":2.5}");
            peer.say("\n");
        }
    });
    let url = server.url("/points?scale=2");
    on_executor(move || async move {
        let client = Client::new();
        let point = Point { x: -3, y: 2.5 };
        // One byte of the answer is left over, so this server's connections serve only one request each.
        let answer = client.post(&url).header("x-key", "k1").json(&point).send().await.unwrap();
        assert_eq!((answer.status(), answer.header("x-note")), (StatusCode::CREATED, Some("a b")));
        assert_eq!(answer.header("none"), None);
        assert!(answer.json::<Point>().await.is_err(), "15 bytes of 16 are not json");
        let answer =
            client.request(Method::PUT, &url).body("raw").header("user-agent", "me").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "{\"x\":-3,\"y\":2.5");
    });
    let (head, body) = told.recv().unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /points?scale=2 http/1.1\r\n"), "{head}");
    for line in
        ["host: 127.0.0.1:", "x-key: k1", "content-type: application/json", "user-agent: jiggler-uring/"]
    {
        assert!(head.contains(&format!("\r\n{line}")), "{line} is not in {head}");
    }
    assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap(), json!({"x": -3, "y": 2.5}));
    let (head, body) = told.recv().unwrap();
    assert!(
        head.starts_with("PUT /points") && head.contains("\r\nuser-agent: me\r\n") && body == "raw",
        "{head}"
    );
}

#[test]
fn connections_are_kept_and_used_again() {
    let server = Server::start(|peer| {
        while peer.asked().is_some() {
            let number = peer.number.to_string();
            peer.answer(&number);
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        for _ in 0..5 {
            assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "0");
        }
        // An answer whose body nobody reads closes its connection.
        drop(client.get(&url).send().await.unwrap());
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "1");
        // Several at once need several; they are kept for the next several.
        for _ in 0..3 {
            let asks = (0..4).map(|_| spawn_local(client.get(&url).send()));
            let asks: Vec<_> = asks.collect();
            let mut seen = Vec::new();
            for ask in asks {
                seen.push(ask.await.unwrap().text().await.unwrap());
            }
            seen.sort();
            assert_eq!(seen, ["1", "2", "3", "4"]);
        }
    });
    assert_eq!(server.connections(), 5);
}

#[test]
fn a_server_that_closes_idle_connections_costs_nothing_but_a_new_one() {
    let (closed, after_close) = channel();
    let server = Server::start(move |peer| {
        peer.asked().unwrap();
        peer.answer("once");
        peer.close();
        closed.send(()).unwrap();
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        for _ in 0..3 {
            // Not idempotent: it must not be sent over a connection that is known to be closed.
            let answer = client.post(&url).body("x").send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "once");
            after_close.recv().unwrap();
        }
    });
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_request_lost_with_its_kept_connection_is_sent_again_if_it_may_be() {
    // The first connection answers once and breaks off after reading the second request.
    let server = Server::start(|peer| {
        let mut asked = 0;
        while peer.asked().is_some() {
            asked += 1;
            if peer.number == 0 && asked == 2 {
                return;
            }
            let number = peer.number.to_string();
            peer.answer(&number);
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        for expected in ["0", "1", "1"] {
            assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), expected);
        }
    });
    let server = Server::start(|peer| {
        peer.asked().unwrap();
        peer.answer("0");
        peer.asked().unwrap();
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "0");
        let error = client.post(&url).body("pay").send().await.err().unwrap();
        assert!(matches!(error, Error::Broken { .. }), "{error}");
    });
    assert_eq!(server.connections(), 1, "a payment is not made twice");
}

#[test]
fn a_body_may_come_in_chunks_and_pieces_of_any_size() {
    let server = Server::start(|peer| {
        let body: Vec<u8> = (0..200_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(7_919) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\nx-trailer: t\r\n\r\n");
        while let Some(asked) = peer.asked() {
            let size: usize = asked.head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
            for piece in bytes.chunks(size) {
                peer.say(piece);
            }
        }
    });
    let urls = [409, 65_536, 1_000_000].map(|size| server.url(&format!("/{size}")));
    on_executor(move || async move {
        let client =
            Client::with_options(ClientOptions { body_bytes_max: 200_000, ..ClientOptions::default() });
        for url in urls {
            let bytes = client.get(&url).send().await.unwrap().bytes().await.unwrap();
            assert_eq!(bytes.len(), 200_000);
            assert!(bytes.iter().enumerate().all(|(n, &byte)| byte == b'a' + (n % 26) as u8));
        }
    });
}

#[test]
fn an_answer_that_breaks_off_is_an_error_wherever_it_does() {
    let table: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n123",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ];
    for bytes in table {
        for reset in [false, true] {
            let server = Server::start(move |peer| {
                peer.asked().unwrap();
                peer.say(bytes);
                if reset {
                    peer.reset();
                }
            });
            let url = server.url("/");
            on_executor(move || async move {
                let result = async { Client::new().get(&url).send().await?.bytes().await }.await;
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Broken { .. }), "{error} after {:?}", bytes.escape_ascii());
                assert!(error.to_string().contains("GET http://127.0.0.1:"), "{error}");
            });
        }
    }
}

#[test]
fn a_dropped_request_closes_its_connection_and_nothing_else() {
    let (tell, told) = channel();
    let server = Server::start(move |peer| {
        while let Some(asked) = peer.asked() {
            if asked.head.starts_with("GET /slow") {
                tell.send("asked").unwrap();
                peer.until_closed();
                tell.send("closed").unwrap();
                return;
            }
            peer.answer("x");
        }
    });
    let (slow, quick) = (server.url("/slow"), server.url("/"));
    on_executor(move || async move {
        let client = Client::new();
        let ask = spawn_local(client.get(&slow).send());
        while told.try_recv() != Ok("asked") {
            assert_eq!(client.get(&quick).send().await.unwrap().text().await.unwrap(), "x");
        }
        ask.cancel().await;
        assert_eq!(told.recv().unwrap(), "closed");
        assert_eq!(client.get(&quick).send().await.unwrap().text().await.unwrap(), "x");
    });
}

#[test]
fn what_cannot_be_sent_is_refused_before_anything_is_sent() {
    on_executor(|| async {
        let client = Client::new();
        let error = client.get("ftp://127.0.0.1/").send().await.err().unwrap();
        assert!(matches!(error, Error::Url { .. }), "{error}");
        let error = client.get("http://127.0.0.1:1/").header("a b", "c").send().await.err().unwrap();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains("\"a b\""), "{error}");
        let error =
            client.get("http://127.0.0.1:1/").header("authorization", "geheim\n").send().await.err().unwrap();
        assert!(matches!(error, Error::Invalid { .. }) && !error.to_string().contains("geheim"), "{error}");
        let error = client.get("http://127.0.0.1:1/?token=geheim").send().await.err().unwrap();
        assert!(matches!(error, Error::Connect { .. }) && !error.to_string().contains("geheim"), "{error}");
        let error = client.get("http://no-such-host.invalid/").send().await.err().unwrap();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            matches!(error, Error::Connect { .. }) && source.contains("no-such-host.invalid"),
            "{source}"
        );
    });
}

#[test]
fn a_status_is_an_answer_unless_asked_otherwise() {
    let server = Server::start(|peer| {
        while peer.asked().is_some() {
            peer.say("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy");
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(
            (answer.status(), answer.text().await.unwrap().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "busy")
        );
        let error = client.get(&url).send().await.unwrap().error_for_status().err().unwrap();
        assert!(error.to_string().ends_with("answered 503 Service Unavailable"), "{error}");
    });
}
