//! The engine's connection over TLS: against a real Redis, through a line that cuts everything into single bytes,
//! with values of many records; and the errors when the two ends do not trust each other.

use std::net::TcpListener;

use jiggler_uring::internal::limits::PAYLOAD_BYTES_MAX;
use jiggler_uring::internal::net::Connection;
use jiggler_uring::internal::net::Error;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::RedisUrl;

use super::{call, command, on_executor, open};
use crate::certificates::Certificates;
use crate::fault_proxy::{FaultProxy, Pieces};
use crate::redis_server::RedisServer;

const SEED: u64 = 20_261_128;

fn serve(certificates: &Certificates, certificate: &str, clients: &str) -> RedisServer {
    let flags = certificates.server_flags(certificate, clients);
    RedisServer::start_with(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

fn url(certificates: &Certificates, port: u16, more: &str) -> RedisUrl {
    let text = format!("rediss://localhost:{port}/2?ca_file={}{more}", certificates.path("ca.pem"));
    RedisUrl::parse(&text).unwrap()
}

/// The errors of the engine's and the blocking connection; both say the same.
fn refusal(url: RedisUrl) -> String {
    let blocking = BlockingConnection::connect(&url).unwrap_err().to_string();
    let (sender, receiver) = std::sync::mpsc::channel();
    on_executor(move || async move { sender.send(open(&url).await.err().unwrap().to_string()).unwrap() });
    let engine = receiver.recv().unwrap();
    assert_eq!(engine, blocking);
    engine
}

async fn assert_works(conn: &mut Connection, bytes: usize) {
    let value: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
    call(conn, &[b"SET", b"k", &value]).await.as_ok().unwrap();
    assert!(call(conn, &[b"GET", b"k"]).await.as_bulk().unwrap() == value, "{bytes} bytes came back changed");
}

#[test]
fn commands_and_payloads_of_any_size_go_through_tls() {
    let certificates = Certificates::make();
    let redis = serve(&certificates, "server", "no");
    let url = url(&certificates, redis.port(), "");
    let mut blocking = BlockingConnection::connect(&url).unwrap();
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let info = call(&mut conn, &[b"CLIENT", b"INFO"]).await;
        let info = String::from_utf8_lossy(info.as_bulk().unwrap()).into_owned();
        assert!(info.contains(" db=2 ") && info.contains(" name=test-conn "), "{info}");
        for bytes in [0, 1, 16_383, 16_384, 16_385, 70_000, PAYLOAD_BYTES_MAX] {
            assert_works(&mut conn, bytes).await;
        }
    });
    let value = vec![b'x'; PAYLOAD_BYTES_MAX];
    blocking.call_one(&command(&[b"SET", b"b", &value])).unwrap().as_ok().unwrap();
    assert!(blocking.call_one(&command(&[b"GET", b"b"])).unwrap().as_bulk().unwrap() == value);
}

/// Handshake, records and replies are cut everywhere: between any two bytes the reader finds nothing and waits.
#[test]
fn a_line_that_delivers_single_bytes_changes_nothing() {
    let certificates = Certificates::make();
    let redis = serve(&certificates, "server", "no");
    let line = FaultProxy::start_before_port(redis.port(), SEED);
    line.split(Pieces::Bytes);
    let port = line.url().rsplit(':').next().unwrap().parse().unwrap();
    let url = url(&certificates, port, "");
    let mut blocking = BlockingConnection::connect(&url).unwrap();
    assert_eq!(blocking.call(&command(&[b"PING"])).unwrap().len(), 1);
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        for bytes in [1, 100, 5_000, 40_000] {
            assert_works(&mut conn, bytes).await;
        }
    });
}

#[test]
fn a_push_comes_through_tls_and_a_stopper_ends_a_read() {
    let certificates = Certificates::make();
    let redis = serve(&certificates, "server", "no");
    let url = url(&certificates, redis.port(), "");
    on_executor(move || async move {
        let (mut listener, mut writer) = (open(&url).await.unwrap(), open(&url).await.unwrap());
        listener.speak_resp3();
        call(&mut listener, &[b"HELLO", b"3"]).await;
        call(&mut listener, &[b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", b"k"])
            .await
            .as_ok()
            .unwrap();
        assert_eq!(listener.pushes().unwrap(), 0);
        call(&mut writer, &[b"SET", b"k", b"v"]).await.as_ok().unwrap();
        let mut pushes = 0;
        while pushes == 0 {
            listener.readable().await.unwrap();
            pushes = listener.pushes().unwrap();
        }
        let stopper = writer.stopper();
        writer.send(&command(&[b"BLPOP", b"none", b"0"])).await.unwrap();
        let reader = glommio::spawn_local(async move { writer.reply().await });
        glommio::executor().yield_task_queue_now().await;
        stopper.stop();
        assert!(matches!(reader.await, Err(Error::Closed)));
    });
}

#[test]
fn a_client_certificate_admits_its_holder() {
    let certificates = Certificates::make();
    let redis = serve(&certificates, "server", "yes");
    let file = |name: &str| certificates.path(name);
    let shows = |pair: [&str; 2]| format!("&cert_file={}&key_file={}", file(pair[0]), file(pair[1]));
    let good = url(&certificates, redis.port(), &shows(["client.pem", "client.key"]));
    BlockingConnection::connect(&good).unwrap();
    on_executor(move || async move { assert_works(&mut open(&good).await.unwrap(), 100).await });
    let check = |more: &str, part: &str| {
        let error = refusal(url(&certificates, redis.port(), more));
        assert!(error.contains(part), "{more}: {error}");
        assert!(!error.contains("PRIVATE"), "{error}");
    };
    check("", "wants a client certificate; give --redis-cert-file and --redis-key-file");
    check(&shows(["stranger.pem", "stranger.key"]), "refuses the client certificate");
    check(&shows(["client.pem", "server.key"]), "it is not the key for the certificate in");
    check(&shows(["client.pem", "client.pem"]), "client.pem: it holds no private key in PEM form");
    check(&shows(["client.key", "client.key"]), "client.key: it holds no certificate");
    check(&shows(["missing", "client.key"]), "missing: No such file");
    check(&format!("&cert_file={}", file("client.pem")), "cert_file is given and no key_file");
}

#[test]
fn an_untrusted_server_is_sent_nothing_and_the_error_says_why() {
    let certificates = Certificates::make();
    let check = |certificate: &str, ca: &str, more: &str, part: &str| {
        let redis = serve(&certificates, certificate, "no");
        let text =
            format!("rediss://:hunter2@localhost:{}?ca_file={}{more}", redis.port(), certificates.path(ca));
        let error = refusal(RedisUrl::parse(&text).unwrap());
        assert!(error.contains(part) && !error.contains("hunter2"), "{error}");
    };
    check("server", "stranger.pem", "", "--redis-ca-file");
    check("expired", "ca.pem", "", "not valid at this time");
    check("other", "ca.pem", "", "--redis-server-name");
    check("server", "ca.pem", "&server_name=redis.elsewhere", "is for another name");
    check("server", "server.key", "", "server.key: it holds no certificate");
    let redis = serve(&certificates, "other", "no");
    BlockingConnection::connect(&url(&certificates, redis.port(), "&server_name=redis.elsewhere")).unwrap();
}

/// Without a CA file the system's authorities count, and none of them has signed this.
#[test]
fn the_systems_authorities_are_trusted_unless_a_file_replaces_them() {
    let certificates = Certificates::make();
    let redis = serve(&certificates, "server", "no");
    let error = refusal(RedisUrl::parse(&format!("rediss://localhost:{}", redis.port())).unwrap());
    assert!(error.contains("--redis-ca-file"), "{error}");
}

#[test]
fn a_peer_that_does_not_speak_tls_is_named() {
    let certificates = Certificates::make();
    for (answer, part) in
        [(&b"-ERR unknown command\r\n"[..], "does not speak TLS"), (b"", "during the TLS handshake")]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // For as long as this program runs: a client that suspects a server without TLS asks it over a second
        // connection.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // The greeting is read first: closing a socket with unread bytes would reset it.
                std::io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
                std::io::Write::write_all(&mut stream, answer).unwrap();
            }
        });
        let error = refusal(url(&certificates, port, ""));
        assert!(error.contains(part), "{error}");
    }
}

/// A renewed certificate is used from the next connect on.
#[test]
fn files_that_change_are_read_again() {
    let certificates = Certificates::make();
    let redis = serve(&certificates, "server", "no");
    let file = certificates.path("trusted.pem");
    std::fs::copy(certificates.path("stranger.pem"), &file).unwrap();
    let url = RedisUrl::parse(&format!("rediss://localhost:{}?ca_file={file}", redis.port())).unwrap();
    for _ in 0..2 {
        assert!(BlockingConnection::connect(&url).is_err());
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::copy(certificates.path("ca.pem"), &file).unwrap();
    BlockingConnection::connect(&url).unwrap();
}
