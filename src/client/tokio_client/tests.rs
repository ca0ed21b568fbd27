//! Proves against a real server that callers share one connection and its round trips, that a dropped call disturbs
//! no other, and that nothing is sent after its caller stopped waiting.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use futures_lite::future::poll_once;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::*;
use crate::job::member;
use crate::own_redis::OwnRedis;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn run<T>(redis: &OwnRedis, test: impl AsyncFnOnce(TokioClient) -> T) -> T {
    runtime().block_on(async { test(TokioClient::connect(&redis.url_text()).await.unwrap()).await })
}

fn job(number: usize) -> NewJob {
    NewJob::new("N", &[number]).unwrap()
}

fn numbers(redis: &OwnRedis, queue: &str) -> Vec<usize> {
    let payloads = redis.strings(&[b"LRANGE", format!("jiggler:list:{queue}").as_bytes(), b"0", b"-1"]);
    let number = |payload: &String| member::<(usize,)>(payload.as_bytes(), "args").unwrap().0;
    payloads.iter().rev().map(number).collect()
}

fn info(redis: &OwnRedis, field: &str) -> u64 {
    let reply = redis.run(&[b"INFO", b"everything"]);
    let text = String::from_utf8_lossy(reply.as_bulk().unwrap()).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
    value.unwrap().trim().parse().unwrap()
}

#[test]
fn it_can_be_shared_by_the_tasks_of_any_runtime() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    fn check_future<T: Send>(_: impl Fn(TokioClient) -> T) {}
    check::<TokioClient>();
    check_future(|client| async move {
        client.enqueue(&job(1)).await?;
        client.enqueue_bulk([job(2)]).await
    });
}

#[test]
fn all_calls_do_what_those_of_the_blocking_client_do() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        let jid = client.enqueue(&job(0).retries(3).unwrap().queue_named("img").unwrap()).await.unwrap();
        let stored = redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]);
        assert_eq!(stored, [format!(r#"{{"name":"N","args":[0],"retries":3,"jid":"{jid}"}}"#)]);
        client.enqueue_at(1e10, &job(1).queue_named("img").unwrap()).await.unwrap();
        client.enqueue_in(Duration::from_secs(60), &job(2)).await.unwrap();
        assert_eq!(client.enqueue_bulk_at(1e10, (3..1_503).map(job)).await.unwrap(), 1_500);
        assert_eq!(redis.run(&[b"ZCARD", b"jiggler:set:scheduled"]).as_integer().unwrap(), 1_502);
        assert!(matches!(client.enqueue_at(f64::NAN, &job(3)).await, Err(Error::BadTime { .. })));
        assert_eq!(client.enqueue_bulk((0..2_500).map(job)).await.unwrap(), 2_500);
        assert_eq!(client.enqueue_bulk([] as [NewJob; 0]).await.unwrap(), 0);
        assert_eq!((client.cancel("j").await.unwrap(), client.progress("j").await.unwrap()), (0, None));
        let said = r#"{"done":1,"total":2,"note":"n","at":1.0}"#;
        redis.run(&[b"SET", b"jiggler:uring:progress:j", said.as_bytes()]);
        assert_eq!(client.progress("j").await.unwrap().unwrap().total, 2);
    });
    assert_eq!(numbers(&redis, "default"), (0..2_500).collect::<Vec<_>>());
}

#[test]
fn a_bulk_that_ends_early_says_how_many_jobs_were_pushed() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    run(&redis, async |client| {
        let jobs = [job(1), job(2), job(3).queue_named("bad").unwrap(), job(4)];
        let error = client.enqueue_bulk(&jobs).await.unwrap_err();
        assert!(
            matches!(&error, Error::Bulk { enqueued: 3, cause, .. } if matches!(**cause, Error::Redis(_)))
        );
        let client = client.on_enqueue(|job| match job.args() {
            "[6]" => Err(InvalidJob::refused("no six")),
            _ => Ok(job),
        });
        let error = client.enqueue_bulk([job(5), job(6), job(7)]).await.unwrap_err();
        assert!(matches!(&error, Error::Bulk { enqueued: 1, cause, .. } if matches!(**cause, Error::Job(_))));
    });
    assert_eq!(numbers(&redis, "default"), [1, 2, 4, 5]);
}

#[test]
fn batches_in_flight_after_a_refused_job_are_counted_or_withdrawn() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    let (count, bad) = (20 * PUSH_JOBS_MAX, PUSH_JOBS_MAX + 500);
    let jobs = (0..count).map(|number| match number == bad {
        true => job(number).queue_named("bad").unwrap(),
        false => job(number),
    });
    let error = run(&redis, async |client| client.enqueue_bulk(jobs).await.unwrap_err());
    let Error::Bulk { enqueued, leading, in_doubt, cause } = &error else { panic!("{error}") };
    assert!(matches!(**cause, Error::Redis(_)), "{error}");
    assert_eq!((*leading, *in_doubt), (bad as u64, 0), "{error}");
    let there = numbers(&redis, "default").len();
    assert_eq!(there as u64, *enqueued, "{error}");
    assert!(there < count / 2, "it went on: {error}");
}

#[test]
fn pushes_of_one_moment_share_a_connection_and_a_round_trip() {
    let redis = OwnRedis::start();
    let before = run(&redis, async |client| {
        let before = info(&redis, "total_reads_processed");
        let mut tasks = JoinSet::new();
        for number in 0..900 {
            let client = client.clone();
            tasks.spawn(async move { client.enqueue(&job(number)).await });
        }
        tasks.join_all().await.into_iter().for_each(|result| drop(result.unwrap()));
        before
    });
    assert_eq!(numbers(&redis, "default"), (0..900).collect::<Vec<_>>(), "in the order of their calls");
    // A read takes 16 KB, and each INFO call of this test costs a few reads too.
    let reads = info(&redis, "total_reads_processed") - before;
    assert!(reads < 100, "{reads} reads for 900 pushes");
}

#[test]
fn a_dropped_call_disturbs_nobody_and_is_not_made_if_it_was_not_sent() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        let (first, last) = (job(1), job(3));
        let mut kept = pin!(client.enqueue(&first));
        assert!(poll_once(kept.as_mut()).await.is_none());
        {
            let two = job(2);
            let dropped = pin!(client.enqueue(&two));
            assert!(poll_once(dropped).await.is_none());
        }
        client.enqueue(&last).await.unwrap();
        kept.await.unwrap();
    });
    assert_eq!(numbers(&redis, "default"), [1, 3]);
}

#[test]
fn a_call_dropped_while_redis_works_on_it_leaves_the_connection_whole() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        for number in 0..50 {
            let job = job(number);
            let mut call = Box::pin(client.enqueue(&job));
            // A little later each time.
            for _ in 0..number % 5 {
                if poll_once(call.as_mut()).await.is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        client.enqueue(&job(100)).await.unwrap();
    });
    let stored = numbers(&redis, "default");
    assert!(stored.is_sorted() && stored.ends_with(&[100]), "{stored:?}");
    assert!(info(&redis, "total_connections_received") < 20, "one connection, and those of the test");
}

#[test]
fn a_lost_connection_fails_what_was_sent_and_nothing_after_it() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        client.enqueue(&job(1)).await.unwrap();
        redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        let error = client.enqueue(&job(2)).await.unwrap_err();
        assert!(matches!(error, Error::Lost(_)) && error.may_have_pushed(), "{error}");
        client.enqueue(&job(3)).await.unwrap();
    });
    assert_eq!(numbers(&redis, "default"), [1, 3]);
}

#[test]
fn a_payload_larger_than_all_the_room_is_sent_too() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        let large = NewJob::new("N", &["x".repeat(2 * WAITING_BYTES_MAX)]).unwrap();
        let (one, two) = (client.enqueue(&large), client.enqueue(&large));
        let (one, two) = futures_lite::future::zip(one, two).await;
        one.and(two).unwrap();
    });
    assert_eq!(redis.run(&[b"LLEN", b"jiggler:list:default"]).as_integer().unwrap(), 2);
}

#[test]
fn without_a_listener_nothing_is_pushed_and_an_ended_runtime_is_reported() {
    let url = "unix:///nonexistent/redis.sock";
    let client = runtime().block_on(async {
        let error = TokioClient::connect(url).await.unwrap_err();
        assert!(
            matches!(error, Error::Connect(_)) && error.may_heal() && !error.may_have_pushed(),
            "{error}"
        );
        TokioClient::lazy(&RedisUrl::parse(url).unwrap(), TokioOptions::default())
    });
    let error = runtime().block_on(client.enqueue(&job(1))).unwrap_err();
    assert!(matches!(error, Error::Stopped { may_have_pushed: false }), "{error}");
}

#[test]
fn an_order_is_sent_or_withdrawn_and_never_both() {
    let ticket = Ticket::default();
    assert!(ticket.withdraw() && !ticket.withdraw());
    // A future that was never polled has submitted no order.
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        let job = job(1);
        drop(client.enqueue(&job));
        let mut call = pin!(client.enqueue(&job));
        assert!(matches!(
            std::future::poll_fn(|ctx| Poll::Ready(call.as_mut().poll(ctx))).await,
            Poll::Pending
        ));
        call.await.unwrap();
    });
    assert_eq!(numbers(&redis, "default"), [1]);
}

#[test]
fn a_handle_that_speaks_sidekiqs_dialect_writes_its_keys_and_payloads() {
    let redis = OwnRedis::start();
    run(&redis, async |client| {
        let sidekiq = client.clone().speaking(Dialect::Sidekiq);
        let jid = sidekiq.enqueue(&job(0).queue_named("img").unwrap()).await.unwrap();
        assert_eq!(jid.len(), 24);
        assert_eq!(sidekiq.enqueue_bulk((1..2_500).map(job)).await.unwrap(), 2_499);
        sidekiq.enqueue_in(Duration::from_secs(60), &job(7)).await.unwrap();
        client.enqueue(&job(8)).await.unwrap();
    });
    let stored = redis.strings(&[b"LRANGE", b"queue:img", b"0", b"-1"]);
    assert!(stored.len() == 1 && stored[0].starts_with(r#"{"class":"N","args":[0],"#), "{stored:?}");
    assert_eq!(redis.run(&[b"LLEN", b"queue:default"]).as_integer().unwrap(), 2_499);
    assert_eq!(redis.run(&[b"ZCARD", b"schedule"]).as_integer().unwrap(), 1);
    let mut queues = redis.strings(&[b"SMEMBERS", b"queues"]);
    queues.sort_unstable();
    assert_eq!((queues, numbers(&redis, "default")), (vec!["default".to_owned(), "img".to_owned()], vec![8]));
}
