//! What `retry`, `kill` and `delete` do to a real Redis and report. The golden ones act on what the Ruby gem wrote.

use super::*;
use crate::admin::test_database::database;
use crate::{
    acts::action::{DeadSetFull, Excess},
    job::{BadPayload, Parser, Schema, bury_unparsable},
    limits::ENTRY_BYTES_MAX,
    own_redis::OwnRedis,
    store::operate::DeadSetCaps,
    wire::keys::JIGGLER,
};

const CAPS: DeadSetCaps = DeadSetCaps { jobs_max: 10_000, timeout_s: 1_000_000 };

fn jid(action: Action, jid: &str, places: &[Place]) -> Act {
    let target = Target::Job { jid: jid.to_owned(), places: places.to_vec() };
    Act { action, target, confirmation: Confirmation::Given }
}

fn every(action: Action, set: Set, name: Option<&str>) -> Act {
    let target = Target::All { set, name: name.map(NamePattern::parse) };
    Act { action, target, confirmation: Confirmation::Given }
}

fn sets() -> Vec<Place> {
    Set::ALL.map(Place::Set).to_vec()
}

fn run(redis: &OwnRedis, order: &Act) -> Result<String, Error> {
    let mut out = Vec::new();
    act(&database(redis), order, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn add(redis: &OwnRedis, set: Set, score: usize, payload: &str) {
    redis.run(&[
        b"ZADD",
        set.key_in(&JIGGLER.shared_realm()).as_bytes(),
        score.to_string().as_bytes(),
        payload.as_bytes(),
    ]);
}

fn members(redis: &OwnRedis, set: Set) -> Vec<String> {
    redis.strings(&[b"ZRANGE", set.key_in(&JIGGLER.shared_realm()).as_bytes(), b"0", b"-1"])
}

fn queue(redis: &OwnRedis, name: &str) -> Vec<String> {
    redis.strings(&[b"LRANGE", format!("jiggler:list:{name}").as_bytes(), b"0", b"-1"])
}

/// The members of a set in a capture of the gem.
fn captured(text: &str, set: Set) -> Vec<String> {
    let capture: serde_json::Value = serde_json::from_str(text).unwrap();
    let keys = capture["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["key"] == set.key_in(&JIGGLER.shared_realm())).unwrap();
    let member = |entry: &serde_json::Value| entry["member"].as_str().unwrap().to_owned();
    key["value"].as_array().unwrap().iter().map(member).collect()
}

/// What is said of jobs that went to a queue of a Redis without workers.
fn unserved(queue: &str, wait: &str) -> String {
    format!("warning: no living process serves queue {queue}: {wait} until a worker does (-q {queue})\n")
}

fn field(payload: &str, name: &str) -> String {
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
    payload[name].as_str().unwrap_or("default").to_owned()
}

#[test]
fn what_ruby_wrote_goes_byte_for_byte_to_the_queue_that_ruby_reads() {
    for (text, set) in [
        (include_str!("../../../tests/data/jiggler/retry_1-0.1.0.json"), Set::Retries),
        (include_str!("../../../tests/data/jiggler/dead-0.1.0.json"), Set::Dead),
        (include_str!("../../../tests/data/jiggler/dead_without_retries-0.1.0.json"), Set::Dead),
        (include_str!("../../../tests/data/jiggler/enqueue_in-0.1.0.json"), Set::Scheduled),
    ] {
        for payload in captured(text, set) {
            let redis = OwnRedis::start();
            add(&redis, set, 1_795_299_800, &payload);
            let (jid_of, queue_of) = (field(&payload, "jid"), field(&payload, "queue"));
            let said = run(&redis, &jid(Action::Retry(None), &jid_of, &sets())).unwrap();
            let name = field(&payload, "name");
            let moved = format!("moved job {jid_of} ({name}) from {set} to queue {queue_of}\n");
            assert_eq!(said, moved + &unserved(&queue_of, "1 job waits"));
            assert_eq!(queue(&redis, &queue_of), [payload.as_str()]);
            assert_eq!(redis.strings(&[b"KEYS", b"*"]).len(), 1);
        }
    }
}

#[test]
fn what_ruby_wrote_is_killed_as_the_bytes_it_is() {
    let redis = OwnRedis::start();
    let retries = captured(include_str!("../../../tests/data/jiggler/retry_2-0.1.0.json"), Set::Retries);
    for payload in &retries {
        add(&redis, Set::Retries, 5, payload);
        let said =
            run(&redis, &jid(Action::Kill(CAPS, Excess::Refuse), &field(payload, "jid"), &sets()[..2]))
                .unwrap();
        assert!(said.ends_with("from the retry set to the dead set\n"), "{said}");
    }
    let (mut dead, mut expected) = (members(&redis, Set::Dead), retries);
    dead.sort();
    expected.sort();
    assert_eq!(dead, expected);
    assert!(members(&redis, Set::Retries).is_empty());
}

#[test]
fn a_job_that_has_not_failed_is_given_a_reason_to_be_dead() {
    let redis = OwnRedis::start();
    add(&redis, Set::Scheduled, 4_000_000_000, r#"{"name":"N","args":[1.0e+21],"jid":"s","queue":"img"}"#);
    run(&redis, &jid(Action::Kill(CAPS, Excess::Refuse), "s", &sets()[..2])).unwrap();
    let dead = members(&redis, Set::Dead);
    assert!(
        dead[0].starts_with(r#"{"name":"N","args":[1.0e+21],"jid":"s","queue":"img","started_at":"#),
        "{dead:?}"
    );
    let end = r#","error_message":"killed by an operator while in the scheduled set","error_class":"JigglerUring::Killed"}"#;
    assert!(dead[0].ends_with(end), "{dead:?}");
    assert!(members(&redis, Set::Scheduled).is_empty());
}

#[test]
fn a_job_is_deleted_from_where_it_is_and_from_a_queue_only_if_asked() {
    let redis = OwnRedis::start();
    add(&redis, Set::Scheduled, 5, r#"{"name":"N","jid":"s"}"#);
    redis.run(&[b"RPUSH", b"jiggler:list:img", br#"{"name":"N","jid":"a"}"#, br#"{"name":"N","jid":"b"}"#]);
    let said = run(&redis, &jid(Action::Delete, "s", &sets())).unwrap();
    assert_eq!(said, "deleted job s (N) from the scheduled set\n");
    let error = run(&redis, &jid(Action::Delete, "b", &sets())).unwrap_err();
    assert!(!error.is_usage());
    let text = error.to_string();
    for part in [
        "no job has the jid b",
        "the retry set (0 entries), the scheduled set (0",
        "--queue NAME",
        "cancel b",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let img = [Place::Queue("img".parse().unwrap())];
    assert_eq!(run(&redis, &jid(Action::Delete, "b", &img)).unwrap(), "deleted job b (N) from queue img\n");
    assert_eq!(queue(&redis, "img"), [r#"{"name":"N","jid":"a"}"#]);
}

#[test]
fn a_jid_is_found_anywhere_in_a_large_set() {
    let redis = OwnRedis::start();
    for number in 0..1_100 {
        add(&redis, Set::Dead, number, &format!(r#"{{"name":"N","jid":"j{number}","args":["j0"]}}"#));
    }
    for number in [0, 599, 1_099] {
        run(&redis, &jid(Action::Retry(None), &format!("j{number}"), &sets())).unwrap();
    }
    assert_eq!(queue(&redis, "default").len(), 3);
    let error = run(&redis, &jid(Action::Retry(None), "j0", &sets())).unwrap_err().to_string();
    assert!(error.contains("the dead set (1097 entries)"), "{error}");
}

#[test]
fn all_jobs_of_a_set_or_of_a_name_are_moved_in_batches() {
    let redis = OwnRedis::start();
    let fill = || {
        for number in 0..1_203 {
            let name = if number % 3 == 0 { "Report::Daily" } else { "Mail" };
            add(
                &redis,
                Set::Retries,
                number,
                &format!(r#"{{"name":"{name}","jid":"{number}","queue":"q"}}"#),
            );
        }
    };
    fill();
    let said = run(&redis, &every(Action::Retry(None), Set::Retries, Some("Report::*"))).unwrap();
    let moved = "moved 401 jobs from the retry set to their queues: q 401\n";
    assert_eq!(said, moved.to_owned() + &unserved("q", "401 jobs wait"));
    assert_eq!((members(&redis, Set::Retries).len(), queue(&redis, "q").len()), (802, 401));
    let said = run(&redis, &every(Action::Delete, Set::Retries, Some("Other"))).unwrap();
    assert_eq!(said, "deleted 0 jobs from the retry set\n");
    let said = run(&redis, &every(Action::Delete, Set::Retries, None)).unwrap();
    assert_eq!(said, "deleted 802 jobs from the retry set\n");
    fill();
    let caps = DeadSetCaps { jobs_max: 1_000, ..CAPS };
    let error = run(&redis, &every(Action::Kill(caps, Excess::Refuse), Set::Retries, None)).unwrap_err();
    assert!(
        matches!(error, Error::DeadSetFull(DeadSetFull { entries: 0, jobs: 1_203, jobs_max: 1_000 })),
        "{error}"
    );
    assert_eq!((members(&redis, Set::Dead).len(), members(&redis, Set::Retries).len()), (0, 1_203));
    let said = run(&redis, &every(Action::Kill(caps, Excess::Trim), Set::Retries, None)).unwrap();
    assert_eq!(
        said,
        "moved 1203 jobs from the retry set to the dead set\ntrimmed 203 entries of the dead set, too many or too old to be kept\n"
    );
    assert_eq!((members(&redis, Set::Dead).len(), members(&redis, Set::Retries).len()), (1_000, 0));
}

#[test]
fn what_cannot_be_retried_stays_and_is_reported() {
    let redis = OwnRedis::start();
    redis.run(&[b"SET", b"jiggler:list:broken", b"no list"]);
    let too_much = format!(
        r#"{{"name":"InvalidPayload","args":[],"jid":"bad","raw_base64":"{}"}}"#,
        "A".repeat(ENTRY_BYTES_MAX)
    );
    let held = r#"{"name":"N","jid":"held","queue":"broken"}"#;
    add(&redis, Set::Dead, 1, &too_much);
    add(&redis, Set::Dead, 2, held);
    add(&redis, Set::Dead, 3, r#"{"name":"N","jid":"free"}"#);
    let error = run(&redis, &jid(Action::Retry(None), "bad", &sets())).unwrap_err().to_string();
    assert!(error.contains("larger than any worker runs"), "{error}");
    let error = run(&redis, &jid(Action::Retry(None), "held", &sets())).unwrap_err().to_string();
    assert!(error.contains("jiggler:list:broken") && error.contains("not a list"), "{error}");
    let mut out = Vec::new();
    let error = act(&database(&redis), &every(Action::Retry(None), Set::Dead, None), &mut out).unwrap_err();
    assert!(matches!(error, Error::Held { jobs: 1, .. }), "{error}");
    let said = String::from_utf8(out).unwrap();
    assert_eq!(
        said,
        "moved 1 job from the dead set to their queues: default 1\nleft 1 entry that holds more bytes than a worker \
         runs\n"
            .to_owned()
            + &unserved("default", "1 job waits")
    );
    assert_eq!(members(&redis, Set::Dead), [too_much.as_str(), held]);
    assert!(run(&redis, &jid(Action::Delete, "bad", &sets())).is_ok());
}

#[test]
fn what_is_retried_of_buried_bytes_are_these_bytes() {
    let redis = OwnRedis::start();
    let pushed = |name: &str| {
        let reply = redis.run(&[b"LRANGE", format!("jiggler:list:{name}").as_bytes(), b"0", b"-1"]);
        reply.as_array().unwrap().map(|job| job.as_bulk().unwrap().to_vec()).collect::<Vec<_>>()
    };
    let bytes: [&[u8]; 3] = [b"", b"{\"name\":\"N\xff\"}", &[0xff; 300_000]];
    for (score, raw) in bytes.into_iter().enumerate() {
        let reason = Parser::default().parse(raw).unwrap_err();
        let entry = bury_unparsable(Schema::Jiggler, raw, &reason, "img", 1.0);
        redis.run(&[b"ZADD", JIGGLER.names().dead.as_bytes(), score.to_string().as_bytes(), &entry]);
    }
    let second = field(&members(&redis, Set::Dead)[1], "jid");
    let said = run(&redis, &jid(Action::Retry(None), &second, &sets())).unwrap();
    let moved = format!("moved job {second} (InvalidPayload) from the dead set to queue img\n");
    assert_eq!(said, moved + &unserved("img", "1 job waits"));
    assert_eq!(pushed("img"), [bytes[1]]);
    let said = run(&redis, &every(Action::Retry(None), Set::Dead, None)).unwrap();
    let moved = "moved 2 jobs from the dead set to their queues: img 2\n";
    assert_eq!(said, moved.to_owned() + &unserved("img", "2 jobs wait"));
    assert_eq!(pushed("img"), [bytes[2], bytes[0], bytes[1]]);
    assert!(members(&redis, Set::Dead).is_empty());
}

#[test]
fn jobs_are_retried_where_they_are_sent_and_each_queue_is_said_with_its_count() {
    let redis = OwnRedis::start();
    for (number, queue) in
        [r#","queue":"img""#, r#","queue":"img""#, r#","queue":"mails""#, ""].iter().enumerate()
    {
        add(&redis, Set::Dead, number, &format!(r#"{{"name":"N","jid":"{number}"{queue}}}"#));
    }
    let live = || Action::Retry(Some(QueueName::new("live").unwrap()));
    let heartbeat = b"jiggler:svr:d8625f8721eb:3:25:live,img:1:1795299901:8066:vm";
    redis.run(&[b"SET", heartbeat, b"{}"]);
    assert_eq!(
        run(&redis, &jid(live(), "2", &sets())).unwrap(),
        "moved job 2 (N) from the dead set to queue live\n"
    );
    assert_eq!(
        queue(&redis, "live"),
        [r#"{"name":"N","jid":"2","queue":"mails"}"#],
        "its bytes are what they were"
    );
    let said = run(&redis, &every(Action::Retry(None), Set::Dead, None)).unwrap();
    let moved = "moved 3 jobs from the dead set to their queues: img 2, default 1\n";
    assert_eq!(said, moved.to_owned() + &unserved("default", "1 job waits"));
}

#[test]
fn what_was_buried_for_its_queue_is_refused_unless_a_queue_is_named() {
    let redis = OwnRedis::start();
    let payload = br#"{"name":"N","args":[],"queue":"a:b"}"#;
    let reason = BadPayload::UnservableQueue { detail: "it has a colon".to_owned() };
    for (score, buried_as) in ["a:b", "default"].iter().enumerate() {
        let entry = bury_unparsable(Schema::Jiggler, payload, &reason, buried_as, 1.0);
        redis.run(&[b"ZADD", JIGGLER.names().dead.as_bytes(), score.to_string().as_bytes(), &entry]);
    }
    for entry in members(&redis, Set::Dead) {
        let error = run(&redis, &jid(Action::Retry(None), &field(&entry, "jid"), &sets())).unwrap_err();
        assert!(matches!(error, Error::Unservable { jobs: 1, .. }), "{error}");
        assert!(
            error.to_string().contains("contains ':'") && error.to_string().contains("--queue NAME"),
            "{error}"
        );
    }
    assert_eq!((members(&redis, Set::Dead).len(), queue(&redis, "default").len()), (2, 0));
    let live = Action::Retry(Some(QueueName::new("live").unwrap()));
    let said = run(&redis, &every(live, Set::Dead, None)).unwrap();
    let moved = "moved 2 jobs from the dead set to their queues: live 2\n";
    assert_eq!(said, moved.to_owned() + &unserved("live", "2 jobs wait"));
    assert_eq!(queue(&redis, "live"), [str::from_utf8(payload).unwrap(); 2]);
}

#[test]
fn an_entry_larger_than_a_job_can_be_deleted() {
    let redis = OwnRedis::start();
    let buried = format!(
        r#"{{"name":"InvalidPayload","args":[],"jid":"bad","raw_base64":"{}"}}"#,
        "A".repeat(ENTRY_BYTES_MAX)
    );
    add(&redis, Set::Dead, 1, &buried);
    add(&redis, Set::Dead, 2, r#"{"name":"N","jid":"j"}"#);
    let said = run(&redis, &jid(Action::Delete, "bad", &sets())).unwrap();
    assert_eq!(said, "deleted job bad (InvalidPayload) from the dead set\n");
    assert_eq!(members(&redis, Set::Dead).len(), 1);
}

#[test]
fn scripts_that_redis_forgot_are_loaded_again() {
    let redis = OwnRedis::start();
    let mut session = Session::open(&database(&redis), JIGGLER.shared_realm()).unwrap();
    redis.run(&[b"SCRIPT", b"FLUSH"]);
    assert_eq!(session.size(&Place::Set(Set::Dead)).unwrap(), 0);
}
