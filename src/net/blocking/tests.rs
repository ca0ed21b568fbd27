//! Against a real server, over both kinds of socket, and against listeners that misbehave.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use super::*;
use crate::net::error::HandshakeError;
use crate::own_redis::OwnRedis;
use crate::resp;

fn connect(url: &str) -> Result<BlockingConnection, Error> {
    BlockingConnection::connect(&RedisUrl::parse(url).unwrap())
}

fn requests(commands: &[&[&[u8]]]) -> Requests {
    let mut requests = Requests::new();
    commands.iter().for_each(|command| requests.command(command));
    requests
}

fn refusal(url: &str) -> HandshakeError {
    match connect(url) {
        Err(Error::Handshake(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A server that reads what comes, sends `answer`, and then either closes or sends nothing more.
fn misbehaving(answer: &'static [u8], then_close: bool) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).unwrap();
        stream.write_all(answer).unwrap();
        if !then_close {
            // Until the client disconnects.
            while matches!(stream.read(&mut buffer), Ok(bytes) if bytes > 0) {}
        }
    });
    (url, server)
}

#[test]
fn calls_work_over_unix_and_tcp_sockets() {
    let redis = OwnRedis::start();
    for url in [redis.url_text(), format!("redis://127.0.0.1:{}", redis.port())] {
        let mut conn = connect(&url).unwrap();
        let replies = conn
            .call(&requests(&[
                &[b"SET", b"k", b"value"],
                &[b"GET", b"k"],
                &[b"LPUSH", b"k", b"x"],
                &[b"GET", b"none"],
                &[b"CLIENT", b"GETNAME"],
            ]))
            .unwrap();
        replies[0].as_ok().unwrap();
        assert_eq!(replies[1].as_bulk().unwrap(), b"value");
        assert!(
            matches!(replies[2].as_integer(), Err(resp::Error::Redis(error)) if error.code() == "WRONGTYPE")
        );
        assert_eq!(replies[3].as_nil_or_bulk().unwrap(), None);
        assert_eq!(replies[4].as_bulk().unwrap(), b"jiggler-uring");
        assert!(conn.call(&Requests::new()).unwrap().is_empty());
    }
}

#[test]
fn commands_are_sent_ahead_of_replies_which_come_in_their_order_and_must_be_received() {
    let redis = OwnRedis::start();
    let mut conn = redis.connect();
    let incr = requests(&[&[b"INCR", b"n"], &[b"INCR", b"n"]]);
    (0..3).for_each(|_| conn.send(&incr).unwrap());
    assert!(conn.owes_replies());
    let mut numbers = |count: usize| -> Vec<i64> {
        conn.receive(count).unwrap().iter().map(|reply| reply.as_integer().unwrap()).collect()
    };
    assert_eq!((numbers(1), numbers(4), numbers(0)), (vec![1], vec![2, 3, 4, 5], vec![]));
    assert!(conn.is_broken(), "one is owed, and a call would take it for its own");
    assert!(matches!(conn.call(&incr), Err(Error::Broken)));
    assert_eq!(conn.receive(1).unwrap()[0].as_integer().unwrap(), 6);
    assert!(!conn.is_broken());
    assert_eq!(conn.call(&incr).unwrap().len(), 2);
}

#[test]
fn an_error_reply_leaves_the_connection_good() {
    let redis = OwnRedis::start();
    let mut conn = redis.connect();
    assert!(matches!(conn.call_one(&requests(&[&[b"NONSENSE"]])), Err(Error::Redis(_))));
    assert!(!conn.is_broken());
    conn.call_one(&requests(&[&[b"PING"]])).unwrap();
}

#[test]
fn a_large_pipeline_and_a_large_reply_come_through_whole() {
    let redis = OwnRedis::start();
    let mut conn = redis.connect();
    let payload = vec![b'x'; 3_000_000];
    let mut all = Requests::new();
    all.command(&[b"SET", b"large", &payload]);
    for _ in 0..20_000 {
        all.command(&[b"INCR", b"n"]);
    }
    all.command(&[b"GET", b"large"]);
    let replies = conn.call(&all).unwrap();
    assert_eq!(replies.len(), 20_002);
    assert_eq!(replies[20_000].as_integer().unwrap(), 20_000);
    assert_eq!(replies[20_001].as_bulk().unwrap(), payload);
}

#[test]
fn the_database_of_the_url_is_selected() {
    let redis = OwnRedis::start();
    let mut conn = connect(&format!("{}?db=3", redis.url_text())).unwrap();
    conn.call_one(&requests(&[&[b"SET", b"k", b"in three"]])).unwrap();
    assert_eq!(redis.run(&[b"EXISTS", b"k"]).as_integer().unwrap(), 0);
    let mut conn = connect(&format!("redis://127.0.0.1:{}/3", redis.port())).unwrap();
    assert_eq!(conn.call_one(&requests(&[&[b"GET", b"k"]])).unwrap().as_bulk().unwrap(), b"in three");
    assert_eq!(
        refusal(&format!("{}?db=99", redis.url_text())),
        HandshakeError::NoSuchDatabase { database: 99 }
    );
}

#[test]
fn password_and_acl_user_are_checked() {
    let redis = OwnRedis::start_with(&[
        "--requirepass",
        "p@ss/word",
        "--user",
        "jobs",
        "on",
        ">s3cret",
        "allkeys",
        "+@all",
        "-client",
    ]);
    let tcp = |user_part: &str| format!("redis://{user_part}127.0.0.1:{}", redis.port());
    for user_part in [":p%40ss%2Fword@", "default:p%40ss%2Fword@", "jobs:s3cret@"] {
        let mut conn = connect(&tcp(user_part)).unwrap();
        conn.call_one(&requests(&[&[b"PING"]])).unwrap();
    }
    let unix = format!("{}?user=jobs&password=s3cret", redis.url_text());
    connect(&unix).unwrap().call_one(&requests(&[&[b"PING"]])).unwrap();

    assert_eq!(refusal(&tcp("")), HandshakeError::PasswordRequired);
    assert_eq!(refusal(&tcp(":wrong@")), HandshakeError::WrongPassword { user: "default".to_owned() });
    assert_eq!(refusal(&tcp("jobs:wrong@")), HandshakeError::WrongPassword { user: "jobs".to_owned() });
    assert_eq!(refusal(&tcp("nobody:s3cret@")), HandshakeError::WrongPassword { user: "nobody".to_owned() });
}

#[test]
fn a_password_for_a_server_without_one_is_reported() {
    let redis = OwnRedis::start();
    let url = format!("redis://:pw@127.0.0.1:{}", redis.port());
    assert_eq!(refusal(&url), HandshakeError::PasswordNotSet);
}

#[test]
fn a_full_server_is_a_refusal_that_may_pass() {
    let redis = OwnRedis::start_with(&["--maxclients", "2"]);
    let mut held = Vec::new();
    let error = loop {
        match BlockingConnection::connect(&redis.url()) {
            Ok(conn) => held.push(conn),
            Err(error) => break error,
        }
    };
    assert!(held.len() <= 2 && error.may_heal(), "{error}");
    // The server may close before it has read what we sent, which takes its answer off the wire.
    let is_refusal = matches!(&error, Error::Handshake(HandshakeError::Refused { .. }));
    assert!(is_refusal || matches!(&error, Error::Closed | Error::Io { .. }), "{error}");
}

#[test]
fn nobody_listening_is_an_io_error_that_names_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = connect(&format!("redis://{free}")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.may_heal(), "{error}");
    assert!(error.to_string().contains(&free.to_string()), "{error}");
    let error = connect("unix:///nonexistent/redis.sock").unwrap_err();
    assert!(error.to_string().contains("/nonexistent/redis.sock"), "{error}");
}

#[test]
fn after_a_timeout_no_further_call_is_taken() {
    let redis = OwnRedis::start();
    let options = BlockingOptions { call_timeout: Duration::from_millis(50), ..BlockingOptions::default() };
    let mut conn = BlockingConnection::connect_with(&redis.url(), &options).unwrap();
    let blocked = conn.call_one(&requests(&[&[b"BLPOP", b"empty", b"0"]]));
    assert!(matches!(blocked, Err(Error::Timeout { .. })), "{blocked:?}");
    assert!(conn.is_broken());
    assert!(matches!(conn.call_one(&requests(&[&[b"PING"]])), Err(Error::Broken)));
}

#[test]
fn a_server_that_closes_or_babbles_breaks_the_connection() {
    let outcome = |answer, then_close| {
        let (url, server) = misbehaving(answer, then_close);
        let error = connect(&url).map(drop).unwrap_err();
        server.join().unwrap();
        error
    };
    assert!(matches!(outcome(b"", true), Error::Closed));
    assert!(matches!(outcome(b"+O", true), Error::Closed));
    assert!(matches!(outcome(b"HTTP/1.1 400 Bad Request\r\n", false), Error::Decode(_)));
    assert!(matches!(outcome(b"+OK\r\n+OK\r\n", false), Error::Unrequested));
    let full = outcome(b"-ERR max number of clients reached\r\n", true);
    assert!(full.may_heal() && matches!(full, Error::Handshake(HandshakeError::Refused { .. })), "{full}");
}

#[test]
fn neither_errors_nor_debug_show_the_password() {
    let redis = OwnRedis::start_with(&["--requirepass", "hunter2", "--rename-command", "AUTH", "\"\""]);
    let error = connect(&format!("redis://:hunter2@127.0.0.1:{}", redis.port())).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");

    let redis = OwnRedis::start_with(&["--requirepass", "hunter2"]);
    let conn = connect(&format!("redis://:hunter2@127.0.0.1:{}", redis.port())).unwrap();
    assert!(!format!("{conn:?} {:?}", conn.pipeline).contains("hunter2"));
}

#[test]
fn redis_errors_keep_their_words() {
    let redis = OwnRedis::start();
    let error = redis.connect().call_one(&requests(&[&[b"EVALSHA", &[b'0'; 40], b"0"]])).unwrap_err();
    let Error::Redis(error) = error else { panic!("{error}") };
    assert_eq!(error.to_string(), "redis answered NOSCRIPT No matching script. Please use EVAL.");
}
