//! The commands against a real Redis, and pages that a real server cannot be made to send at will.

use super::super::lead;
use super::*;
use crate::limits::PUSH_JOBS_MAX;
use crate::net::blocking::BlockingConnection;
use crate::own_redis::OwnRedis;
use crate::resp::decode::Decoder;
use crate::wire::{keys::JIGGLER, lease};

const DEAD: &str = "33c754465483";

fn list(queue: &str) -> InProgress {
    InProgress { queue: queue.to_owned(), uuid: DEAD.to_owned() }
}

/// Walks to the end over a connection.
fn look(conn: &mut BlockingConnection) -> Seen {
    let mut look = Look::new(JIGGLER);
    loop {
        let mut requests = Requests::new();
        if !look.write(&mut requests) {
            return look.finish();
        }
        look.accept(&conn.call_one(&requests).unwrap()).unwrap();
    }
}

fn call(redis: &OwnRedis, write: impl FnOnce(&mut Requests)) -> Reply {
    let mut requests = Requests::new();
    write(&mut requests);
    redis.connect().call_one(&requests).unwrap()
}

fn rescue_once(redis: &OwnRedis, list: &InProgress) -> Rescued {
    read_rescued(&call(redis, |requests| rescue(JIGGLER, list, requests))).unwrap()
}

#[test]
fn a_look_goes_to_the_end_and_takes_in_nothing_that_is_not_the_gems() {
    let redis = OwnRedis::start();
    let put = |key: &str| redis.run(&[b"RPUSH", key.as_bytes(), b"job"]);
    for other in 0..2 * SCAN_PAGE_KEYS {
        put(&format!("jiggler:other:{other}"));
    }
    for key in [
        "jiggler:list:default",
        "jiggler:list:default:in_progress:33c754465483",
        "jiggler:list:img:in_progress:33c754465483",
        // Not the gem's: no queue, a uuid in another format, a queue with a colon, another prefix, the word alone.
        "jiggler:list::in_progress:33c754465483",
        "jiggler:list:a:in_progress:",
        "jiggler:list:a:in_progress:33C754465483",
        "jiggler:list:a:in_progress:33c7544654830",
        "jiggler:list:a:b:in_progress:33c754465483",
        "jiggler:list:a:in_progress:b:in_progress:33c754465483",
        "jiggler:list:orders_in_progress",
        "orders_in_progress",
        "{jiggler:list:a}:inflight:33c754465483:0:w",
    ] {
        put(key);
    }
    redis.run(&[b"RPUSH", b"jiggler:list:\xff:in_progress:33c754465483", b"job"]);
    for key in
        ["jiggler:svr:aaaaaaaaaaaa:3:40:default:1:1795299901:8066:vm", "jiggler:svr:bbbbbbbbbbbb:newer"]
    {
        redis.run(&[b"SET", key.as_bytes(), b"{}"]);
    }
    let seen = look(&mut redis.connect());
    assert_eq!(seen.lists, BTreeSet::from([list("default"), list("img")]));
    let living = [("aaaaaaaaaaaa", Some(Duration::from_secs(40))), ("bbbbbbbbbbbb", None)];
    assert_eq!(seen.living, living.map(|(uuid, stop)| (uuid.to_owned(), stop)).into());
}

/// The reply with one page.
fn page(cursor: &str, keys: &[String]) -> Reply {
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    let keys: Vec<String> = keys.iter().map(|key| bulk(key)).collect();
    let mut decoder = Decoder::default();
    decoder.feed(format!("*2\r\n{}*{}\r\n{}", bulk(cursor), keys.len(), keys.concat()).as_bytes());
    decoder.next_reply().unwrap().unwrap()
}

#[test]
fn an_empty_page_is_not_the_end() {
    let mut look = Look::new(JIGGLER);
    look.accept(&page("17", &[])).unwrap();
    let mut requests = Requests::new();
    assert!(look.write(&mut requests));
    assert!(String::from_utf8_lossy(requests.as_bytes()).contains("\r\nSCAN\r\n$2\r\n17\r\n"));
    look.accept(&page("0", &[])).unwrap();
    requests.clear();
    assert!(look.write(&mut requests), "the leases come last");
    assert!(String::from_utf8_lossy(requests.as_bytes()).contains("\r\nZRANGEBYSCORE\r\n"));
}

/// Keys of a process of ours: an index for each queue, and lists.
fn hold(redis: &OwnRedis, uuid: &str, lists: &[(&str, usize, &str)]) {
    for (queue, shard, batch) in lists {
        let index = JIGGLER.in_flight_index(queue, uuid, *shard);
        redis.run(&[b"HSET", index.as_bytes(), b"t", b"1"]);
        redis.run(&[b"RPUSH", format!("{index}:{batch}").as_bytes(), b"job"]);
    }
}

const OURS: &str = "0a5f00000001";

#[test]
fn jobs_in_flight_are_seen_with_all_that_their_keys_tell() {
    let redis = OwnRedis::start();
    hold(&redis, OURS, &[("img", 0, "w"), ("default", 2, "17"), ("img", 1, "w")]);
    redis.run(&[
        b"ZADD",
        JIGGLER.names().leases.as_bytes(),
        b"1",
        b"0a5f00000002:1:img",
        b"2",
        b"of another form",
    ]);
    let seen = look(&mut redis.connect());
    let found = InFlight {
        queues: BTreeSet::from(["default".to_owned(), "img".to_owned()]),
        shards: 3,
        list: Some(format!("{{jiggler:list:default}}:inflight:{OURS}:2:17")),
    };
    assert_eq!(seen.in_flight, BTreeMap::from([(OURS.to_owned(), found)]));
    assert_eq!(seen.living, HashMap::from([("0a5f00000002".to_owned(), None)]));
}

#[test]
fn a_process_with_jobs_in_flight_and_no_lease_gets_an_ended_one() {
    let redis = OwnRedis::start();
    let found = |redis: &OwnRedis| look(&mut redis.connect()).in_flight.remove(OURS).unwrap();
    let adopt_once = |redis: &OwnRedis| {
        let found = found(redis);
        read_adopted(&call(redis, |requests| adopt(JIGGLER, OURS, &found, requests).unwrap())).unwrap()
    };
    let leases = |redis: &OwnRedis| {
        redis.strings(&[b"ZRANGE", JIGGLER.names().leases.as_bytes(), b"0", b"-1", b"WITHSCORES"])
    };
    // (lists, an existing lease, leases afterwards)
    let member = format!("{OURS}:2:default,img");
    let own = format!("{OURS}:2:img,default,other");
    let neighbour = format!("{OURS}0:1:img");
    for (lease, adopted) in
        [(None, true), (Some(&own), false), (Some(&member), false), (Some(&neighbour), true)]
    {
        redis.run(&[b"FLUSHALL"]);
        hold(&redis, OURS, &[("img", 0, "5"), ("default", 1, "w")]);
        if let Some(lease) = lease {
            redis.run(&[b"ZADD", JIGGLER.names().leases.as_bytes(), b"7", lease.as_bytes()]);
        }
        assert_eq!(adopt_once(&redis), adopted, "{lease:?}");
        let mut expected = if adopted { vec![member.clone(), "0".to_owned()] } else { Vec::new() };
        expected.extend(lease.into_iter().flat_map(|lease| [lease.clone(), "7".to_owned()]));
        assert_eq!(leases(&redis), expected, "{lease:?}");
        assert!(!adopt_once(&redis), "it has one now");
    }
}

#[test]
fn fences_are_no_jobs_in_flight() {
    let redis = OwnRedis::start();
    let index = JIGGLER.in_flight_index("img", OURS, 0);
    for key in [index.clone(), in_flight::wait_list(&index)] {
        redis.run(&[b"SET", key.as_bytes(), b"left"]);
    }
    let found = look(&mut redis.connect()).in_flight.remove(OURS).unwrap();
    assert!(
        !read_adopted(&call(&redis, |requests| adopt(JIGGLER, OURS, &found, requests).unwrap())).unwrap()
    );
    redis.run(&[b"DEL", in_flight::wait_list(&index).as_bytes()]);
    let found = look(&mut redis.connect()).in_flight.remove(OURS).unwrap();
    assert!(adopt(JIGGLER, OURS, &found, &mut Requests::new()).is_none());
}

#[test]
fn as_many_keys_as_allowed_are_taken_and_not_one_more() {
    let keys = |count: usize| -> Vec<String> {
        (0..count).map(|number| format!("jiggler:list:q:in_progress:{number:012x}")).collect()
    };
    let accept = |count| Look::new(JIGGLER).accept(&page("0", &keys(count)));
    assert!(accept(RUBY_KEYS_MAX - 1).is_ok() && accept(RUBY_KEYS_MAX).is_ok());
    let error = accept(RUBY_KEYS_MAX + 1).unwrap_err();
    assert!(matches!(error, LookError::TooManyKeys { .. }), "{error}");
}

#[test]
fn the_first_by_name_of_those_with_a_lease_leads() {
    let redis = OwnRedis::start();
    let leads = |uuid| {
        lead::read_first(&call(&redis, |requests| lead::ask_first(JIGGLER.names().leases, uuid, requests)))
            .unwrap()
    };
    let lease = |uuid, ends: &str| {
        let member = lease::lease_member(uuid, 2, &["img", "default"]);
        redis.run(&[b"ZADD", JIGGLER.names().leases.as_bytes(), ends.as_bytes(), member.as_bytes()]);
    };
    assert!(!leads("bb"), "it has no lease");
    let time = redis.strings(&[b"TIME"]);
    let (ended, lasting) = ("1000", format!("{}", time[0].parse::<u64>().unwrap() * 1_000 + 15_000));
    lease("cc", &lasting);
    lease("bb", &lasting);
    lease("aa", ended);
    lease("a0", "99999999999999");
    redis.run(&[b"ZADD", JIGGLER.names().leases.as_bytes(), lasting.as_bytes(), b"a foreign member"]);
    assert!(!leads("a0"), "a lease this long was not renewed by this clock");
    assert_eq!(["aa", "bb", "cc"].map(leads), [false, true, false]);
    lease("bb", ended);
    assert_eq!(["aa", "bb", "cc"].map(leads), [false, false, true]);
    assert_eq!(redis.strings(&[b"KEYS", b"*"]), [JIGGLER.names().leases], "it takes no key of its own");
}

#[test]
fn jobs_go_back_in_their_old_order_to_be_taken_next() {
    let redis = OwnRedis::start();
    // As the gem does it: pushed at the left, taken from the right into the left of the list in progress.
    for job in ["1", "2", "3", "4"] {
        redis.run(&[b"LPUSH", b"jiggler:list:q", job.as_bytes()]);
    }
    let key = JIGGLER.gem_in_progress("q", DEAD);
    for _ in 0..3 {
        redis.run(&[b"RPOPLPUSH", b"jiggler:list:q", key.as_bytes()]);
    }
    assert_eq!(redis.strings(&[b"LRANGE", key.as_bytes(), b"0", b"-1"]), ["3", "2", "1"]);
    assert_eq!(rescue_once(&redis, &list("q")), Rescued::Jobs { moved: 3, left: 0 });
    assert_eq!(redis.strings(&[b"LRANGE", b"jiggler:list:q", b"0", b"-1"]), ["4", "3", "2", "1"]);
    assert_eq!(rescue_once(&redis, &list("q")), Rescued::Jobs { moved: 0, left: 0 });
    assert_eq!(redis.strings(&[b"KEYS", b"*"]), ["jiggler:list:q"]);
}

#[test]
fn one_call_moves_no_more_than_its_bounds() {
    let redis = OwnRedis::start();
    let key = JIGGLER.gem_in_progress("q", DEAD);
    let push = |jobs: &[&[u8]]| redis.run(&[&[b"RPUSH", key.as_bytes()], jobs].concat());
    for count in [RUBY_RESCUE_JOBS_MAX - 1, RUBY_RESCUE_JOBS_MAX, RUBY_RESCUE_JOBS_MAX + 1] {
        assert!(count < PUSH_JOBS_MAX);
        push(&vec![b"job".as_slice(); count]);
        let moved = count.min(RUBY_RESCUE_JOBS_MAX) as u64;
        let left = count as u64 - moved;
        assert_eq!(rescue_once(&redis, &list("q")), Rescued::Jobs { moved, left });
        redis.run(&[b"DEL", key.as_bytes()]);
    }
    let large = vec![b'x'; BATCH_BYTES_MAX - 1];
    push(&[&large, b"x", b"x"]);
    assert_eq!(rescue_once(&redis, &list("q")), Rescued::Jobs { moved: 2, left: 1 });
    redis.run(&[b"DEL", key.as_bytes()]);
    let larger = vec![b'x'; BATCH_BYTES_MAX + 1];
    push(&[&larger, b"x"]);
    assert_eq!(rescue_once(&redis, &list("q")), Rescued::Jobs { moved: 1, left: 1 });
}

#[test]
fn keys_of_other_types_are_left_alone() {
    let redis = OwnRedis::start();
    let key = JIGGLER.gem_in_progress("q", DEAD);
    redis.run(&[b"SADD", key.as_bytes(), b"member"]);
    assert_eq!(rescue_once(&redis, &list("q")), Rescued::NotAList);
    redis.run(&[b"DEL", key.as_bytes()]);
    redis.run(&[b"RPUSH", key.as_bytes(), b"job"]);
    redis.run(&[b"SET", b"jiggler:list:q", b"no list"]);
    assert_eq!(rescue_once(&redis, &list("q")), Rescued::QueueNotAList);
    assert_eq!(redis.strings(&[b"LRANGE", key.as_bytes(), b"0", b"-1"]), ["job"]);
}
