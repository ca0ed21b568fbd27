//! What the crate rusty-sidekiq 0.13 has left in Redis is taken over as it is: it writes every member, those it has no
//! value for as null, times in whole seconds as floats, and counts retries from 1.

use jiggler_uring::internal::wire::Dialect;

use crate::harness::wait::{wait_for, wait_until};
use crate::harness::{Redis, Worker, config_file, json};

fn job(class: &str, retry: &str, enqueued_at: &str, more: [&str; 3]) -> String {
    let [failed_at, error, count] = more;
    format!(
        r#"{{"queue":"default","args":["boom"],"retry":{retry},"class":"{class}","jid":"f33f7063c6d7a4db0869289a","created_at":1795300595.0,"enqueued_at":{enqueued_at},"failed_at":{failed_at},"error_message":{error},"error_class":null,"retry_count":{count},"retried_at":null,"retry_queue":null}}"#
    )
}

const FRESH: [&str; 3] = ["null", "null", "null"];

#[test]
fn what_rusty_sidekiq_left_is_run_and_fails_as_its_own_payload_says() {
    let redis = Redis::start_in(Dialect::Sidekiq);
    let pushed = job("Fail", "true", "1795300595.0", FRESH);
    redis.run(&["SADD", "queues", "default"]);
    redis.run(&["LPUSH", "queue:default", &pushed]);
    let config = config_file("poll_interval: 1\n");
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    let retried = wait_for("the retry", || redis.list(&["ZRANGE", "retry", "0", "-1"]).pop());
    let retried = String::from_utf8(retried).unwrap();
    let read = json(&retried);
    let expected = pushed
        .replace(r#""failed_at":null"#, &format!(r#""failed_at":{}"#, read["failed_at"]))
        .replace(r#""error_message":null"#, r#""error_message":"boom""#)
        .replace(r#""error_class":null"#, r#""error_class":"JobFailed""#)
        .replace(r#""retry_count":null"#, r#""retry_count":0"#);
    assert_eq!(retried, expected, "each member is written once, so that the crate reads it too");
    assert!(read["failed_at"].is_f64());

    // Never to be retried, at its last retry, and with some left.
    redis.run(&["DEL", "retry"]);
    let failed = ["1795300600.0", "\"Error: boom\"", "3"];
    redis.run(&["ZADD", "retry", "1795300700", &job("Fail", "3", "1795300595.0", failed)]);
    redis.run(&["ZADD", "retry", "1795300701", &job("Fail", "9", "1795300595.0", failed)]);
    redis.run(&["ZADD", "retry", "1795300702", &job("Fail", "false", "1795300595.0", failed)]);
    wait_until("they have failed again", || redis.failures() == 4);
    wait_until("one is dead", || redis.integer(&["ZCARD", "dead"]) == 1);
    let again = json(redis.list(&["ZRANGE", "retry", "0", "-1"]).remove(0));
    assert_eq!((&again["retry"], &again["retry_count"]), (&9.into(), &4.into()));
    assert_eq!(again["failed_at"].as_f64(), Some(1_795_300_600.0));
    worker.stop();
}

#[test]
fn what_rusty_sidekiq_scheduled_is_pushed_with_the_time_in_the_place_of_its_null() {
    let redis = Redis::start_in(Dialect::Sidekiq);
    let scheduled = job("Noop", "true", "null", FRESH);
    redis.run(&["ZADD", "schedule", "1795300700", &scheduled]);
    let config = config_file("poll_interval: 1\n");
    let mut worker = Worker::start(&redis, &["-C", &config.path(), "-q", "other"]);
    wait_until("it is in its queue", || redis.integer(&["LLEN", "queue:default"]) == 1);
    let pushed = String::from_utf8(redis.list(&["LRANGE", "queue:default", "0", "-1"]).remove(0)).unwrap();
    let enqueued_at = &json(&pushed)["enqueued_at"];
    assert!(enqueued_at.is_f64(), "{pushed}");
    let given = pushed.split(r#""enqueued_at":"#).nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(pushed, scheduled.replace(r#""enqueued_at":null"#, &format!(r#""enqueued_at":{given}"#)));
    worker.stop();
}
