//! What Redis sends a connection unasked: RESP3 pushes, and what we assume about key tracking.

use std::time::Duration;

use jiggler_uring::internal::net::{Connection, Error};
use jiggler_uring::internal::resp::Requests;
use jiggler_uring::internal::store::due::{self, DueLook};
use jiggler_uring::internal::store::scripts::{self, Scripts};
use jiggler_uring::internal::wire::keys::JIGGLER;

use super::peer::peer;
use super::{call, on_executor, open};
use crate::own_redis::OwnRedis;

const PUSH: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n";

/// Waits until something has arrived, and counts it.
async fn heard(conn: &mut Connection) -> usize {
    loop {
        match conn.pushes().unwrap() {
            0 => conn.readable().await.unwrap(),
            pushes => return pushes,
        }
    }
}

#[test]
fn pushes_before_with_or_after_a_reply_and_in_pieces_are_received() {
    let (url, thread) = peer(|peer| {
        peer.command();
        peer.say(&[PUSH, b":1\r\n", PUSH].concat());
        peer.command();
        peer.say(b":2\r\n");
        PUSH.iter().for_each(|byte| peer.say(&[*byte]));
        peer.command();
        peer.say(&[PUSH, PUSH, b":3\r\n"].concat());
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        conn.speak_resp3();
        assert_eq!(call(&mut conn, &[b"ASK"]).await.as_integer().unwrap(), 1);
        // The second may have arrived in the same read: then no readiness would ever report it.
        let mut pushes = heard(&mut conn).await;
        while pushes < 2 {
            pushes += heard(&mut conn).await;
        }
        assert_eq!(call(&mut conn, &[b"ASK"]).await.as_integer().unwrap(), 2);
        assert_eq!(heard(&mut conn).await, 1);
        assert_eq!(call(&mut conn, &[b"ASK"]).await.as_integer().unwrap(), 3);
        assert_eq!(conn.pushes().unwrap(), 2);
        assert_eq!(conn.pushes().unwrap(), 0);
    });
    thread.join().unwrap();
}

#[test]
fn a_reply_that_nobody_asked_for_is_not_a_push() {
    let (url, thread) = peer(|peer| {
        peer.say(b":1\r\n");
        peer.until_closed();
    });
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        conn.speak_resp3();
        let error = loop {
            // It may have arrived together with the last reply, or not yet.
            match conn.pushes() {
                Ok(_) => conn.readable().await.unwrap(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Unrequested), "{error}");
        assert!(matches!(conn.pushes(), Err(Error::Broken)));
        assert!(matches!(conn.readable().await, Err(Error::Broken)));
    });
    thread.join().unwrap();
}

#[test]
fn the_end_of_a_connection_is_noticed_while_no_reply_is_due() {
    let (url, thread) = peer(|_| {});
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        conn.readable().await.unwrap();
        assert!(matches!(conn.pushes(), Err(Error::Closed)));
    });
    thread.join().unwrap();
}

/// The poller's bell relies on each of these. Redis does not document them as promises, so they are pinned here.
#[test]
fn redis_notifies_once_of_a_change_to_any_key_passed_to_a_script() {
    let redis = OwnRedis::start();
    let url = redis.url();
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let mut other = open(&url).await.unwrap();
        conn.speak_resp3();
        call(&mut conn, &[b"HELLO", b"3"]).await.as_array().unwrap();
        call(&mut conn, &[b"CLIENT", b"TRACKING", b"ON", b"NOLOOP"]).await.as_ok().unwrap();
        let write = b"redis.call('ZADD', KEYS[2], 1, ARGV[1]); return redis.call('EXISTS', KEYS[2])";
        for round in [&b"1"[..], b"2", b"3"] {
            // It reads only one of the two, and only after making a change itself.
            call(&mut conn, &[b"EVAL", write, b"2", b"unread", b"read", round]).await.as_integer().unwrap();
            call(&mut other, &[b"ZADD", b"unread", b"1", round]).await.as_integer().unwrap();
            assert_eq!(heard(&mut conn).await, 1);
            call(&mut other, &[b"ZADD", b"unread", b"2", round]).await.as_integer().unwrap();
            assert_eq!(call(&mut conn, &[b"ECHO", round]).await.as_bulk().unwrap(), round);
            assert_eq!(conn.pushes().unwrap(), 0, "its change was reported, and it was not read again");
        }
        // A change reported before a reply precedes that reply.
        call(&mut conn, &[b"EVAL", write, b"2", b"unread", b"read", b"4"]).await.as_integer().unwrap();
        call(&mut other, &[b"FLUSHALL"]).await.as_ok().unwrap();
        call(&mut conn, &[b"ECHO", b"then"]).await;
        assert_eq!(conn.pushes().unwrap(), 1);
    });
}

/// The whole call is repeated when Redis has forgotten the script, though the rest of it has already run.
#[test]
fn a_bell_rings_although_the_script_had_to_be_loaded_in_between() {
    let redis = OwnRedis::start();
    let url = redis.url();
    on_executor(move || async move {
        let mut conn = open(&url).await.unwrap();
        let realm = JIGGLER.shared_realm();
        let mut requests = Requests::new();
        scripts::load(&realm, &mut requests);
        let scripts = Scripts::read(realm.clone(), &conn.call(&requests).await.unwrap()).unwrap();
        conn.speak_resp3();
        requests.clear();
        due::listen(&mut requests);
        conn.call(&requests).await.unwrap();
        call(&mut conn, &[b"SCRIPT", b"FLUSH"]).await.as_ok().unwrap();

        let mut ring = Requests::new();
        let look =
            DueLook { uuid: "me", lead: Duration::from_secs(20), may_lead: true, told: None, paces: &[] };
        due::ring(&scripts, look, &mut ring);
        assert!(scripts::forgotten(&conn.call(&ring).await.unwrap()));
        assert_eq!(conn.pushes().unwrap(), 0);
        requests.clear();
        scripts::load(&realm, &mut requests);
        conn.call(&requests).await.unwrap();
        conn.call(&ring).await.unwrap();
        assert_eq!(conn.pushes().unwrap(), 1);
    });
}
