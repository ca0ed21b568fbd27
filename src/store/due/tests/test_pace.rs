//! Queues whose due jobs have a pace.

use super::*;
use crate::limits::RETRY_DELAY_MAX;
use crate::store::pace;

fn length(setup: &Setup, queue: &str) -> usize {
    let length = setup.redis.run(&[b"LLEN", JIGGLER.queue(queue).as_bytes()]);
    length.as_integer().unwrap() as usize
}

/// The scores of a set, in order.
fn scores(setup: &Setup, set: &str) -> Vec<f64> {
    let texts = setup.redis.strings(&[b"ZRANGE", set.as_bytes(), b"0", b"-1", b"WITHSCORES"]);
    texts.chunks(2).map(|pair| pair[1].parse().unwrap()).collect()
}

fn now_of(setup: &Setup) -> f64 {
    let time = setup.redis.strings(&[b"TIME"]);
    time[0].parse::<f64>().unwrap() + time[1].parse::<f64>().unwrap() / 1e6
}

#[test]
fn a_herd_of_a_queue_with_a_pace_is_put_off_to_moments_that_keep_it() {
    let mut setup = Setup::new();
    let (set, paces) = (JIGGLER.names().scheduled, JIGGLER.names().paces);
    // Of tens of seconds, so that the test is over before they are; 40 a second are four each tenth of one.
    setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: 40.0 }];
    for number in 0..400 {
        setup.add(set, "1000000000", format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    for number in 0..50 {
        setup.add(set, "1000000001", format!(r#"{{"queue":"img","n":{number}}}"#).as_bytes());
    }
    let began = now_of(&setup);
    // In one look of 450 entries, all but a few of which are put off.
    let due = setup.look(false);
    let ended = now_of(&setup);
    assert_eq!(length(&setup, "img"), 50, "a queue without a pace is not held up");
    let moved = length(&setup, "mail");
    let most = 4 * (1 + ((ended - began) / 0.1).ceil() as usize);
    assert!((4..=most).contains(&moved), "{moved} at once, {most} allowed");
    let later = scores(&setup, set);
    assert_eq!(later.len() + moved, 400);
    assert!(later.iter().all(|at| *at > began && *at < ended + 10.2), "{later:?}");
    assert!(
        later.windows(5).all(|five| five[4] - five[0] > 0.099),
        "no more than four each tenth of a second"
    );
    assert!(later[later.len() - 1] - later[0] < 10.0, "and no fewer: {later:?}");
    assert!(due.next_ms.is_some_and(|ms| ms <= 100), "{due:?}");
    let told = moments(&mut setup, "mail").unwrap();
    assert_eq!(told.per_second, 40.0);
    assert!(later.iter().all(|at| told.have(*at) && !told.have(at + 0.03)), "{told:?} of {later:?}");
    assert!(!told.have(later[later.len() - 1] + 0.1), "nobody is there yet");
    // What comes later gets moments behind these.
    setup.add(set, "1000000002", br#"{"queue":"mail","n":400}"#);
    setup.look(false);
    let last = scores(&setup, set).pop().unwrap();
    assert!(last >= later[later.len() - 1], "{last}");
    let left_s: i64 = setup.redis.run(&[b"TTL", paces.as_bytes()]).as_integer().unwrap();
    assert!((55..75).contains(&left_s), "the moments are kept until they are over: {left_s}");
    // A job goes at its moment, whatever comes meanwhile.
    let (first, before) = (scores(&setup, set)[0], scores(&setup, set).len());
    while now_of(&setup) < first {
        std::thread::yield_now();
    }
    let due = setup.look(false);
    assert!(due.moved >= 1, "{due:?}");
    assert_eq!(scores(&setup, set).len() + due.moved as usize, before);
}

#[test]
fn jobs_that_missed_their_moments_keep_the_pace_and_other_paces_forget_the_old() {
    let mut setup = Setup::new();
    let set = JIGGLER.names().retries;
    setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: 1.0 }];
    let now = now_of(&setup);
    // Moments of long ago, as after an outage.
    for number in 0..20_u32 {
        let at = (now - 100.0).floor() + f64::from(number) + 0.0377;
        setup.add(set, &format!("{at:.17}"), format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    setup.look(false);
    let later = scores(&setup, set);
    assert!(later.len() >= 18 && later.windows(2).all(|two| two[1] - two[0] > 0.99), "{later:?}");
    // A hundred times as fast: the moments of the slow pace do not hold.
    setup.paces[0].per_second = 100.0;
    setup.add(set, "1000000000", br#"{"queue":"mail","n":99}"#);
    setup.look(false);
    assert!(*scores(&setup, set).last().unwrap() < now + 40.0);
    // As little as one in a quarter of an hour.
    setup.redis.run(&[b"FLUSHALL"]);
    setup.paces[0].per_second = 0.001;
    for number in 0..3 {
        setup.add(set, "1000000000", format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    setup.look(false);
    let later = scores(&setup, set);
    assert!((later[1] - later[0] - 1_000.0).abs() < 0.01, "{later:?}");
}

#[test]
fn a_spoilt_key_of_paces_is_named_and_holds_up_nothing() {
    let mut setup = Setup::new();
    let (set, paces) = (JIGGLER.names().scheduled, JIGGLER.names().paces);
    setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: 10.0 }];
    setup.redis.run(&[b"SET", paces.as_bytes(), b"x"]);
    for number in 0..3 {
        setup.add(set, "1000000000", format!(r#"{{"queue":"mail","n":{number}}}"#).as_bytes());
    }
    let due = setup.look(false);
    assert_eq!((due.broken.as_str(), due.moved + scores(&setup, set).len() as u64), (paces, 3));
    assert!(due.moved >= 1);
    assert_eq!(setup.redis.run(&[b"GET", paces.as_bytes()]).as_bulk().unwrap(), b"x");
}

/// What `why` would be told of a queue.
fn moments(setup: &mut Setup, queue: &str) -> Option<pace::Moments> {
    let mut requests = Requests::new();
    pace::ask(JIGGLER, queue, &mut requests);
    pace::read(&setup.conn.call_one(&requests).unwrap()).unwrap()
}

/// What is stored of a queue: `<moment> <jobs> <jobs a second>`.
fn stored(setup: &Setup, queue: &str) -> String {
    let reply = setup.redis.run(&[b"HGET", JIGGLER.names().paces.as_bytes(), queue.as_bytes()]);
    String::from_utf8(reply.as_bulk().unwrap().to_vec()).unwrap()
}

fn store(setup: &Setup, queue: &str, cursor: &str) {
    setup.redis.run(&[b"HSET", JIGGLER.names().paces.as_bytes(), queue.as_bytes(), cursor.as_bytes()]);
}

/// A job that is due, looked at. When it is due now, if it was not moved.
fn next(setup: &mut Setup, number: u32) -> Option<f64> {
    let (set, job) = (JIGGLER.names().scheduled, format!(r#"{{"queue":"mail","n":{number}}}"#));
    setup.add(set, "1000000000", job.as_bytes());
    let due = setup.look(false);
    let score = setup.redis.run(&[b"ZSCORE", set.as_bytes(), job.as_bytes()]);
    let score = score.as_nil_or_bulk().unwrap().map(|text| String::from_utf8_lossy(text).parse().unwrap());
    assert_eq!(u64::from(score.is_none()), due.moved, "in the set or in the queue: {due:?}");
    score
}

#[test]
fn a_changed_pace_begins_anew_and_the_same_goes_on_behind_its_herd() {
    let mut setup = Setup::new();
    let now = now_of(&setup);
    let far = (now + 5_000.0).floor() + 0.0377;
    // As many jobs a tenth of a second or not: what counts is the pace.
    for (before, after) in [(1.0, 50.0), (20.0, 50.0), (20.0, 40.0), (50.0, 1.0)] {
        store(&setup, "mail", &format!("{far:.17} 1 {before}"));
        setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: after }];
        assert_eq!(next(&mut setup, 0), None, "from {before} to {after}: its turn is now");
        let cursor = stored(&setup, "mail");
        let parts: Vec<f64> = cursor.split(' ').map(|part| part.parse().unwrap()).collect();
        assert!(parts[0] <= now_of(&setup) && parts[1..] == [1.0, after], "{cursor}");
    }
    for per_second in [0.001, 0.1, 1.0 / 3.0, 19.99, 50.0] {
        setup.redis.run(&[b"DEL", JIGGLER.names().paces.as_bytes()]);
        setup.paces[0].per_second = per_second;
        setup.add(JIGGLER.names().scheduled, "1000000000", br#"{"queue":"mail","n":1}"#);
        setup.look(false);
        // Full, so that the next moment is the next one's.
        let cursor = stored(&setup, "mail");
        let (at, pace) = (cursor.split(' ').next().unwrap(), cursor.rsplit(' ').next().unwrap());
        let later: f64 = at.parse::<f64>().unwrap() + 100.0 * (0.1_f64.max(1.0 / per_second));
        store(&setup, "mail", &format!("{later:.17} 9 {pace}"));
        let turn = next(&mut setup, 2).expect("behind what has moments");
        assert!(turn > later, "{per_second}: {turn} after {later}");
        setup.redis.run(&[b"DEL", JIGGLER.names().scheduled.as_bytes()]);
    }
}

#[test]
fn what_an_earlier_version_stored_holds_and_what_is_no_moment_does_not() {
    let mut setup = Setup::new();
    setup.paces = vec![Pace { queue: "mail".to_owned(), per_second: 10.0 }];
    let at = (now_of(&setup) + 5_000.0).floor() + 0.0377;
    store(&setup, "mail", &format!("{at:.17} 1"));
    assert_eq!(moments(&mut setup, "mail"), None, "at which pace, nobody has said");
    assert!(next(&mut setup, 0).is_some_and(|turn| (turn - at - 0.1).abs() < 0.001));
    assert!(stored(&setup, "mail").ends_with(" 1 10"), "{}", stored(&setup, "mail"));
    let long = "9".repeat(400);
    for (number, cursor) in ["", "..", "1.2.3 1 10", "1e300 1 10", "-1 1 10", "x", &long].iter().enumerate() {
        store(&setup, "mail", cursor);
        assert_eq!(next(&mut setup, number as u32 + 1), None, "{cursor}");
        store(&setup, "mail", &format!("{cursor} 1 .."));
        assert_eq!(next(&mut setup, number as u32 + 1), None, "{cursor}");
    }
}

#[test]
fn no_job_is_put_off_for_more_than_ten_years_and_each_goes_when_its_turn_comes() {
    let mut setup = Setup::new();
    let ten_years = RETRY_DELAY_MAX.as_secs_f64();
    for per_second in [0.001, 7.0, 10.0, 10_000.0] {
        setup.paces = vec![Pace { queue: "mail".to_owned(), per_second }];
        // None of ours is twenty years ahead: a clock was set, or a hand was at work.
        store(&setup, "mail", &format!("{:.17} 1 {per_second}", now_of(&setup) + 2.0 * ten_years));
        assert_eq!(next(&mut setup, 0), None, "its turn is now");
        // A herd that takes all of ten years, and one job more.
        let tick = (per_second * 0.1).floor().max(1.0) / per_second;
        let now = now_of(&setup);
        let last = ((now + ten_years - 0.0377) / tick).floor() * tick + 0.0377;
        store(&setup, "mail", &format!("{last:.17} 1000 {per_second}"));
        let turns: Vec<f64> = (1..4).map(|number| next(&mut setup, number).expect("put off")).collect();
        let latest = now_of(&setup) + ten_years;
        assert!(turns.iter().all(|turn| *turn >= last - 0.01 && *turn <= latest), "{turns:?}");
        // It is a moment as others are, and who comes at his moment goes.
        let back = ((turns[2] - now) / tick).ceil() * tick;
        let came = turns[2] - back;
        if now_of(&setup) - came < 4.0 {
            setup.add(JIGGLER.names().retries, &format!("{came:.17}"), br#"{"queue":"mail","n":4}"#);
            assert_eq!(setup.look(false).moved, 1, "{per_second}: at {came}");
        }
        setup.redis.run(&[b"FLUSHALL"]);
    }
}

#[test]
fn the_moments_of_one_queue_outlast_those_of_another_and_their_own_beginning() {
    let mut setup = Setup::new();
    let paces = JIGGLER.names().paces;
    let pace = |queue: &str, per_second| Pace { queue: queue.to_owned(), per_second };
    setup.paces = vec![pace("mail", 10.0), pace("reports", 0.001), pace("img", 10.0)];
    // One in a thousand seconds has gone; the present moment may have begun that long ago.
    setup.add(JIGGLER.names().scheduled, "1000000000", br#"{"queue":"reports"}"#);
    assert_eq!(setup.look(false).moved, 1);
    setup.add(JIGGLER.names().scheduled, "1000000000", br#"{"queue":"reports","n":2}"#);
    assert_eq!(setup.look(false).moved, 0, "its turn is still taken");
    setup.redis.run(&[b"DEL", paces.as_bytes()]);
    store(&setup, "img", &format!("{:.17} 1 10", now_of(&setup) + 5_000.0));
    assert_eq!(next(&mut setup, 0), None);
    let left_s = setup.redis.run(&[b"TTL", paces.as_bytes()]).as_integer().unwrap();
    assert!((4_990..5_070).contains(&left_s), "not only those of this queue: {left_s}");
}
