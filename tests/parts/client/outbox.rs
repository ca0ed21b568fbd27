//! An outbox over a Redis that ends and comes back, and over a line that loses answers or holds everything up: each
//! job is there once, in the order of the pushes.

use std::path::Path;
use std::thread;
use std::time::Duration;

use jiggler_uring::Outbox;
use jiggler_uring::client::outbox::Place;
use jiggler_uring::client::{Error, OutboxOptions};
use jiggler_uring::internal::net::blocking::BlockingOptions;
use jiggler_uring::internal::resp::RedisUrl;
use tempfile::TempDir;

use super::fault_proxy::{FaultProxy, Then, Way};
use super::redis::Redis;
use super::wait::{PATIENCE, wait_until};
use super::{job, numbers};

/// A Redis silent for this long counts as away.
const SHORT: Duration = Duration::from_millis(200);

fn open(directory: &TempDir, url: &str) -> Outbox {
    open_at(&directory.path().join("outbox"), url)
}

fn open_at(path: &Path, url: &str) -> Outbox {
    let connection = BlockingOptions { call_timeout: SHORT, ..OutboxOptions::default().connection };
    let options = OutboxOptions { connection, ..OutboxOptions::default() };
    Outbox::open_with(path, &RedisUrl::parse(url).unwrap(), options).unwrap()
}

fn push(outbox: &Outbox, number: u64) -> Place {
    outbox.enqueue(&job(number)).unwrap().place
}

#[track_caller]
fn assert_each_once(redis: &Redis, outbox: &Outbox, count: u64) {
    assert!(outbox.flush(PATIENCE), "{:?}", outbox.status());
    assert_eq!(numbers(redis), (0..count).collect::<Vec<_>>());
}

#[test]
fn pushes_through_an_outage_are_there_once_and_in_order_after_it() {
    let (mut redis, directory) = (Redis::start_durable(), tempfile::tempdir().unwrap());
    let outbox = open(&directory, &redis.url());
    assert_eq!(push(&outbox, 0), Place::Redis);
    redis.kill();
    for number in 1..20 {
        assert_eq!(push(&outbox, number), Place::Journal);
    }
    assert_eq!(outbox.enqueue_bulk((20..3_000).map(job)).unwrap(), 2_980);
    assert_eq!(outbox.status().jobs, 2_999);
    redis.start_again();
    // While the journal is being sent, new pushes go behind it.
    for number in 3_000..3_050 {
        let _journal_or_redis: Place = push(&outbox, number);
    }
    assert_each_once(&redis, &outbox, 3_050);
    assert_eq!(push(&outbox, 3_050), Place::Redis);
    assert_each_once(&redis, &outbox, 3_051);
}

#[test]
fn an_answer_that_is_lost_at_any_byte_duplicates_no_job() {
    let (redis, directory) = (Redis::start(), tempfile::tempdir().unwrap());
    let proxy = FaultProxy::start(&redis.socket(), true, 1);
    let outbox = open(&directory, proxy.url());
    let mut pushed = 0;
    let mut next = || (pushed, pushed += 1).0;
    push(&outbox, next());
    // `:1\r\n`
    for after in 0..4 {
        proxy.after(Way::Replies, after, Then::Cut);
        push(&outbox, next());
        assert!(outbox.flush(PATIENCE), "{:?}", outbox.status());
        assert_eq!(push(&outbox, next()), Place::Redis);
    }
    // And a request that does not arrive whole.
    for after in [0, 1, 100, 700, 900] {
        proxy.after(Way::Requests, after, Then::Cut);
        push(&outbox, next());
        assert!(outbox.flush(PATIENCE), "{:?}", outbox.status());
        assert_eq!(push(&outbox, next()), Place::Redis);
    }
    assert_each_once(&redis, &outbox, pushed);
}

#[test]
fn an_attempt_that_arrives_after_it_was_abandoned_finds_its_job_pushed() {
    let (redis, directory) = (Redis::start(), tempfile::tempdir().unwrap());
    let proxy = FaultProxy::start(&redis.socket(), true, 1);
    let outbox = open(&directory, proxy.url());
    push(&outbox, 0);
    proxy.hold();
    assert_eq!(push(&outbox, 1), Place::Journal, "once out of patience with Redis");
    (2..10).for_each(|number| assert_eq!(push(&outbox, number), Place::Journal));
    // Everything sent meanwhile arrives now, in any order.
    proxy.clear();
    assert_each_once(&redis, &outbox, 10);
}

#[test]
fn a_redis_that_refuses_writes_is_away_and_one_that_wants_a_password_is_a_mistake() {
    let (redis, directory) = (Redis::start(), tempfile::tempdir().unwrap());
    let outbox = open(&directory, &redis.url());
    redis.run(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(push(&outbox, 0), Place::Journal);
    assert!(outbox.status().trouble.unwrap().contains("OOM"));
    redis.run(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_each_once(&redis, &outbox, 1);

    let locked = Redis::start_with_password("hunter2");
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory, &locked.url());
    let error = outbox.enqueue(&job(0)).unwrap_err();
    assert!(matches!(error, Error::Connect(_)) && !error.may_heal() && !error.may_have_pushed(), "{error}");
    assert_eq!(outbox.status().jobs, 0);
}

#[test]
fn threads_that_push_through_outages_find_each_job_once_and_theirs_in_order() {
    let (mut redis, directory) = (Redis::start_durable(), tempfile::tempdir().unwrap());
    let outbox = open(&directory, &redis.url());
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let outbox = outbox.clone();
            thread::spawn(move || {
                let mut kept = 0;
                for number in 0..400 {
                    kept += u64::from(push(&outbox, thread * 1_000 + number) == Place::Journal);
                }
                kept
            })
        })
        .collect();
    for _ in 0..2 {
        redis.kill();
        wait_until("jobs are kept", || {
            outbox.status().jobs > 0 || threads.iter().all(thread::JoinHandle::is_finished)
        });
        redis.start_again();
    }
    let kept: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(kept > 0, "there was an outage");
    assert!(outbox.flush(PATIENCE), "{:?}", outbox.status());
    let stored = numbers(&redis);
    assert_eq!(stored.len(), 1_600);
    for thread in 0..4 {
        let own: Vec<u64> = stored.iter().filter(|number| *number / 1_000 == thread).copied().collect();
        assert_eq!(own, (thread * 1_000..thread * 1_000 + 400).collect::<Vec<_>>());
    }
}
