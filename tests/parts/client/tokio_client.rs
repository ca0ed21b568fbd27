//! The client on tokio over a line that fails or stalls, and over a Redis that ends and comes back.

use std::time::{Duration, Instant};

use jiggler_uring::TokioClient;
use jiggler_uring::client::{Error, TokioOptions};
use jiggler_uring::internal::net::blocking::BlockingOptions;
use jiggler_uring::internal::resp::RedisUrl;
use tokio::task::JoinSet;

use super::fault_proxy::{FaultProxy, Pieces, Then, Way};
use super::redis::Redis;
use super::wait::wait_until;
use super::{job, numbers};

/// A timeout that a test waits for.
const SHORT: Duration = Duration::from_millis(200);

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

#[test]
fn an_answer_that_is_cut_at_any_byte_leaves_the_push_unknown_and_the_client_whole() {
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), true, 1);
    run(async {
        let client = TokioClient::connect(proxy.url()).await.unwrap();
        client.enqueue(&job(0)).await.unwrap();
        for after in 0..4 {
            proxy.after(Way::Replies, after, Then::Cut);
            let error = client.enqueue(&job(1 + after as u64)).await.unwrap_err();
            assert!(matches!(error, Error::Lost(_)) && error.may_have_pushed(), "{error}");
            client.enqueue(&job(100)).await.unwrap();
        }
    });
    let mut stored = numbers(&redis);
    stored.retain(|number| *number != 100);
    assert_eq!(stored, [0, 1, 2, 3, 4], "each was pushed, once");
}

#[test]
fn garbage_is_not_an_answer_and_pieces_make_one() {
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), false, 7);
    run(async {
        let client = TokioClient::connect(proxy.url()).await.unwrap();
        proxy.after(Way::Replies, 1, Then::Garble);
        let error = client.enqueue(&job(0)).await.unwrap_err();
        assert!(matches!(error, Error::Lost(_)), "{error}");
        proxy.split(Pieces::Bytes);
        assert_eq!(client.enqueue_bulk((1..50).map(job)).await.unwrap(), 49);
    });
    assert_eq!(numbers(&redis), (0..50).collect::<Vec<_>>());
}

#[test]
fn calls_that_time_out_before_they_are_sent_are_never_made() {
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), true, 1);
    run(async {
        let options = TokioOptions { call_timeout: SHORT, ..TokioOptions::default() };
        let client = TokioClient::lazy(&RedisUrl::parse(proxy.url()).unwrap(), options);
        client.enqueue(&job(0)).await.unwrap();
        proxy.hold();
        let error = client.enqueue(&job(1)).await.unwrap_err();
        assert!(matches!(error, Error::Lost(_)) && error.may_have_pushed(), "it was sent: {error}");
        // The task is still waiting for the answer to the first.
        let mut calls = JoinSet::new();
        for number in 2..10 {
            let client = client.clone();
            calls.spawn(async move { client.enqueue(&job(number)).await });
        }
        for result in calls.join_all().await {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::NotSent { .. }) && !error.may_have_pushed(), "{error}");
        }
        proxy.clear();
        client.enqueue(&job(10)).await.unwrap();
    });
    assert_eq!(numbers(&redis), [0, 1, 10]);
}

#[test]
fn a_hung_redis_costs_the_connection_and_not_the_client() {
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), true, 1);
    run(async {
        let connection = BlockingOptions { call_timeout: SHORT, ..BlockingOptions::default() };
        let options = TokioOptions { connection, ..TokioOptions::default() };
        let client = TokioClient::lazy(&RedisUrl::parse(proxy.url()).unwrap(), options);
        client.enqueue(&job(0)).await.unwrap();
        proxy.forget();
        let error = client.enqueue(&job(1)).await.unwrap_err();
        assert!(matches!(error, Error::Lost(_)), "{error}");
        client.enqueue(&job(2)).await.unwrap();
    });
    assert_eq!(numbers(&redis), [0, 2]);
}

#[test]
fn calls_fail_soon_while_redis_is_away_and_succeed_once_it_is_back() {
    let mut redis = Redis::start_durable();
    let url = RedisUrl::parse(&redis.url()).unwrap();
    run(async {
        let connection =
            BlockingOptions { client_name: "tokio-test".to_owned(), ..BlockingOptions::default() };
        let options = TokioOptions { connection, ..TokioOptions::default() };
        let client = TokioClient::lazy(&url, options);
        client.enqueue(&job(0)).await.unwrap();
        redis.kill();
        let error = client.enqueue(&job(1)).await.unwrap_err();
        assert!(matches!(error, Error::Lost(_)), "{error}");
        let began = Instant::now();
        for number in 2..5 {
            let error = client.enqueue(&job(number)).await.unwrap_err();
            assert!(matches!(error, Error::Connect(_)) && !error.may_have_pushed(), "{error}");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        redis.start_again();
        let mut calls = JoinSet::new();
        for number in 5..300 {
            let client = client.clone();
            calls.spawn(async move { client.enqueue(&job(number)).await });
        }
        calls.join_all().await.into_iter().for_each(|result| drop(result.unwrap()));
        drop(client);
        wait_until("the connection is closed with the last clone", || redis.clients("tokio-test").is_empty());
    });
    let mut stored = numbers(&redis);
    stored.sort_unstable();
    assert_eq!(stored, [0].into_iter().chain(5..300).collect::<Vec<_>>());
}
