//! Proves against a real server that threads share a bounded number of connections, that a broken one is replaced,
//! and that a caller who finds none waits for one, no longer than requested.

use std::thread;

use super::*;
use crate::own_redis::OwnRedis;

fn pool(redis: &OwnRedis, connections_max: usize) -> ClientPool {
    let connection = BlockingOptions { client_name: "pool-test".to_owned(), ..BlockingOptions::default() };
    ClientPool::lazy(&redis.url(), PoolOptions { connections_max, connection, ..PoolOptions::default() })
}

fn job(number: usize) -> NewJob {
    NewJob::new("N", &[number]).unwrap()
}

fn length(redis: &OwnRedis, queue: &str) -> i64 {
    redis.run(&[b"LLEN", format!("jiggler:list:{queue}").as_bytes()]).as_integer().unwrap()
}

fn open(redis: &OwnRedis) -> usize {
    let list = redis.run(&[b"CLIENT", b"LIST"]);
    String::from_utf8_lossy(list.as_bulk().unwrap()).matches("name=pool-test").count()
}

#[test]
fn many_threads_share_few_connections() {
    let redis = OwnRedis::start();
    let pool = pool(&redis, 3);
    assert_eq!((pool.connections(), open(&redis)), ((0, 0), 0), "none before it is needed");
    let threads: Vec<_> = (0..16)
        .map(|thread| {
            let pool = pool.clone();
            thread::spawn(move || {
                (0..50).for_each(|number| drop(pool.enqueue(&job(100 * thread + number)).unwrap()));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(length(&redis, "default"), 800);
    let (in_use, idle) = pool.connections();
    assert!(in_use == 0 && (1..=3).contains(&idle), "{idle} idle");
    assert_eq!(open(&redis), idle);
    assert_eq!(pool.enqueue_bulk((0..2_500).map(job)).unwrap(), 2_500);
    assert_eq!(pool.enqueue_bulk_at(1e10, (0..3).map(job)).unwrap(), 3);
    pool.enqueue_in(Duration::from_secs(60), &job(7)).unwrap();
    assert_eq!(redis.run(&[b"ZCARD", b"jiggler:set:scheduled"]).as_integer().unwrap(), 4);
    assert_eq!((pool.cancel("j").unwrap(), pool.progress("j").unwrap()), (0, None));
}

#[test]
fn a_caller_that_finds_all_in_use_waits_and_reports_a_vain_wait() {
    let redis = OwnRedis::start();
    let mut options = PoolOptions { connections_max: 2, ..PoolOptions::default() };
    options.wait_timeout = Duration::from_millis(20);
    let busy = ClientPool::lazy(&redis.url(), options.clone());
    let (first, second) = (busy.client().unwrap(), busy.client().unwrap());
    let error = busy.enqueue(&job(1)).unwrap_err();
    assert!(matches!(error, Error::PoolBusy { connections_max: 2, .. }), "{error}");
    assert!(error.may_heal() && !error.may_have_pushed());
    drop(first);
    busy.enqueue(&job(2)).unwrap();
    drop(second);

    options.wait_timeout = Duration::from_secs(60);
    let patient = ClientPool::lazy(&redis.url(), options);
    let (held, other) = (patient.client().unwrap(), patient.client().unwrap());
    let waiting = thread::spawn({
        let pool = patient.clone();
        move || pool.enqueue(&job(3)).unwrap()
    });
    drop(held);
    waiting.join().unwrap();
    drop(other);
    assert_eq!(length(&redis, "default"), 2);
}

#[test]
fn a_broken_connection_is_replaced_and_counts_no_more() {
    let redis = OwnRedis::start();
    let pool = pool(&redis, 1);
    pool.enqueue(&job(1)).unwrap();
    redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
    let error = pool.enqueue(&job(2)).unwrap_err();
    assert!(matches!(error, Error::Lost(_)) && error.may_have_pushed(), "{error}");
    assert_eq!(pool.connections(), (0, 0));
    pool.enqueue(&job(3)).unwrap();
    assert_eq!((pool.connections(), length(&redis, "default")), ((0, 1), 2));
    let panicked = thread::spawn({
        let pool = pool.clone();
        move || {
            let _client = pool.client().unwrap();
            panic!("while a connection is in use");
        }
    });
    assert!(panicked.join().is_err());
    pool.enqueue(&job(4)).unwrap();
}

#[test]
fn what_was_idle_for_too_long_is_closed_by_the_next_call() {
    let redis = OwnRedis::start();
    let connection = BlockingOptions { client_name: "pool-test".to_owned(), ..BlockingOptions::default() };
    let options = PoolOptions { idle_timeout: Duration::ZERO, connection, ..PoolOptions::default() };
    let pool = ClientPool::lazy(&redis.url(), options);
    let mut clients: Vec<_> = (0..3).map(|_| pool.client().unwrap()).collect();
    clients.iter_mut().for_each(|client| drop(client.enqueue(&job(1)).unwrap()));
    assert_eq!((open(&redis), pool.connections()), (3, (3, 0)));
    drop(clients);
    pool.enqueue(&job(2)).unwrap();
    assert_eq!(pool.connections(), (0, 1), "the one used last");
    assert_eq!(open(&redis), 1);
}

#[test]
fn hooks_see_what_this_handle_and_its_clones_push_and_no_other() {
    let redis = OwnRedis::start();
    let plain = pool(&redis, 2);
    let hooked = plain.clone().on_enqueue(|job| job.queue_named("hooked"));
    plain.enqueue(&job(1)).unwrap();
    hooked.clone().enqueue(&job(2)).unwrap();
    hooked.client().unwrap().enqueue(&job(3)).unwrap();
    assert_eq!(hooked.enqueue_bulk([job(4)]).unwrap(), 1);
    plain.enqueue(&job(5)).unwrap();
    assert_eq!((length(&redis, "default"), length(&redis, "hooked")), (2, 3));
}

#[test]
fn a_pool_may_be_made_while_redis_is_away() {
    let url = "unix:///nonexistent/redis.sock";
    assert!(matches!(ClientPool::connect(url), Err(Error::Connect(_))));
    let pool = ClientPool::lazy(&RedisUrl::parse(url).unwrap(), PoolOptions::default());
    let error = pool.enqueue(&job(1)).unwrap_err();
    assert!(matches!(error, Error::Connect(_)) && error.may_heal() && !error.may_have_pushed(), "{error}");
    assert_eq!(pool.connections(), (0, 0));
}

#[test]
fn handles_of_one_pool_may_speak_each_their_dialect() {
    let redis = OwnRedis::start();
    let usual = pool(&redis, 1);
    let sidekiq = usual.clone().speaking(Dialect::Sidekiq);
    for number in 0..2 {
        usual.enqueue(&job(number)).unwrap();
        sidekiq.enqueue(&job(number)).unwrap();
    }
    sidekiq.enqueue_bulk((0..3).map(job)).unwrap();
    sidekiq.enqueue_at(1e10, &job(9)).unwrap();
    assert_eq!((length(&redis, "default"), open(&redis)), (2, 1));
    let stored = redis.strings(&[b"LRANGE", b"queue:default", b"0", b"-1"]);
    assert!(
        stored.len() == 5 && stored.iter().all(|payload| payload.contains(r#""class":"N""#)),
        "{stored:?}"
    );
    assert!(stored.iter().all(|payload| payload.contains("\"enqueued_at\":")), "{stored:?}");
    assert_eq!(redis.strings(&[b"SMEMBERS", b"queues"]), ["default"]);
    assert_eq!(redis.run(&[b"ZCARD", b"schedule"]).as_integer().unwrap(), 1);
}
