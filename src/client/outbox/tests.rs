//! An outbox with a Redis that answers, with one that refuses, and with none. Outages: `tests/client/outbox.rs`.

use std::thread;

use tempfile::TempDir;

use super::*;
use crate::client::Client;
use crate::test_redis::TestRedis;

const NOWHERE: &str = "unix:///nonexistent/redis.sock";

fn open(directory: &TempDir, url: &str, options: OutboxOptions) -> Outbox {
    Outbox::open_with(directory.path().join("outbox"), &RedisUrl::parse(url).unwrap(), options).unwrap()
}

fn job(number: usize) -> NewJob {
    NewJob::new("N", &[number]).unwrap()
}

fn waiting(redis: &TestRedis, queue: &str) -> Vec<String> {
    let mut payloads = redis.strings(&[b"LRANGE", format!("jiggler:list:{queue}").as_bytes(), b"0", b"-1"]);
    payloads.reverse();
    payloads
}

#[test]
fn while_redis_answers_it_pushes_what_a_client_pushes() {
    let (redis, directory) = (TestRedis::start(), tempfile::tempdir().unwrap());
    let outbox = open(&directory, &redis.url_text(), OutboxOptions::default());
    let named = job(1).jid("mine").unwrap().queue_named("img").unwrap();
    let accepted = outbox.enqueue(&named).unwrap();
    assert_eq!((&*accepted.jid, accepted.place), ("mine", Place::Redis));
    Client::connect(&redis.url_text()).unwrap().enqueue(&named).unwrap();
    let payloads = waiting(&redis, "img");
    assert_eq!(payloads[0], payloads[1]);
    outbox.enqueue_at(1e10, &named).unwrap();
    outbox.enqueue_in(Duration::from_secs(60), &job(2)).unwrap();
    assert_eq!(redis.run(&[b"ZCARD", b"jiggler:set:scheduled"]).as_integer().unwrap(), 2);
    assert_eq!(outbox.enqueue_bulk((0..2_500).map(job)).unwrap(), 2_500);
    let numbers: Vec<String> = waiting(&redis, "default");
    assert!(numbers.iter().enumerate().all(|(at, payload)| payload.contains(&format!("\"args\":[{at}]"))));
    assert_eq!((outbox.status(), outbox.flush(Duration::ZERO)), (OutboxStatus::default(), true));
    assert!(matches!(outbox.enqueue_at(f64::NAN, &job(1)), Err(Error::BadTime { .. })));
}

#[test]
fn many_threads_and_tasks_push_at_once() {
    let (redis, directory) = (TestRedis::start(), tempfile::tempdir().unwrap());
    let outbox = open(&directory, &redis.url_text(), OutboxOptions::default());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let outbox = outbox.clone();
            thread::spawn(move || {
                for number in 0..100 {
                    let job = job(number).queue_named(&format!("q{thread}")).unwrap();
                    if number % 2 == 0 {
                        outbox.enqueue(&job).unwrap();
                    } else {
                        block_on(outbox.enqueue_async(&job)).unwrap();
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for thread in 0..8 {
        let payloads = waiting(&redis, &format!("q{thread}"));
        assert!(payloads.len() == 100 && payloads[99].contains("[99]"), "{}", payloads.len());
    }
}

#[test]
fn what_redis_refuses_for_good_is_told_and_not_kept() {
    let (redis, directory) = (TestRedis::start(), tempfile::tempdir().unwrap());
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    let outbox = open(&directory, &redis.url_text(), OutboxOptions::default());
    let error = outbox.enqueue(&job(1).queue_named("bad").unwrap()).unwrap_err();
    assert!(matches!(error, Error::Redis(_)) && !error.may_heal() && !error.may_have_pushed(), "{error}");
    let jobs = [job(1), job(2).queue_named("bad").unwrap(), job(3)];
    let error = outbox.enqueue_bulk(&jobs).unwrap_err();
    assert!(
        matches!(&error, Error::Bulk { enqueued: 2, cause, .. } if matches!(**cause, Error::Redis(_))),
        "{error}"
    );
    assert_eq!((waiting(&redis, "default").len(), outbox.status().jobs), (2, 0));
}

#[test]
fn hooks_and_bad_jobs_are_seen_before_anything_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory, NOWHERE, OutboxOptions::default()).on_enqueue(|job| match job.args() {
        "[6]" => Err(InvalidJob::refused("no six")),
        _ => job.queue_named("hooked"),
    });
    assert!(matches!(outbox.enqueue(&job(6)), Err(Error::Job(_))));
    let error = outbox.enqueue_bulk([job(5), job(6), job(7)]).unwrap_err();
    assert!(
        matches!(&error, Error::Bulk { enqueued: 1, cause, .. } if matches!(**cause, Error::Job(_))),
        "{error}"
    );
    assert_eq!(outbox.status().jobs, 1);
}

#[test]
fn what_is_kept_waits_for_the_next_opening_and_then_goes_out_in_order_and_once() {
    let (redis, directory) = (TestRedis::start(), tempfile::tempdir().unwrap());
    let away = open(&directory, NOWHERE, OutboxOptions::default());
    for number in 0..3 {
        assert_eq!(away.enqueue(&job(number)).unwrap().place, Place::Journal);
    }
    assert_eq!(away.enqueue_bulk((3..2_003).map(job)).unwrap(), 2_000);
    away.enqueue_at(1e10, &job(1)).unwrap();
    assert_eq!(away.status().jobs, 2_004);
    assert!(away.status().trouble.unwrap().contains("/nonexistent/redis.sock"));
    assert!(!away.flush(Duration::from_millis(1)));
    let error = Outbox::open(directory.path().join("outbox"), NOWHERE).unwrap_err();
    assert!(matches!(error, Error::Outbox { cause: JournalError::InUse { .. }, .. }), "{error}");
    drop(away);

    let back = open(&directory, &redis.url_text(), OutboxOptions::default());
    assert!(back.flush(Duration::from_secs(60)), "{:?}", back.status());
    let payloads = waiting(&redis, "default");
    assert_eq!(payloads.len(), 2_003, "the flush waits for what was there when it was opened");
    assert!(payloads.iter().enumerate().all(|(at, payload)| payload.contains(&format!("\"args\":[{at}]"))));
    assert_eq!(redis.run(&[b"ZCARD", b"jiggler:set:scheduled"]).as_integer().unwrap(), 1);
    assert_eq!(back.enqueue(&job(1)).unwrap().place, Place::Redis);
}

#[test]
fn a_full_journal_takes_no_more_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory, NOWHERE, OutboxOptions { jobs_max: 2, ..OutboxOptions::default() });
    outbox.enqueue(&job(1)).unwrap();
    let error = outbox.enqueue_bulk([job(2), job(3)]).unwrap_err();
    assert!(matches!(&error, Error::Bulk { enqueued: 0, .. }), "a chunk is kept whole or not: {error}");
    outbox.enqueue(&job(2)).unwrap();
    let error = outbox.enqueue(&job(3)).unwrap_err();
    assert!(matches!(error, Error::OutboxFull { jobs: 2, jobs_max: 2, .. }), "{error}");
    assert!(error.may_heal() && !error.may_have_pushed());
    assert_eq!(outbox.status().jobs, 2);

    let directory = tempfile::tempdir().unwrap();
    let outbox = open(&directory, NOWHERE, OutboxOptions { bytes_max: 200, ..OutboxOptions::default() });
    outbox.enqueue(&job(1)).unwrap();
    assert!(matches!(
        outbox.enqueue(&NewJob::new("N", &["x".repeat(200)]).unwrap()),
        Err(Error::OutboxFull { .. })
    ));
    assert_eq!(outbox.status().jobs, 1);
}

#[test]
fn a_job_of_the_journal_that_redis_refuses_holds_up_those_behind_it_until_the_key_is_mended() {
    let (redis, directory) = (TestRedis::start(), tempfile::tempdir().unwrap());
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    let away = open(&directory, NOWHERE, OutboxOptions::default());
    away.enqueue(&job(1).queue_named("bad").unwrap()).unwrap();
    drop(away);
    let back = open(&directory, &redis.url_text(), OutboxOptions::default());
    crate::wait::wait_until("it says why", || {
        back.status().trouble.is_some_and(|trouble| trouble.contains("WRONGTYPE"))
    });
    assert_eq!(back.enqueue(&job(2)).unwrap().place, Place::Journal);
    redis.run(&[b"DEL", b"jiggler:list:bad"]);
    drop(back);
    let back = open(&directory, &redis.url_text(), OutboxOptions::default());
    assert!(back.flush(Duration::from_secs(60)), "{:?}", back.status());
    assert_eq!((waiting(&redis, "bad").len(), waiting(&redis, "default").len()), (1, 1));
}
