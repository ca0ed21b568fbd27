//! What a turn takes from its queues, and how payloads arrive: from the batch lists, or through the script.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use jiggler_uring::internal::limits::{BATCH_BYTES_MAX, PAYLOAD_BYTES_MAX, QUEUES_READ_FROM_LISTS_MAX};
use jiggler_uring::internal::resp::Requests;
use jiggler_uring::internal::store::turn::{BatchName, QueueKeys, Settlement, Turn, TurnReply};
use jiggler_uring::internal::wire::keys::JIGGLER;

use super::{Setup, is_refused};

/// What is in flight for turn `number`, and what the turn brought: the same.
fn in_flight_and_fetched(setup: &mut Setup, number: u64, wanted: usize) -> (Vec<Vec<u8>>, TurnReply) {
    let turn = setup.fetch(number, wanted);
    (setup.list(&setup.queue().batch(BatchName::Turn(number))), turn)
}

#[test]
fn payloads_beyond_one_turn_stay_in_the_queue_and_those_too_large_for_any_go_aside() {
    let mut setup = Setup::new();
    let large = vec![b'x'; BATCH_BYTES_MAX * 2 / 5];
    (0..3).for_each(|_| setup.push(&large));
    setup.push(&vec![b'y'; PAYLOAD_BYTES_MAX + 1]);
    setup.push(b"last");
    let (batch, turn) = in_flight_and_fetched(&mut setup, 1, 10);
    assert_eq!(turn.fetched[0].payloads, [&large[..], &large[..]]);
    assert_eq!(batch, turn.fetched[0].payloads);
    let (batch, turn) = in_flight_and_fetched(&mut setup, 2, 10);
    assert_eq!(turn.fetched[0].payloads, [&large[..], b"last"]);
    assert_eq!((batch.len(), turn.fetched[0].oversize), (2, 1));
    assert_eq!(setup.number(&[b"LLEN", &setup.queue().oversize]), 1);
    assert!(setup.list(&setup.queue().list.clone()).is_empty());
}

/// The first queue waits for the next turn rather than being overtaken.
#[test]
fn no_queue_is_served_past_one_whose_payload_no_longer_fits() {
    let mut setup = Setup::new();
    let large = vec![b'x'; BATCH_BYTES_MAX * 2 / 5];
    (0..3).for_each(|_| setup.push(&large));
    setup.run(&[b"LPUSH", JIGGLER.queue("b").as_bytes(), b"small"]);
    let turn = setup.fetch(1, 10);
    assert_eq!(
        turn.fetched.iter().map(|from| (from.queue, from.payloads.len())).collect::<Vec<_>>(),
        [(0, 2)]
    );
    let turn = setup.fetch(2, 10);
    assert_eq!(
        turn.fetched.iter().map(|from| (from.queue, from.payloads.len())).collect::<Vec<_>>(),
        [(0, 1), (1, 1)]
    );
}

/// Compressed nodes hide how large the payloads in them are: since Redis 7.2 also those of a list that SORT stores.
#[test]
fn a_server_that_compresses_its_lists_is_detected_if_it_reports_too_few_bytes() {
    let mut setup = Setup::new();
    setup.run(&[b"CONFIG", b"SET", b"list-compress-depth", b"1"]);
    let payload = vec![b'x'; 6_000];
    (0..40).for_each(|_| setup.push(&payload));
    let (batch, turn) = in_flight_and_fetched(&mut setup, 1, 20);
    assert_eq!(batch, turn.fetched[0].payloads);
    let told =
        setup.number(&[b"MEMORY", b"USAGE", &setup.queue().batch(BatchName::Turn(1)), b"SAMPLES", b"0"]);
    assert_eq!(turn.understated, told < 20 * 6_000, "{told}");
    setup.context.looks_at_each.set(true);
    let (batch, turn) = in_flight_and_fetched(&mut setup, 2, 20);
    assert!(!turn.understated);
    assert_eq!(batch, turn.fetched[0].payloads);
    assert_eq!(batch.len(), 20);
}

#[test]
fn a_user_without_the_right_to_sort_or_to_measure_gets_the_same_jobs() {
    for missing in ["-sort", "-memory"] {
        let mut setup = Setup::new();
        setup.run(&[b"ACL", b"SETUSER", b"default", missing.as_bytes()]);
        (0..3_u8).for_each(|number| setup.push(&[b'0' + number]));
        let (batch, turn) = in_flight_and_fetched(&mut setup, 1, 2);
        assert_eq!(turn.fetched[0].payloads, ["0", "1"]);
        assert_eq!(batch, turn.fetched[0].payloads);
        assert_eq!(setup.list(&setup.queue().list.clone()), [b"2"]);
    }
}

/// `SORT` reads sets too, which are not queues.
#[test]
fn a_queue_whose_key_is_a_set_is_named_and_left_alone() {
    let mut setup = Setup::new();
    setup.run(&[b"SADD", JIGGLER.queue("a").as_bytes(), b"job"]);
    setup.run(&[b"LPUSH", JIGGLER.queue("b").as_bytes(), b"other"]);
    let turn = setup.fetch(1, 5);
    assert!(turn.fetched[0].error.as_deref().is_some_and(|error| error.contains("WRONGTYPE")));
    assert_eq!(turn.fetched[1].payloads, ["other"]);
    assert_eq!(setup.number(&[b"SCARD", JIGGLER.queue("a").as_bytes()]), 1);
}

/// Paused queues come last and are not named by a limit; weighted ones have one each.
#[test]
fn a_turn_takes_from_each_queue_what_it_may_and_nothing_from_those_behind() {
    for looks_at_each in [false, true] {
        let mut setup = Setup::new();
        setup.context.looks_at_each.set(looks_at_each);
        for number in 0..5_u8 {
            for name in ["a", "b"] {
                setup.run(&[b"LPUSH", JIGGLER.queue(name).as_bytes(), &[name.as_bytes()[0], b'0' + number]]);
            }
        }
        let mut fetch = |number, wanted, limits: &[usize]| {
            let settled = Settlement::default();
            let turn = Turn { number, after: 0, wanted, order: &[1, 0], limits, settled: &settled, now: 1e9 };
            let mut requests = Requests::new();
            setup.context.write(&setup.scripts, &turn, &mut requests);
            let turn = TurnReply::read(&setup.conn.call(&requests).unwrap(), &[1, 0]).unwrap();
            let fetched = turn.fetched.into_iter().map(|from| (from.queue, from.payloads));
            fetched.collect::<Vec<_>>()
        };
        let jobs = |names: &[&'static str]| names.iter().map(|name| (*name).into()).collect::<Vec<Bytes>>();
        assert_eq!(fetch(1, 9, &[2]), [(1, jobs(&["b0", "b1"]))]);
        assert_eq!(fetch(2, 9, &[0, 1]), [(0, jobs(&["a0"]))]);
        assert_eq!(fetch(3, 2, &[1, 5]), [(1, jobs(&["b2"])), (0, jobs(&["a1"]))]);
        assert_eq!(fetch(4, 9, &[]), [(1, jobs(&["b3", "b4"])), (0, jobs(&["a2", "a3", "a4"]))]);
    }
}

#[test]
fn more_queues_than_are_read_from_lists_come_through_the_script() {
    let mut setup = Setup::new();
    let names: Vec<String> = (0..=QUEUES_READ_FROM_LISTS_MAX).map(|number| format!("q{number}")).collect();
    setup.context.queues =
        names.iter().map(|name| QueueKeys::new(JIGGLER, name, "0123456789ab", 0)).collect();
    for name in &names {
        setup.run(&[b"LPUSH", JIGGLER.queue(name).as_bytes(), name.as_bytes()]);
    }
    let order: Vec<usize> = (0..names.len()).collect();
    let mut requests = Requests::new();
    let settled = Settlement::default();
    let turn =
        Turn { number: 1, after: 0, wanted: 100, order: &order, limits: &[], settled: &settled, now: 1e9 };
    assert_eq!(setup.context.write(&setup.scripts, &turn, &mut requests), 1);
    let turn = TurnReply::read(&setup.conn.call(&requests).unwrap(), &order).unwrap();
    for (fetched, name) in turn.fetched.iter().zip(&names) {
        assert_eq!(fetched.payloads, [name.as_bytes()]);
        let batch = setup.context.queues[fetched.queue].batch(BatchName::Turn(1));
        assert_eq!(setup.list(&batch), [name.as_bytes()]);
    }
    assert_eq!(turn.fetched.len(), names.len());
}

/// At most once, the lists in which jobs arrive are gone when their payloads are read, or the jobs were never taken.
#[test]
fn at_most_once_jobs_arrive_in_lists_that_go_in_the_same_transaction() {
    let mut setup = Setup::new();
    setup.context.keep_in_flight = false;
    (0..3_u8).for_each(|number| setup.push(&[b'0' + number]));
    let (batch, turn) = in_flight_and_fetched(&mut setup, 1, 2);
    assert_eq!(turn.fetched[0].payloads, ["0", "1"]);
    assert!(batch.is_empty());
    assert_eq!(setup.number(&[b"HLEN", &setup.queue().index]), 1, "the turn is noted, and no batch");
    assert!(is_refused(setup.turn(1, 5, &Settlement::default()), "STALE"));
    assert_eq!(setup.list(&setup.queue().list.clone()), [b"2"]);
    let mut turn = setup.fetch(2, 5);
    assert_eq!(turn.fetched.remove(0).payloads, ["2"]);
    assert!(setup.fetch(3, 5).fetched.is_empty());
}

/// A refused transaction takes nothing, wherever it was cut off.
#[test]
fn at_most_once_a_connection_that_ends_within_the_transaction_takes_no_job() {
    let mut setup = Setup::new();
    setup.context.keep_in_flight = false;
    setup.push(b"job");
    let settled = Settlement::default();
    let turn =
        Turn { number: 1, after: 0, wanted: 5, order: &[0, 1], limits: &[], settled: &settled, now: 1e9 };
    let mut requests = Requests::new();
    setup.context.write(&setup.scripts, &turn, &mut requests);
    let exec = b"*1\r\n$4\r\nEXEC\r\n";
    let cut = requests.as_bytes().strip_suffix(exec).unwrap().to_vec();
    let mut stream = TcpStream::connect(("127.0.0.1", setup.redis.port())).unwrap();
    stream.write_all(&cut).unwrap();
    let mut answered = 0;
    let mut buffer = [0; 1024];
    while answered < "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n".len() {
        answered += stream.read(&mut buffer).unwrap();
    }
    drop(stream);
    assert_eq!(setup.list(&setup.queue().list.clone()), [b"job"]);
}
