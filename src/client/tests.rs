//! Proves against a real server that what the client pushes arrives in order, once, and that a lost connection
//! neither repeats nor stops anything.

use super::*;
use crate::{
    limits::{BULK_BATCHES_IN_FLIGHT_MAX, PAYLOAD_BYTES_MAX, PUSH_BYTES_MAX, PUSH_JOBS_MAX},
    own_redis::OwnRedis,
    time::unix_now,
    wire::keys::JIGGLER,
};

fn client(redis: &OwnRedis) -> Client {
    Client::connect(&redis.url_text()).unwrap()
}

fn job(args: impl serde::Serialize) -> NewJob {
    NewJob::new("Noop", &[args]).unwrap()
}

/// The payloads of a queue in the order workers take them.
fn waiting(redis: &OwnRedis, queue: &str) -> Vec<serde_json::Value> {
    let mut payloads = redis.strings(&[b"LRANGE", JIGGLER.queue(queue).as_bytes(), b"0", b"-1"]);
    payloads.reverse();
    payloads.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect()
}

#[test]
fn an_enqueued_job_is_in_its_queue_under_its_jid() {
    let redis = OwnRedis::start();
    let mut client = client(&redis);
    let jid = client.enqueue(&job(1).retries(3).unwrap().queue_named("img").unwrap()).unwrap();
    assert!(jid.len() == 16 && jid.bytes().all(|byte| byte.is_ascii_hexdigit()), "{jid}");
    let stored = redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]);
    assert_eq!(stored, [format!(r#"{{"name":"Noop","args":[1],"retries":3,"jid":"{jid}"}}"#)]);
    assert_ne!(client.enqueue(&job(1)).unwrap(), client.enqueue(&job(1)).unwrap());
    assert_eq!(client.enqueue(&job(1).jid("mine").unwrap()).unwrap(), "mine");
    assert_eq!(waiting(&redis, "default").len(), 3);
}

#[test]
fn a_scheduled_job_is_stored_under_its_time_with_its_queue() {
    let redis = OwnRedis::start();
    let mut client = client(&redis);
    let before = unix_now();
    let jid = client.enqueue_in(Duration::from_secs(100), &job(1).queue_named("img").unwrap()).unwrap();
    let after = unix_now();
    let stored =
        redis.strings(&[b"ZRANGE", JIGGLER.names().scheduled.as_bytes(), b"0", b"-1", b"WITHSCORES"]);
    assert_eq!(stored[0], format!(r#"{{"name":"Noop","args":[1],"jid":"{jid}","queue":"img"}}"#));
    let due_at: f64 = stored[1].parse().unwrap();
    // What the client knows of the clock of Redis may be wrong by half a round trip.
    let slack = (after - before) / 2.0 + 1e-3;
    assert!((before + 100.0 - slack..=after + 100.0 + slack).contains(&due_at), "{due_at}");
    assert!(matches!(client.enqueue_at(f64::NAN, &job(1)), Err(Error::BadTime { .. })));
}

#[test]
fn a_bulk_keeps_the_order_within_each_queue_over_several_round_trips() {
    let redis = OwnRedis::start();
    let jobs = (0..2 * PUSH_JOBS_MAX + 7)
        .map(|number| job(number).queue_named(["default", "img", "mail"][number % 3]).unwrap());
    let count = client(&redis).enqueue_bulk(jobs).unwrap();
    assert_eq!(count, 2 * PUSH_JOBS_MAX as u64 + 7);
    for (first, queue) in ["default", "img", "mail"].into_iter().enumerate() {
        let numbers: Vec<_> =
            waiting(&redis, queue).iter().map(|job| job["args"][0].as_u64().unwrap()).collect();
        let expected: Vec<_> = (first as u64..count).step_by(3).collect();
        assert_eq!(numbers, expected, "{queue}");
    }
}

#[test]
fn the_same_job_repeated_is_as_many_jobs_each_with_its_jid() {
    let redis = OwnRedis::start();
    let noop = job(1);
    let count = client(&redis).enqueue_bulk(std::iter::repeat_n(&noop, 2_500)).unwrap();
    let due_at = unix_now() + 60.0;
    let scheduled = client(&redis).enqueue_bulk_at(due_at, std::iter::repeat_n(&noop, 1_500)).unwrap();
    assert_eq!((count, scheduled), (2_500, 1_500));
    let mut jids: Vec<_> = waiting(&redis, "default").iter().map(|job| job["jid"].to_string()).collect();
    jids.sort();
    jids.dedup();
    assert_eq!(jids.len(), 2_500);
    assert_eq!(redis.run(&[b"ZCARD", JIGGLER.names().scheduled.as_bytes()]).as_integer().unwrap(), 1_500);
}

#[test]
fn large_payloads_are_sent_in_chunks_of_bounded_size() {
    let redis = OwnRedis::start();
    let large = job("x".repeat(PUSH_BYTES_MAX / 2));
    assert_eq!(client(&redis).enqueue_bulk(std::iter::repeat_n(&large, 20)).unwrap(), 20);
    let stats = redis.run(&[b"INFO", b"commandstats"]);
    let stats = String::from_utf8(stats.as_bulk().unwrap().to_vec()).unwrap();
    assert!(stats.contains("cmdstat_lpush:calls=10,"), "{stats}");
}

#[test]
fn a_bulk_that_ends_early_says_how_many_jobs_were_pushed() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    let mut client = client(&redis);
    let jobs = [job(1), job(2), job(3).queue_named("bad").unwrap(), job(4)];
    let error = client.enqueue_bulk(&jobs).unwrap_err();
    assert!(
        matches!(&error, Error::Bulk { enqueued: 3, cause, .. } if matches!(**cause, Error::Redis(_))),
        "{error}"
    );
    assert_eq!(waiting(&redis, "default").len(), 3);

    let jobs = [job(5), job("x".repeat(PAYLOAD_BYTES_MAX)), job(6)];
    let error = client.enqueue_bulk(&jobs).unwrap_err();
    assert!(
        matches!(&error, Error::Bulk { enqueued: 1, cause, .. } if matches!(**cause, Error::Job(_))),
        "{error}"
    );
    assert_eq!(waiting(&redis, "default").len(), 4);
    assert_eq!(client.enqueue_bulk([] as [NewJob; 0]).unwrap(), 0);
}

#[test]
fn after_a_lost_connection_the_next_call_connects_anew() {
    let redis = OwnRedis::start();
    let mut client = client(&redis);
    redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
    let error = client.enqueue(&job(1)).unwrap_err();
    assert!(matches!(&error, Error::Lost(_)) && error.may_heal() && error.may_have_pushed(), "{error}");
    client.enqueue(&job(2)).unwrap();
    assert_eq!(waiting(&redis, "default").len(), 1);
}

#[test]
fn urls_that_lead_nowhere_are_reported() {
    assert!(matches!(Client::connect("localhost"), Err(Error::Url(_))));
    assert!(matches!(Client::connect("unix:///nonexistent/redis.sock"), Err(Error::Connect(_))));
}

/// Jobs of several batches, more than may be in flight at once, one of which cannot be pushed.
fn many_with_a_bad_one(batches: usize, bad: usize) -> impl Iterator<Item = NewJob> {
    (0..batches * PUSH_JOBS_MAX).map(move |number| match number == bad {
        true => job(number).queue_named("bad").unwrap(),
        false => job(number),
    })
}

#[test]
fn batches_in_flight_after_a_refused_job_are_counted_and_no_more_are_sent() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    let bad = PUSH_JOBS_MAX + 500;
    let error = client(&redis).enqueue_bulk(many_with_a_bad_one(20, bad)).unwrap_err();
    let Error::Bulk { enqueued, leading, in_doubt, cause } = &error else { panic!("{error}") };
    // It is refused in the second batch, while the maximum is in flight.
    let sent = ((1 + BULK_BATCHES_IN_FLIGHT_MAX) * PUSH_JOBS_MAX) as u64;
    assert_eq!((*enqueued, *leading, *in_doubt), (sent - 1, bad as u64, 0), "{error}");
    assert!(matches!(**cause, Error::Redis(_)), "{error}");
    assert!(error.to_string().contains("the first 1500 precede one that was not pushed"), "{error}");
    assert_eq!(waiting(&redis, "default").len() as u64, *enqueued);
}

#[test]
fn a_connection_lost_during_a_bulk_leaves_in_doubt_only_what_was_in_flight() {
    let redis = OwnRedis::start();
    let mut client = client(&redis);
    let jobs = (0..20 * PUSH_JOBS_MAX).map(|number| {
        if number == 7 * PUSH_JOBS_MAX + 1 {
            redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        }
        job(number)
    });
    let error = client.enqueue_bulk(jobs).unwrap_err();
    let Error::Bulk { enqueued, leading, in_doubt, cause } = &error else { panic!("{error}") };
    assert!(matches!(**cause, Error::Lost(_)) && error.may_have_pushed() && error.may_heal(), "{error}");
    assert_eq!(enqueued, leading, "{error}");
    let bound = ((1 + BULK_BATCHES_IN_FLIGHT_MAX) * PUSH_JOBS_MAX) as u64;
    assert!(*in_doubt > 0 && *in_doubt <= bound, "{error}");
    let there = waiting(&redis, "default").len() as u64;
    assert!((*enqueued..=enqueued + in_doubt).contains(&there), "{there} are there: {error}");
    assert_eq!(client.enqueue_bulk((0..3).map(job)).unwrap(), 3, "the next call connects anew");
}

#[test]
fn a_bulk_whose_jobs_panic_leaves_no_reply_for_the_next_call() {
    let redis = OwnRedis::start();
    let mut client = client(&redis);
    let jobs = (0..3 * PUSH_JOBS_MAX + 1).map(|number| match number == 3 * PUSH_JOBS_MAX {
        true => panic!("no such job"),
        false => job(number),
    });
    let bulk = std::panic::AssertUnwindSafe(|| client.enqueue_bulk(jobs));
    assert!(std::panic::catch_unwind(bulk).is_err());
    // A reply to the bulk would be a number, which is not a valid answer here.
    assert_eq!(client.progress("j").unwrap(), None);
}
