//! What an HTTP client may consume, and for how long.

use std::rc::Rc;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use glommio::spawn_local;
use jiggler_uring::io::http::{Client, ClientOptions, Error};
use jiggler_uring::io::timer;

use super::peer::Server;
use crate::executor::on_executor;

/// A deadline that a test waits for.
const SHORT: Duration = Duration::from_millis(100);

#[test]
fn a_body_beyond_the_bound_is_refused_whether_announced_or_not() {
    let server = Server::start(|peer| {
        let chunked = peer.asked().unwrap().head.starts_with("GET /chunked");
        if chunked {
            peer.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n67890\r\n");
        } else {
            peer.say("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n");
        }
        peer.until_closed();
    });
    let (announced, chunked) = (server.url("/announced"), server.url("/chunked"));
    on_executor(move || async move {
        let client = Client::with_options(ClientOptions { body_bytes_max: 10, ..ClientOptions::default() });
        for url in [&announced, &chunked] {
            let error = client.get(url).send().await.unwrap().bytes().await.unwrap_err();
            assert!(matches!(error, Error::BodyTooLarge { bytes_max: 10, .. }), "{error}");
        }
        // In pieces it may be of any size.
        let mut answer = client.get(&chunked).send().await.unwrap();
        let mut bytes = Vec::new();
        while bytes.len() < 11 {
            bytes.extend(answer.chunk().await.unwrap().unwrap());
        }
        assert_eq!(bytes, b"01234567890");
    });
}

#[test]
fn a_request_gets_its_time_and_no_more() {
    let server = Server::start(|peer| {
        if peer.asked().unwrap().head.starts_with("GET /body") {
            peer.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345");
        }
        peer.until_closed();
    });
    let (silent, half) = (server.url("/head"), server.url("/body"));
    on_executor(move || async move {
        let client = Client::new();
        let begun = Instant::now();
        let error = client.get(&silent).timeout(SHORT).send().await.err().unwrap();
        assert!(matches!(error, Error::Timeout { after: SHORT, .. }) && begun.elapsed() >= SHORT, "{error}");
        let error = client.get(&half).timeout(SHORT).send().await.unwrap().bytes().await.unwrap_err();
        assert!(matches!(error, Error::Timeout { after: SHORT, .. }), "{error}");
    });
}

#[test]
fn no_more_connections_than_allowed_and_other_requests_wait_their_turn() {
    let server = Server::start(|peer| {
        while peer.asked().is_some() {
            peer.answer("x");
        }
    });
    let (url, held) = (server.url("/"), server.url("/held"));
    on_executor(move || async move {
        let client = Client::with_options(ClientOptions { connections_max: 2, ..ClientOptions::default() });
        let first = client.get(&held).send().await.unwrap();
        let second = client.get(&held).send().await.unwrap();
        let late = client.get(&url).timeout(SHORT).send().await.err().unwrap();
        assert!(matches!(late, Error::Timeout { .. }), "{late}");
        let waiting = spawn_local(client.get(&url).send());
        first.bytes().await.unwrap();
        assert_eq!(waiting.await.unwrap().text().await.unwrap(), "x");
        drop(second);
        for _ in 0..20 {
            assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "x");
        }
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn idle_connections_are_closed_in_time() {
    let (tell, told) = channel();
    let server = Server::start(move |peer| {
        while peer.asked().is_some() {
            peer.answer("x");
        }
        tell.send(()).unwrap();
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Client::with_options(ClientOptions { idle_timeout: SHORT, ..ClientOptions::default() });
        assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "x");
        while told.try_recv().is_err() {
            timer::sleep(Duration::from_millis(5)).await;
        }
        drop(client);
    });
}

#[test]
fn two_hundred_requests_wait_at_once_on_one_core() {
    // The first answer goes out when the last request has come.
    let gate = Arc::new((Mutex::new(0_usize), Condvar::new()));
    let count = 200;
    let server = Server::start(move |peer| {
        peer.asked().unwrap();
        let (here, all) = &*gate;
        let mut here = here.lock().unwrap();
        *here += 1;
        all.notify_all();
        drop(all.wait_while(here, |here| *here < count).unwrap());
        peer.answer("x");
    });
    let url = server.url("/");
    on_executor(move || async move {
        let client = Rc::new(Client::new());
        let asks: Vec<_> = (0..count)
            .map(|_| {
                let (client, url) = (Rc::clone(&client), url.clone());
                spawn_local(async move { client.get(&url).send().await.unwrap().text().await.unwrap() })
            })
            .collect();
        for ask in asks {
            assert_eq!(ask.await, "x");
        }
    });
    assert_eq!(server.connections(), count);
}
