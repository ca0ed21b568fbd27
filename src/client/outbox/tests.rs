//! An outbox with a Redis that answers, with one that refuses, and with none. Outages: `tests/parts/client/outbox.rs`.

use std::thread;

use tempfile::TempDir;

use super::*;
use crate::client::{Client, Dialect};
use crate::own_redis::OwnRedis;

const NOWHERE: &str = "unix:///nonexistent/redis.sock";

fn open(directory: &TempDir, url: &str, options: OutboxOptions) -> Outbox {
    Outbox::open_with(directory.path().join("outbox"), &RedisUrl::parse(url).unwrap(), options).unwrap()
}

fn job(number: usize) -> NewJob {
    NewJob::new("N", &[number]).unwrap()
}

fn waiting(redis: &OwnRedis, queue: &str) -> Vec<String> {
    let mut payloads = redis.strings(&[b"LRANGE", format!("jiggler:list:{queue}").as_bytes(), b"0", b"-1"]);
    payloads.reverse();
    payloads
}

#[test]
fn while_redis_answers_it_pushes_what_a_client_pushes() {
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
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
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
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
fn permanent_refusals_are_reported_and_not_kept() {
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
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
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
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
    assert_eq!(payloads.len(), 2_003, "the flush waits for what was already there when it was opened");
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
fn jobs_that_redis_refuses_for_good_are_moved_aside_and_hold_up_nobody() {
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    let away = open(&directory, NOWHERE, OutboxOptions::default());
    for number in 0..4 {
        let queue = if number % 2 == 0 { "bad" } else { "good" };
        away.enqueue(&job(number).queue_named(queue).unwrap()).unwrap();
    }
    drop(away);
    let back = open(&directory, &redis.url_text(), OutboxOptions::default());
    assert!(back.flush(Duration::from_secs(60)), "{:?}", back.status());
    let status = back.status();
    assert_eq!((status.jobs, status.rejected, status.trouble), (0, 2, None));
    assert_eq!(waiting(&redis, "good").len(), 2);
    assert_eq!(back.enqueue(&job(4)).unwrap().place, Place::Redis);
    drop(back);
    // The next opening sees them too.
    let back = open(&directory, &redis.url_text(), OutboxOptions::default());
    assert_eq!(back.status().rejected, 2);
    redis.run(&[b"DEL", b"jiggler:list:bad"]);
    back.enqueue(&job(5).queue_named("bad").unwrap()).unwrap();
    drop(back);
    let url = RedisUrl::parse(&redis.url_text()).unwrap();
    let path = directory.path().join("outbox.rejected");
    let rejected = Outbox::open_with(&path, &url, OutboxOptions::default()).unwrap();
    assert!(rejected.flush(Duration::from_secs(60)), "{:?}", rejected.status());
    drop(rejected);
    let numbers: Vec<bool> = waiting(&redis, "bad")
        .iter()
        .zip([5, 0, 2])
        .map(|(job, at)| job.contains(&format!("[{at}]")))
        .collect();
    assert_eq!(numbers, [true; 3], "{:?}", waiting(&redis, "bad"));
    assert_eq!(open(&directory, NOWHERE, OutboxOptions::default()).status().rejected, 0);
}

/// A missing right affects all jobs, and so does a full file of rejected jobs: then they wait.
#[test]
fn errors_that_affect_all_jobs_or_find_no_room_aside_wait() {
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
    redis.run(&[b"SET", b"jiggler:list:bad", b"no list"]);
    let options = || OutboxOptions { jobs_max: 2, ..OutboxOptions::default() };
    for expected in [2, 2] {
        let away = open(&directory, NOWHERE, options());
        away.enqueue_bulk((0..2).map(|at| job(at).queue_named("bad").unwrap())).unwrap();
        drop(away);
        let back = open(&directory, &redis.url_text(), options());
        crate::wait::wait_until("they are moved aside, or it says why not", || {
            let status = back.status();
            status.rejected == expected && (status.jobs == 0 || status.trouble.is_some())
        });
    }
    let back = open(&directory, &redis.url_text(), options());
    crate::wait::wait_until("it says why", || {
        back.status().trouble.is_some_and(|why| why.contains("is full"))
    });
    assert_eq!(back.status().jobs, 2);
    drop(back);
    redis.run(&[b"DEL", b"jiggler:list:bad"]);
    redis.run(&[b"ACL", b"SETUSER", b"poor", b"on", b">pw", b"+ping", b"allkeys"]);
    let url = format!("redis://poor:pw@127.0.0.1:{}", redis.port());
    let denied = open(&directory, &url, options());
    crate::wait::wait_until("it says why", || {
        denied.status().trouble.is_some_and(|why| why.contains("NOPERM"))
    });
    assert_eq!((denied.status().jobs, denied.status().rejected), (2, 2));
    drop(denied);
    let back = open(&directory, &redis.url_text(), options());
    assert!(back.flush(Duration::from_secs(60)), "{:?}", back.status());
}

#[test]
fn many_jobs_for_later_are_kept_and_pushed_like_one() {
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
    let away = open(&directory, NOWHERE, OutboxOptions::default());
    assert_eq!(away.enqueue_bulk_at(2e9, (0..3).map(job)).unwrap(), 3);
    assert!(matches!(away.enqueue_bulk_at(f64::NAN, (0..3).map(job)), Err(Error::BadTime { .. })));
    drop(away);
    let back = open(&directory, &redis.url_text(), OutboxOptions::default());
    assert!(back.flush(Duration::from_secs(60)), "{:?}", back.status());
    assert_eq!(back.enqueue_bulk_at(3e9, (3..5).map(job)).unwrap(), 2);
    let scores = redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"-1", b"WITHSCORES"]);
    let scores: Vec<&str> = scores.iter().skip(1).step_by(2).map(String::as_str).collect();
    assert_eq!(scores, ["2000000000", "2000000000", "2000000000", "3000000000", "3000000000"]);
}

#[test]
fn an_outbox_that_speaks_sidekiqs_dialect_writes_its_keys_and_payloads_also_from_the_journal() {
    let (redis, directory) = (OwnRedis::start(), tempfile::tempdir().unwrap());
    let options = || OutboxOptions::default().speaking(Dialect::Sidekiq);
    let away = open(&directory, NOWHERE, options());
    assert_eq!(away.enqueue(&job(1)).unwrap().place, Place::Journal);
    away.enqueue_at(1e10, &job(2)).unwrap();
    drop(away);
    let outbox = open(&directory, &redis.url_text(), options());
    assert!(outbox.flush(Duration::from_secs(30)));
    let accepted = outbox.enqueue(&job(3)).unwrap();
    assert_eq!((accepted.jid.len(), accepted.place), (24, Place::Redis));
    let stored = redis.strings(&[b"LRANGE", b"queue:default", b"0", b"-1"]);
    assert!(
        stored.len() == 2 && stored.iter().all(|payload| payload.contains(r#""class":"N""#)),
        "{stored:?}"
    );
    assert_eq!(redis.strings(&[b"SMEMBERS", b"queues"]), ["default"]);
    let later = redis.strings(&[b"ZRANGE", b"schedule", b"0", b"-1"]);
    assert!(later.len() == 1 && !later[0].contains("enqueued_at"), "{later:?}");
    assert_eq!(redis.strings(&[b"KEYS", b"queue:*"]), ["queue:default"]);
}
