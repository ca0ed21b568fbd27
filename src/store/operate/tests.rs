//! What operators do to jobs, against a real Redis: keys before, one call, keys after. Each call is one script, so there is
//! no moment between the two: a job that is moved is always in at least one place (P1).

use bytes::Bytes;

use super::*;
use crate::limits::HEARTBEAT_TTL_EXTRA;
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
        let reply = setup.call(|s, r| requeue(s, Set::Dead, &[&entry], r)).unwrap();
        assert_eq!(read_requeued(&reply).unwrap(), [Requeued::Moved((*key).to_owned())]);
        let raw = setup.redis.run(&[b"LRANGE", key.as_bytes(), b"0", b"-1"]);
        assert_eq!(raw.as_array().unwrap().next().unwrap().as_bulk().unwrap(), *job);
        assert_eq!(setup.set(Set::Dead), ["other"]);
        let reply = setup.call(|s, r| requeue(s, Set::Dead, &[&entry], r)).unwrap();
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
    setup.call(|s, r| requeue(s, Set::Retries, &[&jobs[0], &jobs[1]], r)).unwrap();
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
    let reply = setup.call(|s, r| requeue(s, Set::Retries, &[&jobs[0], &jobs[1]], r)).unwrap();
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
    let reply = setup.call(|s, r| requeue(s, Set::Dead, &[&seen_in_part(b"third", 0)], r)).unwrap();
    assert_eq!(read_requeued(&reply).unwrap(), [Requeued::Moved("jiggler:list:default".to_owned())]);
    assert_eq!(setup.list("jiggler:list:default"), ["third"]);
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
