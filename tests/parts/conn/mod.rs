//! The connection of the engine on a glommio executor: against a real Redis, and against peers that answer in pieces,
//! late, too much, nonsense, or not at all.
//!
//! Peers are threads that wait for the test's commands, so no test depends on how fast anything is.

mod peer;
mod pushes;
#[cfg(feature = "tls")]
mod tls;

use std::future::Future;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::own_redis::OwnRedis;
use futures_lite::future::poll_once;
use glommio::{LocalExecutorBuilder, Placement};
use jiggler_uring::internal::limits::{EXECUTOR_IO_BYTES, READ_CHUNK_BYTES};
use jiggler_uring::internal::net::Error;
use jiggler_uring::internal::net::error::HandshakeError;
use jiggler_uring::internal::net::{ConnOptions, Connection};
use jiggler_uring::internal::resp::{RedisUrl, Reply, ReplyLimits, Requests, Value};
use peer::{Peer, peer, raw_peer};

/// A deadline that a test waits for.
const SHORT: Duration = Duration::from_millis(50);

/// A deadline that no test waits for.
const LONG: Duration = Duration::from_secs(3600);

/// Runs a test on an executor like a shard's, and propagates its panic.
fn on_executor<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F + Send + 'static) {
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(EXECUTOR_IO_BYTES)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

async fn open(url: &RedisUrl) -> Result<Connection, Error> {
    let name = "test-conn".to_owned();
    let options = ConnOptions { name, limits: ReplyLimits::default(), chunk_bytes: READ_CHUNK_BYTES };
    Connection::open(url, &options).await
}

fn command(args: &[&[u8]]) -> Requests {
    let mut requests = Requests::new();
    requests.command(args);
    requests
}

async fn call(conn: &mut Connection, args: &[&[u8]]) -> Reply {
    conn.call(&command(args)).await.unwrap().remove(0)
}

async fn assert_refuses_calls(conn: &mut Connection) {
    assert!(matches!(conn.send(&command(&[b"PING"])).await, Err(Error::Broken)));
    assert!(matches!(conn.reply().await, Err(Error::Broken)));
}

#[test]
fn tcp_with_user_password_and_database() {
    let redis = OwnRedis::start_with(&["--user", "worker", "on", ">geheim", "~*", "&*", "+@all"]);
    let port = redis.port();
    on_executor(move || async move {
        let url = RedisUrl::parse(&format!("redis://worker:geheim@127.0.0.1:{port}/3")).unwrap();
        let mut conn = open(&url).await.unwrap();
        assert_eq!(call(&mut conn, &[b"ACL", b"WHOAMI"]).await.as_bulk().unwrap(), b"worker");
        assert_eq!(call(&mut conn, &[b"CLIENT", b"GETNAME"]).await.as_bulk().unwrap(), b"test-conn");
        let info = call(&mut conn, &[b"CLIENT", b"INFO"]).await;
        assert!(String::from_utf8_lossy(info.as_bulk().unwrap()).contains(" db=3 "), "{info:?}");

        let url = RedisUrl::parse(&format!("redis://worker:falsch@localhost:{port}/3")).unwrap();
        let error = open(&url).await.err().unwrap();
        assert!(matches!(error, Error::Handshake(HandshakeError::WrongPassword { .. })), "{error}");
        assert!(!format!("{error} {error:?}").contains("falsch"));
        let url = RedisUrl::parse(&format!("redis://worker:geheim@127.0.0.1:{port}/99")).unwrap();
        let error = open(&url).await.err().unwrap();
        assert!(
            matches!(error, Error::Handshake(HandshakeError::NoSuchDatabase { database: 99 })),
            "{error}"
        );
    });
}

#[test]
fn unix_socket_with_a_thousand_commands_in_one_write() {
    let redis = OwnRedis::start();
    let url = redis.url();
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let mut requests = Requests::new();
        (0..1_000).for_each(|_| requests.command(&[b"INCR", b"n"]));
        let replies = conn.call(&requests).await.unwrap();
        let numbers: Vec<i64> = replies.iter().map(|reply| reply.as_integer().unwrap()).collect();
        assert_eq!(numbers, (1..=1_000).collect::<Vec<_>>());
        let large = vec![b'x'; 3_000_000];
        call(&mut conn, &[b"SET", b"large", &large]).await.as_ok().unwrap();
        assert!(call(&mut conn, &[b"GET", b"large"]).await.as_bulk().unwrap() == large);
    });
}

#[test]
fn an_answer_that_comes_byte_by_byte() {
    let answer = b"*3\r\n$5\r\nhello\r\n:-7\r\n*1\r\n$0\r\n\r\n";
    let (url, thread) = peer(|peer| {
        peer.command();
        answer.iter().for_each(|byte| peer.say(&[*byte]));
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let reply = call(&mut conn, &[b"ASK"]).await;
        assert_eq!(format!("{reply:?}"), r#"[$"hello", :-7, [$""]]"#);
        assert_eq!(reply.wire_bytes(), answer.len());
    });
    thread.join().unwrap();
}

/// The reply is awaited, abandoned, and awaited again, with the answer cut in every place: no byte is lost.
#[test]
fn a_dropped_reply_future_loses_no_bytes_wherever_the_answer_is_cut() {
    let answer = b"*2\r\n$12\r\nfirst\r\nthird\r\n:4096\r\n";
    let (said, was_said) = channel();
    let (go_on, may_go_on) = channel();
    let (url, thread) = peer(move |peer| {
        for cut in 0..=answer.len() {
            peer.command();
            peer.say(&answer[..cut]);
            said.send(()).unwrap();
            may_go_on.recv().unwrap();
            peer.say(&answer[cut..]);
        }
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        for cut in 0..=answer.len() {
            conn.send(&command(&[b"ASK"])).await.unwrap();
            was_said.recv().unwrap();
            let mut reply = None;
            for _ in 0..3 {
                reply = reply.or(poll_once(conn.reply_within(LONG)).await);
            }
            assert!(reply.is_none() || cut == answer.len(), "{cut} bytes yielded a reply");
            go_on.send(()).unwrap();
            let reply = match reply {
                Some(reply) => reply.unwrap(),
                None => conn.reply().await.unwrap(),
            };
            assert_eq!(format!("{reply:?}"), r#"[$"first\r\nthird", :4096]"#, "cut at {cut}");
        }
    });
    thread.join().unwrap();
}

#[test]
fn a_peer_that_closes_mid_reply() {
    let (url, thread) = peer(|peer| {
        peer.command();
        peer.say(b"$100\r\nonly this");
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let error = conn.call(&command(&[b"ASK"])).await.unwrap_err();
        assert!(matches!(error, Error::Closed), "{error}");
        assert_refuses_calls(&mut conn).await;
    });
    thread.join().unwrap();
}

#[test]
fn a_peer_that_never_answers_is_abandoned_at_the_deadline() {
    let (url, thread) = peer(Peer::until_closed);
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        conn.send(&command(&[b"ASK"])).await.unwrap();
        let error = conn.reply_within(SHORT).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { after, .. } if after == SHORT), "{error}");
        assert_refuses_calls(&mut conn).await;
    });
    // The watchdog has shut the socket down: the peer sees it.
    thread.join().unwrap();
}

/// The watchdog of the long wait keeps sleeping; a shorter deadline must not wait for it.
#[test]
fn a_short_deadline_after_a_long_one_holds() {
    let (url, thread) = peer(Peer::until_closed);
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        conn.send(&command(&[b"ASK"])).await.unwrap();
        assert!(poll_once(conn.reply_within(LONG)).await.is_none());
        glommio::executor().yield_task_queue_now().await;
        assert!(matches!(conn.reply_within(SHORT).await, Err(Error::Timeout { .. })));
    });
    thread.join().unwrap();
}

/// Whatever arrived before the deadline counts, however late it is read.
#[test]
fn an_answer_read_after_its_deadline_is_not_lost() {
    let (said, was_said) = channel();
    let (url, thread) = peer(move |peer| {
        peer.command();
        peer.say(b":1\r\n");
        said.send(()).unwrap();
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        conn.send(&command(&[b"ASK"])).await.unwrap();
        was_said.recv().unwrap();
        assert_eq!(conn.reply_within(Duration::ZERO).await.unwrap().as_integer().unwrap(), 1);
    });
    thread.join().unwrap();
}

#[test]
fn a_peer_that_talks_nonsense() {
    let (url, thread) = peer(|peer| {
        peer.command();
        peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let error = conn.call(&command(&[b"ASK"])).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{error}");
        assert_refuses_calls(&mut conn).await;
    });
    thread.join().unwrap();
}

/// If the surplus were taken as the answer to the next command, every later answer would belong to another command.
#[test]
fn a_peer_that_answers_more_than_was_asked() {
    let (url, thread) = peer(|peer| {
        peer.command();
        peer.say(b":1\r\n:2\r\n");
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        assert_eq!(call(&mut conn, &[b"ASK"]).await.as_integer().unwrap(), 1);
        let error = conn.call(&command(&[b"ASK"])).await.unwrap_err();
        assert!(matches!(error, Error::Unrequested), "{error}");
        assert_refuses_calls(&mut conn).await;
    });
    thread.join().unwrap();
}

#[test]
fn a_peer_that_refuses() {
    let (url, thread) = raw_peer(|peer| peer.say(b"-ERR max number of clients reached\r\n"));
    on_executor(move || async move {
        let error = open(&url).await.err().unwrap();
        assert!(matches!(error, Error::Handshake(_)) && error.to_string().contains("max number"), "{error}");

        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = open(&RedisUrl::parse(&format!("redis://{unused}")).unwrap()).await.err().unwrap();
        assert!(
            matches!(error, Error::Io { .. }) && error.to_string().contains(&unused.to_string()),
            "{error}"
        );
        let error = open(&RedisUrl::parse("unix:///no/such.sock").unwrap()).await.err().unwrap();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("/no/such.sock"), "{error}");
    });
    thread.join().unwrap();
}

#[test]
fn a_stopper_ends_a_pending_read() {
    let (url, thread) = peer(Peer::until_closed);
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let stopper = conn.stopper();
        conn.send(&command(&[b"ASK"])).await.unwrap();
        let reader = glommio::spawn_local(async move {
            assert!(matches!(conn.reply_within(LONG).await, Err(Error::Closed)));
            assert_refuses_calls(&mut conn).await;
        });
        glommio::executor().yield_task_queue_now().await;
        stopper.stop();
        reader.await;
        // The connection is gone with its task: stopping again has no effect.
        stopper.stop();
    });
    thread.join().unwrap();
}

#[test]
fn connections_of_one_executor_do_not_wait_for_each_other() {
    let redis = OwnRedis::start();
    let quick = redis.url();
    let (go_on, may_go_on) = channel();
    let (url, thread) = peer(move |peer| {
        peer.command();
        may_go_on.recv().unwrap();
        peer.say(b"+LATE\r\n");
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut slow = open(&url).await.unwrap();
        let waiting = glommio::spawn_local(async move { call(&mut slow, &[b"ASK"]).await });
        let mut quick = open(&quick).await.unwrap();
        for _ in 0..100 {
            assert!(matches!(call(&mut quick, &[b"PING"]).await.value(), Value::Simple(b"PONG")));
        }
        go_on.send(()).unwrap();
        assert!(matches!(waiting.await.value(), Value::Simple(b"LATE")));
    });
    thread.join().unwrap();
}

/// The peer reads nothing until another task of the executor has run: a send that waits must yield the executor to
/// others.
#[test]
fn eight_megabytes_to_a_peer_that_reads_slowly() {
    let (go_on, may_go_on) = channel();
    let (url, thread) = peer(move |peer| {
        may_go_on.recv().unwrap();
        let length = peer.command()[1].len();
        peer.say(format!(":{length}\r\n").as_bytes());
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let sender = glommio::spawn_local(async move {
            let large = vec![b'x'; 8 * 1024 * 1024];
            call(&mut conn, &[b"PUT", &large]).await.as_integer().unwrap()
        });
        glommio::executor().yield_task_queue_now().await;
        go_on.send(()).unwrap();
        assert_eq!(sender.await, 8 * 1024 * 1024);
    });
    thread.join().unwrap();
}
