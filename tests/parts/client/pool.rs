//! A pool over a line that fails, and over a Redis that ends and comes back.

use std::thread;

use jiggler_uring::ClientPool;
use jiggler_uring::client::{Error, PoolOptions};
use jiggler_uring::internal::resp::RedisUrl;

use super::fault_proxy::{FaultProxy, Then, Way};
use super::redis::Redis;
use super::{job, numbers};

fn pool(url: &str, connections_max: usize) -> ClientPool {
    ClientPool::lazy(
        &RedisUrl::parse(url).unwrap(),
        PoolOptions { connections_max, ..PoolOptions::default() },
    )
}

#[test]
fn an_answer_that_is_cut_at_any_byte_leaves_the_push_unknown_and_the_pool_whole() {
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), true, 1);
    let pool = pool(proxy.url(), 1);
    pool.enqueue(&job(0)).unwrap();
    // `:2\r\n`
    for after in 0..4 {
        proxy.after(Way::Replies, after, Then::Cut);
        let error = pool.enqueue(&job(1 + after as u64)).unwrap_err();
        assert!(matches!(error, Error::Lost(_)) && error.may_have_pushed(), "{error}");
        assert!(error.to_string().contains("not known whether"), "{error}");
        pool.enqueue(&job(100)).unwrap();
    }
    let mut stored = numbers(&redis);
    stored.retain(|number| *number != 100);
    assert_eq!(stored, [0, 1, 2, 3, 4], "each was pushed, once");
}

#[test]
fn threads_that_push_through_a_restart_lose_nothing_reported_as_pushed() {
    let mut redis = Redis::start_durable();
    let pool = pool(&redis.url(), 4);
    pool.enqueue(&job(0)).unwrap();
    redis.kill();
    let error = pool.enqueue(&job(1)).unwrap_err();
    assert!(error.may_have_pushed(), "it was sent into a dead connection: {error}");
    let error = pool.enqueue(&job(2)).unwrap_err();
    assert!(matches!(error, Error::Connect(_)) && error.may_heal() && !error.may_have_pushed(), "{error}");
    redis.start_again();
    let threads: Vec<_> = (3..20)
        .map(|number| {
            let pool = pool.clone();
            thread::spawn(move || pool.enqueue(&job(number)).unwrap())
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
    let mut stored = numbers(&redis);
    stored.sort_unstable();
    assert_eq!(stored, [0].into_iter().chain(3..20).collect::<Vec<_>>());
}
