//! The scripts of the fetch and ack protocol, one promise per test, against a real Redis.
//!
//! What random histories cannot reach cheaply: payloads of the largest sizes, keys of a wrong type, a Redis without
//! memory. Each test's name is what it proves; past bugs are among them.

mod fetch;
mod in_parts;
mod oversize;

use std::rc::Rc;

use crate::own_redis::OwnRedis;
use bytes::Bytes;
use jiggler_uring::internal::limits::PAYLOAD_BYTES_MAX;
use jiggler_uring::internal::net::Error;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests};
use jiggler_uring::internal::store::flight::{self, Burial, Known};
use jiggler_uring::internal::store::scripts::Scripts;
use jiggler_uring::internal::store::turn::{
    self, BatchName, Destination, Effect, Move, QueueKeys, Settlement, Turn, TurnContext, TurnReply,
};
use jiggler_uring::internal::wire::keys::JIGGLER;

/// One shard of one queue, and its Redis.
struct Setup {
    redis: OwnRedis,
    conn: BlockingConnection,
    scripts: Scripts,
    context: TurnContext,
    /// The turn that calls name as the one before.
    after: u64,
}

impl Setup {
    fn new() -> Self {
        let (redis, conn, scripts) = OwnRedis::with_scripts();
        let queues: Rc<[QueueKeys]> =
            ["a", "b"].map(|name| QueueKeys::new(JIGGLER, name, "0123456789ab", 0)).into();
        let context = TurnContext {
            queues,
            keep_in_flight: true,
            dead_jobs_max: 100.into(),
            dead_timeout_s: 1e6.into(),
            looks_at_each: false.into(),
        };
        Self { redis, conn, scripts, context, after: 0 }
    }

    fn queue(&self) -> QueueKeys {
        self.context.queues[0].clone()
    }

    fn run(&mut self, args: &[&[u8]]) -> Reply {
        let mut requests = Requests::new();
        requests.command(args);
        self.conn.call_one(&requests).unwrap()
    }

    fn push(&mut self, payload: &[u8]) {
        self.run(&[b"LPUSH", JIGGLER.queue("a").as_bytes(), payload]);
    }

    fn list(&mut self, key: &[u8]) -> Vec<Vec<u8>> {
        self.strings(&[b"LRANGE", key, b"0", b"-1"])
    }

    fn strings(&mut self, args: &[&[u8]]) -> Vec<Vec<u8>> {
        let reply = self.run(args);
        reply.as_array().unwrap().map(|value| value.as_bulk().unwrap().to_vec()).collect()
    }

    fn number(&mut self, args: &[&[u8]]) -> i64 {
        self.run(args).as_integer().unwrap()
    }

    /// Changes the rights of the user that makes all calls.
    fn withdraw(&mut self, rule: &[u8]) {
        self.run(&[b"ACL", b"SETUSER", b"default", rule]);
    }

    fn turn(&mut self, number: u64, wanted: usize, settled: &Settlement) -> Result<TurnReply, Error> {
        let mut requests = Requests::new();
        let turn = Turn { number, after: self.after, wanted, order: &[0, 1], limits: &[], settled, now: 1e9 };
        let count = self.context.write(&self.scripts, &turn, &mut requests);
        let replies = self.conn.call(&requests)?;
        assert_eq!(replies.len(), count);
        if let Some(refusal) = turn::refusal(&replies) {
            return Err(Error::Redis(refusal));
        }
        Ok(TurnReply::read(&replies, &[0, 1]).unwrap())
    }

    fn fetch(&mut self, number: u64, wanted: usize) -> TurnReply {
        self.turn(number, wanted, &Settlement::default()).unwrap()
    }

    fn resume(&mut self, number: u64) -> Result<i64, Error> {
        let mut requests = Requests::new();
        flight::resume(&self.scripts, &self.context.queues[0], number, &mut requests);
        Ok(self.conn.call_one(&requests)?.as_integer()?)
    }

    fn reconcile(&mut self, number: u64, batch: BatchName, known: &Known) -> Result<i64, Error> {
        let mut requests = Requests::new();
        let queue = &self.context.queues[0];
        flight::reconcile(&self.scripts, number, queue, queue, batch, known, &mut requests);
        Ok(self.conn.call_one(&requests)?.as_integer()?)
    }

    fn leave(&mut self, number: u64) -> Result<i64, Error> {
        let mut requests = Requests::new();
        flight::leave(&self.scripts, number, &self.context.queues, true, &mut requests);
        Ok(self.conn.call_one(&requests)?.as_integer()?)
    }

    fn bury(&mut self, bytes: usize, entry: &[u8]) -> i64 {
        self.bury_all(bytes, &[entry.to_vec()])
    }

    fn bury_all(&mut self, bytes: usize, entries: &[Vec<u8>]) -> i64 {
        let mut requests = Requests::new();
        let burial = Burial { bytes, entries, now: 1e9, cutoff: 0.0, dead_jobs_max: 100 };
        flight::bury(&self.scripts, &self.context.queues[0], &burial, &mut requests);
        self.conn.call_one(&requests).unwrap().as_integer().unwrap()
    }
}

/// A failed job from the batch that turn `batch` fetched.
fn failure(batch: u64, raw: &'static [u8]) -> Settlement {
    let job = Move {
        from: (0, BatchName::Turn(batch)),
        raw: Bytes::from_static(raw),
        to: Destination::Retries,
        score: 1e9,
        payload: [raw, b" failed"].concat(),
    };
    Settlement { processed: 1, failed: 1, moves: vec![job], ..Settlement::default() }
}

/// The first answer may be lost with its connection. If the second were different, a settlement that was never made
/// would count as made: failed jobs would be lost, finished ones would run again.
#[test]
fn resume_gives_the_same_answer_when_its_own_reply_was_lost() {
    let mut setup = Setup::new();
    assert_eq!(setup.resume(4).unwrap(), 0);
    assert_eq!(setup.resume(4).unwrap(), 0);
    assert!(setup.turn(4, 1, &Settlement::default()).is_err(), "a refused turn may not run later");
    setup.fetch(5, 1);
    assert_eq!((setup.resume(5).unwrap(), setup.resume(5).unwrap()), (5, 5));
    assert_eq!(setup.resume(0).unwrap(), 5, "asked about no turn, it names the last");
}

/// A spoilt key holds back only itself: what cannot be counted or moved is named, and the next turn reports it again.
#[test]
fn a_turn_does_everything_that_does_not_need_a_spoilt_key() {
    for spoilt in [JIGGLER.names().retries, JIGGLER.names().processed, JIGGLER.names().failures] {
        let mut setup = Setup::new();
        setup.push(b"job");
        assert_eq!(setup.fetch(1, 1).fetched[0].payloads, [&b"job"[..]]);
        setup.run(&[b"SET", spoilt.as_bytes(), b"no such thing"]);
        let mut settled = failure(1, b"job");
        // The whole batch with it: the job that is held is no longer in it.
        settled.wholes.push((0, 1));
        let held = setup.turn(2, 1, &settled).unwrap().held.unwrap();
        assert_eq!(held.keys, [spoilt]);
        let parts = (held.moves.as_slice(), held.processed, held.failed);
        let none: &[usize] = &[];
        let expected = match spoilt {
            "jiggler:set:retries" => (&[0][..], false, false),
            "jiggler:stats:processed_counter" => (none, true, false),
            _ => (none, false, true),
        };
        assert_eq!(parts, expected, "{spoilt}");
        assert_eq!(setup.resume(2).unwrap(), 2, "{spoilt}");
        assert_eq!(setup.number(&[b"LLEN", &setup.queue().batch(BatchName::Turn(1))]), 0, "{spoilt}");
        let waiting = usize::try_from(setup.number(&[b"LLEN", &setup.queue().wait_list])).unwrap();
        assert_eq!(waiting, held.moves.len(), "{spoilt}");
        setup.run(&[b"DEL", spoilt.as_bytes()]);
        let mut rest = failure(1, b"job");
        rest.moves[0].from.1 = BatchName::Wait;
        rest.moves.truncate(held.moves.len());
        (rest.processed, rest.failed) = (u64::from(held.processed), u64::from(held.failed));
        assert_eq!(setup.turn(3, 0, &rest).unwrap().held, None, "{spoilt}");
        assert_eq!(setup.number(&[b"ZCARD", JIGGLER.names().retries.as_bytes()]), 1, "{spoilt}");
        assert_eq!(setup.number(&[b"LLEN", &setup.queue().wait_list]), 0, "{spoilt}");
        for counter in [JIGGLER.names().processed, JIGGLER.names().failures] {
            assert_eq!(
                setup.run(&[b"GET", counter.as_bytes()]).as_bulk().unwrap(),
                b"1",
                "{spoilt}: {counter}"
            );
        }
    }
}

#[test]
fn a_queue_that_is_not_a_list_fails_alone() {
    let mut setup = Setup::new();
    setup.run(&[b"SET", JIGGLER.queue("a").as_bytes(), b"no list"]);
    setup.run(&[b"LPUSH", JIGGLER.queue("b").as_bytes(), b"job"]);
    let fetched = setup.fetch(1, 5).fetched;
    assert_eq!((fetched[0].queue, fetched[0].error.as_ref().unwrap().contains("WRONGTYPE")), (0, true));
    assert_eq!((fetched[1].queue, &fetched[1].payloads[..]), (1, &[Bytes::from_static(b"job")][..]));
}

#[test]
fn at_most_once_nothing_is_kept_and_what_is_pushed_back_is_next_in_its_old_order() {
    let mut setup = Setup::new();
    setup.context.keep_in_flight = false;
    [b"1", b"2", b"3", b"4"].iter().for_each(|job| setup.push(*job));
    let fetched = setup.fetch(1, 3).fetched;
    assert_eq!(fetched[0].payloads, [&b"1"[..], b"2", b"3"]);
    assert_eq!(setup.number(&[b"EXISTS", &setup.queue().batch(BatchName::Turn(1))]), 0);
    let mut requests = Requests::new();
    let unstarted = &fetched[0].payloads[1..];
    unstarted.iter().rev().for_each(|payload| flight::push_back(&setup.queue(), payload, &mut requests));
    setup.conn.call(&requests).unwrap();
    assert_eq!(setup.fetch(2, 5).fetched[0].payloads, [&b"2"[..], b"3", b"4"]);
}

/// Whether the error is of that code.
fn is_refused<T>(result: Result<T, Error>, code: &str) -> bool {
    matches!(result, Err(Error::Redis(error)) if error.code() == code)
}

/// A call delayed in a dead connection does not know of the job that has since reached the wait list, and runs.
#[test]
fn a_late_reconcile_hands_back_nothing() {
    for turn_between in [false, true] {
        let mut setup = Setup::new();
        setup.push(b"job");
        let queue = setup.queue();
        if turn_between {
            setup.turn(8, 0, &Settlement::default()).unwrap();
        } else {
            assert_eq!(setup.resume(7).unwrap(), 0);
        }
        setup.run(&[b"LMOVE", &queue.list, &queue.wait_list, b"RIGHT", b"RIGHT"]);
        let late = setup.reconcile(7, BatchName::Wait, &Known::default());
        assert!(is_refused(late, "STALE"));
        assert!(is_refused(setup.leave(7), "STALE"));
        assert_eq!(setup.list(&queue.wait_list), [b"job"]);
        assert_eq!(setup.reconcile(9, BatchName::Wait, &Known::default()).unwrap(), 1);
    }
}

/// Its number would imply that the one before had run too, and what that one reported would be forgotten.
#[test]
fn a_turn_does_not_run_if_the_one_sent_before_it_failed() {
    let mut setup = Setup::new();
    setup.push(b"job");
    setup.fetch(1, 1);
    setup.withdraw(b"-zadd");
    assert!(setup.turn(2, 0, &failure(1, b"job")).is_err());
    setup.after = 2;
    assert!(is_refused(setup.turn(3, 1, &Settlement::default()), "SKIPPED"));
    assert_eq!(setup.resume(3).unwrap(), 1);
}

/// A job already moved by then could be due, and run again, before the turn is reported again and moves it once more.
#[test]
fn a_turn_that_is_denied_a_right_moves_nothing_and_counts_nothing() {
    let mut setup = Setup::new();
    [b"1", b"2"].iter().for_each(|job| setup.push(*job));
    setup.fetch(1, 2);
    let mut settled = failure(1, b"1");
    let mut dies = failure(1, b"2");
    dies.moves[0].to = Destination::Dead;
    settled.moves.append(&mut dies.moves);
    for right in ["lrem", "zremrangebyrank", "hset", "incrby", "zadd"] {
        setup.withdraw(format!("-{right}").as_bytes());
        assert!(setup.turn(2, 0, &settled).is_err(), "{right}");
        setup.withdraw(b"+@all");
        assert_eq!(
            setup.number(&[b"EXISTS", JIGGLER.names().retries.as_bytes(), JIGGLER.names().dead.as_bytes()]),
            0,
            "{right}"
        );
        let processed =
            setup.run(&[b"INCRBY", JIGGLER.names().processed.as_bytes(), b"0"]).as_integer().unwrap();
        assert_eq!(processed, 0, "{right}");
        assert_eq!(setup.number(&[b"LLEN", &setup.queue().batch(BatchName::Turn(1))]), 2, "{right}");
    }
    setup.turn(3, 0, &settled).unwrap();
    assert_eq!(setup.number(&[b"ZCARD", JIGGLER.names().retries.as_bytes()]), 1);
    assert_eq!(setup.number(&[b"ZCARD", JIGGLER.names().dead.as_bytes()]), 1);
}

/// An effect is part of the report: an unknown one undoes all of it.
#[test]
fn a_turn_with_an_unknown_effect_does_nothing() {
    let mut setup = Setup::new();
    setup.push(b"job");
    setup.fetch(1, 1);
    let effect = Effect { op: "none", key: Box::from(b"key".as_slice()), arg: b"arg".to_vec() };
    let settled = Settlement { wholes: vec![(0, 1)], effects: vec![effect; 2], ..failure(1, b"job") };
    assert!(is_refused(setup.turn(2, 0, &settled), "ERR"));
    assert_eq!(setup.number(&[b"ZCARD", JIGGLER.names().retries.as_bytes()]), 0);
    let batch = setup.queue().batch(BatchName::Turn(1));
    assert_eq!(setup.list(&batch), [b"job"]);
    setup.turn(3, 0, &Settlement { effects: Vec::new(), ..settled }).unwrap();
    assert_eq!(setup.number(&[b"ZCARD", JIGGLER.names().retries.as_bytes()]), 1);
}

/// The bar of `resume` must outlive a turn that failed: what was abandoned stays abandoned.
#[test]
fn a_turn_that_fails_leaves_the_bar_for_earlier_ones() {
    let mut setup = Setup::new();
    setup.push(b"job");
    setup.fetch(1, 1);
    assert_eq!(setup.resume(5).unwrap(), 1);
    setup.withdraw(b"-zadd");
    assert!(setup.turn(6, 0, &failure(1, b"job")).is_err());
    setup.withdraw(b"+@all");
    assert!(is_refused(setup.turn(5, 1, &Settlement::default()), "STALE"));
}

/// Its lease goes with its process: a later call must find no place to put a job.
#[test]
fn a_shard_that_left_takes_no_job_even_if_one_of_its_calls_comes_late() {
    let mut setup = Setup::new();
    let queue = setup.queue();
    [b"1", b"2"].iter().for_each(|job| setup.push(*job));
    setup.run(&[b"LMOVE", &queue.list, &queue.wait_list, b"RIGHT", b"RIGHT"]);
    assert_eq!(setup.leave(3).unwrap(), 1);
    assert_eq!(setup.list(&queue.list), [b"2", b"1"], "in the old order");
    assert!(is_refused(setup.leave(3), "LEFT"));
    assert!(is_refused(setup.resume(3), "LEFT"));
    assert!(is_refused(setup.turn(9, 5, &Settlement::default()), "FENCED"));
    let mut requests = Requests::new();
    requests.command(&[b"BLMOVE", &queue.list, &queue.wait_list, b"RIGHT", b"RIGHT", b"1"]);
    assert!(is_refused(setup.conn.call_one(&requests), "WRONGTYPE"));
    assert_eq!(setup.list(&queue.list).len(), 2);
}

#[test]
fn a_shard_leaves_no_jobs_behind_whose_queue_is_not_a_list() {
    let mut setup = Setup::new();
    let queue = setup.queue();
    setup.run(&[b"RPUSH", &queue.wait_list, b"job"]);
    setup.run(&[b"SET", &queue.list, b"no list"]);
    assert!(is_refused(setup.leave(3), "HELD"));
    assert!(is_refused(setup.reconcile(3, BatchName::Wait, &Known::default()), "HELD"));
    assert_eq!(setup.list(&queue.wait_list), [b"job"]);
    assert_eq!(setup.number(&[b"EXISTS", &queue.index]), 0, "no fence");
}

#[test]
fn equal_payloads_count_once_each_in_a_reconcile() {
    let mut setup = Setup::new();
    (0..4).for_each(|_| setup.push(b"twin"));
    setup.fetch(1, 4);
    let twin = || Bytes::from_static(b"twin");
    let known = Known { keep: vec![twin()], settled: vec![twin()] };
    assert_eq!(setup.reconcile(2, BatchName::Turn(1), &known).unwrap(), 2);
    assert_eq!(setup.list(&setup.queue().batch(BatchName::Turn(1))).len(), 1);
    assert_eq!(setup.list(&setup.queue().list.clone()).len(), 2);
    assert_eq!(setup.reconcile(2, BatchName::Turn(1), &Known::default()).unwrap(), 1);
    assert_eq!(setup.number(&[b"HEXISTS", &setup.queue().index, b"1"]), 0);
}

/// A Redis full of jobs gets room by running them: acks and fetches must pass where pushes are refused.
#[test]
fn a_redis_at_its_memory_limit_can_be_drained() {
    let mut setup = Setup::new();
    (0..100).for_each(|_| setup.push(&[b'x'; 10_000]));
    setup.run(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);
    let key = JIGGLER.queue("a");
    let mut requests = Requests::new();
    requests.command(&[b"LPUSH", key.as_bytes(), b"refused"]);
    assert!(matches!(setup.conn.call_one(&requests), Err(Error::Redis(error)) if error.code() == "OOM"));
    let mut settled = Settlement::default();
    for number in 1..=2 {
        let fetched = setup.turn(number, 50, &settled).unwrap().fetched;
        assert_eq!(fetched[0].payloads.len(), 50);
        settled = Settlement { processed: 50, wholes: vec![(0, number)], ..Settlement::default() };
    }
    assert!(setup.turn(3, 50, &settled).unwrap().fetched.is_empty());
    assert_eq!(setup.run(&[b"GET", JIGGLER.names().processed.as_bytes()]).as_bulk().unwrap(), b"100");
}
