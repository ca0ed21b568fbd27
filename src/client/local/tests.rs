//! Proves against a real server that what a core's client pushes arrives in order, once, over one connection, and
//! that a lost connection fails what was in progress and nothing after it.

use std::rc::Rc;

use futures_lite::future::{poll_once, zip};
use glommio::{LocalExecutorBuilder, Placement};

use super::*;
use crate::own_redis::OwnRedis;

fn run<T>(redis: &OwnRedis, test: impl AsyncFnOnce(LocalClient) -> T) -> T {
    let client = LocalClient::connecting(redis.url(), "local-test");
    LocalExecutorBuilder::new(Placement::Unbound).make().unwrap().run(test(client))
}

fn job(number: usize) -> NewJob {
    NewJob::new("N", &[number]).unwrap()
}

fn numbers(redis: &OwnRedis, queue: &[u8]) -> Vec<usize> {
    let payloads = redis.strings(&[b"LRANGE", queue, b"0", b"-1"]);
    let number = |payload: &String| member::<(usize,)>(payload.as_bytes(), "args").unwrap().0;
    payloads.iter().rev().map(number).collect()
}

fn clients(redis: &OwnRedis) -> usize {
    let list = redis.run(&[b"CLIENT", b"LIST"]);
    String::from_utf8_lossy(list.as_bulk().unwrap()).matches("name=local-test").count()
}

#[test]
fn pushes_arrive_in_their_order_over_one_connection_opened_at_the_first() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        assert_eq!(clients(&redis), 0);
        let jid = client.enqueue(&job(0)).await.unwrap();
        assert_eq!(jid.len(), 16);
        assert_eq!(client.enqueue_bulk((1..2_500).map(job)).await.unwrap(), 2_499);
        let (img, default) = (job(7).queue_named("img").unwrap(), job(2_500));
        let (first, second) = zip(client.enqueue(&img), client.enqueue(&default)).await;
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(client.enqueue_bulk([] as [NewJob; 0]).await.unwrap(), 0);
        assert_eq!(clients(&redis), 1);
    });
    assert_eq!(numbers(&redis, b"jiggler:list:default"), (0..=2_500).collect::<Vec<_>>());
    assert_eq!(numbers(&redis, b"jiggler:list:img"), [7]);
}

#[test]
fn a_scheduled_job_is_stored_under_its_time_and_progress_under_its_jid() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        client.enqueue_at(1e10, &job(1).queue_named("img").unwrap()).await.unwrap();
        client.enqueue_in(Duration::from_secs(60), &job(2)).await.unwrap();
        assert!(matches!(client.enqueue_at(f64::NAN, &job(3)).await, Err(Error::BadTime { .. })));
        for jid in ["", "j", &"x".repeat(JID_BYTES_MAX + 1)] {
            client.report(jid, &Progress::new(1, 2, &"é".repeat(1_000), 5.5));
        }
        // Sent in order, so this comes after it.
        client.enqueue(&job(4)).await.unwrap();
    });
    let scores = redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"-1", b"WITHSCORES"]);
    assert_eq!((scores.len(), &*scores[3]), (4, "10000000000"));
    assert!(scores[2].contains(r#""queue":"img""#), "{scores:?}");
    assert_eq!(redis.strings(&[b"KEYS", b"*progress*"]), ["jiggler:uring:progress:j"]);
    let mut reader = crate::client::Client::connect(&redis.url_text()).unwrap();
    let progress = reader.progress("j").unwrap().unwrap();
    assert_eq!((progress.percent(), progress.note.chars().count()), (50.0, 200));
    assert_eq!(reader.progress("other").unwrap(), None);
}

#[test]
fn an_abandoned_push_disturbs_no_other() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        for _ in 0..20 {
            // Whether Redis has answered by then depends on the machine.
            let _maybe = poll_once(client.enqueue(&job(1))).await;
            client.enqueue(&job(2)).await.unwrap();
        }
    });
    let pushed = numbers(&redis, b"jiggler:list:default");
    assert_eq!(pushed.iter().filter(|number| **number == 2).count(), 20);
    assert_eq!(pushed.len(), 40, "a push that has started is made");
}

#[test]
fn a_lost_connection_fails_what_is_under_way_and_nothing_after_it() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        client.enqueue(&job(1)).await.unwrap();
        redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        // It was used a moment ago, so nothing checks whether it still works.
        let error = client.enqueue(&job(2)).await.unwrap_err();
        assert!(matches!(&error, Error::Lost(_)) && error.may_heal(), "{error}");
        client.enqueue(&job(3)).await.unwrap();
        redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
        let (bad, good) = (job(4).queue_named("bad").unwrap(), job(5));
        let (failed, pushed) = zip(client.enqueue(&bad), client.enqueue(&good)).await;
        assert!(failed.unwrap_err().to_string().contains("WRONGTYPE"));
        pushed.unwrap();
        let error = client.enqueue_bulk([job(6), bad, job(7)]).await.unwrap_err();
        assert!(matches!(error, Error::Bulk { enqueued: 2, .. }), "{error}");
    });
    assert_eq!(numbers(&redis, b"jiggler:list:default"), [1, 3, 5, 6, 7]);
}

#[test]
fn a_server_that_is_away_fails_every_push_and_is_found_when_it_is_back() {
    let url = RedisUrl::parse("unix:///nonexistent/redis.sock").unwrap();
    let client = LocalClient::connecting(url, "local-test");
    LocalExecutorBuilder::new(Placement::Unbound).make().unwrap().run(async {
        let (first, second) = zip(client.enqueue(&job(1)), client.enqueue(&job(2))).await;
        for error in [first.unwrap_err(), second.unwrap_err()] {
            assert!(error.to_string().contains("/nonexistent/redis.sock"), "{error}");
        }
        client.report("j", &Progress::new(1, 1, "", 5.5));
    });
}

#[test]
fn in_memory_nothing_is_sent_and_everything_is_recorded() {
    let client = LocalClient::in_memory();
    let seen = Rc::new(std::cell::Cell::new(0));
    let client = client.hooked(vec![Box::new({
        let seen = Rc::clone(&seen);
        move |job| {
            seen.set(seen.get() + 1);
            job.retries(4)
        }
    })]);
    futures_lite::future::block_on(async {
        client.enqueue(&job(1).jid("j").unwrap()).await.unwrap();
        client.enqueue_at(5.0, &job(2)).await.unwrap();
        assert_eq!(client.enqueue_bulk([job(3), job(4)]).await.unwrap(), 2);
    });
    let pushed = client.take_pushed();
    assert_eq!(pushed[0].payload, br#"{"name":"N","args":[1],"retries":4,"jid":"j"}"#);
    let due: Vec<_> = pushed.iter().map(|job| (job.due_at, job.args::<(u8,)>().unwrap().0)).collect();
    assert_eq!(due, [(None, 1), (Some(5.0), 2), (None, 3), (None, 4)]);
    assert_eq!((seen.get(), client.pushed().len()), (4, 0));
}
