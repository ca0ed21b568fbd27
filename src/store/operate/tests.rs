//! What operators do to jobs, against a real Redis: keys before, one call, keys after. Each call is one script, so there is
//! no moment between the two: a job that is moved is always in at least one place (P1).

use bytes::Bytes;

use super::*;
use crate::limits::{ENTRY_NAMED_WHOLE_BYTES_MAX, HEARTBEAT_TTL_EXTRA};
use crate::net::{self, blocking::BlockingConnection};
use crate::own_redis::OwnRedis;
use crate::wire::keys::JIGGLER;

struct Setup {
    redis: OwnRedis,
    conn: BlockingConnection,
    scripts: Scripts,
}

impl Setup {
    fn new() -> Self {
        let (redis, conn, scripts) = OwnRedis::with_scripts();
        Self { redis, conn, scripts }
    }

    fn call(&mut self, write: impl FnOnce(&Scripts, &mut Requests)) -> Result<Reply, net::Error> {
        let mut requests = Requests::new();
        write(&self.scripts, &mut requests);
        self.conn.call_one(&requests)
    }

    fn add(&self, set: Set, score: &str, job: &[u8]) {
        self.redis.run(&[b"ZADD", set.key_in(&JIGGLER.shared_realm()).as_bytes(), score.as_bytes(), job]);
    }

    fn set(&self, set: Set) -> Vec<String> {
        self.redis.strings(&[b"ZRANGE", set.key_in(&JIGGLER.shared_realm()).as_bytes(), b"0", b"-1"])
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.redis.strings(&[b"LRANGE", key.as_bytes(), b"0", b"-1"])
    }

    fn exists(&self, key: &str) -> bool {
        self.redis.run(&[b"EXISTS", key.as_bytes()]).as_integer().unwrap() == 1
    }
}

fn seen(job: &[u8]) -> Entry {
    Entry { newer: 0, size: job.len() as u64, score: None, bytes: Bytes::copy_from_slice(job) }
}

/// A job of which the script tells the queue.
fn unread(entry: &Entry) -> Revived<'_> {
    Revived { entry, queue: None, exact: None }
}

/// An entry of which only the first bytes were read.
fn seen_in_part(job: &[u8], newer: u64) -> Entry {
    Entry { newer, size: job.len() as u64, score: None, bytes: Bytes::copy_from_slice(&job[..4]) }
}

const CAPS: DeadSetCaps = DeadSetCaps { jobs_max: 3, timeout_s: 1_000 };

#[test]
fn jobs_go_to_the_queue_they_name_as_the_bytes_they_are() {
    let mut setup = Setup::new();
    // Payload, key of the queue it belongs to.
    let table: &[(&[u8], &str)] = &[
        (br#"{"name":"N","args":[1.0e+21,12345678901234567890,[]],"queue":"img"}"#, "jiggler:list:img"),
        (br#"{"queue":"m\u0061il", "name":"N"}"#, "jiggler:list:mail"),
        (br#"{"name":"N","args":[{"queue":"inner"}]}"#, "jiggler:list:default"),
        (br#"{"name":"N","queue":7}"#, "jiggler:list:default"),
        (br#"{"name":"N","queue":""}"#, "jiggler:list:default"),
        (b"no job at all", "jiggler:list:default"),
        (b"", "jiggler:list:default"),
    ];
    for (job, key) in table {
        setup.add(Set::Dead, "5", job);
        setup.add(Set::Dead, "6", b"other");
        let entry = seen(job);
        let reply = setup.call(|s, r| requeue(s, Set::Dead, &[unread(&entry)], r)).unwrap();
        assert_eq!(read_requeued(&reply).unwrap(), [Requeued::Moved((*key).to_owned())]);
        let raw = setup.redis.run(&[b"LRANGE", key.as_bytes(), b"0", b"-1"]);
        assert_eq!(raw.as_array().unwrap().next().unwrap().as_bulk().unwrap(), *job);
        assert_eq!(setup.set(Set::Dead), ["other"]);
        let reply = setup.call(|s, r| requeue(s, Set::Dead, &[unread(&entry)], r)).unwrap();
        assert_eq!(read_requeued(&reply).unwrap(), [Requeued::Gone], "it is moved once");
        setup.redis.run(&[b"FLUSHALL"]);
    }
}

#[test]
fn a_retried_job_queues_behind_those_already_waiting() {
    let mut setup = Setup::new();
    setup.redis.run(&[b"LPUSH", b"jiggler:list:default", b"waits"]);
    setup.add(Set::Retries, "5", b"a");
    setup.add(Set::Retries, "6", b"b");
    let jobs = [seen(b"a"), seen(b"b")];
    setup.call(|s, r| requeue(s, Set::Retries, &[unread(&jobs[0]), unread(&jobs[1])], r)).unwrap();
    assert_eq!(setup.list("jiggler:list:default"), ["b", "a", "waits"], "workers take from the right");
}

#[test]
fn a_job_whose_queue_is_no_list_stays_in_its_set_and_the_others_go() {
    let mut setup = Setup::new();
    setup.redis.run(&[b"SET", b"jiggler:list:img", b"no list"]);
    let (held, free) = (&br#"{"name":"N","queue":"img"}"#[..], &br#"{"name":"N"}"#[..]);
    setup.add(Set::Retries, "5", held);
    setup.add(Set::Retries, "6", free);
    let jobs = [seen(held), seen(free)];
    let reply =
        setup.call(|s, r| requeue(s, Set::Retries, &[unread(&jobs[0]), unread(&jobs[1])], r)).unwrap();
    let expected =
        [Requeued::Held("jiggler:list:img".to_owned()), Requeued::Moved("jiggler:list:default".to_owned())];
    assert_eq!(read_requeued(&reply).unwrap(), expected);
    assert_eq!(setup.set(Set::Retries).len(), 1);
    assert_eq!(setup.list("jiggler:list:default").len(), 1);
}

#[test]
fn a_killed_job_died_now_and_the_dead_set_keeps_its_caps() {
    let mut setup = Setup::new();
    let now = || setup.redis.strings(&[b"TIME"])[0].parse::<f64>().unwrap();
    let before = now();
    setup.add(Set::Dead, &format!("{}", before - 2_000.0), b"too old");
    setup.add(Set::Dead, &format!("{}", before - 500.0), b"old");
    setup.add(Set::Dead, &format!("{}", before - 400.0), b"young");
    for job in ["a", "b", "c"] {
        setup.add(Set::Retries, "4000000000", job.as_bytes());
    }
    let jobs = [seen(b"a"), seen(b"b"), seen(b"gone")];
    let dead = [None, Some(b"b, killed".to_vec()), Some(b"gone, killed".to_vec())];
    let jobs: Vec<_> = jobs.iter().zip(dead).map(|(entry, dead)| Condemned { entry, dead }).collect();
    let reply = setup.call(|s, r| kill(s, Set::Retries, &jobs, Some(CAPS), r)).unwrap();
    let killed = read_killed(&reply).unwrap();
    assert_eq!(killed, Killed { moved: vec![true, true, false], trimmed: 2 });
    assert_eq!(setup.set(Set::Retries), ["c"]);
    assert_eq!(setup.set(Set::Dead), ["young", "a", "b, killed"]);
    let score = setup.redis.run(&[b"ZSCORE", Set::Dead.key_in(&JIGGLER.shared_realm()).as_bytes(), b"a"]);
    let score: f64 = std::str::from_utf8(score.as_bulk().unwrap()).unwrap().parse().unwrap();
    assert!((before..before + 60.0).contains(&score), "{score}");
}

#[test]
fn a_dead_set_of_another_type_loses_nothing() {
    let mut setup = Setup::new();
    setup.redis.run(&[b"SET", JIGGLER.names().dead.as_bytes(), b"no set"]);
    setup.add(Set::Scheduled, "4000000000", b"a");
    let entry = seen(b"a");
    let error = setup
        .call(|s, r| kill(s, Set::Scheduled, &[Condemned { entry: &entry, dead: None }], Some(CAPS), r))
        .unwrap_err();
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    assert_eq!(setup.set(Set::Scheduled), ["a"]);
}

#[test]
fn jobs_are_deleted_by_their_bytes_and_a_copy_stays() {
    let mut setup = Setup::new();
    let queue = Place::Queue("img".parse().unwrap());
    setup.redis.run(&[b"RPUSH", b"jiggler:list:img", b"a", b"b", b"a", b"c"]);
    setup.add(Set::Dead, "1", b"a");
    let jobs = [seen(b"a"), seen(b"gone")];
    for (place, expected) in [(&queue, [true, false]), (&Place::Set(Set::Dead), [true, false])] {
        let reply = setup.call(|s, r| delete(s, place, &[&jobs[0], &jobs[1]], r)).unwrap();
        assert_eq!(read_deleted(&reply).unwrap(), expected, "{place}");
    }
    assert_eq!(setup.list("jiggler:list:img"), ["b", "a", "c"]);
    assert!(!setup.exists(JIGGLER.names().dead));
}

#[test]
fn what_was_read_in_part_is_found_at_its_place_and_only_there() {
    let mut setup = Setup::new();
    setup.redis.run(&[b"RPUSH", b"jiggler:list:img", b"first", b"second", b"third"]);
    for (score, job) in [("1", "first"), ("2", "second"), ("3", "third")] {
        setup.add(Set::Dead, score, job.as_bytes());
    }
    let queue = Place::Queue("img".parse().unwrap());
    let dead = Place::Set(Set::Dead);
    let mut deleted = |place: &Place, entry: &Entry| {
        read_deleted(&setup.call(|s, r| delete(s, place, &[entry], r)).unwrap()).unwrap()
    };
    assert_eq!(deleted(&queue, &seen_in_part(b"second", 0)), [false]);
    assert_eq!(deleted(&queue, &seen_in_part(b"secure", 1)), [false]);
    assert_eq!(deleted(&queue, &seen_in_part(b"second", 7)), [false]);
    assert_eq!(deleted(&queue, &seen_in_part(b"second", 1)), [true]);
    assert_eq!(deleted(&dead, &seen_in_part(b"first", 0)), [false]);
    assert_eq!(deleted(&dead, &seen_in_part(b"first", 2)), [true]);
    assert_eq!(setup.list("jiggler:list:img"), ["first", "third"]);
    let third = seen_in_part(b"third", 0);
    let reply = setup.call(|s, r| requeue(s, Set::Dead, &[unread(&third)], r)).unwrap();
    assert_eq!(read_requeued(&reply).unwrap(), [Requeued::Moved("jiggler:list:default".to_owned())]);
    assert_eq!(setup.list("jiggler:list:default"), ["third"]);
}

/// A payload of so many bytes, told from others by its end alone.
fn large(end: &str) -> Vec<u8> {
    format!(r#"{{"name":"N","args":["{}"],"jid":"{end}"}}"#, "x".repeat(ENTRY_NAMED_WHOLE_BYTES_MAX))
        .into_bytes()
}

#[test]
fn a_large_entry_of_a_set_is_found_by_score_and_ends_wherever_it_moved_to() {
    let mut setup = Setup::new();
    for (score, end) in [("5", "a"), ("7.25", "b"), ("7.25", "c"), ("7.25", "d"), ("9", "e")] {
        setup.add(Set::Dead, score, &large(end));
    }
    let entry = |newer, score, end| Entry { newer, score: Some(score), ..seen(&large(end)) };
    let dead = Place::Set(Set::Dead);
    let deleted = |setup: &mut Setup, entry: &Entry| {
        read_deleted(&setup.call(|s, r| delete(s, &dead, &[entry], r)).unwrap()).unwrap()[0]
    };
    assert!(!deleted(&mut setup, &entry(1, 7.0, "c")), "of another score");
    assert!(!deleted(&mut setup, &entry(1, 7.25, "f")), "of other bytes");
    assert!(deleted(&mut setup, &entry(2, 7.25, "c")), "where it was");
    setup.add(Set::Dead, "8", &large("g"));
    assert!(deleted(&mut setup, &entry(3, 7.25, "b")), "below a new one");
    assert!(deleted(&mut setup, &entry(0, 7.25, "d")), "above others that went");
    assert!(!deleted(&mut setup, &entry(0, 7.25, "d")), "once");
    let ends: Vec<_> =
        setup.set(Set::Dead).iter().map(|job| job[job.len() - 3..job.len() - 2].to_owned()).collect();
    assert_eq!(ends, ["a", "g", "e"]);
    let job = entry(2, 5.0, "a");
    let revived = Revived { entry: &job, queue: Some(b"img".to_vec()), exact: Some(b"\xff\0".to_vec()) };
    let reply = setup.call(|s, r| requeue(s, Set::Dead, &[revived], r)).unwrap();
    assert_eq!(read_requeued(&reply).unwrap(), [Requeued::Moved("jiggler:list:img".to_owned())]);
    let pushed = setup.redis.run(&[b"RPOP", b"jiggler:list:img"]);
    assert_eq!(pushed.as_bulk().unwrap(), b"\xff\0", "other bytes are pushed in its place");
    let job = entry(0, 9.0, "e");
    let condemned = Condemned { entry: &job, dead: None };
    setup.redis.run(&[b"RENAME", b"jiggler:set:dead", b"jiggler:set:retries"]);
    let reply = setup.call(|s, r| kill(s, Set::Retries, &[condemned], None, r)).unwrap();
    assert_eq!(read_killed(&reply).unwrap(), Killed { moved: vec![true], trimmed: 0 });
    assert_eq!((setup.set(Set::Dead).len(), setup.set(Set::Retries).len()), (1, 1));
}

/// The script tells the queue by as little of a payload as it can; whatever it looks at, it is right.
#[test]
fn the_queue_is_told_by_the_end_of_a_payload_only_where_that_cannot_be_wrong() {
    let mut setup = Setup::new();
    let numbers = "1,".repeat(100_000);
    let table: &[(&str, &str)] = &[
        (r#"{"args":[ARGS],"queue":"a","attempt":1,"retried_at":1.0e+21,"x":"y-z","n":null}"#, "a"),
        (r#"{"args":[ARGS],"queue":"a","queue":"b"}  "#, "b"),
        (r#"{"queue":"a","args":[ARGS],"x":{"queue":"inner"}}"#, "a"),
        (r#"{"queue":"a","args":[ARGS],"x":["queue","y"]}"#, "a"),
        (r#"{"queue":"a","args":[ARGS],"x":"{\"queue\":\"y\"}"}"#, "a"),
        (r#"{"queue":"a","args":[ARGS],"x":"\\","y":"z"}"#, "a"),
        (r#"{"args":[ARGS],"queue":"a","queue":7}"#, "default"),
        (r#"{"args":[ARGS],"queue":"\u0061"}"#, "a"),
        (r#"{"args":[ARGS],"qu\u0065ue":"a"}"#, "a"),
        (r#"{"args":[ARGS],"x":"\"queue\":\"y\""}"#, "default"),
        (r#"{"args":[ARGS]}"#, "default"),
        (r#"{"args":[ARGS],"queue" : "a"}"#, "a"),
    ];
    for (payload, queue) in table {
        for args in ["", "1,2", &numbers] {
            let job = payload.replace("ARGS", args.trim_end_matches(','));
            setup.add(Set::Dead, "5", job.as_bytes());
            let entry = seen(job.as_bytes());
            let reply = setup.call(|s, r| requeue(s, Set::Dead, &[unread(&entry)], r)).unwrap();
            let got = read_requeued(&reply).unwrap().remove(0);
            // What only a reader of all of it could tell is left to the caller, who was asked for nothing here.
            let is_left = args.len() > 2 && got == Requeued::Moved("jiggler:list:default".to_owned());
            let expected = Requeued::Moved(format!("jiggler:list:{}", queue));
            assert!(got == expected || is_left, "{got:?} for {payload} of {} bytes", job.len());
            if payload.contains(r#""queue":"a","attempt""#) {
                assert_eq!(got, expected, "whatever is before it");
            }
        }
    }
}

#[test]
fn a_key_is_pruned_whole_unless_it_is_not_what_it_should_be() {
    let mut setup = Setup::new();
    let queue = Pruned::Jobs(Place::Queue("img".parse().unwrap()));
    let dead = Pruned::Jobs(Place::Set(Set::Dead));
    setup.redis.run(&[b"RPUSH", b"jiggler:list:img", b"a", b"b"]);
    setup.redis.run(&[b"RPUSH", b"jiggler:list:img:in_progress:aaaaaaaaaaaa", b"runs"]);
    setup.add(Set::Dead, "1", b"a");
    setup.redis.run(&[b"SET", JIGGLER.names().failures.as_bytes(), b"12"]);
    let mut pruned =
        |what: &Pruned| setup.call(|s, r| prune(s, what, r)).and_then(|reply| Ok(read_pruned(&reply)?));
    assert_eq!(pruned(&queue).unwrap(), 2);
    assert_eq!(pruned(&queue).unwrap(), 0);
    assert_eq!(pruned(&dead).unwrap(), 1);
    assert_eq!(pruned(&Pruned::Failures).unwrap(), 12);
    assert_eq!(pruned(&Pruned::Processed).unwrap(), 0);
    assert_eq!(setup.redis.strings(&[b"KEYS", b"*"]), ["jiggler:list:img:in_progress:aaaaaaaaaaaa"]);
    setup.redis.run(&[b"SET", b"jiggler:list:img", b"no list"]);
    let error = setup.call(|s, r| prune(s, &queue, r)).unwrap_err().to_string();
    assert!(error.contains("is a string, not a list, so it was left alone"), "{error}");
    assert!(setup.exists("jiggler:list:img"));
}

#[test]
fn a_process_is_forgotten_once_its_heartbeat_is_late() {
    let mut setup = Setup::new();
    let key = "jiggler:svr:aaaaaaaaaaaa:3:25:default:1:1795299901:8066:vm";
    let extra_ms = HEARTBEAT_TTL_EXTRA.as_millis() as u64;
    // Milliseconds its key has left (none: it never expires), and whether it is forgotten.
    for (left_ms, forgotten) in
        [(Some(extra_ms + 10_000), 0), (Some(extra_ms), 0), (Some(100_000), 1), (None, 1)]
    {
        setup.redis.run(&[b"SET", key.as_bytes(), b"{}"]);
        if let Some(left_ms) = left_ms {
            setup.redis.run(&[b"PEXPIRE", key.as_bytes(), left_ms.to_string().as_bytes()]);
        }
        let reply = setup.call(|s, r| forget_process(s, key, r)).unwrap();
        assert_eq!(
            (reply.as_integer().unwrap(), setup.exists(key)),
            (forgotten, forgotten == 0),
            "{left_ms:?}"
        );
    }
    let reply = setup.call(|s, r| forget_process(s, "jiggler:svr:gone", r)).unwrap();
    assert_eq!(reply.as_integer().unwrap(), 0);
}
