//! The scripts that take a dead shard's jobs away, one promise per test, against a real Redis: counting recoveries
//! (P4), and what gets in their way.

use std::time::Duration;

use crate::own_redis::OwnRedis;
use jiggler_uring::internal::limits::{REAP_BYTES_MAX, SUSPECT_PAUSE_MAX};
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests};
use jiggler_uring::internal::store::flight;
use jiggler_uring::internal::store::process::{self, Holder, LeaseTimes, Renewal};
use jiggler_uring::internal::store::recovery::{self, Freed, Reaped, ReapedJobs};
use jiggler_uring::internal::store::scripts::Scripts;
use jiggler_uring::internal::store::turn::QueueKeys;
use jiggler_uring::internal::wire::{in_flight, keys::JIGGLER, lease};

struct Setup {
    _redis: OwnRedis,
    conn: BlockingConnection,
    scripts: Scripts,
}

/// A dead process with one shard and the queues `a` and `b`.
struct Dead {
    member: String,
    queues: [QueueKeys; 2],
}

impl Setup {
    fn new() -> Self {
        let (redis, conn, scripts) = OwnRedis::with_scripts();
        Self { _redis: redis, conn, scripts }
    }

    fn run(&mut self, args: &[&[u8]]) -> Reply {
        let mut requests = Requests::new();
        requests.command(args);
        self.conn.call_one(&requests).unwrap()
    }

    fn list(&mut self, key: &[u8]) -> Vec<String> {
        let reply = self.run(&[b"LRANGE", key, b"0", b"-1"]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        reply.as_array().unwrap().map(|value| text(value.as_bulk().unwrap())).collect()
    }

    /// A process that died with these jobs of queue `a` in one batch.
    fn dead(&mut self, uuid: &str, jobs: &[&str]) -> Dead {
        let queues = ["a", "b"].map(|queue| QueueKeys::new(JIGGLER, queue, uuid, 0));
        let member = lease::lease_member(uuid, 1, &["a", "b"]);
        self.run(&[b"ZADD", JIGGLER.names().leases.as_bytes(), b"1000", member.as_bytes()]);
        let index = JIGGLER.in_flight_index("a", uuid, 0);
        self.run(&[b"HSET", index.as_bytes(), b"7", b"1", b"t", b"7"]);
        for job in jobs {
            self.run(&[b"RPUSH", in_flight::batch(&index, 7).as_bytes(), job.as_bytes()]);
        }
        Dead { member, queues }
    }

    fn text(&mut self, key: &[u8]) -> String {
        String::from_utf8(self.run(&[b"GET", key]).as_bulk().unwrap().to_vec()).unwrap()
    }

    /// The error to a command.
    fn try_run(&mut self, args: &[&[u8]]) -> String {
        let mut requests = Requests::new();
        requests.command(args);
        self.conn.call_one(&requests).unwrap_err().to_string()
    }

    /// The error to a call of the owner, who woke up.
    fn turn(&mut self, dead: &Dead) -> String {
        let mut requests = Requests::new();
        flight::resume(&self.scripts, &dead.queues[0], 100, &mut requests);
        self.conn.call_one(&requests).unwrap_err().to_string()
    }

    /// What the owner's next renewal would be told.
    fn renew(&mut self, dead: &Dead) -> Renewal {
        let mut requests = Requests::new();
        let holder = Holder { member: &dead.member, index: &dead.queues[0] };
        let times = LeaseTimes { ends_ms: 1, none_ends_until_ms: 0 };
        process::renew_lease(&self.scripts, holder, times, 20_000, 1, &mut requests);
        process::read_lease(&self.conn.call_one(&requests).unwrap()).unwrap().1
    }

    fn reap(&mut self, dead: &Dead) -> ReapedJobs {
        let mut requests = Requests::new();
        recovery::reap(&self.scripts, &dead.member, &dead.queues, &mut requests);
        match recovery::read_reaped(&self.conn.call_one(&requests).unwrap()).unwrap() {
            Reaped::Jobs(jobs) => jobs,
            other => unreachable!("{other:?}"),
        }
    }

    /// As if the last had been freed long ago.
    fn free(&mut self, dead: &Dead, count: usize) -> Option<u64> {
        let mut requests = Requests::new();
        let freed = in_flight::freed(&dead.queues[0].list);
        requests.command(&[b"DEL", &freed]);
        self.conn.call_one(&requests).unwrap();
        self.free_after(dead, count, SUSPECT_PAUSE_MAX).count
    }

    /// Unix milliseconds by its clock.
    fn now_ms(&mut self) -> i64 {
        let reply = self.run(&[b"TIME"]);
        let part = |at: usize| {
            let text = reply.as_array().unwrap().nth(at).unwrap().as_bulk().unwrap().to_vec();
            String::from_utf8(text).unwrap().parse::<i64>().unwrap()
        };
        part(0) * 1_000 + part(1) / 1_000
    }

    fn free_after(&mut self, dead: &Dead, count: usize, pause: Duration) -> Freed {
        let mut requests = Requests::new();
        recovery::free_suspects(&self.scripts, &dead.queues[0], (count, pause), &mut requests);
        recovery::read_freed(&self.conn.call_one(&requests).unwrap()).unwrap()
    }
}

const JOB: &str = r#"{"name":"N","args":[],"jid":"0123456789abcdef"}"#;
const OTHER: &str = r#"{"name":"N","args":[],"jid":"fedcba9876543210"}"#;

#[test]
fn a_job_goes_back_at_its_first_recovery_then_is_a_suspect_and_finally_poison() {
    let mut setup = Setup::new();
    let queue = JIGGLER.queue("a");
    for death in 1..=4_u64 {
        let dead = setup.dead(&format!("00000000000{death}"), &[JOB]);
        let reaped = setup.reap(&dead);
        let counts = (reaped.back, reaped.suspects, reaped.poison);
        assert_eq!(counts, [(1, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 1)][usize::try_from(death).unwrap() - 1]);
        if reaped.suspects > 0 {
            assert_eq!(setup.list(&dead.queues[0].suspects), [JOB]);
            assert_eq!(setup.free(&dead, 1), Some(1));
            assert_eq!(setup.free(&dead, 1), None, "the one that was put back still waits");
        }
        if reaped.poison > 0 {
            assert_eq!(setup.list(&dead.queues[0].poison), [JOB]);
        } else {
            assert_eq!(setup.list(queue.as_bytes()), [JOB], "byte for byte");
        }
        setup.run(&[b"DEL", queue.as_bytes()]);
    }
    let key = JIGGLER.recoveries_prefix("a") + "0123456789abcdef";
    let ttl_s = setup.run(&[b"TTL", key.as_bytes()]).as_integer().unwrap();
    assert!(ttl_s > 0, "the count is not kept forever: {ttl_s}");
}

/// A reaper may die after the first shard, and another redo everything; equal payloads may be in flight together.
#[test]
fn one_death_counts_once_however_often_it_is_seen() {
    let mut setup = Setup::new();
    let no_jid = r#"{"name":"N","args":[]}"#;
    let dead = setup.dead("000000000001", &[JOB, no_jid, no_jid, JOB]);
    assert_eq!(setup.reap(&dead).back, 4);
    setup.run(&[b"DEL", &dead.queues[0].index]);
    let dead = setup.dead("000000000001", &[JOB]);
    assert_eq!(setup.reap(&dead), ReapedJobs { back: 1, ..ReapedJobs::default() });
    let dead = setup.dead("000000000002", &[no_jid]);
    assert_eq!(setup.reap(&dead).suspects, 1, "a payload without a jid is counted too");
    assert_eq!(setup.reap(&dead).suspects, 1, "it is still there");
}

#[test]
fn many_bytes_are_put_back_part_by_part_in_their_order_behind_a_fence_that_is_there_from_the_first() {
    let mut setup = Setup::new();
    let large =
        |jid: u8| format!(r#"{{"name":"N","args":["{}"],"jid":"{jid}"}}"#, "x".repeat(REAP_BYTES_MAX / 2));
    let jobs: Vec<String> = (0..5).map(large).collect();
    let dead = setup.dead("000000000001", &jobs.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut back, mut calls) = (0, 0);
    loop {
        let reaped = setup.reap(&dead);
        (back, calls) = (back + reaped.back, calls + 1);
        let fence = if reaped.more { "fenced 7" } else { "fenced" };
        assert_eq!(setup.text(&dead.queues[0].index), fence);
        assert_eq!(setup.text(&dead.queues[0].wait_list), "fenced", "it was empty from the first");
        let ttl_s = setup.run(&[b"TTL", &dead.queues[0].index]).as_integer().unwrap();
        assert_eq!(ttl_s < 0, reaped.more, "nothing else names the batch: {ttl_s}");
        assert!(setup.turn(&dead).contains("FENCED"));
        if !reaped.more {
            break;
        }
    }
    assert!(calls > 3, "{calls} calls");
    assert_eq!(back, 5);
    let queue: Vec<String> = setup.list(JIGGLER.queue("a").as_bytes());
    assert_eq!(queue, jobs.iter().rev().cloned().collect::<Vec<_>>(), "the oldest is taken next");
}

/// The lease cannot be renewed once a job is taken; and what a blocking move still brings is taken, too.
#[test]
fn a_shard_that_wakes_while_its_jobs_are_taken_away_part_by_part_gets_no_lease_and_keeps_nothing() {
    let mut setup = Setup::new();
    let large =
        |jid: u8| format!(r#"{{"name":"N","args":["{}"],"jid":"{jid}"}}"#, "x".repeat(REAP_BYTES_MAX / 2));
    let dead = setup.dead("000000000001", &[&large(0), &large(1)]);
    let wait_list = dead.queues[0].wait_list.clone();
    for jid in 2..6 {
        setup.run(&[b"RPUSH", &wait_list, large(jid).as_bytes()]);
    }
    assert!(setup.reap(&dead).more);
    assert_eq!(setup.text(&dead.queues[0].index), "fenced 7");
    assert!(setup.turn(&dead).contains("FENCED"));
    assert_eq!(setup.renew(&dead), Renewal::Fenced);
    let queue = JIGGLER.queue("a");
    setup.run(&[b"BLMOVE", queue.as_bytes(), &wait_list, b"RIGHT", b"RIGHT", b"1"]);
    while setup.reap(&dead).more {}
    let refusal = setup.try_run(&[b"BLMOVE", queue.as_bytes(), &wait_list, b"RIGHT", b"RIGHT", b"1"]);
    assert!(refusal.contains("WRONGTYPE"), "{refusal}");
    let mut jobs = setup.list(queue.as_bytes());
    jobs.sort_unstable();
    assert_eq!(jobs, (0..6).map(large).collect::<Vec<_>>());
}

/// The first queue's index is what a shard asks: it is fenced, too, though its own jobs cannot go back.
#[test]
fn a_shard_is_fenced_when_only_its_second_queue_takes_jobs_and_the_first_ones_stay_findable() {
    let mut setup = Setup::new();
    let dead = setup.dead("000000000001", &[JOB]);
    let queue = JIGGLER.queue("a");
    setup.run(&[b"SET", queue.as_bytes(), b"no list"]);
    setup.run(&[b"RPUSH", &dead.queues[1].wait_list, OTHER.as_bytes()]);
    let reaped = setup.reap(&dead);
    assert_eq!((reaped.back, reaped.more, reaped.broken), (1, false, queue.clone()));
    assert!(setup.turn(&dead).contains("FENCED"));
    assert_eq!(setup.text(&dead.queues[0].index), "fenced 7");
    setup.run(&[b"DEL", queue.as_bytes()]);
    assert_eq!(setup.reap(&dead).back, 1);
    assert_eq!(setup.list(queue.as_bytes()), [JOB]);
    assert_eq!(setup.text(&dead.queues[0].index), "fenced");
}

/// As when two reapers come to the same dead process at the same moment, and a worker takes each at once.
#[test]
fn of_all_reapers_one_frees_a_suspect_of_a_queue_at_a_time() {
    let mut setup = Setup::new();
    let queue = JIGGLER.queue("a");
    let freed = in_flight::freed(queue.as_bytes());
    let mut deaths: Vec<Dead> = (1..=2)
        .map(|death| {
            let dead = setup.dead(&format!("00000000000{death}"), &[JOB, OTHER, "no json"]);
            setup.reap(&dead);
            setup.run(&[b"DEL", queue.as_bytes()]);
            dead
        })
        .collect();
    let dead = deaths.pop().unwrap();
    let most = SUSPECT_PAUSE_MAX.as_millis() as i64;
    let freed_one = setup.free_after(&dead, 1, SUSPECT_PAUSE_MAX);
    assert_eq!(freed_one, Freed { count: Some(1), again: SUSPECT_PAUSE_MAX });
    let waits = setup.free_after(&dead, 1, Duration::from_millis(7));
    assert_eq!(waits, Freed { count: None, again: Duration::from_millis(7) }, "nobody says until when");
    setup.run(&[b"DEL", queue.as_bytes()]);
    // Of those who come meanwhile none frees another, however short its own pause would be.
    let mut were_in_time = 0;
    for pause in [SUSPECT_PAUSE_MAX, Duration::from_millis(1), Duration::ZERO].into_iter().cycle().take(30) {
        let till = setup.now_ms() + most;
        setup.run(&[b"SET", &freed, till.to_string().as_bytes()]);
        let (Freed { count, again }, after) = (setup.free_after(&dead, 0, pause), setup.now_ms());
        if after < till {
            assert_eq!(count, None, "the first may be killing its process just now");
            let again = again.as_millis() as i64;
            assert!((till - after..=most).contains(&again), "{again} of {}", till - after);
            were_in_time += 1;
        }
    }
    assert!(were_in_time > 0, "each of thirty calls took half a second");
    assert_eq!(setup.list(queue.as_bytes()), [""; 0]);
    // What is stored there by others, or for longer than any pause, holds up nothing.
    for other in [&b"x"[..], b"99999999999999"] {
        setup.run(&[b"SET", &freed, other]);
        assert_eq!(setup.free_after(&dead, 1, Duration::from_millis(1)).count, Some(1));
        setup.run(&[b"DEL", queue.as_bytes()]);
    }
    assert_eq!(setup.free_after(&dead, 1, SUSPECT_PAUSE_MAX).count, Some(0), "there are no more");
}

#[test]
fn suspects_go_back_oldest_first_and_bytes_that_are_not_json_are_counted_too() {
    let mut setup = Setup::new();
    for death in 1..=2 {
        let dead = setup.dead(&format!("00000000000{death}"), &[JOB, "no json", OTHER]);
        let reaped = setup.reap(&dead);
        if death == 1 {
            assert_eq!(setup.list(JIGGLER.queue("a").as_bytes()), [OTHER, "no json", JOB]);
            setup.run(&[b"DEL", JIGGLER.queue("a").as_bytes()]);
            continue;
        }
        assert_eq!(reaped.suspects, 3);
        assert_eq!(setup.free(&dead, 2), Some(2));
        assert_eq!(setup.list(JIGGLER.queue("a").as_bytes()), [JOB, "no json"]);
        setup.run(&[b"DEL", JIGGLER.queue("a").as_bytes()]);
        assert_eq!((setup.free(&dead, 2), setup.free(&dead, 2)), (Some(1), None));
    }
}

/// One overwritten key must not keep the jobs of all other queues from coming back, nor lose its own.
#[test]
fn a_queue_that_is_not_a_list_keeps_its_jobs_in_flight_and_the_others_go_back() {
    let mut setup = Setup::new();
    let dead = setup.dead("000000000001", &[JOB]);
    setup.run(&[b"RPUSH", &dead.queues[1].wait_list, OTHER.as_bytes()]);
    setup.run(&[b"SET", JIGGLER.queue("a").as_bytes(), b"no list"]);
    let broken = JIGGLER.queue("a");
    assert_eq!(setup.reap(&dead), ReapedJobs { back: 1, broken, ..ReapedJobs::default() });
    assert_eq!(setup.list(JIGGLER.queue("b").as_bytes()), [OTHER]);
    setup.run(&[b"DEL", JIGGLER.queue("a").as_bytes()]);
    assert_eq!(setup.reap(&dead), ReapedJobs { back: 1, ..ReapedJobs::default() });
    assert_eq!(setup.list(JIGGLER.queue("a").as_bytes()), [JOB]);
}

#[test]
fn jobs_of_a_dead_process_come_back_even_when_redis_is_at_its_memory_limit() {
    let mut setup = Setup::new();
    let dead = setup.dead("000000000001", &[JOB]);
    setup.run(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);
    assert_eq!(setup.reap(&dead).back, 1);
}
