//! Files of jobs against a real Redis: what is pushed, and what is reported when a file ends badly.

use std::{io::Write as _, time::Duration};

use tempfile::NamedTempFile;

use super::*;
use crate::admin::test_database::database;
use crate::{limits::PUSH_JOBS_MAX, own_redis::OwnRedis};

fn order(file: &NamedTempFile) -> Bulk {
    Bulk {
        file: Some(file.path().to_owned()),
        name: None,
        queue: QueueName::new("img").unwrap(),
        retries: None,
        due: None,
        spread: None,
    }
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn run(redis: &OwnRedis, order: &Bulk) -> Result<String, Error> {
    let mut out = Vec::new();
    bulk(&database(redis), order, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn queue(redis: &OwnRedis, name: &str) -> Vec<String> {
    let mut jobs = redis.strings(&[b"LRANGE", format!("jiggler:list:{name}").as_bytes(), b"0", b"-1"]);
    jobs.reverse();
    jobs
}

#[test]
fn lines_become_jobs_in_their_queues_in_their_order() {
    let redis = OwnRedis::start();
    let lines = "{\"name\":\"A\",\"args\":[1, 2],\"jid\":\"1\"}\n\r\n   \n{\"name\":\"B\",\"queue\":\"b\",\"jid\":\"2\"}\r\n\
                 {\"name\":\"C\",\"retries\":2,\"jid\":\"3\"}";
    assert_eq!(run(&redis, &order(&file(lines))).unwrap(), "enqueued 3 jobs\n");
    let (first, third) =
        (r#"{"name":"A","args":[1,2],"jid":"1"}"#, r#"{"name":"C","args":[],"retries":2,"jid":"3"}"#);
    assert_eq!(queue(&redis, "img"), [first, third]);
    assert_eq!(queue(&redis, "b"), [r#"{"name":"B","args":[],"jid":"2"}"#]);
    assert_eq!(run(&redis, &order(&file(""))).unwrap(), "enqueued 0 jobs\n");
}

#[test]
fn many_lines_are_many_round_trips_and_keep_their_order() {
    let redis = OwnRedis::start();
    let count = 2 * PUSH_JOBS_MAX + 17;
    let text: String = (0..count).map(|number| format!("[{number}]\n")).collect();
    let file = file(&text);
    let order = Bulk { name: Some("N".to_owned()), ..order(&file) };
    assert_eq!(run(&redis, &order).unwrap(), format!("enqueued {count} jobs\n"));
    let jobs = queue(&redis, "img");
    assert_eq!(jobs.len(), count);
    for (number, job) in jobs.iter().enumerate() {
        assert!(job.starts_with(&format!(r#"{{"name":"N","args":[{number}],"#)), "{number}: {job}");
    }
}

#[test]
fn delayed_jobs_go_to_the_scheduled_set_with_their_queue() {
    let redis = OwnRedis::start();
    let file = file("{\"name\":\"A\",\"jid\":\"1\"}\n");
    let order = Bulk { due: Some(Due::In(Duration::from_secs(60))), ..order(&file) };
    assert_eq!(run(&redis, &order).unwrap(), "scheduled 1 job in 60 s\n");
    let stored = redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"-1"]);
    assert_eq!(stored, [r#"{"name":"A","args":[],"jid":"1","queue":"img"}"#]);
}

#[test]
fn a_bad_line_is_named_and_all_before_it_are_pushed() {
    let redis = OwnRedis::start();
    let good = "{\"name\":\"A\"}\n".repeat(PUSH_JOBS_MAX + 5);
    let file = file(&format!("{good}\n{{\"name\":\"A\",\"arg\":[]}}\n{{\"name\":\"A\"}}\n"));
    let error = run(&redis, &order(&file)).unwrap_err();
    let text = error.to_string();
    let place = format!("{}: line {}: unknown field `arg`", file.path().display(), PUSH_JOBS_MAX + 7);
    assert!(text.starts_with(&place), "{text}");
    assert!(text.contains(&format!("{} jobs were pushed", PUSH_JOBS_MAX + 5)) && !error.is_usage(), "{text}");
    assert_eq!(queue(&redis, "img").len(), PUSH_JOBS_MAX + 5);
    let first = self::file("nonsense\n{\"name\":\"A\"}\n");
    let error = run(&redis, &order(&first)).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("line 1: "), "{error}");
}

#[test]
fn a_refusal_by_redis_names_the_lines_in_doubt() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:list:broken", b"no list"]);
    let file = file("{\"name\":\"A\"}\n{\"name\":\"B\",\"queue\":\"broken\"}\n{\"name\":\"C\"}\n");
    let error = run(&redis, &order(&file)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::BulkPush { first: 2, last: 3, pushed: 2, .. }), "{text}");
    assert!(text.contains("WRONGTYPE") && text.contains("lines 2 to 3"), "{text}");
}

#[test]
fn the_line_that_redis_refuses_is_named_though_others_are_on_their_way() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:list:broken", b"no list"]);
    let good = |count| "{\"name\":\"A\"}\n".repeat(count);
    let refused = "{\"name\":\"B\",\"queue\":\"broken\"}\n";
    let file = file(&format!("{}{refused}{}", good(2 * PUSH_JOBS_MAX + 500), good(PUSH_JOBS_MAX)));
    let error = run(&redis, &order(&file)).unwrap_err();
    let line = 2 * PUSH_JOBS_MAX as u64 + 501;
    let Error::BulkPush { first, last, pushed, .. } = error else { panic!("{error}") };
    assert_eq!(first, line);
    assert!(last > line && pushed >= line - 1, "{last} {pushed}");
    assert_eq!(queue(&redis, "img").len() as u64, pushed);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let redis = OwnRedis::start();
    let nowhere = Bulk { file: Some("/nonexistent/jobs.jsonl".into()), ..order(&file("")) };
    let error = run(&redis, &nowhere).unwrap_err();
    assert!(error.is_usage() && error.to_string().starts_with("open /nonexistent/jobs.jsonl: "), "{error}");
    let directory = Bulk { file: Some("/".into()), ..nowhere };
    assert!(matches!(run(&redis, &directory), Err(Error::BulkOpen { .. })));
}
