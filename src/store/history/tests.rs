//! Minutes, hours and days on a real Redis.

use super::*;
use crate::own_redis::OwnRedis;
use crate::stats::{LiveRow, Outcome};
use crate::wire::history::{Tallied, Writer};
use crate::wire::keys::JIGGLER;

/// 2026-12-01, 00:00 UTC.
const TODAY: u64 = 1_796_083_200 / DAY;

fn slice(jobs: u64, depth: u64) -> Slice {
    let live = LiveRow::default();
    (0..jobs).for_each(|_| live.count(Outcome::Done));
    let mut slice = Slice::default();
    slice.add("q", "J", &Tallied::of(&live.copy()));
    slice.note_depth("q", depth);
    slice
}

fn send(redis: &OwnRedis, write: impl Fn(&mut Requests)) {
    let mut requests = Requests::new();
    write(&mut requests);
    for reply in redis.connect().call(&requests).unwrap() {
        reply.as_ok().or_else(|_| reply.as_integer().map(|_| ())).unwrap();
    }
}

fn append_at(redis: &OwnRedis, writer: &mut Writer, minute: u64, slice: &Slice) {
    let entry = writer.entry((minute % 60) as u8, slice);
    send(redis, |requests| append(JIGGLER, minute / 60, &entry, requests));
}

/// Jobs by unit, and what was put together already.
fn read(redis: &OwnRedis, grain: Grain, first: u64, last: u64, now: u64) -> (Vec<(u64, u64)>, Vec<u64>) {
    let mut reading = Reading::new(JIGGLER, grain, first, last, now);
    let mut conn = redis.connect();
    loop {
        let mut requests = Requests::new();
        if !reading.write(&mut requests) {
            break;
        }
        reading.accept(&conn.call(&requests).unwrap()).unwrap();
    }
    let (slices, stored) = reading.finish();
    let jobs = |slice: &Slice| slice.rows.values().map(|row| row.count(Outcome::Done)).sum();
    (slices.iter().map(|(unit, slice)| (*unit, jobs(slice))).collect(), stored)
}

#[test]
fn what_is_not_put_together_yet_is_read_from_what_is_finer() {
    let redis = OwnRedis::start();
    let (mut one, mut other) = (Writer::new([1; 3]), Writer::new([2; 3]));
    let midnight = TODAY * 24;
    let now = (midnight + 3) * HOUR + 1_800;
    for minute in [0, 59, 60, 185] {
        append_at(&redis, &mut one, midnight * 60 + minute, &slice(3, 1));
    }
    append_at(&redis, &mut other, midnight * 60 + 59, &slice(4, 1));
    let minutes = |first: u64, last: u64| {
        read(&redis, Grain::Minute, midnight * 60 + first, midnight * 60 + last, now).0
    };
    let at = |minute| midnight * 60 + minute;
    assert_eq!(minutes(0, 200), [(at(0), 3), (at(59), 7), (at(60), 3), (at(185), 3)]);
    assert_eq!(minutes(1, 60), [(at(59), 7), (at(60), 3)]);
    let hours = || read(&redis, Grain::Hour, midnight - 30, midnight + 3, now);
    let expected = vec![(midnight, 10), (midnight + 1, 3), (midnight + 3, 3)];
    assert_eq!(hours(), (expected.clone(), vec![]));
    assert_eq!(read(&redis, Grain::Day, TODAY - 40, TODAY, now), (vec![(TODAY, 16)], vec![]));
    // An hour that is put together is not read twice, and its minutes may be gone.
    send(&redis, |requests| keep(JIGGLER, Grain::Hour, midnight, &slice(10, 1), requests));
    redis.run(&[b"DEL", JIGGLER.history_minutes(midnight).as_bytes()]);
    assert_eq!(hours(), (expected, vec![midnight]));
    send(&redis, |requests| keep(JIGGLER, Grain::Day, TODAY - 1, &slice(99, 0), requests));
    send(&redis, |requests| keep(JIGGLER, Grain::Day, TODAY - 400, &slice(5, 0), requests));
    let days = read(&redis, Grain::Day, TODAY - 500, TODAY, now);
    assert_eq!(days, (vec![(TODAY - 400, 5), (TODAY - 1, 99), (TODAY, 16)], vec![TODAY - 400, TODAY - 1]));
    // All of it expires.
    for key in redis.strings(&[b"KEYS", b"*"]) {
        let left = redis.run(&[b"TTL", key.as_bytes()]).as_integer().unwrap();
        assert!(left > 72 * 3_600, "{key}: {left}");
    }
}

#[test]
fn an_hour_of_many_processes_is_read_page_by_page() {
    let redis = OwnRedis::start();
    let count = HISTORY_PAGE as u64 * 2 + 10;
    for process in 0..count {
        let mut writer = Writer::new([7, (process / 256) as u8, (process % 256) as u8]);
        append_at(&redis, &mut writer, TODAY * 1_440 + 5, &slice(1, 0));
    }
    let found = read(&redis, Grain::Minute, TODAY * 1_440, TODAY * 1_440 + 9, TODAY * DAY + 600);
    assert_eq!(found.0, [(TODAY * 1_440 + 5, count)]);
}

#[test]
fn a_unit_is_closed_when_everybody_has_written() {
    let end = (TODAY * 24 + 1) * HOUR;
    assert!(!is_closed(Grain::Hour, TODAY * 24, end + HISTORY_CLOSED_AFTER.as_secs() - 1));
    assert!(is_closed(Grain::Hour, TODAY * 24, end + HISTORY_CLOSED_AFTER.as_secs()));
}

/// What a day of a busy class costs in Redis, by its own account: the promise of the documentation.
#[test]
fn a_day_of_a_busy_class_costs_what_is_documented() {
    const CLASSES: usize = 10;
    let redis = OwnRedis::start();
    let bytes = || {
        let keys = redis.strings(&[b"KEYS", b"*"]);
        let used = keys.iter().map(|key| {
            redis.run(&[b"MEMORY", b"USAGE", key.as_bytes(), b"SAMPLES", b"0"]).as_integer().unwrap()
        });
        used.sum::<i64>()
    };
    let mut random = fastrand::Rng::with_seed(1);
    let mut minute = |jobs: u64| {
        let mut slice = Slice::default();
        for class in 0..CLASSES {
            let live = LiveRow::default();
            for job in 0..jobs {
                live.count(if job % 100 == 0 { Outcome::Retried } else { Outcome::Done });
                live.ran(std::time::Duration::from_micros(5_000 + random.u64(..40_000)));
                if job % 10 == 0 {
                    live.waited(std::time::Duration::from_micros(50 + random.u64(..400)));
                }
            }
            slice.add("default", &format!("Report{class}"), &Tallied::of(&live.copy()));
        }
        slice
    };
    let mut writer = Writer::new([1; 3]);
    for at in 0..1_440 {
        if at % 60 == 0 {
            writer.forget_names();
        }
        append_at(&redis, &mut writer, TODAY * 1_440 + at, &minute(600));
    }
    let a_day = bytes() / CLASSES as i64;
    redis.run(&[b"FLUSHALL"]);
    let day = minute(100_000);
    for at in 0..365 {
        send(&redis, |requests| keep(JIGGLER, Grain::Day, TODAY + at, &day, requests));
    }
    let a_year = bytes() / CLASSES as i64;
    eprintln!("a busy class: {a_day} bytes a day at minutes, {a_year} bytes a year at days");
    assert!(a_day <= 30_000, "{a_day} bytes a day");
    assert!(a_year <= 22_000, "{a_year} bytes a year");
}

#[test]
fn one_question_a_key_tells_which_units_are_not_put_together_yet() {
    let redis = OwnRedis::start();
    let last = TODAY * 24 + 5;
    let span = (last - 71, last);
    for hour in [last - 72, last - 71, last - 30, last] {
        send(&redis, |requests| keep(JIGGLER, Grain::Hour, hour, &slice(1, 0), requests));
    }
    let mut requests = Requests::new();
    ask_kept(JIGGLER, Grain::Hour, span, &mut requests);
    assert_eq!(requests.len_commands(), 4);
    let expected = (span.0 + 1..last).filter(|hour| *hour != last - 30).collect::<Vec<_>>();
    assert_eq!(absent(span, &redis.connect().call(&requests).unwrap()).unwrap(), expected);
}
