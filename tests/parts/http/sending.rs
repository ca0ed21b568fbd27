//! How requests are sent: over connections opened in advance, with bodies of any size, to servers that stop reading
//! early.

use std::thread;

use glommio::spawn_local;
use jiggler_uring::io::http::{Client, ClientOptions, Error, Method, StatusCode};

use super::peer::{Peer, Server};
use crate::executor::on_executor;

#[test]
fn requests_use_the_connections_opened_ahead_of_time() {
    let server = Server::start(|peer| {
        while peer.asked().is_some() {
            let number = peer.number.to_string();
            peer.answer(&number);
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        assert_eq!(client.warm_up(&url, 3).await.unwrap(), 3);
        assert_eq!(client.warm_up(&url, 3).await.unwrap(), 0, "they are there");
        for _ in 0..3 {
            let asks: Vec<_> = (0..3).map(|_| spawn_local(client.get(&url).send())).collect();
            let mut seen = Vec::new();
            for ask in asks {
                seen.push(ask.await.unwrap().text().await.unwrap());
            }
            seen.sort();
            assert_eq!(seen, ["0", "1", "2"]);
        }
    });
    assert_eq!(server.connections(), 3);
}

#[test]
fn no_more_connections_are_opened_ahead_of_time_than_are_kept() {
    let server = Server::start(Peer::until_closed);
    let url = server.url("/");
    on_executor(move || async move {
        let options = ClientOptions { idle_per_origin_max: 2, ..ClientOptions::default() };
        let error = Client::with_options(options).warm_up(&url, 3).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("more than the 2") && text.contains("idle_per_origin_max"), "{text}");
        let error = Client::new().warm_up("http://127.0.0.1:1/", 2).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
    });
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_body_larger_than_any_buffer_arrives_whole_and_its_connection_is_kept() {
    let server = Server::start(|peer| {
        while let Some(asked) = peer.asked() {
            let said = format!("{} {}", peer.number, asked.body.len());
            peer.answer(&said);
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        for bytes in [8_000_000, 4_096, 4_097, 0] {
            let answer = client.post(&url).body(vec![b'x'; bytes]).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), format!("0 {bytes}"));
        }
    });
}

#[test]
fn an_answer_before_the_end_of_the_body_is_read_and_ends_the_connection() {
    let server = Server::start(|peer| {
        peer.say("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\nno");
        // It reads nothing, and the connection stays open until the process ends.
        loop {
            thread::park();
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        for _ in 0..2 {
            let answer = client.post(&url).body(vec![b'x'; 32_000_000]).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(answer.text().await.unwrap(), "no");
        }
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_head_without_a_body_and_a_requested_close_are_understood() {
    let server = Server::start(|peer| {
        while let Some(asked) = peer.asked() {
            if asked.head.starts_with("HEAD ") {
                peer.say("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
            } else {
                let number = peer.number.to_string();
                peer.answer(&number);
            }
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::new();
        let head = client.request(Method::HEAD, &url).send().await.unwrap();
        assert_eq!(head.header("content-length"), Some("1000"));
        assert_eq!(head.bytes().await.unwrap().len(), 0);
        // The server would keep it; the request asked for it to be closed.
        for expected in ["0", "1"] {
            let answer = client.get(&url).header("connection", "close").send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), expected);
        }
    });
    let url = server.url("/");
    on_executor(move || async move {
        let chunked = Client::new().post(&url).header("transfer-encoding", "chunked").body("x").send().await;
        let error = chunked.err().unwrap().to_string();
        assert!(error.contains("transfer-encoding cannot be set"), "{error}");
    });
}
